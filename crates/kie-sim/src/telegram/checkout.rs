//! A customer pays: the bot is asked first, then charged and told.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::bot::Bot;
use super::customer::PayError;
use super::message::Draft;
use super::state::{Checkout, State};
use super::views::{InvoiceView, PaymentView};
use crate::clock::{now_ms, whole_ms};
use crate::fault::{Fault, Moment};
use crate::script::{Scene, Words};

/// Pays an invoice, as often as it is asked to.
pub(crate) async fn pay(bot: &Arc<Bot>, user: i64, number: u64) -> Result<PaymentView, PayError> {
    let (query, invoice) = ask(bot, user, number)?;
    wait(bot, &query).await?;
    let payment = book(bot, user, number, &invoice);
    let scene = Scene { chat: Some(user), words: Some(Words::Text(&invoice.payload)), ..Scene::default() };
    let faults = bot.around.scripts.pick(Moment::Payment, &scene);
    if faults.iter().any(|fault| matches!(fault, Fault::Payment(_))) {
        return Err(PayError::SaidFailed);
    }
    Ok(payment)
}

/// Sends the pre-checkout query.
fn ask(bot: &Arc<Bot>, user: i64, number: u64) -> Result<(String, InvoiceView), PayError> {
    let mut state = bot.lock();
    let invoice = state.stars.invoice(number).cloned().ok_or(PayError::NoInvoice)?;
    let query = state.number();
    let now = now_ms();
    let until_ms = now + whole_ms(bot.config.pre_checkout_wait);
    state.checking_out(query.clone(), Checkout { until_ms, answer: None }, now);
    let body = json!({
        "id": query,
        "from": state.user(user),
        "currency": invoice.currency,
        "total_amount": invoice.amount,
        "invoice_payload": invoice.payload,
    });
    bot.tell(&mut state, "pre_checkout_query", body, user);
    Ok((query, invoice))
}

/// Waits for the bot's word.
async fn wait(bot: &Arc<Bot>, query: &str) -> Result<(), PayError> {
    let mut news = bot.watch();
    loop {
        news.mark_unchanged();
        let checkout = bot.lock().checkouts.get(query).cloned().ok_or(PayError::TimedOut)?;
        if let Some(answer) = checkout.answer {
            return answer.map_err(PayError::Refused);
        }
        let left = checkout.until_ms.saturating_sub(now_ms());
        if left == 0 {
            return Err(PayError::TimedOut);
        }
        tokio::select! {
            changed = news.changed() => changed.map_err(|_ignored| PayError::TimedOut)?,
            () = tokio::time::sleep(Duration::from_millis(left)) => {}
            () = bot.around.stop.cancelled() => return Err(PayError::TimedOut),
        }
    }
}

/// Charges the customer and tells both sides.
fn book(bot: &Arc<Bot>, user: i64, number: u64, invoice: &InvoiceView) -> PaymentView {
    let mut state = bot.lock();
    let now = now_ms();
    let payment = PaymentView {
        charge_id: format!("stx{}", state.noise(6)),
        user_id: user,
        amount: invoice.amount,
        payload: invoice.payload.clone(),
        at_ms: now,
        refunded_ms: None,
    };
    state.stars.charge(number, payment.clone());
    let notice = receipt(&mut state, &payment);
    let from = state.user(user);
    let id = state.add(user, Draft::new("successful_payment").with("successful_payment", notice), from, now);
    let message = state.message_json(user, id);
    bot.tell(&mut state, "message", message, user);
    payment
}

fn receipt(state: &mut State, payment: &PaymentView) -> Value {
    json!({
        "currency": "XTR",
        "total_amount": payment.amount,
        "invoice_payload": payment.payload,
        "telegram_payment_charge_id": payment.charge_id,
        "provider_payment_charge_id": format!("{}_{}", payment.user_id, state.number()),
    })
}
