//! The word `sweep`: objects without rows, rows without objects.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use operations::{Fate, Mended, Stray, Survey, WhyForeign};
use runtime::config::Config;
use runtime::{Lifecycle, MediaStore, Store, Timestamp};
use serde::Serialize;

use super::act::note;
use super::books::Books;
use crate::cli::Act;
use crate::show::{self, Progress};

/// Where rows and files are; with `lifecycle`, files can be fetched again.
struct Places<'a> {
    store: &'a dyn Store,
    media: &'a MediaStore,
    now: Timestamp,
    lifecycle: Option<&'a Lifecycle>,
}

/// What a sweep did.
#[derive(Default, Serialize)]
struct Swept {
    /// Objects without rows that were deleted.
    deleted: u64,
    /// Halves of uploads that were deleted.
    torn: u64,
    /// Rows without objects.
    rows: Vec<Mended>,
}

pub(crate) async fn sweep(
    json: bool,
    config: &Config,
    (older, tombstones): (Duration, bool),
    act: &Act,
) -> anyhow::Result<ExitCode> {
    if tombstones {
        let services = runtime::open_services_as_it_is(config).await?;
        let (lifecycle, media) = (&*services.lifecycle, &services.media);
        let (store, now) = (lifecycle.store(), lifecycle.ids().now());
        let places = Places { store, media, now, lifecycle: Some(lifecycle) };
        let code = sweep_at(json, &places, older, act).await;
        services.close().await;
        return code;
    }
    let (books, media) = (Books::open(&config.database).await?, runtime::open_media_as_it_is(&config.media)?);
    let places = Places { store: &*books.store, media: &media, now: books.now(), lifecycle: None };
    let code = sweep_at(json, &places, older, act).await;
    books.close().await;
    code
}

async fn sweep_at(json: bool, places: &Places<'_>, older: Duration, act: &Act) -> anyhow::Result<ExitCode> {
    let (media, times) = (places.media, (places.now, older));
    let bar = Progress::new(json, "objects and rows looked at", None);
    let survey = operations::survey(places.store, media, times, &|more| bar.add(more)).await?;
    bar.clear();
    let doubt = match survey.require_kinship(media) {
        Err(doubt) if may_act(act) => return Err(doubt.into()),
        kinship => kinship.err(),
    };
    let tombstones = places.lifecycle.is_some();
    let rows = if tombstones { survey.missing.len() } else { 0 };
    let what = would(survey.strays.len(), rows);
    let asked = may_act(act) && survey.strays.len() + rows > 0;
    let wanted = asked && is_agreed(json, (&survey, tombstones), act, &what)?;
    let mut swept = Swept::default();
    if wanted {
        note((places.store, places.now), ("sweep", &what), act).await?;
        let bar = Progress::new(json, "done", Some((survey.strays.len() + rows) as u64));
        let tell = |more| bar.add(more);
        swept.deleted = operations::delete_strays(places.store, media, &survey.strays, times, &tell).await?;
        if let Some(lifecycle) = places.lifecycle {
            let missing = &survey.missing;
            swept.rows = operations::fetch_or_give_up(lifecycle, media, missing, &act.reason, &tell).await?;
        }
        bar.clear();
    }
    if wanted || (act.yes && !act.dry_run) {
        swept.torn = operations::delete_torn(media, times).await?;
    }
    let value = serde_json::json!({ "survey": survey, "swept": swept });
    show::print(json, &value, |_| {
        let text = match (asked, wanted) {
            (_, true) => swept.text(),
            // The table was above the question.
            (true, false) => "nothing was done".to_owned(),
            (false, false) => survey_text(&survey, tombstones),
        };
        doubt.map_or_else(|| text.clone(), |doubt| format!("{text}\n{doubt}"))
    })?;
    let strays_left = !wanted && !survey.strays.is_empty();
    let rows_left =
        if wanted && tombstones { swept.count(Fate::Left) > 0 } else { !survey.missing.is_empty() };
    let others_left = !survey.foreign.is_empty() || survey.more > 0;
    let clean = !strays_left && !rows_left && !others_left;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn would(strays: usize, rows: usize) -> String {
    let delete = format!("delete {strays} objects");
    if rows == 0 {
        return delete;
    }
    format!("{delete}, and fetch {rows} files again, or mark them as deleted where KIE has them no more")
}

impl Swept {
    fn count(&self, fate: Fate) -> usize {
        self.rows.iter().filter(|row| row.fate == fate).count()
    }

    fn text(&self) -> String {
        let (deleted, torn) = (self.deleted, self.torn);
        let counts = format!("{deleted} objects and {torn} torn uploads deleted");
        if self.rows.is_empty() {
            return counts;
        }
        let rows = self.rows.iter().map(|row| {
            let job = row.job.map_or_else(|| "an upload".to_owned(), |job| job.to_string());
            vec![row.asset.to_string(), job, fate_text(row)]
        });
        let [fetched, back, marked, left] =
            [Fate::Fetched, Fate::CameBack, Fate::Marked, Fate::Left].map(|fate| self.count(fate));
        format!(
            "{}\n{counts}; {} files are there again, {marked} marked as deleted, {left} left as they are",
            show::table(&["file", "job", "outcome"], rows),
            fetched + back
        )
    }
}

fn fate_text(row: &Mended) -> String {
    let words = match row.fate {
        Fate::Fetched => "fetched again",
        Fate::CameBack => "it came back by itself, and is kept",
        Fate::Marked => "marked as deleted",
        Fate::Left => "left as it is",
    };
    let trouble = row.trouble.as_deref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    format!("{words}{trouble}")
}

/// Bytes are deleted only by a person's yes: without a terminal it must be said by --yes.
fn may_act(act: &Act) -> bool {
    !act.dry_run && (act.yes || std::io::stdin().is_terminal())
}

fn is_agreed(
    json: bool,
    (survey, tombstones): (&Survey, bool),
    act: &Act,
    what: &str,
) -> anyhow::Result<bool> {
    if !json && !act.yes {
        show::line(&survey_text(survey, tombstones))?;
    }
    show::confirm(&format!("{what}?"), act.yes)
}

fn age_text(object: &Stray) -> String {
    match object.age_hours {
        0 => format!("{} min", object.age_minutes),
        hours => format!("{hours} h"),
    }
}

fn survey_text(survey: &Survey, tombstones: bool) -> String {
    let strays = survey.strays.iter().map(|object| {
        vec![
            "object without row".to_owned(),
            object.name.clone(),
            format!("{} bytes, {} old", object.bytes, age_text(object)),
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
        let fate = match (row.job, tombstones) {
            (Some(job), false) => format!("`retry {job}` fetches it again, if KIE still has it"),
            (Some(job), true) => {
                format!("would be fetched again, or marked as deleted where KIE has it no more (job {job})")
            }
            (None, false) => format!("an upload of account {}", row.account),
            (None, true) => format!("would be marked as deleted (an upload of account {})", row.account),
        };
        vec!["row without object".to_owned(), row.object.clone(), fate]
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
