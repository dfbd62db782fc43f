-- The writes of one order in one statement: who has the token, the job, the account, the hold, the line of its history.
\set n random(1, 100000)
with owner as (
  select t.account_id, new_id() as job
  from kie.token t join kie.account a on a.id = t.account_id
  where t.hash = sha256(('kie_bench_token_of_customer_' || lpad(:n::text, 12, '0'))::bytea) and a.closed_at is null
), opened as (
  insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, prompt, recipients,
    state, price, basis, held, outputs_ordered, created_at, entered_at, updated_at, wake_at, deadline_at)
  select job, account_id, gen_random_uuid()::text, 0, sha256(uuid_send(job)), md5(job::text), 'flux-2/pro-text-to-image', 'image',
    '{"prompt":"A red fox jumps over a frozen lake at dawn, cinematic, 35 mm, volumetric light","aspect_ratio":"16:9","resolution":"1K"}',
    'A red fox jumps over a frozen lake at dawn, cinematic, 35 mm, volumetric light', '[]', 'pending', 390,
    '{"basis": "cost", "credits": "5", "exact": true, "usd_rate": "78", "markup": "2", "catalogue": "000000000000"}', 390, 1, now(), now(), now(), now(), now() + interval '6 h'
  from owner
  on conflict (account_id, idem_key, idem_index) do nothing
  returning id, account_id, price
), payer as (
  update kie.account a set available = a.available - opened.price, held = a.held + opened.price
  from opened where a.id = opened.account_id
  returning opened.id, opened.account_id, opened.price
), moved as (
  insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, at)
  select new_id(), account_id, id, 'hold', 'hold:' || id, 'available', 'held', price, now() from payer
)
insert into kie.timeline (job_id, at, last_at, source, event)
select id, now(), now(), 'order', 'job.created' from opened returning job_id;
