//! Reports: what an operator sees of a small known history.

use std::time::Duration;

use domain::{Book, Channel, DeliveryState, JobId, JobState, MediaKind, Recipient, TransferKind};

use super::Fixture;
use super::moves::{LEASE_SECONDS, PACE_SECONDS};
use crate::{
    Blocked, DeliveryResult, NewEntry, NewJob, NewTransfer, Overview, Percentiles, StuckLimits, UNKNOWN_WORD,
};

/// Counts of states: live ones as they are, final ones only if they ended in the window.
pub async fn states_are_counted_in_the_window(fx: Fixture) {
    let account = fx.account(1_000).await;
    let old = fx.pending(account, 100).await;
    fx.applied(&fx.cancel(&old)).await;
    let waiting = fx.open(&fx.order(account, vec![fx.new_draft(account, 10)])).await.remove(0);
    fx.advance(100);
    let since = fx.now();
    let canceled = fx.pending(account, 100).await;
    fx.applied(&fx.cancel(&canceled)).await;
    let done = fx.pending(account, 100).await;
    fx.done(done.id, 100).await;
    let failed = fx.pending(account, 100).await;
    fx.failed(failed.id).await;
    fx.open(&fx.order_of(account, 2, 100)).await;
    let overview = fx.store.overview(since, fx.now()).await.unwrap();
    let wanted = [
        (JobState::Draft, 1),
        (JobState::Pending, 2),
        (JobState::Running, 0),
        (JobState::Done, 1),
        (JobState::Failed, 1),
        (JobState::Canceled, 1),
    ];
    for (state, count) in wanted {
        assert_eq!(count_of(&overview, state), count, "{state}");
    }
    assert_eq!(waiting.state, JobState::Draft);
}

/// How long a model takes, and how much of its work was kept.
pub async fn models_and_outputs_are_summed_up(fx: Fixture) {
    let account = fx.account(1_000).await;
    let since = fx.now();
    let jobs = fx.open(&fx.order_of(account, 3, 100)).await;
    let other = NewJob { model: "maker/other".to_owned(), ..fx.new_job(account, 100) };
    let other = fx.open(&fx.order(account, vec![other])).await.remove(0);
    for job in &jobs {
        fx.advance(40);
        fx.done(job.id, 100).await;
    }
    fx.advance(40);
    fx.failed(other.id).await;
    let overview = fx.store.overview(since, fx.after(1)).await.unwrap();
    let models: Vec<_> =
        overview.models.iter().map(|model| (model.model.as_str(), model.jobs, model.done)).collect();
    assert_eq!(models, [("maker/image-1", 3, 3), ("maker/other", 1, 0)]);
    let times = &overview.models[0];
    let stored = times.stored.unwrap();
    assert!((stored.p50_s - 80.0).abs() < 0.01, "{times:?}");
    assert!(stored.p95_s > 80.0 && stored.p95_s <= 120.01, "{times:?}");
    assert!(times.delivered.is_none(), "nobody was to be told: {times:?}");
    assert!(overview.models[1].stored.is_none(), "none of the others is done: {overview:?}");
    let images = overview.outputs.iter().find(|outputs| outputs.kind == MediaKind::Image).unwrap();
    assert_eq!((images.expected, images.stored, images.bytes), (3, 3, 3 * 1234));
}

/// Deliveries by state: pending and dead now, done in the window.
pub async fn deliveries_are_counted_by_state(fx: Fixture) {
    let account = fx.account(1_000).await;
    let since = fx.now();
    let mut order = fx.order_of(account, 1, 100);
    let address = |number| Recipient::Webhook { url: format!("https://shop.example/{number}") };
    order.jobs[0].recipients = (0..4).map(address).collect();
    let job = fx.open(&order).await.remove(0);
    let claimed = fx.claim_this(job.id).await;
    fx.applied(&fx.fail(&claimed)).await;
    let owed = fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.unwrap();
    let dead = DeliveryResult::Dead { error: "410".to_owned() };
    for (delivery, result) in owed.iter().zip([&DeliveryResult::Delivered, &dead, &dead]) {
        assert!(fx.store.record_delivery(delivery, result, fx.now()).await.unwrap());
    }
    let overview = fx.store.overview(since, fx.after(1)).await.unwrap();
    let count =
        |state| overview.deliveries.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count);
    let counts = [DeliveryState::Pending, DeliveryState::Done, DeliveryState::Dead].map(count);
    assert_eq!(counts, [1, 1, 2]);
}

/// From its order a job is timed to its task, to its storage and to its owner.
pub async fn the_way_of_a_job_is_timed(fx: Fixture) {
    let account = fx.account(1_000).await;
    let since = fx.now();
    let mut order = fx.order_of(account, 1, 100);
    order.jobs[0].recipients = vec![Recipient::Webhook { url: "https://shop.example/hook".to_owned() }];
    let job = fx.open(&order).await.remove(0);
    fx.advance(5);
    let job = fx.running(job.id, &fx.word("task")).await;
    fx.advance(20);
    fx.storing(job.id, 1).await;
    fx.advance(3);
    fx.stored(job.id, 100).await;
    fx.advance(2);
    let owed = fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.unwrap();
    assert!(fx.store.record_delivery(&owed[0], &DeliveryResult::Delivered, fx.now()).await.unwrap());
    let overview = fx.store.overview(since, fx.after(1)).await.unwrap();
    let after = |seconds| Some(Percentiles { p50_s: seconds, p95_s: seconds });
    let times = &overview.models[0];
    assert_eq!([times.task, times.stored, times.delivered], [after(5.0), after(28.0), after(30.0)]);
}

/// A running job counts for the word that its last reading told, if nobody knows it.
pub async fn unknown_words_of_running_jobs_are_counted(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut jobs = Vec::new();
    for number in 0..4 {
        let job = fx.pending(account, 10).await;
        jobs.push(fx.running(job.id, &format!("task-{number}")).await.id);
    }
    let told = async |job: usize, event: &'static str, word: &str| {
        fx.advance(1);
        let (detail, fold) = (Some(word.to_owned()), Some(format!("{event}:{word}")));
        let entry = NewEntry { source: "provider", event, detail, fold };
        fx.store.note(jobs[job], &[entry], fx.now()).await.unwrap();
    };
    let words = async || fx.store.overview(fx.now(), fx.now()).await.unwrap().unknown_words;
    let counted = |words: &[(&str, u64)]| {
        words.iter().map(|(word, jobs)| ((*word).to_owned(), *jobs)).collect::<Vec<_>>()
    };
    told(0, "record.read", "waiting").await;
    assert_eq!(words().await, []);
    for job in [0, 1, 2] {
        told(job, UNKNOWN_WORD, "paused").await;
    }
    told(2, UNKNOWN_WORD, "expired").await;
    told(3, UNKNOWN_WORD, "expired").await;
    told(3, "record.failed", "no answer").await;
    assert_eq!(words().await, counted(&[("expired", 2), ("paused", 2)]), "a failed reading told no word");
    told(1, "record.read", "generating").await;
    told(0, "record.empty", "success without results").await;
    assert_eq!(words().await, counted(&[("expired", 2)]), "the newest counts");
    // Both lines are there already, and only counted again.
    told(0, UNKNOWN_WORD, "paused").await;
    told(2, UNKNOWN_WORD, "paused").await;
    assert_eq!(words().await, counted(&[("paused", 2), ("expired", 1)]));
    fx.wake_now(jobs[3]).await;
    let claimed = fx.claim_this(jobs[3]).await;
    fx.applied(&fx.fail(&claimed)).await;
    assert_eq!(words().await, counted(&[("paused", 2)]), "it is over");
}

/// Results that were given up for their address are counted in the window, with the job of the newest.
pub async fn results_at_blocked_addresses_are_counted(fx: Fixture) {
    let account = fx.account(1_000).await;
    let since = fx.now();
    let lose = async |blocked: [bool; 2]| {
        fx.advance(1);
        let job = fx.pending(account, 10).await;
        fx.running(job.id, &fx.word("task")).await;
        fx.storing(job.id, 2).await;
        fx.wake_now(job.id).await;
        let claimed = fx.claim_this(job.id).await;
        for (asset, blocked) in fx.store.assets_of(&[job.id]).await.unwrap().iter().zip(blocked) {
            let lost = fx.store.asset_lost(asset.id, claimed.fence, "gone", blocked, fx.now()).await;
            assert!(lost.unwrap());
        }
        fx.applied(&fx.fail(&claimed)).await.id
    };
    let blocked = async |since| fx.store.overview(since, fx.now()).await.unwrap().blocked;
    lose([false, false]).await;
    assert_eq!(blocked(since).await, None, "they were lost in another way");
    lose([true, true]).await;
    let newest = lose([false, true]).await;
    assert_eq!(blocked(since).await, Some(Blocked { results: 3, job: newest }));
    let hidden = crate::Flags { hidden: Some(true), ..crate::Flags::default() };
    fx.advance(1);
    assert!(fx.store.flag_job(newest, account, hidden, fx.now()).await.unwrap());
    assert_eq!(blocked(fx.now()).await, None, "what its owner does with it later is no news");
}

/// The transfers of many jobs come together, newest first.
pub async fn transfers_of_many_jobs_come_together(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        fx.advance(1);
        jobs.push(fx.pending(account, 10).await.id);
    }
    fx.advance(1);
    fx.done(jobs[0], 10).await;
    let transfers = fx.store.transfers_of(&jobs[..2]).await.unwrap();
    let told: Vec<_> = transfers.iter().map(|one| (one.job, one.kind)).collect();
    let (first, second) = (Some(jobs[0]), Some(jobs[1]));
    let (hold, capture) = (TransferKind::Hold, TransferKind::Capture);
    assert_eq!(told, [(first, capture), (second, hold), (first, hold)]);
    assert_eq!(fx.store.transfers_of(&[]).await.unwrap(), []);
}

/// The oldest due row is one that nobody has and that waits for no slot.
pub async fn the_oldest_due_row_is_shown(fx: Fixture) {
    let account = fx.account(1_000).await;
    let since = fx.now();
    let job = fx.pending(account, 100).await;
    fx.running(job.id, "task").await;
    let due = fx.after(PACE_SECONDS);
    fx.pending(account, 100).await;
    let oldest = async || fx.store.overview(since, fx.now()).await.unwrap().oldest_due;
    assert_eq!(oldest().await, None, "it is not due yet, and pending rows wait for slots");
    fx.advance(90);
    assert_eq!(oldest().await, Some(due));
    fx.claim_up_to(10).await;
    assert_eq!(oldest().await, None, "a worker has it");
    fx.advance(LEASE_SECONDS.unsigned_abs() + 1);
    assert_eq!(oldest().await, Some(due), "its worker is gone");
}

/// What is due is shown and left alone: no lease, no fence; what somebody has is not due.
pub async fn what_is_due_is_shown_and_not_claimed(fx: Fixture) {
    let account = fx.account(1_000).await;
    let failed = fx.pending(account, 10).await;
    fx.failed(failed.id).await;
    let running = fx.pending(account, 10).await;
    fx.running(running.id, "task").await;
    fx.advance(PACE_SECONDS.unsigned_abs() + 1);
    let pending = fx.pending(account, 10).await;
    let due = async || {
        let due = fx.store.due(fx.now(), 10).await.unwrap();
        let mut jobs: Vec<_> = due.jobs.into_iter().map(|job| job.id).collect();
        jobs.retain(|job| [running.id, pending.id].contains(job));
        (jobs, due.deliveries.len())
    };
    let owed = due().await.1;
    assert_eq!(due().await.0, [running.id, pending.id]);
    assert_eq!(fx.store.due(fx.now(), 1).await.unwrap().jobs.len(), 1);
    assert_eq!(fx.job(pending.id).await, pending, "it was only looked at");
    fx.claim_up_to(10).await;
    assert_eq!(due().await, (Vec::new(), owed));
    fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.unwrap();
    assert_eq!(due().await, (Vec::new(), 0));
}

/// Jobs older than their kind's limit are stuck, oldest first; drafts and final jobs never are.
pub async fn stuck_jobs_are_shown_by_kind(fx: Fixture) {
    let account = fx.account(1_000).await;
    let of_kind = |kind| NewJob { kind, ..fx.new_job(account, 10) };
    let video = fx.open(&fx.order(account, vec![of_kind(MediaKind::Video)])).await.remove(0).id;
    fx.advance(1);
    let image = fx.pending(account, 10).await.id;
    let audio = fx.open(&fx.order(account, vec![of_kind(MediaKind::Audio)])).await.remove(0).id;
    fx.open(&fx.order(account, vec![fx.new_draft(account, 10)])).await;
    let canceled = fx.pending(account, 10).await;
    fx.applied(&fx.cancel(&canceled)).await;
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let limits =
        StuckLimits { image: minutes(10), audio: minutes(15), video: minutes(30), models: Vec::new() };
    let stuck = async |limit| stuck(&fx, &limits, limit).await;
    fx.advance(9 * 60);
    assert_eq!(stuck(10).await, []);
    fx.advance(2 * 60);
    assert_eq!(stuck(10).await, [image]);
    fx.advance(5 * 60);
    assert_eq!(stuck(10).await.len(), 2);
    fx.advance(15 * 60);
    let all = stuck(10).await;
    assert_eq!((all.len(), all[0]), (3, video));
    assert!(all.contains(&audio));
    assert_eq!(stuck(1).await, [video]);
    assert_eq!(fx.store.count_stuck(&limits, fx.now()).await.unwrap(), 3);
    let young =
        fx.store.stuck_jobs(&limits, Some(fx.job(image).await.created_at), fx.now(), 1).await.unwrap();
    assert_eq!(young.len(), 1);
    assert_ne!(young[0].id, video, "it was ordered before");
}

/// A job is stuck as soon as it is older than its kind or its own model allows.
pub async fn stuck_jobs_are_shown_by_model(fx: Fixture) {
    let account = fx.account(1_000).await;
    let of_model = |model: &str| NewJob { model: model.to_owned(), ..fx.new_job(account, 10) };
    let fast = fx.open(&fx.order(account, vec![of_model("maker/\"fast\" 1")])).await.remove(0).id;
    fx.advance(1);
    let slow = fx.open(&fx.order(account, vec![of_model("maker/slow")])).await.remove(0).id;
    let age = Duration::from_secs;
    let models = vec![("maker/\"fast\" 1".to_owned(), age(60)), ("maker/slow".to_owned(), age(6_000))];
    let limits = StuckLimits { image: age(600), audio: age(600), video: age(600), models };
    assert_eq!(stuck(&fx, &limits, 10).await, []);
    fx.advance(61);
    assert_eq!(stuck(&fx, &limits, 10).await, [fast]);
    fx.advance(600);
    assert_eq!(stuck(&fx, &limits, 10).await, [fast, slow]);
}

/// The audit names a price that nobody holds and a draft that moved money.
pub async fn the_audit_names_missing_holds_and_drafts_with_transfers(fx: Fixture) {
    let account = fx.account(1_000).await;
    let named = async || {
        let findings = fx.store.audit(fx.now()).await.unwrap();
        findings.into_iter().map(|found| (found.invariant, found.noun, found.id)).collect::<Vec<_>>()
    };
    let unpaid = NewJob { hold: None, ..fx.new_job(account, 100) };
    let unpaid = fx.open(&fx.order(account, vec![unpaid])).await.remove(0);
    let wanted = [("I2", "job", unpaid.id.to_string())];
    assert_eq!(named().await, wanted);
    let claimed = fx.claim_this(unpaid.id).await;
    let failed = fx.applied(&fx.fail(&claimed)).await;
    assert_eq!(named().await, wanted, "it failed without a hold, too");
    let mut step = fx.step(&failed, JobState::Failed);
    step.guard = crate::Guard::read(&failed);
    let moved = |kind| fx.job_transfer(account, failed.id, kind, 100);
    step.transfers = vec![moved(TransferKind::Hold), moved(TransferKind::Release)];
    fx.applied(&step).await;
    assert_eq!(named().await, []);
    let draft = fx.open(&fx.order(account, vec![fx.new_draft(account, 100)])).await.remove(0);
    let books = (Book::Adjustments, Book::Available);
    let strange = fx.transfer(account, TransferKind::Adjust, "strange", books, 5);
    let strange = NewTransfer { job: Some(draft.id), ..strange };
    fx.store.credit(&[strange], fx.now()).await.unwrap();
    assert_eq!(named().await, [("I2", "job", draft.id.to_string())]);
    fx.applied(&fx.cancel(&draft)).await;
}

/// An empty shop has clean books and an empty overview.
pub async fn an_empty_shop_is_clean(fx: Fixture) {
    assert_eq!(fx.store.audit(fx.now()).await.unwrap(), []);
    let overview = fx.store.overview(fx.after(-3_600), fx.now()).await.unwrap();
    assert!(overview.states.iter().all(|(_, count)| *count == 0));
    assert!(overview.deliveries.iter().all(|(_, count)| *count == 0));
    assert_eq!((overview.models, overview.oldest_due, overview.orphans), (Vec::new(), None, 0));
    assert_eq!((overview.unknown_words, overview.blocked), (Vec::new(), None));
    assert_eq!(fx.store.transfers_of(&[fx.job_id()]).await.unwrap(), []);
}

async fn stuck(fx: &Fixture, limits: &StuckLimits, limit: u32) -> Vec<JobId> {
    let jobs = fx.store.stuck_jobs(limits, None, fx.now(), limit).await.expect("jobs can be read");
    if jobs.len() < limit as usize {
        let count = fx.store.count_stuck(limits, fx.now()).await.expect("jobs can be counted");
        assert_eq!(count, jobs.len() as u64);
    }
    jobs.into_iter().map(|job| job.id).collect()
}

fn count_of(overview: &Overview, state: JobState) -> u64 {
    overview.states.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count)
}
