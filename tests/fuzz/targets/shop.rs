//! A shop for the targets that need one: its database and files lie in a folder that goes with it; what the provider and
//! the addresses of results answer is in the words they are asked with. Nothing leaves the process.

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use delivery::Guard;
use domain::{
    AccountId, Answer, AssetId, AssetRole, Decimal, ManualClock, MediaKind, SeededChance, Timestamp,
};
use kie_catalogue::Catalogue;
use ledger::Ids;
use lifecycle::{
    CreateFailure, GiveUp, KeepError, Kept, Lifecycle, Offers, Policy, Ports, PriceList, Pricing, Provider,
    ReadFailure, SecretKeys, SourceFile, TaskRecord, TaskWord, UnclearPolicy, Vault,
};
use media::{MediaStore, key};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::ShopStore;
use store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// The shop's `SECRET_KEY`; no answer may hold it.
pub(crate) const SECRET: &str = "canary-secret-7f3a9c1e5b8d2046f1e3c5a7";
/// Where customers find the shop.
pub(crate) const PUBLIC_URL: &str = "http://shop.example/";
/// The prompt of an order of which nobody knows whether the provider has it.
pub(crate) const UNCLEAR: &str = "unclear";
/// A picture of one pixel.
pub(crate) const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\
    \xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

const START: &str = "2026-03-01T12:00:00Z";
const HOUR: Duration = Duration::from_hours(1);

static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::packed().unwrap()));

/// An empty database; it is made once and copied.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = folder();
    let file = folder.path().join("empty.db");
    runtime().block_on(async {
        let store = SqliteStore::connect(&address(&file), SqliteOptions::default()).await.unwrap();
        store.open_shop("RUB:2", start()).await.unwrap();
        store.close().await;
    });
    std::fs::read(&file).unwrap()
});

/// The use cases over a database of their own.
pub(crate) struct Shop {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) media: MediaStore,
    pub(crate) clock: Arc<ManualClock>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let (folder, runtime) = (folder(), runtime());
        let file = folder.path().join("kie.db");
        std::fs::write(&file, &*EMPTY).unwrap();
        let options = SqliteOptions { readers: 2, ..SqliteOptions::default() };
        let address = address(&file);
        let store = SqliteStore::connect_without_migrating(&address, options);
        let store = runtime.block_on(store).unwrap();
        let media = Url::from_file_path(folder.path().join("media")).unwrap();
        let media = MediaStore::open(media.as_str(), Vec::<(String, String)>::new()).unwrap();
        let clock = Arc::new(ManualClock::new(start()));
        let ports = Ports {
            store: Arc::new(store),
            provider: Arc::new(Kie::default()),
            vault: Arc::new(Cabinet(media.clone())),
            channels: Vec::new(),
            outbound: Guard::default(),
            ids: Ids { clock: clock.clone(), chance: Arc::new(SeededChance::new(1)) },
        };
        let keys = SecretKeys::new(SecretString::from(SECRET), Vec::new()).unwrap();
        let offers = Offers::new(CATALOGUE.clone(), pricing());
        let lifecycle = Arc::new(Lifecycle::new(ports, policy(), offers, keys));
        Self { lifecycle, media, clock, runtime, _folder: folder }
    }

    /// Runs to the end of `work`, and what else is to be done meanwhile.
    pub(crate) fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.runtime.block_on(self.lifecycle.store().close());
    }
}

/// A folder that goes with its owner; in memory, where there is such a place.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn address(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn pricing() -> Pricing {
    Pricing {
        currency: "RUB".parse().unwrap(),
        usd_rate: "78".parse().unwrap(),
        markup: "2".parse().unwrap(),
        list: PriceList::default(),
        free: ["z-image".to_owned()].into(),
    }
}

fn policy() -> Policy {
    Policy {
        currency: "RUB".parse().unwrap(),
        public_url: PUBLIC_URL.parse().unwrap(),
        callbacks: true,
        create_slots: None,
        create_timeout: Duration::from_secs(5),
        unclear_after: HOUR,
        unclear_policy: UnclearPolicy::Hold,
        pending_after: HOUR,
        give_up: GiveUp { image: HOUR, audio: HOUR, video: HOUR },
        max_open_jobs: 100,
        free_per_day: 10,
        lease: Duration::from_secs(20),
    }
}

/// The provider: the prompt says whether an order is answered, the name of a task what becomes of it.
#[derive(Default)]
struct Kie(AtomicU64);

#[async_trait]
impl Provider for Kie {
    async fn create_task(
        &self,
        _model: &str,
        input: &Value,
        _callback: Option<&Url>,
    ) -> Result<String, CreateFailure> {
        if input["prompt"] == UNCLEAR {
            let words = "the line is dead".to_owned();
            return Err(CreateFailure { answer: Answer::Unknown, words, task_id: None });
        }
        Ok(format!("task-{}", self.0.fetch_add(1, Ordering::Relaxed)))
    }

    async fn record(&self, task_id: &str, old_model: Option<&str>) -> Result<TaskRecord, ReadFailure> {
        if task_id.contains("gone") {
            return Err(ReadFailure::NotFound);
        }
        if task_id.contains("trouble") {
            return Err(ReadFailure::Trouble("the line is dead".to_owned()));
        }
        Ok(TaskRecord {
            model: old_model.filter(|model| !model.is_empty()).map(str::to_owned),
            word: TaskWord::Success,
            raw_word: "success".to_owned(),
            outputs: vec![format!("https://h.example/{task_id}.png")],
            extras: Vec::new(),
            object: None,
            credits: None,
            callback_url: None,
            created_at: None,
        })
    }

    async fn download_url(&self, result_url: &str) -> Result<String, ReadFailure> {
        Ok(result_url.to_owned())
    }

    async fn credits(&self) -> Result<Decimal, ReadFailure> {
        Err(ReadFailure::Trouble("nobody counts".to_owned()))
    }

    async fn upload(&self, file: SourceFile) -> Result<String, ReadFailure> {
        Ok(format!("https://h.example/{}", file.name))
    }
}

/// Our storage: the address of a result says whether it can be had; all of them are the same picture.
struct Cabinet(MediaStore);

#[async_trait]
impl Vault for Cabinet {
    fn object_name(&self, account: AccountId, kind: MediaKind, role: AssetRole, asset: AssetId) -> String {
        match role {
            AssetRole::Output | AssetRole::Extra => key::output(account, kind, asset),
            AssetRole::Upload => key::upload(account, asset),
        }
    }

    async fn copy(&self, source: &str, object: &str, _kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        self.answers(source).await?;
        self.write(object, "image/png", Bytes::from_static(PICTURE)).await
    }

    async fn adopt(&self, object: &str, _kind: Option<MediaKind>) -> Result<Kept, KeepError> {
        Err(KeepError::Gone(object.to_owned()))
    }

    async fn answers(&self, source: &str) -> Result<(), KeepError> {
        let failures: [(&str, fn(String) -> KeepError); 4] = [
            ("gone", KeepError::Gone),
            ("broken", KeepError::Unusable),
            ("blocked", KeepError::Blocked),
            ("trouble", KeepError::Source),
        ];
        match failures.into_iter().find(|(word, _)| source.contains(word)) {
            Some((word, failure)) => Err(failure(word.to_owned())),
            None => Ok(()),
        }
    }

    async fn write(&self, object: &str, content_type: &str, bytes: Bytes) -> Result<Kept, KeepError> {
        let kept = Kept {
            kind: None,
            content_type: content_type.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Sha256::digest(&bytes).into(),
            width: None,
            height: None,
            duration_ms: None,
            thumbnail: None,
        };
        let written = self.0.put_bytes(object, content_type, bytes).await;
        written.map(|()| kept).map_err(|error| KeepError::Storage(error.to_string()))
    }

    async fn digest(&self, _object: &str) -> Result<Option<(u64, [u8; 32])>, KeepError> {
        Ok(None)
    }

    async fn read(&self, object: &str, _content_type: &str, _bytes: u64) -> Result<SourceFile, KeepError> {
        Err(KeepError::Gone(object.to_owned()))
    }

    async fn delete(&self, _objects: &[String]) -> Result<(), KeepError> {
        Ok(())
    }
}
