//! Words that change a job: retry, resolve, refund, redeliver. Each asks first and leaves a trace.

use std::process::ExitCode;

use anyhow::bail;
use runtime::config::{Config, DatabaseConfig};
use runtime::{Decision, Job, Scope, Store};

use crate::cli::{Act, DecisionArgs};
use crate::show;

async fn job(store: &dyn Store, id: &str) -> anyhow::Result<Job> {
    match operations::find_job(store, id).await? {
        Some(job) => Ok(job),
        None => bail!("no job has this id or task: {id}"),
    }
}

/// The code to end with instead of acting: 0 after a dry run, 1 after a "no".
fn stop(json: bool, act: &Act, what: &str) -> anyhow::Result<Option<ExitCode>> {
    if act.dry_run {
        let value = serde_json::json!({ "dry_run": true, "would": what });
        show::print(json, &value, |_| format!("would {what}"))?;
        return Ok(Some(ExitCode::SUCCESS));
    }
    Ok((!show::confirm(&format!("{what}?"), act.yes)?).then_some(ExitCode::FAILURE))
}

fn done(json: bool, what: &str) -> anyhow::Result<ExitCode> {
    show::print(json, &serde_json::json!({ "done": what }), |_| format!("done: {what}"))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn retry(json: bool, config: &Config, id: &str, act: &Act) -> anyhow::Result<ExitCode> {
    let services = runtime::open_services(config).await?;
    let job = job(services.lifecycle.store(), id).await?;
    let what = format!("wake job {} ({})", job.id, job.state);
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    let woken = services.lifecycle.retry(job.id, &act.reason).await?;
    services.close().await;
    if !woken {
        bail!("job {} is {}: nothing is left to do for it", job.id, job.state);
    }
    done(json, &what)
}

pub(crate) async fn resolve(
    json: bool,
    config: &Config,
    id: &str,
    decision: &DecisionArgs,
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let services = runtime::open_services(config).await?;
    let job = job(services.lifecycle.store(), id).await?;
    let (decision, words) = match (&decision.adopt, decision.resend) {
        (Some(task), _) => (Decision::Adopt { task_id: task.clone() }, format!("let it follow task {task}")),
        (None, true) => {
            (Decision::Resend, "send another attempt (KIE may have made the first one, too)".to_owned())
        }
        (None, false) => (Decision::Release, "give the money back".to_owned()),
    };
    let what = format!("decide job {} ({}): {words}", job.id, job.state);
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    services.lifecycle.decide(job.id, &decision, &act.reason).await?;
    services.close().await;
    done(json, &what)
}

pub(crate) async fn refund(
    json: bool,
    database: &DatabaseConfig,
    id: &str,
    (amount, key): (Option<&str>, &str),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let job = job(&*store, id).await?;
    let what = format!("refund {} of job {}", amount.unwrap_or("all that is left"), job.id);
    if let Some(code) = stop(json, act, &what)? {
        return Ok(code);
    }
    let moved = operations::refund(&*store, &runtime::ids(), &job, amount, (key, &act.reason)).await?;
    store.close().await;
    show::print(json, &moved, |moved| {
        let again = if moved.replayed { " (was done before)" } else { "" };
        format!("refunded {} minor units{again}; available {}", moved.amount.minor(), moved.available.minor())
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn redeliver(
    json: bool,
    database: &DatabaseConfig,
    id: &str,
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let job = job(&*store, id).await?;
    if let Some(code) = stop(json, act, &format!("send the deliveries of job {} again", job.id))? {
        return Ok(code);
    }
    let count = store.redeliver(job.id, Scope::All, runtime::now()).await?;
    store.close().await;
    done(json, &format!("{count} deliveries are due again"))
}
