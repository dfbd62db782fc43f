-- The whole first schema. Our objects live in `kie`; the search path of our connections does not matter.
create schema if not exists kie;

create table kie.shop (
  one        boolean primary key default true check (one),
  currency   text not null,
  opened_at  timestamptz not null
);

create table kie.process (
  name         text primary key,
  seen_at      timestamptz not null,
  skew_micros  bigint
);

create table kie.account (
  id           uuid primary key,
  external_id  text unique,
  name         text,
  telegram_id  bigint unique,
  available    bigint not null default 0,
  held         bigint not null default 0,
  webhook_key  bytea not null check (length(webhook_key) = 32),
  demo         boolean not null default false,
  created_at   timestamptz not null,
  closed_at    timestamptz,
  constraint account_available_check check (available >= 0),
  constraint account_held_check check (held >= 0)
) with (fillfactor = 60);
create index account_closed on kie.account (closed_at) where closed_at is not null;

create table kie.token (
  id          uuid primary key,
  account_id  uuid not null references kie.account on delete restrict,
  role        text not null check (role in ('customer', 'payments', 'operator')),
  hash        bytea not null unique check (length(hash) = 32),
  created_at  timestamptz not null
);
create index token_account on kie.token (account_id);

create table kie.job (
  id               uuid primary key,
  account_id       uuid not null references kie.account on delete restrict,
  idem_key         text not null,
  idem_index       smallint not null check (idem_index between 0 and 15),
  fingerprint      bytea not null check (length(fingerprint) = 32),
  batch_id         uuid,
  request_id       text not null,
  provider         text not null default 'kie',
  model            text not null,
  kind             text not null check (kind in ('image', 'video', 'audio', 'text')),
  input            jsonb not null,
  prompt           text,
  recipients       jsonb not null,
  state            text not null check (state in
                     ('draft', 'pending', 'submitting', 'unclear', 'running', 'storing', 'done', 'failed', 'canceled')),
  gift             boolean not null default false,
  late             boolean not null default false,
  cause            text check (cause in ('invalid_input', 'moderation', 'model_unavailable', 'provider_error',
                     'provider_balance', 'no_result', 'expired', 'unclear', 'operator')),
  failure          text,
  price            bigint not null check (price >= 0),
  basis            jsonb not null,
  held             bigint not null default 0,
  captured         bigint not null default 0,
  released         bigint not null default 0,
  refunded         bigint not null default 0,
  outputs_ordered  smallint not null check (outputs_ordered between 1 and 32),
  attempts         smallint not null default 0,
  cost             bigint check (cost >= 0),
  recorded_at      timestamptz,
  task_id          text,
  created_at       timestamptz not null,
  entered_at       timestamptz not null,
  updated_at       timestamptz not null,
  version          bigint not null default 1,
  wake_at          timestamptz,
  wake_seq         bigint not null default 0,
  lease_until      timestamptz,
  fence            bigint not null default 0,
  deadline_at      timestamptz,
  tries            integer not null default 0,
  hints            smallint not null default 0,
  asked_at         timestamptz,
  favourite        boolean not null default false,
  hidden_at        timestamptz,
  purged           boolean not null default false,
  constraint job_order_key unique (account_id, idem_key, idem_index),
  constraint job_wake_check check (wake_at is not null or state in ('done', 'failed', 'canceled')),
  constraint job_failed_check check (state <> 'failed' or cause is not null),
  constraint job_money_check check (held >= 0 and captured >= 0 and released >= 0 and refunded >= 0
                     and captured + released <= held and refunded <= captured)
) with (fillfactor = 80);
-- Awake rows only, so that a scan costs the same however long the history is.
create index job_due on kie.job (wake_at) where wake_at is not null and state <> 'pending';
create index job_due_pending on kie.job (wake_at) where state = 'pending';
create index job_open on kie.job (account_id) where state in ('pending', 'submitting', 'unclear', 'running', 'storing');
create index job_library on kie.job (account_id, id desc);
create index job_changed on kie.job (account_id, updated_at);
create index job_updated on kie.job (updated_at);
create index job_batch on kie.job (batch_id) where batch_id is not null;
-- Hidden ones whose files have not been looked through since one was stored.
create index job_hidden on kie.job (hidden_at) where hidden_at is not null and not purged;

-- Counts in the middle of an order, once its account is locked: each of its queries sees what is committed by then, which
-- the statement's own snapshot does not. So parallel orders keep the limit.
create function kie.open_jobs(account uuid) returns bigint language plpgsql volatile set search_path = '' as $$
begin
  return (select count(*) from kie.job where account_id = account
    and state in ('pending', 'submitting', 'unclear', 'running', 'storing'));
end
$$;

-- Looks in the same way, once a job is locked, whether its owner was erased while the step waited for that lock.
create function kie.is_closed(owner uuid) returns boolean language plpgsql volatile set search_path = '' as $$
begin
  return exists (select from kie.account where id = owner and closed_at is not null);
end
$$;

create table kie.attempt (
  job_id    uuid not null references kie.job on delete restrict,
  number    smallint not null check (number >= 1),
  provider  text not null default 'kie',
  sent_at   timestamptz not null,
  task_id   text,
  task_at   timestamptz,
  answer    text,
  primary key (job_id, number),
  constraint attempt_task_key unique (provider, task_id),
  constraint attempt_task_check check ((task_id is null) = (task_at is null))
);

create table kie.transfer (
  id          uuid primary key,
  seq         bigint generated always as identity,
  account_id  uuid not null references kie.account on delete restrict,
  job_id      uuid references kie.job on delete restrict,
  kind        text not null check (kind in ('topup', 'hold', 'capture', 'release', 'refund', 'reversal', 'adjust')),
  key         text not null,
  debit       text not null check (debit in ('available', 'held', 'payments', 'revenue', 'losses', 'adjustments')),
  credit      text not null check (credit in ('available', 'held', 'payments', 'revenue', 'losses', 'adjustments')),
  amount      bigint not null check (amount > 0),
  reason      text,
  at          timestamptz not null,
  constraint transfer_key_key unique (key),
  check (debit <> credit)
);
-- One hold, one capture, one release per job, whatever the key says.
create unique index transfer_job_kind on kie.transfer (job_id, kind) where kind in ('hold', 'capture', 'release');
create index transfer_job on kie.transfer (job_id) where job_id is not null;
create index transfer_account on kie.transfer (account_id, id desc);

create table kie.free_use (
  account_id  uuid not null references kie.account on delete restrict,
  day         date not null,
  used        integer not null,
  allowed     integer not null,
  primary key (account_id, day),
  constraint free_use_check check (used <= allowed)
);

create table kie.asset (
  id                   uuid primary key,
  account_id           uuid not null references kie.account on delete restrict,
  job_id               uuid references kie.job on delete restrict,
  idx                  smallint not null check (idx >= 0),
  role                 text not null check (role in ('output', 'extra', 'upload')),
  kind                 text not null check (kind in ('image', 'video', 'audio', 'text')),
  state                text not null check (state in ('pending', 'stored', 'lost')),
  source_url           text,
  object               text not null unique,
  content_type         text,
  bytes                bigint,
  sha256               bytea,
  width                integer,
  height               integer,
  duration_ms          bigint,
  thumbnail            text,
  tries                integer not null default 0,
  first_try_at         timestamptz,
  last_error           text,
  blocked              boolean not null default false,
  provider_copy        text,
  provider_copy_until  timestamptz,
  created_at           timestamptz not null,
  deleted_at           timestamptz,
  doomed               boolean not null default false,
  constraint asset_place_key unique (job_id, role, idx),
  constraint asset_stored_check check (state <> 'stored'
                         or (content_type is not null and bytes is not null and length(sha256) = 32)),
  constraint asset_job_check check ((role = 'upload') = (job_id is null))
);
create index asset_account on kie.asset (account_id, id);
create index asset_blocked on kie.asset (job_id) where blocked;
create index asset_awaited on kie.asset (created_at) where role = 'upload' and state = 'pending' and deleted_at is null;
create index asset_upload on kie.asset (account_id) where role = 'upload' and deleted_at is null;
-- Marked as deleted, but the bytes are still to go.
create index asset_doomed on kie.asset (id) where doomed;

create table kie.delivery (
  id            uuid primary key,
  job_id        uuid not null references kie.job on delete restrict,
  account_id    uuid not null references kie.account on delete restrict,
  channel       text not null check (channel in ('webhook', 'telegram')),
  address       text not null,
  event         text not null check (event in ('job.done', 'job.failed')),
  state         text not null check (state in ('pending', 'done', 'dead')),
  attempts      integer not null default 0,
  wake_at       timestamptz,
  lease_until   timestamptz,
  fence         bigint not null default 0,
  delivered_at  timestamptz,
  last_error    text,
  created_at    timestamptz not null,
  constraint delivery_duty_key unique (job_id, channel, address, event),
  constraint delivery_wake_check check ((state = 'pending') = (wake_at is not null))
);
create index delivery_due on kie.delivery (wake_at, channel) where wake_at is not null;
create index delivery_dead on kie.delivery (id desc) where state = 'dead';

create table kie.timeline (
  seq      bigint generated always as identity primary key,
  job_id   uuid not null references kie.job on delete restrict,
  at       timestamptz not null,
  last_at  timestamptz not null,
  times    integer not null default 1,
  source   text not null,
  event    text not null,
  detail   text,
  fold     text
);
create index timeline_job on kie.timeline (job_id);
create unique index timeline_fold on kie.timeline (job_id, fold) where fold is not null;

create table kie.callback (
  job_id     uuid not null references kie.job on delete restrict,
  body_hash  bytea not null check (length(body_hash) = 32),
  attempt    smallint not null,
  body       bytea not null,
  task_id    text,
  at         timestamptz not null,
  primary key (job_id, body_hash)
);
create index callback_at on kie.callback (at);

create table kie.orphan (
  source   text not null,
  task_id  text not null,
  at       timestamptz not null,
  last_at  timestamptz not null,
  times    integer not null default 1,
  job_id   uuid,
  primary key (source, task_id)
);
create index orphan_last_at on kie.orphan (last_at);

create table kie.create_slot (
  number      integer primary key,
  free_at     timestamptz not null,
  account_id  uuid
);

create table kie.breaker (
  provider       text primary key,
  open_since     timestamptz not null,
  next_trial_at  timestamptz not null,
  reason         text not null
);

create table kie.model_health (
  model      text primary key,
  refusals   integer not null,
  off_since  timestamptz
);

create table kie.act (
  seq      bigint generated always as identity primary key,
  at       timestamptz not null,
  command  text not null,
  subject  text not null,
  reason   text not null
);

create table kie.credit_reading (
  number     integer primary key check (number >= 1),
  at         timestamptz not null,
  balance    bigint not null check (balance >= 0),
  drift      bigint,
  tolerance  bigint not null check (tolerance >= 0),
  in_flight  integer not null check (in_flight >= 0)
);

-- What was taken over from an old shop, by the key of its row there.
create table kie.imported (
  shop         text not null,
  noun         text not null check (noun in ('user', 'generation')),
  key          text not null,
  account_id   uuid not null references kie.account on delete restrict,
  job_id       uuid references kie.job on delete restrict,
  fingerprint  bytea not null check (length(fingerprint) = 32),
  amount       bigint not null,
  version      bigint not null default 1,
  at           timestamptz not null,
  primary key (shop, noun, key),
  constraint imported_job_check check ((noun = 'generation') = (job_id is not null))
);
create index imported_account on kie.imported (account_id);
-- An account is one person of one old shop: another shop's ids, or another name for the same shop, must not add to it.
create unique index imported_user on kie.imported (account_id) where noun = 'user';

-- A managed PostgreSQL may expose tables to its public roles over HTTP: without policies they read nothing.
alter table kie.shop enable row level security;
alter table kie.process enable row level security;
alter table kie.account enable row level security;
alter table kie.token enable row level security;
alter table kie.job enable row level security;
alter table kie.attempt enable row level security;
alter table kie.transfer enable row level security;
alter table kie.free_use enable row level security;
alter table kie.asset enable row level security;
alter table kie.delivery enable row level security;
alter table kie.timeline enable row level security;
alter table kie.callback enable row level security;
alter table kie.orphan enable row level security;
alter table kie.create_slot enable row level security;
alter table kie.breaker enable row level security;
alter table kie.model_health enable row level security;
alter table kie.act enable row level security;
alter table kie.credit_reading enable row level security;
alter table kie.imported enable row level security;
-- The list of applied migrations; the program makes it before this file runs.
alter table if exists kie.migration enable row level security;
