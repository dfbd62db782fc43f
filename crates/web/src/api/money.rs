//! Balance, transfers and their receipts.

use axum::extract::State;
use domain::{Money, TransferId};
use serde::Serialize;
use store::TransferFilter;
use utoipa::ToSchema;

use super::Page;
use crate::auth::Reader;
use crate::front::Shared;
use crate::params::{Id, Params, cut_page};
use crate::problem::Problem;
use crate::view::TransferView;

/// What an account has, minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Balance {
    /// May be spent.
    #[schema(value_type = i64)]
    pub(crate) available: Money,
    /// Set aside for open jobs.
    #[schema(value_type = i64)]
    pub(crate) held: Money,
    /// Currency code.
    pub(crate) currency: String,
}

/// Read the balance
#[utoipa::path(
    get, path = "/v1/balance", tag = "money",
    params(("account" = Option<String>, Query, description = "Operators: this account")),
    responses((status = 200, description = "The balance", body = Balance)),
)]
pub(crate) async fn balance(
    State(front): State<Shared>,
    reader: Reader,
) -> Result<axum::Json<Balance>, Problem> {
    let account = front.store().find_account(reader.account).await?;
    let account = account.ok_or_else(|| Problem::not_found("account"))?;
    let currency = front.lifecycle().policy().currency.code().to_owned();
    Ok(axum::Json(Balance { available: account.available, held: account.held, currency }))
}

/// List movements of money, newest first
#[utoipa::path(
    get, path = "/v1/transfers", tag = "money",
    params(
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "1 to 100, usually 20"),
        ("account" = Option<String>, Query, description = "Operators: of this account only"),
    ),
    responses((status = 200, description = "A page", body = Page<TransferView>)),
)]
pub(crate) async fn list_transfers(
    State(front): State<Shared>,
    reader: Reader,
    params: Params,
) -> Result<axum::Json<Page<TransferView>>, Problem> {
    let params = params.only(&["cursor", "limit", "account"])?;
    let limit = params.limit()?;
    let filter = TransferFilter {
        account: reader.scope.account(),
        job: None,
        before: params.cursor()?.map(TransferId::from_uuid),
        limit: limit + 1,
    };
    let mut transfers = front.store().list_transfers(&filter).await?;
    let next_cursor = cut_page(&mut transfers, limit, |transfer| transfer.id.as_uuid());
    let currency = &front.lifecycle().policy().currency;
    let items =
        transfers.iter().map(|transfer| ledger::transfer_receipt(transfer, currency).into()).collect();
    Ok(axum::Json(Page { items, next_cursor }))
}

/// Read the receipt of one movement
#[utoipa::path(
    get, path = "/v1/transfers/{id}/receipt", tag = "money", params(("id" = String, Path)),
    responses((status = 200, description = "The receipt", body = TransferView)),
)]
pub(crate) async fn transfer_receipt(
    State(front): State<Shared>,
    reader: Reader,
    Id(id): Id<TransferId>,
) -> Result<axum::Json<TransferView>, Problem> {
    let transfer = front.store().find_transfer(id, reader.scope).await?;
    let transfer = transfer.ok_or_else(|| Problem::not_found("transfer"))?;
    Ok(axum::Json(ledger::transfer_receipt(&transfer, &front.lifecycle().policy().currency).into()))
}
