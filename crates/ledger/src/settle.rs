//! Holds and their end: how much is taken and how much is given back.

use domain::{
    AccountId, Book, Chance, Currency, Decimal, Job, JobId, Money, MoneyError, PriceBasis, Timestamp,
    TransferId, TransferKind, price_of_credits,
};
use store::NewTransfer;

/// What all of a job's outputs together cost, and whether the books should be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullPrice {
    /// Never above the hold.
    pub amount: Money,
    /// Why an operator should look: the number was absent, zero, or above the hold.
    pub finding: Option<&'static str>,
}

/// The movements that end a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Taken.
    pub captured: Money,
    /// Given back.
    pub released: Money,
    /// Zero, one or two movements.
    pub transfers: Vec<NewTransfer>,
}

/// The movement that sets `amount` aside for a job; none for nothing.
pub fn hold(
    job: JobId,
    account: AccountId,
    amount: Money,
    at: Timestamp,
    chance: &dyn Chance,
) -> Option<NewTransfer> {
    let books = (Book::Available, Book::Held);
    movement(job, account, TransferKind::Hold, books, amount, at, chance)
}

/// What the job costs if every output is stored.
///
/// Where the request fixed the cost, the price. Otherwise the price of the credits that the record reports, at the
/// frozen rate, never above the hold; the whole hold when the number is absent or zero.
pub fn full_price(job: &Job, currency: &Currency) -> FullPrice {
    let PriceBasis::Cost { exact: false, usd_rate, markup, .. } = job.basis else {
        return FullPrice { amount: job.price, finding: above_hold(job) };
    };
    let Some(credits) = job.cost.filter(|credits| credits.micro() > 0) else {
        return FullPrice {
            amount: job.held,
            finding: Some("the record does not say what the task consumed"),
        };
    };
    match price_of_credits(credits, usd_rate, markup, currency) {
        Ok(price) if price <= job.held => FullPrice { amount: price, finding: None },
        Ok(_) | Err(_) => FullPrice {
            amount: job.held,
            finding: Some("the task consumed more than the documented maximum"),
        },
    }
}

/// For a fixed cost: whether the provider took more credits than the price was made of.
fn above_hold(job: &Job) -> Option<&'static str> {
    let PriceBasis::Cost { credits, .. } = &job.basis else { return None };
    let more = job.cost.is_some_and(|cost: Decimal| cost > *credits);
    more.then_some("the task consumed more than the catalogue says")
}

/// Takes `full` for `stored` of `announced` outputs, in full if none is missing, else the share rounded down; the rest
/// of the hold goes back.
pub fn settle(
    job: &Job,
    full: Money,
    (stored, announced): (u32, u32),
    at: Timestamp,
    chance: &dyn Chance,
) -> Result<Settlement, MoneyError> {
    let captured = if stored >= announced { full } else { full.share(stored, announced)? };
    let captured = captured.min(job.held);
    let released = job.held.minus(captured)?;
    let capture = movement(
        job.id,
        job.account,
        TransferKind::Capture,
        (Book::Held, Book::Revenue),
        captured,
        at,
        chance,
    );
    let rest = release(job.id, job.account, released, at, chance);
    Ok(Settlement { captured, released, transfers: capture.into_iter().chain(rest).collect() })
}

/// The movement that gives `amount` of a hold back; none for nothing.
pub fn release(
    job: JobId,
    account: AccountId,
    amount: Money,
    at: Timestamp,
    chance: &dyn Chance,
) -> Option<NewTransfer> {
    let books = (Book::Held, Book::Available);
    movement(job, account, TransferKind::Release, books, amount, at, chance)
}

fn movement(
    job: JobId,
    account: AccountId,
    kind: TransferKind,
    (debit, credit): (Book, Book),
    amount: Money,
    at: Timestamp,
    chance: &dyn Chance,
) -> Option<NewTransfer> {
    amount.is_positive().then(|| NewTransfer {
        id: TransferId::generate(at, chance),
        account,
        job: Some(job),
        kind,
        key: format!("{kind}:{job}"),
        debit,
        credit,
        amount,
        reason: None,
    })
}
