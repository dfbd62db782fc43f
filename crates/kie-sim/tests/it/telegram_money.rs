//! Invoices, payments and refunds in Stars.

use std::time::Duration;

use kie_sim::telegram::{PayError, TelegramChat};
use kie_sim::{Script, TelegramConfig};
use serde_json::{Value, json};

use crate::support::Bench;
use crate::telegram::{ANN, PATIENCE, bench, with};

fn invoice(payload: &str) -> Value {
    json!({
        "chat_id": ANN, "title": "Top-up", "description": "100 pictures", "payload": payload,
        "provider_token": "", "currency": "XTR", "prices": [{"label": "Top-up", "amount": 250}],
    })
}

/// Answers the pre-checkout query that comes next.
async fn agree(bench: &Bench, ok: bool) {
    let waits = |telegram: &kie_sim::Telegram| {
        telegram.pending_updates().iter().any(|update| update.get("pre_checkout_query").is_some())
    };
    assert!(bench.telegram().wait_until(PATIENCE, waits).await);
    let updates = bench.bot("getUpdates", json!({})).await;
    let last = updates
        .as_array()
        .unwrap()
        .iter()
        .rfind(|update| update.get("pre_checkout_query").is_some())
        .unwrap();
    let query = &last["pre_checkout_query"];
    assert_eq!((&query["currency"], &query["total_amount"]), (&json!("XTR"), &json!(250)));
    bench.bot("getUpdates", json!({"offset": last["update_id"].as_i64().unwrap() + 1})).await;
    let answer = json!({"pre_checkout_query_id": query["id"], "ok": ok, "error_message": "sold out"});
    bench.bot("answerPreCheckoutQuery", answer).await;
}

async fn asked(bench: &Bench) -> (TelegramChat, i64) {
    let chat = bench.telegram().chat(ANN);
    chat.start(None).unwrap();
    let sent = bench.bot("sendInvoice", invoice("order-1")).await;
    assert_eq!(sent["invoice"]["total_amount"], 250);
    assert_eq!(sent["reply_markup"]["inline_keyboard"][0][0]["pay"], true);
    (chat, sent["message_id"].as_i64().unwrap())
}

#[tokio::test]
async fn one_invoice_can_be_paid_twice_and_each_charge_is_refunded_once() {
    let bench = bench().await;
    let (chat, id) = asked(&bench).await;
    let (first, ()) = tokio::join!(chat.pay(id), agree(&bench, true));
    let (second, ()) = tokio::join!(chat.pay(id), agree(&bench, true));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.charge_id != second.charge_id && first.payload == second.payload);
    let updates = bench.bot("getUpdates", json!({"offset": -1})).await;
    let told = &updates[0]["message"]["successful_payment"];
    assert_eq!(
        (&told["telegram_payment_charge_id"], &told["invoice_payload"], &told["total_amount"]),
        (&json!(second.charge_id), &json!("order-1"), &json!(250))
    );
    let view = chat.view().unwrap();
    assert_eq!(view.find(id).unwrap().invoice.as_ref().unwrap().paid.len(), 2);
    assert_eq!(bench.bot("getMyStarBalance", json!({})).await, json!({"amount": 500}));
    let refund = json!({"user_id": ANN, "telegram_payment_charge_id": first.charge_id});
    assert_eq!(bench.bot("refundStarPayment", refund.clone()).await, true);
    assert_eq!(bench.refused(400, "refundStarPayment", refund).await, "Bad Request: CHARGE_ALREADY_REFUNDED");
    let unknown = json!({"user_id": ANN, "telegram_payment_charge_id": "stxNothing"});
    assert_eq!(bench.refused(400, "refundStarPayment", unknown).await, "Bad Request: CHARGE_NOT_FOUND");
    assert_eq!(chat.messages().last().unwrap().kind, "refunded_payment");
    let entries = bench.bot("getStarTransactions", json!({})).await["transactions"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 3);
    assert_eq!(
        (&entries[0]["id"], &entries[0]["source"]["user"]["id"]),
        (&json!(first.charge_id), &json!(ANN))
    );
    assert!(
        entries
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["id"] == json!(first.charge_id) && entry.get("receiver").is_some())
    );
    assert_eq!(bench.telegram().stars(), 250);
}

#[tokio::test]
async fn a_declined_or_unanswered_checkout_charges_nothing() {
    let wait = Duration::from_millis(300);
    let bench = with(TelegramConfig { pre_checkout_wait: wait, ..TelegramConfig::default() }).await;
    let (chat, id) = asked(&bench).await;
    let (declined, ()) = tokio::join!(chat.pay(id), agree(&bench, false));
    assert_eq!(declined, Err(PayError::Refused("sold out".into())));
    assert_eq!(chat.pay(id).await, Err(PayError::TimedOut));
    let updates = bench.bot("getUpdates", json!({"offset": -1})).await;
    let late = json!({"pre_checkout_query_id": updates[0]["pre_checkout_query"]["id"], "ok": true});
    let words = bench.refused(400, "answerPreCheckoutQuery", late).await;
    assert_eq!(words, "Bad Request: query is too old and response timeout expired or query ID is invalid");
    assert_eq!(chat.pay(1).await, Err(PayError::NoInvoice));
    assert!(bench.telegram().payments().is_empty());
}

#[tokio::test]
async fn a_link_is_paid_by_anybody_and_may_seem_to_fail() {
    let bench = bench().await;
    let link = bench.bot("createInvoiceLink", invoice("link-1")).await;
    let link = link.as_str().unwrap();
    assert!(link.starts_with("https://t.me/$"));
    let bob = bench.telegram().chat(43);
    bob.start(None).unwrap();
    bench.sim.script(Script::parse("tg-pay=said-failed:times=1").unwrap().for_chat(43));
    let (paid, ()) = tokio::join!(bob.pay_link(link), agree(&bench, true));
    assert_eq!(paid, Err(PayError::SaidFailed));
    let payments = bench.telegram().payments();
    assert_eq!((payments.len(), payments[0].user_id, payments[0].payload.as_str()), (1, 43, "link-1"));
    let pending = bench.telegram().pending_updates();
    assert!(
        pending.iter().any(|update| update["message"]["successful_payment"]["invoice_payload"] == "link-1")
    );
    assert_eq!(bob.pay_link("https://t.me/$none").await, Err(PayError::NoInvoice));
}

#[tokio::test]
async fn invoices_are_checked() {
    let bench = bench().await;
    bench.telegram().chat(ANN).start(None).unwrap();
    let with = |name: &str, value: Value| {
        let mut made = invoice("p");
        made[name] = value;
        made
    };
    for (args, words) in [
        (with("title", json!("")), "parameter \"title\" is required"),
        (with("payload", json!("x".repeat(129))), "INVOICE_PAYLOAD_INVALID"),
        (with("provider_token", json!("abc")), "STARS_INVOICE_INVALID"),
        (with("need_email", json!(true)), "STARS_INVOICE_INVALID"),
        (
            with("prices", json!([{"label": "a", "amount": 1}, {"label": "b", "amount": 1}])),
            "STARS_INVOICE_INVALID",
        ),
        (with("prices", json!([{"label": "a", "amount": 0}])), "CURRENCY_TOTAL_AMOUNT_INVALID"),
        (with("prices", json!([])), "there must be at least one price"),
        (with("currency", json!("RUB")), "PAYMENT_PROVIDER_INVALID"),
    ] {
        assert_eq!(bench.refused(400, "sendInvoice", args).await, format!("Bad Request: {words}"));
    }
}
