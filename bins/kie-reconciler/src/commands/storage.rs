//! Words for stored files: verify, sweep, previews, export.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use operations::{BackfillReport, ExportReport, Survey, VerifyReport};
use runtime::Scope;
use runtime::config::{DatabaseConfig, MediaConfig};
use serde::Serialize;

use super::accounts::account_id;
use super::act::{note, stop};
use crate::cli::Act;
use crate::show::{self, Progress};

/// Where rows and files are.
type Places<'a> = (&'a DatabaseConfig, &'a MediaConfig);

pub(crate) async fn verify(
    json: bool,
    (database, storage): Places<'_>,
    account: Option<&str>,
    sample: Option<u32>,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let media = runtime::open_media(storage)?;
    let scope = account.map(account_id).transpose()?.map_or(Scope::All, Scope::Account);
    let bar = Progress::new(json, "objects read", sample.map(u64::from));
    let chance = runtime::ids().chance;
    let report =
        operations::verify(&*store, &media, (scope, sample), &*chance, &|more| bar.add(more)).await?;
    bar.clear();
    store.close().await;
    show::print(json, &report, verify_text)?;
    Ok(if report.found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verify_text(report: &VerifyReport) -> String {
    let looked = format!("{} objects of {} bytes were read", report.objects, report.bytes);
    if report.found == 0 {
        return format!("{looked}; all are as their rows say");
    }
    let rows = report.findings.iter().map(|found| vec![found.id.clone(), found.detail.clone()]);
    format!("{}\n{looked}; {} are not as their rows say", show::table(&["file", "wrong"], rows), report.found)
}

/// What a sweep did.
#[derive(Default, Serialize)]
struct Swept {
    /// Objects without rows that were deleted.
    deleted: u64,
    /// Rows without objects that were marked as deleted.
    marked: u64,
    /// Halves of uploads that were deleted.
    torn: u64,
}

pub(crate) async fn sweep(
    json: bool,
    (database, storage): Places<'_>,
    (older, tombstones): (Duration, bool),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let media = runtime::open_media(storage)?;
    let times = (runtime::now(), older);
    let bar = Progress::new(json, "objects and rows looked at", None);
    let mut survey = operations::survey(&*store, &media, times, &|more| bar.add(more)).await?;
    bar.clear();
    let rows = if tombstones { survey.missing.len() } else { 0 };
    let what = format!("delete {} objects and mark {rows} rows as deleted", survey.orphans.len());
    let wanted = survey.orphans.len() + rows > 0 && is_agreed(json, &survey, act, &what)?;
    let mut swept = Swept::default();
    if wanted {
        let bar = Progress::new(json, "done", Some((survey.orphans.len() + rows) as u64));
        swept.deleted =
            operations::delete_orphans(&*store, &media, &survey.orphans, &|more| bar.add(more)).await?;
        if tombstones {
            let (why, rows) = ((act.reason.as_str(), times.0), &survey.missing);
            swept.marked =
                operations::give_up_rows(&*store, &media, rows, why, &|more| bar.add(more)).await?;
        }
        bar.clear();
    }
    if wanted || (act.yes && !act.dry_run) {
        swept.torn = operations::delete_torn(&media, times).await?;
    }
    if swept.deleted + swept.marked + swept.torn > 0 {
        note(&*store, "sweep", &swept.text(), act).await?;
    }
    store.close().await;
    let value = serde_json::json!({ "survey": survey, "swept": swept });
    show::print(json, &value, |_| if wanted { swept.text() } else { survey_text(&survey) })?;
    if wanted {
        survey.orphans.clear();
        survey.missing.retain(|_| !tombstones);
    }
    let clean = survey.orphans.is_empty() && survey.missing.is_empty() && survey.foreign.is_empty();
    Ok(if clean && !survey.more { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Swept {
    fn text(&self) -> String {
        format!(
            "{} objects and {} torn uploads deleted, {} rows marked as deleted",
            self.deleted, self.torn, self.marked
        )
    }
}

/// Bytes are deleted only by a person's yes: without a terminal it must be said by --yes.
fn is_agreed(json: bool, survey: &Survey, act: &Act, what: &str) -> anyhow::Result<bool> {
    if act.dry_run || (!act.yes && !std::io::stdin().is_terminal()) {
        return Ok(false);
    }
    if !json && !act.yes {
        show::line(&survey_text(survey))?;
    }
    show::confirm(&format!("{what}?"), act.yes)
}

fn survey_text(survey: &Survey) -> String {
    let orphans = survey.orphans.iter().map(|object| {
        vec![
            "object without row".to_owned(),
            object.name.clone(),
            format!("{} bytes, {} h old", object.bytes, object.age_hours),
        ]
    });
    let foreign = survey
        .foreign
        .iter()
        .map(|name| vec!["not ours".to_owned(), name.clone(), "left alone; move it away".to_owned()]);
    let missing = survey.missing.iter().map(|row| {
        let owner = row.job.map_or_else(
            || format!("an upload of account {}", row.account),
            |job| format!("`retry {job}` fetches it again"),
        );
        vec!["row without object".to_owned(), row.object.clone(), owner]
    });
    let rows = orphans.chain(foreign).chain(missing);
    let more = if survey.more { "; there are more: sweep again" } else { "" };
    let looked = format!("{} objects and {} rows looked at{more}", survey.objects, survey.rows);
    format!("{}\n{looked}", show::table(&["what", "object", ""], rows))
}

pub(crate) async fn previews(
    json: bool,
    (database, storage): Places<'_>,
    backfill: bool,
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let media = runtime::open_media(storage)?;
    if backfill
        && !act.dry_run
        && let Some(code) = stop(json, act, "make the thumbnails that are missing")?
    {
        return Ok(code);
    }
    let acting = backfill && !act.dry_run;
    let bar = Progress::new(json, "images looked at", None);
    let (ids, maker) = (runtime::ids(), runtime::thumbnailer());
    let report =
        operations::backfill_previews(&*store, &media, &maker, (&ids, acting), &|more| bar.add(more)).await?;
    bar.clear();
    if report.made > 0 {
        note(&*store, "previews", &format!("{} thumbnails made", report.made), act).await?;
    }
    store.close().await;
    show::print(json, &report, previews_text)?;
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn previews_text(report: &BackfillReport) -> String {
    let counts = format!(
        "{} stored images, {} without a thumbnail, {} made now",
        report.images, report.without, report.made
    );
    if report.failed.is_empty() {
        return counts;
    }
    let rows = report.failed.iter().map(|(asset, words)| vec![asset.to_string(), words.clone()]);
    format!("{}\n{counts}", show::table(&["file", "why not"], rows))
}

pub(crate) async fn export(
    json: bool,
    (database, storage): Places<'_>,
    account: &str,
    out: &Path,
) -> anyhow::Result<ExitCode> {
    let store = runtime::open_store_for_reading(database).await?;
    let media = runtime::open_media(storage)?;
    let account = account_id(account)?;
    let bar = Progress::new(json, "files", None);
    let report = operations::export(&*store, &media, account, (out, runtime::now()), &|more| bar.add(more))
        .await
        .with_context(|| format!("account {account} was not exported"))?;
    bar.clear();
    store.close().await;
    show::print(json, &report, |report| export_text(report, out))?;
    Ok(if report.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn export_text(report: &ExportReport, out: &Path) -> String {
    let counts = format!(
        "{} jobs, {} files of {} bytes in {}",
        report.jobs,
        report.files,
        report.bytes,
        out.display()
    );
    if report.missing.is_empty() {
        return counts;
    }
    let rows = report.missing.iter().map(|(asset, words)| vec![asset.to_string(), words.clone()]);
    format!("{}\n{counts}", show::table(&["file", "not in the archive, because"], rows))
}
