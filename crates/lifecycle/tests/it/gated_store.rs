//! The store with a gate before and after each of its calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::*;
use store::*;
use tokio::sync::watch;

use crate::gate::Gate;

pub(crate) struct GatedStore<S> {
    pub(crate) inner: S,
    pub(crate) gate: Arc<Gate>,
}

macro_rules! gated {
    ($noun:ident { $(fn $name:ident($($arg:ident: $kind:ty),* $(,)?) -> $out:ty;)* $(;; $($rest:item)*)? }) => {
        #[async_trait]
        impl<S: Store> $noun for GatedStore<S> {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$out, StoreError> {
                self.gate.stop_at_store(concat!("before ", stringify!($name))).await?;
                let answer = self.inner.$name($($arg),*).await?;
                self.gate.stop_at_store(concat!("after ", stringify!($name))).await?;
                Ok(answer)
            })*
            $($($rest)*)?
        }
    };
}

gated!(AccountStore {
    fn add_account(account: &NewAccount) -> Added<Account>;
    fn find_account(id: AccountId) -> Option<Account>;
    fn find_account_by_external_id(external_id: &str) -> Option<Account>;
    fn list_accounts(after: Option<AccountId>, limit: u32) -> Vec<Account>;
    fn erase_account(id: AccountId, at: Timestamp) -> ();
    fn webhook_key(id: AccountId) -> [u8; 32];
    fn add_token(token: &NewToken) -> ();
    fn find_token(hash: &[u8; 32]) -> Option<TokenOwner>;
    fn list_tokens(account: AccountId) -> Vec<KeptToken>;
    fn revoke_token(account: AccountId, token: TokenId) -> bool;
    fn has_real_accounts() -> bool;
});

gated!(AssetStore {
    fn add_asset(asset: &NewAsset, at: Timestamp) -> ();
    fn asset_stored(id: AssetId, fence: Option<i64>, file: &StoredFile, at: Timestamp) -> bool;
    fn asset_failed(id: AssetId, fence: i64, error: &str, counts: bool, new_url: Option<&str>, at: Timestamp) -> bool;
    fn asset_lost(id: AssetId, fence: i64, reason: &str, blocked: bool, at: Timestamp) -> bool;
    fn set_provider_copy(id: AssetId, copy: &ProviderCopy) -> ();
    fn find_asset(id: AssetId, scope: Scope) -> Option<Asset>;
    fn find_asset_by_object(object: &str) -> Option<Asset>;
    fn assets_of(jobs: &[JobId]) -> Vec<Asset>;
    fn purge_assets(hidden_before: Timestamp, upload_before: Timestamp, at: Timestamp, limit: u32) -> Vec<PurgedAsset>;
    fn bytes_gone(ids: &[AssetId]) -> ();
    fn give_up_asset(id: AssetId, at: Timestamp) -> bool;
    fn take_back_asset(id: AssetId, at: Timestamp) -> bool;
    fn list_stored_assets(scope: Scope, after: Option<AssetId>, limit: u32) -> Vec<Asset>;
    fn set_thumbnail(id: AssetId, thumbnail: &str, at: Timestamp) -> bool;
});

gated!(ActStore {
    fn note_act(act: &Act) -> ();
    fn list_acts(limit: u32) -> Vec<Act>;
});

gated!(ReadingStore {
    fn consumption(since: Timestamp, until: Timestamp) -> Consumption;
    fn add_reading(reading: &CreditReading) -> bool;
    fn list_readings(limit: u32) -> Vec<CreditReading>;
});

gated!(CallbackStore {
    fn add_callback(callback: &NewCallback<'_>) -> bool;
    fn callbacks_with_task(job: JobId) -> Vec<KeptCallback>;
    fn add_orphan(source: &str, task_id: &str, job: Option<JobId>, at: Timestamp) -> ();
    fn list_orphans(task_id: Option<&str>, since: Option<Timestamp>, limit: u32) -> Vec<Orphan>;
    fn delete_callbacks(before: Timestamp, limit: u32) -> u64;
});

gated!(DeliveryStore {
    fn claim_deliveries(channels: &[Channel], now: Timestamp, lease_until: Timestamp, limit: u32) -> Vec<Delivery>;
    fn put_off_delivery(delivery: &Delivery, until: Timestamp) -> bool;
    fn record_delivery(delivery: &Delivery, result: &DeliveryResult, at: Timestamp) -> bool;
    fn redeliver(job: JobId, scope: Scope, at: Timestamp) -> u64;
    fn deliveries_of(jobs: &[JobId]) -> Vec<Delivery>;
    fn list_dead_deliveries(account: Option<AccountId>, before: Option<DeliveryId>, limit: u32) -> Vec<Delivery>;
});

gated!(ImportStore {
    fn find_imported(shop: &str, noun: SourceNoun, keys: &[String]) -> Vec<Imported>;
    fn import(import: &NewImport) -> bool;
    fn try_import(import: &NewImport) -> bool;
});

gated!(JobStore {
    fn claim_jobs(claim: &ClaimJobs) -> Vec<Job>;
    fn renew_lease(job: JobId, fence: i64, lease_until: Timestamp) -> bool;
    fn begin_attempt(begin: &BeginAttempt) -> Began;
    fn record(step: &Step) -> Recorded;
    fn save_task(job: JobId, attempt: u16, task_id: &str, at: Timestamp) -> TaskSaved;
    fn wake_job(wake: &WakeJob) -> bool;
    fn wake_account_jobs(account: AccountId, at: Timestamp, at_most_every: Duration) -> u64;
    fn note(job: JobId, entries: &[NewEntry], at: Timestamp) -> ();
    fn flag_job(job: JobId, account: AccountId, flags: Flags, at: Timestamp) -> bool;
    fn find_job(job: JobId, scope: Scope) -> Option<Job>;
    fn find_job_by_task(task_id: &str) -> Option<(Job, u16)>;
    fn list_jobs(filter: &JobFilter) -> Vec<Job>;
    fn changed_jobs(scope: Scope, since: Timestamp, limit: u32) -> Vec<Job>;
    fn attempts(job: JobId) -> Vec<Attempt>;
    fn timelines(jobs: &[JobId]) -> HashMap<JobId, Vec<TimelineEntry>>;
    fn next_wake() -> Option<Timestamp>;
    ;;
    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }
});

gated!(OrderStore {
    fn place(order: &NewOrder) -> Placed;
    fn find_order(account: AccountId, key: &str) -> Option<([u8; 32], Vec<Job>)>;
});

gated!(ReportStore {
    fn audit(now: Timestamp) -> Vec<AuditFinding>;
    fn overview(since: Timestamp, now: Timestamp) -> Overview;
    fn due(now: Timestamp, limit: u32) -> Due;
    fn stuck_jobs(limits: &StuckLimits, since: Option<Timestamp>, now: Timestamp, limit: u32) -> Vec<Job>;
    fn count_stuck(limits: &StuckLimits, now: Timestamp) -> u64;
    fn transfers_of(jobs: &[JobId]) -> Vec<Transfer>;
    fn unreadable_jobs_of(account: AccountId) -> Vec<JobId>;
});

gated!(ShopStore {
    fn open_shop(currency: &str, at: Timestamp) -> OpenShop;
    fn currency() -> Option<String>;
    fn database_time() -> Timestamp;
    fn ping() -> ();
    fn schema_version() -> i64;
    fn heartbeat(process: &str, at: Timestamp, skew_micros: Option<i64>) -> ();
    fn heartbeats() -> Vec<Process>;
    fn forget_processes(before: Timestamp, limit: u32) -> u64;
    ;;
    fn describe(&self) -> String {
        self.inner.describe()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
});

gated!(SlotStore {
    fn ensure_slots(count: u32) -> ();
    fn push_slots_back(until: Timestamp) -> ();
    fn open_breaker(reason: &str, at: Timestamp, next_trial_at: Timestamp) -> bool;
    fn close_breaker() -> bool;
    fn breaker() -> Option<Breaker>;
    fn count_refusal(model: &str, off_at: u32, at: Timestamp) -> ModelHealth;
    fn clear_refusals(model: &str) -> ();
    fn models_off_sale() -> Vec<ModelHealth>;
});

gated!(TransferStore {
    fn credit(transfers: &[NewTransfer], at: Timestamp) -> Credited;
    fn recount(account: AccountId) -> Recounted;
    fn list_transfers(filter: &TransferFilter) -> Vec<Transfer>;
    fn transfers_by_key(keys: &[String]) -> Vec<Transfer>;
    fn find_transfer(id: TransferId, scope: Scope) -> Option<Transfer>;
});
