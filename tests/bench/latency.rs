//! How soon a result is at its owner, beyond what the provider takes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use kie_sim::{Sim, SimConfig, TaskView};
use serde_json::json;
use tempfile::TempDir;

use crate::programs::{Customer, Programs};
use crate::receiver::{Receiver, now_ms};
use crate::scratch::Scratch;
use crate::shop::{HMAC_KEY, Place, Shop, order_body};
use crate::table::{Figure, quantile, say, spread};

const MODEL: &str = "flux-2/pro-text-to-image";
const PATIENCE: Duration = Duration::from_mins(2);
const SILENT_RUNS: u32 = 5;
const SILENT_BAR_S: f64 = 5.0;
const TOLD_RUNS: u32 = 20;
const TOLD_BAR_S: f64 = 2.0;
/// Between orders without callbacks: their readings must not fall together.
const STAGGER: Duration = Duration::from_millis(3_700);

pub(crate) async fn measure(programs: &Programs, server: &str) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}", folder.path().join("kie.db").display());
    let mut figures = on_database(programs, folder.path(), "SQLite", &sqlite).await?;

    let folder: TempDir = tempfile::tempdir()?;
    let scratch = Scratch::create(server, "kie_bench_latency").await?;
    figures.extend(on_database(programs, folder.path(), "PostgreSQL", &scratch.url()).await?);
    scratch.drop_database().await?;
    Ok(figures)
}

/// A shop with a customer, a provider and a receiver.
struct Scene {
    sim: Sim,
    receiver: Receiver,
    shop: Shop,
    customer: Customer,
}

async fn on_database(
    programs: &Programs,
    folder: &Path,
    name: &str,
    database: &str,
) -> anyhow::Result<Vec<Figure>> {
    let sim = Sim::start(SimConfig { hmac_key: Some(HMAC_KEY.to_owned()), ..SimConfig::default() }).await?;
    let receiver = Receiver::start().await?;
    let place = Place {
        database,
        media: &format!("file://{}", folder.join("media").display()),
        provider: sim.addr(),
        provider_key: sim.api_key(),
        receiver: receiver.address,
        more: &[],
    };
    let shop = Shop::start(programs, folder, &place).await?;
    let customer = programs.add_customer(&shop.variables).await?;
    let scene = Scene { sim, receiver, shop, customer };
    let silent = scene.without_callbacks().await?;
    let told = scene.with_callbacks().await?;
    scene.prove(programs, name).await?;

    let worst = |seconds: &[f64]| quantile(seconds, 1.0);
    Ok(vec![
        Figure::new(
            format!("finished to delivered, no callbacks, {name}"),
            format!("{} s, worst counts", spread(&silent, 2)),
            format!("<= {SILENT_BAR_S} s"),
            worst(&silent) <= SILENT_BAR_S,
        ),
        Figure::new(
            format!("our share of a life, callbacks, {name}"),
            format!("{} s, worst counts", spread(&told, 2)),
            format!("< {TOLD_BAR_S} s"),
            worst(&told) < TOLD_BAR_S,
        ),
    ])
}

impl Scene {
    /// Images of 30 s that nobody calls back for: seconds from the provider's end to the webhook.
    async fn without_callbacks(&self) -> anyhow::Result<Vec<f64>> {
        let mut jobs = Vec::new();
        for run in 0..SILENT_RUNS {
            jobs.push(
                self.order(&format!("silent-{run}"), "[sim:duration=30s] [sim:callback=none]").await?.0,
            );
            tokio::time::sleep(STAGGER).await;
        }
        let mut seconds = Vec::new();
        for job in jobs {
            let delivered_ms = self.receiver.wait(&job, PATIENCE).await?;
            seconds.push(between(completed_ms(&self.task_of(&job).await?)?, delivered_ms));
        }
        Ok(seconds)
    }

    /// Images of 1 s, one after the other: seconds from order to task, and from the provider's end to the webhook.
    async fn with_callbacks(&self) -> anyhow::Result<Vec<f64>> {
        let mut seconds = Vec::new();
        for run in 0..TOLD_RUNS {
            let (job, ordered_ms) = self.order(&format!("told-{run}"), "[sim:duration=1s]").await?;
            let delivered_ms = self.receiver.wait(&job, PATIENCE).await?;
            let task = self.task_of(&job).await?;
            let bought = between(ordered_ms, i64::try_from(task.created_ms)?);
            seconds.push(bought + between(completed_ms(&task)?, delivered_ms));
        }
        Ok(seconds)
    }

    /// The job, and when its order was sent.
    async fn order(&self, key: &str, marks: &str) -> anyhow::Result<(String, i64)> {
        let prompt = format!("A red fox, {key} {marks}");
        let body = order_body(MODEL, json!({}), &prompt, self.receiver.address);
        let ordered_ms = now_ms();
        Ok((self.shop.order(&self.customer.token, key, &body).await?, ordered_ms))
    }

    /// The provider's task of a job: found by the prompt, which each order has for itself.
    async fn task_of(&self, job: &str) -> anyhow::Result<TaskView> {
        let job = self.shop.job(&self.customer.token, job).await?;
        let prompt = &job["input"]["prompt"];
        let found = self.sim.tasks().into_iter().find(|task| task.input.get("prompt") == Some(prompt));
        found.context("the provider has no task with this prompt")
    }

    /// Nothing went wrong on the way: each callback was taken, none is unknown, all is bought once and well kept.
    async fn prove(self, programs: &Programs, name: &str) -> anyhow::Result<()> {
        let callbacks = self.sim.callbacks();
        let refused = callbacks.iter().find(|callback| callback.status != Some(200));
        ensure!(refused.is_none(), "a callback was not answered with 200: {refused:?}");
        let (tasks, orders) = (self.sim.tasks().len(), usize::try_from(SILENT_RUNS + TOLD_RUNS)?);
        ensure!(tasks == orders, "{orders} orders made {tasks} tasks");
        let variables = self.shop.variables.clone();
        ensure!(programs.count_orphans(&variables).await? == 0, "a callback became an orphan");
        self.shop.stop().await?;
        programs.audit(&variables, true).await?;
        self.sim.stop().await;
        say(&format!(
            "{name}: {orders} images, {} callbacks all answered 200, no orphan, audit clean",
            callbacks.len()
        ))
    }
}

fn completed_ms(task: &TaskView) -> anyhow::Result<i64> {
    Ok(i64::try_from(task.completed_ms.context("the task has ended")?)?)
}

fn between(from_ms: i64, to_ms: i64) -> f64 {
    Duration::from_millis(u64::try_from(to_ms - from_ms).unwrap_or_default()).as_secs_f64()
}
