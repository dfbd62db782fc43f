//! A running simulator and what tests do with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::config::SimConfig;
use crate::conn::{Grip, GripListener};
use crate::routes;
use crate::script::Script;
use crate::task::{Outcome, Task};
use crate::telegram::Telegram;
use crate::views::{LoggedRequest, SentCallback, TaskView};
use crate::world::World;

/// How long open connections may take to end.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A simulator on a local port; it stops when it is dropped.
pub struct Sim {
    world: Arc<World>,
    addr: SocketAddr,
    url: Url,
    server: Option<JoinHandle<()>>,
}

impl Sim {
    /// Binds, reads what an earlier run left in the folder, and serves.
    ///
    /// # Errors
    /// When the address is not loopback without `public`, cannot be bound, or the folder cannot be used.
    pub async fn start(config: SimConfig) -> anyhow::Result<Self> {
        if !config.listen.ip().is_loopback() && !config.public {
            bail!("{} is not a loopback address; allow it with `public` (--public)", config.listen);
        }
        ensure!(!config.api_key.is_empty(), "the API key is empty");
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let addr = listener.local_addr()?;
        let url = match &config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{addr}/"))?,
        };
        let world = World::open(config, url.as_str().trim_end_matches('/').to_owned())?;
        let service = routes::router(Arc::clone(&world)).into_make_service_with_connect_info::<Grip>();
        let stop = world.stop.clone();
        let server = world.running.spawn(async move {
            let served =
                axum::serve(GripListener(listener), service).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "the simulator stopped serving");
            }
        });
        tracing::info!(%addr, "sim.listening");
        Ok(Self { world, addr, url, server: Some(server) })
    }

    /// Base of the API, the uploads and the results alike, with a trailing slash.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The key that is accepted.
    pub fn api_key(&self) -> &str {
        &self.world.config.api_key
    }

    /// Puts a script in force; more than 10,000 at once are dropped with a log line.
    pub fn script(&self, script: Script) {
        let text = format!("{:?}", script.rule.fault);
        if self.world.scripts.add(vec![(text, script)]).is_none() {
            tracing::error!("too many scripts; this one is dropped");
        }
    }

    /// Takes all scripts out of force.
    pub fn clear_scripts(&self) {
        self.world.scripts.clear();
    }

    /// All tasks, oldest first.
    pub fn tasks(&self) -> Vec<TaskView> {
        self.world.tasks().iter().map(|task| self.world.view(task)).collect()
    }

    /// One task.
    pub fn find_task(&self, id: &str) -> Option<TaskView> {
        self.world.find(id).map(|task| self.world.view(&task))
    }

    /// The newest requests that were answered, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.world.requests.all()
    }

    /// The newest deliveries of callbacks, oldest first.
    pub fn callbacks(&self) -> Vec<SentCallback> {
        self.world.callbacks.all()
    }

    /// The balance in millionths of a credit.
    pub fn credits_micro(&self) -> u64 {
        self.world.balance_micro()
    }

    /// Sets the balance, in millionths of a credit.
    pub fn set_credits_micro(&self, micro: u64) {
        self.world.set_balance_micro(micro);
    }

    /// Ends a task now, as its marks and the scripts want; `false` if it is unknown or over.
    pub fn finish_now(&self, task_id: &str) -> bool {
        self.end(task_id, None)
    }

    /// Lets a task succeed now; `false` if it is unknown or over.
    pub fn succeed_now(&self, task_id: &str) -> bool {
        self.end(task_id, Some(Outcome::Success))
    }

    /// Lets a task fail now with this code and text; `false` if it is unknown or over.
    pub fn fail_now(&self, task_id: &str, code: &str, message: &str) -> bool {
        self.end(task_id, Some(Outcome::Fail { code: code.to_owned(), message: message.to_owned() }))
    }

    /// Puts the record of a task of an older family where its client looks: `path` is the family's status path or one
    /// of its links, `answer` the whole envelope. On a path of orders the task is empty, and every order there gets
    /// the answer. It is gone after a restart.
    ///
    /// # Errors
    /// When the path is no family's, the answer no object, or 10,000 records or 64 MiB of them are there.
    pub fn put_record(&self, path: &str, task_id: &str, answer: Value) -> anyhow::Result<()> {
        self.world.families.put(path, task_id, answer).map_err(anyhow::Error::msg)
    }

    /// Sends this body to this address in the background, as the callback of a task of an older family: signed for the
    /// task, and repeated until it is answered with 200.
    ///
    /// # Errors
    /// When the address is none, the task id is empty, or 10,000 callbacks or 64 MiB of them are under way.
    pub fn send_callback(&self, url: &str, task_id: &str, body: &Value) -> anyhow::Result<()> {
        crate::dispatch::send(&self.world, url, task_id, body).map_err(anyhow::Error::msg)
    }

    /// The messenger: the customers' side of it, and what the bot did.
    pub fn telegram(&self) -> Telegram {
        Telegram(Arc::clone(&self.world.telegram))
    }

    /// Forgets tasks, logs, scripts and the messenger's chats; the balance is that of the start.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn reset(&self) -> anyhow::Result<()> {
        self.world.reset()
    }

    /// Stops listening, cuts what hangs and waits until all background work has ended.
    pub async fn stop(mut self) {
        self.world.stop.cancel();
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(STOP_WAIT, &mut server).await.is_err()
        {
            server.abort();
        }
        self.world.running.close();
        self.world.running.wait().await;
    }

    fn end(&self, task_id: &str, outcome: Option<Outcome>) -> bool {
        let task: Option<Arc<Task>> = self.world.find(task_id);
        task.is_some_and(|task| self.world.end_now(&task, outcome))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
