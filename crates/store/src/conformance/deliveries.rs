//! Deliveries: one row per duty, written with the state it tells of, tried until done or dead, sent again for nothing.

use std::collections::HashSet;

use domain::{AccountId, Channel, Delivery, DeliveryEvent, DeliveryState, Job, JobState, Recipient, Scope};

use super::Fixture;
use super::fixture::at_once;
use crate::{DeliveryResult, NewOrder};

/// A delivery is owed once per duty: the same channel, address and event of a job keep their first row.
pub async fn a_duty_is_owed_once(fx: Fixture) {
    let job = told_job(&fx, 2).await;
    let claimed = fx.claim_this(job.id).await;
    let failed = fx.applied(&fx.fail(&claimed)).await;
    let first = fx.store.deliveries_of(&[job.id]).await.unwrap();
    assert_eq!(first.len(), 2);
    let mut again = fx.step(&failed, JobState::Failed);
    again.deliveries = fx.deliveries(&failed, DeliveryEvent::JobFailed);
    fx.applied(&again).await;
    assert_eq!(fx.store.deliveries_of(&[job.id]).await.unwrap(), first);
    again.deliveries = fx.deliveries(&failed, DeliveryEvent::JobDone);
    fx.applied(&again).await;
    assert_eq!(fx.store.deliveries_of(&[job.id]).await.unwrap().len(), 4, "another event is another duty");
}

/// A delivery is due with the commit that owes it.
pub async fn a_delivery_is_due_at_once(fx: Fixture) {
    let owed = owed(&fx, 1).await.remove(0);
    assert_eq!((owed.state, owed.attempts, owed.wake_at), (DeliveryState::Pending, 0, Some(fx.now())));
    assert_eq!((owed.channel.as_str(), owed.event), ("webhook", DeliveryEvent::JobFailed));
    assert_eq!(owed.created_at, fx.now());
    let claimed = claim(&fx).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].id, claimed[0].fence), (owed.id, owed.fence + 1));
    assert_eq!(claim(&fx).await, [], "its lease is live");
}

/// A delivered message is done, with its time; the job's version tells of it.
pub async fn a_delivered_message_is_done(fx: Fixture) {
    let owed = owed(&fx, 1).await.remove(0);
    let before = fx.job(owed.job).await;
    let claimed = claim(&fx).await.remove(0);
    fx.advance(2);
    assert!(fx.store.record_delivery(&claimed, &DeliveryResult::Delivered, fx.now()).await.unwrap());
    let done = one(&fx, &owed).await;
    assert_eq!((done.state, done.attempts, done.wake_at), (DeliveryState::Done, 1, None));
    assert_eq!(done.delivered_at, Some(fx.now()));
    let after = fx.job(owed.job).await;
    assert!(after.version > before.version);
    assert_eq!((after.updated_at, after.state), (fx.now(), before.state));
    fx.advance(3_600);
    assert_eq!(claim(&fx).await, []);
}

/// A failed try is counted and comes again at its time; one that is put off is not counted.
pub async fn a_failed_try_comes_again(fx: Fixture) {
    let owed = owed(&fx, 1).await.remove(0);
    let claimed = claim(&fx).await.remove(0);
    let retry = DeliveryResult::Retry { at: fx.after(5), error: "HTTP 500".to_owned() };
    assert!(fx.store.record_delivery(&claimed, &retry, fx.now()).await.unwrap());
    let waiting = one(&fx, &owed).await;
    assert_eq!(
        (waiting.state, waiting.attempts, waiting.wake_at),
        (DeliveryState::Pending, 1, Some(fx.after(5)))
    );
    assert_eq!(waiting.last_error.as_deref(), Some("HTTP 500"));
    fx.advance(4);
    assert_eq!(claim(&fx).await, []);
    fx.advance(1);
    let claimed = claim(&fx).await.remove(0);
    let before = fx.job(claimed.job).await;
    assert!(fx.store.put_off_delivery(&claimed, fx.after(1)).await.unwrap());
    let waiting = one(&fx, &owed).await;
    assert_eq!((waiting.attempts, waiting.last_error.as_deref()), (1, Some("HTTP 500")), "nothing was tried");
    assert_eq!(fx.job(claimed.job).await.version, before.version);
    fx.advance(1);
    let again = claim(&fx).await.remove(0);
    assert!(!fx.store.put_off_delivery(&claimed, fx.after(9)).await.unwrap(), "another has it");
    let claimed = again;
    assert!(fx.store.record_delivery(&claimed, &DeliveryResult::Delivered, fx.now()).await.unwrap());
    assert_eq!(one(&fx, &owed).await.attempts, 2);
}

/// A worker takes what its channels can send; the rest waits, with no trace, for one that has the channel.
pub async fn deliveries_are_claimed_by_their_channels(fx: Fixture) {
    let account = fx.account(100).await;
    let mut order = fx.order_of(account, 1, 100);
    let webhook = Recipient::Webhook { url: "https://shop.example/told".to_owned() };
    order.jobs[0].recipients = vec![Recipient::Telegram { chat_id: 7 }, webhook];
    let job = fx.open(&order).await.remove(0);
    let claimed = fx.claim_this(job.id).await;
    fx.applied(&fx.fail(&claimed)).await;
    let claim = async |channels: &[Channel]| {
        let claimed = fx.store.claim_deliveries(channels, fx.now(), fx.after(30), 1).await.unwrap();
        claimed.into_iter().map(|delivery| delivery.channel).collect::<Vec<_>>()
    };
    assert_eq!(claim(&[]).await, []);
    assert_eq!(claim(&[Channel::Webhook]).await, [Channel::Webhook]);
    assert_eq!(claim(&[Channel::Webhook]).await, []);
    assert_eq!(claim(&[Channel::Webhook, Channel::Telegram]).await, [Channel::Telegram]);
    assert_eq!(claim(&[Channel::Webhook, Channel::Telegram]).await, []);
}

/// A dead letter is visible until it is sent again, under the same id.
pub async fn a_dead_letter_is_sent_again_under_its_id(fx: Fixture) {
    let owed = owed(&fx, 2).await;
    let (account, job) = (owed[0].account, owed[0].job);
    let claimed = claim(&fx).await;
    let dead = DeliveryResult::Dead { error: "410".to_owned() };
    assert!(fx.store.record_delivery(&claimed[0], &dead, fx.now()).await.unwrap());
    let gone = one(&fx, &claimed[0]).await;
    assert_eq!((gone.state, gone.attempts, gone.wake_at), (DeliveryState::Dead, 1, None));
    let listed = fx.store.list_dead_deliveries(None, None, 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&gone));
    let stranger = Scope::Account(fx.account(0).await);
    assert_eq!(fx.store.redeliver(job, stranger, fx.now()).await.unwrap(), 0);
    fx.advance(10);
    // The other one is pending still and is left as it is.
    assert_eq!(fx.store.redeliver(job, Scope::Account(account), fx.now()).await.unwrap(), 1);
    assert_eq!(fx.store.list_dead_deliveries(None, None, 10).await.unwrap(), []);
    let again = claim(&fx).await;
    assert_eq!(again.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [gone.id]);
    assert!(again[0].fence > claimed[0].fence);
    assert!(fx.store.record_delivery(&again[0], &DeliveryResult::Delivered, fx.now()).await.unwrap());
    assert_eq!(
        fx.store.redeliver(job, Scope::All, fx.now()).await.unwrap(),
        1,
        "what is done is sent again too"
    );
    assert_eq!(one(&fx, &gone).await.wake_at, Some(fx.now()));
}

/// What waits after a failed try is due at once, with all its tries before it; what is being sent, or was never tried, is left.
pub async fn a_delivery_in_back_off_is_due_now(fx: Fixture) {
    let owed = owed(&fx, 2).await;
    let (account, job) = (owed[0].account, owed[0].job);
    let redeliver = async || fx.store.redeliver(job, Scope::Account(account), fx.now()).await.unwrap();
    assert_eq!(redeliver().await, 0, "neither was tried");
    let claimed = claim(&fx).await;
    assert_eq!(redeliver().await, 0, "both are being sent");
    let retry = DeliveryResult::Retry { at: fx.after(3_600), error: "HTTP 500".to_owned() };
    assert!(fx.store.record_delivery(&claimed[0], &retry, fx.now()).await.unwrap());
    assert_eq!(fx.store.redeliver(job, Scope::Account(fx.account(0).await), fx.now()).await.unwrap(), 0);
    let before = fx.job(job).await.version;
    assert_eq!((redeliver().await, fx.job(job).await.version), (1, before + 1));
    let due = one(&fx, &claimed[0]).await;
    assert_eq!((due.state, due.attempts, due.wake_at), (DeliveryState::Pending, 0, Some(fx.now())));
    assert_eq!(due.last_error.as_deref(), Some("HTTP 500"));
    assert_eq!((redeliver().await, fx.job(job).await.version), (0, before + 1), "it is due already");
    assert_eq!(claim(&fx).await.iter().map(|one| one.id).collect::<Vec<_>>(), [due.id]);
}

/// A try under an old fence writes nothing.
pub async fn a_try_under_an_old_fence_is_stale(fx: Fixture) {
    let owed = owed(&fx, 1).await.remove(0);
    let first = claim(&fx).await.remove(0);
    fx.advance(31);
    let second = claim(&fx).await.remove(0);
    let dead = DeliveryResult::Dead { error: "late".to_owned() };
    assert!(!fx.store.record_delivery(&first, &dead, fx.now()).await.unwrap());
    assert_eq!(one(&fx, &owed).await.state, DeliveryState::Pending);
    assert!(fx.store.record_delivery(&second, &DeliveryResult::Delivered, fx.now()).await.unwrap());
    assert!(!fx.store.record_delivery(&second, &dead, fx.now()).await.unwrap(), "it is done");
    assert_eq!(one(&fx, &owed).await.state, DeliveryState::Done);
}

/// Workers that claim deliveries at once get disjoint sets and together all.
pub async fn parallel_workers_share_deliveries(fx: Fixture) {
    let mut all = HashSet::new();
    for _ in 0..10 {
        all.extend(owed(&fx, 4).await.into_iter().map(|delivery| delivery.id));
    }
    let mut taken = Vec::new();
    // A worker skips what another is claiming, so one round may leave rows for the next.
    for _round in 0..20 {
        let claimed = at_once(4, |_| {
            let fx = fx.clone();
            async move {
                fx.store
                    .claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 7)
                    .await
                    .expect("claiming runs")
            }
        })
        .await;
        taken.extend(claimed.into_iter().flatten().map(|delivery| delivery.id));
    }
    assert_eq!((taken.len(), taken.into_iter().collect::<HashSet<_>>()), (40, all));
}

/// The deliveries of many jobs come in one answer, by job and time.
pub async fn deliveries_of_many_jobs_come_together(fx: Fixture) {
    let mut jobs = Vec::new();
    for count in [2, 1, 0] {
        let job = told_job(&fx, count).await;
        let claimed = fx.claim_this(job.id).await;
        fx.applied(&fx.fail(&claimed)).await;
        fx.advance(1);
        jobs.push(job.id);
    }
    let found = fx.store.deliveries_of(&jobs).await.unwrap();
    let by_job: Vec<_> = found.iter().map(|delivery| delivery.job).collect();
    assert_eq!(by_job, [jobs[0], jobs[0], jobs[1]]);
    assert_eq!(fx.store.deliveries_of(&[]).await.unwrap(), []);
}

/// Dead letters are listed newest first, page by page, by account.
pub async fn dead_letters_are_listed_in_pages(fx: Fixture) {
    let mut wanted = Vec::new();
    for _ in 0..5 {
        fx.advance(1);
        owed(&fx, 1).await;
        let claimed = claim(&fx).await.remove(0);
        let dead = DeliveryResult::Dead { error: "410".to_owned() };
        assert!(fx.store.record_delivery(&claimed, &dead, fx.now()).await.unwrap());
        wanted.insert(0, (claimed.id, claimed.account));
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = fx.store.list_dead_deliveries(None, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        assert!(page.len() <= 2);
        found.extend(page.into_iter().map(|delivery| (delivery.id, delivery.account)));
    }
    assert_eq!(found, wanted);
    let of_one = fx.store.list_dead_deliveries(Some(wanted[3].1), None, 10).await.unwrap();
    assert_eq!(of_one.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [wanted[3].0]);
}

/// A pending job with so many webhooks to call at its end.
async fn told_job(fx: &Fixture, recipients: usize) -> Job {
    let account: AccountId = fx.account(100).await;
    let mut order: NewOrder = fx.order_of(account, 1, 100);
    let address = |number| Recipient::Webhook { url: format!("https://shop.example/{number}") };
    order.jobs[0].recipients = (0..recipients).map(address).collect();
    fx.open(&order).await.remove(0)
}

/// The deliveries of a job that failed just now.
async fn owed(fx: &Fixture, recipients: usize) -> Vec<Delivery> {
    let job = told_job(fx, recipients).await;
    let claimed = fx.claim_this(job.id).await;
    fx.applied(&fx.fail(&claimed)).await;
    let owed = fx.store.deliveries_of(&[job.id]).await.expect("deliveries can be read");
    assert_eq!(owed.len(), recipients);
    owed
}

async fn claim(fx: &Fixture) -> Vec<Delivery> {
    fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.expect("claiming runs")
}

async fn one(fx: &Fixture, delivery: &Delivery) -> Delivery {
    let found = fx.store.deliveries_of(&[delivery.job]).await.expect("deliveries can be read");
    found.into_iter().find(|found| found.id == delivery.id).expect("the delivery exists")
}
