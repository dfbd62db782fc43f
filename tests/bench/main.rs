//! Measures what the shop promises about speed, memory and rest; each figure has its bar, and a missed one fails the run.

mod history;
mod idle;
mod latency;
mod load;
mod memory;
mod orders;
mod programs;
mod receiver;
mod reference;
mod scratch;
mod shop;
mod simulator;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::programs::Programs;
use crate::table::Figure;

/// Runs one bench or all of them on built programs.
#[derive(Debug, Parser)]
#[command(name = "figures")]
struct Options {
    /// Which.
    #[arg(value_enum, default_value_t = Bench::All)]
    bench: Bench,
    /// The folder of the built programs.
    #[arg(long, env = "BENCH_PROGRAMS")]
    programs: PathBuf,
    /// A durable PostgreSQL server on which databases may be made; the superuser's address.
    #[arg(long, env = "TEST_DATABASE_URL")]
    database_url: String,
    /// Seconds that one leg of `orders` is measured, after a warm-up.
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 10)]
    seconds: u64,
    /// How often `orders` repeats reference and shop.
    #[arg(long, env = "BENCH_ROUNDS", default_value_t = 3)]
    rounds: usize,
    /// Open connections of `orders`, on both sides.
    #[arg(long, env = "BENCH_CONNECTIONS", default_value_t = 32)]
    connections: usize,
    /// Final rows of `history`.
    #[arg(long, env = "BENCH_HISTORY", default_value_t = 1_000_000)]
    history: u64,
    /// Cargo says this to every bench.
    #[arg(long = "bench", hide = true)]
    run_by_cargo: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Orders over HTTP beside the best single statement.
    Orders,
    /// The memory of a long copy.
    Memory,
    /// How fast results reach their owners.
    Latency,
    /// What a shop without customers uses.
    Idle,
    /// What a pass costs when a million generations lie behind it.
    History,
    /// How much the simulator bears.
    Simulator,
    /// One after the other.
    All,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let programs = Programs::in_folder(&options.programs)?;
    let wanted = |bench| options.bench == bench || options.bench == Bench::All;
    let mut figures: Vec<Figure> = Vec::new();
    if wanted(Bench::Orders) {
        let plan = orders::Plan {
            server: &options.database_url,
            seconds: options.seconds,
            rounds: options.rounds,
            connections: options.connections,
        };
        figures.extend(orders::measure(&programs, &plan).await?);
    }
    if wanted(Bench::Memory) {
        figures.extend(memory::measure(&programs).await?);
    }
    if wanted(Bench::Latency) {
        figures.extend(latency::measure(&programs, &options.database_url).await?);
    }
    if wanted(Bench::Idle) {
        figures.extend(idle::measure(&programs, &options.database_url).await?);
    }
    if wanted(Bench::History) {
        figures.extend(history::measure(&options.database_url, options.history).await?);
    }
    if wanted(Bench::Simulator) {
        figures.extend(simulator::measure(&programs, options.seconds).await?);
    }
    table::print(&figures)?;
    let met = figures.iter().all(|figure| figure.met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
