//! The audit of the books: every broken invariant of one snapshot, found by the database itself.

use store::{AuditFinding, StoreError};

use crate::PostgresStore;
use crate::error::store_error;
use crate::jobs::unreadable_jobs;

/// The invariants and nouns that a finding may name.
const INVARIANTS: &[&str] = &["I1", "I2", "I4", "I5"];
const NOUNS: &[&str] = &["account", "asset", "delivery", "job", "transfer"];

/// At most a thousand findings, by invariant, noun and id.
#[expect(
    clippy::too_many_lines,
    reason = "one statement: every rule reads the same snapshot and the same folds"
)]
pub(crate) async fn audit(store: &PostgresStore) -> Result<Vec<AuditFinding>, StoreError> {
    let begin = store.pool.begin_with("begin isolation level repeatable read read only");
    let mut snapshot = begin.await.map_err(store_error)?;
    // Reading all books of a large shop takes longer than a statement of its daily life may.
    sqlx::query("set local statement_timeout = '30min'")
        .execute(&mut *snapshot)
        .await
        .map_err(store_error)?;
    let rows = sqlx::query!(
        r#"with fold as (
             select account_id,
               sum(case when credit = 'available' then amount else 0 end
                 - case when debit = 'available' then amount else 0 end) as available,
               sum(case when credit = 'held' then amount else 0 end
                 - case when debit = 'held' then amount else 0 end) as held
             from kie.transfer group by account_id
           ), moved as (
             select job_id, count(*) as transfers,
               count(*) filter (where kind = 'hold') as holds, count(*) filter (where kind = 'capture') as captures,
               count(*) filter (where kind = 'release') as releases,
               coalesce(sum(amount) filter (where kind = 'hold'), 0) as held,
               coalesce(sum(amount) filter (where kind = 'capture'), 0) as captured,
               coalesce(sum(amount) filter (where kind = 'release'), 0) as released,
               coalesce(sum(amount) filter (where kind = 'refund'), 0) as refunded
             from kie.transfer where job_id is not null group by job_id
           ), book as (
             select j.id, j.state, j.gift, j.price, j.held, j.captured, j.released, j.refunded,
               j.state in ('done', 'failed', 'canceled') as final, coalesce(m.transfers, 0) as transfers,
               coalesce(m.holds, 0) as holds, coalesce(m.captures, 0) as captures,
               coalesce(m.releases, 0) as releases, coalesce(m.held, 0) as t_held,
               coalesce(m.captured, 0) as t_captured, coalesce(m.released, 0) as t_released,
               coalesce(m.refunded, 0) as t_refunded
             from kie.job j left join moved m on m.job_id = j.id
           ), finding as (
             select 'I1' as invariant, 'account' as noun, a.id::text as id,
               format('available %s and held %s, but its transfers make %s and %s', a.available, a.held,
                 coalesce(f.available, 0), coalesce(f.held, 0)) as detail
             from kie.account a left join fold f on f.account_id = a.id
             where a.available <> coalesce(f.available, 0) or a.held <> coalesce(f.held, 0)
             union all
             select 'I1', 'account', id::text, format('available %s, held %s', available, held)
             from kie.account where available < 0 or held < 0
             union all
             select 'I1', 'transfer', id::text, format('moves %s from %s to %s', amount, debit, credit)
             from kie.transfer where amount <= 0 or debit = credit
             union all
             select 'I2', 'transfer', t.id::text, format('belongs to account %s, its job to %s', t.account_id, j.account_id)
             from kie.transfer t join kie.job j on j.id = t.job_id where j.account_id <> t.account_id
             union all
             select 'I2', 'job', id::text, format('%s holds, %s captures, %s releases', holds, captures, releases)
             from book where holds > 1 or captures > 1 or releases > 1
             union all
             select 'I2', 'job', id::text,
               format('held %s, captured %s, released %s, refunded %s, but its transfers make %s, %s, %s, %s',
                 held, captured, released, refunded, t_held, t_captured, t_released, t_refunded)
             from book where held <> t_held or captured <> t_captured or released <> t_released or refunded <> t_refunded
             union all
             select 'I2', 'job', id::text,
               format('%s, but captured %s and released %s of held %s', state, captured, released, held)
             from book where final and not gift and captured + released <> held
             union all
             select 'I2', 'job', id::text, format('%s, but captured %s and released %s', state, captured, released)
             from book where not final and not gift and (captured <> 0 or released <> 0)
             union all
             select 'I2', 'job', id::text, format('refunded %s of captured %s', refunded, captured)
             from book where refunded > captured
             union all
             select 'I2', 'job', id::text, format('free, but has %s transfers', transfers)
             from book where price = 0 and transfers > 0
             union all
             select 'I2', 'job', id::text, format('%s at price %s without a hold', state, price)
             from book where price > 0 and holds = 0 and state not in ('draft', 'canceled')
             union all
             select 'I2', 'job', id::text, format('draft, but has %s transfers', transfers)
             from book where state = 'draft' and transfers > 0
             union all
             select 'I2', 'job', id::text,
               format('a gift, but captured %s and released %s of held %s', captured, released, held)
             from book where gift and (captured <> 0 or released <> held)
             union all
             select 'I4', 'job', id::text, format('%s without a wake', state)
             from kie.job where wake_at is null and state not in ('done', 'failed', 'canceled')
             union all
             select 'I4', 'delivery', id::text, 'pending without a wake'
             from kie.delivery where wake_at is null and state = 'pending'
             union all
             select 'I4', 'job', j.id::text, 'done without a stored output' from kie.job j
             where j.state = 'done' and not exists (
               select from kie.asset a where a.job_id = j.id and a.role = 'output' and a.state = 'stored')
             union all
             select 'I5', 'asset', a.id::text, format('output %s of job %s is still %s', a.idx, j.id, a.state)
             from kie.job j join kie.asset a on a.job_id = j.id
             where j.state = 'done' and a.role = 'output' and a.state not in ('stored', 'lost')
             union all
             select 'I5', 'asset', a.id::text, format('belongs to account %s, its job to %s', a.account_id, j.account_id)
             from kie.asset a join kie.job j on j.id = a.job_id where j.account_id <> a.account_id
             union all
             select 'I5', 'job', j.id::text,
               format('%s, but nothing is owed to %s', j.state, r.value->>'channel')
             from kie.job j cross join lateral jsonb_array_elements(
               case when jsonb_typeof(j.recipients) = 'array' then j.recipients else '[]' end) r
             where j.state in ('done', 'failed') and jsonb_typeof(r.value->'channel') = 'string' and not exists (
               select from kie.delivery d where d.job_id = j.id and d.event = 'job.' || j.state
                 and d.channel = r.value->>'channel' and d.address = coalesce(r.value->>'url', r.value->>'chat_id'))
           )
           select invariant as "invariant!", noun as "noun!", id as "id!", detail as "detail!" from finding
           order by invariant, noun, id, detail limit 1000"#
    );
    let rows = rows.fetch_all(&mut *snapshot).await.map_err(store_error)?;
    snapshot.rollback().await.map_err(store_error)?;
    let known = |list: &[&'static str], found: &str| list.iter().find(|word| **word == found).copied();
    let findings = rows.into_iter().filter_map(|row| {
        let (invariant, noun) = (known(INVARIANTS, &row.invariant)?, known(NOUNS, &row.noun)?);
        Some(AuditFinding { invariant, noun, id: row.id, detail: row.detail })
    });
    let mut findings: Vec<AuditFinding> = findings.collect();
    for (id, error) in unreadable_jobs(store, None).await? {
        let detail = format!("nobody can work on it or show it: {error}");
        findings.push(AuditFinding { invariant: "I4", noun: "job", id: id.to_string(), detail });
    }
    findings.sort_by_key(|finding| (finding.invariant, finding.noun));
    findings.truncate(1000);
    Ok(findings)
}
