//! Deeds of operators: the real `kie-reconciler` dies between their steps, and the same word is said again.

use std::path::PathBuf;

use acceptance::{Customer, IMAGE, World, prompt, stories};
use domain::JobId;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use super::rows::is_on;

/// How the program meets a point.
pub(super) const ACTIONS: [&str; 3] = ["kill", "error", "delay:40"];
/// Programs that run at once.
const AT_ONCE: usize = 4;

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Wakes a job that waits.
    Wake,
    /// Lets an unclear job follow a task.
    Adopt,
    /// Fetches lost files of a job again.
    Restore,
    /// Erases an account.
    Erase,
    /// Sets a balance right.
    Recount,
}

/// Where the tool dies, and at what.
const ROWS: &[(&str, Deed)] = &[
    ("retry.noted", Deed::Wake),
    ("resolve.noted", Deed::Adopt),
    ("restore.noted", Deed::Restore),
    ("restore.fetched", Deed::Restore),
    ("sqlite.erase.account", Deed::Erase),
    ("sqlite.erase.tokens", Deed::Erase),
    ("sqlite.erase.owed", Deed::Erase),
    ("sqlite.erase.told", Deed::Erase),
    ("sqlite.erase.jobs", Deed::Erase),
    ("postgres.erase.jobs:first", Deed::Erase),
    ("postgres.erase.account", Deed::Erase),
    ("postgres.erase.jobs:again", Deed::Erase),
    ("postgres.erase.owed", Deed::Erase),
    ("postgres.erase.told", Deed::Erase),
    ("postgres.erase.tokens", Deed::Erase),
    ("sqlite.recount.summed", Deed::Recount),
    ("postgres.recount.locked", Deed::Recount),
];
/// Between a thumbnail's name and its job.
const NAMED: &str = "sqlite.thumbnail.named";

/// Where these stories die.
pub(super) fn points() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(point, _)| *point).chain([NAMED])
}

stories! {
    async fn a_deed_is_done_once_wherever_the_tool_dies(db) {
        let mut world = World::builder(db).workers(1).callbacks(false).start().await;
        let rows = ROWS.iter().filter(|(point, _)| is_on(db, point));
        let rows = rows.flat_map(|(point, deed)| ACTIONS.map(|action| (*point, *deed, action)));
        let cases = rows.map(|row| Case::prepare(&world, row));
        let mut cases = join_all(cases).await;
        world.edit("update kie.account set available = available + 777 where available = 501").await;
        // Nobody but the tool does anything now.
        world.stop_shop(0).await;
        for case in &mut cases {
            case.is_at_rest(&world).await;
        }
        let deeds = stream::iter(&cases).for_each_concurrent(AT_ONCE, |case| case.act_twice(&world));
        deeds.await;
        for case in cases.iter().filter(|case| case.deed == Deed::Wake) {
            let task = case.row(&world).await.task_id.unwrap();
            assert!(world.sim.finish_now(&task));
        }
        world.start_shop(0, &[]).await;
        for case in &cases {
            case.prove().await;
        }
        if is_on(db, NAMED) {
            for action in ACTIONS {
                named_despite(&world, action).await;
            }
        }
        world.finish().await;
    }
}

/// Runs the tool until it meets a point.
pub(super) async fn meet(world: &World, words: &[&str], (point, action): (&str, &str)) {
    let (said, reached) = world.reconciler_armed(words, &format!("{point}={action}")).await;
    assert!(!reached.is_empty() && reached.iter().all(|at| at == point), "{point}: {reached:?} {said:?}");
    let ended = match action {
        "kill" => (-1, Some(9)),
        "error" => (2, None),
        _ => (0, None),
    };
    assert_eq!((said.code, said.signal), ended, "{point} {said:?}");
}

/// A deed that is ready to be done.
struct Case {
    deed: Deed,
    point: &'static str,
    action: &'static str,
    customer: Customer,
    job: Option<JobId>,
    /// What the operator types.
    line: String,
    /// How often the job had been woken.
    woken: i64,
}

impl Case {
    async fn prepare(world: &World, (point, deed, action): (&'static str, Deed, &'static str)) -> Self {
        let customer = world.account_with(if deed == Deed::Recount { "5.01" } else { "5.00" }).await;
        let id = customer.id;
        let order = async |mark: &str| customer.order(IMAGE, prompt(&format!("{mark} for {id}"))).await;
        let (job, line) = match deed {
            Deed::Wake => {
                let job = order("[sim:duration=1h]").await;
                let job = customer.until_state(job.id(), "running").await;
                (Some(job.clone()), format!("retry {}", job.id()))
            }
            Deed::Adopt => {
                let job = order("[sim:create=reset]").await;
                let job = customer.until_state(job.id(), "unclear").await;
                let task = task_for(world, &customer);
                (Some(job.clone()), format!("resolve {} --adopt {task}", job.id()))
            }
            Deed::Restore => {
                let job = order("[sim:count=2]").await;
                let job = customer.until_told(job.id()).await;
                (Some(job.clone()), format!("retry {}", job.id()))
            }
            Deed::Erase => {
                let job = order("[sim:fail=500:no luck]").await;
                (Some(customer.until_told(job.id()).await), format!("account erase {id}"))
            }
            Deed::Recount => (None, format!("account recount {id}")),
        };
        let job = job.map(|job| job.id().parse().unwrap());
        let case = Self { deed, point, action, customer, job, line, woken: 0 };
        if deed == Deed::Restore {
            for file in case.files(world).await {
                std::fs::remove_file(file).unwrap();
            }
        }
        case
    }

    /// Nobody else moves the job any more.
    async fn is_at_rest(&mut self, world: &World) {
        if self.job.is_some() {
            self.woken = self.row(world).await.wake_seq;
        }
    }

    /// Does it until it meets the point, and then once more.
    async fn act_twice(&self, world: &World) {
        let words: Vec<&str> = self.line.split(' ').collect();
        meet(world, &words, (self.point, self.action)).await;
        let is_done = self.action.starts_with("delay");
        self.prove_half(world, is_done).await;
        let again = world.reconciler(&words).await;
        if is_done && self.deed == Deed::Restore {
            assert!(again.code == 2 && again.err.contains("nothing is left to do for it"), "{again:?}");
        } else {
            assert_eq!(again.code, 0, "{self:?} {again:?}");
        }
        self.prove_half(world, true).await;
    }

    /// All of it is there, or nothing but the trace.
    async fn prove_half(&self, world: &World, is_done: bool) {
        let store = &world.store;
        let account = store.find_account(self.customer.id).await.unwrap().unwrap();
        match self.deed {
            Deed::Wake => assert_eq!(self.row(world).await.wake_seq > self.woken, is_done, "{self:?}"),
            Deed::Adopt => {
                let attempts = store.attempts(self.job.unwrap()).await.unwrap();
                assert_eq!((attempts.len(), attempts[0].task_id.is_some()), (1, is_done), "{self:?}");
            }
            Deed::Restore => {
                let there = self.files(world).await.iter().filter(|file| file.exists()).count();
                let half = usize::from(self.point == "restore.fetched");
                assert_eq!(there, if is_done { 2 } else { half }, "{self:?}");
            }
            Deed::Erase => {
                let tokens = store.list_tokens(self.customer.id).await.unwrap();
                let row = self.row(world).await;
                let gone = [account.closed_at.is_some(), tokens.is_empty(), row.prompt.is_none()];
                assert_eq!((gone, row.recipients.is_empty()), ([is_done; 3], is_done), "{self:?}");
            }
            Deed::Recount => {
                assert_eq!(account.available.minor(), if is_done { 501 } else { 1278 }, "{self:?}");
            }
        }
        let traces = match (self.deed, self.job) {
            (Deed::Erase | Deed::Recount, _) | (_, None) => {
                let acts = store.list_acts(1000).await.unwrap();
                acts.iter().filter(|act| act.subject.contains(&self.customer.id.to_string())).count()
            }
            (_, Some(job)) => {
                let lines = store.timeline(job).await.unwrap();
                lines.iter().filter(|line| line.event == "job.decided").count()
            }
        };
        assert!(traces > 0, "{self:?}");
    }

    /// With workers again, everything ends as if nothing had died.
    async fn prove(&self) {
        let job = self.job.map(|job| job.to_string()).unwrap_or_default();
        match self.deed {
            Deed::Wake | Deed::Adopt => {
                let done = self.customer.until_told(&job).await;
                assert_eq!((done.state(), done.money()), ("done", [100, 100, 100, 0, 0]), "{self:?}");
                assert_eq!(self.customer.balance().await, (400, 0), "{self:?}");
                assert_eq!((&done.0["attempts"], done.outputs().len()), (&serde_json::json!(1), 1));
            }
            Deed::Restore => {
                let done = self.customer.job(&job).await;
                assert_eq!((done.outputs().len(), self.customer.balance().await), (2, (400, 0)));
                for output in done.outputs() {
                    let (status, _) = self.customer.download(output["url"].as_str().unwrap()).await;
                    assert_eq!(status, 200, "{self:?}");
                }
            }
            Deed::Erase => assert_eq!(self.customer.get("/v1/balance").await.status, 401, "{self:?}"),
            Deed::Recount => assert_eq!(self.customer.balance().await, (501, 0), "{self:?}"),
        }
    }

    async fn row(&self, world: &World) -> domain::Job {
        world.row(&self.job.unwrap().to_string()).await
    }

    async fn files(&self, world: &World) -> Vec<PathBuf> {
        let assets = world.store.assets_of(&[self.job.unwrap()]).await.unwrap();
        assets.iter().map(|asset| world.path("media").join(&asset.object)).collect()
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`, {} at {}", self.line, self.action, self.point)
    }
}

/// The task that was made for this customer.
fn task_for(world: &World, customer: &Customer) -> String {
    let owner = customer.id.to_string();
    let is_owners = |task: &kie_sim::TaskView| {
        task.input["prompt"].as_str().is_some_and(|prompt| prompt.contains(&owner))
    };
    world.sim.tasks().into_iter().find(is_owners).unwrap().id
}

/// A thumbnail that is missing is made, and its row names it.
async fn named_despite(world: &World, action: &str) {
    let customer = world.account_with("1.00").await;
    let job = customer.order_and_wait(IMAGE, prompt("small")).await;
    customer.until_told(job.id()).await;
    // The newest: the others stay as they are.
    let newest = "created_at = (select max(created_at) from kie.asset)";
    world.edit(&format!("update kie.asset set thumbnail = null where {newest}")).await;
    let words = ["previews", "--backfill", "--yes"];
    meet(world, &words, (NAMED, action)).await;
    let said = world.reconciler(&words).await.expect(0);
    let assets = world.store.assets_of(&[job.id().parse().unwrap()]).await.unwrap();
    let thumbnail = assets[0].thumbnail.as_ref().unwrap_or_else(|| panic!("{said}"));
    world.media.head(thumbnail).await.unwrap();
}
