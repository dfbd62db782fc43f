//! The whole shop as processes, with a line between every two of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ledger::Ids;
use store::Store;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::Scale;
use super::acts::{Line, Who};
use super::cluster::Cluster;
use super::keeper::{Keeper, What};
use super::ports::free_address;
use super::provider::Provider;
use super::tally::Tally;
use super::wire::Wire;
use crate::program::built;
use crate::receiver::Receiver;
use crate::storage::S3Server;
use crate::wait::until;
use crate::world::{HMAC_KEY, KIE_KEY, SECRET_KEY};

/// A create that nobody answers is unclear after this; a killed one 30 s later.
const CREATE_TIMEOUT: &str = "3s";
const PRICES: &str = "[[price]]\nmodel = \"google/nano-banana\"\namount = \"1.00\"\n";
/// How the library that shows a program another time is installed.
const FALSE_CLOCKS: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) storage: Mutex<S3Server>,
    pub(crate) provider: Provider,
    pub(crate) receiver: Receiver,
    pub(crate) tally: Arc<Tally>,
    pub(crate) webs: Vec<Keeper>,
    pub(crate) web_addresses: Vec<SocketAddr>,
    pub(crate) reconciler: Keeper,
    /// The database past its line, for those who only look.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ids: Ids,
    pub(crate) http: reqwest::Client,
    /// What `kie-reconciler` is told, past the lines.
    pub(crate) variables: Vec<(String, String)>,
    /// Where the second `kie-web` reads how wrong its clock is; nothing if that cannot be done here.
    pub(crate) false_clock: Option<PathBuf>,
    pub(crate) watches: bool,
    lines: BTreeMap<Line, Wire>,
    _simulator: Child,
    folder: Option<TempDir>,
}

impl Stage {
    pub(crate) async fn start(scale: &Scale) -> Self {
        let folder = tempfile::Builder::new().prefix("kie-chaos-").tempdir().unwrap();
        let tally = Arc::new(Tally::default());
        let cluster = Cluster::start().await;
        let storage = S3Server::start(&folder.path().join("buckets")).await;
        let receiver = Receiver::start().await;
        let (simulator_address, web_addresses) = (free_address(), vec![free_address(), free_address()]);
        let lines = BTreeMap::from([
            (Line::Front, Wire::to(&web_addresses).await),
            (Line::Database, Wire::to(&[cluster.address()]).await),
            (Line::Storage, Wire::to(&[storage.address()]).await),
            (Line::Provider, Wire::to(&[simulator_address]).await),
            (Line::Receiver, Wire::to(&[receiver.address()]).await),
        ]);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
        let simulator = simulator(simulator_address, lines[&Line::Provider].address(), scale.seed);
        let provider = Provider::new(simulator_address, http.clone());
        let prices = folder.path().join("prices.toml");
        std::fs::write(&prices, PRICES).unwrap();
        let false_clock = false_clock(folder.path());
        let variables = variables(&lines, &storage, &prices);
        let keep = |what| Keeper::start(what, folder.path(), tally.clone());
        let webs = web_addresses.iter().enumerate();
        let webs: Vec<Keeper> =
            webs.map(|(n, at)| keep(web(n, *at, &variables, false_clock.as_ref()))).collect();
        until_ready(&http, &web_addresses).await;
        let watches = knows("watch").await;
        let reconciler = keep(What {
            name: "kie-reconciler".to_owned(),
            program: "kie-reconciler",
            words: vec![if watches { "watch" } else { "once" }.to_owned()],
            variables: variables.clone(),
        });
        let mut direct = variables;
        set(&mut direct, "DATABASE_URL", &Cluster::url(cluster.address()));
        set(&mut direct, "AWS_ENDPOINT", &format!("http://{}", storage.address()));
        let flags = [
            ("--database-url".to_owned(), Cluster::url(cluster.address())),
            ("--database-pool-max".to_owned(), "4".to_owned()),
        ];
        let store = runtime::open_store_as_it_is(&crate::instance::config(&flags).database).await.unwrap();
        Self {
            cluster,
            storage: Mutex::new(storage),
            provider,
            receiver,
            tally,
            webs,
            web_addresses,
            reconciler,
            store,
            ids: runtime::ids(),
            http,
            variables: direct,
            false_clock: false_clock.map(|(_, file)| file),
            watches,
            lines,
            _simulator: simulator,
            folder: Some(folder),
        }
    }

    pub(crate) fn line(&self, line: Line) -> &Wire {
        &self.lines[&line]
    }

    pub(crate) fn keeper(&self, who: Who) -> &Keeper {
        match who {
            Who::Web(index) => &self.webs[index],
            Who::Reconciler => &self.reconciler,
        }
    }

    /// What customers and the provider call.
    pub(crate) fn front(&self, path: &str) -> String {
        format!("http://{}{path}", self.line(Line::Front).address())
    }

    /// Where a customer's webhooks go.
    pub(crate) fn hook(&self, path: &str) -> String {
        format!("http://{}{path}", self.line(Line::Receiver).address())
    }

    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        self.webs.iter().chain([&self.reconciler]).map(|keeper| keeper.log().to_owned()).collect()
    }

    /// Leaves all files where they are; their folder.
    pub(crate) fn keep_files(&mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }
}

/// One of the two; the second one's clock may be wrong.
fn web(
    number: usize,
    address: SocketAddr,
    variables: &[(String, String)],
    false_clock: Option<&(&str, PathBuf)>,
) -> What {
    let mut own = variables.to_vec();
    own.push(("LISTEN_ADDR".to_owned(), address.to_string()));
    if let (1, Some((library, file))) = (number, false_clock) {
        own.extend(clock_variables(library, file));
    }
    let name = format!("kie-web-{number}");
    What { name, program: "kie-web", words: vec!["serve".to_owned()], variables: own }
}

async fn until_ready(http: &reqwest::Client, addresses: &[SocketAddr]) {
    for address in addresses {
        let ready = format!("http://{address}/readyz");
        until("kie-web is ready", async || {
            http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
    }
}

fn set(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    variables.retain(|(known, _)| known != name);
    variables.push((name.to_owned(), value.to_owned()));
}

fn variables(lines: &BTreeMap<Line, Wire>, storage: &S3Server, prices: &Path) -> Vec<(String, String)> {
    let at = |line| lines[&line].address();
    let provider = format!("http://{}", at(Line::Provider));
    let mut variables: Vec<(String, String)> = [
        ("DATABASE_URL", Cluster::url(at(Line::Database))),
        ("DATABASE_POOL_MAX", "6".to_owned()),
        ("MEDIA_URL", S3Server::media_url()),
        ("PUBLIC_URL", format!("http://{}", at(Line::Front))),
        ("KIE_API_KEY", KIE_KEY.to_owned()),
        ("KIE_BASE_URL", provider.clone()),
        ("KIE_UPLOAD_URL", provider),
        ("KIE_WEBHOOK_HMAC_KEY", HMAC_KEY.to_owned()),
        // High, so that slots are taken and freed but do not set the pace.
        ("KIE_CREATES_PER_10S", "400".to_owned()),
        ("KIE_CREATE_TIMEOUT", CREATE_TIMEOUT.to_owned()),
        ("UNCLEAR_AFTER", "10s".to_owned()),
        ("GIVE_UP_AFTER", "image=60s,audio=60s,video=60s".to_owned()),
        ("SECRET_KEY", SECRET_KEY.to_owned()),
        ("FETCH_ALLOW", at(Line::Provider).to_string()),
        ("WEBHOOK_ALLOW", at(Line::Receiver).to_string()),
        ("PRICES", prices.display().to_string()),
        ("FREE_PER_DAY", "10000".to_owned()),
        ("RATE_LIMIT", "0".to_owned()),
        ("MAX_OPEN_JOBS", "1000".to_owned()),
        ("DEFAULT_LANGUAGE", "en".to_owned()),
        ("RUST_LOG", "info".to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
        ("PATH", "/usr/bin:/bin".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    variables.extend(storage.variables());
    set(&mut variables, "AWS_ENDPOINT", &format!("http://{}", at(Line::Storage)));
    variables
}

fn simulator(address: SocketAddr, public: SocketAddr, seed: u64) -> Child {
    Command::new(built("kie-sim"))
        .arg("serve")
        .args(["--listen", &address.to_string(), "--public-url", &format!("http://{public}")])
        .args(["--key", KIE_KEY, "--hmac-key", HMAC_KEY, "--seed", &seed.max(1).to_string()])
        .args(["--image", "300ms", "--video", "900ms", "--audio", "600ms", "--text", "200ms"])
        .args(["--creates-per-10s", "0", "--reads-per-second", "0", "--models-per-second", "0"])
        .args(["--credits", "100000000", "--callback-retry", "500ms,1s,3s,6s", "--callback-timeout", "5s"])
        .args(["--log-entries", "1000000", "--tasks-kept", "1000000", "--log", "warn"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The library and the file in which it looks for the time to show.
fn false_clock(folder: &Path) -> Option<(&'static str, PathBuf)> {
    let library = FALSE_CLOCKS.into_iter().find(|path| Path::new(path).is_file())?;
    let file = folder.join("clock");
    std::fs::write(&file, "+0\n").unwrap();
    Some((library, file))
}

fn clock_variables(library: &str, file: &Path) -> Vec<(String, String)> {
    [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// Whether the reconciler has this word.
async fn knows(word: &str) -> bool {
    let told = Command::new(built("kie-reconciler")).arg("--help").env_clear().output().await.unwrap();
    String::from_utf8_lossy(&told.stdout)
        .lines()
        .any(|line| line.trim_start().starts_with(&format!("{word} ")))
}
