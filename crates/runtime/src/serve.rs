//! Serving: pages, API, callbacks and media, with or without a worker beside them.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use domain::Clock;
use lifecycle::PassReport;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::wire::{Services, callbacks_unreachable, open_services};

/// A service that serves; for those who start it inside their own process.
pub struct Running {
    /// The services behind it.
    pub services: Services,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    broken: Arc<AtomicBool>,
}

impl Running {
    /// Stops: takes no more work, finishes what is open, closes the database.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.wait().await;
    }

    /// Waits until it was stopped and has finished: success if it was asked to stop, failure if a part of it ended by
    /// itself.
    pub async fn wait(self) -> ExitCode {
        self.tasks.close();
        self.tasks.wait().await;
        self.services.lifecycle.store().close().await;
        if self.broken.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// What a process serves.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// Whether the worker runs in this process.
    pub worker: bool,
    /// Whether only callbacks, media and health are served.
    pub callbacks_only: bool,
    /// Browsers without credentials read as this account: the demo.
    pub demo_token: Option<SecretString>,
}

/// Opens everything, starts serving, and returns when the listener is bound.
///
/// # Errors
/// As [`open_services`]; also when the address is taken.
pub async fn serve(config: &Config, front: Front, shutdown: CancellationToken) -> anyhow::Result<Running> {
    let services = open_services(config).await?;
    let listen = config.http.listen();
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: is it in use?"))?;
    serve_services(config, services, front, listener, shutdown).await
}

/// The same over services and a listener that the caller has.
///
/// # Errors
/// When the settings of the front end cannot be read.
pub async fn serve_services(
    config: &Config,
    services: Services,
    front: Front,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<Running> {
    let tasks = TaskTracker::new();
    let broken = Arc::new(AtomicBool::new(false));
    let watch = |part| Watch { part, shutdown: shutdown.clone(), broken: broken.clone() };
    let address = listener.local_addr()?;
    start_lines(&services).await?;
    start_address(config, &services, address);
    let worker = front.worker.then(|| services.worker(&format!("{}:{}", std::process::id(), address.port())));
    let app = web::App {
        lifecycle: services.lifecycle.clone(),
        media: services.media.clone(),
        links: services.links.clone(),
        settings: settings(config, front.demo_token),
    };
    let metrics = config.http.metrics_addr.map(|address| (address, app.clone()));
    let router = if front.callbacks_only { web::callbacks_router(app)? } else { web::router(app)? };
    let stop = shutdown.clone();
    tasks.spawn(guarded(watch("web"), async move {
        web::serve(listener, router, stop).await;
        Ok(())
    }));
    if let Some((address, app)) = metrics {
        let listener = TcpListener::bind(address).await.context("METRICS_ADDR cannot be bound")?;
        let (router, stop) = (web::metrics_router(app)?, shutdown.clone());
        tasks.spawn(guarded(watch("metrics"), async move {
            web::serve(listener, router, stop).await;
            Ok(())
        }));
    }
    if let Some(worker) = worker {
        let stop = shutdown.clone();
        tasks.spawn(guarded(watch("worker"), async move {
            worker.run(stop).await;
            Ok(())
        }));
    }
    tasks.spawn(follow_database_clock(services.clone(), shutdown.clone()));
    Ok(Running { services, address, tasks, shutdown, broken })
}

/// Works without serving, as a process of its own, until `shutdown`; then finishes open steps. What was done.
///
/// # Errors
/// As [`open_services`].
pub async fn work(config: &Config, name: &str, shutdown: CancellationToken) -> anyhow::Result<PassReport> {
    let services = open_services(config).await?;
    start_lines(&services).await?;
    let tasks = TaskTracker::new();
    tasks.spawn(follow_database_clock(services.clone(), shutdown.clone()));
    let worker = services.worker(name);
    worker.run(shutdown).await;
    tasks.close();
    tasks.wait().await;
    services.close().await;
    Ok(worker.report())
}

struct Watch {
    part: &'static str,
    shutdown: CancellationToken,
    broken: Arc<AtomicBool>,
}

/// A part that ends by itself takes the whole process down in order: half a service is worse than none.
async fn guarded(watch: Watch, work: impl Future<Output = std::io::Result<()>>) {
    let ended = work.await;
    if !watch.shutdown.is_cancelled() {
        tracing::error!(part = watch.part, ?ended, "part.ended: stopping the process");
        watch.broken.store(true, Ordering::Relaxed);
        watch.shutdown.cancel();
    }
}

/// Measures the database's clock anew from time to time, so that the leases of all processes agree.
async fn follow_database_clock(services: Services, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(std::time::Duration::from_mins(5)) => {}
        }
        if let Ok(skew) = services.lifecycle.measure_skew().await {
            services.clock.shift_offset_micros(skew.micros);
        }
    }
}

fn settings(config: &Config, demo_token: Option<SecretString>) -> web::Settings {
    web::Settings {
        version: env!("CARGO_PKG_VERSION"),
        hmac_key: config.kie.kie_webhook_hmac_key.as_ref().map(|key| key.secret().clone()),
        rate_limit: config.limits.rate_limit.0,
        trusted_proxies: config.limits.trusted_proxies.clone(),
        allowed_origins: config.limits.allowed_origins.clone(),
        upload_max_bytes: config.media.upload_max_bytes,
        legacy_callbacks: config.shop.legacy_callbacks.clone(),
        jwks: config
            .shop
            .auth_jwks_url
            .clone()
            .map(|url| web::JwksSettings { url, audience: config.shop.auth_audience.clone() }),
        demo_token,
        default_language: config.shop.default_language.clone(),
    }
}

/// One line each: what an operator wants to see first.
async fn start_lines(services: &Services) -> anyhow::Result<()> {
    let lifecycle: &Arc<_> = &services.lifecycle;
    let store = lifecycle.store();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "start.version");
    tracing::info!(database = store.describe(), schema = store.schema_version().await?, "start.database");
    let catalogue = lifecycle.offers().catalogue();
    let (models, for_sale) = (catalogue.models().count(), lifecycle.offers().count_for_sale());
    tracing::info!(catalogue = catalogue.version(), models, for_sale, "start.catalogue");
    tracing::info!(storage = services.media.describe(), "start.storage");
    Ok(())
}

fn start_address(config: &Config, services: &Services, address: std::net::SocketAddr) {
    let now = services.clock.now();
    tracing::info!(%address, public_url = %config.http.public_url, %now, "start.address");
    if callbacks_unreachable(config) {
        tracing::warn!(
            "start.callbacks: PUBLIC_URL is of this machine alone, so KIE is given no callback address; \
                        results are found by polling"
        );
    }
}
