//! What a story may ask of its world before it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kie_sim::{Durations, Script, Sim, SimConfig};
use tokio::net::TcpListener;

use crate::database::{Database, Db};
use crate::receiver::Receiver;
use crate::storage::S3Server;
use crate::world::{HMAC_KEY, KIE_KEY, SECRET_KEY, World};

/// Where files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A folder.
    Local,
    /// An S3-compatible server, a process of its own.
    S3,
}

/// Prices of every world: one image for one rouble; everything else by its cost.
const PRICES: &str = "[[price]]\nmodel = \"google/nano-banana\"\namount = \"1.00\"\n";

/// A world in the making.
pub struct Builder {
    pub(crate) db: Db,
    pub(crate) workers: usize,
    pub(crate) programs: usize,
    pub(crate) media: Media,
    pub(crate) log: String,
    pub(crate) fail_points: bool,
    callbacks: bool,
    sim: SimConfig,
    flags: Vec<(String, String)>,
    prices: String,
}

impl Builder {
    pub(crate) fn new(db: Db) -> Self {
        let durations = |ms| Duration::from_millis(ms);
        let sim = SimConfig {
            api_key: KIE_KEY.to_owned(),
            hmac_key: Some(HMAC_KEY.to_owned()),
            duration: Durations {
                image: durations(150),
                video: durations(250),
                audio: durations(200),
                text: durations(100),
            },
            creates_per_10s: 0,
            reads_per_second: 0,
            models_per_second: 0,
            callback_retry: vec![durations(300), durations(600), durations(1000)],
            ..SimConfig::default()
        };
        Self {
            db,
            workers: 2,
            programs: 0,
            media: Media::Local,
            log: "info".to_owned(),
            fail_points: false,
            callbacks: true,
            sim,
            flags: Vec::new(),
            prices: PRICES.to_owned(),
        }
    }

    /// So many instances in this process, each with its worker; without a word two.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// So many instances as real processes instead.
    #[must_use]
    pub fn programs(self, programs: usize) -> Self {
        Self { programs, workers: 0, ..self }
    }

    /// The programs can be killed, broken and delayed at their fail points; see [`World::arm`].
    #[must_use]
    pub fn fail_points(self) -> Self {
        Self { fail_points: true, ..self }
    }

    /// Where files are kept.
    #[must_use]
    pub fn media(self, media: Media) -> Self {
        Self { media, ..self }
    }

    /// What the programs log, in the form of `RUST_LOG`.
    #[must_use]
    pub fn log(self, filter: &str) -> Self {
        Self { log: filter.to_owned(), ..self }
    }

    /// Whether the provider's callbacks are sent at all.
    #[must_use]
    pub fn callbacks(self, callbacks: bool) -> Self {
        Self { callbacks, ..self }
    }

    /// Another value of a flag of `kie-web`, such as `("--unclear-after", "1s")`.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Other settings of the simulator.
    #[must_use]
    pub fn sim(mut self, change: impl FnOnce(&mut SimConfig)) -> Self {
        change(&mut self.sim);
        self
    }

    /// One more fixed price, in major units.
    #[must_use]
    pub fn price(mut self, model: &str, amount: &str) -> Self {
        self.prices = format!("[[price]]\nmodel = \"{model}\"\namount = \"{amount}\"\n{}", self.prices);
        self
    }

    /// Starts everything; returns when every instance answers.
    pub async fn start(self) -> World {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(self.db, folder.path()).await;
        let sim = Sim::start(self.sim.clone()).await.expect("the simulator starts");
        if !self.callbacks {
            sim.script(Script::parse("callback=none").unwrap());
        }
        let storage = match self.media {
            Media::Local => None,
            Media::S3 => Some(S3Server::start(&folder.path().join("buckets")).await),
        };
        let receiver = Receiver::start().await;
        let listeners = bind(self.workers + self.programs).await;
        let public = listeners[0].local_addr().unwrap();
        let prices = folder.path().join("prices.toml");
        std::fs::write(&prices, &self.prices).unwrap();
        let media_url = match &storage {
            None => format!("file://{}", folder.path().join("media").display()),
            Some(_) => S3Server::media_url(),
        };
        let mut flags: Vec<(String, String)> = [
            ("--database-url", database.url().to_owned()),
            ("--database-pool-max", "5".to_owned()),
            ("--media-url", media_url),
            ("--public-url", format!("http://{public}")),
            ("--kie-api-key", KIE_KEY.to_owned()),
            ("--kie-base-url", sim.url().to_string()),
            ("--kie-upload-url", sim.url().to_string()),
            ("--kie-webhook-hmac-key", HMAC_KEY.to_owned()),
            ("--kie-creates-per-10s", "0".to_owned()),
            ("--secret-key", SECRET_KEY.to_owned()),
            ("--fetch-allow", sim.addr().to_string()),
            ("--webhook-allow", receiver.address().to_string()),
            ("--prices", prices.display().to_string()),
            ("--rate-limit", "0".to_owned()),
            ("--default-language", "en".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        for (name, value) in &self.flags {
            crate::instance::set(&mut flags, name, value);
        }
        World::start(&self, (folder, database, sim, storage, receiver), flags, listeners).await
    }
}

async fn bind(count: usize) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for _ in 0..count.max(1) {
        listeners.push(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap());
    }
    listeners
}
