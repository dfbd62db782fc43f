//! What a simulator is told when it starts.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kie_catalogue::Catalogue;
use url::Url;

use crate::telegram::TelegramConfig;

/// How long a task runs, by the kind of its output.
#[derive(Debug, Clone, Copy)]
pub struct Durations {
    /// Pictures.
    pub image: Duration,
    /// Films.
    pub video: Duration,
    /// Speech, sounds and music.
    pub audio: Duration,
    /// Transcripts, lyrics, masks.
    pub text: Duration,
}

/// Which set of fields recordInfo shows; each later set contains the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum FieldSet {
    /// April 2026: no cost, a session cookie on each answer.
    April,
    /// August 2026: with `creditsConsumed`.
    August,
    /// October 2026: with `operationType`, `successFlag`, `response`, `paramJson`.
    October,
}

/// Which words a running task goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stages {
    /// `waiting` until the end, except for the few models that were seen to say `generating`.
    Observed,
    /// `waiting`, `queuing` and `generating`, a third of the time each.
    All,
}

/// How a lack of credits is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShortText {
    /// Code 402, as documented.
    Documented,
    /// Code 500 with the text `Credits insufficient`, as reported from live use.
    Observed,
}

/// Everything a simulator can be told. All of it has a default that listens on a free loopback port.
#[derive(Clone)]
pub struct SimConfig {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Allows an address that is not loopback; the admin paths then demand the API key.
    pub public: bool,
    /// Base of the result and upload links, if callers reach this server under another name.
    pub public_url: Option<Url>,
    /// The only key that is accepted.
    pub api_key: String,
    /// Signs callbacks when set.
    pub hmac_key: Option<String>,
    /// Where tasks and uploads survive a restart.
    pub folder: Option<PathBuf>,
    /// How long tasks run.
    pub duration: Durations,
    /// For so long after its creation recordInfo does not know a task.
    pub young: Duration,
    /// New tasks per 10 s; more are refused with 429. 0 switches the limit off.
    pub creates_per_10s: u32,
    /// Reads per second of one task; more are refused with 429. 0 switches the limit off.
    pub reads_per_second: u32,
    /// Discovery calls per second; more are refused with 429. 0 switches the limit off.
    pub models_per_second: u32,
    /// Refuse an excess with HTTP 429 instead of code 429 in HTTP 200.
    pub http_429: bool,
    /// recordInfo says 400, 404 and 429 as HTTP status, as its page documents, instead of a code in HTTP 200.
    pub http_record: bool,
    /// Balance at the start, in millionths of a credit.
    pub credits: u64,
    /// Charged for a model without a known price, in millionths of a credit.
    pub unknown_cost: u64,
    /// How a lack of credits is said.
    pub short_text: ShortText,
    /// Waits before the second, third, … delivery of a callback that was not answered with 200.
    pub callback_retry: Vec<Duration>,
    /// How long a callback's receiver may take.
    pub callback_timeout: Duration,
    /// Makes ids and chances repeatable; 0 draws a seed at the start.
    pub seed: u64,
    /// Pads every result file to this size in bytes.
    pub result_bytes: Option<u64>,
    /// After this time results are gone.
    pub result_life: Duration,
    /// After this time a link made by download-url is dead.
    pub link_life: Duration,
    /// After this time uploads are gone.
    pub upload_life: Duration,
    /// Which fields recordInfo shows.
    pub fields: FieldSet,
    /// Which words a running task goes through.
    pub stages: Stages,
    /// Requests and callbacks kept in the log, at most 64 MiB of each; the oldest are dropped.
    pub log_entries: usize,
    /// What is on sale; `None` is the packed catalogue.
    pub catalogue: Option<Arc<Catalogue>>,
    /// Tasks kept, at most 256 MiB of them; the oldest finished ones are forgotten.
    pub tasks_kept: usize,
    /// The messenger beside the provider.
    pub telegram: TelegramConfig,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public: false,
            public_url: None,
            api_key: "kie-sim-key".to_owned(),
            hmac_key: None,
            folder: None,
            duration: Durations {
                image: Duration::from_secs(3),
                video: Duration::from_secs(6),
                audio: Duration::from_secs(4),
                text: Duration::from_secs(2),
            },
            young: Duration::ZERO,
            creates_per_10s: 20,
            reads_per_second: 10,
            models_per_second: 1,
            http_429: false,
            http_record: false,
            credits: 10_000_000_000,
            unknown_cost: 1_000_000,
            short_text: ShortText::Documented,
            callback_retry: [5, 15, 60].map(Duration::from_secs).to_vec(),
            callback_timeout: Duration::from_secs(15),
            seed: 0,
            result_bytes: None,
            result_life: Duration::from_hours(14 * 24),
            link_life: Duration::from_mins(20),
            upload_life: Duration::from_hours(24),
            fields: FieldSet::October,
            stages: Stages::Observed,
            log_entries: 100_000,
            catalogue: None,
            tasks_kept: 100_000,
            telegram: TelegramConfig::default(),
        }
    }
}

impl fmt::Debug for SimConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimConfig")
            .field("listen", &self.listen)
            .field("api_key", &"***")
            .field("hmac_key", &self.hmac_key.as_ref().map(|_| "***"))
            .field("folder", &self.folder)
            .field("duration", &self.duration)
            .field("credits", &self.credits)
            .finish_non_exhaustive()
    }
}
