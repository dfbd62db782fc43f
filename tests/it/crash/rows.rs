//! Every fail point: what brings a program there, and how the job must end when the program dies there.

use acceptance::Db;

/// What a customer or a cashier does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Orders a picture; the marks tell the simulator what goes wrong.
    Order(&'static str),
    /// Orders a picture that costs nothing.
    Free,
    /// Orders with an uploaded file as input.
    Input,
    /// Confirms a draft.
    Confirm,
    /// Cancels a job that the provider refuses again and again.
    Cancel,
    /// Uploads a file.
    Upload,
    /// Pays money in.
    TopUp,
    /// Gives a captured price back.
    Refund,
    /// Asks for a message once more.
    Redeliver,
}

/// How it must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Done, captured once, delivered.
    Done,
    /// The same; the task is known by its callback alone.
    Adopted,
    /// Nobody learns whether there is a task: failed and released.
    Unclear,
    /// The provider failed: released.
    Failed,
    /// Its file was not to be had: released.
    Lost,
    /// Canceled: released.
    Canceled,
    /// The file or the money is there, once.
    Kept,
}

/// One place to die at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// The fail point, with its case if it has one.
    pub(super) point: &'static str,
    pub(super) act: Act,
    pub(super) end: End,
}

const PLAIN: Act = Act::Order("");
/// Only polls bring news.
const QUIET: Act = Act::Order("[sim:callback=none]");
/// The answer of createTask is lost, and the task is there.
const LOST: Act = Act::Order("[sim:create=reset]");
/// It is lost, and there is no task.
const NEVER: Act = Act::Order("[sim:create=reset:none]");
const REFUSED_ONCE: Act = Act::Order("[sim:create=429:times=1]");
const FAILS: Act = Act::Order("[sim:fail=500:no luck]");
/// Its file is where nobody may fetch it from.
const GONE: Act = Act::Order("[sim:result=private]");

const fn row(point: &'static str, act: Act, end: End) -> Row {
    Row { point, act, end }
}

/// Up to the commit of `submitting`: nothing was bought yet.
pub(super) const PLACING: &[Row] = &[
    row("order.checked", PLAIN, End::Done),
    row("sqlite.place.jobs", PLAIN, End::Done),
    row("sqlite.place.free", Act::Free, End::Done),
    row("sqlite.transfers.written:hold", PLAIN, End::Done),
    row("sqlite.place.held", PLAIN, End::Done),
    row("sqlite.place.told", PLAIN, End::Done),
    row("order.placed", PLAIN, End::Done),
    row("step.made:pending", Act::Confirm, End::Done),
    row("sqlite.record.patched:pending", Act::Confirm, End::Done),
    row("sqlite.record.summed:pending", Act::Confirm, End::Done),
    row("sqlite.record.moved:pending", Act::Confirm, End::Done),
    row("sqlite.record.told:pending", Act::Confirm, End::Done),
    row("step.recorded:pending", Act::Confirm, End::Done),
    row("sqlite.claim.leased", PLAIN, End::Done),
    row("worker.claimed", PLAIN, End::Done),
    row("input.opened", Act::Input, End::Done),
    row("input.uploaded", Act::Input, End::Done),
    row("input.kept", Act::Input, End::Done),
    row("buy.ready", PLAIN, End::Done),
    row("sqlite.begin.slot", PLAIN, End::Done),
    row("sqlite.begin.trial", PLAIN, End::Done),
    row("sqlite.begin.attempt", PLAIN, End::Done),
    row("sqlite.begin.moved", PLAIN, End::Done),
    row("sqlite.begin.told", PLAIN, End::Done),
];

/// Between the purchase and the saved task id; the provider's callback names the task.
pub(super) const ADOPTED: &[Row] = &[
    row("buy.answered:accepted", PLAIN, End::Adopted),
    row("step.made:running", PLAIN, End::Adopted),
    row("sqlite.record.patched:running", PLAIN, End::Adopted),
    row("sqlite.record.summed:running", PLAIN, End::Adopted),
    row("sqlite.record.answered:running", PLAIN, End::Adopted),
    row("sqlite.record.followed:running", PLAIN, End::Adopted),
    row("sqlite.record.moved:running", PLAIN, End::Adopted),
    row("sqlite.record.told:running", PLAIN, End::Adopted),
    row("step.made:unclear", LOST, End::Adopted),
    row("sqlite.record.patched:unclear", LOST, End::Adopted),
    row("sqlite.record.told:unclear", LOST, End::Adopted),
    row("step.recorded:unclear", LOST, End::Adopted),
    row("adopt.read", LOST, End::Adopted),
    row("sqlite.task.set", LOST, End::Adopted),
    row("sqlite.task.woken", LOST, End::Adopted),
    row("adopt.saved", LOST, End::Adopted),
];

/// The same without a callback, or without a task.
pub(super) const UNCLEAR: &[Row] = &[
    row("buy.committed", QUIET, End::Unclear),
    row("buy.answered:accepted", QUIET, End::Unclear),
    row("buy.answered:refused", REFUSED_ONCE, End::Unclear),
    row("step.made:running", QUIET, End::Unclear),
    row("sqlite.record.patched:running", QUIET, End::Unclear),
    row("sqlite.record.told:running", QUIET, End::Unclear),
    row("step.made:pending", REFUSED_ONCE, End::Unclear),
    row("step.made:failed", NEVER, End::Unclear),
    row("sqlite.transfers.written:release", NEVER, End::Unclear),
    row("step.recorded:failed", NEVER, End::Unclear),
];

/// From the saved task id to the last stored file.
pub(super) const STORING: &[Row] = &[
    row("step.recorded:pending", REFUSED_ONCE, End::Done),
    row("step.recorded:running", PLAIN, End::Done),
    row("buy.saved", PLAIN, End::Done),
    row("buy.trusted", PLAIN, End::Done),
    row("buy.refused", REFUSED_ONCE, End::Done),
    row("refusal.pushed", REFUSED_ONCE, End::Done),
    row("observe.read", PLAIN, End::Done),
    row("step.made:storing", PLAIN, End::Done),
    row("sqlite.record.patched:storing", PLAIN, End::Done),
    row("sqlite.record.announced:storing", PLAIN, End::Done),
    row("sqlite.record.told:storing", PLAIN, End::Done),
    row("step.recorded:storing", PLAIN, End::Done),
    row("keep.begun", PLAIN, End::Done),
    row("keep.landed", PLAIN, End::Done),
    row("keep.copied", PLAIN, End::Done),
    row("sqlite.asset.stored", PLAIN, End::Done),
    row("sqlite.asset.lost", GONE, End::Lost),
    row("keep.stored", PLAIN, End::Done),
];

/// While the bytes of what its owner hid long ago are deleted.
pub(super) const PURGING: &[&str] = &[
    "sqlite.callback.deleted",
    "sqlite.purge.files",
    "sqlite.purge.jobs",
    "sqlite.purge.uploads",
    "house.marked",
    "house.deleted",
];

/// Where money moves at the end of a job.
pub(super) const SETTLING: &[Row] = &[
    row("step.made:done", PLAIN, End::Done),
    row("sqlite.record.patched:done", PLAIN, End::Done),
    row("sqlite.record.summed:done", PLAIN, End::Done),
    row("sqlite.transfers.written:capture", PLAIN, End::Done),
    row("sqlite.record.moved:done", PLAIN, End::Done),
    row("sqlite.record.owed:done", PLAIN, End::Done),
    row("sqlite.record.told:done", PLAIN, End::Done),
    row("step.recorded:done", PLAIN, End::Done),
    row("step.made:failed", FAILS, End::Failed),
    row("sqlite.record.patched:failed", FAILS, End::Failed),
    row("sqlite.record.summed:failed", FAILS, End::Failed),
    row("sqlite.transfers.written:release", FAILS, End::Failed),
    row("sqlite.record.moved:failed", FAILS, End::Failed),
    row("sqlite.record.owed:failed", FAILS, End::Failed),
    row("sqlite.record.told:failed", FAILS, End::Failed),
    row("step.recorded:failed", FAILS, End::Failed),
    row("step.made:canceled", Act::Cancel, End::Canceled),
    row("sqlite.record.summed:canceled", Act::Cancel, End::Canceled),
    row("sqlite.record.moved:canceled", Act::Cancel, End::Canceled),
    row("step.recorded:canceled", Act::Cancel, End::Canceled),
];

/// Money from outside and back.
pub(super) const CREDITING: &[Row] = &[
    row("credit.asked:topup", Act::TopUp, End::Kept),
    row("sqlite.transfers.written:topup", Act::TopUp, End::Kept),
    row("sqlite.credit.moved:topup", Act::TopUp, End::Kept),
    row("postgres.credit.written:topup", Act::TopUp, End::Kept),
    row("credit.written:topup", Act::TopUp, End::Kept),
    row("credit.asked:refund", Act::Refund, End::Kept),
    row("sqlite.credit.refunded", Act::Refund, End::Kept),
    row("sqlite.transfers.written:refund", Act::Refund, End::Kept),
    row("sqlite.credit.moved:refund", Act::Refund, End::Kept),
    row("postgres.credit.written:refund", Act::Refund, End::Kept),
    row("credit.written:refund", Act::Refund, End::Kept),
];

/// Telling the customer, and being told by the provider.
pub(super) const TELLING: &[Row] = &[
    row("sqlite.delivery.leased", PLAIN, End::Done),
    row("worker.claimed_delivery", PLAIN, End::Done),
    row("deliver.ready", PLAIN, End::Done),
    row("deliver.sent", PLAIN, End::Done),
    row("sqlite.delivery.ended", PLAIN, End::Done),
    row("deliver.recorded", PLAIN, End::Done),
    row("sqlite.delivery.again", Act::Redeliver, End::Kept),
    row("callback.read", PLAIN, End::Done),
    row("sqlite.callback.added", PLAIN, End::Done),
    row("sqlite.callback.woken", PLAIN, End::Done),
    row("callback.kept", PLAIN, End::Done),
];

/// A customer's own file.
pub(super) const UPLOADING: &[Row] = &[
    row("upload.announced", Act::Upload, End::Kept),
    row("upload.written", Act::Upload, End::Kept),
    row("upload.kept", Act::Upload, End::Kept),
];

/// All of them.
pub(super) const STORIES: &[&[Row]] =
    &[PLACING, ADOPTED, UNCLEAR, STORING, SETTLING, CREDITING, TELLING, UPLOADING];

/// The rows that this database has.
pub(super) fn on(db: Db, rows: &[Row]) -> Vec<Row> {
    rows.iter().copied().filter(|row| is_on(db, row.point)).collect()
}

pub(super) fn is_on(db: Db, point: &str) -> bool {
    let other = match db {
        Db::Sqlite => "postgres.",
        Db::Postgres => "sqlite.",
    };
    !point.starts_with(other)
}

impl Act {
    /// How it ends when nothing dies.
    pub(super) fn natural_end(self) -> End {
        match self {
            _ if self == NEVER => End::Unclear,
            _ if self == FAILS => End::Failed,
            _ if self == GONE => End::Lost,
            Self::Cancel => End::Canceled,
            Self::Upload | Self::TopUp | Self::Refund | Self::Redeliver => End::Kept,
            Self::Order(_) | Self::Free | Self::Input | Self::Confirm => End::Done,
        }
    }
}
