//! Accounts and tokens.

use async_trait::async_trait;
use domain::{Account, AccountId, Money, Timestamp, TokenId};
use sqlx::SqliteConnection;
use store::{AccountStore, Added, KeptToken, NewAccount, NewToken, StoreError, TokenOwner};
use uuid::Uuid;

use crate::SqliteStore;
use crate::row::{Cell, micros, read_all, read_one};
use crate::writer::{Meaning, always, never};

const NO_ACCOUNT: StoreError = StoreError::NotFound { what: "account" };

struct AccountRow {
    id: Uuid,
    external_id: Option<String>,
    name: Option<String>,
    telegram_id: Option<i64>,
    available: i64,
    held: i64,
    created_at: i64,
    closed_at: Option<i64>,
}

macro_rules! account_rows {
    ($tail:tt $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            AccountRow,
            r#"select id as "id!: uuid::Uuid", external_id as "external_id?", name as "name?",
                 telegram_id as "telegram_id?", available as "available!", held as "held!",
                 created_at as "created_at!", closed_at as "closed_at?"
               from account "# + $tail
            $(, $arg)*
        )
    };
}

#[async_trait]
impl AccountStore for SqliteStore {
    async fn add_account(&self, account: &NewAccount) -> Result<Added<Account>, StoreError> {
        let account = account.clone();
        self.write(never, move |db| Box::pin(async move { add_in(db, &account).await })).await
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let id = id.as_uuid();
        read_one(account_rows!("where id = ?1", id).fetch_optional(self.readers()).await.meaning()?)
    }

    async fn find_account_by_external_id(&self, external_id: &str) -> Result<Option<Account>, StoreError> {
        let row = account_rows!("where external_id = ?1", external_id);
        read_one(row.fetch_optional(self.readers()).await.meaning()?)
    }

    async fn list_accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        let after = after.unwrap_or(AccountId::LOWEST).as_uuid();
        let rows = account_rows!("where id > ?1 order by id limit ?2", after, limit);
        read_all(rows.fetch_all(self.readers()).await.meaning()?)
    }

    async fn erase_account(&self, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
        self.write(always, move |db| Box::pin(async move { erase_in(db, id, at).await })).await
    }

    async fn webhook_key(&self, id: AccountId) -> Result<[u8; 32], StoreError> {
        let id = id.as_uuid();
        let key = sqlx::query_scalar!(r#"select webhook_key as "key!" from account where id = ?1"#, id)
            .fetch_optional(self.readers())
            .await
            .meaning()?
            .ok_or(NO_ACCOUNT)?;
        Cell { table: "account", id: &id }.hash("webhook_key", &key)
    }

    async fn add_token(&self, token: &NewToken) -> Result<(), StoreError> {
        let token = token.clone();
        self.write(never, move |db| Box::pin(async move { add_token_in(db, &token).await })).await
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<TokenOwner>, StoreError> {
        let hash = hash.as_slice();
        let row = sqlx::query!(
            r#"select t.id as "id!: Uuid", t.account_id as "account_id!: Uuid", t.role as "role!",
                 a.telegram_id as "telegram_id?"
               from token t join account a on a.id = t.account_id
               where t.hash = ?1 and a.closed_at is null"#,
            hash,
        )
        .fetch_optional(self.readers())
        .await
        .meaning()?;
        let Some(row) = row else { return Ok(None) };
        let role = Cell { table: "token", id: &row.id }.word("role", &row.role)?;
        let (token, account) = (TokenId::from_uuid(row.id), AccountId::from_uuid(row.account_id));
        Ok(Some(TokenOwner { token, account, role, telegram_id: row.telegram_id }))
    }

    async fn list_tokens(&self, account: AccountId) -> Result<Vec<KeptToken>, StoreError> {
        let account = account.as_uuid();
        let rows = sqlx::query!(
            r#"select id as "id!: Uuid", role as "role!", created_at as "created_at!"
               from token where account_id = ?1 order by created_at, id"#,
            account,
        )
        .fetch_all(self.readers())
        .await
        .meaning()?;
        let tokens = rows.into_iter().map(|row| {
            let cell = Cell { table: "token", id: &row.id };
            let created_at = cell.time("created_at", row.created_at)?;
            Ok(KeptToken { id: TokenId::from_uuid(row.id), role: cell.word("role", &row.role)?, created_at })
        });
        tokens.collect()
    }

    async fn revoke_token(&self, account: AccountId, token: TokenId) -> Result<bool, StoreError> {
        let (account, token) = (account.as_uuid(), token.as_uuid());
        self.write(never, move |db| {
            Box::pin(async move {
                let revoked =
                    sqlx::query!("delete from token where id = ?2 and account_id = ?1", account, token);
                Ok(revoked.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn has_real_accounts(&self) -> Result<bool, StoreError> {
        sqlx::query_scalar!(r#"select exists (select 1 from account where demo = 0) as "found!: bool""#)
            .fetch_one(self.readers())
            .await
            .meaning()
    }
}

async fn add_in(db: &mut SqliteConnection, account: &NewAccount) -> Result<Added<Account>, StoreError> {
    if let Some(existing) = find_same(db, account).await? {
        return Ok(Added::Existing(existing));
    }
    insert_account_in(db, account).await?;
    Ok(Added::New(Account {
        id: account.id,
        external_id: account.external_id.clone(),
        name: account.name.clone(),
        telegram_id: account.telegram_id,
        available: Money::ZERO,
        held: Money::ZERO,
        created_at: account.at,
        closed_at: None,
    }))
}

/// Writes the row of a new account.
pub(crate) async fn insert_account_in(
    db: &mut SqliteConnection,
    account: &NewAccount,
) -> Result<(), StoreError> {
    let (id, webhook_key, at) = (account.id.as_uuid(), account.webhook_key.as_slice(), micros(account.at));
    sqlx::query!(
        "insert into account (id, external_id, name, telegram_id, webhook_key, demo, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        id,
        account.external_id,
        account.name,
        account.telegram_id,
        webhook_key,
        account.demo,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

/// The account that has the same `external_id`, else (where none is given) the same chat.
async fn find_same(db: &mut SqliteConnection, account: &NewAccount) -> Result<Option<Account>, StoreError> {
    let row = match (&account.external_id, account.telegram_id) {
        (Some(external_id), _) => {
            account_rows!("where external_id = ?1", external_id).fetch_optional(db).await
        }
        (None, Some(telegram_id)) => {
            account_rows!("where telegram_id = ?1", telegram_id).fetch_optional(db).await
        }
        (None, None) => Ok(None),
    };
    read_one(row.meaning()?)
}

async fn erase_in(db: &mut SqliteConnection, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
    let (id, at) = (id.as_uuid(), micros(at));
    let closed = sqlx::query!(
        "update account set closed_at = coalesce(closed_at, ?2), external_id = null, name = null, telegram_id = null
         where id = ?1",
        id,
        at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    if closed.rows_affected() == 0 {
        return Err(NO_ACCOUNT);
    }
    store::fail_point!("sqlite.erase.account");
    sqlx::query!("delete from token where account_id = ?1", id).execute(&mut *db).await.meaning()?;
    store::fail_point!("sqlite.erase.tokens");
    sqlx::query!(
        "delete from delivery where job_id in (select id from job where account_id = ?1) and state <> 'done'",
        id
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.erase.owed");
    sqlx::query!(
        "update delivery set address = lower(hex(id)) where job_id in (select id from job where account_id = ?1)",
        id
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.erase.told");
    // What is not final still has to be sent as it was ordered; the step that ends it empties the input.
    sqlx::query!(
        "update job set prompt = null, recipients = '[]', hidden_at = coalesce(hidden_at, ?2),
           input = case when state in ('done', 'failed', 'canceled') then '{}' else input end,
           version = version + 1, updated_at = ?2
         where account_id = ?1",
        id,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.erase.jobs");
    Ok(())
}

async fn add_token_in(db: &mut SqliteConnection, token: &NewToken) -> Result<(), StoreError> {
    let (id, account, role) = (token.id.as_uuid(), token.account.as_uuid(), token.role.as_str());
    let (hash, at) = (token.hash.as_slice(), micros(token.at));
    let added = sqlx::query!(
        "insert into token (id, account_id, role, hash, created_at)
         select ?1, id, ?3, ?4, ?5 from account where id = ?2 and closed_at is null",
        id,
        account,
        role,
        hash,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    if added.rows_affected() == 1 { Ok(()) } else { Err(NO_ACCOUNT) }
}

impl TryFrom<AccountRow> for Account {
    type Error = StoreError;

    fn try_from(row: AccountRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "account", id: &row.id };
        Ok(Self {
            id: AccountId::from_uuid(row.id),
            available: Money::from_minor(row.available),
            held: Money::from_minor(row.held),
            created_at: cell.time("created_at", row.created_at)?,
            closed_at: cell.time_opt("closed_at", row.closed_at)?,
            external_id: row.external_id,
            name: row.name,
            telegram_id: row.telegram_id,
        })
    }
}
