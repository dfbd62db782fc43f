//! A job as JSON.

use domain::{
    Asset, AssetRole, AssetState, BatchId, Cause, Channel, CustomerStatus, Delivery, DeliveryEvent,
    DeliveryState, Job, JobId, JobState, MediaKind, Money, Timestamp,
};
use media::Variant;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{BasisView, Viewer};
use crate::front::Front;
use crate::words;

/// A generation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the contract")]
pub(crate) struct JobView {
    /// Opaque, sortable by time.
    #[schema(value_type = String)]
    pub(crate) id: JobId,
    /// Who makes it.
    pub(crate) provider: &'static str,
    /// The model's id.
    pub(crate) model: String,
    /// What it makes: `image`, `video`, `audio` or `text`.
    #[schema(value_type = String)]
    pub(crate) kind: MediaKind,
    /// Where it stands inside: `draft`, `pending`, `submitting`, `unclear`, `running`, `storing`, `done`, `failed`,
    /// `canceled`.
    #[schema(value_type = String)]
    pub(crate) state: JobState,
    /// The customer's word, stable: `draft`, `queued`, `generating`, `success`, `failed`, `canceled`.
    #[schema(value_type = String)]
    pub(crate) status: CustomerStatus,
    /// Whether it takes longer than usual.
    pub(crate) late: bool,
    /// Whether the result came after the money had been given back.
    pub(crate) gift: bool,
    /// Rises with every change.
    pub(crate) version: i64,
    /// The validated input.
    #[schema(value_type = Object)]
    pub(crate) input: Value,
    /// Jobs ordered together share it.
    #[schema(value_type = Option<String>)]
    pub(crate) batch_id: Option<BatchId>,
    /// How often it was sent to the provider.
    pub(crate) attempts: u16,
    /// The provider's task; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_id: Option<String>,
    /// What became of the money, minor units.
    pub(crate) money: JobMoney,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    /// When anything of it changed last.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
    /// The results.
    pub(crate) outputs: Vec<OutputView>,
    /// Why it failed; only while it is failed.
    pub(crate) failure: Option<FailureView>,
    /// Who is told of it.
    pub(crate) deliveries: Vec<DeliveryView>,
    /// Marked by its owner.
    pub(crate) favourite: bool,
    /// Hidden by its owner.
    pub(crate) hidden: bool,
}

/// Amounts in the currency's minor unit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobMoney {
    /// The frozen price.
    #[schema(value_type = i64)]
    pub(crate) price: Money,
    /// Set aside when it was ordered.
    #[schema(value_type = i64)]
    pub(crate) held: Money,
    /// Taken.
    #[schema(value_type = i64)]
    pub(crate) captured: Money,
    /// Given back before it was taken.
    #[schema(value_type = i64)]
    pub(crate) released: Money,
    /// Given back after it was taken.
    #[schema(value_type = i64)]
    pub(crate) refunded: Money,
    /// Currency code.
    pub(crate) currency: String,
    /// Where the price came from.
    pub(crate) basis: BasisView,
}

/// One result.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Output)]
pub(crate) struct OutputView {
    /// Its place, from 0.
    pub(crate) index: u16,
    /// What it is.
    #[schema(value_type = String)]
    pub(crate) kind: MediaKind,
    /// `pending`, `stored` or `lost`.
    #[schema(value_type = String)]
    pub(crate) state: AssetState,
    /// Our address of the file, once stored; signed, good for 6 to 12 hours.
    pub(crate) url: Option<String>,
    /// A still picture of it.
    pub(crate) thumbnail_url: Option<String>,
    /// A short loop or wave of it.
    pub(crate) preview_url: Option<String>,
    /// Type by content.
    pub(crate) content_type: Option<String>,
    /// Length in bytes.
    pub(crate) bytes: Option<u64>,
    /// Hash of the bytes, hex.
    pub(crate) sha256: Option<String>,
    /// Width in pixels.
    pub(crate) width: Option<u32>,
    /// Height in pixels.
    pub(crate) height: Option<u32>,
    /// Length in seconds.
    pub(crate) duration_s: Option<f64>,
}

/// Why it failed, and what became of the money.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(crate) struct FailureView {
    /// From the closed list: `invalid_input`, `moderation`, `model_unavailable`, `provider_error`,
    /// `provider_balance`, `no_result`, `expired`, `unclear`, `operator`.
    #[schema(value_type = Option<String>)]
    pub(crate) cause: Option<Cause>,
    /// One sentence for the customer.
    pub(crate) message: String,
    /// `released`, or `none` when none had been set aside.
    pub(crate) money: &'static str,
}

/// One duty to tell one recipient.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// `webhook` or `telegram`.
    #[schema(value_type = String)]
    pub(crate) channel: Channel,
    /// `job.done` or `job.failed`.
    #[schema(value_type = String)]
    pub(crate) event: DeliveryEvent,
    /// `pending`, `done` or `dead`.
    #[schema(value_type = String)]
    pub(crate) state: DeliveryState,
    /// Tries so far.
    pub(crate) attempts: u32,
    /// When the recipient took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) delivered_at: Option<Timestamp>,
    /// When it is tried next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) next_attempt_at: Option<Timestamp>,
    /// What the last failed try met.
    pub(crate) last_error: Option<String>,
}

impl JobView {
    /// A job as this viewer sees it; `assets` and `deliveries` are its own.
    pub(crate) fn new(
        front: &Front,
        job: &Job,
        assets: &[&Asset],
        deliveries: &[&Delivery],
        viewer: Viewer,
    ) -> Self {
        let outputs = assets.iter().filter(|asset| asset.role == AssetRole::Output);
        let failure = (job.state == JobState::Failed).then(|| FailureView::new(job, viewer));
        Self {
            id: job.id,
            provider: "kie",
            model: job.model.clone(),
            kind: job.kind,
            state: job.state,
            status: job.state.status(),
            late: job.late,
            gift: job.gift,
            version: job.version,
            input: job.input.clone(),
            batch_id: job.batch,
            attempts: job.attempts,
            task_id: job.task_id.clone().filter(|_| viewer.operator),
            money: JobMoney::new(job, front.lifecycle().policy().currency.code(), viewer),
            created_at: job.created_at,
            updated_at: job.updated_at,
            outputs: outputs.map(|asset| OutputView::new(front, &job.model, asset)).collect(),
            failure,
            deliveries: deliveries.iter().map(|delivery| DeliveryView::new(delivery)).collect(),
            favourite: job.favourite,
            hidden: job.hidden_at.is_some(),
        }
    }
}

impl JobMoney {
    fn new(job: &Job, currency: &str, viewer: Viewer) -> Self {
        Self {
            price: job.price,
            held: job.held,
            captured: job.captured,
            released: job.released,
            refunded: job.refunded,
            currency: currency.to_owned(),
            basis: BasisView::new(&job.basis, viewer),
        }
    }
}

impl OutputView {
    fn new(front: &Front, model: &str, asset: &Asset) -> Self {
        let there = asset.state == AssetState::Stored && asset.deleted_at.is_none();
        let content_type = asset.content_type.as_deref();
        let link = |variant| {
            let extension = content_type.map_or("bin", media::extension_of);
            let name = format!("{}-{}.{extension}", model.replace('/', "-"), asset.index + 1);
            front.absolute(&front.app.links.link(asset.id, variant, &name, front.now()))
        };
        Self {
            index: asset.index,
            kind: asset.kind,
            state: asset.state,
            url: there.then(|| link(Variant::Original)),
            thumbnail_url: (there && asset.thumbnail.is_some()).then(|| link(Variant::Thumbnail)),
            preview_url: None,
            content_type: asset.content_type.clone(),
            bytes: asset.bytes,
            sha256: asset.sha256.map(hex::encode),
            width: asset.width,
            height: asset.height,
            duration_s: asset.duration_ms.map(|ms| std::time::Duration::from_millis(ms).as_secs_f64()),
        }
    }
}

impl FailureView {
    fn new(job: &Job, viewer: Viewer) -> Self {
        let sentence = words::failure(job.cause, viewer.language);
        let message = match &job.failure {
            Some(provider_words) if viewer.operator => provider_words.clone(),
            _ => sentence.to_owned(),
        };
        let money = if job.released.is_positive() { "released" } else { "none" };
        Self { cause: job.cause, message, money }
    }
}

impl DeliveryView {
    fn new(delivery: &Delivery) -> Self {
        Self {
            channel: delivery.channel,
            event: delivery.event,
            state: delivery.state,
            attempts: delivery.attempts,
            delivered_at: delivery.delivered_at,
            next_attempt_at: delivery.wake_at,
            last_error: delivery.last_error.clone(),
        }
    }
}
