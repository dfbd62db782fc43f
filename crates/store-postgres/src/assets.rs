//! Assets on PostgreSQL.

use async_trait::async_trait;
use domain::{AccountId, Asset, AssetId, JobId, MediaKind, Scope, Timestamp};
use store::{AssetStore, NewAsset, ProviderCopy, StoreError, StoredFile};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{retrying, store_error};
use crate::row::{AssetRow, all, clean, column, moment};

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
            asset.object,
            moment(at),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
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
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = sqlx::query!(
            "with moved as (
               update kie.job j set updated_at = $4, version = j.version + 1
               from kie.asset a
               where a.id = $1 and a.state = 'pending' and j.id = a.job_id and j.fence = $2
               returning j.id
             )
             update kie.asset a set state = 'lost', last_error = $3
             from moved where a.id = $1 and a.job_id = moved.id and a.state = 'pending'",
            id.as_uuid(),
            fence,
            clean(reason),
            moment(at),
        );
        let written = written.execute(&self.pool).await.map_err(store_error)?.rows_affected() > 0;
        if written {
            self.signals.changed();
        }
        Ok(written)
    }

    async fn set_provider_copy(&self, id: AssetId, copy: &ProviderCopy) -> Result<(), StoreError> {
        sqlx::query!(
            "update kie.asset set provider_copy = $2, provider_copy_until = $3 where id = $1",
            id.as_uuid(),
            clean(&copy.url),
            moment(copy.until),
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
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

    async fn purgeable_assets(
        &self,
        hidden_before: Timestamp,
        upload_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Asset>, StoreError> {
        let rows = assets!(
            "select ",
            " from kie.asset a join (
                (select a.id from kie.job j join kie.asset a on a.job_id = j.id
                 where j.hidden_at < $1 and a.state = 'stored' and a.deleted_at is null order by j.hidden_at limit $3)
                union all
                (select a.id from kie.account c join kie.asset a on a.account_id = c.id
                 where c.closed_at < $1 and a.role = 'upload' and a.deleted_at is null limit $3)
                union all
                (select id from kie.asset
                 where role = 'upload' and state = 'pending' and deleted_at is null and created_at < $2 limit $3)
              ) old on old.id = a.id
              limit $3",
            moment(hidden_before),
            moment(upload_before),
            i64::from(limit),
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
    }

    async fn assets_deleted(&self, ids: &[AssetId], at: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        sqlx::query!(
            "update kie.asset set deleted_at = $2 where id = any($1) and deleted_at is null",
            &ids,
            moment(at)
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn list_stored_assets(
        &self,
        scope: Scope,
        after: Option<AssetId>,
        limit: u32,
    ) -> Result<Vec<Asset>, StoreError> {
        let rows = assets!(
            "select ",
            " from kie.asset a
              where a.state = 'stored' and a.deleted_at is null and ($1::uuid is null or a.id > $1)
                and ($3::uuid is null or a.account_id = $3)
              order by a.id limit $2",
            after.map(AssetId::as_uuid),
            i64::from(limit),
            scope.account().map(AccountId::as_uuid),
        );
        all(rows.fetch_all(&self.pool).await.map_err(store_error)?)
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

/// The job is locked before its asset, as in a step. Uploads have no job and no fence.
async fn stored(
    store: &PostgresStore,
    id: AssetId,
    fence: Option<i64>,
    file: &StoredFile,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "with moved as (
           update kie.job j set updated_at = $3, version = j.version + 1
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
