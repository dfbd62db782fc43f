//! An operator with a broken shop: what is wrong is found and repaired with `kie-reconciler` alone.

use std::path::Path;
use std::time::Duration;

use acceptance::{Customer, Db, IMAGE, Job, World, prompt, stories, until};
use domain::{AccountId, AssetId, JobId};
use kie_client::callback;
use kie_sim::TaskView;
use lifecycle::SecretKeys;
use serde_json::{Value, json};

stories! {
    async fn a_broken_shop_is_repaired_with_the_tool_alone(db) {
        let mut world = World::builder(db).programs(1).callbacks(false).start().await;
        let customer = world.account_with("100.00").await;
        let broken = Broken::make(&mut world, &customer, db).await;

        // What is wrong?
        let status = world.reconciler(&["status"]).await.expect(1);
        for alarm in [
            "no worker was seen for two minutes",
            "2 jobs are unclear",
            "6 jobs are stuck",
            "1 delivery is dead",
            "1 callback names a task that no job knows",
        ] {
            assert!(status.contains(alarm), "{alarm}: {status}");
        }
        assert_eq!(ids(&world, "unclear", "id").await, sorted([&broken.lost, &broken.never]));
        let stuck = [&broken.lost, &broken.never, &broken.slow, &broken.torn, &broken.busy, &broken.cut];
        assert_eq!(ids(&world, "stuck", "id").await, sorted(stuck));
        assert_eq!(ids(&world, "dead", "job").await, sorted([&broken.deaf]));
        let account = customer.id.to_string();
        let audit = world.reconciler(&["audit", "--media", "--json"]).await.json(1);
        let found: Vec<_> = audit["findings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        for id in [account.as_str(), &broken.missing, &broken.stray, "backup.tar"] {
            assert!(found.contains(&id), "{id}: {audit}");
        }
        assert_eq!(found.len(), 4, "{audit}");
        let of_file = audit["findings"].as_array().unwrap().iter().find(|one| one["id"] == broken.missing).unwrap();
        assert_eq!(of_file["job"], broken.whole.id(), "{audit}");
        let by_file = world.reconciler(&["job", &broken.missing, "--json"]).await.json(0);
        assert_eq!(by_file["job"]["id"], broken.whole.id());
        let slow = world.reconciler(&["job", broken.slow.id(), "--live"]).await.expect(0);
        for words in ["running, since", "KIE says now: ", "times, KIE says `", ", lease until", "it is given up, and the money"] {
            assert!(slow.contains(words), "{words}: {slow}");
        }
        assert!(!slow.contains("Read {"), "{slow}");
        let stuck = world.reconciler(&["list", "--state", "stuck", "--json"]).await.json(0);
        for (job, words) in [
            (&broken.slow, "KIE says `"),
            (&broken.torn, "1 of 1 files are not stored, last error"),
            (&broken.busy, "KIE refused it for now"),
            (&broken.cut, "its sender is gone"),
            (&broken.lost, "nobody knows whether KIE has it"),
        ] {
            let row = stuck.as_array().unwrap().iter().find(|row| row["id"] == job.id()).unwrap();
            assert!(row["waits"].as_str().unwrap().contains(words), "{words}: {row}");
        }
        let due = world.reconciler(&["once", "--dry-run", "--json"]).await.json(0);
        assert!(due["jobs"].as_array().unwrap().iter().any(|job| job["id"] == broken.cut.id()), "{due}");

        // The provider is well again.
        world.sim.clear_scripts();
        world.fault("callback=none");
        let slow_task = world.row(broken.slow.id()).await.task_id.unwrap();
        assert!(world.sim.finish_now(&slow_task));

        // Decide what only a person can decide.
        let task_of = |mark: &str| world.sim.tasks().into_iter().find(|task| ordered(task, mark)).unwrap().id;
        let (lost, other) = (task_of("] lost"), task_of("] slow"));
        world.reconciler(&["resolve", broken.lost.id(), "--adopt", &other]).await.expect(2);
        world.reconciler(&["resolve", broken.lost.id(), "--adopt", &lost, "--reason", "in KIE's list"]).await.expect(0);
        world.reconciler(&["resolve", broken.never.id(), "--release"]).await.expect(0);
        world.reconciler(&["redeliver", broken.deaf.id(), "--reason", "the customer is back"]).await.expect(0);
        for job in [&broken.slow, &broken.torn, &broken.busy] {
            world.reconciler(&["retry", job.id()]).await.expect(0);
        }
        // A worker takes it from there.
        let watch = world.watch();
        in_state(&world, &broken.cut, "unclear").await;
        world.reconciler(&["resolve", broken.cut.id(), "--adopt", &task_of("] cut")]).await.expect(0);
        for job in [&broken.lost, &broken.slow, &broken.torn, &broken.busy, &broken.cut] {
            in_state(&world, job, "done").await;
        }
        in_state(&world, &broken.never, "failed").await;
        until("everybody was told", async || {
            let overview = world.reconciler(&["status", "--json"]).await;
            let status: Value = serde_json::from_str(&overview.out).ok()?;
            let pending = status["overview"]["deliveries"].as_array()?.iter().any(|one| one[0] == "pending");
            (!pending).then_some(())
        })
        .await;
        let pass = watch.terminate().await.json(0);
        assert!(pass["steps"].as_u64() > Some(5), "{pass}");

        // The books and the files.
        world.reconciler(&["account", "recount", &account, "--reason", "edited by hand"]).await.expect(0);
        world.reconciler(&["retry", broken.whole.id(), "--reason", "the bucket lost it"]).await.expect(0);
        let survey = world.reconciler(&["sweep", "--json"]).await.json(1);
        assert_eq!((&survey["survey"]["strays"][0]["name"], &survey["swept"]["deleted"]), (&json!(broken.stray), &json!(0)));
        assert!(world.path("media").join(&broken.stray).exists(), "nothing is deleted without a yes");
        world.reconciler(&["sweep", "--yes"]).await.expect(1);
        assert!(!world.path("media").join(&broken.stray).exists());
        assert!(world.path("media/backup.tar").exists(), "what is not ours is left alone");
        std::fs::remove_file(world.path("media/backup.tar")).unwrap();
        world.reconciler(&["sweep"]).await.expect(0);

        // All is well.
        let audit = world.reconciler(&["audit", "--media", "--hash"]).await.expect(0);
        assert!(audit.contains("clean"), "{audit}");
        world.reconciler(&["verify", "--sample", "3"]).await.expect(0);
        let acts = world.reconciler(&["acts"]).await.expect(0);
        assert!(acts.contains("account recount") && acts.contains("edited by hand") && acts.contains("sweep"), "{acts}");
        world.restart_program(0).await;
        assert_eq!(customer.balance().await, (10_000 - 700, 0), "seven of eight were made");
        let status = world.reconciler(&["status"]).await.out;
        assert!(!status.contains("stuck:") && !status.contains("unclear:") && !status.contains("dead:"), "{status}");
        world.finish().await;
    }

    async fn f54_what_a_restored_backup_does_not_know_is_found(db) {
        // One, because nobody may have the database open while it is put back.
        let mut world = World::builder(db).workers(1).start().await;
        let customer = world.account_with("5.00").await;
        let known = customer.order_and_wait(IMAGE, prompt("in the backup")).await;
        customer.until_told(known.id()).await;
        let body = json!({ "model": IMAGE, "input": prompt("after the backup") });
        let gone = Job(customer.post("/v1/jobs", Some("gone"), &body).await.expect(201));
        customer.until_final(gone.id()).await;
        let lost = object(&world, &gone).await;
        let torn = lost.with_file_name("00000000-0000-7000-8000-000000000000#1");
        std::fs::write(&torn, b"half").unwrap();
        world.stop_shop(0).await;
        // Last night's backup: nothing of the second job is in it.
        let asset = world.store.assets_of(&[gone.id().parse().unwrap()]).await.unwrap().remove(0);
        let id = match db {
            Db::Sqlite => format!("x'{}'", gone.id().replace('-', "")),
            Db::Postgres => format!("'{}'", gone.id()),
        };
        for table in ["timeline", "callback", "delivery", "asset", "transfer", "attempt"] {
            world.edit(&format!("delete from kie.{table} where job_id = {id}")).await;
        }
        world.edit(&format!("delete from kie.job where id = {id}")).await;
        world.reconciler(&["account", "recount", &customer.id.to_string()]).await.expect(0);
        for path in [lost.clone(), lost.with_file_name(format!("{}.thumb.webp", asset.id)), torn.clone()] {
            written_hours_ago(&world, &path, 2);
        }
        world.start_shop(0, &[]).await;
        // The books of the backup are sound, and the gap has names: a callback that nobody knows, objects without rows.
        let unknown = orphan_callback(&world).await.to_string();
        assert_eq!(customer.balance().await, (400, 0));
        world.reconciler(&["audit"]).await.expect(0);
        let audit = world.reconciler(&["audit", "--media"]).await.expect(1);
        assert!(audit.contains(&asset.object) && audit.contains("no row knows it"), "{audit}");
        let status = world.reconciler(&["status"]).await.expect(1);
        assert!(status.contains("1 callback names a task that no job knows"), "{status}");
        let listed = world.reconciler(&["list", "--state", "orphan", "--json"]).await.json(0);
        let orphan = &listed[0];
        assert_eq!((&orphan["task_id"], &orphan["times"]), (&json!("task-of-another-shop"), &json!(1)), "{listed}");
        assert_eq!((&orphan["source"], orphan["job"].as_str()), (&json!("callbacks/kie"), Some(unknown.as_str())));
        for named in ["task-of-another-shop", &unknown] {
            let told = world.reconciler(&["job", named]).await.expect(1);
            assert!(told.contains("named task task-of-another-shop (orphan since"), "{told}");
            assert_eq!(world.reconciler(&["job", named, "--json"]).await.json(1)["orphans"], listed);
        }
        world.reconciler(&["job", "task-unheard-of"]).await.expect(2);
        let swept = world.reconciler(&["sweep", "--yes", "--json"]).await.json(0);
        assert_eq!((&swept["swept"]["deleted"], &swept["swept"]["torn"]), (&json!(2), &json!(1)), "{swept}");
        assert!(!lost.exists() && !torn.exists());
        world.reconciler(&["audit", "--media"]).await.expect(0);
        // The provider remembers a task that we cannot know any more.
        world.sim.reset().unwrap();
        world.finish().await;
    }

    async fn a_file_that_cannot_be_had_again_is_refunded_and_given_up(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("lost for good")).await;
        customer.until_told(job.id()).await;
        std::fs::remove_file(object(&world, &job).await).unwrap();
        let refused = world.reconciler(&["sweep", "--tombstones", "--yes"]).await;
        assert!(refused.code == 2 && refused.err.contains("only 0 of 1 stored files are in"), "{refused:?}");
        let other = customer.order_and_wait(IMAGE, prompt("kept")).await;
        customer.until_told(other.id()).await;
        world.fault("result=404");
        let said = world.reconciler(&["retry", job.id(), "--json"]).await.json(1);
        assert_eq!(said[0]["restored"], false, "{said}");
        world.reconciler(&["verify", "--account", &customer.id.to_string()]).await.expect(1);
        world.reconciler(&["refund", job.id(), "--key", "lost-file", "--reason", "we lost it"]).await.expect(0);
        world.reconciler(&["sweep", "--tombstones", "--dry-run"]).await.expect(1);
        world.reconciler(&["sweep", "--tombstones", "--yes", "--reason", "refunded"]).await.expect(0);
        world.reconciler(&["audit", "--media"]).await.expect(0);
        let timeline = world.reconciler(&["job", job.id()]).await.expect(0);
        assert!(timeline.contains("is given up: refunded"), "{timeline}");
        assert_eq!(customer.balance().await, (100, 0));
        world.finish().await;
    }

    async fn storage_of_another_shop_is_told_and_not_touched(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = customer.order_and_wait(IMAGE, prompt("ours")).await;
        customer.until_told(job.id()).await;
        let (now, ids) = (world.now(), world.ids());
        let (account, asset) = (AccountId::generate(now, &*ids.chance), AssetId::generate(now, &*ids.chance));
        let name = format!("{account}/image/{asset}");
        let theirs = |folder: &str| {
            let path = world.path(folder).join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, b"bytes").unwrap();
            written_hours_ago(&world, &path, 2);
            path
        };
        // The whole folder is another shop's: its objects are strange, and ours are not there.
        let there = theirs("theirs");
        let url = format!("file://{}", world.path("theirs").display());
        let refused = world.reconciler(&["sweep", "--tombstones", "--yes", "--media-url", &url]).await;
        assert!(refused.code == 2 && refused.err.contains("is MEDIA_URL right"), "{refused:?}");
        let looked = world.reconciler(&["sweep", "--tombstones", "--media-url", &url]).await.expect(1);
        assert!(looked.contains("is MEDIA_URL right") && looked.contains("does not have its account"), "{looked}");
        assert!(there.exists() && object(&world, &job).await.exists());
        // Two shops share one folder.
        let beside = theirs("media");
        let swept = world.reconciler(&["sweep", "--yes", "--json"]).await.json(1);
        let foreign = &swept["survey"]["foreign"][0];
        assert_eq!((&foreign["name"], &foreign["why"]), (&json!(name), &json!("account")), "{swept}");
        let audit = world.reconciler(&["audit", "--media"]).await.expect(1);
        assert!(audit.contains(&name) && audit.contains("1 finding"), "{audit}");
        assert!(beside.exists());
        std::fs::remove_file(beside).unwrap();
        // A folder that is not there is not made.
        let url = format!("file://{}", world.path("absent").display());
        let looks: [&[&str]; 5] =
            [&["verify"], &["audit", "--media"], &["sweep", "--yes"], &["previews"], &["retry", job.id()]];
        for words in looks {
            let words: Vec<&str> = words.iter().copied().chain(["--media-url", &url]).collect();
            let refused = world.reconciler(&words).await;
            assert!(refused.code == 2 && refused.err.contains("is MEDIA_URL right"), "{words:?} {refused:?}");
        }
        assert!(!world.path("absent").exists());
        world.finish().await;
    }
}

/// A shop in which everything that can be stuck is stuck, and whose worker is gone.
struct Broken {
    whole: Job,
    deaf: Job,
    lost: Job,
    never: Job,
    slow: Job,
    torn: Job,
    busy: Job,
    cut: Job,
    /// The asset whose object is gone.
    missing: String,
    /// An object without a row.
    stray: String,
}

impl Broken {
    async fn make(world: &mut World, customer: &Customer, db: Db) -> Self {
        let whole = customer.order_and_wait(IMAGE, prompt("whole")).await;
        customer.until_told(whole.id()).await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[410]);
        let deaf = customer.order_and_wait(IMAGE, prompt("deaf")).await;
        customer.until_told(deaf.id()).await;
        let lost = customer.order(IMAGE, prompt("[sim:create=reset] lost")).await;
        let never = customer.order(IMAGE, prompt("[sim:create=reset:none:times=1] never")).await;
        let slow = customer.order(IMAGE, prompt("[sim:duration=1h] slow")).await;
        customer.until_state(lost.id(), "unclear").await;
        customer.until_state(never.id(), "unclear").await;
        until("the slow one was read", async || {
            let history = world.store.timeline(slow.id().parse().unwrap()).await.unwrap();
            history.iter().any(|line| line.event == "record.read").then_some(())
        })
        .await;
        world.fault("result=404");
        let torn = customer.order(IMAGE, prompt("torn")).await;
        customer.until_state(torn.id(), "storing").await;
        orphan_callback(world).await;
        let cut = customer.order(IMAGE, prompt("[sim:create=slow:100s] cut")).await;
        until("the provider has the last task", async || {
            world.sim.tasks().iter().any(|task| ordered(task, "] cut")).then_some(())
        })
        .await;
        world.fault("create=429");
        let busy = customer.order(IMAGE, prompt("busy")).await;
        until("the provider refused a task", async || {
            let row = world.row(busy.id()).await;
            (row.state.as_str() == "pending" && row.attempts >= 1).then_some(())
        })
        .await;
        world.program(0).kill_9().await;
        assert_eq!(world.row(cut.id()).await.state.as_str(), "submitting");
        assert_eq!(world.row(busy.id()).await.state.as_str(), "pending");
        let file = object(world, &whole).await;
        std::fs::remove_file(&file).unwrap();
        world.edit("update kie.account set available = available + 777").await;
        let stray = stray_objects(world, customer);
        an_hour_passes(world, db).await;
        let missing = file.file_name().unwrap().to_str().unwrap().to_owned();
        Self { whole, deaf, lost, never, slow, torn, busy, cut, missing, stray }
    }
}

/// Whether this task was ordered with these words.
fn ordered(task: &TaskView, words: &str) -> bool {
    Value::Object(task.input.clone()).to_string().contains(words)
}

/// A callback with a genuine token for a job that this database does not have.
async fn orphan_callback(world: &World) -> JobId {
    let keys = SecretKeys::new(acceptance::SECRET_KEY.into(), Vec::new()).unwrap();
    let job = JobId::generate(world.now(), &*world.ids().chance);
    let url = format!("{}/callbacks/kie/{}", world.url, keys.callback_token(job, 1));
    let body = json!({ "data": { "taskId": "task-of-another-shop" } }).to_string();
    let stamp = world.now().as_second().to_string();
    let signature = callback::sign(&acceptance::HMAC_KEY.into(), "task-of-another-shop", &stamp);
    let answer = reqwest::Client::builder()
        .build()
        .unwrap()
        .post(url)
        .header("content-type", "application/json")
        .header(callback::TIMESTAMP_HEADER, stamp)
        .header(callback::SIGNATURE_HEADER, signature)
        .body(body)
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
    job
}

/// Where the only output of a job lies, in a local folder.
async fn object(world: &World, job: &Job) -> std::path::PathBuf {
    let id = job.id().parse().unwrap();
    let asset = world.store.assets_of(&[id]).await.unwrap().remove(0);
    world.path("media").join(asset.object)
}

/// Old files that no row knows: one with our form of name, one without; and a young one, which is left alone.
fn stray_objects(world: &World, customer: &Customer) -> String {
    let name = || {
        let asset = AssetId::generate(world.now(), &*world.ids().chance);
        format!("{}/image/{asset}", customer.id)
    };
    let (stray, young) = (name(), name());
    for (object, hours) in [(stray.as_str(), 2), (young.as_str(), 0), ("backup.tar", 2)] {
        let path = world.path("media").join(object);
        std::fs::write(&path, b"bytes").unwrap();
        written_hours_ago(world, &path, hours);
    }
    stray
}

/// Makes a file older than it is.
fn written_hours_ago(world: &World, path: &Path, hours: u64) {
    let written = world.now().saturating_sub(Duration::from_hours(hours)).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(written.into()).unwrap();
}

/// Everything that waits has waited for an hour, and no worker was seen for as long.
async fn an_hour_passes(world: &World, db: Db) {
    let earlier = |column: &str| match db {
        Db::Sqlite => format!("{column} = {column} - 3600000000"),
        Db::Postgres => format!("{column} = {column} - interval '1 hour'"),
    };
    let open = "state in ('pending', 'submitting', 'unclear', 'running', 'storing')";
    let columns = ["created_at", "wake_at", "lease_until"].map(earlier).join(", ");
    world.edit(&format!("update kie.job set {columns} where {open}")).await;
    world.edit(&format!("update kie.process set {}", earlier("seen_at"))).await;
}

async fn in_state(world: &World, job: &Job, state: &str) {
    until(&format!("job {} is {state}", job.id()), async || {
        (world.row(job.id()).await.state.as_str() == state).then_some(())
    })
    .await;
}

/// What `list --state` lists, sorted.
async fn ids(world: &World, state: &str, field: &str) -> Vec<String> {
    let rows = world.reconciler(&["list", "--state", state, "--json"]).await.json(0);
    let mut ids: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted<const N: usize>(jobs: [&Job; N]) -> Vec<String> {
    let mut ids = jobs.map(|job| job.id().to_owned()).to_vec();
    ids.sort();
    ids
}
