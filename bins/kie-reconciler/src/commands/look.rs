//! Words that only look: audit, status, job, list, acts.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use operations::{AuditReport, JobMoney, JobReport, JobRow, MediaAudit, Percentiles, StatusReport};
use runtime::config::{Config, DatabaseConfig, KieConfig, MediaConfig, Since};

use super::books::Books;
use crate::cli::ListState;
use crate::show::{self, Progress};

/// At most so many rows of what is due are shown.
const DUE_MAX: u32 = 1000;

pub(crate) async fn audit(
    json: bool,
    database: &DatabaseConfig,
    (storage, kie): (Option<(&MediaConfig, bool)>, Option<&KieConfig>),
) -> anyhow::Result<ExitCode> {
    let provider = kie.map(runtime::open_provider).transpose()?;
    let books = Books::open(database).await?;
    let media = storage.map(|(config, _)| runtime::open_media_as_it_is(config)).transpose()?;
    let depth = match storage {
        Some((_, true)) => MediaAudit::Hash,
        _ => MediaAudit::Length,
    };
    let media = media.as_ref().map(|media| (media, depth));
    let bar = Progress::new(json, "objects and rows compared", None);
    let mut report =
        operations::audit_telling(&*books.store, media, books.now(), &|more| bar.add(more)).await?;
    bar.clear();
    if let Some(provider) = provider {
        report.provider = Some(operations::provider_note(&*books.store, &*provider, books.now()).await?);
    }
    show::print(json, &report, audit_text)?;
    books.close().await;
    Ok(if report.found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn audit_text(report: &AuditReport) -> String {
    let objects =
        report.objects_checked.map(|count| format!(", {count} objects compared")).unwrap_or_default();
    let note = report.provider.as_ref().map(|note| format!("\nnote: {}", note.note)).unwrap_or_default();
    if report.found == 0 {
        return format!("clean{objects}{note}");
    }
    let rows = report.findings.iter().map(|found| {
        vec![found.invariant.to_owned(), found.noun.to_owned(), found.id.clone(), found.detail.clone()]
    });
    let table = show::table(&["", "what", "id", "wrong"], rows);
    format!("{table}\n{} findings{objects}{note}", report.found)
}

pub(crate) async fn acts(json: bool, database: &DatabaseConfig, limit: u32) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let acts = books.store.list_acts(limit).await?;
    books.close().await;
    show::print(json, &acts, |acts| {
        let rows = acts.iter().map(|act| {
            vec![act.at.to_string(), act.command.clone(), act.subject.clone(), act.reason.clone()]
        });
        show::table(&["at", "command", "of", "reason"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What `once` would take up, as far as slots and breaker allow.
pub(crate) async fn due(json: bool, database: &DatabaseConfig, limit: u64) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(DUE_MAX);
    let due = books.store.due(books.now(), limit).await?;
    books.close().await;
    let jobs: Vec<JobRow> = due.jobs.iter().map(operations::job_row).collect();
    let value = serde_json::json!({ "dry_run": true, "jobs": jobs, "deliveries": due.deliveries.len() });
    show::print(json, &value, |_| {
        let jobs = jobs_table(&jobs);
        format!("{jobs}\n{} jobs and {} deliveries are due", due.jobs.len(), due.deliveries.len())
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn status(json: bool, database: &DatabaseConfig, hours: u64) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let report = operations::status(&*books.store, Duration::from_hours(hours), books.now()).await?;
    show::print(json, &report, |report| status_text(report, hours))?;
    books.close().await;
    Ok(if report.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Median and 95th percentile.
fn seconds(of: Option<Percentiles>) -> String {
    of.map_or_else(|| "-".to_owned(), |of| format!("{:.0} / {:.0}", of.p50_s, of.p95_s))
}

fn status_text(report: &StatusReport, hours: u64) -> String {
    let counts = |rows: &[(String, u64)]| {
        let words: Vec<_> = rows.iter().map(|(word, count)| format!("{word} {count}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    let overview = &report.overview;
    let states: Vec<_> = overview.states.iter().map(|(state, count)| (state.to_string(), *count)).collect();
    let deliveries: Vec<_> =
        overview.deliveries.iter().map(|(state, count)| (state.to_string(), *count)).collect();
    let models = overview.models.iter().map(|model| {
        vec![
            model.model.clone(),
            model.jobs.to_string(),
            model.done.to_string(),
            seconds(model.task),
            seconds(model.stored),
            seconds(model.delivered),
        ]
    });
    let outputs = overview.outputs.iter().map(|one| {
        vec![one.kind.to_string(), one.expected.to_string(), one.stored.to_string(), one.bytes.to_string()]
    });
    let alarms = if report.alarms.is_empty() {
        "all is well".to_owned()
    } else {
        report.alarms.iter().map(|alarm| format!("! {alarm}")).collect::<Vec<_>>().join("\n")
    };
    let processes: Vec<_> =
        report.processes.iter().map(|(name, ago)| format!("{name} ({ago} s ago)")).collect();
    let oldest =
        report.oldest_due_s.map_or("nothing waits".to_owned(), |waits| format!("waits for {waits} s"));
    format!(
        "jobs        {} (open now, ended in {hours} h)\ndeliveries  {}\nworkers     {}\noldest due  {oldest}\n\n{}\n\n{}\n\n\
         {alarms}",
        counts(&states),
        counts(&deliveries),
        if processes.is_empty() { "none was seen for a day".to_owned() } else { processes.join(", ") },
        show::titled(
            "job ended",
            &["model", "jobs", "done", "to task, s", "to stored, s", "to delivered, s"],
            models
        ),
        show::titled("outputs", &["kind", "outputs expected", "stored", "bytes"], outputs),
    )
}

pub(crate) async fn job(json: bool, config: &Config, id: &str, live: bool) -> anyhow::Result<ExitCode> {
    let books = Books::open(&config.database).await?;
    let Some(job) = operations::find_job(&*books.store, id).await? else {
        bail!("no job has this id or task: {id}");
    };
    let provider = live.then(|| runtime::open_provider(&config.kie)).transpose()?;
    let report = operations::job_report(&*books.store, &job, provider.as_deref()).await?;
    show::print(json, &report, job_text)?;
    books.close().await;
    Ok(ExitCode::SUCCESS)
}

fn job_text(report: &JobReport) -> String {
    let JobMoney { held, captured, released, refunded } = report.money;
    let [held, captured, released, refunded] =
        [held, captured, released, refunded].map(runtime::Money::minor);
    let row = &report.job;
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let attempts = report.attempts.iter().map(|one| {
        vec![one.number.to_string(), one.sent_at.to_string(), optional(&one.task_id), optional(&one.answer)]
    });
    let outputs = report.outputs.iter().map(|one| {
        let bytes = one.bytes.map(|bytes| bytes.to_string());
        vec![
            one.role.to_string(),
            one.state.to_string(),
            optional(&bytes),
            one.tries.to_string(),
            one.object.clone(),
            optional(&one.last_error),
        ]
    });
    let deliveries = report.deliveries.iter().map(|one| {
        vec![
            one.channel.to_string(),
            one.event.to_string(),
            one.state.to_string(),
            one.attempts.to_string(),
            optional(&one.last_error),
        ]
    });
    let transfers = report.transfers.iter().map(|one| {
        vec![one.kind.to_string(), one.amount.minor().to_string(), one.key.clone(), one.at.to_string()]
    });
    let timeline = report.timeline.iter().map(|one| {
        let often = if one.times > 1 { format!("×{}", one.times) } else { String::new() };
        vec![one.at.to_string(), often, one.source.clone(), one.event.clone(), optional(&one.detail)]
    });
    let live = match &report.live {
        None => String::new(),
        Some(live) => format!("KIE says now: {live:?}\n"),
    };
    format!(
        "job      {}\naccount  {}\nmodel    {}\nstate    {}{}\nwakes    {}\nmoney    held {held}, captured {captured}, released \
         {released}, refunded {refunded} (minor units)\n{live}\n{}\n\n{}\n\n{}\n\n{}\n\n{}",
        row.id,
        row.account,
        row.model,
        row.state,
        row.cause.map(|cause| format!(" ({cause}: {})", optional(&row.failure))).unwrap_or_default(),
        row.wake_at.map_or_else(|| "only if asked".to_owned(), |at| at.to_string()),
        show::titled("attempts", &["attempt", "sent", "task", "answer"], attempts),
        show::titled("files", &["role", "state", "bytes", "tries", "object", "error"], outputs),
        show::titled("deliveries", &["channel", "event", "state", "tries", "error"], deliveries),
        show::titled("transfers", &["transfer", "amount", "key", "at"], transfers),
        show::table(&["at", "", "source", "event", "words"], timeline),
    )
}

pub(crate) async fn list(
    json: bool,
    database: &DatabaseConfig,
    state: ListState,
    since: Option<Since>,
) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let now = books.now();
    let since = since.map(|since| since.before(now));
    let state = match state {
        ListState::Unclear => operations::ListState::Unclear,
        ListState::Stuck => operations::ListState::Stuck,
        ListState::Dead => operations::ListState::Dead,
        ListState::Failed => operations::ListState::Failed,
    };
    let (jobs, deliveries) = operations::list_jobs(&*books.store, state, since, now).await?;
    if state == operations::ListState::Dead {
        let value: Vec<_> = deliveries
            .iter()
            .map(|one| {
                serde_json::json!({ "job": one.job.to_string(), "delivery": one.id.to_string(),
                    "channel": one.channel, "attempts": one.attempts, "last_error": one.last_error })
            })
            .collect();
        show::print(json, &value, |_| {
            let rows = deliveries.iter().map(|one| {
                let error = one.last_error.clone().unwrap_or_default();
                vec![one.job.to_string(), one.channel.to_string(), one.attempts.to_string(), error]
            });
            show::table(&["job", "channel", "tries", "error"], rows)
        })?;
    } else {
        let rows: Vec<JobRow> = jobs.iter().map(operations::job_row).collect();
        show::print(json, &rows, |rows| jobs_table(rows))?;
    }
    books.close().await;
    Ok(ExitCode::SUCCESS)
}

fn jobs_table(rows: &[JobRow]) -> String {
    show::table(&["job", "model", "state", "since", "cause", "task", "words"], rows.iter().map(job_line))
}

fn job_line(row: &JobRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.model.clone(),
        row.state.to_string(),
        row.entered_at.to_string(),
        row.cause.map(|cause| cause.to_string()).unwrap_or_default(),
        row.task_id.clone().unwrap_or_default(),
        row.failure.clone().unwrap_or_default(),
    ]
}
