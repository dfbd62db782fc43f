//! Words for stored files: verify, previews, export.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use operations::{BackfillReport, ExportReport, VerifyReport, counted};
use runtime::Scope;
use runtime::config::{DatabaseConfig, MediaConfig};

use super::accounts::account_id;
use super::act::stop;
use super::books::Books;
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
    let (books, media) = (Books::open(database).await?, runtime::open_media_as_it_is(storage)?);
    let scope = account.map(account_id).transpose()?.map_or(Scope::All, Scope::Account);
    let bar = Progress::new(json, "objects read", sample.map(u64::from));
    let (store, chance) = (&*books.store, &*books.ids.chance);
    let report = operations::verify(store, &media, (scope, sample), chance, &|more| bar.add(more)).await?;
    bar.clear();
    books.close().await;
    show::print(json, &report, verify_text)?;
    Ok(if report.found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verify_text(report: &VerifyReport) -> String {
    let looked = format!("{} objects of {} bytes were read", report.objects, report.bytes);
    if report.found == 0 {
        return format!("{looked}; all are as their rows say");
    }
    let rows = report.findings.iter().map(|found| {
        let job = found.job.map_or_else(|| "an upload".to_owned(), |job| job.to_string());
        vec![found.id.clone(), job, found.detail.clone()]
    });
    format!(
        "{}\n{looked}; {} are not as their rows say",
        show::table(&["file", "job", "wrong"], rows),
        report.found
    )
}

pub(crate) async fn previews(
    json: bool,
    (database, storage): Places<'_>,
    backfill: bool,
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let (books, media) = (Books::open(database).await?, runtime::open_media_as_it_is(storage)?);
    if backfill
        && !act.dry_run
        && let Some(code) = stop(json, act, "make the thumbnails that are missing")?
    {
        return Ok(code);
    }
    let acting = backfill && !act.dry_run;
    if acting {
        books.note("previews", "thumbnails that are missing are made", act).await?;
    }
    let (bar, maker) = (Progress::new(json, "images looked at", None), runtime::thumbnailer());
    let (store, how) = (&*books.store, (&books.ids, acting));
    let report = operations::backfill_previews(store, &media, &maker, how, &|more| bar.add(more)).await?;
    bar.clear();
    books.close().await;
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
    let (books, media) = (Books::open(database).await?, runtime::open_media_as_it_is(storage)?);
    let account = account_id(account)?;
    let bar = Progress::new(json, "files", None);
    let (store, out_at) = (&*books.store, (out, books.now()));
    let report = operations::export(store, &media, account, out_at, &|more| bar.add(more))
        .await
        .with_context(|| format!("account {account} was not exported"))?;
    bar.clear();
    books.close().await;
    show::print(json, &report, |report| export_text(report, out))?;
    let is_whole = report.missing.is_empty() && report.unreadable.is_empty();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn export_text(report: &ExportReport, out: &Path) -> String {
    let counts = format!(
        "{}, {} of {} bytes in {}",
        counted(report.jobs, "job", "jobs"),
        counted(report.files, "file", "files"),
        report.bytes,
        out.display()
    );
    if report.missing.is_empty() && report.unreadable.is_empty() {
        return counts;
    }
    let files = report.missing.iter().map(|(asset, words)| vec![format!("file {asset}"), words.clone()]);
    let jobs = report
        .unreadable
        .iter()
        .map(|job| vec![format!("job {job}"), "its row cannot be read: see `audit`".to_owned()]);
    format!("{}\n{counts}", show::table(&["what", "not in the archive, because"], files.chain(jobs)))
}
