//! Where decisions become deeds. A dry run makes the same decisions: the database answers what it would have done, and
//! what the pass would have made by then is remembered here: 80 bytes for each user and 16 for each order key, task and
//! object, whatever their length; up to two and a half times that with the room that hash tables keep free.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{AccountId, Book, JobId, Money, Timestamp, TransferId, TransferKind};
use lifecycle::Lifecycle;
use store::{
    Credited, Imported, NewAccount, NewAsset, NewImport, NewTransfer, Recorded, SourceNoun, Step, Store,
    StoreError, TaskSaved, WakeJob, account_delta,
};

use crate::seen::Seen;

/// Takes what a pass has decided.
pub(crate) struct Desk<'a> {
    lifecycle: &'a Lifecycle,
    /// What a dry run would have made so far.
    trial: Option<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    /// Accounts of users that no pass has taken over, by the digests of their keys in the old shop.
    users: HashMap<[u64; 2], AccountId>,
    standings: HashMap<AccountId, Standing>,
    /// Chats, tasks, keys of orders and objects.
    taken: Seen,
}

/// How an account stands after what a dry run would have done to it.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// Whether it would have been opened.
    is_opened: bool,
    /// How much more would be available than there is.
    more: Money,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(lifecycle: &'a Lifecycle, dry_run: bool) -> Self {
        Self { lifecycle, trial: dry_run.then(Mutex::default) }
    }

    fn store(&self) -> &'a dyn Store {
        self.lifecycle.store()
    }

    fn made(&self) -> Option<MutexGuard<'_, Made>> {
        self.trial.as_ref().map(|made| made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The accounts of these users.
    pub(crate) async fn owners(
        &self,
        shop: &str,
        users: Vec<String>,
    ) -> Result<Vec<(String, AccountId)>, StoreError> {
        let found = self.store().find_imported(shop, SourceNoun::User, &users).await?;
        let mut owners: Vec<_> = found.into_iter().map(|user: Imported| (user.key, user.account)).collect();
        if let Some(made) = self.made() {
            owners.extend(users.into_iter().filter_map(|user| {
                let account = *made.users.get(&made.user(&user))?;
                Some((user, account))
            }));
        }
        Ok(owners)
    }

    /// Whether the account was closed and anonymised.
    pub(crate) async fn is_erased(&self, account: AccountId) -> Result<bool, StoreError> {
        let found = self.store().find_account(account).await?;
        Ok(found.is_some_and(|account| account.closed_at.is_some()))
    }

    /// [`store::ImportStore::import`].
    pub(crate) async fn import(&self, import: &NewImport) -> Result<bool, StoreError> {
        if self.trial.is_none() {
            return self.store().import(import).await;
        }
        let mut trial = import.clone();
        if let Some(made) = self.made() {
            made.refuse(import)?;
            self.complete(&made, &mut trial);
        }
        let written = self.store().try_import(&trial).await?;
        if let Some(mut made) = self.made().filter(|_| written) {
            made.keep(import);
        }
        Ok(written)
    }

    /// Adds what the pass would have written of the account before.
    fn complete(&self, made: &Made, trial: &mut NewImport) {
        let Some(standing) = made.standings.get(&trial.account) else { return };
        if standing.is_opened && trial.open.is_none() {
            trial.open = Some(placeholder(trial));
        }
        let Some(amount) = standing.more.minor().checked_abs().filter(|amount| *amount > 0) else { return };
        if trial.transfers.is_empty() {
            return;
        }
        let (from, into) = (Book::Adjustments, Book::Available);
        let (debit, credit) = if standing.more.is_positive() { (from, into) } else { (into, from) };
        let before = NewTransfer {
            id: TransferId::generate(trial.at, &*self.lifecycle.ids().chance),
            account: trial.account,
            job: None,
            kind: TransferKind::Adjust,
            key: format!("adjust:import-trial:{}", trial.account),
            debit,
            credit,
            amount: Money::from_minor(amount),
            reason: Some("what a dry run would have written before".to_owned()),
        };
        trial.transfers.insert(0, before);
    }

    /// [`store::JobStore::save_task`].
    pub(crate) async fn save_task(
        &self,
        job: JobId,
        attempt: u16,
        task: &str,
        at: Timestamp,
    ) -> Result<TaskSaved, StoreError> {
        if self.trial.is_none() {
            return self.store().save_task(job, attempt, task, at).await;
        }
        let attempts = self.store().attempts(job).await?;
        let attempt = attempts.into_iter().find(|one| one.number == attempt);
        match attempt.ok_or(StoreError::NotFound { what: "attempt" })?.task_id {
            Some(known) if known == task => return Ok(TaskSaved::Known),
            Some(_) => return Ok(TaskSaved::Taken),
            None => {}
        }
        let is_taken = self.store().find_job_by_task(task).await?.is_some();
        let is_new = self.made().is_some_and(|mut made| !is_taken && made.taken.meet(&("task", task)));
        Ok(if is_new { TaskSaved::Saved } else { TaskSaved::Taken })
    }

    /// [`store::JobStore::wake_job`].
    pub(crate) async fn wake_job(&self, wake: &WakeJob) -> Result<(), StoreError> {
        if self.trial.is_none() {
            self.store().wake_job(wake).await?;
        }
        Ok(())
    }

    /// [`store::JobStore::record`] of a step that moves no money and names no task.
    pub(crate) async fn record(&self, step: &Step) -> Result<Recorded, StoreError> {
        if self.trial.is_none() {
            return self.store().record(step).await;
        }
        for asset in &step.assets {
            let is_there = self.store().find_asset_by_object(&asset.object).await?.is_some();
            if is_there || self.made().is_some_and(|made| made.taken.has(&object(asset))) {
                return Err(StoreError::Taken { what: "object" });
            }
        }
        if let Some(mut made) = self.made() {
            for asset in &step.assets {
                made.taken.meet(&object(asset));
            }
        }
        Ok(Recorded::Applied)
    }

    /// [`store::TransferStore::credit`] of a movement into what an account has to spend.
    pub(crate) async fn credit(&self, transfer: &NewTransfer, at: Timestamp) -> Result<Credited, StoreError> {
        if self.trial.is_none() {
            return self.store().credit(std::slice::from_ref(transfer), at).await;
        }
        let known = self.store().transfers_by_key(std::slice::from_ref(&transfer.key)).await?;
        match known.first() {
            Some(first) if transfer.is_same_as(first) => return Ok(Credited::Replayed(known)),
            Some(_) => return Ok(Credited::KeyReused),
            None => {}
        }
        let account = self.store().find_account(transfer.account).await?;
        if account.is_none_or(|account| account.closed_at.is_some()) {
            return Err(StoreError::NotFound { what: "account" });
        }
        if let Some(mut made) = self.made() {
            made.move_money(transfer.account, std::slice::from_ref(transfer));
        }
        Ok(Credited::Applied(Vec::new()))
    }
}

impl Made {
    fn user(&self, key: &str) -> [u64; 2] {
        self.taken.digest(&("user", key))
    }

    /// Refuses what something that the pass would have made has taken, in the order in which a database does.
    fn refuse(&self, import: &NewImport) -> Result<(), StoreError> {
        let taken = |what: &'static str| Err(StoreError::Taken { what });
        let chat = import.open.as_ref().and_then(|account| account.telegram_id);
        if chat.is_some_and(|chat| self.taken.has(&("chat", chat))) {
            return taken("telegram id");
        }
        let Some(write) = &import.write else { return Ok(()) };
        if self.taken.has(&(import.account, &*write.row.key)) {
            return taken("order key");
        }
        if write.row.task_id.as_deref().is_some_and(|task| self.taken.has(&("task", task))) {
            return taken("task");
        }
        if write.assets.iter().any(|asset| self.taken.has(&object(asset))) {
            return taken("object");
        }
        Ok(())
    }

    fn keep(&mut self, import: &NewImport) {
        if import.noun == SourceNoun::User && import.known.is_none() {
            self.users.insert(self.user(&import.key), import.account);
        }
        if let Some(account) = &import.open {
            if let Some(chat) = account.telegram_id {
                self.taken.meet(&("chat", chat));
            }
            self.standings.entry(import.account).or_default().is_opened = true;
        }
        if let Some(write) = &import.write {
            self.taken.meet(&(import.account, &*write.row.key));
            if let Some(task) = &write.row.task_id {
                self.taken.meet(&("task", &**task));
            }
            for asset in &write.assets {
                self.taken.meet(&object(asset));
            }
        }
        self.move_money(import.account, &import.transfers);
    }

    fn move_money(&mut self, account: AccountId, transfers: &[NewTransfer]) {
        // A sum that does not fit was refused by the database.
        let more =
            account_delta(transfers).map(|delta| Money::from_minor(delta.available)).unwrap_or_default();
        if !more.is_zero() {
            let standing = self.standings.entry(account).or_default();
            standing.more = standing.more.plus(more).unwrap_or(standing.more);
        }
    }
}

/// Stands for an account that the pass would have opened before; its names and its chat were tried then.
const fn placeholder(trial: &NewImport) -> NewAccount {
    NewAccount {
        id: trial.account,
        external_id: None,
        name: None,
        telegram_id: None,
        webhook_key: [0; 32],
        demo: false,
        at: trial.at,
    }
}

fn object(asset: &NewAsset) -> (&'static str, &str) {
    ("object", &asset.object)
}
