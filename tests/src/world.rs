//! A whole shop for one test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use domain::{AccountId, JobId, Role, Timestamp};
use kie_sim::{Script, Sim};
use ledger::Ids;
use lifecycle::Lifecycle;
use media::MediaStore;
use runtime::{OffsetClock, OsChance, Running};
use store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::builder::Builder;
use crate::customer::Customer;
use crate::database::{Database, Db, Outage, SlowReader};
use crate::instance::{config, open_media, serve, set, variables};
use crate::program::Program;
use crate::receiver::Receiver;
use crate::storage::S3Server;
use crate::wait::until;

/// The provider's key of every world.
pub const KIE_KEY: &str = "story-kie-key-7d1f";
/// The key by which the provider signs its callbacks.
pub const HMAC_KEY: &str = "story-hmac-key-91c4";
/// The shop's own secret.
pub const SECRET_KEY: &str = "7f3a9c1e5b8d2046f1e3c5a79b8d6042aa51";

/// One running instance.
pub enum Shop {
    /// In this process.
    Here(Box<Running>),
    /// A process of its own.
    Program(Box<Program>),
    /// It was stopped.
    Stopped,
}

type Parts = (TempDir, Database, Sim, Option<S3Server>, Receiver);

/// A database, a storage, a simulated provider, a webhook receiver, and one or more instances.
pub struct World {
    /// The provider.
    pub sim: Sim,
    /// The instances.
    pub shops: Vec<Shop>,
    /// Where webhooks go.
    pub receiver: Receiver,
    /// The database, seen past the instances.
    pub store: Arc<dyn Store>,
    /// The storage, seen past the instances.
    pub media: MediaStore,
    /// The S3-compatible server, if there is one.
    pub storage: Option<S3Server>,
    /// `PUBLIC_URL`.
    pub url: String,
    pub(crate) flags: Vec<(String, String)>,
    pub(crate) accounts: Mutex<Vec<AccountId>>,
    pub(crate) old_tasks: Mutex<Vec<String>>,
    addresses: Vec<SocketAddr>,
    http: reqwest::Client,
    clock: Arc<OffsetClock>,
    keys: Arc<AtomicU32>,
    folder: TempDir,
    database: Database,
    pub(crate) is_restored: bool,
    ended: Ended,
}

impl World {
    /// A world on this database: two instances with their workers, a local folder, callbacks.
    pub fn builder(db: Db) -> Builder {
        // With `RUST_LOG` set, a failing story shows what the instances logged.
        let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
        let _started_by_another =
            tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        Builder::new(db)
    }

    pub(crate) async fn start(
        builder: &Builder,
        (folder, database, sim, storage, receiver): Parts,
        flags: Vec<(String, String)>,
        listeners: Vec<TcpListener>,
    ) -> Self {
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let media = open_media(&config(&flags), storage.as_ref());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let mut shops = Vec::new();
        let mut programs = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            if index < builder.workers {
                shops.push(Shop::Here(Box::new(
                    serve(&config(&flags), &media, listener, Duration::ZERO).await,
                )));
                continue;
            }
            let address = addresses[index];
            drop(listener);
            let mut variables = variables(&flags, address, storage.as_ref());
            variables.push(("RUST_LOG".to_owned(), builder.log.clone()));
            let desk = folder.path().join(format!("fail-{index}"));
            let arguments = if builder.fail_points {
                std::fs::create_dir(&desk).unwrap();
                vec!["--fail-points".to_owned(), desk.display().to_string()]
            } else {
                Vec::new()
            };
            let mut program = Program::new(variables, arguments, folder.path());
            program.start();
            programs.push((program, address));
        }
        // All of them were started before the first is waited for: they meet on an empty database.
        for (mut program, address) in programs {
            program.wait_until_ready(&http, &format!("http://{address}")).await;
            shops.push(Shop::Program(Box::new(program)));
        }
        let store = runtime::open_store(&config(&flags).database).await.expect("the database opens");
        Self {
            url: format!("http://{}", addresses[0]),
            sim,
            shops,
            receiver,
            store,
            media,
            storage,
            flags,
            addresses,
            http,
            accounts: Mutex::default(),
            old_tasks: Mutex::default(),
            clock: Arc::default(),
            keys: Arc::default(),
            folder,
            database,
            is_restored: false,
            ended: Ended(false),
        }
    }

    /// Time and chance, with the clock that [`World::advance`] moves.
    pub fn ids(&self) -> Ids {
        Ids { clock: self.clock.clone(), chance: Arc::new(OsChance) }
    }

    /// The present of this world.
    pub fn now(&self) -> Timestamp {
        self.ids().now()
    }

    /// Moves the clocks of the instances in this process, and the world's own; the simulator keeps the real time.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.clock.shift_offset_micros(micros);
        for shop in &self.shops {
            if let Shop::Here(running) = shop {
                running.services.clock.shift_offset_micros(micros);
            }
        }
    }

    /// How far this world's clock was moved by [`World::advance`].
    fn ahead(&self) -> Duration {
        let here = runtime::now();
        self.now().duration_since(here).try_into().unwrap_or_default()
    }

    /// Sets the clock of one instance ahead of all others.
    pub fn set_ahead(&self, index: usize, by: Duration) {
        if let Shop::Here(running) = &self.shops[index] {
            running.services.clock.shift_offset_micros(i64::try_from(by.as_micros()).unwrap());
        }
    }

    /// Sets the clock of one instance back.
    pub fn set_back(&self, index: usize, by: Duration) {
        if let Shop::Here(running) = &self.shops[index] {
            running.services.clock.shift_offset_micros(-i64::try_from(by.as_micros()).unwrap());
        }
    }

    /// Freezes a program between its writes, so that the others can go on.
    pub async fn freeze_program(&mut self, index: usize) {
        until("the program is frozen and the database takes writes", async || {
            self.program(index).freeze().await;
            if self.store.heartbeat("a story", self.now(), None).await.is_ok() {
                return Some(());
            }
            self.program(index).thaw().await;
            None
        })
        .await;
    }

    /// From now on the database takes no writes.
    pub async fn block_database(&self) -> Outage {
        self.database.block().await
    }

    /// Somebody reads for long what reports read, until the answer is dropped.
    pub async fn read_slowly(&self) -> SlowReader {
        self.database.read_slowly().await
    }

    /// Backs the database up; all instances are stopped.
    pub async fn back_up(&self) {
        self.database.back_up().await;
    }

    /// Puts the backup in the place of the database; all instances are stopped.
    pub async fn restore(&mut self) {
        self.store.close().await;
        self.database.restore().await;
        self.store = self.open_store().await.expect("the restored database opens");
        self.is_restored = true;
    }

    /// Opens the database anew, as a start does.
    pub async fn open_store(&self) -> anyhow::Result<Arc<dyn Store>> {
        runtime::open_store(&config(&self.flags).database).await
    }

    /// Where the first instance listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Changes rows by hand, as nobody should; `kie.` before a table is left out where there are no schemas.
    pub async fn edit(&self, statement: &str) {
        self.database.edit(statement).await;
    }

    /// How many rows a table such as `kie.job` has.
    pub async fn count(&self, table: &str) -> i64 {
        self.database.count(table).await
    }

    /// A new customer with this much money, in major units.
    pub async fn account_with(&self, amount: &str) -> Customer {
        let customer = self.holder(Role::Customer).await;
        let ids = self.ids();
        let why = (&*customer.fresh_key(), "a story");
        operations::top_up(&*self.store, &ids, customer.id, amount, why).await.unwrap();
        customer
    }

    /// Somebody new with a token of this role.
    pub async fn holder(&self, role: Role) -> Customer {
        let added =
            operations::add_account(&*self.store, &self.ids(), None, None, None, false).await.unwrap();
        self.holder_of(added.id.parse().unwrap(), role).await
    }

    /// A fresh token of this role for an account that there is.
    pub async fn holder_of(&self, id: AccountId, role: Role) -> Customer {
        let token = operations::add_token(&*self.store, &self.ids(), id, role).await.unwrap().token;
        self.accounts.lock().unwrap().push(id);
        Customer {
            id,
            token,
            hook: self.receiver.url(&format!("/hook/{id}")),
            base: self.url.clone(),
            http: self.http.clone(),
            keys: self.keys.clone(),
        }
    }

    /// The same customer, who asks this instance from now on.
    pub fn at(&self, index: usize, customer: &Customer) -> Customer {
        Customer { base: format!("http://{}", self.addresses[index]), ..customer.clone() }
    }

    /// The use cases of an instance in this process.
    pub fn lifecycle(&self, index: usize) -> &Arc<Lifecycle> {
        match &self.shops[index] {
            Shop::Here(running) => &running.services.lifecycle,
            Shop::Program(_) | Shop::Stopped => panic!("instance {index} is not in this process"),
        }
    }

    /// A task that an old shop bought from the provider with the same key.
    pub async fn old_task(&self, model: &str, words: &str) -> String {
        let input = crate::prompt(words);
        let task = self.lifecycle(0).provider().create_task(model, &input, None).await.unwrap();
        self.old_tasks.lock().unwrap().push(task.clone());
        task
    }

    /// Puts a fault of the simulator in force, in the grammar of its marks.
    pub fn fault(&self, text: &str) {
        self.sim.script(Script::parse(text).unwrap());
    }

    /// Whether nobody is at work on the job, and it waits for a later moment.
    pub async fn is_asleep(&self, id: &str) -> bool {
        let now = self.now();
        self.row(id).await.wake_at.is_some_and(|at| at > now)
    }

    /// The job as its row has it.
    pub async fn row(&self, job: &str) -> domain::Job {
        let id: JobId = job.parse().unwrap();
        self.store.find_job(id, domain::Scope::All).await.unwrap().expect("the job is there")
    }

    /// How many createTask requests the simulator saw, answered or not.
    pub fn creates(&self) -> usize {
        self.sim.requests().iter().filter(|request| request.path.ends_with("/createTask")).count()
    }

    /// Bytes of a folder or file of this world's own.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The program of this instance.
    pub fn program(&mut self, index: usize) -> &mut Program {
        match &mut self.shops[index] {
            Shop::Program(program) => program,
            Shop::Here(_) | Shop::Stopped => panic!("instance {index} is no program"),
        }
    }

    /// Starts a stopped program again, with the clock of this world, and waits until it answers.
    pub async fn restart_program(&mut self, index: usize) {
        self.start_program(index);
        let base = format!("http://{}", self.addresses[index]);
        let http = self.http.clone();
        self.program(index).wait_until_ready(&http, &base).await;
    }

    /// The same without the wait.
    pub fn start_program(&mut self, index: usize) {
        let ahead = self.ahead();
        let program = self.program(index);
        program.set_ahead(ahead);
        program.start();
    }

    /// Stops an instance in this process.
    pub async fn stop_shop(&mut self, index: usize) {
        if let Shop::Here(running) = std::mem::replace(&mut self.shops[index], Shop::Stopped) {
            running.stop().await;
        }
    }

    /// Starts an instance in this process at the place of a stopped one, with changed flags.
    pub async fn start_shop(&mut self, index: usize, changes: &[(&str, &str)]) {
        for (name, value) in changes {
            set(&mut self.flags, name, value);
        }
        let listener = TcpListener::bind(self.addresses[index]).await.unwrap();
        let running = serve(&config(&self.flags), &self.media, listener, self.ahead()).await;
        self.shops[index] = Shop::Here(Box::new(running));
    }

    /// Ends the story: the books are proven, every webhook's signature is verified, everything stops.
    pub async fn finish(mut self) {
        self.ended.0 = true;
        self.audit_clean().await;
        self.signatures_hold().await;
        for shop in self.shops {
            match shop {
                Shop::Here(running) => running.stop().await,
                Shop::Program(mut program) => program.stop().await,
                Shop::Stopped => {}
            }
        }
        self.store.close().await;
        self.sim.stop().await;
    }
}

/// Remembers whether a story ended with its audit.
struct Ended(bool);

impl Drop for Ended {
    fn drop(&mut self) {
        assert!(self.0 || std::thread::panicking(), "a story must end with `World::finish`");
    }
}
