//! One act of one customer, done as often as it takes, and the proof that it ended right.

use std::time::Duration;

use acceptance::{Customer, FREE, IMAGE, Job, PATIENCE, World, prompt};
use domain::Role;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::rows::{Act, End};

/// The least picture there is.
const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\
    \x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\
    \x00\x00\x00\x00IEND\xaeB`\x82";
/// Everybody begins with this much, in minor units.
const MONEY: i64 = 100_000;
/// What is paid in.
const PAID: i64 = 500;

/// An act that is ready to be done.
pub(super) struct Case {
    act: Act,
    customer: Customer,
    /// Who does it: the customer, or somebody of the shop.
    actor: Customer,
    key: String,
    path: String,
    body: Value,
    /// The job, if there was one before the act.
    job: Option<Job>,
}

impl Case {
    /// Does everything that comes before the act.
    pub(super) async fn prepare(world: &World, act: Act) -> Self {
        let customer = world.account_with("1000.00").await;
        let mut case = Self {
            act,
            actor: customer.clone(),
            key: customer.fresh_key(),
            path: "/v1/jobs".to_owned(),
            // The simulator counts marks over equal orders.
            body: customer.order_body(IMAGE, &prompt(&format!("for {}", customer.id))),
            job: None,
            customer,
        };
        match act {
            Act::Order(marks) => {
                case.body["input"]["prompt"] = json!(format!("{marks} for {}", case.customer.id));
            }
            Act::Free => case.body["model"] = json!(FREE[0]),
            Act::Input => {
                let upload = case.customer.send(case.upload()).await.expect(201);
                let input = json!({ "prompt": case.body["input"]["prompt"], "image_urls": [upload["url"]] });
                case.body = case.customer.order_body("google/nano-banana-edit", &input);
            }
            Act::Confirm => {
                case.body["draft"] = json!(true);
                let draft = case.customer.post("/v1/jobs", Some(&case.key), &case.body).await.expect(201);
                case.turn_to(Job(draft), "confirm");
            }
            Act::Cancel => {
                let job = case.customer.order(IMAGE, prompt("[sim:create=429] never mind")).await;
                let refused = |job: &Job| job.0["attempts"] == 3 && job.state() == "pending";
                let job = case.customer.until_job(job.id(), "is refused again and again", refused).await;
                case.turn_to(job, "cancel");
            }
            Act::Upload => {}
            Act::TopUp => {
                case.actor = world.holder(Role::Payments).await;
                case.path = format!("/v1/accounts/{}/topups", case.customer.id);
                case.body = json!({ "amount": PAID, "currency": "RUB" });
            }
            Act::Refund => {
                let done = case.customer.order_and_wait(IMAGE, prompt("not as described")).await;
                let done = case.customer.until_told(done.id()).await;
                case.actor = world.holder(Role::Operator).await;
                case.turn_to(done, "refund");
                case.body = json!({ "reason": "blurred" });
            }
            Act::Redeliver => {
                let done = case.customer.order_and_wait(IMAGE, prompt("say it again")).await;
                let done = case.customer.until_told(done.id()).await;
                case.turn_to(done, "redeliver");
            }
        }
        case
    }

    /// How it ends when nothing dies.
    pub(super) fn natural_end(&self) -> End {
        self.act.natural_end()
    }

    fn turn_to(&mut self, job: Job, act: &str) {
        self.path = format!("/v1/jobs/{}/{act}", job.id());
        self.job = Some(job);
    }

    fn upload(&self) -> RequestBuilder {
        self.customer.request(Method::POST, "/v1/uploads").header("content-type", "image/png").body(PNG)
    }

    fn request(&self) -> RequestBuilder {
        if self.act == Act::Upload {
            return self.upload();
        }
        let request = self.actor.request(Method::POST, &self.path);
        request.header("idempotency-key", &self.key).json(&self.body)
    }

    /// Does it until the shop has taken it, as a careful client does; nothing if the shop died meanwhile.
    pub(super) async fn act(&self) -> Option<Value> {
        let trying = async {
            loop {
                match self.actor.try_send(self.request()).await {
                    Err(_dead) => return None,
                    Ok(answer) if answer.status < 300 => return Some(answer.body),
                    // The database is away; or the job is being sent at this moment.
                    Ok(answer) if answer.status == 503 || self.is_sending(&answer.body) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Ok(answer) => panic!("{:?} was answered {}: {}", self.act, answer.status, answer.body),
                }
            }
        };
        tokio::time::timeout(PATIENCE, trying)
            .await
            .unwrap_or_else(|_elapsed| panic!("{:?} is never taken", self.act))
    }

    fn is_sending(&self, problem: &Value) -> bool {
        self.act == Act::Cancel && problem["state"] == "submitting"
    }

    /// Proves that it ended so, and that it happened once. `taken` is what the act was answered at last.
    pub(super) async fn prove(&self, world: &World, taken: &Value, end: End) {
        match self.act {
            Act::Upload => return self.prove_upload(taken).await,
            Act::TopUp => {
                assert_eq!(self.customer.balance().await, (MONEY + PAID, 0));
                return assert_replayed(&self.actor.send(self.request()).await);
            }
            Act::Refund => {
                let job = self.customer.job(self.job.as_ref().unwrap().id()).await;
                assert_eq!(
                    (job.money(), self.customer.balance().await),
                    ([100, 100, 100, 0, 100], (MONEY, 0))
                );
                return assert_replayed(&self.actor.send(self.request()).await);
            }
            Act::Redeliver => return self.prove_told_again(world).await,
            Act::Order(_) | Act::Free | Act::Input | Act::Confirm | Act::Cancel => {}
        }
        let job = self.customer.until_told(self.job_id(taken)).await;
        self.prove_money(&job, end).await;
        match end {
            End::Done | End::Adopted => self.prove_result(world, &job).await,
            End::Unclear => assert_eq!((job.state(), job.cause()), ("failed", "unclear")),
            End::Failed => assert_eq!((job.state(), job.cause()), ("failed", "provider_error")),
            End::Lost => assert_eq!((job.state(), job.cause()), ("failed", "no_result")),
            End::Canceled => assert_eq!(job.state(), "canceled"),
            End::Kept => panic!("{:?} keeps nothing", self.act),
        }
    }

    /// Waits until only time brings news: the job is final, or nobody can tell whether it has a task.
    pub(super) async fn until_at_rest(&self, world: &World, taken: &Value) {
        if self.natural_end() == End::Kept {
            return;
        }
        let owner = self.customer.id.to_string();
        let is_told = !matches!(self.act, Act::Order(marks) if marks.contains("callback=none"));
        let is_owners = |prompt: &Value| prompt.as_str().is_some_and(|prompt| prompt.contains(&owner));
        let is_at_rest = |job: &Job| {
            let tasks = world.sim.tasks();
            let adoptable =
                is_told && tasks.iter().any(|task| task.input.get("prompt").is_some_and(is_owners));
            job.is_final() || (job.state() == "unclear" && !adoptable)
        };
        self.customer.until_job(self.job_id(taken), "is at rest", is_at_rest).await;
    }

    /// Like [`Case::prove`] where an error may have come between the purchase and its record.
    pub(super) async fn prove_any(&self, world: &World, taken: &Value) {
        let mut end = self.natural_end();
        if end != End::Kept {
            let job = self.customer.until_final(self.job_id(taken)).await;
            end = if (job.state(), job.cause()) == ("failed", "unclear") { End::Unclear } else { end };
        }
        self.prove(world, taken, end).await;
    }

    /// How many messages about the job came.
    pub(super) fn times_told(&self, world: &World, taken: &Value) -> usize {
        world.receiver.calls_about(self.job_id(taken)).len()
    }

    fn job_id<'a>(&'a self, taken: &'a Value) -> &'a str {
        self.job.as_ref().map_or_else(|| taken["id"].as_str().unwrap(), Job::id)
    }

    async fn prove_money(&self, job: &Job, end: End) {
        let [price, held, captured, released, refunded] = job.money();
        assert_eq!(price == 0, self.act == Act::Free);
        let shares = if matches!(end, End::Done | End::Adopted) { (price, 0) } else { (0, price) };
        assert_eq!((held, (captured, released), refunded), (price, shares, 0), "{}", job.0);
        assert_eq!(self.customer.balance().await, (MONEY - captured, 0));
    }

    async fn prove_result(&self, world: &World, job: &Job) {
        assert_eq!((job.state(), job.outputs().len()), ("done", 1), "{}", job.0);
        let (status, _) = self.customer.download(job.outputs()[0]["url"].as_str().unwrap()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(job.deliveries()[0]["state"], "done");
        let calls = world.receiver.calls_about(job.id());
        assert!(!calls.is_empty(), "the customer was told");
        let ids = calls.iter().map(|call| call.header("webhook-id").to_owned());
        assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 1, "repeats are marked as such");
        // The picture and its thumbnail, under the names of the row, however often they were copied.
        let kept = std::fs::read_dir(world.path("media").join(self.customer.id.to_string()).join("image"));
        assert_eq!(kept.unwrap().count(), 2, "no second object");
    }

    async fn prove_told_again(&self, world: &World) {
        let id = self.job.as_ref().unwrap().id();
        let calls = acceptance::until("it is told again", async || {
            let calls = world.receiver.calls_about(id);
            (calls.len() > 1).then_some(calls)
        })
        .await;
        assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")));
        self.customer.until_told(id).await;
    }

    async fn prove_upload(&self, upload: &Value) {
        let input = json!({ "prompt": "more wind", "image_urls": [upload["url"]] });
        let job = self.customer.order_and_wait("google/nano-banana-edit", input).await;
        assert_eq!(job.state(), "done");
    }
}

#[track_caller]
fn assert_replayed(answer: &acceptance::Answer) {
    assert_eq!((answer.status, answer.replayed), (200, true), "{}", answer.body);
}
