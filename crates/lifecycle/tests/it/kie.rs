//! A provider in memory: what its calls meet, and the callbacks that it sends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Answer, Cause, Chance, Clock, Decimal, ManualClock, SeededChance, Timestamp};
use lifecycle::{CreateFailure, Provider, ReadFailure, SourceFile, TaskRecord};
use serde_json::{Value, json};
use url::Url;

use crate::gate::Gate;
use crate::shelf::{Shelf, Upload};
use crate::task::Task;
pub(crate) use crate::task::{End, Hint, Life};

/// What createTask answers, and whether a task is made all the same.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Accepted,
    Refused(Answer),
    /// The answer is lost on its way; the task is made.
    LostButMade,
    /// The request is lost on its way; nothing is made, and nobody can know.
    LostUnmade,
    /// A refusal that names a task, which lives.
    RefusedWithTask(Answer),
    /// The answer comes after this time.
    AcceptedLate(Duration),
}

/// One createTask that reached us.
#[derive(Debug, Clone)]
pub(crate) struct Create {
    pub(crate) at: Timestamp,
    pub(crate) model: String,
    pub(crate) input: Value,
    pub(crate) callback: Option<Url>,
    pub(crate) task: Option<String>,
    /// Whether the provider itself knows that nothing came of it.
    pub(crate) refused: bool,
}

/// A callback on its way to us.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) at: Timestamp,
    pub(crate) token: String,
    pub(crate) body: Vec<u8>,
    pub(crate) task: String,
    pub(crate) genuine: bool,
}

/// Decides what a createTask without a plan meets.
pub(crate) type Dice = Box<dyn FnMut() -> (Reply, Life) + Send>;

#[derive(Default)]
struct State {
    plans: VecDeque<(Reply, Life)>,
    dice: Option<Dice>,
    read_dice: Option<(SeededChance, f64)>,
    tasks: BTreeMap<String, Task>,
    creates: Vec<Create>,
    posts: Vec<Post>,
    reads: Vec<(Timestamp, String)>,
    read_faults: VecDeque<ReadFailure>,
    shelf: Shelf,
    fresh_links: u32,
    no_fresh_links: bool,
    /// What is left on our account there, in millionths; no task changes it.
    balance_micro: u64,
}

impl State {
    /// Whether a call that only reads meets trouble.
    fn has_trouble(&self) -> bool {
        self.read_dice.as_ref().is_some_and(|(chance, rate)| chance.fraction() < *rate)
    }
}

pub(crate) struct Kie {
    clock: Arc<ManualClock>,
    gate: Arc<Gate>,
    state: Mutex<State>,
}

impl Kie {
    pub(crate) fn new(clock: Arc<ManualClock>, gate: Arc<Gate>) -> Self {
        Self { clock, gate, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What the next createTask without a plan meets.
    pub(crate) fn plan(&self, reply: Reply, life: Life) {
        self.lock().plans.push_back((reply, life));
    }

    /// What every createTask without a plan of its own meets.
    pub(crate) fn plan_for_all(&self, plan: Option<(Reply, Life)>) {
        self.lock().dice = plan.map(|plan| -> Dice { Box::new(move || plan.clone()) });
    }

    pub(crate) fn set_dice(&self, dice: Option<Dice>, read_dice: Option<(SeededChance, f64)>) {
        let mut state = self.lock();
        state.dice = dice;
        state.read_dice = read_dice;
    }

    pub(crate) fn fail_next_read(&self, failure: ReadFailure) {
        self.lock().read_faults.push_back(failure);
    }

    pub(crate) fn fail_next_upload(&self, failure: ReadFailure) {
        self.lock().shelf.fail_next(failure);
    }

    pub(crate) fn refuse_fresh_links(&self) {
        self.lock().no_fresh_links = true;
    }

    pub(crate) fn creates(&self) -> Vec<Create> {
        self.lock().creates.clone()
    }

    pub(crate) fn tasks(&self) -> Vec<String> {
        self.lock().tasks.keys().cloned().collect()
    }

    /// When each record was asked for.
    pub(crate) fn reads(&self, task: &str) -> Vec<Timestamp> {
        self.lock().reads.iter().filter(|(_, read)| read == task).map(|(at, _)| *at).collect()
    }

    pub(crate) fn uploads(&self) -> Vec<Upload> {
        self.lock().shelf.uploads().to_vec()
    }

    pub(crate) fn set_upload_weather(&self, weather: Option<(SeededChance, f64)>) {
        self.lock().shelf.set_weather(weather);
    }

    /// The files that were uploaded so far are gone before their time.
    pub(crate) fn lose_uploads(&self) {
        let now = self.clock.now();
        self.lock().shelf.lose_all(now);
    }

    /// Sets what is left on our account there.
    pub(crate) fn set_balance(&self, credits: &str) {
        self.lock().balance_micro = credits.parse::<Decimal>().unwrap().micro();
    }

    /// The records name other links from now on.
    pub(crate) fn move_links(&self) {
        self.lock().tasks.values_mut().for_each(|task| task.edition += 1);
    }

    /// Changes how the tasks that live now end.
    pub(crate) fn end_all(&self, end: &End) {
        let now = self.clock.now();
        for task in self.lock().tasks.values_mut() {
            task.life.end = end.clone();
            task.life.ends_after = Duration::try_from(now.duration_since(task.born)).unwrap_or_default();
        }
    }

    /// When the next callback sets out.
    pub(crate) fn next_post(&self) -> Option<Timestamp> {
        self.lock().posts.iter().map(|post| post.at).min()
    }

    /// The callbacks that have set out by now.
    pub(crate) fn take_posts(&self) -> Vec<Post> {
        let now = self.clock.now();
        let mut state = self.lock();
        let (due, later) = std::mem::take(&mut state.posts).into_iter().partition(|post| post.at <= now);
        state.posts = later;
        due
    }

    /// A callback that was not taken sets out again after a minute.
    pub(crate) fn send_again(&self, post: Post) {
        let at = self.clock.now().saturating_add(Duration::from_mins(1)).unwrap();
        self.lock().posts.push(Post { at, ..post });
    }

    fn make(
        &self,
        state: &mut State,
        model: &str,
        input: &Value,
        callback: Option<&Url>,
        life: Life,
    ) -> String {
        let born = self.clock.now();
        let id = format!("task-{:04}", state.tasks.len() + 1);
        let token = callback.and_then(|url| url.path_segments()?.next_back().map(str::to_owned));
        for (after, hint) in &life.hints {
            let Some(token) = token.clone() else { break };
            let at = domain::to_micros(born.saturating_add(*after).unwrap());
            let (token, body) = match hint {
                Hint::Genuine => (token, hint_body(&id)),
                Hint::OtherTask(other) => (token, hint_body(other)),
                Hint::Garbage => (token, b"<html>502".to_vec()),
                Hint::WrongToken => (format!("{token}00"), hint_body(&id)),
            };
            let genuine = matches!(hint, Hint::Genuine);
            state.posts.push(Post { at, token, body, task: id.clone(), genuine });
        }
        let wanted = input["n"].as_u64().map_or(1, |n| usize::try_from(n).unwrap());
        let (model, callback) = (model.to_owned(), callback.cloned());
        state.tasks.insert(id.clone(), Task { born, model, callback, life, wanted, edition: 0 });
        id
    }
}

/// The body of a callback that names this task.
pub(crate) fn hint_body(task: &str) -> Vec<u8> {
    json!({"code": 200, "msg": "success", "data": {"taskId": task, "state": "success"}})
        .to_string()
        .into_bytes()
}

fn failure(answer: Answer, task_id: Option<String>) -> CreateFailure {
    CreateFailure { answer, words: format!("{answer:?}"), task_id }
}

#[async_trait]
impl Provider for Kie {
    async fn create_task(
        &self,
        model: &str,
        input: &Value,
        callback: Option<&Url>,
    ) -> Result<String, CreateFailure> {
        self.gate.stop("before create_task").await;
        let answer = {
            let mut state = self.lock();
            let (mut reply, life) = state
                .plans
                .pop_front()
                .or_else(|| state.dice.as_mut().map(|dice| dice()))
                .unwrap_or((Reply::Accepted, Life::default()));
            if state.shelf.misses(input, self.clock.now()) {
                // 451: the input file cannot be fetched.
                reply = Reply::Refused(Answer::Refused(Cause::InvalidInput));
            }
            let mut task = None;
            if !matches!(reply, Reply::Refused(_) | Reply::LostUnmade) {
                task = Some(self.make(&mut state, model, input, callback, life));
            }
            let (at, refused) =
                (self.clock.now(), matches!(reply, Reply::Refused(answer) if answer != Answer::Unknown));
            let (model, input, callback) = (model.to_owned(), input.clone(), callback.cloned());
            state.creates.push(Create { at, model, input, callback, task: task.clone(), refused });
            match reply {
                Reply::Accepted => Ok(task.unwrap()),
                Reply::AcceptedLate(after) => {
                    self.clock.advance(after);
                    Ok(task.unwrap())
                }
                Reply::Refused(answer) => Err(failure(answer, None)),
                Reply::LostButMade | Reply::LostUnmade => Err(failure(Answer::Unknown, None)),
                Reply::RefusedWithTask(answer) => Err(failure(answer, task)),
            }
        };
        self.gate.stop("after create_task").await;
        answer
    }

    async fn record(&self, task_id: &str, _old_model: Option<&str>) -> Result<TaskRecord, ReadFailure> {
        self.gate.stop("before record").await;
        let answer = {
            let now = self.clock.now();
            let mut state = self.lock();
            state.reads.push((now, task_id.to_owned()));
            let bad = state.has_trouble();
            match state.read_faults.pop_front() {
                Some(failure) => Err(failure),
                None if bad => Err(ReadFailure::Trouble("HTTP 502".to_owned())),
                None => state
                    .tasks
                    .get(task_id)
                    .ok_or(ReadFailure::NotFound)
                    .and_then(|task| task.record(task_id, now)),
            }
        };
        self.gate.stop("after record").await;
        answer
    }

    async fn download_url(&self, result_url: &str) -> Result<String, ReadFailure> {
        self.gate.stop("before download_url").await;
        let answer = {
            let mut state = self.lock();
            state.fresh_links += 1;
            if state.no_fresh_links {
                Err(ReadFailure::NotFound)
            } else if state.has_trouble() {
                Err(ReadFailure::Trouble("HTTP 502".to_owned()))
            } else {
                Ok(format!("{result_url}?fresh={}", state.fresh_links))
            }
        };
        self.gate.stop("after download_url").await;
        answer
    }

    async fn credits(&self) -> Result<Decimal, ReadFailure> {
        self.gate.stop("before credits").await;
        Ok(Decimal::from_micro(self.lock().balance_micro))
    }

    async fn upload(&self, file: SourceFile) -> Result<String, ReadFailure> {
        self.gate.stop("before upload").await;
        let answer = self.lock().shelf.take(file.name, self.clock.now());
        self.gate.stop("after upload").await;
        answer
    }
}
