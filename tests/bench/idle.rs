//! What a shop without customers uses.

use std::time::Duration;

use sqlx::PgConnection;

use crate::programs::Programs;
use crate::scratch::Scratch;
use crate::shop::{Place, Shop, free_address};
use crate::table::{Figure, say};

/// After this time the work of starting is over.
const SETTLE: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_mins(1);
const MEMORY_BAR_MIB: f64 = 40.0;
/// Ticks of 10 ms in the watched minute: half a per cent of one core.
const TICKS_BAR: u64 = 30;
const STATEMENTS_BAR: f64 = 3.0;

pub(crate) async fn measure(programs: &Programs, server: &str) -> anyhow::Result<Vec<Figure>> {
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let sqlite = format!("sqlite://{}", folder.path().join("kie.db").display());
    let scratch = Scratch::create(server, "kie_bench_idle").await?;
    // Neither does anything, so both are watched in the same minute.
    let on_sqlite = start(programs, folder.path(), &sqlite).await?;
    let on_postgres = start(programs, other.path(), &scratch.url()).await?;
    let mut connection = scratch.connect().await?;
    tokio::time::sleep(SETTLE).await;
    let before = (on_sqlite.cpu_ticks()?, on_postgres.cpu_ticks()?, commits(&mut connection).await?);
    tokio::time::sleep(WATCHED).await;
    let after = (on_sqlite.cpu_ticks()?, on_postgres.cpu_ticks()?, commits(&mut connection).await?);
    let memory = [&on_sqlite, &on_postgres].map(|shop| shop.memory_kib("VmRSS"));
    let [memory, memory_on_postgres] = memory;
    #[expect(clippy::cast_precision_loss, reason = "KiB of one process and counts of a minute")]
    let (memory_mib, other_mib, per_second) = (
        memory? as f64 / 1024.0,
        memory_on_postgres? as f64 / 1024.0,
        // One of them is the question itself.
        (after.2 - before.2 - 1) as f64 / WATCHED.as_secs_f64(),
    );
    say(&format!(
        "idle: ready after {} ms; on PostgreSQL {other_mib:.1} MiB, {} ticks a minute",
        on_sqlite.ready_after.as_millis(),
        after.1 - before.1
    ))?;
    on_sqlite.stop().await?;
    on_postgres.stop().await?;
    drop(connection);
    scratch.drop_database().await?;
    let ticks = after.0 - before.0;
    Ok(vec![
        Figure::new(
            "idle memory, SQLite",
            format!("{memory_mib:.1} MiB"),
            format!("< {MEMORY_BAR_MIB} MiB"),
            memory_mib < MEMORY_BAR_MIB,
        ),
        Figure::new(
            "idle processor time in a minute, SQLite",
            format!("{} ms", ticks * 10),
            format!("< {} ms", TICKS_BAR * 10),
            ticks < TICKS_BAR,
        ),
        Figure::new(
            "idle transactions per second, PostgreSQL",
            format!("{per_second:.2}"),
            format!("<= {STATEMENTS_BAR}"),
            per_second <= STATEMENTS_BAR,
        ),
    ])
}

async fn start(programs: &Programs, folder: &std::path::Path, database: &str) -> anyhow::Result<Shop> {
    let closed = free_address()?;
    let place = Place {
        database,
        media: &format!("file://{}", folder.join("media").display()),
        provider: closed,
        provider_key: "nobody-answers",
        receiver: closed,
        more: &[],
    };
    Shop::start(programs, folder, &place).await
}

/// Transactions so far; each statement of the shop that stands alone is one.
async fn commits(connection: &mut PgConnection) -> anyhow::Result<i64> {
    let query = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    Ok(sqlx::query_scalar(query).fetch_one(connection).await?)
}
