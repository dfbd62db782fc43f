//! `kie-reconciler`, word by word: what it finds, makes, refuses, and leaves alone on a dry run.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use acceptance::{Db, IMAGE, Media, Shop, VIDEO, World, prompt, stories, until};
use domain::Role;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

stories! {
    async fn f36_after_hours_without_a_worker_an_alarm_is_on_and_the_work_is_caught_up_within_limits(db) {
        // One, because it is the worker that stops.
        let mut world = World::builder(db).workers(1).flag("--kie-creates-per-10s", "6").start().await;
        let customer = world.account_with("20.00").await;
        let jobs = join_all((0..14).map(|number| customer.order(IMAGE, prompt(&format!("caught up {number}"))))).await;
        until("the first window is used up", async || (world.creates() >= 6).then_some(())).await;
        world.stop_shop(0).await;
        let is_on = |alarms: &[String]| alarms.iter().any(|alarm| alarm.contains("no worker was seen"));
        assert!(!is_on(&status_in(&world, 0).await.alarms));
        assert!(is_on(&status_in(&world, 3).await.alarms), "within minutes");
        world.advance(Duration::from_hours(5));
        assert!(status_in(&world, 0).await.stuck >= 8);
        let before = world.creates();
        world.start_shop(0, &[]).await;
        for job in &jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), &done.0["attempts"]), ("done", &json!(1)));
            customer.until_told(job.id()).await;
        }
        assert_eq!((world.creates(), customer.balance().await), (14, (600, 0)));
        let requests = world.sim.requests();
        let creates = requests.iter().filter(|request| request.path.ends_with("/createTask"));
        let times: Vec<u64> = creates.map(|request| request.at_ms).skip(before).collect();
        let windows = times.windows(7).map(|seven| seven[6] - seven[0]);
        // The provider sees them a moment after their slot was taken.
        assert!(windows.clone().all(|ms| ms > 9_000), "no burst over the limit: {times:?}");
        assert!(!is_on(&status_in(&world, 0).await.alarms));
        world.finish().await;
    }

    async fn an_account_is_exported_whole(db) {
        let world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("500.00").await;
        let image = customer.order_and_wait(IMAGE, prompt("[sim:count=2] a pair")).await;
        let video = json!({ "prompt": "a kite", "sound": false });
        let video = customer.order_and_wait(VIDEO, video).await;
        let failed = customer.order_and_wait(IMAGE, prompt("[sim:moderation] naughty")).await;
        let stranger = world.account_with("1.00").await;
        let foreign = stranger.order_and_wait(IMAGE, prompt("somebody else's")).await;
        let (id, out) = (customer.id.to_string(), world.path("library.zip"));
        let words = ["export", &id, "--out", out.to_str().unwrap(), "--json"];
        let report = world.reconciler(&words).await.json(0);
        assert_eq!((&report["jobs"], &report["files"]), (&json!(3), &json!(3)), "{report}");

        let files = unzipped(&out);
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!((manifest["account"]["id"].as_str(), &manifest["currency"]), (Some(id.as_str()), &json!("RUB")));
        let jobs: Vec<_> = manifest["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
        assert_eq!(jobs, [failed.id(), video.id(), image.id()], "newest first, and no foreign ones such as {}", foreign.id());
        let pair = &manifest["jobs"][2];
        assert_eq!((&pair["prompt"], &pair["receipt"]["captured"]), (&json!("[sim:count=2] a pair"), &json!(100)));
        let mut named = 0;
        for output in manifest["jobs"].as_array().unwrap().iter().flat_map(|job| job["outputs"].as_array().unwrap()) {
            let bytes = &files[output["file"].as_str().unwrap()];
            assert_eq!(output["sha256"].as_str().unwrap(), hex(&Sha256::digest(bytes)));
            named += 1;
        }
        assert_eq!((named, files.len()), (3, 4));
        assert_eq!(manifest["transfers"][0]["kind"], "topup");
        let again = world.reconciler(&words).await;
        assert!(again.code == 2 && again.err.contains("is there already"), "{again:?}");
        // A job whose row cannot be read is named.
        let id_of = |job: &str| match db {
            Db::Sqlite => format!("x'{}'", job.replace('-', "")),
            Db::Postgres => format!("'{job}'"),
        };
        let set = |value: &str| format!("update kie.job set recipients = {value} where id = {}", id_of(video.id()));
        world.edit(&set("'7'")).await;
        let out = world.path("torn.zip");
        let torn = world.reconciler(&["export", &id, "--out", out.to_str().unwrap()]).await.expect(1);
        assert!(torn.contains(&format!("job {}", video.id())) && torn.contains("2 jobs, 2 files of"), "{torn}");
        world.edit(&set(&format!("(select recipients from kie.job where id = {})", id_of(image.id())))).await;
        world.finish().await;
    }

    async fn a_file_that_is_gone_or_changed_is_found_by_verify_and_missing_in_the_export(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("[sim:count=2] two")).await;
        let outputs = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap();
        let path = |index: usize| world.path("media").join(&outputs[index].object);
        world.reconciler(&["verify"]).await.expect(0);
        let kept = std::fs::read(path(0)).unwrap();
        let mut flipped = kept.clone();
        *flipped.last_mut().unwrap() ^= 1;
        std::fs::write(path(0), &flipped).unwrap();
        let found = world.reconciler(&["verify", "--json"]).await.json(1);
        assert_eq!((&found["objects"], &found["found"]), (&json!(2), &json!(1)), "{found}");
        assert!(found["findings"][0]["detail"].as_str().unwrap().contains("hash"), "{found}");
        let nobody = world.account_with("1.00").await.id.to_string();
        assert_eq!(world.reconciler(&["verify", "--account", &nobody, "--json"]).await.json(0)["objects"], 0);

        let out = world.path("library.zip");
        let words = ["export", &customer.id.to_string(), "--out", out.to_str().unwrap()];
        let said = world.reconciler(&words).await.expect(1);
        assert!(said.contains("hash is not the recorded one"), "{said}");
        let files = unzipped(&out);
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!((files.len(), &manifest["jobs"][0]["outputs"][0]["file"]), (2, &Value::Null));
        std::fs::write(path(0), &kept).unwrap();
        world.finish().await;
    }

    async fn thumbnails_that_are_missing_are_made(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("small")).await;
        customer.order_and_wait(acceptance::LYRICS, prompt("words")).await;
        world.edit("update kie.asset set thumbnail = null").await;
        let count = |report: Value| ["images", "without", "made"].map(|name| report[name].as_u64().unwrap());
        assert_eq!(count(world.reconciler(&["previews", "--json"]).await.json(0)), [1, 1, 0]);
        let backfill = ["previews", "--backfill", "--yes", "--json"];
        assert_eq!(count(world.reconciler(&["previews", "--backfill", "--dry-run", "--json"]).await.json(0)), [1, 1, 0]);
        assert_eq!(count(world.reconciler(&backfill).await.json(0)), [1, 1, 1]);
        assert_eq!(count(world.reconciler(&backfill).await.json(0)), [1, 0, 0]);
        let shown = customer.job(job.id()).await;
        let (status, bytes) = customer.download(shown.outputs()[0]["thumbnail_url"].as_str().unwrap()).await;
        assert_eq!((status.as_u16(), bytes.starts_with(b"RIFF")), (200, true));
        // The row names one, but its object is gone.
        let id = job.id().parse().unwrap();
        let name = world.store.assets_of(&[id]).await.unwrap().remove(0).thumbnail.unwrap();
        world.media.delete(&name).await.unwrap();
        assert_eq!(count(world.reconciler(&backfill).await.json(0)), [1, 1, 1]);
        world.finish().await;
    }

    async fn money_is_told_in_one_form_with_its_reasons(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("blurred")).await;
        customer.until_told(job.id()).await;
        let id = customer.id.to_string();
        let adjust = ["account", "adjust", &id, "-3.50", "--key", "less", "--reason", "a mistake"];
        assert_eq!(world.reconciler(&adjust).await.expect(0).trim(), "-3.50 RUB moved; available 0.50 RUB");
        let refund = ["refund", job.id(), "--key", "back", "--reason", "it was blurred"];
        assert_eq!(world.reconciler(&refund).await.expect(0).trim(), "refunded 1.00 RUB; available 1.50 RUB");
        let told = world.reconciler(&["job", job.id()]).await.expect(0);
        assert!(told.contains("it was blurred") && told.contains("refunded 1.00 RUB"), "{told}");
        let told = world.reconciler(&["job", job.id(), "--json"]).await.json(0);
        assert_eq!(told["transfers"][2]["reason"], "it was blurred", "{told}");
        let words = ["account", "transfers", &id, "--limit", "2"];
        let page = world.reconciler(&[&words[..], &["--json"]].concat()).await.json(0);
        let kinds = |page: &Value| {
            let transfers = page["transfers"].as_array().unwrap().iter();
            transfers.map(|one| one["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((kinds(&page), &page["transfers"][1]["amount"]), (vec!["refund".to_owned(), "adjust".to_owned()], &json!(350)));
        let before = page["before"].as_str().unwrap();
        let table = world.reconciler(&words).await.expect(0);
        assert!(table.contains("available → adjustments") && table.contains("a mistake") && table.contains(before), "{table}");
        let rest = world.reconciler(&["account", "transfers", &id, "--before", before, "--json"]).await.json(0);
        assert_eq!((kinds(&rest), &rest["before"]), (["capture", "hold", "topup"].map(str::to_owned).to_vec(), &Value::Null));
        assert!(world.reconciler(&["account", "list"]).await.expect(0).contains("1.50 RUB"));
        let nope = world.reconciler(&["account", "transfers", "nope", "--json"]).await;
        let error: Value = serde_json::from_str(&nope.err).unwrap();
        assert_eq!((nope.code, &error["error"]), (2, &json!("`nope` is not an account's id: see `account list`")));
        world.finish().await;
    }

    async fn what_waits_for_kie_to_sell_is_told_so(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let trial = world.now() + Duration::from_hours(1);
        world.store.open_breaker("no credits", world.now(), trial).await.unwrap();
        let job = customer.order(IMAGE, prompt("a red kite")).await;
        let at = trial.strftime("%F %TZ").to_string();
        let refuses = "KIE refuses to sell (no credits)";
        let told = world.reconciler(&["job", job.id()]).await.expect(0);
        assert!(told.contains(&format!("{refuses}, the next trial of one job is at {at}")), "{told}");
        assert!(!told.contains("due since") && told.contains("a red kite"), "{told}");
        assert!(told.contains("no deliveries yet: webhook ") && told.contains("is told when it is over"), "{told}");
        let told = world.reconciler(&["job", job.id(), "--json"]).await.json(0);
        assert_eq!((&told["prompt"], &told["input"]["prompt"]), (&json!("a red kite"), &json!("a red kite")));
        for words in [&["once", "--dry-run"][..], &["once"]] {
            let told = world.reconciler(words).await.expect(0);
            assert!(told.contains(&format!("1 due job is not taken: {refuses}, one is tried at {at}")), "{told}");
        }
        world.store.close_breaker().await.unwrap();
        customer.until_told(job.id()).await;
        let told = world.reconciler(&["job", job.id()]).await.expect(0);
        assert!(told.contains("webhook") && told.contains("/…") && !told.contains("/hook/"), "{told}");
        world.finish().await;
    }

    async fn one_token_is_revoked_and_the_others_stay(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let id = customer.id.to_string();
        let words = ["account", "token", &id, "--role", "customer", "--json", "--reason", "a second device"];
        let made = world.reconciler(&words).await.json(0);
        let mut second = customer.clone();
        second.token = made["token"].as_str().unwrap().to_owned();
        second.get("/v1/balance").await.expect(200);
        let tokens = world.reconciler(&["account", "tokens", &id, "--json"]).await.json(0);
        assert_eq!((tokens.as_array().unwrap().len(), &tokens[1]["id"]), (2, &made["id"]));
        let token = made["id"].as_str().unwrap();
        let other = world.holder(Role::Customer).await.id.to_string();
        world.reconciler(&["account", "revoke", &other, token]).await.expect(2);
        world.reconciler(&["account", "revoke", &id, token, "--reason", "stolen"]).await.expect(0);
        until("the token is forgotten", async || (second.get("/v1/balance").await.status == 401).then_some(())).await;
        customer.get("/v1/balance").await.expect(200);
        world.reconciler(&["account", "revoke", &id, token]).await.expect(2);
        let acts = world.reconciler(&["acts", "--json"]).await.json(0);
        assert_eq!((&acts[0]["command"], &acts[0]["reason"]), (&json!("account revoke"), &json!("stolen")));
        assert_eq!(acts[1]["reason"], "a second device");
        world.finish().await;
    }

    async fn a_refused_model_is_put_back_on_sale(db) {
        let world = World::builder(db).start().await;
        for _ in 0..3 {
            world.store.count_refusal(IMAGE, 3, world.now()).await.unwrap();
        }
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains("KIE refuses these models") && status.contains(IMAGE), "{status}");
        world.reconciler(&["catalogue", "sell", VIDEO]).await.expect(2);
        world.reconciler(&["catalogue", "sell", IMAGE, "--dry-run"]).await.expect(0);
        assert_eq!(world.store.models_off_sale().await.unwrap().len(), 1);
        world.reconciler(&["catalogue", "sell", IMAGE, "--reason", "KIE mended it"]).await.expect(0);
        assert!(world.store.models_off_sale().await.unwrap().is_empty());
        world.finish().await;
    }

    async fn credits_that_nobody_can_explain_are_an_alarm(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        until("the first reading is kept", async || {
            (!world.store.list_readings(1).await.unwrap().is_empty()).then_some(())
        })
        .await;
        customer.order_and_wait(IMAGE, prompt("bought by us")).await;
        let a_day_later = async || {
            world.advance(Duration::from_hours(25));
            let Shop::Here(running) = &world.shops[0] else { panic!("it runs here") };
            running.services.lifecycle.keep_house().await.unwrap();
            world.store.list_readings(1).await.unwrap().remove(0)
        };
        let reading = a_day_later().await;
        assert_eq!((reading.number, reading.drift_micro), (2, Some(0)), "the simulator charged what it said");
        let balance = reading.balance.micro() - 5_000_000_000;
        world.sim.set_credits_micro(balance);
        // By the program's clock the last reading lies in the future; the note compares all the same.
        let audit = world.reconciler(&["audit", "--provider"]).await.expect(0);
        assert!(audit.contains("clean") && audit.contains("5000 credits left it beyond"), "{audit}");
        let found = a_day_later().await;
        assert_eq!((found.drift_micro, found.is_finding()), (Some(5_000_000_000), true));
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains("credits are missing: 5000 left"), "{status}");
        assert_eq!(a_day_later().await.drift_micro, Some(0), "the next day begins anew");
        let status = operations::status(&*world.store, Duration::from_hours(24), world.now()).await.unwrap();
        assert!(status.alarms.iter().any(|alarm| alarm.contains("credits are missing: 5000 left")), "{:?}", status.alarms);
        world.finish().await;
    }

    async fn nothing_is_made_or_migrated_by_those_who_look_or_decide(db) {
        // One, because nobody may have the database open while it is taken away.
        let mut world = World::builder(db).workers(1).start().await;
        world.stop_shop(0).await;
        world.store.close().await;
        // Of an older version.
        world.edit(match db {
            Db::Sqlite => "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
            Db::Postgres => "delete from kie.migration where version = (select max(version) from kie.migration)",
        }).await;
        let file = world.path("kie.db");
        let before = std::fs::read(&file).ok();
        refused_as_it_is(&world, "of this version once").await;
        // An account may be the first thing that is in it: only then it is made or brought up to date.
        let account = ["account", "add", "--name", "Ann", "--dry-run"];
        world.reconciler(&account).await.expect(0);
        assert!(std::fs::read(&file).ok() == before, "the file is as it was");
        // Not there at all.
        remove(&world, db).await;
        refused_as_it_is(&world, "once").await;
        world.reconciler(&account).await.expect(0);
        match db {
            Db::Sqlite => assert!(!file.exists()),
            Db::Postgres => world.edit("create schema kie; drop schema kie").await,
        }
        world.start_shop(0, &[]).await;
        world.store = world.open_store().await.unwrap();
        world.finish().await;
    }

    async fn a_storage_that_does_not_answer_is_no_finding(db) {
        let mut world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("out of reach")).await;
        customer.until_told(job.id()).await;
        world.storage.as_mut().unwrap().stop().await;
        let looks: [&[&str]; 4] =
            [&["audit", "--media"], &["audit", "--media", "--hash"], &["verify"], &["sweep", "--tombstones", "--yes"]];
        for said in join_all(looks.map(|words| world.reconciler(words))).await {
            assert!(said.code == 2 && said.err.contains("the storage"), "{said:?}");
        }
        world.storage.as_mut().unwrap().resume().await;
        let audit = world.reconciler(&["audit", "--media", "--json"]).await.json(0);
        assert_eq!((&audit["found"], &audit["objects_checked"]), (&json!(0), &json!(1)));
        world.finish().await;
    }

    async fn what_is_given_up_while_the_audit_looks_is_no_finding(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("on its way out")).await;
        customer.until_told(job.id()).await;
        let asset = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().remove(0);
        world.media.delete(&asset.object).await.unwrap();
        let (store, now) = (&*world.store, world.now());
        let media = (&world.media, operations::MediaAudit::Length);
        let found = operations::audit(store, Some(media), now).await.unwrap();
        assert_eq!((found.found, found.findings[0].id.clone()), (1, asset.id.to_string()));
        // As housekeeping does it, right after the audit saw that the object is gone.
        let purge = |_looked: u64| {
            let marking = store.give_up_asset(asset.id, now);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(marking)).unwrap();
        };
        let clean = operations::audit_telling(store, Some(media), now, &purge).await.unwrap();
        assert_eq!((clean.found, clean.findings), (0, Vec::new()));
        world.finish().await;
    }

    async fn trouble_is_listed_since_a_time(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("[sim:moderation] naughty")).await;
        let list = async |since: &str| {
            world.reconciler(&["list", "--state", "failed", "--since", since, "--json"]).await
        };
        for (since, count) in [("2h", 1), ("2020-01-01T00:00:00Z", 1), ("2100-01-01T00:00:00Z", 0)] {
            let rows = list(since).await.json(0);
            assert_eq!(rows.as_array().unwrap().len(), count, "{since}");
        }
        let wrong = list("yesterday").await;
        assert!(wrong.code == 2 && wrong.err.contains("neither a duration such as 2h"), "{wrong:?}");
        let shown = world.reconciler(&["job", job.id(), "--json"]).await.json(0);
        assert_eq!((&shown["money"]["held"], &shown["money"]["released"]), (&json!(100), &json!(100)));
        assert_eq!((&shown["transfers"][0]["kind"], &shown["transfers"][0]["amount"]), (&json!("hold"), &json!(100)));
        assert_eq!(shown["timeline"][0]["event"], "job.created");
        world.finish().await;
    }
}

/// Everything that looks or decides refuses a database that is not as this program knows it, with these words.
async fn refused_as_it_is(world: &World, words: &str) {
    let id = "01990000-0000-7000-8000-000000000001";
    let all: [&[&str]; 15] = [
        &["status"],
        &["audit", "--media"],
        &["verify"],
        &["sweep", "--yes"],
        &["previews", "--backfill"],
        &["list", "--state", "stuck"],
        &["once", "--dry-run"],
        &["job", id],
        &["retry", id, "--dry-run"],
        &["retry", id],
        &["resolve", id, "--release"],
        &["redeliver", id],
        &["account", "list"],
        &["account", "token", id, "--role", "operator"],
        &["account", "topup", id, "1.00", "--key", "k"],
    ];
    for one in all {
        let said = world.reconciler(one).await;
        assert!(said.code == 2 && said.err.contains(words), "{one:?} {said:?}");
    }
    let checked = world.reconciler(&["check"]).await.expect(1);
    assert!(checked.contains("BAD") && checked.contains("the database cannot be opened"), "{checked}");
}

/// Takes the database away; nobody has it open.
async fn remove(world: &World, db: Db) {
    match db {
        Db::Postgres => world.edit("drop schema kie cascade").await,
        Db::Sqlite => {
            for ending in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(world.path(&format!("kie.db{ending}"))));
            }
        }
    }
}

/// What an operator sees in so many minutes.
async fn status_in(world: &World, minutes: u64) -> operations::StatusReport {
    let at = world.now().saturating_add(Duration::from_mins(minutes)).unwrap();
    operations::status(&*world.store, Duration::from_hours(24), at).await.unwrap()
}

/// The files of an archive by name.
fn unzipped(path: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
