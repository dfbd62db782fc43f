//! Orders over HTTP on PostgreSQL, beside the best single statement with the same writes on the same server.
//!
//! Every leg gets a fresh copy of the same seeded database and ends with the audit; a leg that breaks an invariant, loses
//! an acknowledged order or is refused one has no result.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use tempfile::TempDir;

use crate::load::{self, Load};
use crate::programs::{Programs, Variables};
use crate::reference::{self, FORMS};
use crate::scratch::Scratch;
use crate::shop::{Place, Shop, free_address};
use crate::table::{Figure, median, say, spread};

const WARM_UP_S: u64 = 3;
const BAR: f64 = 0.4;

/// What is measured, and for how long.
pub(crate) struct Plan<'a> {
    pub(crate) server: &'a str,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
}

/// Rates of one round, per second.
struct Round {
    shop: f64,
    forms: [f64; FORMS.len()],
}

/// A bench and the tools of its legs.
struct Bench<'a> {
    programs: &'a Programs,
    plan: &'a Plan<'a>,
    /// The schema, customers, tokens and money.
    seed: Scratch,
    folder: TempDir,
}

pub(crate) async fn measure(programs: &Programs, plan: &Plan<'_>) -> anyhow::Result<Vec<Figure>> {
    let seed = Scratch::create(plan.server, "kie_bench_seed").await?;
    let bench = Bench { programs, plan, seed, folder: tempfile::tempdir()? };
    bench.tell_conditions().await?;
    bench.fill_seed().await?;
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        rounds.push(bench.round(number).await?);
    }
    bench.seed.drop_database().await?;
    figures(&rounds)
}

fn figures(rounds: &[Round]) -> anyhow::Result<Vec<Figure>> {
    let shop: Vec<f64> = rounds.iter().map(|round| round.shop).collect();
    let of_form = |form: usize| rounds.iter().map(|round| round.forms[form]).collect::<Vec<f64>>();
    let best = (0..FORMS.len())
        .max_by(|a, b| median(&of_form(*a)).total_cmp(&median(&of_form(*b))))
        .context("there are forms")?;
    let reference = of_form(best);
    let ratios: Vec<f64> = shop.iter().zip(&reference).map(|(shop, reference)| shop / reference).collect();
    say(&format!(
        "reference: {}, {}/s; orders over HTTP: {}/s",
        FORMS[best].name,
        spread(&reference, 0),
        spread(&shop, 0)
    ))?;
    let ratio = median(&ratios);
    Ok(vec![Figure::new(
        "orders over HTTP / one statement of pgbench",
        spread(&ratios, 3),
        format!(">= {BAR}"),
        ratio >= BAR,
    )])
}

impl Bench<'_> {
    /// What the figures depend on; a server that does not write durably has none.
    async fn tell_conditions(&self) -> anyhow::Result<()> {
        let mut connection = self.seed.connect().await?;
        let mut settings = Vec::new();
        for name in ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"] {
            let value: String =
                sqlx::query_scalar(AssertSqlSafe(format!("show {name}"))).fetch_one(&mut connection).await?;
            ensure!(value != "off", "{name} is off on this server: its rates mean nothing");
            settings.push(format!("{name} {value}"));
        }
        let load = std::fs::read_to_string("/proc/loadavg")?;
        let load = load.split_whitespace().next().unwrap_or("?");
        say(&format!("postgres: {}", settings.join(", ")))?;
        say(&format!("load of the machine before: {load} (above 0.3 the figures are provisional)"))
    }

    /// The shop makes its schema; then come customers with tokens and money.
    async fn fill_seed(&self) -> anyhow::Result<()> {
        self.start_shop(&self.seed).await?.stop().await?;
        let mut connection = self.seed.connect().await?;
        connection.execute(include_str!("sql/seed.sql")).await?;
        connection
            .execute("vacuum (analyze) kie.account, kie.token, kie.transfer, kie.job, kie.timeline")
            .await?;
        connection.close().await?;
        Ok(())
    }

    async fn round(&self, number: usize) -> anyhow::Result<Round> {
        let mut forms = [0.0; FORMS.len()];
        let mut shapes = Vec::new();
        for (place, form) in FORMS.iter().enumerate() {
            let (rate, shape) = self.reference_leg(number, place, form).await?;
            forms[place] = rate;
            shapes.push(shape);
        }
        let (shop, shape) = self.shop_leg(number).await?;
        for reference in &shapes {
            ensure!(
                *reference == shape,
                "the reference does not write what the shop writes:\n{reference}\n{shape}"
            );
        }
        Ok(Round { shop, forms })
    }

    async fn reference_leg(
        &self,
        number: usize,
        place: usize,
        form: &reference::Form,
    ) -> anyhow::Result<(f64, String)> {
        let leg = self.fresh_leg().await?;
        let script = self.folder.path().join(format!("form-{place}.sql"));
        std::fs::write(&script, form.script)?;
        let (database, connections) = (leg.url(), self.plan.connections);
        let warm_up = reference::pgbench(&script, &database, connections, WARM_UP_S).await?;
        let ran = reference::pgbench(&script, &database, connections, self.plan.seconds).await?;
        let shape = self.prove_leg(leg, warm_up.transactions + ran.transactions).await?;
        say(&format!(
            "round {number}  pgbench, {:13} {:>7.0}/s   mean {:.2} ms",
            form.name, ran.per_second, ran.latency_ms
        ))?;
        Ok((ran.per_second, shape))
    }

    async fn shop_leg(&self, number: usize) -> anyhow::Result<(f64, String)> {
        let leg = self.fresh_leg().await?;
        let shop = self.start_shop(&leg).await?;
        let load = Load {
            address: shop.address,
            connections: self.plan.connections,
            warm_up: Duration::from_secs(WARM_UP_S),
            measured: Duration::from_secs(self.plan.seconds),
        };
        let ticks_before = shop.cpu_ticks()?;
        let taken = load::run(load).await?;
        #[expect(clippy::cast_precision_loss, reason = "counts of one run")]
        let cpu_us = (shop.cpu_ticks()? - ticks_before) as f64 * 10_000.0 / taken.orders as f64;
        let memory = shop.memory_kib("VmHWM")? / 1024;
        shop.stop().await?;
        let shape = self.prove_leg(leg, taken.orders).await?;
        say(&format!(
            "round {number}  orders over HTTP       {:>7.0}/s   {}; {cpu_us:.0} us of kie-web's CPU per order, peak {memory} MiB",
            taken.per_second,
            taken.latency()
        ))?;
        Ok((taken.per_second, shape))
    }

    async fn fresh_leg(&self) -> anyhow::Result<Scratch> {
        Scratch::copy_of(&self.seed, "kie_bench_leg").await
    }

    /// Counts and audits what the leg wrote, drops it, and tells what a job of it looks like.
    async fn prove_leg(&self, leg: Scratch, acknowledged: u64) -> anyhow::Result<String> {
        let variables: Variables = vec![("DATABASE_URL".to_owned(), leg.url())];
        self.programs.audit(&variables, false).await?;
        let mut connection = leg.connect().await?;
        let written: i64 = sqlx::query_scalar("select count(*) from kie.job where price > 0")
            .fetch_one(&mut connection)
            .await?;
        // pgbench's clients may be cut off at the end between a commit and its answer.
        let (written, few) = (u64::try_from(written)?, self.plan.connections as u64);
        ensure!(
            (acknowledged..=acknowledged + few).contains(&written),
            "{acknowledged} orders acknowledged, {written} jobs written"
        );
        let shape = shape(&mut connection).await?;
        connection.close().await?;
        leg.drop_database().await?;
        Ok(shape)
    }

    async fn start_shop(&self, database: &Scratch) -> anyhow::Result<Shop> {
        let closed: SocketAddr = free_address()?;
        let place = Place {
            database: &database.url(),
            media: &format!("file://{}", self.folder.path().join("media").display()),
            provider: closed,
            provider_key: "nobody-answers",
            receiver: closed,
            more: &[("NO_WORKER", "true"), ("RATE_LIMIT", "0"), ("MAX_OPEN_JOBS", "1000000000")],
        };
        Shop::start(self.programs, self.folder.path(), &place).await
    }
}

/// What the newest order wrote: rows, the columns that are set, and how wide they are.
async fn shape(connection: &mut PgConnection) -> anyhow::Result<String> {
    let query = include_str!("sql/shape.sql");
    let rows = sqlx::query(query).fetch_all(connection).await?;
    let lines = rows
        .iter()
        .map(|row| Ok(format!("{}: {}", row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?)));
    Ok(lines.collect::<Result<Vec<_>, sqlx::Error>>()?.join("\n"))
}
