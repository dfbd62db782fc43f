//! Taking old shops over: the three layouts, from both databases into both.

use std::time::Duration;

use acceptance::{Customer, Db, IMAGE, Media, OldDatabase, World, stories, until};
use domain::{Job, JobState, Role};
use importing::{Holds, ImportOptions, ImportReport, Lost, ModelMap};
use kie_client::Family;
use old_shops::OldShop;
use serde_json::json;
use store::JobFilter;

pub(crate) const SOURCES: [Db; 2] = [Db::Sqlite, Db::Postgres];

pub(crate) const GENERATIONS: &str = "create table generations (id integer primary key, user_id text, type text, model_key text, \
    provider text, task_id text, status text, prompt text, options {json}, result_urls {json}, asset_url text, \
    preview_url text, thumbnail_url text, error text, created_at {time}, updated_at {time});";

pub(crate) const JOBS: &str = "create table users (user_id bigint primary key, balance_rub {money}, hold_rub {money}); \
    create table jobs (id integer primary key, user_id bigint, kie_task_id text, idempotency_key text, \
    chat_id bigint, delivered_at {time}, status text, price {money}, model text);";

const GENERATION_JOBS: &str = "create table generation_jobs (id integer primary key, user_id text, model_id text, \
    params {json}, result {json}, error text, status text, task_id text);";

pub(crate) fn options() -> ImportOptions {
    ImportOptions {
        shop: "old".to_owned(),
        dry_run: false,
        settled_only: false,
        deliver: false,
        lost: Lost::Keep,
        holds: Holds::Beside,
        models: ModelMap::default(),
        media_at: vec!["s3://old-bucket/".to_owned()],
        per_second: 0,
    }
}

pub(crate) async fn import(world: &World, old: &OldDatabase, options: &ImportOptions) -> ImportReport {
    let mut shop = OldShop::open(old.url(), None).await.unwrap();
    let mut last = (0, 0);
    let report =
        importing::import(world.lifecycle(0), &mut shop, options, |done, total| last = (done, total))
            .await
            .unwrap();
    shop.close().await;
    let rows: u64 = report.statuses.iter().map(|line| line.rows.seen).sum();
    assert_eq!(last, (rows, rows), "every row is counted, whatever became of it");
    let money = report.money;
    assert_eq!(money.before, money.after.plus(money.refused).unwrap(), "{money:?}");
    report
}

/// The job that a row of the old shop became, by the key of its row.
pub(crate) async fn job_of(world: &World, key: &str) -> Job {
    let noun = store::SourceNoun::Generation;
    let found = world.store.find_imported("old", noun, &[key.to_owned()]).await.unwrap();
    world.row(&found[0].job.unwrap().to_string()).await
}

pub(crate) async fn until_state(world: &World, key: &str, state: JobState) -> Job {
    until(&format!("row {key} is {state}"), async || {
        let job = job_of(world, key).await;
        (job.state == state).then_some(job)
    })
    .await
}

pub(crate) async fn owner(world: &World, user: &str) -> Customer {
    let account = world.store.find_account_by_external_id(user).await.unwrap().unwrap();
    world.holder_of(account.id, Role::Customer).await
}

pub(crate) async fn balance(world: &World, user: &str) -> (i64, i64) {
    let account = world.store.find_account_by_external_id(user).await.unwrap().unwrap();
    (account.available.minor(), account.held.minor())
}

/// Rows of a tally: new, changed, same, left, refused.
pub(crate) fn tally(report: &ImportReport) -> [u64; 5] {
    report.statuses.iter().map(|line| line.rows).fold([0; 5], |sum, rows| {
        [
            sum[0] + rows.new,
            sum[1] + rows.changed,
            sum[2] + rows.same,
            sum[3] + rows.left,
            sum[4] + rows.refused,
        ]
    })
}

async fn count_jobs(world: &World) -> usize {
    let (mut jobs, mut before) = (0, None);
    loop {
        let filter = JobFilter { before, limit: 100, with_hidden: true, ..JobFilter::default() };
        let page = world.store.list_jobs(&filter).await.unwrap();
        let Some(last) = page.last() else { return jobs };
        (jobs, before) = (jobs + page.len(), Some(last.id));
    }
}

/// A finished task of the old shop, and its bytes.
pub(crate) async fn finished_task(world: &World, customer: &Customer) -> (String, String, Vec<u8>) {
    let task = world.old_task(IMAGE, "made long ago").await;
    let address = until("the old task is finished", async || {
        world.lifecycle(0).provider().record(&task, None).await.ok()?.outputs.first().cloned()
    })
    .await;
    let (status, bytes) = customer.download(&address).await;
    assert_eq!(status, 200);
    (task, address, bytes)
}

stories! {
    async fn a_shop_of_generations_is_taken_over_whole_and_once(db) {
        for source in SOURCES {
            let media = if source == Db::Postgres { Media::S3 } else { Media::Local };
            let world = World::builder(db).media(media).callbacks(false).start().await;
            let visitor = world.account_with("1.00").await;
            let (_, address, bytes) = finished_task(&world, &visitor).await;
            world.media.put_bytes("gallery/a.png", "image/png", bytes.clone().into()).await.unwrap();
            let (stored, _, _) = finished_task(&world, &visitor).await;
            let running = world.old_task(IMAGE, "[sim:duration=2s] still on its way").await;
            let old = OldDatabase::create(source, &world.path("."), GENERATIONS).await;
            old.run(&format!(
                "insert into generations (id, user_id, type, model_key, provider, task_id, status, prompt, options,
                   result_urls, asset_url, error, created_at, updated_at) values
                 (1, 'anna', 'image', 'dream-9', 'kie', 'gone-1', 'success', 'adopted', '{{\"seed\":7}}',
                   '[\"https://dead.invalid/1.png\"]', 's3://old-bucket/gallery/a.png', null,
                   '2025-03-01 12:00:00+00', '2025-03-01 12:01:00+00'),
                 (2, 'anna', 'image', 'dream-9', 'kie', 'gone-2', 'completed', 'copied', null, null, '{address}', null,
                   '2025-03-02 12:00:00+00', null),
                 (3, 'anna', 'image', '{IMAGE}', 'kie', '{stored}', 'success', 'finished, never stored', null, null, null,
                   null, '2025-03-03 12:00:00+00', null),
                 (4, 'anna', 'image', '{IMAGE}', 'kie', '{running}', 'generating', 'in flight', null, null, null, null,
                   '2025-03-04 12:00:00+00', null),
                 (5, 'boris', 'image', '{IMAGE}', null, null, 'queued', 'never sent, or was it', null, null, null, null,
                   '2025-03-05 12:00:00+00', null),
                 (6, 'boris', 'video', 'clip-1', 'kie', 'gone-6', 'failed', 'broken', null, null, null, 'it broke',
                   '2025-03-06 12:00:00+00', null),
                 (7, 'boris', 'image', 'dream-9', 'kie', 'gone-7', 'success', 'lost', null,
                   '[\"http://{dead}/nothing.png\"]', null, null, '2025-03-07 12:00:00+00', null),
                 (8, 'boris', 'image', 'dream-9', 'kie', null, 'exploded', 'unknown', null, null, null, null, null, null),
                 (9, null, 'image', 'dream-9', 'kie', null, 'success', 'nobody', null, null, null, null, null, null),
                 (10, 'boris', 'hologram', 'dream-9', 'kie', null, 'queued', 'of what', null, null, null, null, null, null);",
                dead = world.sim.addr(),
            ))
            .await;

            let dry = import(&world, &old, &ImportOptions { dry_run: true, ..options() }).await;
            assert_eq!(tally(&dry), [7, 0, 0, 0, 3], "{dry:#?}");
            assert!(world.store.find_account_by_external_id("anna").await.unwrap().is_none(), "nothing is written");

            let report = import(&world, &old, &options()).await;
            assert_eq!(tally(&report), [7, 0, 0, 0, 3], "{:#?}", report.problems);
            assert_eq!((report.lost.len(), report.lost[0].key.as_str()), (1, "7"));
            assert_eq!(dry.jobs, report.jobs, "a dry run foretells what an import does");
            let reasons: Vec<_> = report.problems.iter().map(|one| (one.key.as_str(), one.reason.as_str())).collect();
            assert!(reasons[0].0 == "8" && reasons[0].1.starts_with("unknown status `exploded`"), "{reasons:?}");
            assert_eq!(reasons[1], ("9", "it has no user_id"));
            assert!(reasons[2].0 == "10" && reasons[2].1.contains("--model-map"), "{reasons:?}");

            let adopted = until_state(&world, "1", JobState::Done).await;
            for key in ["2", "3", "4"] {
                until_state(&world, key, JobState::Done).await;
            }
            let anna = owner(&world, "anna").await;
            let shown = anna.job(&adopted.id.to_string()).await;
            assert_eq!(anna.download(shown.outputs()[0]["url"].as_str().unwrap()).await.1, bytes, "the very bytes");
            let asset = world.store.find_asset_by_object("gallery/a.png").await.unwrap().unwrap();
            assert_eq!(asset.job, Some(adopted.id), "adopted where it lay");
            // The old shop may still serve it: what has other bytes by now is told, and stays.
            let media = &world.media;
            let other = [&bytes[..], b"other"].concat();
            media.put_bytes("gallery/a.png", "image/png", other.clone().into()).await.unwrap();
            let restored = world.lifecycle(0).restore_files(adopted.id, "look").await.unwrap();
            assert_eq!(restored[0].trouble.as_deref(), Some("the adopted object has other bytes now"));
            let kept = media.head("gallery/a.png").await.unwrap().bytes;
            assert_eq!(kept, other.len() as u64, "it was not ours to delete");
            media.put_bytes("gallery/a.png", "image/png", bytes.clone().into()).await.unwrap();
            assert_eq!(world.lifecycle(0).restore_files(adopted.id, "look").await.unwrap(), []);
            assert_eq!((shown.0["model"].as_str(), shown.0["input"]["seed"].as_i64()), (Some("dream-9"), Some(7)));
            assert_eq!(shown.0["created_at"], "2025-03-01T12:00:00Z");
            assert_eq!(world.creates(), 3, "nothing was bought again");
            let failed = job_of(&world, "6").await;
            assert_eq!((failed.state, failed.failure.as_deref()), (JobState::Failed, Some("it broke")));
            assert_eq!(job_of(&world, "5").await.state, JobState::Unclear);

            let again = import(&world, &old, &options()).await;
            assert_eq!(tally(&again), [0, 0, 7, 0, 3], "the second pass changes nothing");
            assert_eq!((again.users.same, again.users.new), (2, 0));
            assert_eq!(again.lost.len(), 1, "what is lost stays listed");
            old.run("update generations set error = 'it broke twice' where id = 6;
                     update generations set status = 'failed', type = 'image' where id = 10;").await;
            let third = import(&world, &old, &options()).await;
            assert_eq!(tally(&third), [1, 1, 6, 0, 2], "only the differences");

            // The unclear one is decided by the policy; objects of an old shop count as ours an hour later.
            world.advance(Duration::from_hours(3));
            until_state(&world, "5", JobState::Failed).await;
            world.finish().await;
        }
    }

    async fn balances_and_holds_enter_once_and_holds_are_captured(db) {
        for (source, holds) in [(Db::Sqlite, Holds::Beside), (Db::Postgres, Holds::Inside)] {
            let world = World::builder(db).callbacks(false).start().await;
            let running = world.old_task(IMAGE, "[sim:duration=2s] held").await;
            let old = OldDatabase::create(source, &world.path("."), JOBS).await;
            let balance_of_anna = if holds == Holds::Beside { "100.50" } else { "150.50" };
            old.run(&format!(
                "insert into users values (1, {balance_of_anna}, 50.00), (2, 7.25, 0), (3, -5, 0), (4, 30, 30);
                 insert into jobs (id, user_id, kie_task_id, idempotency_key, chat_id, delivered_at, status, price, model) values
                 (1, 1, '{running}', 'old-key-1', 42, null, 'running', 50.00, '{IMAGE}'),
                 (2, 1, 'gone-2', 'old-key-2', 42, '2025-01-01 00:00:00+00', 'done', 20.00, '{IMAGE}'),
                 (3, 2, null, 'old-key-3', null, null, 'draft', 3.00, '{IMAGE}'),
                 (4, 2, null, 'old-key-4', null, null, 'canceled', 3.00, '{IMAGE}'),
                 (5, 4, 'gone-5', 'old-key-5', null, null, 'running', 30.00, '{IMAGE}'),
                 (6, 2, null, 'old-key-6', null, null, 'done', null, '{IMAGE}');"
            ))
            .await;
            let options = ImportOptions { holds, ..options() };

            let settled = import(&world, &old, &ImportOptions { settled_only: true, ..options.clone() }).await;
            assert_eq!(tally(&settled), [3, 0, 0, 3, 0], "{:#?}", settled.problems);
            assert_eq!(balance(&world, "1").await, (15_050, 0), "before the switch-over all of it is available");

            let report = import(&world, &old, &ImportOptions { deliver: true, ..options.clone() }).await;
            let of_4 = if holds == Holds::Beside { 6000 } else { 3000 };
            let money = report.money;
            assert_eq!(money.before.minor(), 15_050 + 725 - 500 + of_4);
            assert_eq!((money.after.minor(), money.refused.minor()), (15_050 + 725 + of_4, -500), "a debt stays there");
            assert_eq!(money.held.minor(), 5000, "the lost one's hold is not placed");
            assert!(report.problems.iter().any(|one| one.key == "3" && one.taken), "{:#?}", report.problems);
            let lost: Vec<_> = report.lost.iter().map(|row| (row.key.as_str(), row.money)).collect();
            assert_eq!(lost, [("2", "kept"), ("5", "released"), ("6", "none")]);
            assert_eq!(balance(&world, "4").await, (of_4, 0), "what never came is never paid for");

            let done = until_state(&world, "1", JobState::Done).await;
            assert_eq!([done.held, done.captured, done.released].map(domain::Money::minor), [5000, 5000, 0]);
            assert_eq!(balance(&world, "1").await, (10_050, 0));
            let deliveries = world.store.deliveries_of(&[done.id]).await.unwrap();
            assert_eq!(deliveries[0].address, "42", "its chat was waiting");
            let account = world.store.find_account_by_external_id("1").await.unwrap().unwrap();
            assert_eq!(account.telegram_id, Some(42));

            // The old front end repeats its order and finds it, whatever the body says.
            let anna = owner(&world, "1").await;
            let body = anna.order_body(IMAGE, &json!({ "prompt": "again" }));
            let replayed = anna.post("/v1/jobs", Some("old-key-1"), &body).await;
            assert!(replayed.replayed, "{replayed:?}");
            assert_eq!(replayed.expect(200)["id"], done.id.to_string());

            // Another pass decides the lost ones otherwise: the price comes back once.
            let refund = ImportOptions { lost: Lost::Refund, ..options.clone() };
            for (pass, refunded) in [2000, 0].into_iter().enumerate() {
                let report = import(&world, &old, &refund).await;
                assert_eq!(report.money.refunded.minor(), refunded, "pass {pass}");
                assert_eq!(balance(&world, "1").await, (12_050, 0), "pass {pass}");
            }

            // The old shop goes on: a balance alone follows, one whose generations were taken over is left to people.
            old.run("update users set balance_rub = balance_rub - 5 where user_id <> 4;").await;
            let report = import(&world, &old, &options).await;
            assert_eq!((report.users.changed, report.users.refused), (2, 1), "{:#?}", report.problems);
            assert_eq!(balance(&world, "2").await, (225, 0));
            assert_eq!(balance(&world, "1").await, (12_050, 0));
            assert!(report.problems.iter().any(|one| one.key == "1" && one.reason.contains("account adjust")));
            assert!(import(&world, &old, &options).await.users.changed == 0, "once");
            world.finish().await;
        }
    }

    async fn a_model_that_nobody_knows_opens_everywhere_and_cannot_be_repeated(db) {
        for source in SOURCES {
            let world = World::builder(db).callbacks(false).start().await;
            let visitor = world.account_with("1.00").await;
            let (_, address, _) = finished_task(&world, &visitor).await;
            let old = OldDatabase::create(source, &world.path("."), GENERATION_JOBS).await;
            old.run(&format!(
                "insert into generation_jobs (id, user_id, model_id, params, result, error, status, task_id) values
                 (1, 'anna', 'nano', '{{\"prompt\":\"mapped\"}}', '{{\"resultUrls\":[\"{address}\"]}}', null, 'completed', null),
                 (2, 'anna', 'dream-9', '{{\"prompt\":\"unmapped\"}}', '{{\"images\":[{{\"url\":\"{address}\"}}]}}', null,
                   'succeeded', null),
                 (3, 'anna', 'dream-9', '[1]', null, 'no', 'error', null),
                 (4, 'anna', 'dream-9', null, null, null, 'cancelled', null);"
            ))
            .await;
            let catalogue = world.lifecycle(0).offers().catalogue();
            let models = ModelMap::parse(&format!("nano = \"{IMAGE}\""), &catalogue).unwrap();
            let report = import(&world, &old, &ImportOptions { models, ..options() }).await;
            assert_eq!(tally(&report), [4, 0, 0, 0, 0], "{:#?}", report.problems);
            assert!(report.is_clean());
            let mapped = until_state(&world, "1", JobState::Done).await;
            assert_eq!((mapped.model.as_str(), mapped.prompt.as_deref()), (IMAGE, Some("mapped")));
            let unmapped = until_state(&world, "2", JobState::Done).await;

            let anna = owner(&world, "anna").await;
            let shown = anna.job(&unmapped.id.to_string()).await;
            assert_eq!((shown.0["model"].as_str(), shown.status()), (Some("dream-9"), "success"));
            let receipt = anna.get(&format!("/v1/jobs/{}/receipt", unmapped.id)).await.expect(200);
            assert_eq!(receipt["basis"]["basis"], "imported");
            assert!(receipt["summary"].as_str().unwrap().contains("old shop"), "{receipt}");
            let page = anna.get("/v1/jobs?q=unmapped").await.expect(200);
            assert_eq!(page["items"][0]["id"], unmapped.id.to_string());
            for path in ["/library".to_owned(), format!("/g/{}", unmapped.id)] {
                let page = anna.request(reqwest::Method::GET, &path).header("cookie", format!("kie={}", anna.token));
                let page = page.send().await.unwrap();
                assert_eq!(page.status(), 200, "{path}");
                assert!(page.text().await.unwrap().contains("dream-9"), "{path}");
            }
            let repeat = anna.order_body("dream-9", &unmapped.input);
            let refused = anna.post("/v1/jobs", Some("repeat-1"), &repeat).await.expect(404);
            assert!(refused["type"].as_str().unwrap().contains("model"), "{refused}");
            assert_eq!(count_jobs(&world).await, 4);
            world.advance(Duration::from_hours(2));
            world.finish().await;
        }
    }

    async fn what_is_lost_later_is_given_back_once_and_old_callbacks_wake(db) {
        let builder = World::builder(db).callbacks(false).flag("--legacy-callbacks", "/old/callback");
        let world = builder.flag("--fetch-allow", "127.0.0.0/8").start().await;
        let running = world.old_task(IMAGE, "[sim:duration=1h] in flight at the switch-over").await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
        // Nobody listens at port 9; a private address that is not allowed is a matter of settings, never a loss.
        old.run(&format!(
            "alter table jobs add column asset_url text;
             insert into users values (1, 10, 0);
             insert into jobs (id, user_id, kie_task_id, idempotency_key, status, price, model, asset_url) values
             (1, 1, 'gone-1', 'twice', 'done', 20, '{IMAGE}', 'http://127.0.0.1:9/a.png'),
             (2, 1, 'gone-1', 'twice', 'failed', 5, '{IMAGE}', null),
             (3, 1, null, 'key-3', 'done', 5, '{IMAGE}', 'http://10.0.0.1/a.png'),
             (4, 1, '{running}', 'key-4', 'running', null, '{IMAGE}', null),
             (5, 1, '{running}', 'key-5', 'running', null, '{IMAGE}', null);"
        ))
        .await;
        let report = import(&world, &old, &options()).await;
        assert_eq!(tally(&report), [3, 0, 0, 0, 2], "{:#?}", report.problems);
        let reasons: Vec<_> = report.problems.iter().map(|one| (one.key.as_str(), one.reason.as_str())).collect();
        assert!(reasons[0].0 == "3" && reasons[0].1.contains("FETCH_ALLOW"), "{reasons:?}");
        assert!(reasons[1].1.contains("its task belongs to another"), "one of two rows with one task: {reasons:?}");
        let (first, second) = (job_of(&world, "1").await, job_of(&world, "2").await);
        let mut keys = [first.key.as_str(), second.key.as_str()];
        keys.sort_unstable();
        assert!(keys[0].starts_with("import:old:") && keys[1] == "twice", "{keys:?}");
        assert_eq!([first.task_id, second.task_id].iter().flatten().count(), 1, "a task is evidence of one job");

        let taken = if reasons[1].0 == "4" { "5" } else { "4" };
        let before = job_of(&world, taken).await;
        assert!(world.sim.succeed_now(&running));
        let visitor = world.holder(Role::Customer).await;
        let told = visitor.post("/old/callback", None, &json!({ "taskId": running })).await;
        assert_eq!(told.status, 200);
        let done = until_state(&world, taken, JobState::Done).await;
        assert!(done.wake_seq > before.wake_seq, "the old address woke it");

        // Two weeks later the file of the first is still nowhere.
        world.advance(Duration::from_hours(15 * 24));
        until_state(&world, "1", JobState::Failed).await;
        assert_eq!(balance(&world, "1").await, (1000, 0), "nothing comes back by itself");
        let refund = ImportOptions { lost: Lost::Refund, ..options() };
        for refunded in [2000, 0] {
            let report = import(&world, &old, &refund).await;
            let lost: Vec<_> = report.lost.iter().map(|row| (row.key.as_str(), row.money)).collect();
            assert!(lost.contains(&("1", "refunded")), "{lost:?}");
            assert_eq!(report.money.refunded.minor(), refunded);
            assert_eq!(balance(&world, "1").await, (3000, 0));
        }
        world.finish().await;
    }

    async fn an_interrupted_import_goes_on_and_two_at_once_are_one(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), JOBS).await;
        old.run("insert into users values (1, 10, 0), (2, 20, 0), (3, 30, 0);").await;
        let rows: Vec<String> =
            (1..=450).map(|id| format!("({id}, {}, 'failed', 5, '{IMAGE}')", id % 3 + 1)).collect();
        let rows = rows.join(", ");
        old.run(&format!("insert into jobs (id, user_id, status, price, model) values {rows};")).await;
        let options = options();
        // Cut off in the middle, wherever it is.
        tokio::select! {
            _report = import(&world, &old, &options) => {}
            () = until("a row is taken over", async || {
                let known = world.store.find_imported("old", store::SourceNoun::Generation, &["7".to_owned()]).await;
                (!known.unwrap().is_empty()).then_some(())
            }) => {}
        }
        let (one, other) = tokio::join!(import(&world, &old, &options), import(&world, &old, &options));
        assert!(tally(&one)[0] + tally(&other)[0] < 450, "what was written before is not written again");
        let last = import(&world, &old, &options).await;
        assert_eq!(tally(&last), [0, 0, 450, 0, 0]);
        let jobs = count_jobs(&world).await;
        assert_eq!(jobs, 450);
        // The same shop under another name is nobody's: no balance enters twice.
        let renamed = import(&world, &old, &ImportOptions { shop: "other".to_owned(), ..options }).await;
        assert_eq!((renamed.users.refused, tally(&renamed)), (3, [0, 0, 0, 0, 450]));
        assert!(renamed.problems[0].reason.contains("--name"), "{:?}", renamed.problems[0]);
        assert_eq!((balance(&world, "1").await, balance(&world, "2").await), ((1000, 0), (2000, 0)));
        world.finish().await;
    }

    async fn tasks_of_the_older_families_are_finished_through_their_own_records(db) {
        let world = World::builder(db).callbacks(false).start().await;
        let visitor = world.account_with("1.00").await;
        let (_, address, bytes) = finished_task(&world, &visitor).await;
        let old = OldDatabase::create(Db::Sqlite, &world.path("."), GENERATIONS).await;
        let (made, refused) = ("c7d80e5fa1b24c3d96e7f8091a2b3c4d", "veo_task_0f1e2d3c4b5a");
        old.run(&format!(
            "insert into generations (id, user_id, type, model_key, provider, task_id, status, created_at) values
             (1, 'anna', 'image', 'gpt-4o-image', 'kie', '{made}', 'generating', '2025-03-01 12:00:00+00'),
             (2, 'anna', 'video', 'veo3_fast', 'kie', '{refused}', 'generating', '2025-03-01 12:00:00+00');"
        ))
        .await;
        let tell = |family: Family, task: &str, answer| world.sim.put_record(family.record_path(), task, answer).unwrap();
        let record = |flag: u8, urls: &[&str]| {
            let response = json!({ "resultUrls": urls });
            json!({ "code": 200, "msg": "success", "data": {
                "taskId": made, "successFlag": flag, "response": response, "createTime": 1_740_830_400_000_u64 } })
        };
        tell(Family::Gpt4oImage, made, record(0, &[]));
        tell(Family::Veo, refused, json!({ "code": 422, "msg": "Your prompt was flagged as unsafe.", "data": null }));
        let report = import(&world, &old, &options()).await;
        assert_eq!((tally(&report), report.lost.len()), ([2, 0, 0, 0, 0], 0), "{report:#?}");

        let failed = until_state(&world, "2", JobState::Failed).await;
        assert_eq!(failed.cause, Some(domain::Cause::Moderation));
        let working = job_of(&world, "1").await;
        until("the record was read", async || {
            let history = world.store.timeline(working.id).await.unwrap();
            history.iter().any(|line| line.event == "record.read").then_some(())
        })
        .await;
        let working = job_of(&world, "1").await;
        assert_eq!(working.state, JobState::Running, "it is still being made");
        tell(Family::Gpt4oImage, made, record(1, &[&address]));
        world.advance(Duration::from_mins(5));
        let done = until_state(&world, "1", JobState::Done).await;
        let anna = owner(&world, "anna").await;
        let shown = anna.job(&done.id.to_string()).await;
        assert_eq!(anna.download(shown.outputs()[0]["url"].as_str().unwrap()).await.1, bytes);
        world.finish().await;
    }
}
