-- The whole first schema. Times are microseconds since 1970 UTC, ids are 16-byte blobs, booleans are 0 and 1.

create table shop (
  one        integer primary key default 1 check (one = 1),
  currency   text not null,
  opened_at  integer not null
) strict;

create table process (
  name         text primary key,
  seen_at      integer not null,
  skew_micros  integer
) strict;

create table account (
  id           blob primary key,
  external_id  text unique,
  name         text,
  telegram_id  integer unique,
  available    integer not null default 0,
  held         integer not null default 0,
  webhook_key  blob not null check (length(webhook_key) = 32),
  demo         integer not null default 0,
  created_at   integer not null,
  closed_at    integer,
  constraint account_available_check check (available >= 0),
  constraint account_held_check check (held >= 0)
) strict;
create index account_closed on account (closed_at) where closed_at is not null;

create table token (
  id          blob primary key,
  account_id  blob not null references account (id) on delete restrict,
  role        text not null check (role in ('customer', 'payments', 'operator')),
  hash        blob not null unique check (length(hash) = 32),
  created_at  integer not null
) strict;
create index token_account on token (account_id);

create table job (
  id               blob primary key,
  account_id       blob not null references account (id) on delete restrict,
  idem_key         text not null,
  idem_index       integer not null check (idem_index between 0 and 15),
  fingerprint      blob not null check (length(fingerprint) = 32),
  batch_id         blob,
  request_id       text not null,
  provider         text not null default 'kie',
  model            text not null,
  kind             text not null check (kind in ('image', 'video', 'audio', 'text')),
  input            text not null,
  prompt           text,
  recipients       text not null,
  state            text not null check (state in
                     ('draft', 'pending', 'submitting', 'unclear', 'running', 'storing', 'done', 'failed', 'canceled')),
  gift             integer not null default 0,
  late             integer not null default 0,
  cause            text check (cause in ('invalid_input', 'moderation', 'model_unavailable', 'provider_error',
                     'provider_balance', 'no_result', 'expired', 'unclear', 'operator')),
  failure          text,
  price            integer not null check (price >= 0),
  basis            text not null,
  held             integer not null default 0,
  captured         integer not null default 0,
  released         integer not null default 0,
  refunded         integer not null default 0,
  outputs_ordered  integer not null check (outputs_ordered between 1 and 32),
  attempts         integer not null default 0,
  cost             integer check (cost >= 0),
  recorded_at      integer,
  task_id          text,
  created_at       integer not null,
  entered_at       integer not null,
  updated_at       integer not null,
  version          integer not null default 1,
  wake_at          integer,
  wake_seq         integer not null default 0,
  lease_until      integer,
  fence            integer not null default 0,
  deadline_at      integer,
  tries            integer not null default 0,
  hints            integer not null default 0,
  asked_at         integer,
  favourite        integer not null default 0,
  hidden_at        integer,
  purged           integer not null default 0,
  constraint job_order_key unique (account_id, idem_key, idem_index),
  constraint job_wake_check check (wake_at is not null or state in ('done', 'failed', 'canceled')),
  constraint job_failed_check check (state <> 'failed' or cause is not null),
  constraint job_money_check check (held >= 0 and captured >= 0 and released >= 0 and refunded >= 0
                     and captured + released <= held and refunded <= captured)
) strict;
-- Awake rows only, so that a scan costs the same however long the history is.
create index job_due on job (wake_at) where wake_at is not null and state <> 'pending';
create index job_due_pending on job (wake_at) where state = 'pending';
create index job_open on job (account_id) where state in ('pending', 'submitting', 'unclear', 'running', 'storing');
create index job_library on job (account_id, id desc);
create index job_changed on job (account_id, updated_at);
create index job_updated on job (updated_at);
create index job_batch on job (batch_id) where batch_id is not null;
-- Hidden ones whose files have not been looked through since one was stored.
create index job_hidden on job (hidden_at) where hidden_at is not null and purged = 0;

create table attempt (
  job_id    blob not null references job (id) on delete restrict,
  number    integer not null check (number >= 1),
  provider  text not null default 'kie',
  sent_at   integer not null,
  task_id   text,
  task_at   integer,
  answer    text,
  primary key (job_id, number),
  constraint attempt_task_key unique (provider, task_id),
  constraint attempt_task_check check ((task_id is null) = (task_at is null))
) strict;

create table transfer (
  id          blob primary key,
  account_id  blob not null references account (id) on delete restrict,
  job_id      blob references job (id) on delete restrict,
  kind        text not null check (kind in ('topup', 'hold', 'capture', 'release', 'refund', 'reversal', 'adjust')),
  key         text not null,
  debit       text not null check (debit in ('available', 'held', 'payments', 'revenue', 'losses', 'adjustments')),
  credit      text not null check (credit in ('available', 'held', 'payments', 'revenue', 'losses', 'adjustments')),
  amount      integer not null check (amount > 0),
  reason      text,
  at          integer not null,
  constraint transfer_key_key unique (key),
  check (debit <> credit)
) strict;
-- One hold, one capture, one release per job, whatever the key says.
create unique index transfer_job_kind on transfer (job_id, kind) where kind in ('hold', 'capture', 'release');
create index transfer_job on transfer (job_id) where job_id is not null;
create index transfer_account on transfer (account_id, id desc);

create table free_use (
  account_id  blob not null references account (id) on delete restrict,
  day         text not null,
  used        integer not null,
  allowed     integer not null,
  primary key (account_id, day),
  constraint free_use_check check (used <= allowed)
) strict;

create table asset (
  id                   blob primary key,
  account_id           blob not null references account (id) on delete restrict,
  job_id               blob references job (id) on delete restrict,
  idx                  integer not null check (idx >= 0),
  role                 text not null check (role in ('output', 'extra', 'upload')),
  kind                 text not null check (kind in ('image', 'video', 'audio', 'text')),
  state                text not null check (state in ('pending', 'stored', 'lost')),
  source_url           text,
  object               text not null unique,
  content_type         text,
  bytes                integer,
  sha256               blob,
  width                integer,
  height               integer,
  duration_ms          integer,
  thumbnail            text,
  tries                integer not null default 0,
  first_try_at         integer,
  last_error           text,
  blocked              integer not null default 0,
  provider_copy        text,
  provider_copy_until  integer,
  created_at           integer not null,
  deleted_at           integer,
  doomed               integer not null default 0,
  constraint asset_place_key unique (job_id, role, idx),
  constraint asset_stored_check check (state <> 'stored'
                         or (content_type is not null and bytes is not null and length(sha256) = 32)),
  constraint asset_job_check check ((role = 'upload') = (job_id is null))
) strict;
create index asset_account on asset (account_id, id);
create index asset_blocked on asset (job_id) where blocked;
create index asset_awaited on asset (created_at) where role = 'upload' and state = 'pending' and deleted_at is null;
create index asset_upload on asset (account_id) where role = 'upload' and deleted_at is null;
-- Marked as deleted, but the bytes are still to go.
create index asset_doomed on asset (id) where doomed = 1;

create table delivery (
  id            blob primary key,
  job_id        blob not null references job (id) on delete restrict,
  account_id    blob not null references account (id) on delete restrict,
  channel       text not null check (channel in ('webhook', 'telegram')),
  address       text not null,
  event         text not null check (event in ('job.done', 'job.failed')),
  state         text not null check (state in ('pending', 'done', 'dead')),
  attempts      integer not null default 0,
  wake_at       integer,
  lease_until   integer,
  fence         integer not null default 0,
  delivered_at  integer,
  last_error    text,
  created_at    integer not null,
  constraint delivery_duty_key unique (job_id, channel, address, event),
  constraint delivery_wake_check check ((state = 'pending') = (wake_at is not null))
) strict;
create index delivery_due on delivery (wake_at, channel) where wake_at is not null;
create index delivery_dead on delivery (id desc) where state = 'dead';

create table timeline (
  seq      integer primary key autoincrement,
  job_id   blob not null references job (id) on delete restrict,
  at       integer not null,
  last_at  integer not null,
  times    integer not null default 1,
  source   text not null,
  event    text not null,
  detail   text,
  fold     text
) strict;
create index timeline_job on timeline (job_id);
create unique index timeline_fold on timeline (job_id, fold) where fold is not null;

create table callback (
  job_id     blob not null references job (id) on delete restrict,
  body_hash  blob not null check (length(body_hash) = 32),
  attempt    integer not null,
  body       blob not null,
  task_id    text,
  at         integer not null,
  primary key (job_id, body_hash)
) strict;
create index callback_at on callback (at);

create table orphan (
  source   text not null,
  task_id  text not null,
  at       integer not null,
  last_at  integer not null,
  times    integer not null default 1,
  job_id   blob,
  primary key (source, task_id)
) strict;
create index orphan_last_at on orphan (last_at);

create table create_slot (
  number      integer primary key,
  free_at     integer not null,
  account_id  blob
) strict;

create table breaker (
  provider       text primary key,
  open_since     integer not null,
  next_trial_at  integer not null,
  reason         text not null
) strict;

create table model_health (
  model      text primary key,
  refusals   integer not null,
  off_since  integer
) strict;

create table act (
  seq      integer primary key autoincrement,
  at       integer not null,
  command  text not null,
  subject  text not null,
  reason   text not null
) strict;

create table credit_reading (
  number     integer primary key check (number >= 1),
  at         integer not null,
  balance    integer not null check (balance >= 0),
  drift      integer,
  tolerance  integer not null check (tolerance >= 0),
  in_flight  integer not null check (in_flight >= 0)
) strict;

-- What was taken over from an old shop, by the key of its row there.
create table imported (
  shop         text not null,
  noun         text not null check (noun in ('user', 'generation')),
  key          text not null,
  account_id   blob not null references account (id) on delete restrict,
  job_id       blob references job (id) on delete restrict,
  fingerprint  blob not null check (length(fingerprint) = 32),
  amount       integer not null,
  version      integer not null default 1,
  at           integer not null,
  primary key (shop, noun, key),
  constraint imported_job_check check ((noun = 'generation') = (job_id is not null))
) strict;
create index imported_account on imported (account_id);
-- An account is one person of one old shop: another shop's ids, or another name for the same shop, must not add to it.
create unique index imported_user on imported (account_id) where noun = 'user';
