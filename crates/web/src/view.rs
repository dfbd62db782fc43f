//! Rows as callers see them.

mod job;
mod money;

use domain::{Asset, Delivery, Job, JobId};
use futures_util::future::try_join;

pub(crate) use job::{JobView, OutputView};
pub(crate) use money::{BasisView, DeliveryRow, ReceiptView, TransferView, job_receipt_view};

use crate::front::Front;
use crate::problem::Problem;
use crate::words::Language;

/// Who looks: operators see the provider's ids and words, customers never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Viewer {
    pub(crate) operator: bool,
    pub(crate) language: Language,
}

/// Jobs with their outputs and deliveries: two more queries, however many they are.
pub(crate) async fn view_jobs(front: &Front, jobs: &[Job], viewer: Viewer) -> Result<Vec<JobView>, Problem> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let (assets, deliveries) =
        try_join(front.store().assets_of(&ids), front.store().deliveries_of(&ids)).await?;
    let view = |job: &Job| {
        let assets: Vec<&Asset> = assets.iter().filter(|asset| asset.job == Some(job.id)).collect();
        let deliveries: Vec<&Delivery> =
            deliveries.iter().filter(|delivery| delivery.job == job.id).collect();
        JobView::new(front, job, &assets, &deliveries, viewer)
    };
    Ok(jobs.iter().map(view).collect())
}

/// One job with its outputs and deliveries.
pub(crate) async fn view_job(front: &Front, job: &Job, viewer: Viewer) -> Result<JobView, Problem> {
    let mut views = view_jobs(front, std::slice::from_ref(job), viewer).await?;
    views.pop().ok_or_else(|| Problem::not_found("job"))
}
