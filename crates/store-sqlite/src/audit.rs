//! The audit: what the books must not say, as one query for each rule, all over one snapshot.

use sqlx::SqliteConnection;
use store::{AuditFinding, StoreError};
use uuid::Uuid;

use crate::writer::Meaning;

/// More findings than anyone reads are cut off.
const FINDINGS_MAX: usize = 1000;

/// A row that breaks a rule, and how.
struct Found {
    id: Uuid,
    detail: String,
}

/// One rule: the query names the rows that break it.
macro_rules! rule {
    ($db:ident, $found:ident, $invariant:literal, $noun:literal, $sql:literal) => {{
        let rows = sqlx::query_as!(Found, $sql).fetch_all(&mut *$db).await.meaning()?;
        $found.extend(rows.into_iter().map(|row| AuditFinding {
            invariant: $invariant,
            noun: $noun,
            id: row.id.to_string(),
            detail: row.detail,
        }));
    }};
}

/// Everything that is wrong, by invariant, noun and id.
pub(crate) async fn findings(db: &mut SqliteConnection) -> Result<Vec<AuditFinding>, StoreError> {
    let mut found = Vec::new();
    check_balances(db, &mut found).await?;
    check_sums(db, &mut found).await?;
    check_ends(db, &mut found).await?;
    check_free_and_gifts(db, &mut found).await?;
    check_wakes(db, &mut found).await?;
    check_duties(db, &mut found).await?;
    let key = |finding: &AuditFinding| {
        (finding.invariant, finding.noun, finding.id.clone(), finding.detail.clone())
    };
    found.sort_by_cached_key(key);
    found.truncate(FINDINGS_MAX);
    Ok(found)
}

/// I1: a balance is the fold of its transfers, and not below zero.
async fn check_balances(db: &mut SqliteConnection, found: &mut Vec<AuditFinding>) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I1",
        "account",
        r#"with side as (
             select account_id, credit as book, amount from transfer
             union all
             select account_id, debit, -amount from transfer
           ), fold as (
             select account_id, sum(case when book = 'available' then amount else 0 end) as available,
               sum(case when book = 'held' then amount else 0 end) as held
             from side group by account_id
           )
           select a.id as "id!: Uuid",
             'available is ' || a.available || ' and held is ' || a.held || ', its transfers make '
               || coalesce(f.available, 0) || ' and ' || coalesce(f.held, 0) as "detail!: String"
           from account a left join fold f on f.account_id = a.id
           where a.available <> coalesce(f.available, 0) or a.held <> coalesce(f.held, 0)
             or a.available < 0 or a.held < 0
           order by a.id limit 1000"#
    );
    rule!(
        db,
        found,
        "I1",
        "transfer",
        r#"select id as "id!: Uuid", 'moves ' || amount || ' from ' || debit || ' to ' || credit as "detail!: String"
           from transfer where amount <= 0 or debit = credit order by id limit 1000"#
    );
    Ok(())
}

/// I2: a job's sums are those of its transfers, each kind at most once.
async fn check_sums(db: &mut SqliteConnection, found: &mut Vec<AuditFinding>) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"with fold as (
             select job_id, sum(case kind when 'hold' then amount else 0 end) as held,
               sum(case kind when 'capture' then amount else 0 end) as captured,
               sum(case kind when 'release' then amount else 0 end) as released,
               sum(case kind when 'refund' then amount else 0 end) as refunded
             from transfer where job_id is not null group by job_id
           )
           select j.id as "id!: Uuid",
             'held, captured, released, refunded are ' || j.held || ', ' || j.captured || ', ' || j.released || ', '
               || j.refunded || ', its transfers make ' || coalesce(f.held, 0) || ', ' || coalesce(f.captured, 0)
               || ', ' || coalesce(f.released, 0) || ', ' || coalesce(f.refunded, 0) as "detail!: String"
           from job j left join fold f on f.job_id = j.id
           where j.held <> coalesce(f.held, 0) or j.captured <> coalesce(f.captured, 0)
             or j.released <> coalesce(f.released, 0) or j.refunded <> coalesce(f.refunded, 0)
           order by j.id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select job_id as "id!: Uuid", 'has ' || count(*) || ' transfers of kind ' || kind as "detail!: String"
           from transfer where job_id is not null and kind in ('hold', 'capture', 'release')
           group by job_id, kind having count(*) > 1 order by job_id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "transfer",
        r#"select t.id as "id!: Uuid", 'belongs to a job of another account' as "detail!: String"
           from transfer t join job j on j.id = t.job_id where t.account_id <> j.account_id order by t.id limit 1000"#
    );
    Ok(())
}

/// I2: money is decided when a job is final, and not before; refunds stay within captures.
async fn check_ends(db: &mut SqliteConnection, found: &mut Vec<AuditFinding>) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select id as "id!: Uuid",
             'is ' || state || ' with ' || held || ' held, ' || captured || ' captured, ' || released || ' released'
               as "detail!: String"
           from job where state in ('done', 'failed', 'canceled') and gift = 0 and captured + released <> held
           order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select id as "id!: Uuid",
             'is ' || state || ' but ' || captured || ' captured, ' || released || ' released' as "detail!: String"
           from job where state not in ('done', 'failed', 'canceled') and gift = 0 and (captured <> 0 or released <> 0)
           order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select id as "id!: Uuid", refunded || ' refunded of ' || captured || ' captured' as "detail!: String"
           from job where refunded > captured order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select id as "id!: Uuid", 'is ' || state || ' at price ' || price || ' without a hold' as "detail!: String"
           from job j
           where price > 0 and state not in ('draft', 'canceled')
             and not exists (select 1 from transfer t where t.job_id = j.id and t.kind = 'hold')
           order by id limit 1000"#
    );
    Ok(())
}

/// I2: free jobs move no money, gifts are never charged, drafts hold nothing.
async fn check_free_and_gifts(
    db: &mut SqliteConnection,
    found: &mut Vec<AuditFinding>,
) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select j.id as "id!: Uuid", 'is free but has ' || count(*) || ' transfers' as "detail!: String"
           from transfer t join job j on j.id = t.job_id where j.price = 0 group by j.id order by j.id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select id as "id!: Uuid",
             'is a gift with ' || held || ' held, ' || captured || ' captured, ' || released || ' released'
               as "detail!: String"
           from job where gift = 1 and (captured <> 0 or released <> held) order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I2",
        "job",
        r#"select j.id as "id!: Uuid", 'is a draft but has ' || count(*) || ' transfers' as "detail!: String"
           from job j join transfer t on t.job_id = j.id where j.state = 'draft' group by j.id order by j.id limit 1000"#
    );
    Ok(())
}

/// I4: nothing waits without an owner, and what is done has something to show.
async fn check_wakes(db: &mut SqliteConnection, found: &mut Vec<AuditFinding>) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I4",
        "job",
        r#"select id as "id!: Uuid", 'is ' || state || ' without a wake' as "detail!: String"
           from job where state not in ('done', 'failed', 'canceled') and wake_at is null order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I4",
        "delivery",
        r#"select id as "id!: Uuid", 'is pending without a wake' as "detail!: String"
           from delivery where state = 'pending' and wake_at is null order by id limit 1000"#
    );
    rule!(
        db,
        found,
        "I4",
        "job",
        r#"select id as "id!: Uuid", 'is done without a stored output' as "detail!: String"
           from job where state = 'done' and not exists (
             select 1 from asset a where a.job_id = job.id and a.role = 'output' and a.state = 'stored')
           order by id limit 1000"#
    );
    Ok(())
}

/// I5: outputs of a done job are decided, and everyone who is to be told has a delivery. Recipients that are none make the
/// row unreadable, which is a finding of its own.
async fn check_duties(db: &mut SqliteConnection, found: &mut Vec<AuditFinding>) -> Result<(), StoreError> {
    rule!(
        db,
        found,
        "I5",
        "asset",
        r#"select a.id as "id!: Uuid", 'is ' || a.state || ' though its job is done' as "detail!: String"
           from asset a join job j on j.id = a.job_id
           where j.state = 'done' and a.role = 'output' and a.state = 'pending' order by a.id limit 1000"#
    );
    rule!(
        db,
        found,
        "I5",
        "asset",
        r#"select a.id as "id!: Uuid", 'belongs to another account than its job' as "detail!: String"
           from asset a join job j on j.id = a.job_id where a.account_id <> j.account_id order by a.id limit 1000"#
    );
    rule!(
        db,
        found,
        "I5",
        "job",
        r#"select j.id as "id!: Uuid",
             'is ' || j.state || ' but owes nothing to a recipient by ' || json_extract(r.value, '$.channel')
               as "detail!: String"
           from job j, json_each(
             case when json_valid(j.recipients) then
               case when json_type(j.recipients) = 'array' then j.recipients else '[]' end
             else '[]' end) r
           where j.state in ('done', 'failed')
             and case when r.type = 'object' then json_type(r.value, '$.channel') = 'text' and not exists (
               select 1 from delivery d
               where d.job_id = j.id and d.event = 'job.' || j.state
                 and d.channel = json_extract(r.value, '$.channel')
                 and d.address
                   = cast(coalesce(json_extract(r.value, '$.url'), json_extract(r.value, '$.chat_id')) as text))
             else 0 end
           order by j.id limit 1000"#
    );
    Ok(())
}
