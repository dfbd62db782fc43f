//! The counter of changes: raised here at once, told to other processes by `NOTIFY`, raised by theirs.
//!
//! A signal is only a hint, so nothing here may fail a caller: without a connection the counter still moves for changes
//! of this process.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

const CHANNEL: &str = "kie_changes";
/// At most one `NOTIFY` in this time, however many changes there are.
const COALESCE: Duration = Duration::from_millis(20);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The counter and the task that exchanges it with other processes; ends with its owner.
pub(crate) struct Signals {
    counter: watch::Sender<u64>,
    told: Arc<Notify>,
    task: AbortHandle,
}

impl Signals {
    /// Starts the exchange over a connection of its own.
    #[expect(clippy::disallowed_methods, reason = "the handle ends the task with its owner")]
    pub(crate) fn start(target: PgConnectOptions) -> Self {
        let (counter, told) = (watch::Sender::new(0), Arc::new(Notify::new()));
        let task = tokio::spawn(exchange(target, counter.clone(), Arc::clone(&told))).abort_handle();
        Self { counter, told, task }
    }

    /// Something was committed that made a row due or changed a job.
    pub(crate) fn changed(&self) {
        raise(&self.counter);
        self.told.notify_one();
    }

    /// The counter, to wait on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.counter.subscribe()
    }

    /// Ends the exchange; the counter still moves for changes of this process.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.stop();
    }
}

fn raise(counter: &watch::Sender<u64>) {
    counter.send_modify(|count| *count = count.wrapping_add(1));
}

async fn exchange(target: PgConnectOptions, counter: watch::Sender<u64>, told: Arc<Notify>) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(target);
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&pool).await
            && listener.listen(CHANNEL).await.is_ok()
        {
            pause = FIRST_PAUSE;
            // Whatever was missed while nobody listened.
            raise(&counter);
            if let Err(error) = relay(&mut listener, &counter, &told).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "store.listen_lost");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Tells others of our changes and hears of theirs until the connection is lost.
async fn relay(
    listener: &mut PgListener,
    counter: &watch::Sender<u64>,
    told: &Notify,
) -> Result<(), sqlx::Error> {
    listener.eager_reconnect(false);
    let own: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *listener).await?;
    loop {
        let ours = tokio::select! {
            () = told.notified() => true,
            heard = listener.try_recv() => match heard? {
                // Our own words come back to us.
                Some(heard) if i64::from(heard.process_id()) == i64::from(own) => continue,
                Some(_) => false,
                None => return Ok(()),
            },
        };
        if ours {
            sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(&mut *listener).await?;
            sleep(COALESCE).await;
        } else {
            raise(counter);
        }
    }
}
