//! The composition root: every service is built from its own slice of the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use delivery::Webhooks;
use domain::{AssetId, Clock, Timestamp};
use kie_catalogue::Catalogue;
use kie_client::{Client, RetryPolicy};
use ledger::Ids;
use lifecycle::{
    KieProvider, Lifecycle, MediaVault, Offers, Policy, Ports, PriceList, Pricing, Provider, SecretKeys,
    Vault, Worker, WorkerOptions,
};
use media::{FetchLimits, Fetcher, LinkMode, LinkSigner, MediaStore, ThumbnailLimits, Thumbnailer, Variant};
use operations::Check;
use outbound::{AllowList, ClientOptions, Guard};
use store::{OpenShop, Store};
use url::Url;

use crate::clock::{OffsetClock, OsChance};
use crate::config::{Config, KIE_BASE_URL, KieConfig, MediaConfig, MediaLinks, PriceConfig};
use crate::open::{open_store, open_store_as_it_is};

/// Lease of an ordinary step; after a kill its rows are taken over when it ends.
const LEASE: Duration = Duration::from_secs(20);

/// The services of one process, composed.
#[derive(Clone)]
pub struct Services {
    /// The use cases.
    pub lifecycle: Arc<Lifecycle>,
    /// Object storage, for serving.
    pub media: MediaStore,
    /// Makes and judges media links.
    pub links: LinkSigner,
    /// The real clock.
    pub clock: Arc<OffsetClock>,
}

impl Services {
    /// A worker over these services; `name` is what it is known by while it is alive.
    pub fn worker(&self, name: &str) -> Worker {
        let options = WorkerOptions { name: name.to_owned(), ..WorkerOptions::default() };
        Worker::new(self.lifecycle.clone(), options)
    }

    /// Path and signed query under which an asset is served; `file_name` is what a download is called.
    pub fn media_link(&self, asset: AssetId, file_name: &str) -> String {
        self.links.link(asset, Variant::Original, file_name, self.clock.now())
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.lifecycle.store().close().await;
    }
}

/// This process's own clock and chance, for those who have no database.
pub fn ids() -> Ids {
    Ids { clock: Arc::new(OffsetClock::default()), chance: Arc::new(OsChance) }
}

/// Clock and chance for those who write into this database: the process's clock is set by the database's.
///
/// # Errors
/// When the database fails.
pub async fn ids_by(store: &dyn Store) -> anyhow::Result<Ids> {
    let clock = Arc::new(OffsetClock::default());
    clock.set_by(store.database_time()).await.context("the database's clock cannot be read")?;
    Ok(Ids { clock, chance: Arc::new(OsChance) })
}

/// The present moment by this process's own clock.
pub fn now() -> Timestamp {
    OffsetClock::default().now()
}

/// The provider alone, for looking at records.
///
/// # Errors
/// When the key is missing.
pub fn open_provider(config: &KieConfig) -> anyhow::Result<Arc<dyn Provider>> {
    Ok(Arc::new(KieProvider::new(kie_client(config)?)))
}

/// KIE's own client, for tools that ask KIE and nobody else.
///
/// # Errors
/// When the key is missing or an address is not one.
pub fn open_kie_client(config: &KieConfig) -> anyhow::Result<Client> {
    kie_client(config)
}

/// The catalogue as it is sold: the built-in one with the overlay.
///
/// # Errors
/// When the overlay's folder cannot be read.
pub fn open_catalogue(config: &KieConfig) -> anyhow::Result<Catalogue> {
    catalogue(config)
}

/// Looks at what lies outside: KIE's account, and our own public address without following redirects.
pub async fn check_outside(config: &Config) -> Vec<Check> {
    let credit = match kie_client(&config.kie) {
        Ok(client) => {
            client.credit().await.map(|_credits| "the key is good").map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    vec![Check::new("KIE key", credit), Check::new("PUBLIC_URL", public_address(config).await)]
}

async fn public_address(config: &Config) -> Result<String, String> {
    let base = config.http.public_url.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{base}/healthz")).map_err(|error| error.to_string())?;
    let allow: AllowList =
        format!("{}:{}", url.host_str().unwrap_or(""), url.port_or_known_default().unwrap_or(80))
            .parse()
            .map_err(|error: outbound::ParseAllowListError| error.to_string())?;
    let client = Guard::new(allow).client(&ClientOptions::default()).map_err(|error| error.to_string())?;
    let request = client.request(outbound::Method::GET, &url).map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        return Ok(format!("{base} answers"));
    }
    Err(format!("{base}/healthz answers {}: callbacks and media links would not arrive", answer.status()))
}

/// Opens object storage; a local folder is made.
///
/// # Errors
/// When the address cannot be read or a local folder cannot be made.
pub fn open_media(config: &MediaConfig) -> anyhow::Result<MediaStore> {
    open_media_at(&media_url(config)?)
}

/// Opens object storage as it is: a local folder that is not there is refused.
///
/// # Errors
/// When the address cannot be read or there is no such folder.
pub fn open_media_as_it_is(config: &MediaConfig) -> anyhow::Result<MediaStore> {
    let url = media_url(config)?;
    if let Some(folder) = folder(&url).filter(|folder| !folder.is_dir()) {
        let advice = if config.media_url.is_some() { "is MEDIA_URL right?" } else { "MEDIA_URL is not set" };
        bail!("there is no folder {}: {advice}; a shop makes it when it starts", folder.display());
    }
    open_media_at(&url)
}

fn media_url(config: &MediaConfig) -> anyhow::Result<String> {
    if let Some(url) = &config.media_url {
        return Ok(url.clone());
    }
    let folder = std::env::current_dir().context("the working folder is gone")?.join("data/media");
    Ok(Url::from_file_path(&folder).map(String::from).unwrap_or_default())
}

/// The folder of a local storage.
fn folder(url: &str) -> Option<PathBuf> {
    Url::parse(url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
}

fn open_media_at(url: &str) -> anyhow::Result<MediaStore> {
    let credentials = std::env::vars()
        .filter(|(name, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix)));
    MediaStore::open(url, credentials).context("MEDIA_URL cannot be opened")
}

/// The maker of thumbnails, for tools that need nothing else.
pub fn thumbnailer() -> Thumbnailer {
    Thumbnailer::new(ThumbnailLimits::default())
}

/// Composes everything that serving and working need. Fails closed: a missing secret, an unreachable storage or an
/// unknown schema is an error that says what to do.
///
/// # Errors
/// As said.
pub async fn open_services(config: &Config) -> anyhow::Result<Services> {
    open_services_over(config, open_media(&config.media)?).await
}

/// The same over a storage that the caller has opened; `MEDIA_URL` is not looked at.
///
/// # Errors
/// As [`open_services`].
pub async fn open_services_over(config: &Config, media: MediaStore) -> anyhow::Result<Services> {
    let secrets = Secrets::of(config)?;
    let store = open_store(&config.database).await.context("the database cannot be opened")?;
    media.probe().await.context("the storage behind MEDIA_URL cannot be written and read")?;
    let clock = Arc::new(OffsetClock::default());
    match store.open_shop(&config.prices.currency.to_string(), clock.now()).await? {
        OpenShop::Open => {}
        OpenShop::OtherCurrency(kept) => return Err(other_currency(&config.prices, &kept)),
    }
    if let Some(slots) = create_slots(&config.kie) {
        store.ensure_slots(slots).await?;
    }
    let services = compose(config, secrets, (store, media), clock).await?;
    services.lifecycle.offers().refresh(services.lifecycle.store(), services.clock.now()).await?;
    Ok(services)
}

/// Composes the same for tools that look or decide, over what is there: nothing is migrated, made or written.
///
/// # Errors
/// As [`open_services`]; also when the shop was never opened, or its schema is older than this program.
pub async fn open_services_as_it_is(config: &Config) -> anyhow::Result<Services> {
    let secrets = Secrets::of(config)?;
    let store = open_store_as_it_is(&config.database).await.context("the database cannot be opened")?;
    let media = open_media_as_it_is(&config.media)?;
    match store.currency().await? {
        Some(kept) if kept == config.prices.currency.to_string() => {}
        Some(kept) => return Err(other_currency(&config.prices, &kept)),
        None => {
            bail!("the shop was never opened: start kie-web or kie-bot once, so that the currency is fixed")
        }
    }
    compose(config, secrets, (store, media), Arc::default()).await
}

/// What is refused before anything is opened.
struct Secrets {
    kie: Client,
    keys: SecretKeys,
}

impl Secrets {
    fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { kie: kie_client(&config.kie)?, keys: secret_keys(config)? })
    }
}

async fn compose(
    config: &Config,
    Secrets { kie, keys }: Secrets,
    (store, media): (Arc<dyn Store>, MediaStore),
    clock: Arc<OffsetClock>,
) -> anyhow::Result<Services> {
    let offers = Offers::new(Arc::new(catalogue(&config.kie)?), pricing(&config.prices));
    for fault in offers.price_faults() {
        tracing::error!(fault, "prices.fault");
    }
    let ports = Ports {
        store,
        provider: Arc::new(KieProvider::new(kie)),
        vault: vault(&config.media, media.clone())?,
        channels: vec![Arc::new(Webhooks::new(&Guard::new(config.media.webhook_allow.clone()))?)],
        outbound: Guard::new(config.media.webhook_allow.clone()),
        ids: Ids { clock: clock.clone(), chance: Arc::new(OsChance) },
    };
    let links = link_signer(&config.media, &keys);
    let lifecycle = Arc::new(Lifecycle::new(ports, policy(config), offers, keys));
    let skew = lifecycle.measure_skew().await?;
    clock.shift_offset_micros(skew.micros);
    if skew.is_alarming() {
        tracing::error!(skew_ms = skew.micros / 1000, "clock.skew: the database's clock differs from ours");
    }
    #[cfg(feature = "failpoints")]
    set_ahead(&config.database.crash, &clock);
    Ok(Services { lifecycle, media, links, clock })
}

/// Sets the clock ahead for a test.
#[cfg(feature = "failpoints")]
fn set_ahead(config: &crate::config::CrashConfig, clock: &OffsetClock) {
    let ahead = config.clock_ahead.map_or(0, |ahead| i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
    clock.set_machine_ahead_micros(ahead);
}

fn kie_client(config: &KieConfig) -> anyhow::Result<Client> {
    let Some(key) = &config.kie_api_key else {
        bail!("KIE_API_KEY is not set: make a key on KIE's API key page and set it")
    };
    Ok(Client::builder(key.secret().clone())
        .base_url(config.kie_base_url.clone())
        .upload_url(config.kie_upload_url.clone())
        .create_timeout(config.kie_create_timeout)
        .retry(RetryPolicy::new(2, Duration::from_secs(10)))
        .build()?)
}

fn secret_keys(config: &Config) -> anyhow::Result<SecretKeys> {
    let Some(current) = &config.secrets.secret_key else {
        bail!("SECRET_KEY is not set: make one with `openssl rand -hex 32` and set it for all processes")
    };
    let previous = config.secrets.secret_key_previous.iter().map(|key| key.secret().clone()).collect();
    SecretKeys::new(current.secret().clone(), previous).context("SECRET_KEY is refused")
}

fn other_currency(prices: &PriceConfig, kept: &str) -> anyhow::Error {
    anyhow!(
        "CURRENCY is {}, but this database keeps {kept}: set CURRENCY={kept}, or use another database",
        prices.currency
    )
}

fn catalogue(config: &KieConfig) -> anyhow::Result<Catalogue> {
    let catalogue = Catalogue::packed().context("the built-in catalogue is broken")?;
    match &config.catalogue_overlay {
        Some(folder) => catalogue.overlay_directory(folder).context("CATALOGUE_OVERLAY cannot be read"),
        None => Ok(catalogue),
    }
}

/// Jobs that were bought go on whatever became of the price file; only sales wait until it is mended.
fn pricing(config: &PriceConfig) -> Pricing {
    let list = match &config.prices {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => PriceList::parse(&text, &config.currency),
            Err(error) => PriceList::broken(format!("{} cannot be read: {error}", path.display())),
        },
        None => PriceList::default(),
    };
    Pricing {
        currency: config.currency.clone(),
        usd_rate: config.usd_rate,
        markup: config.markup,
        list,
        free: config.free_models.iter().filter(|model| !model.is_empty()).cloned().collect(),
    }
}

fn vault(config: &MediaConfig, media: MediaStore) -> anyhow::Result<Arc<dyn Vault>> {
    let limits = FetchLimits { bytes_max: config.media_max_bytes, ..FetchLimits::default() };
    let fetcher = Fetcher::new(&Guard::new(config.fetch_allow.clone()), limits)?;
    Ok(Arc::new(MediaVault::new(media, fetcher, thumbnailer())))
}

fn link_signer(config: &MediaConfig, keys: &SecretKeys) -> LinkSigner {
    const PURPOSE: &str = "kie media link v1";
    let mode = match config.media_links {
        MediaLinks::Signed => LinkMode::Signed,
        MediaLinks::Public => LinkMode::Public,
    };
    let previous = keys.derive_previous(PURPOSE);
    LinkSigner::new(mode, &keys.derive(PURPOSE), previous.iter().map(<[u8; 32]>::as_slice))
}

fn create_slots(config: &KieConfig) -> Option<u32> {
    (config.kie_creates_per_10s > 0).then_some(config.kie_creates_per_10s)
}

/// Whether KIE itself would be told an address that only this machine can reach.
pub(crate) fn callbacks_unreachable(config: &Config) -> bool {
    let kie_itself = config.kie.kie_base_url.as_str().trim_end_matches('/') == KIE_BASE_URL;
    let loopback = match config.http.public_url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    };
    kie_itself && loopback
}

fn policy(config: &Config) -> Policy {
    Policy {
        currency: config.prices.currency.clone(),
        public_url: config.http.public_url.clone(),
        callbacks: !callbacks_unreachable(config),
        create_slots: create_slots(&config.kie),
        create_timeout: config.kie.kie_create_timeout,
        unclear_after: config.patience.unclear_after,
        unclear_policy: config.patience.unclear_policy.into(),
        pending_after: config.patience.pending_after,
        give_up: config.patience.give_up_after,
        max_open_jobs: config.limits.max_open_jobs,
        free_per_day: config.prices.free_per_day,
        lease: LEASE,
    }
}
