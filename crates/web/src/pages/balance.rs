//! The balance and its movements.

use askama::Template;
use axum::response::Response;
use domain::TransferId;
use http::request::Parts;
use store::TransferFilter;

use super::frame::{Frame, Visitor, html};
use crate::front::Front;
use crate::params::{Params, cut_page};
use crate::problem::{Kind, Problem};
use crate::words;

const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "balance.html")]
struct Balance {
    frame: Frame,
    available: String,
    held: String,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    at: String,
    word: &'static str,
    job: Option<String>,
    change: String,
    is_minus: bool,
}

pub(super) async fn show(front: &Front, parts: &Parts) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    let before = Params::read(parts).cursor()?.map(TransferId::from_uuid);
    let filter = TransferFilter { account: Some(visitor.account), job: None, before, limit: PAGE + 1 };
    let mut transfers = front.store().list_transfers(&filter).await?;
    let older = cut_page(&mut transfers, PAGE, |transfer| transfer.id.as_uuid());
    let account = front.store().find_account(visitor.account).await?;
    let account = account.ok_or_else(|| Problem::new(Kind::Unauthorized))?;
    let currency = &front.lifecycle().policy().currency;
    let row = |transfer: &domain::Transfer| {
        let receipt = ledger::transfer_receipt(transfer, currency);
        let shown = if receipt.change.is_zero() { receipt.amount } else { receipt.change };
        Row {
            at: transfer.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            word: words::transfer(transfer.kind, visitor.language),
            job: transfer.job.map(|job| job.to_string()),
            change: currency.format(shown),
            is_minus: receipt.change.minor() < 0,
        }
    };
    html(&Balance {
        frame: visitor.frame(front).await?,
        available: currency.format(account.available),
        held: currency.format(account.held),
        rows: transfers.iter().map(row).collect(),
        older,
    })
}
