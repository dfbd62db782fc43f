//! Taking an old shop over: the real `kie-reconciler import` dies between its statements, and is said again.

use acceptance::{Db, IMAGE, OldDatabase, World, stories, until};
use domain::{Job, JobState, Role};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::{JobFilter, SourceNoun};

use super::rows::is_on;
use super::tool::{ACTIONS, meet};
use crate::old_shop::{JOBS, finished_task};

/// While a user with a balance is taken over.
const USER: &[&str] = &[
    "sqlite.import.opened",
    "sqlite.import.moved:user",
    "sqlite.import.marked:user",
    "postgres.import.opened",
    "postgres.import.written:user",
    "postgres.import.moved:user",
    "postgres.import.marked:user",
];
/// While a generation in flight is, whose price is held.
const IN_FLIGHT: &[&str] = &[
    "sqlite.import.job",
    "sqlite.import.attempt",
    "sqlite.import.moved:generation",
    "sqlite.import.told",
    "sqlite.import.marked:generation",
    "postgres.import.job",
    "postgres.import.attempt",
    "postgres.import.told",
    "postgres.import.written:generation",
    "postgres.import.moved:generation",
    "postgres.import.marked:generation",
];
/// While a finished one is, whose file lies somewhere.
const FINISHED: &[&str] = &["sqlite.import.asset", "postgres.import.asset"];

/// Where this story dies.
pub(super) fn points() -> impl Iterator<Item = &'static str> {
    [USER, IN_FLIGHT, FINISHED].into_iter().flatten().copied()
}

stories! {
    async fn an_old_shop_is_taken_over_once_wherever_the_import_dies(db) {
        let mut world = World::builder(db).workers(1).callbacks(false).start().await;
        let shops = ACTIONS.iter().enumerate().map(|(number, action)| Old::make(&world, number, action));
        let shops = join_all(shops).await;
        // Nobody but the tool does anything now.
        world.stop_shop(0).await;
        join_all(shops.iter().map(|shop| shop.take_over(&world, db))).await;
        world.start_shop(0, &[]).await;
        for shop in &shops {
            shop.prove(&world).await;
        }
        world.finish().await;
    }
}

/// An old shop of one user with 15.00 available and 5.00 set aside.
struct Old {
    action: &'static str,
    name: String,
    database: OldDatabase,
    /// Where the file of the finished generation lies, and its bytes.
    file: (String, Vec<u8>),
}

impl Old {
    async fn make(world: &World, number: usize, action: &'static str) -> Self {
        let visitor = world.holder(Role::Customer).await;
        let (_, address, bytes) = finished_task(world, &visitor).await;
        let running = world.old_task(IMAGE, "[sim:duration=1s] on its way").await;
        let folder = world.path(&format!("old-{number}"));
        let database = OldDatabase::create(Db::Sqlite, &folder, JOBS).await;
        let name = format!("shop-{number}");
        database
            .run(&format!(
                "alter table jobs add column asset_url text;
                 insert into users values ({number}, 15.00, 5.00);
                 insert into jobs (id, user_id, kie_task_id, idempotency_key, status, price, model) values
                 (1, {number}, '{running}', '{name}-1', 'running', 5.00, '{IMAGE}');"
            ))
            .await;
        Self { action, name, database, file: (address, bytes) }
    }

    /// Imports it until it has met all points, and twice more.
    async fn take_over(&self, world: &World, db: Db) {
        let finished = format!(
            "insert into jobs (id, user_id, kie_task_id, idempotency_key, status, price, model, asset_url)
             select 2, user_id, '{name}-gone', '{name}-2', 'done', 3.00, '{IMAGE}', '{address}' from users;",
            name = self.name,
            address = self.file.0,
        );
        let on = |points: &[&'static str]| {
            points.iter().copied().filter(|point| is_on(db, point)).collect::<Vec<_>>()
        };
        if self.action.starts_with("delay") {
            self.database.run(&finished).await;
            self.delayed(world, &on(&[USER, IN_FLIGHT, FINISHED].concat())).await;
        } else {
            for point in on(USER) {
                meet(world, &self.words(), (point, self.action)).await;
                assert_eq!(self.taken(world).await, (0, [0, 0]), "{point}");
            }
            for point in on(IN_FLIGHT) {
                meet(world, &self.words(), (point, self.action)).await;
                assert_eq!(self.taken(world).await, (0, [2000, 0]), "{point}");
            }
            world.reconciler(&self.words()).await.expect(0);
            self.database.run(&finished).await;
            for point in on(FINISHED) {
                meet(world, &self.words(), (point, self.action)).await;
                assert_eq!(self.taken(world).await, (1, [1500, 500]), "{point}");
            }
        }
        let report = world.reconciler(&self.words()).await.json(0);
        assert_eq!(
            (&report["money"]["before"], &report["money"]["after"]),
            (&json!(2000), &json!(2000)),
            "{report}"
        );
        assert_eq!(self.taken(world).await, (2, [1500, 500]));
        let third = world.reconciler(&self.words()).await.json(0);
        let statuses = third["statuses"].as_array().unwrap().iter();
        for rows in statuses.chain([&third["users"]]) {
            assert_eq!(
                (&rows["new"], &rows["changed"], &rows["same"]),
                (&json!(0), &json!(0), &json!(1)),
                "{third}"
            );
        }
        assert_eq!(self.taken(world).await, (2, [1500, 500]), "the third changes nothing");
    }

    /// One pass that meets all points.
    async fn delayed(&self, world: &World, points: &[&str]) {
        let rules: Vec<String> = points.iter().map(|point| format!("{point}={}", self.action)).collect();
        let (said, reached) = world.reconciler_armed(&self.words(), &rules.join("\n")).await;
        said.expect(0);
        for point in points {
            assert!(reached.iter().any(|at| at == point), "{point}: {reached:?}");
        }
    }

    fn words(&self) -> [&str; 9] {
        let old = self.database.url();
        ["import", old, "--name", &self.name, "--holds", "beside", "--yes", "--per-second=0", "--json"]
    }

    /// The user, by its key in the old shop.
    fn user(&self) -> &str {
        self.name.trim_start_matches("shop-")
    }

    /// How many jobs it has here, and what money.
    async fn taken(&self, world: &World) -> (usize, [i64; 2]) {
        let store = &world.store;
        let Some(account) = store.find_account_by_external_id(self.user()).await.unwrap() else {
            return (0, [0, 0]);
        };
        let filter = JobFilter { account: Some(account.id), limit: 10, ..JobFilter::default() };
        let jobs = store.list_jobs(&filter).await.unwrap().len();
        (jobs, [account.available.minor(), account.held.minor()])
    }

    async fn prove(&self, world: &World) {
        let account = world.store.find_account_by_external_id(self.user()).await.unwrap().unwrap();
        let owner = world.holder_of(account.id, Role::Customer).await;
        let held = self.done(world, "1").await;
        assert_eq!([held.held, held.captured, held.released].map(domain::Money::minor), [500, 500, 0]);
        assert_eq!(owner.balance().await, (1500, 0), "captured once");
        let stored = self.done(world, "2").await;
        let shown = owner.job(&stored.id.to_string()).await;
        let outputs: Vec<&Value> = shown.outputs().iter().collect();
        assert_eq!(outputs.len(), 1, "{}", shown.0);
        let (status, bytes) = owner.download(outputs[0]["url"].as_str().unwrap()).await;
        assert_eq!((status.as_u16(), bytes == self.file.1), (200, true), "the very bytes");
    }

    /// The job that a row became, once it is done.
    async fn done(&self, world: &World, key: &str) -> Job {
        let found = world.store.find_imported(&self.name, SourceNoun::Generation, &[key.to_owned()]).await;
        let id = found.unwrap()[0].job.unwrap().to_string();
        until("it is done", async || {
            let job = world.row(&id).await;
            (job.state == JobState::Done).then_some(job)
        })
        .await
    }
}
