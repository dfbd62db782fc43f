//! Imports: a row of an old shop is taken over once, whole or not at all.

use domain::{AccountId, AssetRole, Book, Job, JobState, MediaKind, Money, PriceBasis, TransferKind};

use super::Fixture;
use super::fixture::{at_once, entry};
use crate::{
    Imported, ImportedJob, NewAsset, NewImport, NewOrder, NewTransfer, Placed, SourceNoun, StoreError,
};

fn user(fx: &Fixture, key: &str, minor: i64) -> NewImport {
    let account = fx.account_id();
    let opening = fx.transfer(
        account,
        TransferKind::Adjust,
        &fx.word("adjust:import"),
        (Book::Adjustments, Book::Available),
        minor,
    );
    NewImport {
        shop: "old".to_owned(),
        noun: SourceNoun::User,
        key: key.to_owned(),
        known: None,
        fingerprint: fx.bytes(),
        amount: Money::from_minor(minor),
        account,
        open: Some(crate::NewAccount { external_id: Some(key.to_owned()), ..fx.new_account() }),
        job: None,
        write: None,
        transfers: vec![opening],
        at: fx.now(),
    }
}

/// A running job with this much set aside, its task and one asset.
fn generation(fx: &Fixture, account: AccountId, key: &str, held: i64) -> NewImport {
    let ordered = fx.order(account, vec![fx.new_job(account, held)]);
    let mut row: Job = ordered.opened_jobs().remove(0);
    row.state = JobState::Running;
    row.basis = PriceBasis::Imported { price: Money::from_minor(70) };
    row.attempts = 1;
    row.task_id = Some(format!("task-{key}"));
    row.key = format!("key-{key}");
    row.created_at = fx.after(-86_400);
    let set_aside = (held > 0).then(|| fx.job_transfer(account, row.id, TransferKind::Hold, held));
    let asset = NewAsset {
        id: fx.asset_id(),
        account,
        job: Some(row.id),
        index: 0,
        role: AssetRole::Output,
        kind: MediaKind::Image,
        source_url: Some("object:old/a.png".to_owned()),
        object: format!("old/{key}.png"),
    };
    NewImport {
        shop: "old".to_owned(),
        noun: SourceNoun::Generation,
        key: key.to_owned(),
        known: None,
        fingerprint: fx.bytes(),
        amount: Money::from_minor(held),
        account,
        open: None,
        job: Some(row.id),
        transfers: set_aside.into_iter().collect::<Vec<NewTransfer>>(),
        write: Some(Box::new(ImportedJob {
            row,
            assets: vec![asset],
            timeline: vec![entry("job.imported")],
        })),
        at: fx.now(),
    }
}

async fn known(fx: &Fixture, noun: SourceNoun, key: &str) -> Option<Imported> {
    let keys = [key.to_owned(), "nobody".to_owned()];
    fx.store.find_imported("old", noun, &keys).await.unwrap().into_iter().next()
}

/// A user becomes an account with the old balance, once; a change is taken over by its version.
pub async fn a_user_is_taken_over_once(fx: Fixture) {
    let first = user(&fx, "u1", 500);
    assert!(fx.store.import(&first).await.unwrap());
    assert!(!fx.store.import(&first).await.unwrap(), "the second pass writes nothing");
    assert_eq!(fx.balance(first.account).await, (500, 0));
    let mark = known(&fx, SourceNoun::User, "u1").await.unwrap();
    assert_eq!((mark.account, mark.amount, mark.version), (first.account, Money::from_minor(500), 1));
    assert_eq!(mark.fingerprint, first.fingerprint);
    let found = fx.store.find_account_by_external_id("u1").await.unwrap().unwrap();
    assert_eq!(found.id, first.account);

    let less = fx.transfer(
        first.account,
        TransferKind::Adjust,
        "adjust:import:u1:2",
        (Book::Available, Book::Adjustments),
        200,
    );
    let change = NewImport {
        known: Some(1),
        open: None,
        amount: Money::from_minor(300),
        transfers: vec![less],
        ..first.clone()
    };
    assert!(fx.store.try_import(&change).await.unwrap());
    assert_eq!(fx.balance(first.account).await, (500, 0), "a trial writes nothing");
    assert!(fx.store.import(&change).await.unwrap());
    assert!(!fx.store.try_import(&change).await.unwrap(), "the version has moved on");
    assert!(!fx.store.import(&change).await.unwrap(), "the version has moved on");
    assert_eq!(fx.balance(first.account).await, (300, 0));
    let another = NewImport { shop: "other".to_owned(), open: None, ..user(&fx, "u1", 500) };
    let transfers = another.transfers.iter().map(|one| NewTransfer { account: first.account, ..one.clone() });
    let another = NewImport { account: first.account, transfers: transfers.collect(), ..another.clone() };
    let refused = fx.store.try_import(&another).await;
    assert!(matches!(refused, Err(StoreError::Taken { what: "imported account" })), "{refused:?}");
    let refused = fx.store.import(&another).await;
    assert!(matches!(refused, Err(StoreError::Taken { what: "imported account" })), "{refused:?}");
    assert_eq!(fx.balance(first.account).await, (300, 0), "an account is one user of one old shop");
    let other_shop = fx.store.find_imported("other", SourceNoun::User, &["u1".to_owned()]).await.unwrap();
    assert_eq!(other_shop, []);
}

/// Two imports of the same row at the same time are one.
pub async fn parallel_imports_are_one(fx: Fixture) {
    let imports: Vec<NewImport> = (0..8).map(|_| user(&fx, "u1", 100)).collect();
    let answers = at_once(imports.len(), |number| {
        let (fx, import) = (fx.clone(), imports[number].clone());
        async move { fx.store.import(&import).await }
    })
    .await;
    // A loser finds the mark, or the customer's name taken; both mean that nothing of it was written.
    let won = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
    assert_eq!(won, 1, "{answers:?}");
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(_) | Err(StoreError::Taken { .. }))),
        "{answers:?}"
    );
    let mark = known(&fx, SourceNoun::User, "u1").await.unwrap();
    assert_eq!(fx.balance(mark.account).await, (100, 0));
}

/// A generation becomes a job with its hold, attempt, asset and history in one transaction, and is due.
pub async fn a_generation_is_taken_over_whole(fx: Fixture) {
    let owner = user(&fx, "u1", 100);
    fx.store.import(&owner).await.unwrap();
    let import = generation(&fx, owner.account, "g1", 60);
    assert!(fx.store.import(&import).await.unwrap());
    assert!(!fx.store.import(&import).await.unwrap());
    let written = &import.write.as_ref().unwrap().row;
    let job = fx.job(written.id).await;
    assert_eq!(&job, written, "the row stands as it was given");
    assert_eq!(fx.balance(owner.account).await, (40, 60));
    let assets = fx.store.assets_of(&[job.id]).await.unwrap();
    assert_eq!(assets.len(), 1);
    assert_eq!(fx.store.find_asset_by_object("old/g1.png").await.unwrap().as_ref(), assets.first());
    assert_eq!(fx.store.find_asset_by_object("old/other.png").await.unwrap(), None);
    let attempts = fx.store.attempts(job.id).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].sent_at), (1, job.created_at));
    assert_eq!(
        fx.store.find_job_by_task("task-g1").await.unwrap().map(|(job, n)| (job.id, n)),
        Some((job.id, 1))
    );
    assert_eq!(fx.store.timeline(job.id).await.unwrap()[0].event, "job.imported");
    let mark = known(&fx, SourceNoun::Generation, "g1").await.unwrap();
    assert_eq!((mark.job, mark.state, mark.cause), (Some(job.id), Some(JobState::Running), None));
    let owner_mark = known(&fx, SourceNoun::User, "u1").await.unwrap();
    assert_eq!(owner_mark.taken_over, Money::from_minor(60), "what was held when it was taken over");
}

/// What belongs elsewhere, or cannot be paid, is named, and nothing is written.
pub async fn a_refused_import_leaves_no_trace(fx: Fixture) {
    let owner = user(&fx, "u1", 100);
    fx.store.import(&owner).await.unwrap();
    fx.store.import(&generation(&fx, owner.account, "g1", 0)).await.unwrap();
    let changed = |change: fn(&mut ImportedJob)| {
        let mut import = generation(&fx, owner.account, "g2", 0);
        change(import.write.as_mut().unwrap());
        import
    };
    let same_task = changed(|job| job.row.task_id = Some("task-g1".to_owned()));
    let same_key = changed(|job| "key-g1".clone_into(&mut job.row.key));
    let same_object = changed(|job| "old/g1.png".clone_into(&mut job.assets[0].object));
    for (import, taken) in [(same_task, "task"), (same_key, "order key"), (same_object, "object")] {
        let refused = fx.store.import(&import).await;
        assert!(matches!(refused, Err(StoreError::Taken { what }) if what == taken), "{taken}: {refused:?}");
    }
    let short = fx.store.import(&generation(&fx, owner.account, "g2", 101)).await;
    assert!(matches!(short, Err(StoreError::Short)), "{short:?}");
    assert_eq!(known(&fx, SourceNoun::Generation, "g2").await, None);
    assert_eq!(fx.balance(owner.account).await, (100, 0));
    assert!(fx.store.import(&generation(&fx, owner.account, "g2", 100)).await.unwrap());
}

/// The old key of an imported job finds it, whatever body the replay has.
pub async fn an_imported_order_is_replayed_by_its_key(fx: Fixture) {
    let owner = user(&fx, "u1", 100);
    fx.store.import(&owner).await.unwrap();
    let import = generation(&fx, owner.account, "g1", 60);
    fx.store.import(&import).await.unwrap();
    let order = NewOrder { key: "key-g1".to_owned(), ..fx.order_of(owner.account, 1, 30) };
    let placed = fx.store.place(&order).await.unwrap();
    let Placed::Replayed(jobs) = placed else { panic!("{placed:?}") };
    assert_eq!(jobs[0].id, import.job.unwrap());
    assert_eq!(fx.balance(owner.account).await, (40, 60));
}
