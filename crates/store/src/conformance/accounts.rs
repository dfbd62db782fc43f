//! Accounts, tokens, and the shop as a whole.

use domain::{Channel, Recipient, Role, Scope, Timestamp};

use super::Fixture;
use super::fixture::at_once;
use crate::{
    Added, DeliveryResult, Flags, KeptToken, NewAccount, NewJob, NewToken, OpenShop, Process, StoreError,
    TokenOwner,
};

/// An account is opened once by the shop's own id; later calls get the first row unchanged.
pub async fn an_account_is_opened_once_by_external_id(fx: Fixture) {
    let first = named(&fx, Some("shop-1"), None);
    let opened = opened(&fx, &first).await;
    assert_eq!((opened.id, opened.created_at, opened.closed_at), (first.id, fx.now(), None));
    assert_eq!((opened.available.minor(), opened.held.minor()), (0, 0));
    fx.advance(1);
    let again = NewAccount { name: Some("Eve".to_owned()), id: fx.account_id(), at: fx.now(), ..first };
    assert_eq!(fx.store.add_account(&again).await.unwrap(), Added::Existing(opened.clone()));
    assert_eq!(fx.store.find_account(opened.id).await.unwrap(), Some(opened.clone()));
    assert_eq!(fx.store.find_account_by_external_id("shop-1").await.unwrap(), Some(opened));
    assert_eq!(fx.store.find_account_by_external_id("shop-2").await.unwrap(), None);
    assert_eq!(fx.store.find_account(again.id).await.unwrap(), None);
}

/// Without an id of the shop's, the Telegram chat makes an account unique.
pub async fn an_account_is_opened_once_by_chat(fx: Fixture) {
    let first = opened(&fx, &named(&fx, None, Some(-77))).await;
    let again = fx.store.add_account(&named(&fx, None, Some(-77))).await.unwrap();
    assert_eq!(again, Added::Existing(first));
    opened(&fx, &named(&fx, None, None)).await;
    opened(&fx, &named(&fx, None, None)).await;
}

/// A chat that belongs to another account is refused.
pub async fn a_chat_belongs_to_one_account(fx: Fixture) {
    opened(&fx, &named(&fx, Some("shop-1"), Some(-77))).await;
    let thief = named(&fx, Some("shop-2"), Some(-77));
    assert!(matches!(fx.store.add_account(&thief).await, Err(StoreError::Taken { .. })));
    assert_eq!(fx.store.find_account_by_external_id("shop-2").await.unwrap(), None);
}

/// Parallel openings of one account are one account.
pub async fn parallel_openings_are_one_account(fx: Fixture) {
    let answers = at_once(12, |_| {
        let (store, account) = (fx.store.clone(), named(&fx, Some("shop-1"), Some(-77)));
        async move { store.add_account(&account).await.expect("the account is opened") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Added::New(_))).count(), 1);
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.into_inner().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(fx.store.list_accounts(None, 10).await.unwrap().len(), 1);
}

/// Accounts are listed page by page without gaps.
pub async fn accounts_are_listed_by_id(fx: Fixture) {
    let mut wanted = Vec::new();
    for _ in 0..7 {
        wanted.push(fx.account(10).await);
    }
    wanted.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = fx.store.list_accounts(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        assert!(page.len() <= 3);
        found.extend(page.into_iter().map(|account| account.id));
    }
    assert_eq!(found, wanted);
}

/// Erasing closes the account, forgets who it was and what it asked for, and keeps money and rows.
pub async fn erasing_forgets_the_person_and_keeps_the_money(fx: Fixture) {
    let account = opened(&fx, &named(&fx, Some("shop-1"), Some(-77))).await.id;
    let token = add_token(&fx, account, Role::Customer).await.unwrap();
    fx.store.credit(&[fx.topup(account, "paid", 500)], fx.now()).await.unwrap();
    let mut order = fx.order_of(account, 2, 100);
    for (at, job) in order.jobs.iter_mut().enumerate() {
        let address = |which| Recipient::Webhook { url: format!("https://shop.example/{at}{which}") };
        job.recipients = vec![address("a"), address("b")];
    }
    let jobs = fx.open(&order).await;
    let (done, open) = (&jobs[0], &jobs[1]);
    fx.done(done.id, 100).await;
    let owed = fx.store.claim_deliveries(&[Channel::Webhook], fx.now(), fx.after(30), 10).await.unwrap();
    assert!(fx.store.record_delivery(&owed[0], &DeliveryResult::Delivered, fx.now()).await.unwrap());
    fx.advance(5);
    fx.store.erase_account(account, fx.now()).await.unwrap();
    let erased = fx.store.find_account(account).await.unwrap().unwrap();
    assert_eq!((erased.name, erased.external_id, erased.telegram_id), (None, None, None));
    assert_eq!((erased.closed_at, erased.available.minor()), (Some(fx.now()), 300));
    assert_eq!(fx.store.find_token(&token.hash).await.unwrap(), None);
    assert_eq!(fx.store.find_account_by_external_id("shop-1").await.unwrap(), None);
    let (done, open) = (fx.job(done.id).await, fx.job(open.id).await);
    assert_eq!((&done.prompt, &done.input), (&None, &serde_json::json!({})));
    assert!(done.hidden_at.is_some() && open.hidden_at.is_some());
    assert_eq!(open.input["n"], 1, "an open job still has to be made");
    assert_eq!((fx.balance(account).await, done.captured.minor()), ((300, 100), 100));
    let deliveries = fx.store.deliveries_of(&[done.id, open.id]).await.unwrap();
    assert_eq!(deliveries.len(), 1, "only the one that was made is kept: {deliveries:?}");
    assert!(!format!("{deliveries:?}{:?}{:?}", done.recipients, open.recipients).contains("shop.example"));
    opened(&fx, &named(&fx, Some("shop-1"), Some(-77))).await;
    let nobody = fx.store.erase_account(fx.account_id(), fx.now()).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
}

/// A job that was open when its account was erased forgets its input when it ends, however it ends; others keep theirs.
pub async fn an_erased_accounts_open_jobs_forget_their_input_at_the_end(fx: Fixture) {
    let (account, other) = (fx.account(300).await, fx.account(100).await);
    let jobs = fx.open(&fx.order_of(account, 3, 100)).await;
    let kept = fx.pending(other, 100).await;
    fx.store.erase_account(account, fx.now()).await.unwrap();
    fx.done(jobs[0].id, 100).await;
    fx.advance(31);
    fx.failed(jobs[1].id).await;
    fx.applied(&fx.cancel(&jobs[2])).await;
    fx.advance(31);
    fx.done(kept.id, 100).await;
    for job in &jobs {
        assert_eq!(fx.job(job.id).await.input, serde_json::json!({}));
    }
    assert_eq!(fx.job(kept.id).await.input["n"], 1);
}

/// Jobs that end while their account is erased forget their input, too.
pub async fn jobs_that_end_during_an_erasure_forget_their_input(fx: Fixture) {
    for _round in 0..10 {
        let account = fx.account(800).await;
        // Hidden without a prompt and without recipients: nothing of it changes by the erasure itself.
        let jobs = (0..8).map(|_| NewJob { prompt: None, ..fx.new_job(account, 100) }).collect();
        let jobs = fx.open(&fx.order(account, jobs)).await;
        let hide = Flags { hidden: Some(true), ..Flags::default() };
        for job in &jobs {
            assert!(fx.store.flag_job(job.id, account, hide, fx.now()).await.unwrap());
        }
        at_once(9, |number| {
            let (fx, job) = (fx.clone(), jobs.get(number).cloned());
            async move {
                match job {
                    Some(job) => drop(fx.applied(&fx.cancel(&job)).await),
                    None => fx.store.erase_account(account, fx.now()).await.expect("the account is erased"),
                }
            }
        })
        .await;
        for job in jobs {
            assert_eq!(fx.job(job.id).await.input, serde_json::json!({}));
        }
    }
}

/// The webhook key is the one that the account was opened with.
pub async fn an_account_has_its_webhook_key(fx: Fixture) {
    let account = named(&fx, None, None);
    opened(&fx, &account).await;
    assert_eq!(fx.store.webhook_key(account.id).await.unwrap(), account.webhook_key);
    let nobody = fx.store.webhook_key(fx.account_id()).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
}

/// Tokens of an account are listed, and revoked one by one; another account's token is out of reach.
pub async fn a_token_is_revoked_alone(fx: Fixture) {
    let (account, other) = (fx.account(0).await, fx.account(0).await);
    let first = add_token(&fx, account, Role::Customer).await.unwrap();
    fx.advance(1);
    let second = add_token(&fx, account, Role::Operator).await.unwrap();
    let kept = |token: &NewToken| KeptToken { id: token.id, role: token.role, created_at: token.at };
    assert_eq!(fx.store.list_tokens(account).await.unwrap(), [kept(&first), kept(&second)]);
    assert!(!fx.store.revoke_token(other, first.id).await.unwrap());
    assert!(fx.store.revoke_token(account, first.id).await.unwrap());
    assert!(!fx.store.revoke_token(account, first.id).await.unwrap());
    assert_eq!(fx.store.find_token(&first.hash).await.unwrap(), None);
    assert!(fx.store.find_token(&second.hash).await.unwrap().is_some());
    assert_eq!(fx.store.list_tokens(account).await.unwrap(), [kept(&second)]);
    assert_eq!(fx.store.list_tokens(other).await.unwrap(), []);
}

/// A token names its account and its one role, until the account is closed.
pub async fn a_token_names_its_account(fx: Fixture) {
    let account = opened(&fx, &named(&fx, None, Some(-77))).await.id;
    for &role in Role::ALL {
        let token = add_token(&fx, account, role).await.unwrap();
        let owner = TokenOwner { token: token.id, account, role, telegram_id: Some(-77) };
        assert_eq!(fx.store.find_token(&token.hash).await.unwrap(), Some(owner));
    }
    assert_eq!(fx.store.find_token(&fx.bytes()).await.unwrap(), None);
    let nobody = add_token(&fx, fx.account_id(), Role::Customer).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
    fx.store.erase_account(account, fx.now()).await.unwrap();
    let closed = add_token(&fx, account, Role::Customer).await;
    assert!(matches!(closed, Err(StoreError::NotFound { .. })));
}

/// The demo can tell its own accounts from a shop's.
pub async fn real_accounts_are_told_from_the_demos(fx: Fixture) {
    assert!(!fx.store.has_real_accounts().await.unwrap());
    opened(&fx, &NewAccount { demo: true, ..fx.new_account() }).await;
    assert!(!fx.store.has_real_accounts().await.unwrap());
    fx.account(0).await;
    assert!(fx.store.has_real_accounts().await.unwrap());
}

/// The currency is written once; another one is refused by name.
pub async fn a_shop_has_one_currency(fx: Fixture) {
    assert_eq!(fx.store.currency().await.unwrap(), None);
    assert_eq!(fx.store.open_shop("RUB:2", fx.now()).await.unwrap(), OpenShop::Open);
    assert_eq!(fx.store.open_shop("RUB:2", fx.now()).await.unwrap(), OpenShop::Open);
    let other = fx.store.open_shop("STAR:0", fx.now()).await.unwrap();
    assert_eq!(other, OpenShop::OtherCurrency("RUB:2".to_owned()));
    assert_eq!(fx.store.currency().await.unwrap().as_deref(), Some("RUB:2"));
}

/// Two processes that open the shop at once with different currencies agree on one.
pub async fn parallel_openings_of_the_shop_agree(fx: Fixture) {
    let answers = at_once(8, |number| {
        let (store, at) = (fx.store.clone(), fx.now());
        let currency = if number % 2 == 0 { "RUB:2" } else { "STAR:0" };
        async move { store.open_shop(currency, at).await.expect("the shop opens") }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == OpenShop::Open).count(), 4);
    let kept = fx.store.currency().await.unwrap().unwrap();
    let refused = answers.iter().filter(|answer| **answer == OpenShop::OtherCurrency(kept.clone()));
    assert_eq!(refused.count(), 4);
}

/// Processes are known by name with the time of their last sign of life.
pub async fn heartbeats_are_kept_by_name(fx: Fixture) {
    assert_eq!(fx.store.heartbeats().await.unwrap(), []);
    let first = fx.now();
    fx.store.heartbeat("web-1", first, None).await.unwrap();
    fx.store.heartbeat("bot-1", first, None).await.unwrap();
    fx.advance(10);
    fx.store.heartbeat("web-1", fx.now(), None).await.unwrap();
    let wanted = [seen("bot-1", first, None), seen("web-1", fx.now(), None)];
    assert_eq!(fx.store.heartbeats().await.unwrap(), wanted);
}

/// A process's clock is known by its newest measure; a sign of life without one leaves it.
pub async fn the_clock_of_a_process_is_kept(fx: Fixture) {
    let store = &fx.store;
    for (measured, kept) in
        [(None, None), (Some(-3_000_001), Some(-3_000_001)), (Some(7), Some(7)), (None, Some(7))]
    {
        fx.advance(1);
        store.heartbeat("web-1", fx.now(), measured).await.unwrap();
        assert_eq!(store.heartbeats().await.unwrap(), [seen("web-1", fx.now(), kept)]);
    }
}

fn seen(name: &str, seen_at: Timestamp, skew_micros: Option<i64>) -> Process {
    Process { name: name.to_owned(), seen_at, skew_micros }
}

/// Processes that were not seen for long are forgotten in portions.
pub async fn dead_processes_are_forgotten(fx: Fixture) {
    for number in 0..5 {
        fx.store.heartbeat(&format!("web-{number}"), fx.now(), None).await.unwrap();
    }
    fx.advance(10);
    let before = fx.now();
    fx.store.heartbeat("web-2", fx.now(), None).await.unwrap();
    assert_eq!(fx.store.forget_processes(before, 3).await.unwrap(), 3);
    assert_eq!(fx.store.forget_processes(before, 3).await.unwrap(), 1);
    assert_eq!(fx.store.forget_processes(before, 3).await.unwrap(), 0);
    assert_eq!(fx.store.heartbeats().await.unwrap(), [seen("web-2", before, None)]);
}

/// The store answers for its health, its schema and its clock, and tells no secrets of itself.
pub async fn a_store_describes_itself(fx: Fixture) {
    fx.store.ping().await.unwrap();
    assert!(fx.store.schema_version().await.unwrap() >= 1);
    let (one, two) = (fx.store.database_time().await.unwrap(), fx.store.database_time().await.unwrap());
    assert!(one <= two && one > fx.after(-86_400 * 365), "{one} is no present time");
    let description = fx.store.describe();
    assert!(!description.is_empty() && !description.contains('@'), "{description}");
}

/// A transfer is shown to its own account and to operators, to nobody else.
pub async fn transfers_are_shown_to_their_owner(fx: Fixture) {
    let (owner, stranger) = (fx.account(0).await, fx.account(0).await);
    let topup = fx.topup(owner, "paid", 500);
    fx.store.credit(std::slice::from_ref(&topup), fx.now()).await.unwrap();
    for (scope, seen) in
        [(Scope::All, true), (Scope::Account(owner), true), (Scope::Account(stranger), false)]
    {
        let found = fx.store.find_transfer(topup.id, scope).await.unwrap();
        assert_eq!(found.map(|transfer| transfer.id), seen.then_some(topup.id));
    }
}

fn named(fx: &Fixture, external_id: Option<&str>, telegram_id: Option<i64>) -> NewAccount {
    let external_id = external_id.map(ToOwned::to_owned);
    NewAccount { external_id, telegram_id, name: Some("Ann".to_owned()), ..fx.new_account() }
}

async fn opened(fx: &Fixture, account: &NewAccount) -> domain::Account {
    match fx.store.add_account(account).await.expect("the account is opened") {
        Added::New(row) => row,
        Added::Existing(row) => panic!("the account was there before: {row:?}"),
    }
}

async fn add_token(fx: &Fixture, account: domain::AccountId, role: Role) -> Result<NewToken, StoreError> {
    let token = NewToken { id: fx.token_id(), account, role, hash: fx.bytes(), at: fx.now() };
    fx.store.add_token(&token).await.map(|()| token)
}
