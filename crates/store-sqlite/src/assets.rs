//! Assets: rows of files.

use async_trait::async_trait;
use domain::{AccountId, Asset, AssetId, JobId, MediaKind, Scope, Timestamp};
use sqlx::SqliteConnection;
use store::{AssetStore, NewAsset, ProviderCopy, PurgedAsset, StoreError, StoredFile};
use uuid::Uuid;

use crate::SqliteStore;
use crate::row::{Cell, id_list, micros, read_all, read_one, to_integer};
use crate::writer::{Meaning, never};

mod purge;

struct AssetRow {
    id: Uuid,
    account_id: Uuid,
    job_id: Option<Uuid>,
    idx: i64,
    role: String,
    kind: String,
    state: String,
    source_url: Option<String>,
    object: String,
    content_type: Option<String>,
    bytes: Option<i64>,
    sha256: Option<Vec<u8>>,
    width: Option<i64>,
    height: Option<i64>,
    duration_ms: Option<i64>,
    thumbnail: Option<String>,
    tries: i64,
    first_try_at: Option<i64>,
    last_error: Option<String>,
    provider_copy: Option<String>,
    provider_copy_until: Option<i64>,
    created_at: i64,
    deleted_at: Option<i64>,
}

macro_rules! asset_rows {
    ($tail:tt $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            AssetRow,
            r#"select id as "id!: uuid::Uuid", account_id as "account_id!: uuid::Uuid", job_id as "job_id?: uuid::Uuid",
                 idx as "idx!", role as "role!", kind as "kind!", state as "state!", source_url as "source_url?",
                 object as "object!", content_type as "content_type?", bytes as "bytes?", sha256 as "sha256?",
                 width as "width?", height as "height?", duration_ms as "duration_ms?", thumbnail as "thumbnail?",
                 tries as "tries!", first_try_at as "first_try_at?", last_error as "last_error?",
                 provider_copy as "provider_copy?", provider_copy_until as "provider_copy_until?",
                 created_at as "created_at!", deleted_at as "deleted_at?"
               from asset "# + $tail
            $(, $arg)*
        )
    };
}

#[async_trait]
impl AssetStore for SqliteStore {
    async fn add_asset(&self, asset: &NewAsset, at: Timestamp) -> Result<(), StoreError> {
        let asset = asset.clone();
        let added =
            self.write(never, move |db| Box::pin(async move { add_asset_in(db, &asset, at).await })).await;
        match added {
            Err(StoreError::NotFound { .. }) => Err(StoreError::NotFound { what: "account" }),
            other => other,
        }
    }

    async fn asset_stored(
        &self,
        id: AssetId,
        fence: Option<i64>,
        file: &StoredFile,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let file = file.clone();
        self.write(
            |written| *written,
            move |db| Box::pin(async move { stored_in(db, id, fence, &file, at).await }),
        )
        .await
    }

    async fn asset_failed(
        &self,
        id: AssetId,
        fence: i64,
        error: &str,
        counts: bool,
        new_url: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, at) = (id.as_uuid(), micros(at));
        let (error, new_url) = (error.to_owned(), new_url.map(str::to_owned));
        self.write(never, move |db| {
            Box::pin(async move {
                let failed = sqlx::query!(
                    "update asset set tries = tries + ?3, first_try_at = coalesce(first_try_at, iif(?3, ?4, null)),
                       last_error = ?5, source_url = coalesce(?6, source_url)
                     where id = ?1 and state = 'pending'
                       and exists (select 1 from job j where j.id = asset.job_id and j.fence = ?2)",
                    id,
                    fence,
                    counts,
                    at,
                    error,
                    new_url,
                );
                Ok(failed.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn asset_lost(
        &self,
        id: AssetId,
        fence: i64,
        reason: &str,
        blocked: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let reason = reason.to_owned();
        self.write(
            |written| *written,
            move |db| Box::pin(async move { lost_in(db, (id, fence), (&reason, blocked), at).await }),
        )
        .await
    }

    async fn set_provider_copy(&self, id: AssetId, copy: &ProviderCopy) -> Result<(), StoreError> {
        let (id, url, until) = (id.as_uuid(), copy.url.clone(), micros(copy.until));
        self.write(never, move |db| {
            Box::pin(async move {
                let kept = sqlx::query!(
                    "update asset set provider_copy = ?2, provider_copy_until = ?3 where id = ?1",
                    id,
                    url,
                    until,
                );
                match kept.execute(db).await.meaning()?.rows_affected() {
                    0 => Err(StoreError::NotFound { what: "asset" }),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    async fn find_asset(&self, id: AssetId, scope: Scope) -> Result<Option<Asset>, StoreError> {
        let (id, account) = (id.as_uuid(), scope.account().map(AccountId::as_uuid));
        let row = asset_rows!("where id = ?1 and (?2 is null or account_id = ?2)", id, account);
        read_one(row.fetch_optional(self.readers()).await.meaning()?)
    }

    async fn find_asset_by_object(&self, object: &str) -> Result<Option<Asset>, StoreError> {
        let row = asset_rows!("where object = ?1", object);
        read_one(row.fetch_optional(self.readers()).await.meaning()?)
    }

    async fn assets_of(&self, jobs: &[JobId]) -> Result<Vec<Asset>, StoreError> {
        let jobs = id_list(jobs.iter().map(|job| job.as_uuid()));
        let rows = asset_rows!(
            "where job_id in (select unhex(value) from json_each(?1))
             order by job_id, case role when 'output' then 0 when 'extra' then 1 else 2 end, idx",
            jobs,
        );
        read_all(rows.fetch_all(self.readers()).await.meaning()?)
    }

    async fn purge_assets(
        &self,
        hidden_before: Timestamp,
        upload_before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<PurgedAsset>, StoreError> {
        let due = purge::Due { hidden_before, upload_before, at, limit };
        self.write(never, move |db| Box::pin(async move { purge::purge_in(db, due).await })).await
    }

    async fn bytes_gone(&self, ids: &[AssetId]) -> Result<(), StoreError> {
        let ids = id_list(ids.iter().map(|id| id.as_uuid()));
        self.write(never, move |db| {
            Box::pin(async move {
                sqlx::query!(
                    "update asset set doomed = 0 where id in (select unhex(value) from json_each(?1)) and doomed = 1",
                    ids,
                )
                .execute(db)
                .await
                .meaning()?;
                Ok(())
            })
        })
        .await
    }

    async fn give_up_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError> {
        let (id, at) = (id.as_uuid(), micros(at));
        self.write(never, move |db| {
            Box::pin(async move {
                let given_up = sqlx::query!(
                    "update asset set deleted_at = ?2 where id = ?1 and state = 'stored' and deleted_at is null",
                    id,
                    at,
                );
                Ok(given_up.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn take_back_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError> {
        let (id, at) = (id.as_uuid(), micros(at));
        self.write(never, move |db| {
            Box::pin(async move {
                let taken_back = sqlx::query!(
                    "update asset set deleted_at = null where id = ?1 and deleted_at = ?2 and doomed = 0",
                    id,
                    at,
                );
                Ok(taken_back.execute(db).await.meaning()?.rows_affected() == 1)
            })
        })
        .await
    }

    async fn list_stored_assets(
        &self,
        scope: Scope,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Vec<Asset>, StoreError> {
        let after = after.unwrap_or(AssetId::LOWEST).as_uuid();
        let rows = match scope.account().map(AccountId::as_uuid) {
            Some(account) => {
                asset_rows!(
                    "where account_id = ?1 and id > ?2 and state = 'stored' and deleted_at is null order by id limit ?3",
                    account,
                    after,
                    limit,
                )
                .fetch_all(self.readers())
                .await
            }
            None => {
                asset_rows!(
                    "where id > ?1 and state = 'stored' and deleted_at is null order by id limit ?2",
                    after,
                    limit,
                )
                .fetch_all(self.readers())
                .await
            }
        };
        read_all(rows.meaning()?)
    }

    async fn set_thumbnail(&self, id: AssetId, thumbnail: &str, at: Timestamp) -> Result<bool, StoreError> {
        let thumbnail = thumbnail.to_owned();
        self.write(
            |named| *named,
            move |db| {
                Box::pin(async move {
                    let id = id.as_uuid();
                    let named = sqlx::query!(
                        "update asset set thumbnail = ?2
                         where id = ?1 and state = 'stored' and thumbnail is null and deleted_at is null",
                        id,
                        thumbnail,
                    )
                    .execute(&mut *db)
                    .await
                    .meaning()?;
                    store::fail_point!("sqlite.thumbnail.named");
                    touch_job(db, id, named.rows_affected(), at).await
                })
            },
        )
        .await
    }
}

/// Writes a `pending` row.
pub(crate) async fn add_asset_in(
    db: &mut SqliteConnection,
    asset: &NewAsset,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (id, account, job) = (asset.id.as_uuid(), asset.account.as_uuid(), asset.job.map(JobId::as_uuid));
    let (role, kind, at) = (asset.role.as_str(), asset.kind.as_str(), micros(at));
    sqlx::query!(
        "insert into asset (id, account_id, job_id, idx, role, kind, state, source_url, object, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9)",
        id,
        account,
        job,
        asset.index,
        role,
        kind,
        asset.source_url,
        asset.object,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}

async fn stored_in(
    db: &mut SqliteConnection,
    id: AssetId,
    fence: Option<i64>,
    file: &StoredFile,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let (id, sha256) = (id.as_uuid(), file.sha256.as_slice());
    let (bytes, kind) = (to_integer(file.bytes)?, file.kind.map(MediaKind::as_str));
    let duration_ms = file.duration_ms.map(to_integer).transpose()?;
    let stored = sqlx::query!(
        "update asset set state = 'stored', content_type = ?3, bytes = ?4, sha256 = ?5, width = ?6, height = ?7,
           duration_ms = ?8, thumbnail = ?9, kind = coalesce(?10, kind)
         where id = ?1 and state = 'pending'
           and (?2 is null or exists (select 1 from job j where j.id = asset.job_id and j.fence = ?2))",
        id,
        fence,
        file.content_type,
        bytes,
        sha256,
        file.width,
        file.height,
        duration_ms,
        file.thumbnail,
        kind,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.asset.stored");
    touch_job(db, id, stored.rows_affected(), at).await
}

async fn lost_in(
    db: &mut SqliteConnection,
    (id, fence): (AssetId, i64),
    (reason, blocked): (&str, bool),
    at: Timestamp,
) -> Result<bool, StoreError> {
    let id = id.as_uuid();
    let lost = sqlx::query!(
        "update asset set state = 'lost', last_error = ?3, blocked = ?4
         where id = ?1 and state = 'pending'
           and exists (select 1 from job j where j.id = asset.job_id and j.fence = ?2)",
        id,
        fence,
        reason,
        blocked,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.asset.lost");
    touch_job(db, id, lost.rows_affected(), at).await
}

/// What a reader of the job sees has changed, if a row was written; whether one was. With a file more it may have to be
/// purged anew.
async fn touch_job(
    db: &mut SqliteConnection,
    asset: Uuid,
    written: u64,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if written == 0 {
        return Ok(false);
    }
    let at = micros(at);
    sqlx::query!(
        "update job set version = version + 1, updated_at = ?2, purged = 0
         where id = (select job_id from asset where id = ?1)",
        asset,
        at,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(true)
}

impl TryFrom<AssetRow> for Asset {
    type Error = StoreError;

    fn try_from(row: AssetRow) -> Result<Self, StoreError> {
        let cell = Cell { table: "asset", id: &row.id };
        let until = cell.time_opt("provider_copy_until", row.provider_copy_until)?;
        Ok(Self {
            id: AssetId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            job: row.job_id.map(JobId::from_uuid),
            index: cell.number("idx", row.idx)?,
            role: cell.word("role", &row.role)?,
            kind: cell.word("kind", &row.kind)?,
            state: cell.word("state", &row.state)?,
            bytes: cell.number_opt("bytes", row.bytes)?,
            sha256: row.sha256.as_deref().map(|hash| cell.hash("sha256", hash)).transpose()?,
            width: cell.number_opt("width", row.width)?,
            height: cell.number_opt("height", row.height)?,
            duration_ms: cell.number_opt("duration_ms", row.duration_ms)?,
            tries: cell.number("tries", row.tries)?,
            first_try_at: cell.time_opt("first_try_at", row.first_try_at)?,
            provider_copy: row.provider_copy.zip(until),
            created_at: cell.time("created_at", row.created_at)?,
            deleted_at: cell.time_opt("deleted_at", row.deleted_at)?,
            source_url: row.source_url,
            object: row.object,
            content_type: row.content_type,
            thumbnail: row.thumbnail,
            last_error: row.last_error,
        })
    }
}
