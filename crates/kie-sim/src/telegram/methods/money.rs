//! Invoices, the last word before a payment, refunds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::send::post;
use crate::clock::now_ms;
use crate::telegram::args::Args;
use crate::telegram::bot::Bot;
use crate::telegram::keyboard::pay_button;
use crate::telegram::message::Draft;
use crate::telegram::refusal::Refusal;
use crate::telegram::stars::invoice_of;
use crate::telegram::views::InvoiceView;

/// A month, the only period of a subscription.
const SUBSCRIPTION_PERIOD: i64 = 2_592_000;

/// sendInvoice
pub(super) fn send_invoice(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let invoice = invoice_of(args)?;
    bot.lock().reachable(args.text("chat_id"))?;
    let shown = json!({
        "title": invoice.title,
        "description": invoice.description,
        "start_parameter": args.text("start_parameter"),
        "currency": invoice.currency,
        "total_amount": invoice.amount,
    });
    let mut draft = Draft::new("invoice").with("invoice", shown);
    draft.markup = Some(pay_button(&invoice));
    draft.invoice = Some(bot.lock().stars.add(invoice));
    post(bot, args, draft)
}

/// createInvoiceLink
pub(super) fn create_invoice_link(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let invoice = invoice_of(args)?;
    let period = args.integer("subscription_period");
    if period != 0 && period != SUBSCRIPTION_PERIOD {
        return Err(Refusal::bad("SUBSCRIPTION_PERIOD_INVALID"));
    }
    let mut state = bot.lock();
    let link = format!("https://t.me/${}", state.noise(2));
    state.stars.add(InvoiceView { link: Some(link.clone()), ..invoice });
    Ok(json!(link))
}

/// answerPreCheckoutQuery
pub(super) fn answer_pre_checkout(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let answer = if args.flag("ok") { Ok(()) } else { Err(args.required("error_message")?.to_owned()) };
    let mut state = bot.lock();
    let id = args.text("pre_checkout_query_id");
    let checkout = state.checkouts.get_mut(id).ok_or_else(Refusal::stale_query)?;
    if checkout.answer.is_some() || checkout.until_ms < now_ms() {
        return Err(Refusal::stale_query());
    }
    checkout.answer = Some(answer);
    drop(state);
    bot.touch();
    Ok(json!(true))
}

/// refundStarPayment; the customer sees a service message, which is an update too.
pub(super) fn refund(bot: &Arc<Bot>, args: &Args) -> Result<Value, Refusal> {
    let user = args.integer("user_id");
    if user <= 0 {
        return Err(Refusal::bad("Invalid user_id specified"));
    }
    let charge = args.required("telegram_payment_charge_id")?;
    let mut state = bot.lock();
    let now = now_ms();
    let payment = state.stars.refund(user, charge, now)?;
    let notice = json!({
        "currency": "XTR",
        "total_amount": payment.amount,
        "invoice_payload": payment.payload,
        "telegram_payment_charge_id": payment.charge_id,
    });
    let from = state.user(user);
    let draft = Draft::new("refunded_payment").with("refunded_payment", notice);
    let id = state.add(user, draft, from, now);
    let message = state.message_json(user, id);
    bot.tell(&mut state, "message", message, user);
    Ok(json!(true))
}

/// getStarTransactions
pub(super) fn transactions(bot: &Arc<Bot>, args: &Args) -> Value {
    let number = |name: &str| usize::try_from(args.integer(name)).unwrap_or(0);
    let limit = match number("limit") {
        0 => 100,
        limit => limit.min(100),
    };
    let state = bot.lock();
    json!({"transactions": state.stars.transactions(number("offset"), limit, |id| state.user(id))})
}
