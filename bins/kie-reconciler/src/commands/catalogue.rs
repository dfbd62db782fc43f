//! Words that compare the catalogue with KIE's own discovery.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use operations::{
    CatalogueCheck, CatalogueProgress, CatalogueScope, ModelDiff, ModelGlob, Proposed, Standing, Unlisted,
};

use super::act::{done, stop};
use super::books::Books;
use crate::cli::{CatalogueCommand, Change, Look};
use crate::show::{self, Progress};

/// Fewer models than this need no bar.
const MANY: usize = 4;

pub(crate) async fn run(json: bool, command: &CatalogueCommand) -> anyhow::Result<ExitCode> {
    match command {
        CatalogueCommand::Check { look } => check(json, look).await,
        CatalogueCommand::Diff { all, look } => diff(json, look, *all).await,
        CatalogueCommand::Sync { out, look } => sync(json, look, out).await,
        CatalogueCommand::Sell { model, change } => sell(json, model, change).await,
    }
}

async fn sell(json: bool, model: &str, Change { act, database }: &Change) -> anyhow::Result<ExitCode> {
    let books = Books::open(database).await?;
    if !books.store.models_off_sale().await?.iter().any(|health| health.model == model) {
        bail!("KIE does not refuse {model}: `status` names the models that are off sale");
    }
    let what = format!("put {model} back on sale; running processes follow within 15 s");
    if let Some(code) = stop(json, act, what.as_str())? {
        return Ok(code);
    }
    books.note("catalogue sell", model, act).await?;
    books.store.clear_refusals(model).await?;
    books.close().await;
    done(json, &what)
}

async fn check(json: bool, look: &Look) -> anyhow::Result<ExitCode> {
    let (client, catalogue) = (runtime::open_kie_client(&look.kie)?, runtime::open_catalogue(&look.kie)?);
    let bar = Progress::new(json, "", Some(0));
    let report =
        operations::check_catalogue(&client, &catalogue, &scope(look), |progress| tell(&bar, progress))
            .await?;
    bar.clear();
    show::print(json, &report, check_text)?;
    Ok(match &report {
        report if !report.unread.is_empty() => ExitCode::from(2),
        report if report.is_clean() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn check_text(report: &CatalogueCheck) -> String {
    let gone = report.gone.iter().map(|model| row("gone", model, "", "KIE no longer lists it"));
    let others = [
        ("new", &report.new),
        ("back", &report.back),
        ("price", &report.priced),
        ("unread", &report.unread),
        ("elsewhere", &report.elsewhere),
    ];
    let others = others.into_iter().flat_map(|(word, models)| {
        models.iter().map(move |one: &Unlisted| {
            row(word, &one.model, &one.tasks.join(", "), one.remark.as_deref().unwrap_or_default())
        })
    });
    let rows: Vec<_> = gone.chain(others).collect();
    let counts = format!("{} models listed here, {} there", report.here, report.there);
    if rows.is_empty() {
        return format!("{counts}: the same");
    }
    format!("{}\n{counts}", show::table(&["", "model", "does", "remark"], rows))
}

async fn diff(json: bool, look: &Look, all: bool) -> anyhow::Result<ExitCode> {
    let (client, catalogue) = (runtime::open_kie_client(&look.kie)?, runtime::open_catalogue(&look.kie)?);
    let bar = Progress::new(json, "", Some(0));
    let models =
        operations::diff_catalogue(&client, &catalogue, &scope(look), |progress| tell(&bar, progress))
            .await?;
    bar.clear();
    let looked_at = models.len();
    let shown: Vec<_> = models.into_iter().filter(|model| all || is_worth_a_word(model)).collect();
    show::print(json, &shown, |models| diff_text(models, looked_at))?;
    let any = |wanted: &[Standing]| shown.iter().any(|model| wanted.contains(&model.standing));
    Ok(if any(&[Standing::Unread]) {
        ExitCode::from(2)
    } else if any(&[Standing::Changed, Standing::Price, Standing::New, Standing::Back, Standing::Gone]) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn is_worth_a_word(model: &ModelDiff) -> bool {
    !matches!(model.standing, Standing::Same | Standing::Elsewhere)
}

fn diff_text(models: &[ModelDiff], looked_at: usize) -> String {
    let differing = models.iter().filter(|model| is_worth_a_word(model)).count();
    let mut parts: Vec<String> = models.iter().map(model_text).collect();
    parts.push(format!("{looked_at} models looked at, {differing} differ"));
    parts.join("\n")
}

fn model_text(model: &ModelDiff) -> String {
    let note = model.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    let mut lines = vec![format!("{}: {}{note}", model.model, model.standing.as_str())];
    if !model.fields.is_empty() {
        let side = |side: &Option<String>| side.clone().unwrap_or_default();
        let rows = model.fields.iter().map(|one| {
            vec![one.field.clone(), one.aspect.as_str().to_owned(), side(&one.here), side(&one.there)]
        });
        lines.push(show::table(&["field", "what", "here", "there"], rows));
    }
    let here = if model.price_here.is_empty() {
        "none".to_owned()
    } else {
        model.price_here.join("\n               ")
    };
    lines.push(format!("  price here:  {here}"));
    lines.push(format!("  price there: {}\n", model.price_there.as_deref().unwrap_or("not stated")));
    lines.join("\n")
}

async fn sync(json: bool, look: &Look, out: &std::path::Path) -> anyhow::Result<ExitCode> {
    let (client, catalogue) = (runtime::open_kie_client(&look.kie)?, runtime::open_catalogue(&look.kie)?);
    let now = runtime::now().to_string();
    let day = now.split('T').next().unwrap_or_default();
    let bar = Progress::new(json, "", Some(0));
    let report = operations::sync_catalogue(&client, &catalogue, &scope(look), (out, day), |progress| {
        tell(&bar, progress);
    })
    .await?;
    bar.clear();
    show::print(json, &report, |report| {
        let rows = report.iter().map(|one: &Proposed| {
            let file = one.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            row(one.standing.as_str(), &one.model, &file, one.remark.as_deref().unwrap_or_default())
        });
        let written = report.iter().filter(|one| one.file.is_some()).count();
        let table = show::table(&["", "model", "file", "to mend"], rows);
        format!("{table}\n{written} proposals written; review and price them before you use them")
    })?;
    let unread = report.iter().any(|one| one.standing == Standing::Unread);
    Ok(if unread { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn scope(look: &Look) -> CatalogueScope {
    CatalogueScope { models: ModelGlob::new(look.model.as_str()), pace: Duration::from_millis(look.pace) }
}

fn row(word: &str, model: &str, middle: &str, remark: &str) -> Vec<String> {
    [word, model, middle, remark].map(str::to_owned).to_vec()
}

fn tell(bar: &Progress, progress: CatalogueProgress<'_>) {
    if progress.total >= MANY {
        bar.set_of(progress.done as u64, progress.total as u64);
        bar.say(progress.model);
    }
}
