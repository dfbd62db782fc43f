//! Configuration: flags, each with an environment variable, one group per subsystem.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use domain::{Currency, Decimal};
use lifecycle::{GiveUp, UnclearPolicy};
use outbound::AllowList;
use secrecy::SecretString;
use url::Url;

pub use crate::durations::{Since, duration, since};
use crate::durations::{bytes, give_up};
pub use crate::telemetry::LogFormat;

/// KIE's own API.
pub const KIE_BASE_URL: &str = "https://api.kie.ai";
/// KIE's own upload host.
pub const KIE_UPLOAD_URL: &str = "https://kieai.redpandaai.co";

/// Everything that a serving process needs.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Object storage.
    #[command(flatten)]
    pub media: MediaConfig,
    /// Addresses.
    #[command(flatten)]
    pub http: HttpConfig,
    /// The provider.
    #[command(flatten)]
    pub kie: KieConfig,
    /// Secrets of ours.
    #[command(flatten)]
    pub secrets: SecretConfig,
    /// How long to wait.
    #[command(flatten)]
    pub patience: PatienceConfig,
    /// What it costs.
    #[command(flatten)]
    pub prices: PriceConfig,
    /// How much is allowed.
    #[command(flatten)]
    pub limits: LimitConfig,
    /// The shop's own identities and old addresses.
    #[command(flatten)]
    pub shop: ShopConfig,
}

/// The database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseConfig {
    /// `sqlite://path/to/file.db`, or `postgres://user@host/name` (our objects live in the schema `kie`).
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://data/kie.db", hide_env_values = true)]
    pub database_url: SecretText,
    /// Connections of the PostgreSQL pool; few are faster than many on hot rows.
    #[arg(long, env = "DATABASE_POOL_MAX", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=256))]
    pub database_pool_max: u32,
    /// Tests of crashes; here, because whoever opens the database can be killed at its fail points.
    #[cfg(feature = "failpoints")]
    #[command(flatten)]
    pub crash: CrashConfig,
}

/// Object storage.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct MediaConfig {
    /// `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; credentials by the usual
    /// `AWS_*`, `GOOGLE_*`, `AZURE_*` variables, `AWS_ENDPOINT` included. Default: data/media in the working folder.
    #[arg(long, env = "MEDIA_URL")]
    pub media_url: Option<String>,
    /// How customers reach files: signed links that end after some hours, or permanent unguessable ones.
    #[arg(long, env = "MEDIA_LINKS", value_enum, default_value_t = MediaLinks::Signed)]
    pub media_links: MediaLinks,
    /// The longest result that is copied.
    #[arg(long, env = "MEDIA_MAX_BYTES", default_value = "4GiB", value_parser = bytes)]
    pub media_max_bytes: u64,
    /// The longest file that a customer may upload.
    #[arg(long, env = "UPLOAD_MAX_BYTES", default_value = "50MiB", value_parser = bytes)]
    pub upload_max_bytes: u64,
    /// Private `host:port` or CIDR, comma separated, that result downloads may reach, by http too.
    #[arg(long, env = "FETCH_ALLOW", default_value = "")]
    pub fetch_allow: AllowList,
    /// Private `host:port` or CIDR, comma separated, that outgoing webhooks may reach, by http too.
    #[arg(long, env = "WEBHOOK_ALLOW", default_value = "")]
    pub webhook_allow: AllowList,
}

/// How customers reach files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MediaLinks {
    /// Links that end after 6 to 12 hours.
    Signed,
    /// Links without end.
    Public,
}

/// Addresses.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Addresses")]
pub struct HttpConfig {
    /// Our address as customers and KIE see it.
    #[arg(long, env = "PUBLIC_URL", default_value = "http://127.0.0.1:8080")]
    pub public_url: Url,
    /// Where to listen. Default: 127.0.0.1:8080, or 0.0.0.0:$PORT where the platform sets PORT.
    #[arg(long, env = "LISTEN_ADDR")]
    pub listen_addr: Option<SocketAddr>,
    /// The port, as platforms set it; means 0.0.0.0:$PORT.
    #[arg(long, env = "PORT", hide = true)]
    pub port: Option<u16>,
    /// Where to serve /metrics without a token, on a listener of its own.
    #[arg(long, env = "METRICS_ADDR")]
    pub metrics_addr: Option<SocketAddr>,
}

impl HttpConfig {
    /// The address to listen on.
    pub fn listen(&self) -> SocketAddr {
        match (self.listen_addr, self.port) {
            (Some(address), _) => address,
            (None, Some(port)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            (None, None) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
        }
    }
}

/// The provider.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "KIE")]
pub struct KieConfig {
    /// The key of the account that buys. Serving refuses to start without it.
    #[arg(long, env = "KIE_API_KEY", hide_env_values = true)]
    pub kie_api_key: Option<SecretText>,
    /// The API's address.
    #[arg(long, env = "KIE_BASE_URL", default_value = KIE_BASE_URL)]
    pub kie_base_url: Url,
    /// The upload host's address.
    #[arg(long, env = "KIE_UPLOAD_URL", default_value = KIE_UPLOAD_URL)]
    pub kie_upload_url: Url,
    /// The webhookHmacKey of KIE's settings page; if set, callbacks must carry KIE's signature besides our token.
    #[arg(long, env = "KIE_WEBHOOK_HMAC_KEY", hide_env_values = true)]
    pub kie_webhook_hmac_key: Option<SecretText>,
    /// New tasks per 10 s for the whole account, shared by all processes; 0 is off.
    #[arg(long, env = "KIE_CREATES_PER_10S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub kie_creates_per_10s: u32,
    /// How long an answer to createTask is waited for; then nobody knows whether KIE has the task. KIE may take 90 s.
    #[arg(long, env = "KIE_CREATE_TIMEOUT", default_value = "2m", value_parser = duration)]
    pub kie_create_timeout: Duration,
    /// A folder of model files that add to or replace those of the built-in catalogue.
    #[arg(long, env = "CATALOGUE_OVERLAY")]
    pub catalogue_overlay: Option<PathBuf>,
}

/// Secrets of ours.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Secrets")]
pub struct SecretConfig {
    /// Signs media links and callback tokens: at least 32 bytes, such as `openssl rand -hex 32` prints.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<SecretText>,
    /// Previous keys, comma separated, that still verify.
    #[arg(long, env = "SECRET_KEY_PREVIOUS", hide_env_values = true, value_delimiter = ',')]
    pub secret_key_previous: Vec<SecretText>,
}

/// How long to wait.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Patience")]
pub struct PatienceConfig {
    /// How long nobody may know whether KIE has a task.
    #[arg(long, env = "UNCLEAR_AFTER", default_value = "2h", value_parser = duration)]
    pub unclear_after: Duration,
    /// What happens then: the money goes back, or the job waits for the operator.
    #[arg(long, env = "UNCLEAR_POLICY", value_enum, default_value_t = Unclear::Release)]
    pub unclear_policy: Unclear,
    /// How long a job may wait to be sent.
    #[arg(long, env = "PENDING_AFTER", default_value = "6h", value_parser = duration)]
    pub pending_after: Duration,
    /// How long KIE may take, by kind; then the money goes back.
    #[arg(long, env = "GIVE_UP_AFTER", default_value = "image=6h,audio=12h,video=72h", value_parser = give_up)]
    pub give_up_after: GiveUp,
}

/// What happens to a job that stays unclear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unclear {
    /// The money goes back.
    Release,
    /// It waits for the operator.
    Hold,
}

impl From<Unclear> for UnclearPolicy {
    fn from(policy: Unclear) -> Self {
        match policy {
            Unclear::Release => Self::Release,
            Unclear::Hold => Self::Hold,
        }
    }
}

/// What it costs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Prices")]
pub struct PriceConfig {
    /// CODE, with two digits behind the point, or CODE:digits. Written into the database at the first start.
    #[arg(long, env = "CURRENCY", default_value = "RUB")]
    pub currency: Currency,
    /// Currency units for one USD.
    #[arg(long, env = "USD_RATE", default_value = "78")]
    pub usd_rate: Decimal,
    /// Price = cost × rate × mark-up.
    #[arg(long, env = "MARKUP", default_value = "2")]
    pub markup: Decimal,
    /// A TOML file of fixed prices, which win: `[[price]]` with model, when, amount.
    #[arg(long, env = "PRICES")]
    pub prices: Option<PathBuf>,
    /// Models that are given away, comma separated.
    #[arg(
        long,
        env = "FREE_MODELS",
        value_delimiter = ',',
        default_value = "z-image,qwen/text-to-image,qwen/image-to-image,qwen/image-edit"
    )]
    pub free_models: Vec<String>,
    /// Free generations per account and day.
    #[arg(long, env = "FREE_PER_DAY", default_value_t = 10)]
    pub free_per_day: u32,
}

/// How much is allowed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitConfig {
    /// Requests per second and token, as N/s; 0 is off.
    #[arg(long, env = "RATE_LIMIT", default_value = "50/s", value_parser = rate)]
    pub rate_limit: Rate,
    /// Open generations per account.
    #[arg(long, env = "MAX_OPEN_JOBS", default_value_t = 200)]
    pub max_open_jobs: u32,
    /// Proxies, as addresses or CIDR, whose X-Forwarded-For is believed.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
    /// Origins, comma separated, whose pages may call the API from a browser.
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<String>,
}

/// Requests per second; none is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<u32>);

fn rate(text: &str) -> Result<Rate, String> {
    let digits = text.strip_suffix("/s").unwrap_or(text);
    let count: u32 =
        digits.parse().map_err(|_not_a_number| format!("`{text}` is not a rate such as 50/s, or 0"))?;
    Ok(Rate((count > 0).then_some(count)))
}

/// The shop's own identities and old addresses.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shop")]
pub struct ShopConfig {
    /// Keys of the shop's identity provider: a JWT of it is a customer token, `sub` is the external id.
    #[arg(long, env = "AUTH_JWKS_URL")]
    pub auth_jwks_url: Option<Url>,
    /// The audience that its tokens must name.
    #[arg(long, env = "AUTH_AUDIENCE")]
    pub auth_audience: Option<String>,
    /// Extra callback paths of an old shop, comma separated: a known task id found there wakes its job.
    #[arg(long, env = "LEGACY_CALLBACKS", value_delimiter = ',')]
    pub legacy_callbacks: Vec<String>,
    /// Language of pages and messages where the customer chose none.
    #[arg(long, env = "DEFAULT_LANGUAGE", default_value = "ru", value_parser = ["ru", "en"])]
    pub default_language: String,
}

/// What only tests of crashes set; no variable does.
#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Args)]
pub struct CrashConfig {
    /// The folder by which fail points are armed.
    #[arg(long, hide = true)]
    pub fail_points: Option<PathBuf>,
    /// How far the clock of this process's services is ahead, so that leases of a killed one are over.
    #[arg(long, hide = true, value_parser = duration)]
    pub clock_ahead: Option<Duration>,
}

/// Logs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogConfig {
    /// What is logged: a level, or a list such as info,lifecycle=debug. Default: info; warn in the demo and in kie-reconciler.
    #[arg(long = "log", env = "RUST_LOG", global = true)]
    pub filter: Option<String>,
    /// For people, or one JSON object a line.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty, global = true)]
    pub log_format: LogFormat,
}

/// A text that must not be shown; `Debug` prints stars.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// The secret itself.
    pub const fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl std::str::FromStr for SecretText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text))
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
