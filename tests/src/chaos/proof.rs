//! What must be true when the storm is over: nothing lost, nothing bought twice, nothing charged twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kie_client::callback;
use lifecycle::SecretKeys;
use operations::MediaAudit;
use sqlx::PgConnection;
use tokio::process::Command;
use uuid::Uuid;

use super::people::People;
use super::provider::{Sent, Task};
use super::stage::Stage;
use crate::audit::bought_at_most_once;
use crate::instance::{config, open_media};
use crate::program::built;
use crate::world::SECRET_KEY;

/// What is wrong, by the promise that it breaks.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub(crate) lost: Vec<String>,
    pub(crate) bought_twice: Vec<String>,
    pub(crate) charged_twice: Vec<String>,
    pub(crate) untold: Vec<String>,
    pub(crate) audit: Vec<String>,
    pub(crate) others: Vec<String>,
    /// How the jobs ended, with the cause of failures.
    pub(crate) ends: BTreeMap<String, u64>,
    pub(crate) tasks: usize,
    pub(crate) gifts: u64,
    pub(crate) deliveries: BTreeMap<String, u64>,
}

/// A job as its row has it.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    state: String,
    cause: Option<String>,
    gift: bool,
    price: i64,
    captured: i64,
}

impl Proof {
    pub(crate) const fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.bought_twice.is_empty()
            && self.charged_twice.is_empty()
            && self.untold.is_empty()
            && self.audit.is_empty()
            && self.others.is_empty()
    }

    /// Headings with what is wrong under each.
    pub(crate) fn parts(&self) -> [(&'static str, &[String]); 6] {
        [
            ("lost", &self.lost),
            ("bought twice", &self.bought_twice),
            ("charged twice", &self.charged_twice),
            ("not told", &self.untold),
            ("audit", &self.audit),
            ("other", &self.others),
        ]
    }
}

/// Looks at everything: the database past the shop's code, the provider's books, the receiver's post, the tool's audit.
pub(crate) async fn prove(stage: &Stage, people: &People) -> Proof {
    let mut proof = Proof::default();
    let mut connection = stage.cluster.connect().await.expect("the database answers");
    let rows = rows(&mut connection).await;
    let (tasks, callbacks) = (stage.provider.tasks().await, stage.provider.callbacks().await);
    proof.tasks = tasks.len();
    for row in rows.values() {
        let cause = row.cause.as_deref().filter(|_| row.state == "failed");
        let end = cause.map_or_else(|| row.state.clone(), |cause| format!("{} ({cause})", row.state));
        *proof.ends.entry(end).or_default() += 1;
        proof.gifts += u64::from(row.gift);
        if !matches!(row.state.as_str(), "done" | "failed" | "canceled" | "unclear") {
            proof.lost.push(format!("job {} is {}", row.id, row.state));
        }
    }
    proof.acknowledged(people, &rows);
    proof.known(&callbacks, &rows, &known_tasks(&mut connection).await);
    proof.bought(stage, &tasks).await;
    proof.charged(people, &rows, &mut connection).await;
    proof.told(stage, people, &rows, &mut connection).await;
    proof.audited(stage).await;
    proof.others.extend(people.memory().complaints.iter().cloned());
    proof.others.extend(stage.logs().iter().flat_map(|log| panics(log)));
    proof
}

async fn rows(connection: &mut PgConnection) -> BTreeMap<String, Row> {
    let all = "select id, state, cause, gift, price, captured from kie.job";
    let rows: Vec<Row> = sqlx::query_as(all).fetch_all(connection).await.unwrap();
    rows.into_iter().map(|row| (row.id.to_string(), row)).collect()
}

async fn known_tasks(connection: &mut PgConnection) -> BTreeSet<String> {
    let all = "select task_id from kie.attempt where task_id is not null";
    sqlx::query_scalar(all).fetch_all(connection).await.unwrap().into_iter().collect()
}

impl Proof {
    /// What a customer was told is ordered is there, and nothing else is.
    fn acknowledged(&mut self, people: &People, rows: &BTreeMap<String, Row>) {
        let memory = people.memory();
        let promised: BTreeSet<&String> = memory.placed.iter().flat_map(|placed| &placed.jobs).collect();
        self.lost.extend(
            promised
                .iter()
                .filter(|id| !rows.contains_key(**id))
                .map(|id| format!("the acknowledged job {id} is not there")),
        );
        let unasked = rows.keys().filter(|id| !promised.contains(id));
        self.others.extend(unasked.map(|id| format!("nobody was told of job {id}")));
        let refused = memory.refused.iter();
        self.others.extend(refused.map(|(number, answer)| {
            format!("order {number} was refused: {} {}", answer.status, answer.body)
        }));
    }

    /// A task whose callback we took is known, if the callback named it.
    fn known(&mut self, callbacks: &[Sent], rows: &BTreeMap<String, Row>, known: &BTreeSet<String>) {
        let keys = SecretKeys::new(SECRET_KEY.into(), Vec::new()).unwrap();
        let mut missing = BTreeMap::new();
        for sent in callbacks.iter().filter(|sent| sent.status == Some(200) && !known.contains(&sent.task_id))
        {
            let hint = callback::read(sent.body.as_bytes(), None);
            let named = hint.task_id.as_ref().is_some_and(|id| id.as_str() == sent.task_id) && !hint.conflict;
            let token = sent.url.rsplit('/').next().unwrap_or_default();
            let job = keys.read_callback_token(token).and_then(|(job, _)| rows.get(&job.to_string()));
            if named {
                let words = job.map_or_else(|| "of no job".to_owned(), |job| format!("of {job:?}"));
                missing.insert(&sent.task_id, words);
            }
        }
        let words = missing.into_iter();
        self.lost.extend(
            words.map(|(task, words)| format!("task {task} {words} told of itself and is not known")),
        );
    }

    async fn bought(&mut self, stage: &Stage, tasks: &[Task]) {
        let bought = tasks.iter().map(|task| (task.id.clone(), task.callback_url.clone())).collect();
        self.bought_twice.extend(bought_at_most_once(&*stage.store, bought).await);
    }

    /// Every balance is what was paid in, less what was captured, and what was refunded; each movement once.
    async fn charged(
        &mut self,
        people: &People,
        rows: &BTreeMap<String, Row>,
        connection: &mut PgConnection,
    ) {
        for row in rows.values().filter(|row| row.captured > row.price || (row.gift && row.captured > 0)) {
            self.charged_twice.push(format!("too much was captured: {row:?}"));
        }
        let twice = "select job_id, kind, count(*) from kie.transfer
            where kind in ('hold', 'capture', 'release', 'refund') group by job_id, kind having count(*) > 1";
        let twice: Vec<(Uuid, String, i64)> =
            sqlx::query_as(twice).fetch_all(&mut *connection).await.unwrap();
        self.charged_twice
            .extend(twice.iter().map(|(job, kind, n)| format!("{n} movements `{kind}` of job {job}")));
        let (paid_in, refunded) = {
            let memory = people.memory();
            (memory.paid_in.clone(), memory.refunded.clone())
        };
        for person in &people.persons {
            let paid: i64 =
                paid_in.values().filter(|(id, _)| *id == person.id).map(|(_, amount)| amount).sum();
            let account = person.id.as_uuid();
            let own = "select id::text, captured, refunded from kie.job where account_id = $1";
            let own: Vec<(String, i64, i64)> =
                sqlx::query_as(own).bind(account).fetch_all(&mut *connection).await.unwrap();
            let mut expected = paid;
            for (job, captured, given_back) in own {
                let promised = refunded.get(&job).copied().unwrap_or_default();
                if promised != given_back {
                    self.charged_twice
                        .push(format!("{promised} of job {job} were to be refunded, {given_back} were"));
                }
                expected += given_back - captured;
            }
            let balance = "select available, held from kie.account where id = $1";
            let (available, held): (i64, i64) =
                sqlx::query_as(balance).bind(account).fetch_one(&mut *connection).await.unwrap();
            if (available, held) != (expected, 0) {
                self.charged_twice.push(format!(
                    "account {account} has {available} and {held} held, expected {expected} and nothing held"
                ));
            }
        }
    }

    /// Whoever asked for it was told, at least once, or the duty lies among the dead letters; always under one id.
    async fn told(
        &mut self,
        stage: &Stage,
        people: &People,
        rows: &BTreeMap<String, Row>,
        connection: &mut PgConnection,
    ) {
        let all = "select job_id::text, id::text, event, state from kie.delivery";
        let duties: Vec<(String, String, String, String)> =
            sqlx::query_as(all).fetch_all(connection).await.unwrap();
        let mut heard: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for call in stage.receiver.calls().iter().filter(|call| call.status == 200) {
            let body = call.json();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let ids = heard.entry((text(&body["data"]["id"]), text(&body["type"]))).or_default();
            ids.insert(call.header("webhook-id").to_owned());
        }
        let several = heard.iter().filter(|(_, ids)| ids.len() > 1);
        self.untold.extend(several.map(|(told, ids)| format!("{told:?} was told under the ids {ids:?}")));
        let mut owed = BTreeSet::new();
        for (job, id, event, state) in duties {
            *self.deliveries.entry(state.clone()).or_default() += 1;
            if state == "pending" {
                self.untold.push(format!("delivery {id} of job {job} still waits"));
            }
            if state == "done" && !heard.contains_key(&(job.clone(), event.clone())) {
                self.untold.push(format!("delivery {id} ({event} of job {job}) is done, but nothing came"));
            }
            owed.insert((job, event));
        }
        let memory = people.memory();
        for job in memory.placed.iter().filter(|placed| placed.told).flat_map(|placed| &placed.jobs) {
            let Some(row) = rows.get(job) else { continue };
            let event = match row.state.as_str() {
                "done" => "job.done",
                "failed" => "job.failed",
                _ => continue,
            };
            if !owed.contains(&(job.clone(), event.to_owned())) {
                self.untold.push(format!("job {job} is {}, and nobody is to be told", row.state));
            }
        }
    }

    /// The operator's own tool reads every byte; the same code looks once more for objects that no row knows, as if it
    /// were two hours later, because the tool passes young ones.
    async fn audited(&mut self, stage: &Stage) {
        let told = Command::new(built("kie-reconciler"))
            .args(["--json", "audit", "--media", "--hash"])
            .env_clear()
            .envs(stage.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .await
            .unwrap();
        if !told.status.success() {
            let words = [told.stdout, told.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            self.audit.push(format!("kie-reconciler audit ended with {}: {}", told.status, words.concat()));
        }
        let storage = stage.storage.lock().await;
        let flags = [("--media-url".to_owned(), crate::storage::S3Server::media_url())];
        let media = open_media(&config(&flags), Some(&storage));
        let later = stage.ids.now().saturating_add(Duration::from_hours(2)).unwrap();
        let report = operations::audit(&*stage.store, Some((&media, MediaAudit::Length)), later).await;
        match report {
            Ok(report) => self.audit.extend(report.findings.iter().map(|found| format!("later: {found:?}"))),
            Err(error) => self.audit.push(format!("the audit could not look: {error}")),
        }
    }
}

/// Lines of a log that tell of a panic.
fn panics(log: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    text.lines()
        .filter(|line| line.contains("panicked"))
        .map(|line| format!("{name}: {line}"))
        .take(20)
        .collect()
}
