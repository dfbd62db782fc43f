//! Words that look at jobs: one of them, and lists of what is in trouble.

use std::process::ExitCode;

use anyhow::bail;
use operations::{
    JobMoney, JobReport, JobRow, Listed, LiveRecord, MoneyForm, Orphan, TimelineLine, counted, shown_address,
};
use runtime::Timestamp;
use runtime::config::{Config, DatabaseConfig, Since};

use super::books::Books;
use crate::cli::ListState;
use crate::show;

pub(crate) async fn job(json: bool, config: &Config, id: &str, live: bool) -> anyhow::Result<ExitCode> {
    let books = Books::open(&config.database).await?;
    let Some(job) = operations::find_job(&*books.store, id).await? else {
        let orphans = operations::orphans_of(&*books.store, id).await?;
        books.close().await;
        if orphans.is_empty() {
            bail!("no job has this id, task or file: {id}");
        }
        show::print(json, &serde_json::json!({ "job": null, "orphans": orphans }), |_| {
            orphan_text(&orphans)
        })?;
        return Ok(ExitCode::FAILURE);
    };
    let provider = live.then(|| runtime::open_provider(&config.kie)).transpose()?;
    let report = operations::job_report(&*books.store, &job, provider.as_deref(), books.now()).await?;
    let form = MoneyForm::of(&*books.store).await?;
    show::print(json, &report, |report| job_text(report, &form))?;
    books.close().await;
    Ok(ExitCode::SUCCESS)
}

fn orphan_text(orphans: &[Orphan]) -> String {
    let lines: Vec<_> = orphans
        .iter()
        .map(|one| {
            let job = one.job.map(|job| format!(" of job {job}")).unwrap_or_default();
            format!(
                "a callback{job} named task {} (orphan since {}, ×{}, last {}, at {})",
                one.task_id,
                operations::moment(one.at),
                one.times,
                operations::moment(one.last_at),
                one.source
            )
        })
        .collect();
    format!("no job knows it\n{}", lines.join("\n"))
}

fn optional(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), operations::moment)
}

fn job_text(report: &JobReport, form: &MoneyForm) -> String {
    let attempts = report.attempts.iter().map(|one| {
        vec![
            one.number.to_string(),
            operations::moment(one.sent_at),
            optional(one.task_id.as_deref()),
            optional(one.answer.as_deref()),
        ]
    });
    let outputs = report.outputs.iter().map(|one| {
        let bytes = one.bytes.map(|bytes| bytes.to_string());
        let state = one
            .deleted_at
            .map_or_else(|| one.state.to_string(), |at| format!("deleted {}", at.strftime("%F")));
        vec![
            one.asset.to_string(),
            one.role.to_string(),
            state,
            optional(bytes.as_deref()),
            one.tries.to_string(),
            one.object.clone(),
            optional(one.last_error.as_deref()),
        ]
    });
    let deliveries = report.deliveries.iter().map(|one| {
        vec![
            one.channel.to_string(),
            one.address.clone(),
            one.event.to_string(),
            one.state.to_string(),
            one.attempts.to_string(),
            moment(one.next_at),
            optional(one.last_error.as_deref()),
        ]
    });
    let transfers = report.transfers.iter().map(|one| {
        vec![
            one.kind.to_string(),
            form.text(one.amount),
            one.key.clone(),
            operations::moment(one.at),
            optional(one.reason.as_deref()),
        ]
    });
    let timeline = report.timeline.iter().map(|one| {
        vec![
            operations::moment(one.at),
            often(one),
            one.source.clone(),
            one.event.clone(),
            optional(one.detail.as_deref()),
        ]
    });
    format!(
        "{}\n\n{}\n\n{}\n\n{}\n\n{}\n\n{}",
        head(report, form),
        show::titled("attempts", &["attempt", "sent", "task", "answer"], attempts),
        show::titled("files", &["file", "role", "state", "bytes", "tries", "object", "error"], outputs),
        if report.deliveries.is_empty() { told_later(report) } else { show::table(&DELIVERY, deliveries) },
        show::titled("transfers", &["transfer", "amount", "key", "at", "reason"], transfers),
        show::table(&["at", "", "source", "event", "words"], timeline),
    )
}

const DELIVERY: [&str; 7] = ["channel", "address", "event", "state", "tries", "next try", "error"];

/// Why there are no deliveries.
fn told_later(report: &JobReport) -> String {
    let told: Vec<_> =
        report.recipients.iter().map(|one| format!("{} {}", one.channel, one.address)).collect();
    if told.is_empty() || report.job.state.is_final() {
        return "no deliveries".to_owned();
    }
    let verb = if told.len() == 1 { "is" } else { "are" };
    format!("no deliveries yet: {} {verb} told when it is over", told.join(", "))
}

/// Longer prompts are shortened among other lines; `--json` has them whole.
const PROMPT_MAX: usize = 100;

fn short(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(PROMPT_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// What the row says, and what it waits for.
fn head(report: &JobReport, form: &MoneyForm) -> String {
    let JobMoney { held, captured, released, refunded } = report.money;
    let [held, captured, released, refunded] =
        [held, captured, released, refunded].map(|amount| form.text(amount));
    let row = &report.job;
    let cause = row
        .cause
        .map(|cause| format!(" ({cause}: {})", optional(row.failure.as_deref())))
        .unwrap_or_default();
    let wakes = row.wake_at.map_or_else(|| "only if asked".to_owned(), operations::moment);
    let money = format!("held {held}, captured {captured}, released {released}, refunded {refunded}");
    let mut lines = vec![
        ("job", row.id.to_string()),
        ("account", row.account.to_string()),
        ("model", row.model.clone()),
        ("state", format!("{}{cause}, since {}", row.state, operations::moment(row.entered_at))),
    ];
    lines.extend(report.prompt.as_deref().map(|prompt| ("prompt", short(prompt))));
    if report.gift {
        lines.push((
            "gift",
            "its result came after the money had gone back: the customer has it for nothing".to_owned(),
        ));
    }
    lines.extend(row.waits.clone().map(|words| ("waits", words)));
    let lease = format!(
        "{}, lease until {}, {}",
        counted(row.tries, "try", "tries"),
        moment(row.lease_until),
        counted(row.hints, "fast read", "fast reads")
    );
    lines.extend([("wakes", wakes), ("pace", lease)]);
    lines.extend(row.deadline_at.map(|at| {
        let then = row.at_deadline.map(|words| format!(": {words}")).unwrap_or_default();
        ("deadline", format!("{}{then}", operations::moment(at)))
    }));
    lines.push(("money", money));
    lines.extend(report.live.as_ref().map(|live| ("KIE", live_words(live))));
    let lines: Vec<_> = lines.into_iter().map(|(name, words)| format!("{name:<9}{words}")).collect();
    lines.join("\n")
}

fn live_words(live: &LiveRecord) -> String {
    match live {
        LiveRecord::Read { word, outputs } => {
            format!("KIE says now: {word}, {}", counted(*outputs, "result", "results"))
        }
        LiveRecord::Failed(words) => format!("KIE was asked now, but {words}"),
        LiveRecord::NoTask => "the job has no task that KIE could be asked for".to_owned(),
    }
}

/// How often a line was repeated, and when it was last: the time alone if it was on the same day.
fn often(line: &TimelineLine) -> String {
    if line.times < 2 {
        return String::new();
    }
    let day = |at: Timestamp| at.strftime("%F").to_string();
    let same = day(line.at) == day(line.last_at);
    let last = line.last_at.strftime(if same { "%T" } else { "%F %TZ" });
    format!("×{}, last {last}", line.times)
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
        ListState::Orphan => operations::ListState::Orphan,
    };
    let listed = operations::list(&*books.store, state, since, now).await?;
    books.close().await;
    match listed {
        Listed::Jobs(rows) => show::print(json, &rows, |rows| jobs_table(rows))?,
        Listed::Orphans(rows) => show::print(json, &rows, |rows| orphans_table(rows))?,
        Listed::Deliveries(deliveries) => {
            let value: Vec<_> = deliveries
                .iter()
                .map(|one| {
                    serde_json::json!({ "job": one.job.to_string(), "delivery": one.id.to_string(),
                        "channel": one.channel, "address": shown_address(&one.address), "attempts": one.attempts,
                        "created_at": one.created_at, "last_error": one.last_error })
                })
                .collect();
            show::print(json, &value, |_| {
                let rows = deliveries.iter().map(|one| {
                    let error = one.last_error.clone().unwrap_or_default();
                    vec![
                        one.job.to_string(),
                        one.channel.to_string(),
                        shown_address(&one.address),
                        operations::moment(one.created_at),
                        one.attempts.to_string(),
                        error,
                    ]
                });
                show::table(&["job", "channel", "address", "since", "tries", "error"], rows)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn orphans_table(orphans: &[Orphan]) -> String {
    let rows = orphans.iter().map(|one| {
        vec![
            one.source.clone(),
            one.task_id.clone(),
            one.job.map_or_else(|| "-".to_owned(), |job| job.to_string()),
            operations::moment(one.at),
            operations::moment(one.last_at),
            one.times.to_string(),
        ]
    });
    show::table(&["came to", "task", "job", "first", "last", "times"], rows)
}

pub(super) fn jobs_table(rows: &[JobRow]) -> String {
    show::table(&["job", "model", "state", "since", "cause", "task", "words"], rows.iter().map(job_line))
}

fn job_line(row: &JobRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.model.clone(),
        row.state.to_string(),
        operations::moment(row.entered_at),
        row.cause.map(|cause| cause.to_string()).unwrap_or_default(),
        row.task_id.clone().unwrap_or_default(),
        row.waits.clone().or_else(|| row.failure.clone()).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_tells_when_it_was_last() {
        let line = |times, last: &str| TimelineLine {
            at: "2026-07-01T11:00:00Z".parse().unwrap(),
            last_at: last.parse().unwrap(),
            times,
            source: "provider".to_owned(),
            event: "record.read".to_owned(),
            detail: None,
        };
        assert_eq!(often(&line(1, "2026-07-01T11:00:00Z")), "");
        assert_eq!(often(&line(11, "2026-07-01T12:03:04.5Z")), "×11, last 12:03:04");
        assert_eq!(often(&line(2, "2026-07-02T12:03:04Z")), "×2, last 2026-07-02 12:03:04Z");
    }
}
