//! Money as JSON: where a price came from, receipts, transfers, deliveries of operators' lists.

use domain::{
    AccountId, Cause, Channel, Decimal, Delivery, DeliveryEvent, DeliveryId, DeliveryState, JobId, JobState,
    Money, PriceBasis, Timestamp, TransferId, TransferKind,
};
use ledger::{Receipt, TransferReceipt};
use serde::Serialize;
use utoipa::ToSchema;

use super::Viewer;

/// Where a frozen price came from. The shop's costs and mark-up are for operators.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PriceBasis)]
pub(crate) struct BasisView {
    /// `free`, `fixed`, `cost`, or `imported` from an old shop.
    pub(crate) basis: &'static str,
    /// Version of the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) catalogue: Option<String>,
    /// Provider's credits that the hold covers; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) credits: Option<Decimal>,
    /// Whether the request fixes the cost; if not, the documented maximum is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exact: Option<bool>,
    /// Currency units for one USD; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) usd_rate: Option<Decimal>,
    /// The shop's mark-up; operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) markup: Option<Decimal>,
    /// What it cost in the old shop that it was imported from, minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub(crate) old_price: Option<Money>,
}

impl BasisView {
    pub(crate) fn new(basis: &PriceBasis, viewer: Viewer) -> Self {
        let bare = |basis| Self {
            basis,
            catalogue: None,
            credits: None,
            exact: None,
            usd_rate: None,
            markup: None,
            old_price: None,
        };
        match basis {
            PriceBasis::Free => bare("free"),
            PriceBasis::Imported { price } => Self { old_price: Some(*price), ..bare("imported") },
            PriceBasis::Fixed { catalogue } => Self { catalogue: Some(catalogue.clone()), ..bare("fixed") },
            PriceBasis::Cost { credits, exact, usd_rate, markup, catalogue } => {
                let shown = |value: &Decimal| viewer.operator.then_some(*value);
                Self {
                    catalogue: Some(catalogue.clone()),
                    credits: shown(credits),
                    exact: Some(*exact),
                    usd_rate: shown(usd_rate),
                    markup: shown(markup),
                    ..bare("cost")
                }
            }
        }
    }
}

/// One movement of money.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Transfer)]
pub(crate) struct TransferView {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: TransferId,
    /// `topup`, `hold`, `capture`, `release`, `refund`, `reversal` or `adjust`.
    #[schema(value_type = String)]
    pub(crate) kind: TransferKind,
    /// The job it belongs to.
    #[schema(value_type = Option<String>)]
    pub(crate) job_id: Option<JobId>,
    /// What it does to `available`, minor units; zero when it only left `held`.
    #[schema(value_type = i64)]
    pub(crate) change: Money,
    /// How much moved, minor units.
    #[schema(value_type = i64)]
    pub(crate) amount: Money,
    /// Currency code.
    pub(crate) currency: String,
    /// A person's or the rule's reason.
    pub(crate) reason: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
}

impl From<TransferReceipt> for TransferView {
    fn from(receipt: TransferReceipt) -> Self {
        let TransferReceipt { id, kind, job, change, amount, currency, reason, at } = receipt;
        Self { id, kind, job_id: job, change, amount, currency, reason, at }
    }
}

/// What a job cost and what became of the money.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptView {
    /// The job.
    #[schema(value_type = String)]
    pub(crate) job_id: JobId,
    /// The model.
    pub(crate) model: String,
    /// Where the job stands.
    #[schema(value_type = String)]
    pub(crate) state: JobState,
    /// Currency code.
    pub(crate) currency: String,
    /// The frozen price, minor units, as all amounts here.
    #[schema(value_type = i64)]
    pub(crate) price: Money,
    /// Where it came from.
    pub(crate) basis: BasisView,
    /// Set aside.
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
    /// Whether the result is a gift.
    pub(crate) gift: bool,
    /// Why it failed.
    #[schema(value_type = Option<String>)]
    pub(crate) reason: Option<Cause>,
    /// One sentence for people.
    pub(crate) summary: String,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) ordered_at: Timestamp,
    /// When it entered its state.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) entered_at: Timestamp,
    /// The movements, oldest first.
    pub(crate) transfers: Vec<TransferView>,
    /// Who was told.
    pub(crate) deliveries: Vec<ReceiptDeliveryView>,
}

/// How one delivery went.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReceiptDelivery)]
pub(crate) struct ReceiptDeliveryView {
    /// How.
    #[schema(value_type = String)]
    pub(crate) channel: Channel,
    /// Where it stands.
    #[schema(value_type = String)]
    pub(crate) state: DeliveryState,
    /// When the recipient took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) delivered_at: Option<Timestamp>,
}

/// The ledger's receipt as this viewer sees it.
pub(crate) fn job_receipt_view(receipt: Receipt, viewer: Viewer) -> ReceiptView {
    let told = receipt.deliveries.into_iter().map(|delivery| ReceiptDeliveryView {
        channel: delivery.channel,
        state: delivery.state,
        delivered_at: delivery.delivered_at,
    });
    ReceiptView {
        job_id: receipt.job,
        model: receipt.model,
        state: receipt.state,
        currency: receipt.currency,
        price: receipt.price,
        basis: BasisView::new(&receipt.basis, viewer),
        held: receipt.held,
        captured: receipt.captured,
        released: receipt.released,
        refunded: receipt.refunded,
        gift: receipt.gift,
        reason: receipt.reason,
        summary: receipt.summary,
        ordered_at: receipt.ordered_at,
        entered_at: receipt.entered_at,
        transfers: receipt.transfers.into_iter().map(Into::into).collect(),
        deliveries: told.collect(),
    }
}

/// A delivery as an operator sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DeadDelivery)]
pub(crate) struct DeliveryRow {
    /// Its id; also the message's.
    #[schema(value_type = String)]
    pub(crate) id: DeliveryId,
    /// The job it tells of.
    #[schema(value_type = String)]
    pub(crate) job_id: JobId,
    /// The job's owner.
    #[schema(value_type = String)]
    pub(crate) account_id: AccountId,
    /// How.
    #[schema(value_type = String)]
    pub(crate) channel: Channel,
    /// Of what.
    #[schema(value_type = String)]
    pub(crate) event: DeliveryEvent,
    /// Where it stands.
    #[schema(value_type = String)]
    pub(crate) state: DeliveryState,
    /// Tries so far.
    pub(crate) attempts: u32,
    /// What the last try met.
    pub(crate) last_error: Option<String>,
    /// When the duty arose.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
}

impl From<Delivery> for DeliveryRow {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            job_id: delivery.job,
            account_id: delivery.account,
            channel: delivery.channel,
            event: delivery.event,
            state: delivery.state,
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            created_at: delivery.created_at,
        }
    }
}
