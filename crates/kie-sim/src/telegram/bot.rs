//! One simulated bot: its state, its log, and how a call goes through faults to its method.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::args::Args;
use super::chat::kicked;
use super::config::TelegramConfig;
use super::methods;
use super::refusal::Refusal;
use super::state::State;
use super::views::{CallView, DeliveryView};
use crate::clock::{now_ms, whole_ms};
use crate::fault::{Fault, Loss, Moment, TelegramFault, UpdateFault, marks_in, pick, unknown_marks_in};
use crate::lock::locked;
use crate::marks::MarkMemory;
use crate::ring::Ring;
use crate::script::{Scene, Scripts, Words};

/// What the messenger shares with the rest of the simulator.
pub(crate) struct Surroundings {
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) stop: CancellationToken,
    pub(crate) running: TaskTracker,
    pub(crate) seed: u64,
    pub(crate) log_entries: usize,
    /// Base of the Bot API, without a trailing slash.
    pub(crate) base: String,
}

/// The bot and everything around it.
pub(crate) struct Bot {
    pub(crate) config: TelegramConfig,
    pub(crate) around: Surroundings,
    pub(crate) calls: Ring<CallView>,
    pub(crate) deliveries: Ring<DeliveryView>,
    /// For webhooks.
    pub(crate) http: reqwest::Client,
    /// For files by URL.
    pub(crate) fetcher: reqwest::Client,
    /// Long polls under way.
    pub(crate) polls: AtomicUsize,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    marks: MarkMemory,
}

/// A long poll that is under way; it may end by its caller's leaving.
pub(crate) struct Poll(Arc<Bot>);

impl Poll {
    pub(crate) fn begin(bot: &Arc<Bot>) -> Self {
        bot.polls.fetch_add(1, Ordering::AcqRel);
        bot.touch();
        Self(Arc::clone(bot))
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.polls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How a call went.
pub(crate) struct Called {
    pub(crate) result: Result<Value, Refusal>,
    /// How the answer is lost.
    pub(crate) loss: Option<Loss>,
    pub(crate) delay: Duration,
}

impl Bot {
    pub(crate) fn new(config: TelegramConfig, around: Surroundings) -> anyhow::Result<Arc<Self>> {
        let (id, secret) = config.token.split_once(':').unwrap_or_default();
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        ensure!(
            id.parse().is_ok_and(|id: i64| id > 0) && !secret.is_empty() && secret.chars().all(good),
            "the bot token must be `<number>:<letters, digits, - and _>`"
        );
        let client = |wait: Duration, hops: usize| {
            let redirect = if hops == 0 {
                reqwest::redirect::Policy::none()
            } else {
                reqwest::redirect::Policy::limited(hops)
            };
            reqwest::Client::builder().timeout(wait).redirect(redirect).no_proxy().build()
        };
        let http = client(config.webhook_timeout, 0).context("the client for webhooks could not be made")?;
        let fetcher = client(config.fetch_wait, 5).context("the client for files could not be made")?;
        Ok(Arc::new(Self {
            calls: Ring::new(around.log_entries),
            deliveries: Ring::new(around.log_entries),
            http,
            fetcher,
            polls: AtomicUsize::new(0),
            state: Mutex::new(State::new(&config, around.seed)),
            changes: watch::Sender::new(0),
            marks: MarkMemory::default(),
            config,
            around,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Wakes whoever waits for something to change.
    pub(crate) fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Forgets everything, as if it had just started.
    pub(crate) fn reset(&self) {
        let generation = self.lock().updates.set_webhook(None);
        let mut fresh = State::new(&self.config, self.around.seed);
        fresh.updates.generation = generation;
        *self.lock() = fresh;
        self.calls.clear();
        self.deliveries.clear();
        self.marks.clear();
        self.touch();
    }

    /// Carries a call out, as far as faults let it, and logs it.
    pub(crate) async fn call(self: &Arc<Self>, method: &str, args: &Args) -> Called {
        let (at_ms, started) = (now_ms(), Instant::now());
        let chat = args.text("chat_id").trim().parse().ok();
        let fault = self.fault(method, chat, args);
        let (mut loss, mut delay) = (None, Duration::ZERO);
        let result = match fault {
            Some(TelegramFault::Refuse(code, description)) => Err(Refusal::new(code, description)),
            Some(TelegramFault::Kicked) => Err(kicked(chat.unwrap_or_default())),
            Some(TelegramFault::Flood(seconds)) => Err(Refusal::flood(seconds)),
            Some(TelegramFault::Migrated(to)) => {
                self.lock().upgrade(chat.unwrap_or_default(), to);
                Err(Refusal::migrated(to))
            }
            Some(TelegramFault::Undone(how)) => {
                loss = Some(how);
                Err(Refusal::new(502, "Bad Gateway"))
            }
            Some(TelegramFault::LostAnswer(how)) => {
                loss = Some(how);
                methods::perform(self, method, args).await
            }
            Some(TelegramFault::Slow(by)) => {
                delay = by;
                methods::perform(self, method, args).await
            }
            None => methods::perform(self, method, args).await,
        };
        let refusal = result.as_ref().err();
        let line = CallView {
            at_ms,
            method: method.to_owned(),
            chat,
            args: args.logged(),
            ok: refusal.is_none(),
            code: refusal.map_or(200, |refusal| refusal.code),
            description: refusal.map(|refusal| refusal.description.clone()),
            message_id: result.as_ref().ok().and_then(|value| value.get("message_id")?.as_i64()),
            answered: loss.is_none(),
            took_ms: whole_ms(started.elapsed()),
        };
        tracing::debug!(method, chat, code = line.code, description = line.description, "telegram.called");
        self.calls.push(line);
        Called { result, loss, delay }
    }

    /// Logs a call whose parameters could not be read.
    pub(crate) fn unreadable(&self, method: &str, refusal: Refusal) -> Called {
        self.calls.push(CallView {
            at_ms: now_ms(),
            method: method.to_owned(),
            chat: None,
            args: serde_json::Map::new(),
            ok: false,
            code: refusal.code,
            description: Some(refusal.description.clone()),
            message_id: None,
            answered: true,
            took_ms: 0,
        });
        Called { result: Err(refusal), loss: None, delay: Duration::ZERO }
    }

    /// Queues an update, as faults want it. Under `method` a script may name the kind of update.
    pub(crate) fn tell(self: &Arc<Self>, state: &mut State, kind: &'static str, body: Value, lane: i64) {
        let text = body.get("text").or_else(|| body.get("data")).and_then(Value::as_str);
        let scene =
            Scene { method: Some(kind), chat: Some(lane), words: text.map(Words::Text), ..Scene::default() };
        let fault =
            self.around.scripts.pick(Moment::Update, &scene).into_iter().find_map(|fault| match fault {
                Fault::Update(fault) => Some(fault),
                _ => None,
            });
        match fault {
            Some(UpdateFault::Lost) => {}
            Some(UpdateFault::Duplicate(copies)) => state.updates.push(kind, &body, lane, copies),
            Some(UpdateFault::Late(by)) => {
                let bot = Arc::clone(self);
                self.around.running.spawn(async move {
                    let stop = bot.around.stop.clone();
                    if stop.run_until_cancelled(tokio::time::sleep(by)).await.is_some() {
                        bot.lock().updates.push(kind, &body, lane, 1);
                        bot.touch();
                    }
                });
            }
            None => state.updates.push(kind, &body, lane, 1),
        }
        self.touch();
    }

    fn fault(&self, method: &str, chat: Option<i64>, args: &Args) -> Option<TelegramFault> {
        let text = ["text", "caption", "media"]
            .into_iter()
            .map(|name| args.text(name))
            .find(|text| !text.is_empty());
        let text = text.unwrap_or_default();
        let place = format!("{method} {}", chat.unwrap_or_default());
        let marks = self.marks.marks(&place, text, || marks_in(text));
        for mark in unknown_marks_in(text) {
            tracing::warn!(method, chat, mark, "telegram.unknown_mark");
        }
        let scene = Scene { method: Some(method), chat, words: Some(Words::Text(text)), ..Scene::default() };
        let scripted = self.around.scripts.pick(Moment::Telegram, &scene);
        pick(marks.iter(), Moment::Telegram).into_iter().chain(scripted).find_map(|fault| match fault {
            Fault::Telegram(fault) => Some(fault),
            _ => None,
        })
    }
}
