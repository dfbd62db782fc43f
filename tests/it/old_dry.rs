//! A dry run of an import foretells the deed: every count, every sum and every word of it, whatever the old shop is like.

use std::collections::BTreeSet;
use std::time::Duration;

use acceptance::{IMAGE, OldDatabase, World, stories, until};
use domain::{Book, Job, JobState, Money, TransferId, TransferKind};
use importing::{Holds, ImportOptions, ImportReport, Lost};
use serde_json::Value;
use store::{Credited, JobFilter, NewTransfer, TransferFilter};

use crate::old_shop::{
    GENERATIONS, JOBS, SOURCES, balance, finished_task, import, job_of, options, tally, until_state,
};

async fn jobs(world: &World) -> Vec<Job> {
    let filter = JobFilter { limit: 100, with_hidden: true, ..JobFilter::default() };
    world.store.list_jobs(&filter).await.unwrap()
}

/// What a dry run must leave alone.
async fn books(world: &World) -> (usize, usize, usize) {
    let accounts = world.store.list_accounts(None, 500).await.unwrap().len();
    let all = TransferFilter { limit: 500, ..TransferFilter::default() };
    let transfers = world.store.list_transfers(&all).await.unwrap().len();
    (accounts, transfers, jobs(world).await.len())
}

/// A report without what a dry run cannot know: the ids of its jobs.
fn told(report: &ImportReport) -> Value {
    let mut told = serde_json::to_value(report).unwrap();
    told["dry_run"] = Value::Null;
    for row in told["lost"].as_array_mut().unwrap() {
        row["job"] = Value::Null;
    }
    told
}

/// A dry run and the deed, which must be the same; then everything that moves by itself has moved.
async fn foretold(world: &World, old: &OldDatabase, options: &ImportOptions) -> ImportReport {
    let before = books(world).await;
    let dry = import(world, old, &ImportOptions { dry_run: true, ..options.clone() }).await;
    assert_eq!(books(world).await, before, "a dry run writes nothing");
    let deed = import(world, old, options).await;
    let (dry, deed_told) = (told(&dry), told(&deed));
    assert!(dry == deed_told, "dry run: {dry:#}\ndeed: {deed_told:#}");
    until("what was taken over has come to rest", async || {
        let moves = |job: &Job| {
            job.state == JobState::Storing || (job.state == JobState::Unclear && job.task_id.is_some())
        };
        (!jobs(world).await.iter().any(moves)).then_some(())
    })
    .await;
    deed
}

/// Why rows of this key were refused or told of.
fn reasons<'a>(report: &'a ImportReport, noun: &str, key: &str) -> Vec<(&'a str, bool)> {
    let of_key = report.problems.iter().filter(|one| one.noun == noun && one.key == key);
    of_key.map(|one| (one.reason.as_str(), one.taken)).collect()
}

fn says(report: &ImportReport, (noun, key): (&str, &str), words: &str, taken: bool) {
    let all = reasons(report, noun, key);
    assert!(
        all.iter().any(|(reason, is_taken)| *is_taken == taken && reason.contains(words)),
        "{noun} {key}: {all:?}"
    );
}

/// A customer spends, here.
async fn spend(world: &World, user: &str, minor: i64) {
    let account = world.store.find_account_by_external_id(user).await.unwrap().unwrap();
    let transfer = NewTransfer {
        id: TransferId::generate(world.now(), &*world.ids().chance),
        account: account.id,
        job: None,
        kind: TransferKind::Adjust,
        key: format!("adjust:spent:{user}"),
        debit: Book::Available,
        credit: Book::Adjustments,
        amount: Money::from_minor(minor),
        reason: Some("spent here".to_owned()),
    };
    let spent = world.store.credit(&[transfer], world.now()).await.unwrap();
    assert!(matches!(spent, Credited::Applied(_)), "{spent:?}");
}

fn settled(options: &ImportOptions) -> ImportOptions {
    ImportOptions { settled_only: true, ..options.clone() }
}

stories! {
    async fn a_dry_run_foretells_users_twice_tasks_twice_and_parts_of_kopecks(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let visitor = world.account_with("1.00").await;
            let (_, _, bytes) = finished_task(&world, &visitor).await;
            world.media.put_bytes("a.png", "image/png", bytes.into()).await.unwrap();
            let running = world.old_task(IMAGE, "[sim:duration=1h] of two rows").await;
            let old = OldDatabase::create(source, &world.path("."), GENERATIONS).await;
            old.run(&format!(
                "alter table generations add column price text;
                 create table users (user_id text, balance_rub text, hold_rub text);
                 insert into users values ('anna', '100', '40'), ('gina', '100', '40'), ('gina', '5.00', '0'), ('boris', '10.005', '0'),
                   ('carol', '-5', '0'), ('dave', '30', '50'), ('eve', '50', '30'), ('fred', '0.30000000000000004', null);
                 insert into generations (id, user_id, model_key, task_id, status, price, asset_url) values
                 (1, 'anna', '{IMAGE}', '{running}', 'generating', '20', null),
                 (2, 'anna', '{IMAGE}', '{running}', 'generating', '20', null),
                 (3, 'anna', '{IMAGE}', 'gone-3', 'success', '23', null),
                 (4, 'anna', '{IMAGE}', null, 'COMPLETED', '7', 's3://old-bucket/a.png'),
                 (5, 'anna', '{IMAGE}', null, ' success ', '7', 's3://old-bucket/a.png'),
                 (6, 'boris', '{IMAGE}', null, 'failed', '7', null),
                 (7, 'carol', '{IMAGE}', null, 'queued', '5', null),
                 (8, 'dave', '{IMAGE}', null, 'queued', '30', null),
                 (9, 'dave', '{IMAGE}', null, 'success', '40', 's3://elsewhere/zzz.png'),
                 (10, 'anna', '{IMAGE}', null, 'failed', '1.005', null),
                 (11, 'eve', '{IMAGE}', null, 'queued', '15', null),
                 (12, 'eve', '{IMAGE}', null, 'queued', '15', null),
                 (13, 'gina', '{IMAGE}', null, 'queued', '15', null);"
            ))
            .await;
            let inside = ImportOptions { holds: Holds::Inside, lost: Lost::Keep, ..options() };
            let first = foretold(&world, &old, &settled(&inside)).await;
            assert_eq!((first.users.new, first.users.refused), (5, 3), "{:#?}", first.problems);
            says(&first, ("user", "gina"), "its user_id is there more than once", false);
            says(&first, ("user", "boris"), "`10.005` has a part that is less than the smallest unit", false);
            says(&first, ("user", "carol"), "debts are not taken over", true);
            says(&first, ("user", "dave"), "20.00 RUB of its hold_rub is not in its balance", true);
            says(&first, ("generation", "5"), "its file belongs to another generation", false);
            says(&first, ("generation", "9"), "below no --media-at and is no http(s) address", false);
            says(&first, ("generation", "10"), "`1.005` has a part", false);
            assert_eq!(first.money.before.minor(), 10_000 + 10_500 - 500 + 3000 + 5000 + 30);
            assert_eq!(balance(&world, "anna").await, (10_000, 0));

            // What is here is spent before the old shop's holds come over.
            spend(&world, "eve", 3000).await;
            let refund = ImportOptions { lost: Lost::Refund, ..inside.clone() };
            let second = foretold(&world, &old, &refund).await;
            assert_eq!(second.money.refunded.minor(), 2300);
            assert_eq!(second.lost.iter().map(|row| row.money).collect::<Vec<_>>(), ["refunded"]);
            says(&second, ("generation", "2"), "its task belongs to another generation", false);
            says(&second, ("generation", "12"), "less is left of the balance here than was set aside", false);
            says(&second, ("generation", "13"), "its user_id is in the old shop more than once", false);
            assert_eq!(balance(&world, "eve").await, (500, 1500));

            old.run("update users set balance_rub = '105' where balance_rub = '100';
                     update users set balance_rub = '15' where user_id = 'fred';
                     update users set balance_rub = '10.01' where user_id = 'boris';
                     update users set balance_rub = '5' where user_id in ('dave', 'carol');").await;
            let third = foretold(&world, &old, &inside).await;
            says(&third, ("user", "anna"), "its balance went from 100.00 RUB to 105.00 RUB", false);
            says(&third, ("user", "dave"), "its balance went from 30.00 RUB to 5.00 RUB", false);
            assert_eq!((third.users.changed, third.users.new), (2, 1), "{:#?}", third.problems);
            assert_eq!(third.lost[0].money, "refunded", "an earlier pass gave it back");

            let other = foretold(&world, &old, &ImportOptions { shop: "other".to_owned(), ..inside }).await;
            assert_eq!((other.users.new, tally(&other)[0]), (0, 0));
            says(&other, ("user", "fred"), "taken over from another old shop", false);
            assert!(world.sim.succeed_now(&running));
            world.advance(Duration::from_hours(3));
            until_state(&world, "1", JobState::Done).await;
            for key in ["7", "8", "11"] {
                until_state(&world, key, JobState::Failed).await;
            }
            world.finish().await;
        }
    }

    async fn a_dry_run_foretells_chats_keys_and_what_comes_to_life(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let (store, ids) = (&*world.store, world.ids());
            operations::add_account(store, &ids, Some("1".to_owned()), None, Some(42), false).await.unwrap();
            let visitor = world.account_with("1.00").await;
            let (_, _, bytes) = finished_task(&world, &visitor).await;
            world.media.put_bytes("b.png", "image/png", bytes.into()).await.unwrap();
            let running = world.old_task(IMAGE, "[sim:duration=1h] found late").await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run(&format!(
                "alter table jobs add column asset_url text;
                 insert into users values (1, 10, 0), (2, 20, 5), (3, 30, 0), (4, 40, 0);
                 insert into jobs (id, user_id, kie_task_id, idempotency_key, chat_id, status, price, model) values
                 (1, 1, 'gone-1', 'k', 42, 'failed', 5, '{IMAGE}'), (2, 2, 'gone-1', 'k', 42, 'failed', 5, '{IMAGE}'),
                 (3, 3, null, 'k', 43, 'failed', 5, '{IMAGE}'), (4, 3, null, 'k', 43, 'canceled', 5, '{IMAGE}'),
                 (5, 4, null, null, 43, 'failed', 5, '{IMAGE}'), (6, 4, null, null, 43, 'failed', 5, '{IMAGE}'),
                 (7, 2, null, null, 42, 'Pending', 5, '{IMAGE}'), (8, 2, null, null, 42, 'PENDING', 5, '{IMAGE}'),
                 (9, 2, 'gone-9', null, 42, 'running', 5, '{IMAGE}'), (10, 1, null, null, 42, 'done', 3, '{IMAGE}');"
            ))
            .await;
            let first = foretold(&world, &old, &options()).await;
            assert_eq!((first.users.new, tally(&first)), (4, [10, 0, 0, 0, 0]), "{:#?}", first.problems);
            says(&first, ("user", "2"), "its Telegram chat belongs to another account", true);
            says(&first, ("user", "4"), "its Telegram chat belongs to another account", true);
            assert_eq!(first.statuses.iter().find(|line| line.status == "pending").unwrap().rows.new, 2);

            old.run(&format!(
                "update jobs set status = 'done', asset_url = 's3://old-bucket/b.png' where id in (5, 6);
                 update jobs set status = 'running', kie_task_id = '{running}' where id in (7, 8);
                 update users set balance_rub = 35 where user_id in (3, 2);"
            ))
            .await;
            let refund = ImportOptions { lost: Lost::Refund, ..options() };
            let second = foretold(&world, &old, &refund).await;
            says(&second, ("generation", "6"), "its file belongs to another generation", false);
            says(&second, ("generation", "8"), "its task belongs to another generation", false);
            says(&second, ("user", "2"), "its balance went from 25.00 RUB to 40.00 RUB", false);
            assert_eq!((second.users.changed, second.money.refunded.minor()), (1, 300));
            until_state(&world, "5", JobState::Done).await;
            until_state(&world, "7", JobState::Running).await;

            old.run("update jobs set price = 4 where id = 10; update users set balance_rub = 1 where user_id = 4;").await;
            spend(&world, "4", 3950).await;
            let third = foretold(&world, &old, &refund).await;
            says(&third, ("generation", "10"), "its price has changed since it was given back", true);
            says(&third, ("user", "4"), "less is left of its balance here", false);
            let lost: BTreeSet<_> = third.lost.iter().map(|row| (row.key.as_str(), row.money)).collect();
            assert_eq!(lost, [("9", "released"), ("10", "refunded")].into());
            assert!(world.sim.succeed_now(&running));
            world.advance(Duration::from_hours(3));
            until_state(&world, "7", JobState::Done).await;
            until_state(&world, "8", JobState::Failed).await;
            world.finish().await;
        }
    }

    async fn a_dry_run_foretells_a_shop_without_users_whose_ids_are_there_twice(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let script = "create table generation_jobs (id text, user_id text, model_id text, result {json}, status text, \
                task_id text, price text);";
            let old = OldDatabase::create(source, &world.path("."), script).await;
            old.run(&format!(
                "insert into generation_jobs (id, user_id, model_id, status, task_id, price) values
                 ('a', 'anna', '{IMAGE}', ' Error ', 'gone-1', '5'), ('a', 'anna', '{IMAGE}', ' Error ', 'gone-1', '5'),
                 ('b', 'anna', '{IMAGE}', 'SUCCEEDED', 'gone-1', '5'), ('c', 'boris', '{IMAGE}', 'done', 'gone-2', '-5'),
                 ('d', 'boris', 'dream-9', 'queued', null, '5'), ('e', 'boris', '{IMAGE}', 'melted', null, '5'),
                 ('f', null, '{IMAGE}', 'done', null, '5'), ('g', 'boris', '{IMAGE}', 'Cancelled', null, '5');"
            ))
            .await;
            let refund = ImportOptions { lost: Lost::Refund, ..options() };
            let first = foretold(&world, &old, &refund).await;
            assert_eq!(tally(&first), [2, 0, 0, 0, 6], "{:#?}", first.problems);
            says(&first, ("generation", "a"), "its id is there more than once", false);
            says(&first, ("generation", "c"), "price `-5` is below zero", false);
            assert_eq!((first.money.refunded.minor(), balance(&world, "anna").await), (500, (500, 0)));
            assert_eq!(job_of(&world, "b").await.task_id.as_deref(), Some("gone-1"), "nobody else has its task");

            old.run("update generation_jobs set status = 'success', price = '6' where id = 'a';
                     update generation_jobs set price = '5' where id = 'c';").await;
            let second = foretold(&world, &old, &refund).await;
            assert_eq!((tally(&second)[0], second.money.refunded.minor()), (1, 500), "{:#?}", second.problems);
            let third = foretold(&world, &old, &refund).await;
            assert_eq!((tally(&third)[1], third.money.refunded.minor()), (0, 0));
            world.finish().await;
        }
    }

    async fn what_is_there_twice_is_refused_whole_until_the_old_shop_is_put_right(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let script = "create table users (user_id text, balance_rub text, hold_rub text);
                create table generation_jobs (id text, user_id text, model_id text, result {json}, status text, \
                task_id text, price text);";
            let old = OldDatabase::create(source, &world.path("."), script).await;
            old.run(&format!(
                "insert into users values ('anna', '100', null), ('boris', '100', null), ('boris', '5', '2'),
                   ('boris', null, null), ('carol', '10.005', null), ('carol', '3', null);
                 insert into generation_jobs (id, user_id, model_id, status, price) values
                 ('a', 'anna', '{IMAGE}', 'failed', '1'), ('b', 'boris', '{IMAGE}', 'failed', '1'),
                 ('x', 'anna', '{IMAGE}', 'failed', '1.005'), ('x', 'anna', '{IMAGE}', 'failed', '1'),
                 ('m', 'anna', '{IMAGE}', 'melted', '1'), ('m', 'anna', '{IMAGE}', 'failed', '1');"
            ))
            .await;
            let money = |report: &ImportReport| {
                [report.money.before, report.money.after, report.money.refused].map(Money::minor)
            };
            let first = foretold(&world, &old, &options()).await;
            assert_eq!((first.users.new, first.users.refused), (1, 5), "{:#?}", first.problems);
            assert_eq!(tally(&first), [1, 0, 0, 0, 5], "{:#?}", first.problems);
            for (noun, key, rows) in [("user", "boris", 3), ("user", "carol", 2), ("generation", "x", 2)] {
                let all = reasons(&first, noun, key);
                let twice = |(reason, taken): &(&str, bool)| {
                    !taken && reason.contains("more than once") && reason.contains("put the old table right first")
                };
                assert!(all.len() == rows && all.iter().all(twice), "{noun} {key}: {all:?}");
            }
            says(&first, ("generation", "m"), "unknown status `melted`", false);
            says(&first, ("generation", "m"), "more than once", false);
            says(&first, ("generation", "b"), "its user_id is in the old shop more than once", false);
            // A balance that is no amount is no money.
            assert_eq!(money(&first), [21_000, 10_000, 11_000]);
            assert!(world.store.find_account_by_external_id("boris").await.unwrap().is_none());

            // Whatever the rows say by now, and whichever of them comes first: nothing moves.
            old.run(&format!(
                "update users set balance_rub = '300' where balance_rub = '5';
                 insert into users values (' anna ', '1', null);
                 insert into generation_jobs (id, user_id, model_id, status, price) values
                 ('a', 'boris', '{IMAGE}', 'queued', '1'), ('n', 'anna', '{IMAGE}', 'queued', '1');"
            ))
            .await;
            let before = books(&world).await;
            let second = foretold(&world, &old, &options()).await;
            assert_eq!((second.users.refused, second.users.seen), (7, 7), "{:#?}", second.problems);
            assert_eq!(tally(&second), [0, 0, 0, 0, 8], "{:#?}", second.problems);
            says(&second, ("generation", "n"), "its user_id is in the old shop more than once", false);
            assert_eq!(money(&second), [50_600, 0, 50_600]);
            assert_eq!((books(&world).await, balance(&world, "anna").await), (before, (10_000, 0)));
            assert_eq!(job_of(&world, "a").await.state, JobState::Failed, "what was taken over stays");

            old.run("delete from users where user_id = ' anna ' or balance_rub in ('300', '10.005') or balance_rub is null;
                     update users set balance_rub = '120' where user_id = 'anna';
                     delete from generation_jobs where status in ('melted', 'queued') or price = '1.005';").await;
            let third = foretold(&world, &old, &options()).await;
            assert!(third.is_clean(), "{:#?}", third.problems);
            assert_eq!((third.users.new, third.users.changed, tally(&third)), (2, 1, [3, 0, 1, 0, 0]));
            assert_eq!(money(&third), [22_300, 22_300, 0]);
            assert_eq!((balance(&world, "anna").await, balance(&world, "boris").await), ((12_000, 0), (10_000, 0)));
            world.finish().await;
        }
    }

    async fn nothing_is_written_to_an_account_that_was_erased_here(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            old.run(&format!(
                "insert into users values (1, 100, 0), (2, 50, 0);
                 insert into jobs (id, user_id, kie_task_id, status, price, model) values
                 (1, 1, null, 'failed', 5, '{IMAGE}'), (2, 1, 'gone-2', 'done', 7, '{IMAGE}'),
                 (3, 2, null, 'failed', 5, '{IMAGE}'), (4, 1, null, 'failed', 5, '{IMAGE}');"
            ))
            .await;
            let first = foretold(&world, &old, &options()).await;
            assert_eq!((first.users.new, tally(&first)), (2, [4, 0, 0, 0, 0]), "{:#?}", first.problems);
            let erased = world.store.find_account_by_external_id("1").await.unwrap().unwrap().id;
            world.store.erase_account(erased, world.now()).await.unwrap();
            let stands = async || {
                let account = world.store.find_account(erased).await.unwrap().unwrap();
                (books(&world).await, jobs(&world).await, account)
            };
            let before = stands().await;
            let same = foretold(&world, &old, &options()).await;
            assert_eq!((same.users.same, tally(&same)), (2, [0, 0, 4, 0, 0]), "nothing was to be written");

            old.run(&format!(
                "update users set balance_rub = 110 where user_id = 1;
                 update jobs set status = 'running', kie_task_id = 'new-1' where id = 1;
                 insert into jobs (id, user_id, kie_task_id, status, price, model) values
                 (5, 1, null, 'canceled', 5, '{IMAGE}'), (6, 1, null, 'pending', 5, '{IMAGE}');"
            ))
            .await;
            for (lost, counts) in [(Lost::Refund, [0, 0, 2, 0, 4]), (Lost::Keep, [0, 0, 3, 0, 3])] {
                let report = foretold(&world, &old, &ImportOptions { lost, ..options() }).await;
                assert_eq!((report.users.same, report.users.refused), (1, 1), "{:#?}", report.problems);
                assert_eq!(tally(&report), counts, "{:#?}", report.problems);
                says(&report, ("user", "1"), "the account was erased here", false);
                let refused = if lost == Lost::Refund { &["1", "2", "5", "6"][..] } else { &["1", "5", "6"] };
                for key in refused {
                    says(&report, ("generation", key), "the account was erased here", false);
                }
                assert_eq!(report.lost.iter().map(|row| (&*row.key, row.money)).collect::<Vec<_>>(), [("2", "kept")]);
                let money = [report.money.before, report.money.after, report.money.refused, report.money.refunded];
                assert_eq!(money.map(Money::minor), [16_000, 15_000, 1000, 0]);
            }
            assert!(stands().await == before, "nothing was written");
            world.finish().await;
        }
    }
}
