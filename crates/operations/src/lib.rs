//! What operators do. Every function gives a report that prints as JSON; the binaries print it for people.

mod accounts;
mod audit;
mod catalogue;
mod check;
mod job;
mod smoke;
mod status;

pub use accounts::{
    AccountAdded, Moved, TokenAdded, add_account, add_token, adjust, is_token_known, parse_role, refund,
    top_up,
};
pub use audit::{AuditReport, MediaAudit, audit};
pub use catalogue::{
    Aspect, CatalogueCheck, CatalogueProgress, CatalogueScope, Difference, ModelDiff, ModelGlob, Proposed,
    Standing, SyncError, Unlisted, check_catalogue, diff_catalogue, sync_catalogue,
};
pub use check::{Check, check};
pub use job::{
    AttemptReport, DeliveryReport, JobReport, JobRow, LiveRecord, OutputReport, find_job, job_report, job_row,
};
pub use smoke::{SmokeLine, SmokeOptions, Step as SmokeStep, StoredOutput, smoke};
pub use status::{ListState, StatusReport, list_jobs, status};
pub use store::Percentiles;
