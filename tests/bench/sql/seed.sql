-- One hundred thousand customers, each with a token and with money that a top-up accounts for, so that the audit holds.
-- An account's number is the end of its id and of its token.
insert into kie.account (id, external_id, available, webhook_key, created_at)
select ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench-' || n, 1000000000, sha256(n::text::bytea), now()
from generate_series(1, 100000) n;

insert into kie.token (id, account_id, role, hash, created_at)
select ('01920001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  'customer', sha256(('kie_bench_token_of_customer_' || lpad(n::text, 12, '0'))::bytea), now()
from generate_series(1, 100000) n;

insert into kie.transfer (id, account_id, kind, key, debit, credit, amount, at)
select ('01920002-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  'topup', 'bench-' || n, 'payments', 'available', 1000000000, now()
from generate_series(1, 100000) n;

-- Some history: on empty tables both sides would keep the plans of an empty database.
insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, prompt, recipients,
  state, price, basis, outputs_ordered, created_at, entered_at, updated_at)
select ('01920003-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ('01920000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  'history', 0, sha256(n::text::bytea), md5(n::text), 'z-image', 'image', '{"prompt": "A red fox jumps over a frozen lake"}',
  'A red fox jumps over a frozen lake', '[]', 'canceled', 0, '{"basis": "free"}', 1, now(), now(), now()
from generate_series(1, 100000) n;

insert into kie.timeline (job_id, at, last_at, source, event)
select id, now(), now(), 'order', 'job.created' from kie.job;

-- The reference's ids sort by time, as the shop's do: random ones would cost it pages.
create function new_id() returns uuid language sql volatile as $$
  select encode(substring(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint) from 3)
    || substring(uuid_send(gen_random_uuid()) from 7), 'hex')::uuid
$$;

-- The writes of one order as a function; the other form of the reference is order-statement.sql.
create function place_order(token bytea) returns uuid language plpgsql as $$
declare
  owner uuid;
  job uuid := new_id();
  price constant bigint := 390;
begin
  select t.account_id into owner from kie.token t join kie.account a on a.id = t.account_id
    where t.hash = token and a.closed_at is null;
  insert into kie.job (id, account_id, idem_key, idem_index, fingerprint, request_id, model, kind, input, prompt, recipients,
      state, price, basis, held, outputs_ordered, created_at, entered_at, updated_at, wake_at, deadline_at)
    values (job, owner, gen_random_uuid()::text, 0, sha256(uuid_send(job)), md5(job::text), 'flux-2/pro-text-to-image', 'image',
      '{"prompt":"A red fox jumps over a frozen lake at dawn, cinematic, 35 mm, volumetric light","aspect_ratio":"16:9","resolution":"1K"}',
      'A red fox jumps over a frozen lake at dawn, cinematic, 35 mm, volumetric light', '[]', 'pending', price,
      '{"basis": "cost", "credits": "5", "exact": true, "usd_rate": "78", "markup": "2", "catalogue": "000000000000"}', price, 1, now(), now(), now(), now(), now() + interval '6 h')
    on conflict (account_id, idem_key, idem_index) do nothing;
  if not found then return null; end if;
  update kie.account set available = available - price, held = held + price where id = owner;
  insert into kie.transfer (id, account_id, job_id, kind, key, debit, credit, amount, at)
    values (new_id(), owner, job, 'hold', 'hold:' || job, 'available', 'held', price, now());
  insert into kie.timeline (job_id, at, last_at, source, event) values (job, now(), now(), 'order', 'job.created');
  return job;
end
$$;
