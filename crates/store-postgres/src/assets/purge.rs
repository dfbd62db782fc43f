//! Files that nobody is owed any more: marked first, then their bytes go.

use domain::{AssetId, Timestamp};
use store::{PurgedAsset, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::row::moment;

/// Jobs are locked as an owner's marks lock them, so that a job is brought back either before or after. Those that were looked
/// through are left out from then on.
pub(super) async fn mark(
    store: &PostgresStore,
    hidden_before: Timestamp,
    upload_before: Timestamp,
    at: Timestamp,
    limit: u32,
) -> Result<(), StoreError> {
    let marked = sqlx::query!(
        "with hidden as materialized (
           select id from kie.job
           where hidden_at is not null and not purged and hidden_at < $1 and state in ('done', 'failed', 'canceled')
           order by hidden_at limit $4 for no key update skip locked
         ), emptied as (
           update kie.job j set purged = true from hidden where j.id = hidden.id returning j.id
         ), old as (
           select a.id from emptied e join kie.asset a on a.job_id = e.id where a.state = 'stored'
           union all
           (select a.id from kie.account c join kie.asset a on a.account_id = c.id
            where c.closed_at < $1 and a.role = 'upload' and a.deleted_at is null limit $4)
           union all
           (select id from kie.asset
            where role = 'upload' and state = 'pending' and deleted_at is null and created_at < $2 limit $4)
         )
         update kie.asset a set deleted_at = $3, doomed = true where a.id in (select id from old) and a.deleted_at is null",
        moment(hidden_before) as _,
        moment(upload_before) as _,
        moment(at) as _,
        i64::from(limit),
    );
    marked.execute(&store.pool).await.map_err(store_error)?;
    Ok(())
}

/// What is marked and still has its bytes.
pub(super) async fn marked(store: &PostgresStore, limit: u32) -> Result<Vec<PurgedAsset>, StoreError> {
    let rows = sqlx::query!(
        "select id, object, thumbnail from kie.asset where doomed order by id limit $1",
        i64::from(limit)
    );
    let rows = rows.fetch_all(&store.pool).await.map_err(store_error)?;
    let marked = rows.into_iter().map(|row| PurgedAsset {
        id: AssetId::from_uuid(row.id),
        object: row.object,
        thumbnail: row.thumbnail,
    });
    Ok(marked.collect())
}
