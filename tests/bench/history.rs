//! What a pass costs when a million generations lie behind it: as much as when a thousand do.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use runtime::Services;
use runtime::config::Config;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tokio_util::sync::CancellationToken;

use crate::scratch::Scratch;
use crate::table::{Figure, median, say, spread};

const SHORT: u64 = 1_000;
/// Rows that are due in a pass that has work.
const DUE: u64 = 100;
/// Passes of each kind over each history, in turn.
const ROUNDS: usize = 15;
/// Passes that find nothing are short: so many of them are measured together.
const IDLE: u32 = 20;
const BAR: f64 = 1.5;

/// Final rows, each told to its owner, with ids in the order of time as real ones; the same in the words of both databases.
const ON_POSTGRES: [&str; 4] = [
    "insert into kie.account (id, webhook_key, created_at) values (gen_random_uuid(), sha256('x'), now())",
    "insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, recipients,
       state, price, basis, outputs_ordered, created_at, entered_at, updated_at)
     select lpad(to_hex(n), 32, '0')::uuid, a.id, 'old-' || n, 0, sha256('x'), 'r', 'm', 'image', '{}', '[]', 'done', 0,
       '{\"basis\": \"free\"}', 1, now(), now(), now()
     from kie.account a, generate_series(1, ROWS) n",
    "insert into kie.delivery (id, job_id, account_id, channel, address, event, state, attempts, delivered_at, created_at)
     select id, id, account_id, 'webhook', 'https://a.example', 'job.done', 'done', 1, now(), now()
     from kie.job",
    "vacuum analyze",
];
const ON_SQLITE: [&str; 4] = [
    "insert into account (id, webhook_key, created_at) values (randomblob(16), randomblob(32), 0)",
    "insert into job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, recipients,
       state, price, basis, outputs_ordered, created_at, entered_at, updated_at)
     with recursive n(n) as (select 1 union all select n + 1 from n where n < ROWS)
     select unhex(printf('%032x', n)), a.id, 'old-' || n, 0, randomblob(32), 'r', 'm', 'image', '{}', '[]', 'done', 0,
       '{\"basis\": \"free\"}', 1, 0, 0, 0 from account a, n",
    "insert into delivery (id, job_id, account_id, channel, address, event, state, attempts, delivered_at, created_at)
     select id, id, account_id, 'webhook', 'https://a.example', 'job.done', 'done', 1, 0, 0 from job",
    "pragma wal_checkpoint(truncate)",
];
const WAKE_ON_POSTGRES: &str =
    "update kie.job set wake_at = now() where id in (select id from kie.job order by id desc limit ROWS)";
const WAKE_ON_SQLITE: &str =
    "update job set wake_at = 1 where id in (select id from job order by id desc limit ROWS)";

/// A shop's services over one history.
struct Past {
    services: Services,
    url: String,
    wake: String,
    idle_us: Vec<f64>,
    busy_ms: Vec<f64>,
}

pub(crate) async fn measure(server: &str, rows: u64) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    let (short, long) = (url("short.db"), url("long.db"));
    figures.extend(compare("SQLite", folder.path(), [(&short, SHORT), (&long, rows)]).await?);
    let (short, long) =
        (Scratch::create(server, "kie_bench_short").await?, Scratch::create(server, "kie_bench_long").await?);
    let urls = [short.url(), long.url()];
    figures.extend(compare("PostgreSQL", folder.path(), [(&urls[0], SHORT), (&urls[1], rows)]).await?);
    short.drop_database().await?;
    long.drop_database().await?;
    Ok(figures)
}

async fn compare(name: &str, folder: &Path, pasts: [(&str, u64); 2]) -> anyhow::Result<Vec<Figure>> {
    let [short, long] = pasts;
    let mut both = [Past::open(folder, short.0, short.1).await?, Past::open(folder, long.0, long.1).await?];
    for _ in 0..ROUNDS {
        for past in &mut both {
            past.look().await?;
            past.work().await?;
        }
    }
    let [short, long] = both;
    say(&format!(
        "history, {name}: a look takes {} µs, then {} µs",
        spread(&short.idle_us, 0),
        spread(&long.idle_us, 0)
    ))?;
    let figure = |what: &str, before: &[f64], after: &[f64]| {
        let ratio = median(after) / median(before);
        let name = format!("{what}, {} rows, {name}", pasts[1].1);
        Figure::new(name, format!("{ratio:.2} of {SHORT} rows"), format!("<= {BAR}"), ratio <= BAR)
    };
    let figures = vec![
        figure("pass with nothing due", &short.idle_us, &long.idle_us),
        figure("pass with 100 rows due", &short.busy_ms, &long.busy_ms),
    ];
    short.services.close().await;
    long.services.close().await;
    Ok(figures)
}

impl Past {
    async fn open(folder: &Path, url: &str, rows: u64) -> anyhow::Result<Self> {
        let media = format!("file://{}", folder.join("media").display());
        let services = runtime::open_services(&config(url, &media)).await?;
        let (fill, wake) = if url.starts_with("sqlite") {
            (ON_SQLITE, WAKE_ON_SQLITE)
        } else {
            (ON_POSTGRES, WAKE_ON_POSTGRES)
        };
        for statement in fill {
            run(url, statement.replace("ROWS", &rows.to_string()))
                .await
                .context("the history cannot be written")?;
        }
        let wake = wake.replace("ROWS", &DUE.to_string());
        Ok(Self { services, url: url.to_owned(), wake, idle_us: Vec::new(), busy_ms: Vec::new() })
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let worker = self.services.worker("bench");
        let begun = Instant::now();
        for _ in 0..IDLE {
            worker.run_until_idle(u64::MAX, &CancellationToken::new()).await?;
        }
        self.idle_us.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(IDLE));
        anyhow::ensure!(worker.report().steps == 0, "something was due");
        Ok(())
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        run(&self.url, self.wake.clone()).await?;
        let worker = self.services.worker("bench");
        let begun = Instant::now();
        let report = worker.run_until_idle(u64::MAX, &CancellationToken::new()).await?;
        self.busy_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!((report.steps, report.failures) == (DUE, 0), "the pass did {report:?}");
        Ok(())
    }
}

/// One statement, past the services.
async fn run(url: &str, statement: String) -> anyhow::Result<()> {
    let statement = AssertSqlSafe(statement);
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await?;
        connection.execute(statement).await?;
        return Ok(connection.close().await?);
    }
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(statement).await?;
    Ok(connection.close().await?)
}

#[derive(Parser)]
struct Parsed {
    #[command(flatten)]
    config: Config,
}

fn config(database: &str, media: &str) -> Config {
    let secret = "b1946ac92492d2347c6235b4d2611184c0ffee";
    let words = [
        "kie-web",
        "--database-url",
        database,
        "--media-url",
        media,
        "--kie-api-key",
        "nobody-answers",
        "--secret-key",
        secret,
    ];
    Parsed::parse_from(words).config
}
