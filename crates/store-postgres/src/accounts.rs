//! Accounts and tokens on PostgreSQL.

use async_trait::async_trait;
use domain::{Account, AccountId, Timestamp, TokenId};
use store::{AccountStore, Added, KeptToken, NewAccount, NewToken, StoreError, TokenOwner};

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{AccountRow, clean, hash, moment, word};

#[async_trait]
impl AccountStore for PostgresStore {
    async fn add_account(&self, account: &NewAccount) -> Result<Added<Account>, StoreError> {
        let row = sqlx::query_as!(
            AccountRow,
            "insert into kie.account (id, external_id, name, telegram_id, webhook_key, demo, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict do nothing
             returning id, external_id, name, telegram_id, available, held, created_at, closed_at",
            account.id.as_uuid(),
            account.external_id.as_deref().map(clean),
            account.name.as_deref().map(clean),
            account.telegram_id,
            &account.webhook_key[..],
            account.demo,
            moment(account.at),
        );
        if let Some(row) = row.fetch_optional(&self.pool).await.map_err(store_error)? {
            return Ok(Added::New(row.into()));
        }
        existing(self, account).await
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query_as!(
            AccountRow,
            "select id, external_id, name, telegram_id, available, held, created_at, closed_at
             from kie.account where id = $1",
            id.as_uuid(),
        );
        Ok(row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Account::from))
    }

    async fn find_account_by_external_id(&self, external_id: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query_as!(
            AccountRow,
            "select id, external_id, name, telegram_id, available, held, created_at, closed_at
             from kie.account where external_id = $1",
            clean(external_id),
        );
        Ok(row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Account::from))
    }

    async fn list_accounts(&self, after: Option<AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query_as!(
            AccountRow,
            "select id, external_id, name, telegram_id, available, held, created_at, closed_at
             from kie.account where id > $1 order by id limit $2",
            after.unwrap_or(AccountId::LOWEST).as_uuid(),
            i64::from(limit),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    async fn erase_account(&self, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
        retrying(|| erase(self, id, at)).await?;
        self.signals.changed();
        Ok(())
    }

    async fn webhook_key(&self, id: AccountId) -> Result<[u8; 32], StoreError> {
        let key = sqlx::query_scalar!("select webhook_key from kie.account where id = $1", id.as_uuid());
        let key = key.fetch_optional(&self.pool).await.map_err(store_error)?;
        hash("account", "webhook_key", &key.ok_or(StoreError::NotFound { what: "account" })?)
    }

    async fn add_token(&self, token: &NewToken) -> Result<(), StoreError> {
        let added = sqlx::query!(
            "insert into kie.token (id, account_id, role, hash, created_at)
             select $1, id, $3, $4, $5 from kie.account where id = $2 and closed_at is null",
            token.id.as_uuid(),
            token.account.as_uuid(),
            token.role.as_str(),
            &token.hash[..],
            moment(token.at),
        );
        match added.execute(&self.pool).await.map_err(store_error)?.rows_affected() {
            0 => Err(StoreError::NotFound { what: "account" }),
            _ => Ok(()),
        }
    }

    async fn find_token(&self, hash: &[u8; 32]) -> Result<Option<TokenOwner>, StoreError> {
        let found = sqlx::query!(
            "select t.id, t.account_id, t.role, a.telegram_id
             from kie.token t join kie.account a on a.id = t.account_id
             where t.hash = $1 and a.closed_at is null",
            &hash[..],
        );
        let Some(found) = found.fetch_optional(&self.pool).await.map_err(store_error)? else {
            return Ok(None);
        };
        Ok(Some(TokenOwner {
            token: TokenId::from_uuid(found.id),
            account: AccountId::from_uuid(found.account_id),
            role: word("token", "role", &found.role)?,
            telegram_id: found.telegram_id,
        }))
    }

    async fn list_tokens(&self, account: AccountId) -> Result<Vec<KeptToken>, StoreError> {
        let rows = sqlx::query!(
            "select id, role, created_at from kie.token where account_id = $1 order by created_at, id",
            account.as_uuid(),
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let tokens = rows.into_iter().map(|row| {
            let (id, role) = (TokenId::from_uuid(row.id), word("token", "role", &row.role)?);
            Ok(KeptToken { id, role, created_at: row.created_at.to_jiff() })
        });
        tokens.collect()
    }

    async fn revoke_token(&self, account: AccountId, token: TokenId) -> Result<bool, StoreError> {
        let revoked = sqlx::query!(
            "delete from kie.token where id = $2 and account_id = $1",
            account.as_uuid(),
            token.as_uuid(),
        );
        Ok(revoked.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn has_real_accounts(&self) -> Result<bool, StoreError> {
        let real =
            sqlx::query_scalar!(r#"select exists (select from kie.account where not demo) as "real!""#);
        real.fetch_one(&self.pool).await.map_err(store_error)
    }
}

/// The account that stands in the way of a new one: the same customer, or another with the same chat.
async fn existing(store: &PostgresStore, account: &NewAccount) -> Result<Added<Account>, StoreError> {
    let (taken, found) = match (&account.external_id, account.telegram_id) {
        (Some(external_id), _) => ("telegram id", store.find_account_by_external_id(external_id).await?),
        (None, Some(telegram_id)) => ("account", find_by_telegram_id(store, telegram_id).await?),
        (None, None) => ("account", None),
    };
    found.map(Added::Existing).ok_or(StoreError::Taken { what: taken })
}

async fn find_by_telegram_id(store: &PostgresStore, telegram_id: i64) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query_as!(
        AccountRow,
        "select id, external_id, name, telegram_id, available, held, created_at, closed_at
         from kie.account where telegram_id = $1",
        telegram_id,
    );
    Ok(row.fetch_optional(&store.pool).await.map_err(store_error)?.map(Account::from))
}

/// Jobs first, then the account, as everywhere; then the jobs that came in between. Open jobs are locked even if nothing of
/// them changes, so that a step which ends one comes before or sees the account closed.
async fn erase(store: &PostgresStore, id: AccountId, at: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.pool.begin().await.map_err(store_error)?;
    for round in 0..2 {
        sqlx::query!(
            "with own as materialized (
               select id from kie.job where account_id = $1
                 and (hidden_at is null or prompt is not null or recipients <> '[]' or input <> '{}')
               order by id for no key update
             )
             update kie.job j
             set prompt = null, recipients = '[]', input = case when j.state in ('done', 'failed', 'canceled') then '{}' else j.input end,
               hidden_at = coalesce(j.hidden_at, $2), updated_at = $2, version = j.version + 1
             from own where j.id = own.id",
            id.as_uuid(),
            moment(at),
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
        store::fail_point!("postgres.erase.jobs", if round == 0 { "first" } else { "again" });
        if round == 0 {
            let closed = sqlx::query!(
                "update kie.account
                 set closed_at = coalesce(closed_at, $2), name = null, external_id = null, telegram_id = null
                 where id = $1",
                id.as_uuid(),
                moment(at),
            );
            if closed.execute(&mut *transaction).await.map_err(store_error)?.rows_affected() == 0 {
                return Err(StoreError::NotFound { what: "account" });
            }
            store::fail_point!("postgres.erase.account");
        }
    }
    let owed = sqlx::query!(
        "delete from kie.delivery d using kie.job j where j.account_id = $1 and d.job_id = j.id and d.state <> 'done'",
        id.as_uuid(),
    );
    owed.execute(&mut *transaction).await.map_err(store_error)?;
    store::fail_point!("postgres.erase.owed");
    let made = sqlx::query!(
        "update kie.delivery d set address = d.id::text from kie.job j where j.account_id = $1 and d.job_id = j.id",
        id.as_uuid(),
    );
    made.execute(&mut *transaction).await.map_err(store_error)?;
    store::fail_point!("postgres.erase.told");
    let tokens = sqlx::query!("delete from kie.token where account_id = $1", id.as_uuid());
    tokens.execute(&mut *transaction).await.map_err(store_error)?;
    store::fail_point!("postgres.erase.tokens");
    transaction.commit().await.map_err(store_error)
}
