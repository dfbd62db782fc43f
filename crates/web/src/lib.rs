//! HTTP: the API, callbacks, media and pages.

use std::sync::Arc;

use axum::Router;
use lifecycle::Lifecycle;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Everything the front end needs.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub lifecycle: Arc<Lifecycle>,
    /// The files.
    pub media: media::MediaStore,
    /// Signs and checks links to files.
    pub links: media::LinkSigner,
    /// What the deployment decided.
    pub settings: Settings,
}

/// What the deployment decided about the front end.
#[derive(Clone)]
pub struct Settings {
    /// The program's version.
    pub version: &'static str,
    /// KIE's webhook key; when set, callbacks must be signed.
    pub hmac_key: Option<SecretString>,
    /// Requests per token per second; `None` is no limit.
    pub rate_limit: Option<u32>,
    /// Proxies (address or CIDR) whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Origins that may call the API from a browser.
    pub allowed_origins: Vec<String>,
    /// The largest upload, bytes.
    pub upload_max_bytes: u64,
    /// Callback paths of an older shop.
    pub legacy_callbacks: Vec<String>,
    /// The shop's own identity provider.
    pub jwks: Option<JwksSettings>,
    /// The demo's account token for browsers without credentials.
    pub demo_token: Option<SecretString>,
    /// The language when a browser asks for neither of ours: `ru` or `en`.
    pub default_language: String,
}

/// Where JWTs are checked.
#[derive(Clone)]
pub struct JwksSettings {
    /// The key set's address.
    pub url: Url,
    /// The audience that a token must name, if any.
    pub audience: Option<String>,
}

/// Settings that cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {}

/// The whole front end.
///
/// # Errors
/// When a setting cannot be read.
pub fn router(app: App) -> Result<Router, SettingsError> {
    drop(app);
    Ok(Router::new())
}

/// Callbacks, media and health only.
///
/// # Errors
/// As [`router`].
pub fn callbacks_router(app: App) -> Result<Router, SettingsError> {
    router(app)
}

/// `/metrics` without a token, for a listener of its own.
///
/// # Errors
/// As [`router`].
pub fn metrics_router(app: App) -> Result<Router, SettingsError> {
    router(app)
}

/// Serves until `shutdown`, then lets open requests finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}
