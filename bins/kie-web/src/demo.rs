//! `kie-web demo`: the real path against the simulator, told step by step.

mod receiver;
mod state;
mod story;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use kie_sim::{Durations, Sim, SimConfig};
use runtime::config::{Config, DatabaseConfig};
use runtime::{Front, Running, Services, Store};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::DemoArgs;
use receiver::Receiver;
use state::DemoState;

pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    refuse_real_settings(args)?;
    let temporary = if args.once { Some(tempfile::tempdir()?) } else { None };
    let folder = temporary.as_ref().map_or_else(|| args.folder.clone(), |folder| folder.path().to_owned());
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    let demo = start(args, &folder).await?;
    let told = tokio::select! {
        told = story::tell(&demo) => Some(told?),
        // Whoever presses ^C does not want to hear the rest.
        () = demo.shutdown.cancelled() => None,
    };
    let Some(delivered) = told else {
        let code = demo.running.wait().await;
        demo.sim.stop().await;
        return Ok(if args.once { ExitCode::FAILURE } else { code });
    };
    if args.once {
        demo.running.stop().await;
        demo.sim.stop().await;
        return Ok(if delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    story::say("serving until ^C; order more on the page or by curl")?;
    let code = demo.running.wait().await;
    demo.sim.stop().await;
    Ok(code)
}

/// Everything that runs.
pub(crate) struct Demo {
    pub(crate) running: Running,
    pub(crate) sim: Sim,
    receiver: Receiver,
    pub(crate) account: runtime::AccountId,
    pub(crate) token: String,
    pub(crate) page: String,
    pub(crate) folder: PathBuf,
    shutdown: CancellationToken,
}

impl Demo {
    pub(crate) const fn services(&self) -> &Services {
        &self.running.services
    }

    /// Path and signed query under which an asset is served.
    pub(crate) fn link(&self, asset: &operations::StoredOutput) -> String {
        self.services().media_link(asset.asset, &asset.file_name)
    }
}

fn refuse_real_settings(args: &DemoArgs) -> anyhow::Result<()> {
    if args.kie_api_key.is_some() {
        bail!(
            "KIE_API_KEY is set: the demo buys nothing and takes no real key; unset it, or use `kie-web serve`"
        );
    }
    if args.port.is_some() || !args.listen_addr.ip().is_loopback() {
        bail!(
            "the demo signs every visitor in, so it listens on this machine's own addresses only (127.0.0.1)"
        );
    }
    Ok(())
}

#[derive(Parser)]
struct OnlyDatabase {
    #[command(flatten)]
    database: DatabaseConfig,
}

/// Looks into a database that is there before anything of it is made or migrated.
async fn refuse_foreign_database(url: &str) -> anyhow::Result<()> {
    let file = url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//").split('?').next());
    let file = file.flatten().map(Path::new);
    if file.is_some_and(|file| file.metadata().map_or(true, |known| known.len() == 0)) {
        return Ok(());
    }
    let only = OnlyDatabase::try_parse_from(["kie-web", "--database-url", url])?;
    match runtime::open_store_as_it_is(&only.database).await {
        Ok(store) => {
            let judged = refuse_real_accounts(&*store).await;
            store.close().await;
            judged
        }
        // An empty PostgreSQL database has nothing to look into.
        Err(_) if file.is_none() => Ok(()),
        Err(error) => Err(error.context("the demo cannot look into this database: give it one of its own")),
    }
}

async fn refuse_real_accounts(store: &dyn Store) -> anyhow::Result<()> {
    if store.has_real_accounts().await? {
        bail!("this database has accounts that the demo did not create: give it a database of its own");
    }
    Ok(())
}

async fn start(args: &DemoArgs, folder: &Path) -> anyhow::Result<Demo> {
    if let Some(url) = &args.database_url {
        refuse_foreign_database(url).await?;
    }
    let mut state = DemoState::load_or_make(folder)?;
    let tasks = TaskTracker::new();
    let shutdown = runtime::shutdown_token(&tasks)?;
    let sim = start_sim(args, folder, &mut state).await?;
    state.save(folder)?;
    let listen = if args.once { SocketAddr::new(args.listen_addr.ip(), 0) } else { args.listen_addr };
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: is it in use?"))?;
    // Deliveries that are owed since the last start name the port.
    let port = if args.once { 0 } else { state.hook_port };
    let receiver = Receiver::start(port, &tasks, shutdown.clone())
        .await
        .with_context(|| taken("webhook receiver", port, folder))?;
    state.hook_port = receiver.address().port();
    state.save(folder)?;
    let page = format!("http://{}", listener.local_addr()?);
    let config = config(args, folder, &state, (&sim, &receiver, &page))?;
    let services = runtime::open_services(&config).await?;
    refuse_real_accounts(services.lifecycle.store()).await?;
    let (account, token) = demo_account(&services, &mut state).await?;
    state.save(folder)?;
    let front =
        Front { worker: true, callbacks_only: false, demo_token: Some(SecretString::from(token.clone())) };
    let running = runtime::serve_services(&config, services, front, listener, shutdown.clone()).await?;
    Ok(Demo { running, sim, receiver, account, token, page, folder: folder.to_owned(), shutdown })
}

async fn start_sim(args: &DemoArgs, folder: &Path, state: &mut DemoState) -> anyhow::Result<Sim> {
    let seconds = |count| Duration::from_secs(if args.once { 1 } else { count });
    let port = if args.once { 0 } else { state.sim_port };
    let config = SimConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        api_key: state.sim_key.clone(),
        hmac_key: Some(state.hmac_key.clone()),
        folder: Some(folder.join("simulator")),
        duration: Durations { image: seconds(4), video: seconds(9), audio: seconds(6), text: seconds(2) },
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.with_context(|| taken("simulator", port, folder))?;
    // Links of running tasks name the port, so it stays the same after a restart.
    state.sim_port = sim.addr().port();
    Ok(sim)
}

fn taken(who: &str, port: u16, folder: &Path) -> String {
    format!("the {who} cannot start on port {port}; if another program has it, delete {}", folder.display())
}

#[derive(Parser)]
struct Parsed {
    #[command(flatten)]
    config: Config,
}

/// The demo is configured like any shop: by the same flags.
fn config(
    args: &DemoArgs,
    folder: &Path,
    state: &DemoState,
    (sim, receiver, page): (&Sim, &Receiver, &str),
) -> anyhow::Result<Config> {
    let database = format!("sqlite://{}", folder.join("kie.db").display());
    let media = format!("file://{}", folder.join("media").display());
    let sim_url = sim.url().to_string();
    let flags = [
        ("--database-url", args.database_url.clone().unwrap_or(database)),
        ("--media-url", args.media_url.clone().unwrap_or(media)),
        ("--public-url", page.to_owned()),
        ("--kie-api-key", state.sim_key.clone()),
        ("--kie-base-url", sim_url.clone()),
        ("--kie-upload-url", sim_url),
        ("--kie-webhook-hmac-key", state.hmac_key.clone()),
        ("--secret-key", state.secret_key.clone()),
        ("--fetch-allow", sim.addr().to_string()),
        ("--webhook-allow", receiver.address().to_string()),
    ];
    let words = std::iter::once("kie-web".to_owned())
        .chain(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    Ok(Parsed::try_parse_from(words)?.config)
}

/// The demo account, its token and its money; the same after every restart.
async fn demo_account(
    services: &Services,
    state: &mut DemoState,
) -> anyhow::Result<(runtime::AccountId, String)> {
    let (store, ids) = (services.lifecycle.store(), services.lifecycle.ids());
    let name = Some("Demo".to_owned());
    let added = operations::add_account(store, ids, Some("demo".to_owned()), name, None, true).await?;
    let account = added.id.parse()?;
    let known = match &state.token {
        Some(token) => operations::is_token_known(store, token).await?,
        None => false,
    };
    if !known {
        let role = operations::parse_role("customer")?;
        state.token = Some(operations::add_token(store, ids, account, role).await?.token);
    }
    operations::top_up(store, ids, account, "10000", ("demo", "money to play with")).await?;
    let token = state.token.clone().context("a token was just made")?;
    Ok((account, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_of_somebody_else_is_refused_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kie.db");
        let url = format!("sqlite://{}", file.display());
        refuse_foreign_database(&url).await.unwrap();
        assert!(!file.exists(), "looking makes nothing");
        std::fs::write(&file, "another program's").unwrap();
        refuse_foreign_database(&url).await.unwrap_err();
        assert_eq!(std::fs::read(&file).unwrap(), b"another program's");
        std::fs::remove_file(&file).unwrap();
        let only = OnlyDatabase::try_parse_from(["kie-web", "--database-url", &url]).unwrap();
        let ids = runtime::ids();
        for (name, demo) in [("demo", true), ("customer-1", false)] {
            refuse_foreign_database(&url).await.unwrap();
            let store = runtime::open_store(&only.database).await.unwrap();
            operations::add_account(&*store, &ids, Some(name.to_owned()), None, None, demo).await.unwrap();
            store.close().await;
        }
        let refused = refuse_foreign_database(&url).await.unwrap_err().to_string();
        assert!(refused.contains("accounts that the demo did not create"), "{refused}");
    }
}
