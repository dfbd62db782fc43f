//! Old shops that go on while they are taken over: later passes bring what changed, and nothing is lost or paid twice.

use std::time::Duration;

use acceptance::{Db, IMAGE, OldDatabase, World, stories, until};
use domain::{Job, JobState, Money};
use futures_util::StreamExt;
use importing::{ImportOptions, ImportReport, Lost, ModelMap};
use kie_client::Family;
use old_shops::OldShop;
use serde_json::json;

use crate::old_shop::{
    GENERATIONS, JOBS, SOURCES, balance, finished_task, import, job_of, options, owner, tally, until_state,
};

fn settled() -> ImportOptions {
    ImportOptions { settled_only: true, ..options() }
}

fn money_of(job: &Job) -> [i64; 3] {
    [job.held, job.captured, job.released].map(Money::minor)
}

/// The rows that were not taken up, with the reasons.
fn refused(report: &ImportReport) -> Vec<(&str, &str)> {
    let rows = report.problems.iter().filter(|one| !one.taken);
    rows.map(|one| (one.key.as_str(), one.reason.as_str())).collect()
}

fn lost(report: &ImportReport) -> Vec<(&str, &str)> {
    report.lost.iter().map(|row| (row.key.as_str(), row.money)).collect()
}

stories! {
    async fn a_draft_that_is_paid_for_between_two_passes_is_delivered(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let running = world.old_task(IMAGE, "[sim:duration=2s] confirmed late").await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run(&format!(
                "insert into users values (1, 20, 0);
                 insert into jobs (id, user_id, kie_task_id, status, price, model) values
                 (1, 1, null, 'draft', 5, '{IMAGE}'), (2, 1, null, 'draft', 7, '{IMAGE}');"
            ))
            .await;
            let first = import(&world, &old, &settled()).await;
            assert_eq!(tally(&first), [0, 0, 0, 2, 0], "a draft may still be paid for there");
            old.run(&format!(
                "update jobs set status = 'running', kie_task_id = '{running}' where id = 1;
                 update users set balance_rub = 15, hold_rub = 5;"
            ))
            .await;
            let last = import(&world, &old, &options()).await;
            assert_eq!(tally(&last), [2, 0, 0, 0, 0], "{:#?}", last.problems);
            let done = until_state(&world, "1", JobState::Done).await;
            assert_eq!(money_of(&done), [500, 500, 0]);
            assert_eq!(job_of(&world, "2").await.state, JobState::Canceled);
            assert_eq!(balance(&world, "1").await, (1500, 0));
            world.finish().await;
        }
    }

    async fn what_failed_and_succeeded_later_in_the_old_shop_is_stored_not_lost(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let visitor = world.account_with("1.00").await;
            let (_, address, bytes) = finished_task(&world, &visitor).await;
            let (same, _, _) = finished_task(&world, &visitor).await;
            let (other, _, _) = finished_task(&world, &visitor).await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run(&format!(
                "alter table jobs add column asset_url text;
                 insert into users values (1, 100, 0);
                 insert into jobs (id, user_id, kie_task_id, status, price, model, asset_url) values
                 (1, 1, null, 'failed', 10, '{IMAGE}', null), (2, 1, '{same}', 'failed', 10, '{IMAGE}', null),
                 (3, 1, 'gone-3', 'failed', 10, '{IMAGE}', null), (4, 1, 'gone-4', 'failed', 10, '{IMAGE}', null),
                 (5, 1, 'gone-5', 'done', 10, '{IMAGE}', 's3://old-bucket/late/a.png');"
            ))
            .await;
            let first = import(&world, &old, &settled()).await;
            assert_eq!((tally(&first), lost(&first)), ([5, 0, 0, 0, 0], vec![("5", "kept")]));

            old.run(&format!(
                "update jobs set status = 'done' where id < 5; update jobs set asset_url = '{address}' where id = 1;
                 update jobs set kie_task_id = '{other}' where id = 3;"
            ))
            .await;
            // The bucket was filled after the first pass.
            world.media.put_bytes("late/a.png", "image/png", bytes.clone().into()).await.unwrap();
            let refund = ImportOptions { lost: Lost::Refund, ..options() };
            let dry = import(&world, &old, &ImportOptions { dry_run: true, ..refund.clone() }).await;
            assert_eq!(balance(&world, "1").await, (10_000, 0), "a dry run gives nothing back");
            let report = import(&world, &old, &refund).await;
            assert_eq!((tally(&report), &dry.jobs), ([0, 5, 0, 0, 0], &report.jobs), "{:#?}", report.problems);
            assert_eq!(lost(&report), [("4", "refunded")], "only what is nowhere is lost");
            assert_eq!(balance(&world, "1").await, (11_000, 0));

            let customer = owner(&world, "1").await;
            for key in ["1", "2", "3", "5"] {
                let done = until_state(&world, key, JobState::Done).await;
                assert!(done.gift && money_of(&done) == [0, 0, 0], "{done:#?}");
                let shown = customer.job(&done.id.to_string()).await;
                assert_eq!(customer.download(shown.outputs()[0]["url"].as_str().unwrap()).await.0, 200, "{key}");
            }
            let again = import(&world, &old, &refund).await;
            assert_eq!((tally(&again), lost(&again)), ([0, 0, 5, 0, 0], vec![("4", "refunded")]));
            assert_eq!((again.money.refunded, balance(&world, "1").await), (Money::ZERO, (11_000, 0)), "once");
            world.finish().await;
        }
    }

    async fn what_came_to_life_again_in_the_old_shop_is_left_taken_up_or_told(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let running = world.old_task(IMAGE, "[sim:duration=1h] failed too early").await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run(&format!(
                "insert into users values (1, 100, 0);
                 insert into jobs (id, user_id, kie_task_id, status, price, model) values
                 (1, 1, null, 'canceled', 10, '{IMAGE}'), (2, 1, 'gone-2', 'failed', 10, '{IMAGE}'),
                 (3, 1, '{running}', 'failed', 10, '{IMAGE}');"
            ))
            .await;
            import(&world, &old, &settled()).await;
            old.run("update jobs set status = 'running'; update jobs set kie_task_id = 'new-2' where id = 2;").await;
            let second = import(&world, &old, &settled()).await;
            assert_eq!(tally(&second), [0, 0, 0, 3, 0], "the old shop is at work on them");
            for refused_before in [false, true] {
                let report = import(&world, &old, &options()).await;
                let third = u64::from(!refused_before);
                assert_eq!(tally(&report), [0, third, 1 - third, 0, 2], "{:#?}", report.problems);
                let refused = refused(&report);
                assert!(refused[0].0 == "1" && refused[0].1.contains("canceled here"), "{refused:?}");
                assert!(refused[1].0 == "2" && refused[1].1.contains("failed here"), "{refused:?}");
                assert!(!report.is_clean() && report.lost.is_empty());
            }
            // Its record is read again tomorrow at the latest, once it was read now.
            let soon = world.now().saturating_add(Duration::from_hours(1)).unwrap();
            until("the record was read", async || {
                job_of(&world, "3").await.wake_at.is_some_and(|at| at > soon).then_some(())
            })
            .await;
            assert!(world.sim.succeed_now(&running));
            world.advance(Duration::from_hours(25));
            let gift = until_state(&world, "3", JobState::Done).await;
            assert!(gift.gift && money_of(&gift) == [0, 0, 0], "{gift:#?}");
            assert_eq!(balance(&world, "1").await, (10_000, 0));
            world.finish().await;
        }
    }

    async fn a_task_that_turns_up_in_the_old_shop_is_followed(db) {
        let world = World::builder(db).callbacks(false).flag("--unclear-policy", "hold").start().await;
        let visitor = world.account_with("1.00").await;
        let (task, _, _) = finished_task(&world, &visitor).await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
        old.run(&format!(
            "insert into users values (1, 0, 20);
             insert into jobs (id, user_id, kie_task_id, status, price, model) values
             (1, 1, null, 'pending', 10, '{IMAGE}'), (2, 1, null, 'pending', 10, '{IMAGE}');"
        ))
        .await;
        import(&world, &old, &options()).await;
        assert_eq!(balance(&world, "1").await, (0, 2000));
        old.run(&format!(
            "update jobs set status = 'running', kie_task_id = '{task}' where id = 1;
             update jobs set status = 'done' where id = 2;"
        ))
        .await;
        let report = import(&world, &old, &options()).await;
        let refused = refused(&report);
        assert_eq!((refused.len(), refused[0].0), (1, "2"), "{refused:?}");
        assert!(refused[0].1.contains("resolve"), "{refused:?}");
        let done = until_state(&world, "1", JobState::Done).await;
        assert_eq!(money_of(&done), [1000, 1000, 0]);
        let second = job_of(&world, "2").await;
        world.lifecycle(0).decide(second.id, &lifecycle::Decision::Release, "nothing came").await.unwrap();
        let report = import(&world, &old, &options()).await;
        assert_eq!(lost(&report), [("2", "released")]);
        assert_eq!(balance(&world, "1").await, (1000, 0));
        world.finish().await;
    }

    async fn what_is_in_flight_and_gone_is_never_paid_for(db) {
        for lost_is in [Lost::Keep, Lost::Refund] {
            let world = World::builder(db).callbacks(false).start().await;
            let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
            old.run(&format!(
                "insert into users values (1, 70, 30);
                 insert into jobs (id, user_id, kie_task_id, status, price, model) values
                 (1, 1, 'gone-1', 'running', 30, '{IMAGE}'), (2, 1, 'gone-2', 'done', 40, '{IMAGE}');"
            ))
            .await;
            let report = import(&world, &old, &ImportOptions { lost: lost_is, ..options() }).await;
            let (word, back) = if lost_is == Lost::Keep { ("kept", 0) } else { ("refunded", 4000) };
            assert_eq!(lost(&report), [("1", "released"), ("2", word)]);
            assert_eq!((report.money.held.minor(), report.money.refunded.minor()), (0, back));
            assert_eq!(balance(&world, "1").await, (10_000 + back, 0));
            world.finish().await;
        }
    }

    async fn a_pass_of_hours_gives_every_row_its_own_time(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
        let rows: Vec<String> = (1..=200).map(|id| format!("({id}, 1, 'failed', 0, '{IMAGE}')")).collect();
        let rows = rows.join(", ");
        old.run(&format!(
            "insert into users values (1, 10, 5);
             insert into jobs (id, user_id, status, price, model) values {rows}, (201, 1, 'pending', 5, '{IMAGE}');"
        ))
        .await;
        let mut shop = OldShop::open(old.url(), None).await.unwrap();
        // Longer than it may be unclear whether something was sent.
        let progress = |done, _total| if done == 200 { world.advance(Duration::from_hours(3)) };
        importing::import(world.lifecycle(0), &mut shop, &options(), progress).await.unwrap();
        shop.close().await;
        let job = job_of(&world, "201").await;
        assert_eq!(job.state, JobState::Unclear);
        let left = job.deadline_at.unwrap().duration_since(world.now());
        assert!(left.as_secs() > 3600, "the time to decide it is not over: {left}");
        assert_eq!(balance(&world, "1").await, (1000, 500));
        world.advance(Duration::from_hours(3));
        until_state(&world, "201", JobState::Failed).await;
        world.finish().await;
    }

    async fn a_result_that_may_not_be_asked_refuses_its_row_and_one_that_is_gone_is_told(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let visitor = world.account_with("1.00").await;
        let (_, address, _) = finished_task(&world, &visitor).await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), GENERATIONS).await;
        old.run(&format!(
            "insert into generations (id, user_id, type, model_key, status, result_urls) values
             (1, 'anna', 'image', 'dream-9', 'success', '[\"{address}\", \"http://10.0.0.1/b.png\"]'),
             (2, 'anna', 'image', 'dream-9', 'success', '[\"{address}\", \"http://{sim}/nothing.png\"]');",
            sim = world.sim.addr(),
        ))
        .await;
        let report = import(&world, &old, &options()).await;
        assert_eq!(tally(&report), [1, 0, 0, 0, 1], "{:#?}", report.problems);
        let refused = refused(&report);
        assert!(refused[0].0 == "1" && refused[0].1.contains("FETCH_ALLOW"), "{refused:?}");
        let told = report.problems.iter().find(|one| one.key == "2" && one.taken).unwrap();
        assert_eq!(told.reason, "1 of its 2 results cannot be had any more");
        until_state(&world, "2", JobState::Done).await;
        world.finish().await;
    }

    async fn an_old_task_that_only_its_old_name_finds_keeps_that_name(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let visitor = world.account_with("1.00").await;
        let (_, address, _) = finished_task(&world, &visitor).await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), GENERATIONS).await;
        let task = "c7d80e5fa1b24c3d96e7f8091a2b3c4d";
        old.run(&format!(
            "insert into generations (id, user_id, model_key, provider, task_id, status, created_at) values
             (1, 'anna', 'gpt-4o-image', 'kie', '{task}', 'generating', '2025-03-01 12:00:00+00'),
             (2, 'anna', 'gpt-4o-image', 'kie', 'gone-2', 'failed', '2025-03-01 12:00:00+00');"
        ))
        .await;
        let answer = json!({ "code": 200, "msg": "success", "data": { "taskId": task, "successFlag": 1,
            "response": { "resultUrls": [address] }, "createTime": 1_740_830_400_000_u64 } });
        world.sim.put_record(Family::Gpt4oImage.record_path(), task, answer).unwrap();
        let catalogue = world.lifecycle(0).offers().catalogue();
        let models = ModelMap::parse(&format!("gpt-4o-image = \"{IMAGE}\""), &catalogue).unwrap();
        let report = import(&world, &old, &ImportOptions { models, ..options() }).await;
        assert_eq!((tally(&report), report.lost.len()), ([2, 0, 0, 0, 0], 0), "{report:#?}");
        let done = until_state(&world, "1", JobState::Done).await;
        assert_eq!((done.model.as_str(), job_of(&world, "2").await.model.as_str()), ("gpt-4o-image", IMAGE));
        world.finish().await;
    }

    async fn holds_that_were_placed_wrongly_are_put_right_by_the_next_pass(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run("insert into users values (1, 100, 70), (2, 5, 0)").await;
            let inside = ImportOptions { holds: importing::Holds::Inside, ..options() };
            let beside = ImportOptions { holds: importing::Holds::Beside, ..options() };
            let first = import(&world, &old, &inside).await;
            assert_eq!([first.money.before, first.money.after].map(Money::minor), [10_500, 10_500]);
            assert_eq!(balance(&world, "1").await, (10_000, 0));
            let second = import(&world, &old, &beside).await;
            assert_eq!([second.money.before, second.money.after].map(Money::minor), [17_500, 17_500]);
            assert_eq!((second.users.changed, second.users.same), (1, 1));
            assert_eq!(balance(&world, "1").await, (17_000, 0));
            let third = import(&world, &old, &inside).await;
            assert_eq!([third.money.before, third.money.after].map(Money::minor), [10_500, 10_500]);
            assert_eq!(balance(&world, "1").await, (10_000, 0));
            world.finish().await;
        }
    }

    async fn customers_who_are_here_already_keep_their_accounts_and_chats(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let (store, ids) = (&*world.store, world.ids());
        let known = operations::add_account(store, &ids, Some("1".to_owned()), None, Some(42), false).await.unwrap();
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
        old.run(&format!(
            "insert into users values (1, 10, 0), (2, 20, 0), (3, 30, 0);
             insert into jobs (id, user_id, chat_id, status, price, model) values
             (1, 1, 42, 'failed', 5, '{IMAGE}'), (2, 2, 42, 'failed', 5, '{IMAGE}'), (3, 3, 43, 'failed', 5, '{IMAGE}');"
        ))
        .await;
        let report = import(&world, &old, &options()).await;
        assert_eq!((report.users.new, tally(&report)), (3, [3, 0, 0, 0, 0]), "{:#?}", report.problems);
        let told: Vec<_> = report.problems.iter().map(|one| (one.key.as_str(), one.taken)).collect();
        assert_eq!(told, [("2", true)], "its chat is another's; that of the first is its own: {:#?}", report.problems);
        let mut chats = Vec::new();
        for user in ["1", "2", "3"] {
            chats.push(store.find_account_by_external_id(user).await.unwrap().unwrap().telegram_id);
        }
        assert_eq!(chats, [Some(42), None, Some(43)]);
        assert_eq!(job_of(&world, "1").await.account.to_string(), known.id);
        assert_eq!((balance(&world, "1").await, balance(&world, "2").await), ((1000, 0), (2000, 0)));
        assert_eq!(import(&world, &old, &options()).await.users.same, 3);
        world.finish().await;
    }
}

#[tokio::test]
async fn addresses_keep_their_commas_in_every_kind_of_column() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = ("https://res.example/upload/w_400,h_400/a.png", "https://res.example/{b}.png");
    let array = json!([first, second]);
    let literal = format!("{{\"{first}\",\"{second}\"}}");
    for (db, of_type, cell) in [
        (Db::Postgres, "text[]", format!("array['{first}', '{second}']")),
        (Db::Postgres, "jsonb", format!("'{array}'")),
        (Db::Postgres, "text", format!("'{literal}'")),
        (Db::Sqlite, "text", format!("'{array}'")),
        (Db::Sqlite, "text", format!("'{first}, {second}'")),
    ] {
        let script = format!(
            "create table generations (id integer, user_id text, status text, task_id text, result_urls {of_type});
             insert into generations values (1, 'anna', 'success', null, {cell});"
        );
        let folder = folder.path().join(format!("{db:?}-{}", cell.len()));
        let old = OldDatabase::create(db, &folder, &script).await;
        let mut shop = OldShop::open(old.url(), None).await.unwrap();
        let rows: Vec<_> = shop.generations().map(Result::unwrap).collect().await;
        assert_eq!(rows[0].as_ref().unwrap().results, [first, second], "{db:?} {of_type} {cell}");
        shop.close().await;
    }
}

#[tokio::test]
async fn json_that_its_own_database_cannot_convert_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let script = "create table generations (id integer, user_id text, status text, task_id text, options json);
        insert into generations values (1, 'anna', 'failed', null, '{\"a\": \"x\\u0000\"}'), (2, 'anna', 'failed', null, '{}');";
    let old = OldDatabase::create(Db::Postgres, folder.path(), script).await;
    let mut shop = OldShop::open(old.url(), None).await.unwrap();
    let rows: Vec<_> = shop.generations().map(|row| row.unwrap().unwrap()).collect().await;
    assert_eq!(
        rows.iter().map(|row| &row.options).collect::<Vec<_>>(),
        [&json!({ "a": "x\u{fffd}" }), &json!({})]
    );
    shop.close().await;
}

#[tokio::test]
async fn a_database_that_limits_its_statements_is_read_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = "create table generations (id integer, user_id text, status text, task_id text, prompt text);
        insert into generations select n, 'anna', 'failed', null, repeat('long ', 4000) from generate_series(1, 3000) n;";
    let old = OldDatabase::create(Db::Postgres, folder.path(), script).await;
    let joint = if old.url().contains('?') { '&' } else { '?' };
    let limited = format!("{}{joint}options[statement_timeout]=300", old.url());
    let mut shop = OldShop::open(&limited, None).await.unwrap();
    {
        let mut rows = shop.generations();
        assert!(rows.next().await.unwrap().is_ok());
        // What is read is being written here.
        tokio::time::sleep(Duration::from_millis(900)).await;
        let left = rows.map(|row| row.unwrap().unwrap().prompt.unwrap().len()).collect::<Vec<_>>().await;
        assert_eq!(left, vec![20_000; 2999]);
    }
    shop.close().await;
}
