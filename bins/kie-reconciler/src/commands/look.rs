//! Words that only look: audit, status, acts, and what is due.

use std::process::ExitCode;
use std::time::Duration;

use operations::{AuditReport, MediaAudit, Percentiles, StatusReport, counted, moment};
use runtime::config::{DatabaseConfig, KieConfig, MediaConfig};

use super::books::Books;
use super::job::jobs_table;
use crate::show::{self, Progress};

/// At most so many rows of what is due are shown.
pub(super) const DUE_MAX: u32 = 1000;

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
        let job = found.job.map(|job| job.to_string()).unwrap_or_default();
        vec![found.invariant.to_owned(), found.noun.to_owned(), found.id.clone(), job, found.detail.clone()]
    });
    let table = show::table(&["", "what", "id", "job", "wrong"], rows);
    format!("{table}\n{}{objects}{note}", counted(report.found, "finding", "findings"))
}

pub(crate) async fn acts(json: bool, database: &DatabaseConfig, limit: u32) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let acts = books.store.list_acts(limit).await?;
    books.close().await;
    show::print(json, &acts, |acts| {
        let rows = acts
            .iter()
            .map(|act| vec![moment(act.at), act.command.clone(), act.subject.clone(), act.reason.clone()]);
        show::table(&["at", "command", "of", "reason"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What `once` would take up, as far as slots and breaker allow.
pub(crate) async fn due(json: bool, database: &DatabaseConfig, limit: u64) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(DUE_MAX);
    let due = books.store.due(books.now(), limit).await?;
    let jobs = operations::job_rows(&*books.store, &due.jobs, books.now()).await?;
    let not_taken = operations::not_taken(&*books.store, &due.jobs, books.now()).await?;
    books.close().await;
    let deliveries = due.deliveries.len();
    let value = serde_json::json!({
        "dry_run": true, "jobs": jobs, "deliveries": deliveries, "not_taken": not_taken
    });
    show::print(json, &value, |_| {
        let table = jobs_table(&jobs);
        let not_taken = not_taken.as_ref().map(|shut| format!("\n{}", shut.text())).unwrap_or_default();
        let (jobs, deliveries) =
            (counted(due.jobs.len(), "job", "jobs"), counted(deliveries, "delivery", "deliveries"));
        format!("{table}\ndue: {jobs}, {deliveries}{not_taken}")
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

/// A worker that was not seen for so long is gone.
const GONE_S: i64 = 600;

/// The workers that are there, and how many are gone.
fn processes_text(report: &StatusReport) -> String {
    let (there, gone): (Vec<_>, Vec<_>) = report.processes.iter().partition(|one| one.ago_s < GONE_S);
    if there.is_empty() && gone.is_empty() {
        return "none was seen for a day".to_owned();
    }
    let mut words: Vec<_> = there.iter().map(|one| format!("{} ({} s ago)", one.name, one.ago_s)).collect();
    if words.is_empty() {
        words.push("none was seen for ten minutes".to_owned());
    }
    if !gone.is_empty() {
        words.push(format!("{} gone within a day", gone.len()));
    }
    words.join(", ")
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
    let oldest =
        report.oldest_due_s.map_or("nothing waits".to_owned(), |waits| format!("waits for {waits} s"));
    format!(
        "jobs        {} (open now, ended in {hours} h)\ndeliveries  {}\nworkers     {}\noldest due  {oldest}\n\n{}\n\n{}\n\n\
         {alarms}",
        counts(&states),
        counts(&deliveries),
        processes_text(report),
        show::titled(
            "job ended",
            &["model", "jobs", "done", "to task, s", "to stored, s", "to delivered, s"],
            models
        ),
        show::titled("outputs", &["kind", "outputs expected", "stored", "bytes"], outputs),
    )
}
