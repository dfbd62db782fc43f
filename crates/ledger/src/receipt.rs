//! Receipts: the same words in web, bot and API.

use domain::{
    Cause, Channel, Currency, Delivery, DeliveryState, Job, JobId, JobState, Money, PriceBasis, Timestamp,
    Transfer, TransferId, TransferKind,
};
use serde::Serialize;

/// How one delivery of a job went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptDelivery {
    /// How.
    pub channel: Channel,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the recipient took it.
    pub delivered_at: Option<Timestamp>,
}

/// What a job cost and what became of the money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The job.
    pub job: JobId,
    /// The model.
    pub model: String,
    /// Where the job stands.
    pub state: JobState,
    /// Currency code.
    pub currency: String,
    /// The frozen price, minor units.
    pub price: Money,
    /// Where it came from.
    pub basis: PriceBasis,
    /// Set aside.
    pub held: Money,
    /// Taken.
    pub captured: Money,
    /// Given back before capture.
    pub released: Money,
    /// Given back after capture.
    pub refunded: Money,
    /// Whether the result came after the money had been given back, and is free.
    pub gift: bool,
    /// Why it failed, if it did.
    pub reason: Option<Cause>,
    /// One sentence for people.
    pub summary: String,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When it entered its state.
    pub entered_at: Timestamp,
    /// The movements, oldest first.
    pub transfers: Vec<TransferReceipt>,
    /// Who was told.
    pub deliveries: Vec<ReceiptDelivery>,
}

/// One movement of money, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferReceipt {
    /// Its id.
    pub id: TransferId,
    /// Why.
    pub kind: TransferKind,
    /// The job it belongs to.
    pub job: Option<JobId>,
    /// Minor units; above zero enters `available`, below zero leaves it, zero when it only left `held`.
    pub change: Money,
    /// How much moved.
    pub amount: Money,
    /// Currency code.
    pub currency: String,
    /// A person's or the rule's reason.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// The receipt of a job. `transfers` are its own, in any order.
pub fn job_receipt(
    job: &Job,
    transfers: &[Transfer],
    deliveries: &[Delivery],
    currency: &Currency,
) -> Receipt {
    let mut movements: Vec<_> =
        transfers.iter().map(|transfer| transfer_receipt(transfer, currency)).collect();
    movements.sort_by_key(|movement| movement.id);
    Receipt {
        job: job.id,
        model: job.model.clone(),
        state: job.state,
        currency: currency.code().to_owned(),
        price: job.price,
        basis: job.basis.clone(),
        held: job.held,
        captured: job.captured,
        released: job.released,
        refunded: job.refunded,
        gift: job.gift,
        reason: job.cause,
        summary: summary(job, currency),
        ordered_at: job.created_at,
        entered_at: job.entered_at,
        transfers: movements,
        deliveries: deliveries
            .iter()
            .map(|delivery| ReceiptDelivery {
                channel: delivery.channel,
                state: delivery.state,
                delivered_at: delivery.delivered_at,
            })
            .collect(),
    }
}

/// The receipt of one movement.
pub fn transfer_receipt(transfer: &Transfer, currency: &Currency) -> TransferReceipt {
    let amount = transfer.amount.minor();
    let change = match (transfer.debit, transfer.credit) {
        (domain::Book::Available, _) => amount.saturating_neg(),
        (_, domain::Book::Available) => amount,
        _ => 0,
    };
    TransferReceipt {
        id: transfer.id,
        kind: transfer.kind,
        job: transfer.job,
        change: Money::from_minor(change),
        amount: transfer.amount,
        currency: currency.code().to_owned(),
        reason: transfer.reason.clone(),
        at: transfer.at,
    }
}

fn summary(job: &Job, currency: &Currency) -> String {
    let money = |amount: Money| currency.format(amount);
    if let PriceBasis::Imported { price } = &job.basis
        && job.price.is_zero()
    {
        let cost = money(*price);
        // What was given back or kept for a lost result belongs to the account, not to the job.
        return if job.state == JobState::Failed {
            format!(
                "Taken over from the old shop, where it cost {cost}; there is no result. If money moved for that, the \
                 account's transfers say so."
            )
        } else {
            format!("Taken over from the old shop, where it cost {cost}; no money moved here.")
        };
    }
    if job.price.is_zero() {
        return "Free generation; no money moved.".to_owned();
    }
    let refunded = if job.refunded.is_positive() {
        format!(" {} was refunded later.", money(job.refunded))
    } else {
        String::new()
    };
    match job.state {
        JobState::Draft => format!("Draft at {}; nothing was taken.", money(job.price)),
        JobState::Canceled if job.held.is_zero() => "Canceled; nothing was taken.".to_owned(),
        JobState::Canceled => format!("Canceled; {} was given back.", money(job.released)),
        JobState::Done if job.gift => {
            format!("{} had been given back; the late result is a gift.", money(job.released))
        }
        JobState::Done if job.released.is_positive() => {
            format!("{} was taken, {} was given back.{refunded}", money(job.captured), money(job.released))
        }
        JobState::Done => format!("{} was taken.{refunded}", money(job.captured)),
        JobState::Failed => format!("It failed; {} was given back.", money(job.released)),
        JobState::Storing if job.gift => {
            format!("{} was given back; the late result is a gift and is being stored.", money(job.released))
        }
        JobState::Pending
        | JobState::Submitting
        | JobState::Unclear
        | JobState::Running
        | JobState::Storing => format!("{} is set aside.", money(job.held)),
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, MediaKind};

    use super::*;

    const PRICE: Money = Money::from_minor(100);

    #[expect(
        clippy::default_trait_access,
        reason = "the type of the input is of a crate that is not named here"
    )]
    fn job(state: JobState, basis: PriceBasis, price: Money) -> Job {
        let id = "01990000-0000-7000-8000-000000000001";
        let given_back = state == JobState::Failed;
        Job {
            id: id.parse::<JobId>().unwrap(),
            account: id.parse::<AccountId>().unwrap(),
            model: "model".to_owned(),
            kind: MediaKind::Image,
            input: Default::default(),
            prompt: None,
            state,
            gift: false,
            late: false,
            cause: None,
            failure: None,
            price,
            basis,
            held: price,
            captured: Money::ZERO,
            released: if given_back { price } else { Money::ZERO },
            refunded: Money::ZERO,
            outputs_ordered: 1,
            batch: None,
            key: "key".to_owned(),
            recipients: Vec::new(),
            request_id: "request".to_owned(),
            attempts: 1,
            cost: None,
            task_id: None,
            created_at: Timestamp::UNIX_EPOCH,
            entered_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            version: 1,
            wake_at: None,
            wake_seq: 0,
            lease_until: None,
            fence: 0,
            deadline_at: None,
            tries: 0,
            hints: 0,
            favourite: false,
            hidden_at: None,
        }
    }

    fn words(job: &Job) -> String {
        job_receipt(job, &[], &[], &"RUB:2".parse().unwrap()).summary
    }

    #[test]
    fn money_that_was_given_back_is_not_set_aside_any_more() {
        let fixed = || PriceBasis::Fixed { catalogue: "1".to_owned() };
        let held = job(JobState::Storing, fixed(), PRICE);
        assert_eq!(words(&held), "1.00 RUB is set aside.");
        let gift = Job { gift: true, released: PRICE, ..held };
        assert_eq!(words(&gift), "1.00 RUB was given back; the late result is a gift and is being stored.");
        let kept = Job { state: JobState::Done, ..gift };
        assert_eq!(words(&kept), "1.00 RUB had been given back; the late result is a gift.");
        assert_eq!(words(&job(JobState::Failed, fixed(), PRICE)), "It failed; 1.00 RUB was given back.");
    }

    #[test]
    fn a_lost_row_of_an_old_shop_is_not_said_to_have_moved_no_money() {
        let imported = || PriceBasis::Imported { price: PRICE };
        let whole = words(&job(JobState::Done, imported(), Money::ZERO));
        assert!(whole.ends_with("cost 1.00 RUB; no money moved here."), "{whole}");
        let lost = words(&job(JobState::Failed, imported(), Money::ZERO));
        assert!(lost.contains("1.00 RUB; there is no result") && !lost.contains("no money"), "{lost}");
        // What was in flight had its money set aside here.
        let in_flight = words(&job(JobState::Failed, imported(), PRICE));
        assert_eq!(in_flight, "It failed; 1.00 RUB was given back.");
    }
}
