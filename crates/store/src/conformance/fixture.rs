//! What every promise starts from: a store, a clock that stands still, ids, accounts with money, orders.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Account, AccountId, AssetId, BatchId, Book, Chance, Clock, DeliveryId, Job, JobId, JobState, ManualClock,
    MediaKind, Money, PriceBasis, Scope, SeededChance, Timestamp, TokenId, TransferId, TransferKind,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::{
    Credited, NewAccount, NewEntry, NewJob, NewOrder, NewTransfer, OrderLimits, Placed, Store, TransferFilter,
};

/// A Thursday noon, so that days and hours can pass on both sides.
const START_MICROS: i64 = 1_768_478_400_000_000;

/// Limits that no promise meets by accident.
pub(super) const NO_LIMITS: OrderLimits = OrderLimits { open_jobs: 10_000, free_per_day: 10_000 };

/// A store with a clock and chance of its own; clones share all three.
#[derive(Clone)]
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    chance: Arc<SeededChance>,
}

impl Fixture {
    /// A fixture over an empty store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let start = Timestamp::from_microsecond(START_MICROS).expect("a moment of this century");
        Self { store, clock: Arc::new(ManualClock::new(start)), chance: Arc::new(SeededChance::new(7)) }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The moment `seconds` from now (before now if negative).
    pub fn after(&self, seconds: i64) -> Timestamp {
        later(self.now(), seconds)
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A fresh job id of this moment.
    pub fn job_id(&self) -> JobId {
        JobId::generate(self.now(), &*self.chance)
    }

    /// A fresh account id of this moment.
    pub fn account_id(&self) -> AccountId {
        AccountId::generate(self.now(), &*self.chance)
    }

    /// A fresh asset id of this moment.
    pub fn asset_id(&self) -> AssetId {
        AssetId::generate(self.now(), &*self.chance)
    }

    /// A fresh delivery id of this moment.
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId::generate(self.now(), &*self.chance)
    }

    /// A fresh batch id of this moment.
    pub fn batch_id(&self) -> BatchId {
        BatchId::generate(self.now(), &*self.chance)
    }

    /// A fresh token id of this moment.
    pub fn token_id(&self) -> TokenId {
        TokenId::generate(self.now(), &*self.chance)
    }

    /// Bytes of chance, the same for every run.
    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.chance.fill(&mut bytes);
        bytes
    }

    /// A word that no other call returns.
    pub fn word(&self, prefix: &str) -> String {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        format!("{prefix}-{:016x}", u64::from_le_bytes(bytes))
    }

    /// An account to be opened, without outside names.
    pub fn new_account(&self) -> NewAccount {
        NewAccount {
            id: self.account_id(),
            external_id: None,
            name: None,
            telegram_id: None,
            webhook_key: self.bytes(),
            demo: false,
            at: self.now(),
        }
    }

    /// A new account with `minor` units to spend.
    pub async fn account(&self, minor: i64) -> AccountId {
        let account = self.new_account();
        self.store.add_account(&account).await.expect("the account is opened");
        if minor > 0 {
            let topup = self.topup(account.id, &self.word("topup"), minor);
            let credited = self.store.credit(&[topup], self.now()).await.expect("the top-up runs");
            assert!(matches!(credited, Credited::Applied(_)), "{credited:?}");
        }
        account.id
    }

    /// A movement of money.
    pub fn transfer(
        &self,
        account: AccountId,
        kind: TransferKind,
        key: &str,
        books: (Book, Book),
        minor: i64,
    ) -> NewTransfer {
        NewTransfer {
            id: TransferId::generate(self.now(), &*self.chance),
            account,
            job: None,
            kind,
            key: key.to_owned(),
            debit: books.0,
            credit: books.1,
            amount: Money::from_minor(minor),
            reason: None,
        }
    }

    /// Money paid in.
    pub fn topup(&self, account: AccountId, key: &str, minor: i64) -> NewTransfer {
        self.transfer(account, TransferKind::Topup, key, (Book::Payments, Book::Available), minor)
    }

    /// A movement of one job, with the key `kind:job` that makes it happen once.
    pub fn job_transfer(
        &self,
        account: AccountId,
        job: JobId,
        kind: TransferKind,
        minor: i64,
    ) -> NewTransfer {
        let books = match kind {
            TransferKind::Hold => (Book::Available, Book::Held),
            TransferKind::Capture => (Book::Held, Book::Revenue),
            TransferKind::Release => (Book::Held, Book::Available),
            TransferKind::Refund | TransferKind::Topup | TransferKind::Reversal | TransferKind::Adjust => {
                (Book::Revenue, Book::Available)
            }
        };
        let transfer = self.transfer(account, kind, &format!("{kind}:{job}"), books, minor);
        NewTransfer { job: Some(job), ..transfer }
    }

    /// A pending job of an image model; held if `minor` is above zero, free otherwise.
    pub fn new_job(&self, account: AccountId, minor: i64) -> NewJob {
        let id = self.job_id();
        NewJob {
            id,
            model: "maker/image-1".to_owned(),
            kind: MediaKind::Image,
            input: serde_json::json!({"prompt": "a red cat", "n": 1}),
            prompt: Some("a red cat".to_owned()),
            state: JobState::Pending,
            price: Money::from_minor(minor),
            basis: if minor == 0 {
                PriceBasis::Free
            } else {
                PriceBasis::Fixed { catalogue: "test".to_owned() }
            },
            outputs_ordered: 1,
            recipients: Vec::new(),
            deadline_at: self.after(86_400),
            hold: (minor > 0).then(|| self.job_transfer(account, id, TransferKind::Hold, minor)),
            timeline: vec![entry("job.ordered")],
        }
    }

    /// The same as a draft: priced, without a hold.
    pub fn new_draft(&self, account: AccountId, minor: i64) -> NewJob {
        NewJob { state: JobState::Draft, hold: None, ..self.new_job(account, minor) }
    }

    /// An order of these jobs under a key of its own.
    pub fn order(&self, account: AccountId, jobs: Vec<NewJob>) -> NewOrder {
        NewOrder {
            account,
            key: self.word("key"),
            fingerprint: self.bytes(),
            batch: (jobs.len() > 1).then(|| self.batch_id()),
            request_id: self.word("request"),
            jobs,
            limits: NO_LIMITS,
            at: self.now(),
        }
    }

    /// An order of `count` pending jobs at `minor` each.
    pub fn order_of(&self, account: AccountId, count: usize, minor: i64) -> NewOrder {
        self.order(account, (0..count).map(|_| self.new_job(account, minor)).collect())
    }

    /// Places an order that must open.
    pub async fn open(&self, order: &NewOrder) -> Vec<Job> {
        match self.store.place(order).await.expect("the order runs") {
            Placed::Opened(jobs) => jobs,
            other => panic!("the order was not opened: {other:?}"),
        }
    }

    /// Orders one pending job.
    pub async fn pending(&self, account: AccountId, minor: i64) -> Job {
        self.open(&self.order_of(account, 1, minor)).await.remove(0)
    }

    /// The job as it is now.
    pub async fn job(&self, id: JobId) -> Job {
        self.store.find_job(id, Scope::All).await.expect("jobs can be read").expect("the job exists")
    }

    /// What the account has: available and held.
    pub async fn balance(&self, account: AccountId) -> (i64, i64) {
        let account: Account = self
            .store
            .find_account(account)
            .await
            .expect("accounts can be read")
            .expect("the account exists");
        (account.available.minor(), account.held.minor())
    }

    /// How many transfers of this kind the account has.
    pub async fn count_transfers(&self, account: AccountId, kind: TransferKind) -> usize {
        let filter = TransferFilter { account: Some(account), limit: 1000, ..TransferFilter::default() };
        let transfers = self.store.list_transfers(&filter).await.expect("transfers can be read");
        transfers.iter().filter(|transfer| transfer.kind == kind).count()
    }
}

/// A line of history that is never folded.
pub(super) fn entry(event: &'static str) -> NewEntry {
    NewEntry { source: "test", event, detail: None, fold: None }
}

/// The moment `seconds` after `at`.
pub(super) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    let micros = at.as_microsecond().saturating_add(seconds.saturating_mul(1_000_000));
    Timestamp::from_microsecond(micros).expect("a moment of this century")
}

/// Runs `count` futures as tasks that start at the same moment; their answers in order of their number.
pub(super) async fn at_once<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (barrier, future) = (Arc::clone(&barrier), make(number));
        tasks.spawn(async move {
            barrier.wait().await;
            (number, future.await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
