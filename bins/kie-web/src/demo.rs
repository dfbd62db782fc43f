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
use runtime::config::Config;
use runtime::{Front, Running, Services};
use secrecy::SecretString;
use tokio::net::TcpListener;
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
    let delivered = story::tell(&demo).await?;
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

async fn start(args: &DemoArgs, folder: &Path) -> anyhow::Result<Demo> {
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
    let receiver =
        Receiver::start(port, &tasks, shutdown.clone()).await.with_context(|| taken(port, folder))?;
    state.hook_port = receiver.address().port();
    state.save(folder)?;
    let page = format!("http://{}", listener.local_addr()?);
    let config = config(args, folder, &state, (&sim, &receiver, &page))?;
    let services = runtime::open_services(&config).await?;
    let store = services.lifecycle.store();
    if store.has_real_accounts().await? {
        bail!("this database has accounts that the demo did not create: give it a database of its own");
    }
    let (account, token) = demo_account(&services, &mut state).await?;
    state.save(folder)?;
    let front =
        Front { worker: true, callbacks_only: false, demo_token: Some(SecretString::from(token.clone())) };
    let running = runtime::serve_services(&config, services, front, listener, shutdown).await?;
    Ok(Demo { running, sim, receiver, account, token, page, folder: folder.to_owned() })
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
    let sim = Sim::start(config).await.with_context(|| taken(port, folder))?;
    // Links of running tasks name the port, so it stays the same after a restart.
    state.sim_port = sim.addr().port();
    Ok(sim)
}

fn taken(port: u16, folder: &Path) -> String {
    format!("port {port} cannot be used; if another program has it, delete {}", folder.display())
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
