//! What operators do. Every function gives a report that prints as JSON; the binaries print it for people.

mod accounts;
mod audit;
mod catalogue;
mod check;
mod credits;
mod export;
mod findings;
mod foresee;
mod job;
mod previews;
mod progress;
mod smoke;
mod status;
mod sweep;
mod tombstones;
mod verify;
mod waiting;
mod words;

pub use accounts::{
    AccountAdded, DrawnToken, Moved, TokenAdded, add_account, add_token, adjust, draw_token, is_token_known,
    parse_role, refund, top_up,
};
pub use audit::{AuditReport, MediaAudit, ProviderNote, audit, audit_telling, provider_note};
pub use catalogue::{
    Aspect, CatalogueCheck, CatalogueProgress, CatalogueScope, Difference, ModelDiff, ModelGlob, Proposed,
    Standing, SyncError, Unlisted, check_catalogue, diff_catalogue, sync_catalogue,
};
pub use check::{Check, check};
pub use export::{ExportReport, export};
pub use findings::Finding;
pub use foresee::{Deed, Foreseen, existing, foresee, open_account, recounted_text};
pub use job::{
    AccountTransfers, AttemptReport, DeliveryReport, JobMoney, JobReport, LiveRecord, OutputReport,
    RecipientReport, TimelineLine, TransferLine, account_transfers, find_job, job_report,
};
pub use previews::{BackfillReport, backfill_previews};
pub use progress::{Tell, untold};
pub use smoke::{SmokeLine, SmokeOptions, Step as SmokeStep, StoredOutput, smoke};
pub use status::{ListState, Listed, StatusReport, list, orphans_of, status};
pub use store::{Orphan, Percentiles};
pub use sweep::{
    FilesError, Foreign, Missing, Stray, Survey, WhyForeign, delete_strays, delete_torn, survey,
};
pub use tombstones::{Fate, Mended, fetch_or_give_up};
pub use verify::{SAMPLE_MAX, VerifyReport, verify};
pub use waiting::{JobRow, NotTaken, job_row, job_rows, not_taken};
pub use words::{MoneyForm, counted, error_words, moment, shown_address};
