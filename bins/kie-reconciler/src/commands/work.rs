//! Words that work: once, watch, check, smoke.

use std::process::ExitCode;
use std::time::Duration;

use operations::{Check, NotTaken, SmokeOptions, SmokeStep, counted};
use runtime::PassReport;
use runtime::config::Config;
use tokio_util::task::TaskTracker;

use super::accounts::account_id;
use super::act::{note, stop};
use super::books::Books;
use super::look::DUE_MAX;
use crate::cli::Act;
use crate::show::{self, Progress};

pub(crate) async fn once(json: bool, config: &Config, limit: u64) -> anyhow::Result<ExitCode> {
    let signals = TaskTracker::new();
    let stop = runtime::shutdown_token(&signals)?;
    let services = runtime::open_services(config).await?;
    let worker = services.worker("kie-reconciler once");
    let bar = Progress::new(json, "steps and deliveries", None);
    let working = worker.pass(limit, &stop);
    let mut working = std::pin::pin!(working);
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    let report = loop {
        tokio::select! {
            report = &mut working => break report?,
            _ = beat.tick() => {
                let so_far = worker.report();
                bar.set(so_far.steps.saturating_add(so_far.deliveries));
            }
        }
    };
    bar.clear();
    let (store, now) = (services.lifecycle.store(), services.lifecycle.ids().now());
    let due = store.due(now, DUE_MAX).await?;
    let not_taken = operations::not_taken(store, &due.jobs, now).await?;
    services.close().await;
    show_pass(json, report, not_taken.as_ref())
}

pub(crate) async fn watch(json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let signals = TaskTracker::new();
    let shutdown = runtime::shutdown_token(&signals)?;
    let name = format!("kie-reconciler watch {}", std::process::id());
    let report = runtime::work(config, &name, shutdown).await?;
    show_pass(json, report, None)?;
    // Failed steps were put off and tried again: that is what a worker is for.
    Ok(ExitCode::SUCCESS)
}

fn show_pass(json: bool, report: PassReport, not_taken: Option<&NotTaken>) -> anyhow::Result<ExitCode> {
    let value = serde_json::json!({
        "steps": report.steps, "deliveries": report.deliveries, "failures": report.failures,
        "not_taken": not_taken
    });
    show::print(json, &value, |_| {
        let not_taken = not_taken.map(|shut| format!("\n{}", shut.text())).unwrap_or_default();
        let (steps, deliveries, failures) = (
            counted(report.steps, "step", "steps"),
            counted(report.deliveries, "delivery", "deliveries"),
            counted(report.failures, "failure", "failures"),
        );
        format!("{steps}, {deliveries}, {failures}{not_taken}")
    })?;
    Ok(if report.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) async fn check(json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let checks = match runtime::open_services_as_it_is(config).await {
        Ok(services) => {
            let mut checks = operations::check(&services.lifecycle, &services.media).await;
            checks.extend(runtime::check_outside(config).await);
            services.close().await;
            checks
        }
        Err(error) => vec![Check::new("start", Err::<String, _>(operations::error_words(&error)))],
    };
    show::print(json, &checks, |checks| {
        let rows = checks.iter().map(|check| {
            vec![if check.ok { "ok" } else { "BAD" }.to_owned(), check.name.to_owned(), check.detail.clone()]
        });
        show::table(&["", "what", "seen"], rows)
    })?;
    Ok(if checks.iter().all(|check| check.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The models that a deployment gives away, and one paid one of each kind.
const PAID: [&str; 3] =
    ["flux-2/pro-text-to-image", "kling-2.6/text-to-video", "elevenlabs/text-to-speech-turbo-2-5"];

pub(crate) async fn smoke(
    json: bool,
    config: &Config,
    (real, account, minutes): (bool, Option<&str>, u64),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let models: Vec<String> = config
        .prices
        .free_models
        .iter()
        .map(String::as_str)
        .chain(PAID.into_iter().filter(|_| real))
        .map(str::to_owned)
        .collect();
    let account = account.map(account_id).transpose()?;
    if let Some(account) = account.filter(|_| act.dry_run) {
        let books = Books::open(&config.database).await?;
        operations::open_account(&*books.store, account).await?;
        books.close().await;
    }
    if let Some(code) = stop(json, act, format!("order {}", models.join(", ")))? {
        return Ok(code);
    }
    let services = runtime::open_services(config).await?;
    let lifecycle = services.lifecycle.clone();
    let account = if let Some(id) = account {
        operations::open_account(lifecycle.store(), id).await?.id
    } else {
        let (external, name) = (Some("smoke".to_owned()), Some("smoke test".to_owned()));
        let added =
            operations::add_account(lifecycle.store(), lifecycle.ids(), external, name, None, false).await?;
        added.id.parse()?
    };
    let trace = (lifecycle.store(), lifecycle.ids().now());
    note(trace, ("smoke", &models.join(", ")), act).await?;
    let orders = models.into_iter().map(|model| (model, None)).collect();
    let options =
        SmokeOptions { account, orders, recipients: Vec::new(), patience: Duration::from_mins(minutes) };
    let tasks = TaskTracker::new();
    let stop = runtime::shutdown_token(&tasks)?;
    let (worker, token) = (services.worker("kie-reconciler smoke"), stop.clone());
    tasks.spawn(async move { worker.run(token).await });
    let ordering = operations::smoke(&lifecycle, &options, |step| {
        if !json {
            let text = match step {
                SmokeStep::Ordered(job) => format!("ordered {} as {}", job.model, job.id),
                SmokeStep::Moved(job) => format!("{} is {}", job.model, job.state),
            };
            // Progress is a courtesy; the lines at the end are the result.
            let _ = show::line(&text);
        }
    });
    let lines = tokio::select! {
        lines = ordering => lines,
        () = stop.cancelled() => Err(anyhow::anyhow!("stopped; what was ordered goes on when a worker runs")),
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    services.close().await;
    let lines = lines?;
    show::print(json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let ok = if line.ok { "ok" } else { "BAD" };
            let seconds = format!("{:.1}", line.seconds);
            vec![ok.to_owned(), line.model.clone(), line.state.to_string(), line.outputs.to_string(), seconds]
        });
        show::table(&["", "model", "state", "outputs", "seconds"], rows)
    })?;
    Ok(if lines.iter().all(|line| line.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
