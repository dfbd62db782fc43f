//! Words for stored files: verify, sweep, previews, export.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use operations::{BackfillReport, ExportReport, GivenUp, Survey, VerifyReport, WhyForeign};
use runtime::Scope;
use runtime::config::{DatabaseConfig, MediaConfig};
use serde::Serialize;

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

/// What a sweep did.
#[derive(Default, Serialize)]
struct Swept {
    /// Objects without rows that were deleted.
    deleted: u64,
    /// Rows without objects.
    #[serde(flatten)]
    given_up: GivenUp,
    /// Halves of uploads that were deleted.
    torn: u64,
}

pub(crate) async fn sweep(
    json: bool,
    (database, storage): Places<'_>,
    (older, tombstones): (Duration, bool),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    let (books, media) = (Books::open(database).await?, runtime::open_media_as_it_is(storage)?);
    let (store, times) = (&*books.store, (books.now(), older));
    let bar = Progress::new(json, "objects and rows looked at", None);
    let survey = operations::survey(store, &media, times, &|more| bar.add(more)).await?;
    bar.clear();
    let doubt = match survey.require_kinship(&media) {
        Err(doubt) if may_act(act) => return Err(doubt.into()),
        kinship => kinship.err(),
    };
    let rows = if tombstones { survey.missing.len() } else { 0 };
    let what = format!("delete {} objects and mark {rows} rows as deleted", survey.strays.len());
    let wanted = may_act(act) && survey.strays.len() + rows > 0 && is_agreed(json, &survey, act, &what)?;
    let mut swept = Swept::default();
    if wanted {
        books.note("sweep", &what, act).await?;
        let bar = Progress::new(json, "done", Some((survey.strays.len() + rows) as u64));
        let tell = |more| bar.add(more);
        swept.deleted = operations::delete_strays(store, &media, &survey.strays, times, &tell).await?;
        if tombstones {
            let why = (act.reason.as_str(), times.0);
            swept.given_up = operations::give_up_rows(store, &media, &survey.missing, why, &tell).await?;
        }
        bar.clear();
    }
    if wanted || (act.yes && !act.dry_run) {
        swept.torn = operations::delete_torn(&media, times).await?;
    }
    books.close().await;
    let value = serde_json::json!({ "survey": survey, "swept": swept });
    show::print(json, &value, |_| {
        let text = if wanted { swept.text() } else { survey_text(&survey) };
        doubt.map_or_else(|| text.clone(), |doubt| format!("{text}\n{doubt}"))
    })?;
    let strays_left = !wanted && !survey.strays.is_empty();
    let rows_done = wanted && tombstones;
    let rows_left = !rows_done && !survey.missing.is_empty();
    let others_left = !survey.foreign.is_empty() || survey.more > 0;
    let clean = !strays_left && !rows_left && !others_left;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Swept {
    fn text(&self) -> String {
        let GivenUp { marked, came_back } = self.given_up;
        let back = if came_back > 0 {
            format!("; {came_back} files came back meanwhile, and are kept")
        } else {
            String::new()
        };
        let (deleted, torn) = (self.deleted, self.torn);
        format!("{deleted} objects and {torn} torn uploads deleted, {marked} rows marked as deleted{back}")
    }
}

/// Bytes are deleted only by a person's yes: without a terminal it must be said by --yes.
fn may_act(act: &Act) -> bool {
    !act.dry_run && (act.yes || std::io::stdin().is_terminal())
}

fn is_agreed(json: bool, survey: &Survey, act: &Act, what: &str) -> anyhow::Result<bool> {
    if !json && !act.yes {
        show::line(&survey_text(survey))?;
    }
    show::confirm(&format!("{what}?"), act.yes)
}

fn survey_text(survey: &Survey) -> String {
    let strays = survey.strays.iter().map(|object| {
        vec![
            "object without row".to_owned(),
            object.name.clone(),
            format!("{} bytes, {} h old", object.bytes, object.age_hours),
        ]
    });
    let foreign = survey.foreign.iter().map(|object| {
        let why = match object.why {
            WhyForeign::Name => "left alone; move it away",
            WhyForeign::Account => "left alone: this database does not have its account",
        };
        vec!["not ours".to_owned(), object.name.clone(), why.to_owned()]
    });
    let missing = survey.missing.iter().map(|row| {
        let owner = row.job.map_or_else(
            || format!("an upload of account {}", row.account),
            |job| format!("`retry {job}` fetches it again"),
        );
        vec!["row without object".to_owned(), row.object.clone(), owner]
    });
    let rows = strays.chain(foreign).chain(missing);
    let more = if survey.more > 0 {
        format!("; {} more are not listed: sweep again", survey.more)
    } else {
        String::new()
    };
    let looked = format!("{} objects and {} rows looked at{more}", survey.objects, survey.rows);
    format!("{}\n{looked}", show::table(&["what", "object", ""], rows))
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
