//! Files: dead links, unusable bytes, our own storage away, private addresses.

use std::time::Duration;

use acceptance::{IMAGE, Media, VIDEO, World, prompt, stories, until};
use domain::AssetState;
use serde_json::json;

stories! {
    async fn f38_a_dead_link_is_renewed_by_a_fresh_download_link(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("[sim:result=expired] old link")).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        assert!(world.sim.requests().iter().any(|request| request.path.ends_with("/download-url")));
        world.finish().await;
    }

    async fn f38_an_output_is_given_up_after_eight_tries_over_a_day_and_its_share_released(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let job = customer.order(IMAGE, prompt("[sim:result=404] never there")).await;
        let id = job.id().parse().unwrap();
        let mut seen = 0;
        while !customer.job(job.id()).await.is_final() {
            let row = until("the output is tried again, or the job ends", async || {
                let output = world.store.assets_of(&[id]).await.unwrap().into_iter().next()?;
                let over = output.state != AssetState::Pending;
                (over || (output.tries > seen && world.is_asleep(job.id()).await)).then_some(output)
            })
            .await;
            if row.state != AssetState::Pending {
                break;
            }
            seen = row.tries;
            assert_eq!(customer.job(job.id()).await.money(), [100, 100, 0, 0, 0], "held, not captured");
            world.advance(Duration::from_hours(14));
        }
        let failed = customer.until_final(job.id()).await;
        assert_eq!((failed.state(), failed.cause(), failed.money()), ("failed", "no_result", [100, 100, 0, 100, 0]));
        assert_eq!(seen, 7, "given up at the eighth try, not before");
        world.finish().await;
    }

    async fn f39_pages_empty_cut_and_mistyped_files_are_refused_and_tried_again(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("10.00").await;
        let mut jobs = Vec::new();
        // The second occasion is the fresh link that is asked for at once.
        for fault in ["html", "empty", "truncated", "json", "500", "reset"] {
            let text = format!("[sim:result={fault}:times=2] broken");
            jobs.push((fault, customer.order(IMAGE, prompt(&text)).await));
        }
        for (fault, job) in jobs {
            let done = customer.until_final(job.id()).await;
            assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{fault}");
            let (status, bytes) = customer.download(done.outputs()[0]["url"].as_str().unwrap()).await;
            assert_eq!((status.as_u16(), bytes.starts_with(b"\x89PNG")), (200, true), "{fault}");
        }
        world.finish().await;
    }

    async fn a_type_that_the_server_misnames_is_told_by_content(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        for fault in ["wrong-type", "no-type", "no-length", "no-range"] {
            let done = customer.order_and_wait("z-image", prompt(&format!("[sim:result={fault}] odd server"))).await;
            assert_eq!(done.outputs()[0]["content_type"], "image/png", "{fault}");
        }
        world.finish().await;
    }

    async fn f40_while_our_storage_is_away_a_job_waits_uncaptured_and_then_is_kept(db) {
        let mut world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("1000.00").await;
        let job = customer.order(IMAGE, prompt("[sim:duration=700ms] patient")).await;
        customer.until_state(job.id(), "running").await;
        world.storage.as_mut().unwrap().stop().await;
        let stuck = customer.until_state(job.id(), "storing").await;
        until("the storage was tried in vain", async || {
            let output = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().remove(0);
            output.last_error.is_some().then(|| assert_eq!(output.tries, 0, "our own trouble does not count"))
        })
        .await;
        assert_eq!((stuck.money()[2], customer.balance().await.1), (0, 100));
        world.storage.as_mut().unwrap().resume().await;
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        world.finish().await;
    }

    async fn f40_a_bucket_that_refuses_the_size_keeps_the_job_waiting_uncaptured(db) {
        let mut world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("1.00").await;
        world.storage.as_mut().unwrap().stop().await;
        world.storage.as_mut().unwrap().resume_narrow(64).await;
        let job = customer.order(IMAGE, prompt("too large for now")).await;
        let refused = until("the bucket refused it", async || {
            let output = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().into_iter().next()?;
            output.last_error.clone().map(|_| output)
        })
        .await;
        assert_eq!(refused.tries, 0, "our own trouble does not count: {:?}", refused.last_error);
        assert_eq!((customer.job(job.id()).await.state(), customer.balance().await), ("storing", (0, 100)));
        world.storage.as_mut().unwrap().stop().await;
        world.storage.as_mut().unwrap().resume().await;
        world.advance(Duration::from_hours(1));
        let done = customer.until_final(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        world.finish().await;
    }

    async fn f43_a_hostile_picture_costs_its_thumbnail_and_nothing_else(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        let job = customer.order(IMAGE, prompt("[sim:result=hostile] thirty thousand pixels")).await;
        let done = customer.until_told(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        assert_eq!(done.deliveries()[0]["state"], "done");
        let output = &done.outputs()[0];
        assert_eq!((&output["thumbnail_url"], &output["width"]), (&serde_json::Value::Null, &json!(30_000)));
        assert_eq!(customer.download(output["url"].as_str().unwrap()).await.0, 200, "the file is the customer's");
        let next = customer.order_and_wait(IMAGE, prompt("an honest one")).await;
        assert!(next.outputs()[0]["thumbnail_url"].is_string(), "others get theirs: {}", next.0);
        world.finish().await;
    }

    async fn f43_a_preview_that_could_not_be_made_costs_nothing_and_is_made_later(db) {
        let mut world = World::builder(db).media(Media::S3).start().await;
        let customer = world.account_with("2.00").await;
        let server = world.storage.as_mut().unwrap();
        server.stop().await;
        // Previews are the only files of this type.
        server.resume_without("image/webp").await;
        let job = customer.order(IMAGE, prompt("without a preview")).await;
        let done = customer.until_told(job.id()).await;
        assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]));
        assert_eq!((&done.deliveries()[0]["state"], &done.outputs()[0]["thumbnail_url"]), (&json!("done"), &json!(null)));
        assert_eq!(customer.download(done.outputs()[0]["url"].as_str().unwrap()).await.0, 200);
        let backfill = ["previews", "--backfill", "--yes", "--json"];
        let tried = world.reconciler(&backfill).await.json(1);
        assert_eq!((&tried["without"], &tried["made"]), (&json!(1), &json!(0)), "{tried}");
        let server = world.storage.as_mut().unwrap();
        server.stop().await;
        server.resume().await;
        assert_eq!(world.reconciler(&backfill).await.json(0)["made"], 1, "tried again, it is made");
        let shown = customer.job(job.id()).await;
        let preview = shown.outputs()[0]["thumbnail_url"].as_str().expect("there is a preview now").to_owned();
        let (status, bytes) = customer.download(&preview).await;
        assert_eq!((status.as_u16(), bytes.starts_with(b"RIFF"), shown.money()), (200, true, done.money()));
        world.finish().await;
    }

    async fn f44_a_page_that_stayed_open_goes_on_playing_with_its_owners_session(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("left open")).await;
        let url = done.outputs()[0]["url"].as_str().unwrap();
        world.advance(Duration::from_hours(13));
        assert_eq!(customer.download(url).await.0, 403, "the link alone has ended");
        let http = reqwest::Client::builder().build().unwrap();
        let seek = http.get(url).header("cookie", format!("kie={}", customer.token)).header("range", "bytes=1-3");
        let part = seek.send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.bytes().await.unwrap().as_ref()), (206, b"PNG".as_slice()));
        let stranger = world.account_with("1.00").await;
        let theirs = http.get(url).header("cookie", format!("kie={}", stranger.token)).send().await.unwrap();
        assert!(!theirs.status().is_success(), "{}", theirs.status());
        world.finish().await;
    }

    async fn everything_is_kept_in_a_strict_bucket_too(db) {
        let world = World::builder(db).media(Media::S3).workers(2).start().await;
        let customer = world.account_with("1000.00").await;
        let video = json!({ "prompt": "[sim:size=12MiB] a long kite", "sound": false });
        for (model, input) in [(IMAGE, prompt("[sim:count=2] kites")), (VIDEO, video), (acceptance::LYRICS, prompt("words"))] {
            let done = customer.order_and_wait(model, input).await;
            assert_eq!(done.state(), "done", "{model}");
            for output in done.outputs() {
                let (status, bytes) = customer.download(output["url"].as_str().unwrap()).await;
                assert_eq!((status.as_u16(), Some(bytes.len() as u64)), (200, output["bytes"].as_u64()), "{model}");
            }
        }
        world.finish().await;
    }

    async fn f42_a_result_at_a_private_address_is_never_fetched_and_the_money_goes_back(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("2.00").await;
        for fault in ["private", "redirect:http://127.0.0.1:9/secret.png"] {
            let failed = customer.order_and_wait(IMAGE, prompt(&format!("[sim:result={fault}] inside"))).await;
            assert_eq!((failed.state(), failed.cause()), ("failed", "no_result"), "{fault}");
            assert_eq!(failed.money(), [100, 100, 0, 100, 0], "{fault}");
        }
        world.finish().await;
    }

    async fn f42_a_result_at_a_private_address_is_told_to_operators(db) {
        let mut world = World::builder(db).programs(2).start().await;
        let customer = world.account_with("1.00").await;
        let failed = customer.order_and_wait(IMAGE, prompt("[sim:result=private] inside")).await;
        assert_eq!((failed.cause(), failed.money()), ("no_result", [100, 100, 0, 100, 0]));
        let logs = [world.program(0).log(), world.program(1).log()].concat();
        let alarm = logs.lines().find(|line| line.contains("output.lost")).expect("it is in the log");
        assert!(alarm.contains("ERROR") && alarm.contains(failed.id()), "{alarm}");
        let status = world.reconciler(&["status"]).await.expect(1);
        let told = format!("1 result lies at a private address and was not fetched: the newest is of `job {}`", failed.id());
        assert!(status.contains(&told), "{status}");
        let shown = world.reconciler(&["job", failed.id()]).await.expect(0);
        assert!(shown.contains("the address may not be reached") || shown.contains("blocked"), "{shown}");
        let listed = world.reconciler(&["list", "--state", "failed"]).await.expect(0);
        assert!(listed.contains(failed.id()), "{listed}");
        world.finish().await;
    }

    async fn a_link_of_ours_needs_its_signature_and_ends(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("1.00").await;
        let done = customer.order_and_wait(IMAGE, prompt("a link")).await;
        let url = done.outputs()[0]["url"].as_str().unwrap();
        let bare = url.split('?').next().unwrap();
        assert_ne!(customer.download(bare).await.0, 200, "no link without its signature");
        let forged = format!("{}{}", &url[..url.len() - 1], if url.ends_with('0') { '1' } else { '0' });
        assert_eq!(customer.download(&forged).await.0, 403);
        world.advance(Duration::from_hours(13));
        assert_eq!(customer.download(url).await.0, 403, "expired");
        let renewed = customer.job(done.id()).await;
        assert_eq!(customer.download(renewed.outputs()[0]["url"].as_str().unwrap()).await.0, 200);
        world.finish().await;
    }

    async fn f41_the_audit_finds_objects_without_rows_but_for_the_trials_of_the_storage(db) {
        let world = World::builder(db).start().await;
        // A process that was killed while it tried the storage at its start leaves the first kind behind.
        for name in ["probe/5eed-0", "stray"] {
            let path = world.path("media").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"left").unwrap();
        }
        let later = world.now().saturating_add(Duration::from_hours(2)).unwrap();
        let media = Some((&world.media, operations::MediaAudit::Length));
        let report = operations::audit(&*world.store, media, later).await.unwrap();
        let found: Vec<&str> = report.findings.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(found, ["stray"]);
        world.finish().await;
    }
}
