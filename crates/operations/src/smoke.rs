//! Smoke: real orders through the real path, from order to delivery.

use std::time::Duration;

use anyhow::{Context, bail};
use domain::{AccountId, Asset, AssetId, AssetRole, AssetState, Job, JobId, JobState, Recipient, Scope};
use kie_catalogue::Catalogue;
use lifecycle::{Lifecycle, OrderRequest};
use serde::Serialize;
use serde_json::Value;

/// What to order, for whom.
#[derive(Debug, Clone)]
pub struct SmokeOptions {
    /// The account that orders.
    pub account: AccountId,
    /// Models with their inputs; the catalogue's example where none is given.
    pub orders: Vec<(String, Option<Value>)>,
    /// Who is told of the results.
    pub recipients: Vec<Recipient>,
    /// How long all may take.
    pub patience: Duration,
}

/// An output in our storage.
#[derive(Debug, Clone, Serialize)]
pub struct StoredOutput {
    /// Its asset.
    pub asset: AssetId,
    /// What a download is called.
    pub file_name: String,
}

/// What happened to one order.
#[derive(Debug, Clone, Serialize)]
pub struct SmokeLine {
    /// The job.
    pub job: JobId,
    /// The model.
    pub model: String,
    /// Where its job ended.
    pub state: JobState,
    /// Outputs in our storage.
    pub outputs: usize,
    /// What they are.
    pub objects: Vec<StoredOutput>,
    /// Seconds from order to end.
    pub seconds: f64,
    /// Whether it did as it should.
    pub ok: bool,
}

/// A step that is worth telling while it happens.
#[derive(Debug, Clone)]
pub enum Step<'a> {
    /// A job was ordered.
    Ordered(&'a Job),
    /// A job moved.
    Moved(&'a Job),
}

/// Orders everything, watches every job move, and gives a line for each. A worker must be running.
///
/// # Errors
/// When an order is refused or the database fails. A job that fails or takes too long is a line that is not `ok`.
pub async fn smoke(
    lifecycle: &Lifecycle,
    options: &SmokeOptions,
    mut tell: impl FnMut(Step<'_>),
) -> anyhow::Result<Vec<SmokeLine>> {
    let catalogue = lifecycle.offers().catalogue();
    let mut jobs = Vec::with_capacity(options.orders.len());
    for (model, input) in &options.orders {
        let job = order(lifecycle, &catalogue, options, (model, input.clone())).await?;
        tell(Step::Ordered(&job));
        jobs.push(job);
    }
    let deadline = tokio::time::Instant::now() + options.patience;
    let mut changes = lifecycle.store().changes();
    while jobs.iter().any(|job| !settled(job)) && tokio::time::Instant::now() < deadline {
        let _ = tokio::time::timeout(Duration::from_millis(500), changes.changed()).await;
        for job in jobs.iter_mut().filter(|job| !settled(job)) {
            let now = lifecycle.store().find_job(job.id, Scope::All).await?.context("a job is gone")?;
            if now.state != job.state {
                tell(Step::Moved(&now));
            }
            *job = now;
        }
    }
    let mut lines = Vec::with_capacity(jobs.len());
    for job in &jobs {
        lines.push(line(lifecycle, job).await?);
    }
    Ok(lines)
}

const fn settled(job: &Job) -> bool {
    job.state.is_final()
}

async fn order(
    lifecycle: &Lifecycle,
    catalogue: &Catalogue,
    options: &SmokeOptions,
    (model, input): (&str, Option<Value>),
) -> anyhow::Result<Job> {
    let known = catalogue.get(model).with_context(|| format!("there is no model {model}"))?;
    let input = input.unwrap_or_else(|| known.example().clone());
    let mut nonce = [0_u8; 8];
    lifecycle.ids().chance.fill(&mut nonce);
    let key = format!("smoke-{model}-{}", u64::from_le_bytes(nonce));
    let request = OrderRequest {
        account: options.account,
        linked_chat: None,
        fingerprint: lifecycle::fingerprint(&input),
        request_id: key.clone(),
        key,
        model: model.to_owned(),
        input,
        count: None,
        recipients: Some(options.recipients.clone()),
        draft: false,
    };
    let submitted = lifecycle.submit(&request).await.with_context(|| format!("{model} was refused"))?;
    match submitted.jobs.into_iter().next() {
        Some(job) => Ok(job),
        None => bail!("an order without a job"),
    }
}

async fn line(lifecycle: &Lifecycle, job: &Job) -> anyhow::Result<SmokeLine> {
    let assets = lifecycle.store().assets_of(&[job.id]).await?;
    let stored: Vec<StoredOutput> = assets
        .into_iter()
        .filter(|asset| asset.role == AssetRole::Output && asset.state == AssetState::Stored)
        .map(|asset| StoredOutput { file_name: file_name(job, &asset), asset: asset.id })
        .collect();
    let micros = job.entered_at.as_microsecond().saturating_sub(job.created_at.as_microsecond());
    Ok(SmokeLine {
        job: job.id,
        model: job.model.clone(),
        state: job.state,
        outputs: stored.len(),
        ok: job.state == JobState::Done && !stored.is_empty(),
        objects: stored,
        seconds: Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64(),
    })
}

fn file_name(job: &Job, asset: &Asset) -> String {
    let extension = asset.content_type.as_deref().map_or("bin", media::extension_of);
    format!("{}-{}.{extension}", job.model, asset.index.saturating_add(1))
}
