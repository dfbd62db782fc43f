//! Files that nobody is owed any more: marked first, then their bytes go.

use domain::{AssetId, Timestamp};
use sqlx::SqliteConnection;
use store::{PurgedAsset, StoreError};
use uuid::Uuid;

use crate::row::{id_list, micros};
use crate::writer::Meaning;

/// What is to be purged.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) hidden_before: Timestamp,
    pub(super) upload_before: Timestamp,
    pub(super) at: Timestamp,
    pub(super) limit: u32,
}

/// Marks what is due; what is marked and still has its bytes.
pub(super) async fn purge_in(db: &mut SqliteConnection, due: Due) -> Result<Vec<PurgedAsset>, StoreError> {
    let jobs = find_hidden(db, due).await?;
    mark_files(db, &jobs, due.at).await?;
    store::fail_point!("sqlite.purge.jobs");
    mark_uploads(db, due).await?;
    store::fail_point!("sqlite.purge.uploads");
    let rows = sqlx::query!(
        r#"select id as "id!: Uuid", object as "object!", thumbnail as "thumbnail?"
           from asset where doomed = 1 order by id limit ?1"#,
        due.limit,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    let marked = rows.into_iter().map(|row| PurgedAsset {
        id: AssetId::from_uuid(row.id),
        object: row.object,
        thumbnail: row.thumbnail,
    });
    Ok(marked.collect())
}

/// Hidden jobs that were not looked through yet, as a list of ids.
async fn find_hidden(db: &mut SqliteConnection, due: Due) -> Result<String, StoreError> {
    let before = micros(due.hidden_before);
    let jobs = sqlx::query_scalar!(
        r#"select id as "id!: Uuid" from job
           where hidden_at is not null and purged = 0 and hidden_at < ?1 and state in ('done', 'failed', 'canceled')
           order by hidden_at limit ?2"#,
        before,
        due.limit,
    )
    .fetch_all(db)
    .await
    .meaning()?;
    Ok(id_list(jobs))
}

async fn mark_files(db: &mut SqliteConnection, jobs: &str, at: Timestamp) -> Result<(), StoreError> {
    let at = micros(at);
    sqlx::query!(
        "update asset set deleted_at = ?2, doomed = 1
         where job_id in (select unhex(value) from json_each(?1)) and state = 'stored' and deleted_at is null",
        jobs,
        at,
    )
    .execute(&mut *db)
    .await
    .meaning()?;
    store::fail_point!("sqlite.purge.files");
    sqlx::query!("update job set purged = 1 where id in (select unhex(value) from json_each(?1))", jobs)
        .execute(db)
        .await
        .meaning()?;
    Ok(())
}

async fn mark_uploads(db: &mut SqliteConnection, due: Due) -> Result<(), StoreError> {
    let (closed_before, upload_before, at) =
        (micros(due.hidden_before), micros(due.upload_before), micros(due.at));
    sqlx::query!(
        "update asset set deleted_at = ?3, doomed = 1
         where id in (
           select * from (
             select a.id from account c cross join asset a on a.account_id = c.id
             where c.closed_at < ?1 and a.role = 'upload' and a.deleted_at is null limit ?4)
           union all
           select * from (
             select id from asset
             where role = 'upload' and state = 'pending' and deleted_at is null and created_at < ?2 limit ?4))",
        closed_before,
        upload_before,
        at,
        due.limit,
    )
    .execute(db)
    .await
    .meaning()?;
    Ok(())
}
