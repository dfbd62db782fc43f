//! Deploying: schemas that do not fit, a backup of last night, slow readers, a restart under load.

use std::time::Duration;

use acceptance::{Db, IMAGE, World, prompt, stories, until};
use operations::MediaAudit;

stories! {
    async fn f53_a_schema_that_does_not_fit_refuses_the_start_and_is_left_alone(db) {
        // One, because nobody may have the database open while it is damaged.
        let mut world = World::builder(db).workers(1).start().await;
        let customer = world.account_with("1.00").await;
        world.stop_shop(0).await;
        let damages = [
            // By hand, and repaired by hand.
            ("alter table kie.job rename column late to tardy", "alter table kie.job rename column tardy to late", "late"),
            // A newer program was here.
            (
                if db == Db::Postgres {
                    "insert into kie.migration (version, description, success, checksum, execution_time)
                     values (9999, 'from the future', true, 'x', 0)"
                } else {
                    "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                     values (9999, 'from the future', true, x'00', 0)"
                },
                if db == Db::Postgres {
                    "delete from kie.migration where version = 9999"
                } else {
                    "delete from _sqlx_migrations where version = 9999"
                },
                "newer program",
            ),
        ];
        for (damage, repair, sentence) in damages {
            world.edit(damage).await;
            let refused = world.open_store().await.err().expect("the start is refused");
            assert!(format!("{refused:#}").contains(sentence), "{refused:#}");
            world.edit(repair).await;
        }
        world.start_shop(0, &[]).await;
        assert_eq!(customer.order_and_wait(IMAGE, prompt("repaired")).await.state(), "done");
        world.finish().await;
    }

    async fn f54_after_a_restore_the_gap_is_named_and_the_shop_goes_on(db) {
        // One, because nobody may have the database open while it is put back.
        let mut world = World::builder(db).workers(1).start().await;
        let customer = world.account_with("10.00").await;
        let old = customer.order_and_wait(IMAGE, prompt("in the backup")).await;
        world.stop_shop(0).await;
        world.back_up().await;
        world.start_shop(0, &[]).await;
        let lost = customer.order_and_wait(IMAGE, prompt("after the backup")).await;
        let body = customer.order_body(IMAGE, &prompt("[sim:duration=3s] on its way"));
        let on_its_way = customer.post("/v1/jobs", Some("on-its-way"), &body).await.expect(201);
        customer.until_state(on_its_way["id"].as_str().unwrap(), "running").await;
        world.stop_shop(0).await;
        world.restore().await;
        world.start_shop(0, &[]).await;

        let overview = until("the callback of a job that is not there was counted", async || {
            let since = world.now().saturating_sub(Duration::from_hours(1)).unwrap();
            let overview = world.store.overview(since, world.now()).await.unwrap();
            (overview.orphans > 0).then_some(overview)
        })
        .await;
        assert_eq!(overview.orphans, 1);
        assert_eq!(customer.get(&format!("/v1/jobs/{}", lost.id())).await.status, 404);
        assert_eq!(customer.job(old.id()).await.money(), [100, 100, 100, 0, 0]);
        // What was stored since has no row; young objects pass, as their rows may still be on their way.
        let later = world.now().saturating_add(Duration::from_hours(2)).unwrap();
        let gap = operations::audit(&*world.store, Some((&world.media, MediaAudit::Hash)), later).await.unwrap();
        assert!(!gap.findings.is_empty() && gap.findings.iter().all(|finding| finding.invariant == "I6"), "{gap:#?}");
        assert!(gap.findings.iter().any(|finding| finding.id.contains(&customer.id.to_string())), "{gap:#?}");
        // A client that asks again with its key gets its order.
        let again = customer.post("/v1/jobs", Some("on-its-way"), &body).await.expect(201);
        assert_eq!(customer.until_final(again["id"].as_str().unwrap()).await.state(), "done");
        assert_eq!(customer.balance().await, (800, 0));
        world.finish().await;
    }

    async fn f56_slow_reports_take_no_connection_from_customers(db) {
        let world = World::builder(db).start().await;
        let customer = world.account_with("5.00").await;
        let operator = world.holder(domain::Role::Operator).await;
        let slow = world.read_slowly().await;
        let mut reports = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let operator = operator.clone();
            reports.spawn(async move { operator.get("/v1/overview").await.status });
        }
        for number in 0..3 {
            let done = customer.order_and_wait(IMAGE, prompt(&format!("beside the reports {number}"))).await;
            assert_eq!(done.state(), "done");
        }
        assert_eq!(customer.get("/v1/models").await.status, 200);
        drop(slow);
        while let Some(status) = reports.join_next().await {
            assert!(matches!(status.unwrap(), 200 | 503));
        }
        world.finish().await;
    }

    async fn f56_a_log_that_nobody_reads_holds_nobody_up(db) {
        let mut world = World::builder(db).programs(1).log("trace").start().await;
        let customer = world.account_with("5.00").await;
        world.program(0).terminate().await;
        world.program(0).leave_log_unread();
        world.restart_program(0).await;
        for number in 0..3 {
            let done = customer.order_and_wait(IMAGE, prompt(&format!("unread {number}"))).await;
            assert_eq!(done.state(), "done");
        }
        world.finish().await;
    }
}
