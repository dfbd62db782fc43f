//! Invoices, charges and refunds in Stars.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::args::Args;
use super::refusal::Refusal;
use super::views::{InvoiceView, PaymentView};

/// Stars have no fractions and no provider.
const STARS: &str = "XTR";
const AMOUNT_MAX: u64 = 100_000;
/// Invoices kept.
const INVOICES_MAX: usize = 100_000;
/// Payments kept.
const PAYMENTS_MAX: usize = 100_000;

/// What may be paid, and what was.
#[derive(Debug)]
pub(crate) struct Stars {
    pub(crate) balance: u64,
    invoices: HashMap<u64, InvoiceView>,
    last_invoice: u64,
    payments: Vec<PaymentView>,
}

impl Stars {
    pub(crate) fn new(balance: u64) -> Self {
        Self { balance, invoices: HashMap::new(), last_invoice: 0, payments: Vec::new() }
    }

    pub(crate) fn add(&mut self, invoice: InvoiceView) -> u64 {
        self.last_invoice += 1;
        if self.invoices.len() >= INVOICES_MAX {
            let oldest = self.last_invoice.saturating_sub(INVOICES_MAX as u64);
            self.invoices.retain(|number, _| *number > oldest);
        }
        self.invoices.insert(self.last_invoice, invoice);
        self.last_invoice
    }

    pub(crate) fn invoice(&self, number: u64) -> Option<&InvoiceView> {
        self.invoices.get(&number)
    }

    /// The invoice behind a link of createInvoiceLink.
    pub(crate) fn behind(&self, link: &str) -> Option<u64> {
        self.invoices
            .iter()
            .find(|(_, invoice)| invoice.link.as_deref() == Some(link))
            .map(|(number, _)| *number)
    }

    /// Books a payment of an invoice.
    pub(crate) fn charge(&mut self, number: u64, payment: PaymentView) {
        self.balance += payment.amount;
        if let Some(invoice) = self.invoices.get_mut(&number) {
            invoice.paid.push(payment.charge_id.clone());
        }
        if self.payments.len() == PAYMENTS_MAX {
            self.payments.remove(0);
        }
        self.payments.push(payment);
    }

    /// Gives a payment back once.
    pub(crate) fn refund(&mut self, user: i64, charge: &str, now_ms: u64) -> Result<PaymentView, Refusal> {
        let found = self.payments.iter_mut().find(|payment| payment.charge_id == charge);
        let payment = found
            .filter(|payment| payment.user_id == user)
            .ok_or_else(|| Refusal::bad("CHARGE_NOT_FOUND"))?;
        if payment.refunded_ms.is_some() {
            return Err(Refusal::bad("CHARGE_ALREADY_REFUNDED"));
        }
        self.balance =
            self.balance.checked_sub(payment.amount).ok_or_else(|| Refusal::bad("BALANCE_TOO_LOW"))?;
        payment.refunded_ms = Some(now_ms);
        Ok(payment.clone())
    }

    pub(crate) fn payments(&self) -> &[PaymentView] {
        &self.payments
    }

    /// Payments and refunds in the order of time; a refund bears the id of its payment.
    pub(crate) fn transactions(
        &self,
        offset: usize,
        limit: usize,
        user: impl Fn(i64) -> Value,
    ) -> Vec<Value> {
        let mut all = Vec::new();
        for payment in &self.payments {
            let partner = json!({
                "type": "user",
                "transaction_type": "invoice_payment",
                "user": user(payment.user_id),
                "invoice_payload": payment.payload,
            });
            let entry =
                |date: u64| json!({"id": payment.charge_id, "amount": payment.amount, "date": date / 1000});
            let mut paid = entry(payment.at_ms);
            paid["source"] = partner.clone();
            all.push((payment.at_ms, paid));
            if let Some(ms) = payment.refunded_ms {
                let mut refunded = entry(ms);
                refunded["receiver"] = partner;
                all.push((ms, refunded));
            }
        }
        all.sort_by_key(|(ms, _)| *ms);
        all.into_iter().skip(offset).take(limit).map(|(_, entry)| entry).collect()
    }
}

/// The invoice that a call describes.
pub(crate) fn invoice_of(args: &Args) -> Result<InvoiceView, Refusal> {
    let title = args.required("title")?.to_owned();
    let description = args.required("description")?.to_owned();
    let payload = args.required("payload")?.to_owned();
    let currency = args.required("currency")?.to_owned();
    args.required("prices")?;
    let prices = args.json("prices").ok_or_else(|| Refusal::bad("Can't parse prices JSON object"))?;
    let prices = prices.as_array().ok_or_else(|| Refusal::bad("Expected an Array of labeled prices"))?;
    if prices.is_empty() {
        return Err(Refusal::bad("There must be at least one price"));
    }
    let mut amount = 0_i64;
    for price in prices {
        let label = price.get("label").and_then(Value::as_str).unwrap_or_default();
        if label.is_empty() {
            return Err(Refusal::bad("Can't parse labeled price: LabeledPrice label must be non-empty"));
        }
        let part = price.get("amount").and_then(whole);
        amount +=
            part.ok_or_else(|| Refusal::bad("Can't parse labeled price: Can't find field \"amount\""))?;
    }
    if payload.len() > 128 {
        return Err(Refusal::bad("INVOICE_PAYLOAD_INVALID"));
    }
    if title.chars().count() > 32 || description.chars().count() > 255 {
        return Err(Refusal::bad("MEDIA_INVALID"));
    }
    if currency != STARS {
        return Err(Refusal::bad("PAYMENT_PROVIDER_INVALID"));
    }
    let asks_more = ["need_name", "need_phone_number", "need_email", "need_shipping_address", "is_flexible"];
    if prices.len() != 1
        || !args.text("provider_token").is_empty()
        || asks_more.iter().any(|name| args.flag(name))
    {
        return Err(Refusal::bad("STARS_INVOICE_INVALID"));
    }
    let amount = u64::try_from(amount).ok().filter(|amount| (1..=AMOUNT_MAX).contains(amount));
    let amount = amount.ok_or_else(|| Refusal::bad("CURRENCY_TOTAL_AMOUNT_INVALID"))?;
    Ok(InvoiceView { title, description, payload, currency, amount, link: None, paid: Vec::new() })
}

/// A whole number, also as a text.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|amount| amount.abs() < 1 << 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_is_given_once() {
        let mut stars = Stars::new(0);
        let payment = PaymentView {
            charge_id: "c1".into(),
            user_id: 5,
            amount: 10,
            payload: "p".into(),
            at_ms: 1000,
            refunded_ms: None,
        };
        stars.charge(1, payment);
        assert_eq!(stars.refund(6, "c1", 2000).unwrap_err().description, "Bad Request: CHARGE_NOT_FOUND");
        assert!(stars.refund(5, "c1", 2000).is_ok());
        assert_eq!(
            stars.refund(5, "c1", 3000).unwrap_err().description,
            "Bad Request: CHARGE_ALREADY_REFUNDED"
        );
        assert_eq!(stars.balance, 0);
        let entries = stars.transactions(0, 100, |id| json!({"id": id}));
        assert!(entries[0].get("source").is_some() && entries[1].get("receiver").is_some());
    }
}
