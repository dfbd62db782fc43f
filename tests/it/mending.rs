//! Damage by hand: the tool mends what can be mended, and says the truth where it cannot.

use std::time::Duration;

use acceptance::{Customer, Db, IMAGE, Job, World, prompt, stories, until};
use domain::Asset;
use serde_json::{Value, json};

stories! {
    async fn a_file_is_given_up_only_when_kie_has_it_no_more(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let [lost, _kept] = [told(&customer, "lost").await, told(&customer, "kept").await];
        let asset = asset(&world, &lost).await;
        let path = |name: &str| world.path("media").join(name);
        let thumbnail = asset.thumbnail.clone().unwrap();
        std::fs::remove_file(path(&asset.object)).unwrap();
        // KIE cannot be reached: nobody knows.
        world.fault("result=503");
        let swept = sweep(&world, 1).await;
        assert_eq!((&swept[0]["asset"], &swept[0]["fate"]), (&json!(asset.id), &json!("left")), "{swept}");
        assert!(swept[0]["trouble"].is_string(), "{swept}");
        // It still has it.
        world.sim.clear_scripts();
        let dry = world.reconciler(&["sweep", "--tombstones", "--dry-run"]).await.expect(1);
        assert!(dry.contains("would be fetched again, or marked as deleted where KIE has it no more"), "{dry}");
        let plain = world.reconciler(&["sweep", "--yes"]).await.expect(1);
        assert!(plain.contains(&format!("`retry {}` fetches it again", lost.id())), "{plain}");
        assert!(!path(&asset.object).exists(), "a plain sweep, or a dry one, fetches nothing");
        let said = world.reconciler(&["sweep", "--tombstones", "--yes"]).await.expect(0);
        assert!(said.contains("fetched again") && said.contains("1 files are there again, 0 marked as deleted"), "{said}");
        assert!(path(&asset.object).exists());
        world.reconciler(&["audit", "--media", "--hash"]).await.expect(0);
        // It has it no more.
        std::fs::remove_file(path(&asset.object)).unwrap();
        world.fault("result=404");
        let swept = sweep(&world, 0).await;
        assert_eq!((&swept[0]["fate"], &swept[0]["job"]), (&json!("marked"), &json!(lost.id())), "{swept}");
        assert!(!path(&thumbnail).exists(), "no row would know it");
        let shown = world.reconciler(&["job", lost.id()]).await.expect(0);
        let row = shown.lines().find(|line| line.trim_start().starts_with(&asset.id.to_string())).unwrap();
        assert!(row.contains("deleted") && !row.contains("stored"), "{row}");
        world.reconciler(&["sweep"]).await.expect(0);
        let refused = world.reconciler(&["retry", lost.id()]).await;
        assert!(refused.code == 2 && refused.err.contains("everything that it stored was deleted"), "{refused:?}");
        world.finish().await;
    }

    async fn an_object_that_was_overwritten_is_fetched_again(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = told(&customer, "overwritten").await;
        let path = world.path("media").join(asset(&world, &job).await.object);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, vec![b'x'; whole.len()]).unwrap();
        world.reconciler(&["audit", "--media", "--hash"]).await.expect(1);
        let dry = world.reconciler(&["retry", job.id(), "--dry-run"]).await.expect(0);
        assert!(dry.contains("1 file"), "{dry}");
        world.reconciler(&["retry", job.id(), "--reason", "somebody wrote over it"]).await.expect(0);
        assert!(std::fs::read(&path).unwrap() == whole, "the very bytes");
        world.reconciler(&["audit", "--media", "--hash"]).await.expect(0);
        let refused = world.reconciler(&["retry", job.id()]).await;
        assert!(refused.code == 2 && refused.err.contains("everything that it stored is there"), "{refused:?}");
        world.finish().await;
    }

    async fn what_only_a_backup_brings_back_is_not_called_well(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = told(&customer, "rows are gone").await;
        let output = asset(&world, &job).await.id.as_uuid();
        let id = match db {
            Db::Sqlite => format!("x'{}'", output.simple()),
            Db::Postgres => format!("'{output}'"),
        };
        world.edit(&format!("update kie.asset set state = 'lost' where id = {id}")).await;
        for words in [&["retry", job.id()][..], &["retry", job.id(), "--dry-run"]] {
            let refused = world.reconciler(words).await;
            assert!(refused.code == 2 && refused.err.contains("only a backup"), "{refused:?}");
        }
        world.edit(&format!("update kie.asset set state = 'stored' where id = {id}")).await;
        world.edit("delete from kie.delivery").await;
        for words in [&["redeliver", job.id()][..], &["redeliver", job.id(), "--dry-run"]] {
            let refused = world.reconciler(words).await;
            assert!(refused.code == 2 && refused.err.contains("only a backup brings"), "{refused:?}");
        }
        world.edit("update kie.job set recipients = '[]'").await;
        world.finish().await;
    }

    async fn the_audit_goes_on_over_a_row_that_nobody_can_read(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let job = told(&customer, "unreadable").await;
        world.edit("update kie.account set available = available + 1").await;
        for recipients in ["{}", "5", "\"x\""] {
            world.edit(&format!("update kie.job set recipients = '{recipients}'")).await;
            let audit = world.reconciler(&["audit", "--json"]).await.json(1);
            let found: Vec<_> = audit["findings"].as_array().unwrap().iter().collect();
            assert_eq!((found.len(), &found[0]["invariant"]), (2, &json!("I1")), "{audit}");
            assert_eq!((&found[1]["invariant"], &found[1]["id"]), (&json!("I4"), &json!(job.id())), "{audit}");
            let detail = found[1]["detail"].as_str().unwrap();
            assert!(detail.contains("nobody can work on it or show it"), "{audit}");
        }
        world.edit("update kie.job set recipients = '[]'").await;
        world.reconciler(&["account", "recount", &customer.id.to_string()]).await.expect(0);
        world.reconciler(&["audit"]).await.expect(0);
        world.finish().await;
    }

    async fn a_delivery_in_back_off_is_sent_at_once(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        world.receiver.answer_with(&format!("/hook/{}", customer.id), &[500, 500]);
        let job = customer.order_and_wait(IMAGE, prompt("told late")).await;
        let id = job.id().parse().unwrap();
        let failed = async |calls: u32| {
            until("a call failed", async || {
                (world.store.deliveries_of(&[id]).await.unwrap().first()?.attempts == calls).then_some(())
            })
            .await;
        };
        failed(1).await;
        world.advance(Duration::from_secs(10));
        failed(2).await;
        let words = ["redeliver", job.id(), "--reason", "they are back"];
        let dry = [&words[..], &["--dry-run"]].concat();
        assert!(world.reconciler(&dry).await.expect(0).contains("send 1 deliver"));
        world.reconciler(&words).await.expect(0);
        let told = customer.until_told(job.id()).await;
        assert_eq!(told.deliveries()[0]["state"], "done", "minutes before the third try was due");
        world.finish().await;
    }
}

/// A job that is done and told of.
async fn told(customer: &Customer, words: &str) -> Job {
    let job = customer.order_and_wait(IMAGE, prompt(words)).await;
    customer.until_told(job.id()).await;
    job
}

/// The only output of a job.
async fn asset(world: &World, job: &Job) -> Asset {
    world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap().remove(0)
}

/// What a sweep did with rows without objects; it ends with this code.
async fn sweep(world: &World, code: i32) -> Value {
    let swept = world.reconciler(&["sweep", "--tombstones", "--yes", "--json"]).await.json(code);
    swept["swept"]["rows"].clone()
}
