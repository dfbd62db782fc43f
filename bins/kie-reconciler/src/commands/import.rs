//! The word that takes an old shop over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use importing::{ImportOptions, ImportReport, Lost, ModelMap, MoneyReport, Problem, Tally};
use old_shops::{Layout, OldShop};
use runtime::Money;
use runtime::config::{Config, SecretText};
use secrecy::ExposeSecret;

use super::act::{note, stop};
use crate::cli::Act;
use crate::show::{self, Progress};

/// Lines of a list that people are shown; `--json` has them all.
const SHOWN: usize = 50;

/// What to take over, and how.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The old shop's database: a SQLite file, sqlite://… or postgres://…; it is only read.
    #[arg(value_name = "OLD", env = "OLD_DATABASE_URL", hide_env_values = true)]
    old: SecretText,
    /// `generations`, `jobs` or `generation_jobs`; found by the columns if not given.
    #[arg(long)]
    layout: Option<Layout>,
    /// What this old shop is called; the same at every pass.
    #[arg(long, default_value = "old")]
    name: String,
    /// Whether `balance_rub` includes `hold_rub`; must be said for the layout jobs.
    #[arg(long, value_enum)]
    holds: Option<HoldsArg>,
    /// What becomes of the price of a finished generation whose result is gone everywhere.
    #[arg(long, value_enum, default_value_t = LostArg::Keep)]
    lost: LostArg,
    /// TOML with lines `"old name" = "our/model-id"`.
    #[arg(long, value_name = "FILE")]
    model_map: Option<PathBuf>,
    /// What an `asset_url` begins with whose rest is the name of an object behind `MEDIA_URL`; may repeat.
    #[arg(long, value_name = "PREFIX")]
    media_at: Vec<String>,
    /// Leave what is in flight to the old shop, which still works.
    #[arg(long)]
    settled_only: bool,
    /// Send finished generations to chats that never got them.
    #[arg(long)]
    deliver: bool,
    /// Finished generations whose files become due in a second, so that new orders do not wait behind them; 0: all at once.
    #[arg(long, value_name = "N", default_value_t = 10)]
    per_second: u32,
    #[command(flatten)]
    act: Act,
    #[command(flatten)]
    config: Box<Config>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HoldsArg {
    /// `balance_rub` includes `hold_rub`.
    Inside,
    /// `hold_rub` stands beside `balance_rub`.
    Beside,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LostArg {
    /// The shop keeps it.
    Keep,
    /// The customer gets it back.
    Refund,
}

pub(crate) async fn run(json: bool, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let mut old = OldShop::open(args.old.secret().expose_secret(), args.layout).await?;
    let options = options(args, old.layout())?;
    let what = format!("take the shop `{}` ({}) over", options.shop, old.layout().as_str());
    // A dry run reads everything, too: only it knows what would be done.
    if !options.dry_run
        && let Some(code) = stop(json, &args.act, what)?
    {
        return Ok(code);
    }
    let services = runtime::open_services_as_it_is(&args.config).await?;
    let lifecycle = &*services.lifecycle;
    if !options.dry_run {
        let at = lifecycle.ids().now();
        note((lifecycle.store(), at), ("import", &options.shop), &args.act).await?;
    }
    let bar = Progress::new(json, "generations", Some(0));
    let report = importing::import(lifecycle, &mut old, &options, |done, of| bar.set_of(done, of)).await;
    bar.clear();
    old.close().await;
    services.close().await;
    let report = report?;
    let currency = &args.config.prices.currency;
    show::print(json, &report, |report| text(report, |amount| currency.format(amount)))?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &ImportArgs, layout: Layout) -> anyhow::Result<ImportOptions> {
    let holds = match (args.holds, layout) {
        (Some(HoldsArg::Inside), _) => importing::Holds::Inside,
        (Some(HoldsArg::Beside), _) | (None, Layout::Generations | Layout::GenerationJobs) => {
            importing::Holds::Beside
        }
        (None, Layout::Jobs) => {
            bail!("say --holds inside if balance_rub includes hold_rub, else --holds beside")
        }
    };
    if args.name.is_empty() || !args.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        bail!("--name is made of letters, digits and -");
    }
    let models = args.model_map.as_deref().map(|file| model_map(file, args)).transpose()?;
    let ours = args.config.media.media_url.as_deref().map(|url| format!("{}/", url.trim_end_matches('/')));
    Ok(ImportOptions {
        shop: args.name.clone(),
        dry_run: args.act.dry_run,
        settled_only: args.settled_only,
        deliver: args.deliver,
        lost: match args.lost {
            LostArg::Keep => Lost::Keep,
            LostArg::Refund => Lost::Refund,
        },
        holds,
        models: models.unwrap_or_default(),
        media_at: ours.into_iter().chain(args.media_at.iter().cloned()).collect(),
        per_second: args.per_second,
    })
}

fn model_map(file: &Path, args: &ImportArgs) -> anyhow::Result<ModelMap> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let catalogue = runtime::open_catalogue(&args.config.kie)?;
    ModelMap::parse(&text, &catalogue).with_context(|| format!("{} is refused", file.display()))
}

fn text(report: &ImportReport, format: impl Fn(Money) -> String) -> String {
    let tally = |name: String, rows: &Tally| {
        let numbers = [rows.seen, rows.new, rows.changed, rows.same, rows.left, rows.refused];
        std::iter::once(name).chain(numbers.map(|number| number.to_string())).collect()
    };
    let users = tally("users".to_owned(), &report.users);
    let statuses = report.statuses.iter().map(|line| tally(line.status.clone(), &line.rows));
    let rows = std::iter::once(users).chain(statuses);
    let lost = report.lost.iter().take(SHOWN).map(|row| {
        let job = row.job.map(|job| job.to_string()).unwrap_or_default();
        let task = row.task.clone().unwrap_or_default();
        vec![row.key.clone(), row.user.clone(), job, task, format(row.price), row.money.to_owned()]
    });
    let states: Vec<String> = report.jobs.iter().map(|(state, count)| format!("{state} {count}")).collect();
    let tense = if report.dry_run { "would be" } else { "are" };
    format!(
        "{}\n\njobs here {tense}: {}\n\n{}\n\nlost: {}\n{}\n\nproblems: {}\n{}",
        show::table(&["rows", "seen", "new", "changed", "same", "left", "refused"], rows),
        if states.is_empty() { "none".to_owned() } else { states.join(", ") },
        money(&report.money, &format),
        report.lost.len(),
        show::table(&["key", "user", "job", "task", "price", "money"], lost),
        report.problems.len(),
        problems(&report.problems),
    )
}

fn money(money: &MoneyReport, format: impl Fn(Money) -> String) -> String {
    let rows = [
        ("balances there", money.before),
        ("of that here", money.after),
        ("refused", money.refused),
        ("held for what is in flight", money.held),
        ("given back for what is lost", money.refunded),
    ];
    show::table(&["money", "amount"], rows.map(|(name, amount)| vec![name.to_owned(), format(amount)]))
}

fn problems(problems: &[Problem]) -> String {
    let rows = problems.iter().take(SHOWN).map(|one| {
        let taken = if one.taken { "taken over" } else { "REFUSED" };
        vec![taken.to_owned(), one.noun.to_owned(), one.key.clone(), one.reason.clone()]
    });
    show::table(&["", "row", "key", "reason"], rows)
}
