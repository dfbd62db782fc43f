//! Assets on PostgreSQL.

use async_trait::async_trait;
use domain::{AccountId, Asset, AssetId, JobId, MediaKind, Scope, Timestamp};
use sqlx::PgConnection;
use store::{AssetStore, NewAsset, ProviderCopy, PurgedAsset, StoreError, StoredFile};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{AssetRow, all, clean, column, moment};

mod purge;

/// Every column of an asset, in the order of [`AssetRow`]; the table is called `a`.
macro_rules! assets {
    ($before:literal, $after:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            AssetRow,
            $before
                + "a.id, a.account_id, a.job_id, a.idx, a.role, a.kind, a.state, a.source_url, a.object, a.content_type,
                   a.bytes, a.sha256, a.width, a.height, a.duration_ms, a.thumbnail, a.tries, a.first_try_at,
                   a.last_error, a.provider_copy, a.provider_copy_until, a.created_at, a.deleted_at"
                + $after,
            $($arg),*
        )
    };
}

#[async_trait]
impl AssetStore for PostgresStore {
    async fn add_asset(&self, asset: &NewAsset, at: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        insert(&mut connection, asset, at).await
    }

    async fn asset_stored(
        &self,
        id: AssetId,
        fence: Option<i64>,
        file: &StoredFile,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = retrying(|| stored(self, id, fence, file, at)).await?;
        if written {
            self.signals.changed();
        }
        Ok(written)
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
        let written = sqlx::query!(
            "with guarded as materialized (
               select j.id from kie.job j
               where j.id = (select job_id from kie.asset where id = $1) and j.fence = $2 for share
             )
             update kie.asset a
             set tries = case when $4 then a.tries + 1 else a.tries end,
               first_try_at = case when $4 then coalesce(a.first_try_at, $6) else a.first_try_at end,
               last_error = $3, source_url = coalesce($5, a.source_url)
             from guarded where a.id = $1 and a.job_id = guarded.id and a.state = 'pending'",
            id.as_uuid(),
            fence,
            clean(error),
            counts,
            new_url.map(clean),
            moment(at),
        );
        Ok(written.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn asset_lost(
        &self,
        id: AssetId,
        fence: i64,
        reason: &str,
        blocked: bool,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = sqlx::query!(
            "with moved as (
               update kie.job j set updated_at = $4, version = j.version + 1
               from kie.asset a
               where a.id = $1 and a.state = 'pending' and j.id = a.job_id and j.fence = $2
               returning j.id
             )
             update kie.asset a set state = 'lost', last_error = $3, blocked = $5
             from moved where a.id = $1 and a.job_id = moved.id and a.state = 'pending'",
            id.as_uuid(),
            fence,
            clean(reason),
            moment(at),
            blocked,
        );
        let written = written.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0;
        if written {
            self.signals.changed();
        }
        Ok(written)
    }

    async fn set_provider_copy(&self, id: AssetId, copy: &ProviderCopy) -> Result<(), StoreError> {
        let kept = sqlx::query!(
            "update kie.asset set provider_copy = $2, provider_copy_until = $3 where id = $1",
            id.as_uuid(),
            clean(&copy.url),
            moment(copy.until),
        );
        match kept.execute(&self.pool).await.map_err(store_error)?.rows_affected() {
            0 => Err(StoreError::NotFound { what: "asset" }),
            _ => Ok(()),
        }
    }

    async fn find_asset(&self, id: AssetId, scope: Scope) -> Result<Option<Asset>, StoreError> {
        let row = assets!(
            "select ",
            " from kie.asset a where a.id = $1 and ($2::uuid is null or a.account_id = $2)",
            id.as_uuid(),
            scope.account().map(AccountId::as_uuid),
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Asset::try_from).transpose()
    }

    async fn find_asset_by_object(&self, object: &str) -> Result<Option<Asset>, StoreError> {
        let row = assets!("select ", " from kie.asset a where a.object = $1", clean(object));
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(Asset::try_from).transpose()
    }

    async fn assets_of(&self, jobs: &[JobId]) -> Result<Vec<Asset>, StoreError> {
        let jobs: Vec<Uuid> = jobs.iter().map(|job| job.as_uuid()).collect();
        let rows = assets!(
            "select ",
            " from kie.asset a where a.job_id = any($1) order by a.job_id, a.role <> 'output', a.role, a.idx",
            &jobs,
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn purge_assets(
        &self,
        hidden_before: Timestamp,
        upload_before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<PurgedAsset>, StoreError> {
        retrying(|| purge::mark(self, hidden_before, upload_before, at, limit)).await?;
        purge::marked(self, limit).await
    }

    async fn bytes_gone(&self, ids: &[AssetId]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let gone = sqlx::query!("update kie.asset set doomed = false where id = any($1) and doomed", &ids);
        gone.execute(&self.pool).await.map_err(store_error)?;
        Ok(())
    }

    async fn give_up_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError> {
        let given_up = sqlx::query!(
            "update kie.asset set deleted_at = $2 where id = $1 and state = 'stored' and deleted_at is null",
            id.as_uuid(),
            moment(at),
        );
        Ok(given_up.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn take_back_asset(&self, id: AssetId, at: Timestamp) -> Result<bool, StoreError> {
        let taken_back = sqlx::query!(
            "update kie.asset set deleted_at = null where id = $1 and deleted_at = $2 and not doomed",
            id.as_uuid(),
            moment(at),
        );
        Ok(taken_back.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0)
    }

    async fn list_stored_assets(
        &self,
        scope: Scope,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Vec<Asset>, StoreError> {
        let (after, limit) = (after.unwrap_or(AssetId::LOWEST).as_uuid(), i64::from(limit));
        let rows = match scope.account() {
            Some(account) => {
                assets!(
                    "select ",
                    " from kie.asset a
                      where a.account_id = $1 and a.id > $2 and a.state = 'stored' and a.deleted_at is null
                      order by a.id limit $3",
                    account.as_uuid(),
                    after,
                    limit,
                )
                .fetch_all(&self.pool)
                .await
            }
            None => {
                assets!(
                    "select ",
                    " from kie.asset a where a.id > $1 and a.state = 'stored' and a.deleted_at is null
                      order by a.id limit $2",
                    after,
                    limit,
                )
                .fetch_all(&self.pool)
                .await
            }
        };
        all(rows.map_err(store_error)?)
    }

    async fn set_thumbnail(&self, id: AssetId, thumbnail: &str, at: Timestamp) -> Result<bool, StoreError> {
        let named = sqlx::query!(
            "with moved as (
               update kie.job j set updated_at = $3, version = j.version + 1
               from kie.asset a
               where a.id = $1 and a.state = 'stored' and a.thumbnail is null and a.deleted_at is null
                 and j.id = a.job_id
               returning j.id
             )
             update kie.asset a set thumbnail = $2
             where a.id = $1 and a.state = 'stored' and a.thumbnail is null and a.deleted_at is null
               and (a.job_id is null or a.job_id in (select id from moved))",
            id.as_uuid(),
            thumbnail,
            moment(at),
        );
        let named = named.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0;
        if named {
            self.signals.changed();
        }
        Ok(named)
    }
}

/// Writes a `pending` row.
pub(crate) async fn insert(db: &mut PgConnection, asset: &NewAsset, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into kie.asset (id, account_id, job_id, idx, role, kind, state, source_url, object, created_at)
         values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9)",
        asset.id.as_uuid(),
        asset.account.as_uuid(),
        asset.job.map(JobId::as_uuid),
        column::<i16, _>(asset.index)?,
        asset.role.as_str(),
        asset.kind.as_str(),
        asset.source_url.as_deref().map(clean),
        clean(&asset.object),
        moment(at),
    )
    .execute(db)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// The job is locked before its asset, as in a step; with a file more it may have to be purged anew. Uploads have no job and
/// no fence.
async fn stored(
    store: &PostgresStore,
    id: AssetId,
    fence: Option<i64>,
    file: &StoredFile,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "with moved as (
           update kie.job j set updated_at = $3, version = j.version + 1, purged = false
           from kie.asset a
           where a.id = $1 and a.state = 'pending' and j.id = a.job_id and ($2::bigint is null or j.fence = $2)
           returning j.id
         )
         update kie.asset a
         set state = 'stored', content_type = $4, bytes = $5, sha256 = $6, width = $7, height = $8, duration_ms = $9,
           thumbnail = $10, kind = coalesce($11, a.kind)
         where a.id = $1 and a.state = 'pending'
           and ((a.job_id is null and $2::bigint is null) or a.job_id in (select id from moved))",
        id.as_uuid(),
        fence,
        moment(at),
        clean(&file.content_type),
        column::<i64, _>(file.bytes)?,
        &file.sha256[..],
        file.width.map(column::<i32, _>).transpose()?,
        file.height.map(column::<i32, _>).transpose()?,
        file.duration_ms.map(column::<i64, _>).transpose()?,
        file.thumbnail.as_deref(),
        file.kind.map(MediaKind::as_str),
    );
    Ok(written.execute(&store.pool).await.map_err(store_error)?.rows_affected() > 0)
}
