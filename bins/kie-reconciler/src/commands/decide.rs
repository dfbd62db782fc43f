//! Words that change a job: retry, resolve, refund, redeliver. Each asks first and leaves a trace.

use std::process::ExitCode;

use anyhow::bail;
use operations::{Deed, MoneyForm, counted};
use runtime::config::Config;
use runtime::{Decision, Job, NewEntry, Restored, Scope, Services, Store};

use super::act::{done, stop};
use super::books::Books;
use crate::cli::{Act, Change, DecisionArgs};
use crate::show;

async fn job(store: &dyn Store, id: &str) -> anyhow::Result<Job> {
    match operations::find_job(store, id).await? {
        Some(job) => Ok(job),
        None => bail!("no job has this id, task or file: {id}"),
    }
}

/// What a deed would do that needs all services.
async fn foresee(services: &Services, deed: &Deed<'_>) -> anyhow::Result<operations::Foreseen> {
    operations::foresee(services.lifecycle.store(), services.lifecycle.ids(), deed).await
}

pub(crate) async fn retry(json: bool, config: &Config, id: &str, act: &Act) -> anyhow::Result<ExitCode> {
    let services = runtime::open_services_as_it_is(config).await?;
    let job = job(services.lifecycle.store(), id).await?;
    let foreseen = foresee(&services, &Deed::Retry(&services.lifecycle, &job)).await?;
    if let Some(code) = stop(json, act, foreseen)? {
        return Ok(code);
    }
    let woken = services.lifecycle.retry(job.id, &act.reason).await?;
    let restored =
        if woken { Vec::new() } else { services.lifecycle.restore_files(job.id, &act.reason).await? };
    services.close().await;
    if woken {
        return done(json, &format!("job {} is due now: a worker, or `once`, takes its next step", job.id));
    }
    if restored.is_empty() {
        return done(
            json,
            &format!("what was wrong with job {} is mended meanwhile: nothing is left to do for it", job.id),
        );
    }
    show_restored(json, &restored)
}

fn show_restored(json: bool, restored: &[Restored]) -> anyhow::Result<ExitCode> {
    let value: Vec<_> = restored
        .iter()
        .map(|file| {
            serde_json::json!({ "asset": file.asset, "restored": file.trouble.is_none(), "trouble": file.trouble })
        })
        .collect();
    show::print(json, &value, |_| {
        let rows = restored.iter().map(|file| {
            let words = file.trouble.clone().unwrap_or_else(|| "there again".to_owned());
            vec![file.asset.to_string(), words]
        });
        show::table(&["file", "outcome"], rows)
    })?;
    Ok(if restored.iter().all(|file| file.trouble.is_none()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) async fn resolve(
    json: bool,
    config: &Config,
    id: &str,
    decision: &DecisionArgs,
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let services = runtime::open_services_as_it_is(config).await?;
    let job = job(services.lifecycle.store(), id).await?;
    let decision = match (&decision.adopt, decision.resend) {
        (Some(task), _) => Decision::Adopt { task_id: task.clone() },
        (None, true) => Decision::Resend,
        (None, false) => Decision::Release,
    };
    let foreseen = foresee(&services, &Deed::Decide(&services.lifecycle, &job, &decision)).await?;
    if let Some(code) = stop(json, act, foreseen.clone())? {
        return Ok(code);
    }
    services.lifecycle.decide(job.id, &decision, &act.reason).await?;
    services.close().await;
    let again = if foreseen.done_before { " (was done before)" } else { "" };
    done(json, &format!("{}{again}", foreseen.would))
}

pub(crate) async fn refund(
    json: bool,
    change: &Change,
    id: &str,
    (amount, key): (Option<&str>, &str),
) -> anyhow::Result<ExitCode> {
    let books = Books::open(&change.database).await?;
    let job = job(&*books.store, id).await?;
    let foreseen = books.foresee(&Deed::Refund(&job, amount, key)).await?;
    if let Some(code) = stop(json, &change.act, foreseen)? {
        return Ok(code);
    }
    let why = (key, change.act.reason.as_str());
    let moved = operations::refund(&*books.store, &books.ids, &job, amount, why).await?;
    let form = MoneyForm::of(&*books.store).await?;
    books.close().await;
    show::print(json, &moved, |moved| {
        let again = if moved.replayed { " (was done before)" } else { "" };
        format!("refunded {}{again}; available {}", form.text(moved.amount), form.text(moved.available))
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn redeliver(json: bool, change: &Change, id: &str) -> anyhow::Result<ExitCode> {
    let books = Books::open(&change.database).await?;
    let job = job(&*books.store, id).await?;
    let foreseen = books.foresee(&Deed::Redeliver(&job)).await?;
    if let Some(code) = stop(json, &change.act, foreseen)? {
        return Ok(code);
    }
    let now = books.now();
    // The trace comes before the deed.
    let detail = Some(format!("redeliver: {}", change.act.reason));
    let line = NewEntry { source: "operator", event: "job.decided", detail, fold: None };
    books.store.note(job.id, &[line], now).await?;
    let count = books.store.redeliver(job.id, Scope::All, now).await?;
    books.close().await;
    done(json, &format!("{} due again", counted(count, "delivery is", "deliveries are")))
}
