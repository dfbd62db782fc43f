//! Assets: every object has a row before it, is stored once, and stays as a tombstone.

use domain::{Asset, AssetId, AssetRole, AssetState, Job, JobState, MediaKind, Scope};

use super::Fixture;
use super::fixture::at_once;
use crate::{Flags, NewAsset, ProviderCopy, StoreError, StoredFile};

/// An upload has a row of its own account before its bytes.
pub async fn an_upload_is_a_row_before_it_is_a_file(fx: Fixture) {
    let account = fx.account(0).await;
    let upload = upload(&fx, account);
    fx.store.add_asset(&upload, fx.now()).await.unwrap();
    let found = find(&fx, upload.id).await;
    assert_eq!((found.state, found.role, found.job), (AssetState::Pending, AssetRole::Upload, None));
    assert_eq!((found.object.as_str(), found.created_at), (upload.object.as_str(), fx.now()));
    let stranger = fx.account(0).await;
    assert_eq!(fx.store.find_asset(upload.id, Scope::Account(stranger)).await.unwrap(), None);
    assert_eq!(fx.store.find_asset(upload.id, Scope::Account(account)).await.unwrap(), Some(found));
    let orphan = NewAsset { account: fx.account_id(), ..self::upload(&fx, account) };
    let answer = fx.store.add_asset(&orphan, fx.now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound { .. })), "{answer:?}");
    let twin = NewAsset { object: upload.object, ..self::upload(&fx, account) };
    assert!(fx.store.add_asset(&twin, fx.now()).await.is_err(), "an object has one row");
}

/// Bytes are stored once, with their facts; the job's version tells of it.
pub async fn an_asset_is_stored_once(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    let file = fx.file();
    fx.advance(1);
    assert!(!fx.store.asset_stored(asset, Some(job.fence + 1), &file, fx.now()).await.unwrap());
    assert!(!fx.store.asset_stored(asset, Some(job.fence - 1), &file, fx.now()).await.unwrap());
    assert_eq!(find(&fx, asset).await.state, AssetState::Pending);
    assert!(fx.store.asset_stored(asset, Some(job.fence), &file, fx.now()).await.unwrap());
    let other = fx.file();
    assert!(!fx.store.asset_stored(asset, Some(job.fence), &other, fx.now()).await.unwrap());
    let stored = find(&fx, asset).await;
    assert_eq!(
        (stored.state, stored.sha256, stored.bytes),
        (AssetState::Stored, Some(file.sha256), Some(1234))
    );
    assert_eq!((stored.width, stored.height, stored.duration_ms), (Some(64), Some(48), None));
    assert_eq!(stored.content_type.as_deref(), Some("image/png"));
    let after = fx.job(job.id).await;
    assert!(after.version > job.version);
    assert_eq!((after.updated_at, after.state), (fx.now(), job.state));
    assert!(!fx.store.asset_stored(fx.asset_id(), None, &file, fx.now()).await.unwrap());
}

/// Two workers that store the same bytes at once: one writes.
pub async fn parallel_storings_are_one(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    let answers = at_once(8, |_| {
        let (store, file, fence, at) = (fx.store.clone(), fx.file(), job.fence, fx.now());
        async move { store.asset_stored(asset, Some(fence), &file, at).await.expect("the asset is written") }
    })
    .await;
    assert_eq!(answers.iter().filter(|stored| **stored).count(), 1);
}

/// Failed tries are counted under the fence, unless the trouble is ours; a fresh address replaces the old one.
pub async fn failed_tries_are_counted(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    let first = fx.now();
    let before = find(&fx, asset).await;
    assert!(!fail(&fx, asset, job.fence - 1, "stale", true).await);
    assert!(fail(&fx, asset, job.fence, "HTTP 403", true).await);
    fx.advance(60);
    let renewed = Some("https://files.example/fresh");
    let answer = fx.store.asset_failed(asset, job.fence, "HTTP 404", true, renewed, fx.now()).await;
    assert!(answer.unwrap());
    assert!(fail(&fx, asset, job.fence, "our disk is full", false).await);
    let failed = find(&fx, asset).await;
    assert_eq!((failed.state, failed.tries, failed.first_try_at), (AssetState::Pending, 2, Some(first)));
    assert_eq!(
        (failed.last_error.as_deref(), failed.source_url.as_deref()),
        (Some("our disk is full"), renewed)
    );
    assert_ne!(before.source_url, failed.source_url);
    assert!(fx.store.asset_stored(asset, Some(job.fence), &fx.file(), fx.now()).await.unwrap());
    assert!(!fail(&fx, asset, job.fence, "late", true).await, "it is stored");
    assert_eq!(find(&fx, asset).await.tries, 2);
}

/// A lost asset is given up under its job's fence, for good.
pub async fn a_lost_asset_is_given_up(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    assert!(!fx.store.asset_lost(asset, job.fence - 1, "stale", true, fx.now()).await.unwrap());
    assert!(fx.store.asset_lost(asset, job.fence, "private address", true, fx.now()).await.unwrap());
    assert!(!fx.store.asset_lost(asset, job.fence, "again", true, fx.now()).await.unwrap());
    let lost = find(&fx, asset).await;
    assert_eq!((lost.state, lost.last_error.as_deref()), (AssetState::Lost, Some("private address")));
    assert!(!fx.store.asset_stored(asset, Some(job.fence), &fx.file(), fx.now()).await.unwrap());
}

/// A place among a job's outputs, and an object, belong to one row; the step that wants another writes nothing.
pub async fn a_place_belongs_to_one_asset(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    let taken_place = fx.output(&job, 0);
    let object = find(&fx, asset).await.object;
    let taken_object = NewAsset { object, ..fx.output(&job, 1) };
    for output in [taken_place, taken_object] {
        let mut step = fx.step(&job, JobState::Storing);
        step.timeline = vec![super::fixture::entry("never")];
        step.assets = vec![fx.output(&job, 7), output];
        assert!(fx.store.record(&step).await.is_err());
        assert_eq!(fx.job(job.id).await, job);
        assert_eq!(fx.store.assets_of(&[job.id]).await.unwrap().len(), 1);
    }
    let mut step = fx.step(&job, JobState::Storing);
    step.assets = vec![NewAsset { role: AssetRole::Extra, ..fx.output(&job, 0) }];
    fx.applied(&step).await;
}

/// The assets of many jobs come in one answer: by job, outputs before extras, by index.
pub async fn assets_of_many_jobs_come_in_order(fx: Fixture) {
    let account = fx.account(1_000).await;
    let mut jobs = Vec::new();
    for task in ["task-a", "task-b"] {
        let job = fx.pending(account, 100).await;
        fx.running(job.id, task).await;
        fx.wake_now(job.id).await;
        let claimed = fx.claim_this(job.id).await;
        let mut step = fx.step(&claimed, JobState::Storing);
        let extra = NewAsset { role: AssetRole::Extra, ..fx.output(&claimed, 0) };
        step.assets = vec![extra, fx.output(&claimed, 1), fx.output(&claimed, 0)];
        fx.applied(&step).await;
        fx.advance(1);
        jobs.push(job.id);
    }
    let found = fx.store.assets_of(&jobs).await.unwrap();
    let places: Vec<_> = found.iter().map(|asset| (asset.job.unwrap(), asset.role, asset.index)).collect();
    let of_one = [(AssetRole::Output, 0), (AssetRole::Output, 1), (AssetRole::Extra, 0)];
    let wanted: Vec<_> =
        jobs.iter().flat_map(|job| of_one.map(|(role, index)| (*job, role, index))).collect();
    assert_eq!(places, wanted);
    assert_eq!(fx.store.assets_of(&[]).await.unwrap(), []);
}

/// An upload remembers its fresh copy at the provider.
pub async fn an_upload_remembers_its_copy(fx: Fixture) {
    let account = fx.account(0).await;
    let upload = upload(&fx, account);
    fx.store.add_asset(&upload, fx.now()).await.unwrap();
    assert!(fx.store.asset_stored(upload.id, None, &fx.file(), fx.now()).await.unwrap());
    for address in ["https://provider.example/1", "https://provider.example/2"] {
        let copy = ProviderCopy { url: address.to_owned(), until: fx.after(100) };
        fx.store.set_provider_copy(upload.id, &copy).await.unwrap();
        assert_eq!(find(&fx, upload.id).await.provider_copy, Some((copy.url, copy.until)));
    }
    let copy = ProviderCopy { url: "https://provider.example/3".to_owned(), until: fx.after(100) };
    let nobody = fx.store.set_provider_copy(fx.asset_id(), &copy).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
}

/// Bytes of hidden jobs are deleted after their time; the row, its hash and the books stay.
pub async fn hidden_bytes_are_purged_and_leave_a_tombstone(fx: Fixture) {
    let account = fx.account(200).await;
    let (hidden, kept) = (fx.pending(account, 100).await, fx.pending(account, 100).await);
    fx.done(hidden.id, 100).await;
    fx.advance(31);
    fx.done(kept.id, 100).await;
    let hide = Flags { hidden: Some(true), ..Flags::default() };
    assert!(fx.store.flag_job(hidden.id, account, hide, fx.now()).await.unwrap());
    let asset = fx.store.assets_of(&[hidden.id]).await.unwrap().remove(0);
    assert_eq!(purge(&fx, -100_000).await, []);
    fx.advance(60);
    assert_eq!(purge(&fx, -100_000).await, [asset.id]);
    let tombstone = find(&fx, asset.id).await;
    assert_eq!((tombstone.deleted_at, tombstone.sha256), (Some(fx.now()), asset.sha256));
    assert_eq!((tombstone.state, fx.balance(account).await), (AssetState::Stored, (0, 0)));
    fx.advance(60);
    assert_eq!(purge(&fx, -100_000).await, [asset.id], "nobody said that the bytes are gone");
    assert_eq!(find(&fx, asset.id).await, tombstone);
    fx.store.bytes_gone(&[asset.id, fx.asset_id()]).await.unwrap();
    assert_eq!(purge(&fx, -100_000).await, []);
    assert_eq!(find(&fx, asset.id).await, tombstone);
}

/// What an owner brings back in time keeps its files, is purged if it is hidden again, and so is a file that is stored late.
pub async fn what_is_brought_back_keeps_its_bytes(fx: Fixture) {
    let (job, first) = storing(&fx).await;
    let flag = async |hidden| {
        let flags = Flags { hidden: Some(hidden), ..Flags::default() };
        assert!(fx.store.flag_job(job.id, job.account, flags, fx.now()).await.unwrap());
    };
    assert!(fx.store.asset_stored(first, Some(job.fence), &fx.file(), fx.now()).await.unwrap());
    fx.applied(&fx.settle(&job, 100)).await;
    flag(true).await;
    fx.advance(60);
    flag(false).await;
    assert_eq!(purge(&fx, -100_000).await, []);
    assert_eq!(find(&fx, first).await.deleted_at, None);
    flag(true).await;
    fx.advance(60);
    assert_eq!(purge(&fx, -100_000).await, [first]);
    fx.store.bytes_gone(&[first]).await.unwrap();
    // A failed job that was looked through already, and a gift that is stored for it later.
    let failed = fx.pending(fx.account(100).await, 100).await;
    let failed = fx.failed(failed.id).await;
    let hide = Flags { hidden: Some(true), ..Flags::default() };
    assert!(fx.store.flag_job(failed.id, failed.account, hide, fx.now()).await.unwrap());
    fx.advance(60);
    assert_eq!(purge(&fx, -100_000).await, []);
    let gift = fx.storing(failed.id, 1).await;
    let late = fx.store.assets_of(&[gift.id]).await.unwrap().remove(0).id;
    assert!(fx.store.asset_stored(late, Some(gift.fence), &fx.file(), fx.now()).await.unwrap());
    assert_eq!(purge(&fx, -100_000).await, [], "it has not ended");
    fx.wake_now(gift.id).await;
    let claimed = fx.claim_this(gift.id).await;
    let mut end = fx.step(&claimed, JobState::Done);
    end.patch.gift = true;
    fx.applied(&end).await;
    assert_eq!(purge(&fx, -100_000).await, [late]);
}

/// A stored file whose object is not there is given up once, and taken back as long as the mark is that one; one that is
/// not stored is not given up.
pub async fn a_missing_file_is_given_up_once(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    assert!(!fx.store.give_up_asset(asset, fx.now()).await.unwrap(), "it is not stored");
    assert!(fx.store.asset_stored(asset, Some(job.fence), &fx.file(), fx.now()).await.unwrap());
    assert!(fx.store.give_up_asset(asset, fx.now()).await.unwrap());
    assert!(!fx.store.give_up_asset(asset, fx.after(1)).await.unwrap());
    assert_eq!(find(&fx, asset).await.deleted_at, Some(fx.now()));
    assert_eq!(purge(&fx, 0).await, [], "it has no bytes that could go");
    assert!(!fx.store.take_back_asset(asset, fx.after(1)).await.unwrap(), "another's mark");
    assert!(fx.store.take_back_asset(asset, fx.now()).await.unwrap());
    assert!(!fx.store.take_back_asset(asset, fx.now()).await.unwrap());
    assert_eq!(find(&fx, asset).await.deleted_at, None);
}

/// An upload is what its bytes are; one that never arrived is given up, and so are those of an account that was closed.
pub async fn uploads_are_known_by_content_and_given_up_in_time(fx: Fixture) {
    let account = fx.account(0).await;
    let (arrived, broken) = (upload(&fx, account), upload(&fx, account));
    for upload in [&arrived, &broken] {
        fx.store.add_asset(upload, fx.now()).await.unwrap();
    }
    let file = StoredFile { kind: Some(MediaKind::Video), ..fx.file() };
    assert!(fx.store.asset_stored(arrived.id, None, &file, fx.now()).await.unwrap());
    assert_eq!(find(&fx, arrived.id).await.kind, MediaKind::Video);
    fx.advance(10);
    assert_eq!(purge(&fx, -20).await, []);
    assert_eq!(purge(&fx, 0).await, [broken.id]);
    fx.store.bytes_gone(&[broken.id]).await.unwrap();
    assert_eq!(purge(&fx, 0).await, []);
    fx.store.erase_account(account, fx.now()).await.unwrap();
    fx.advance(1);
    assert_eq!(purge(&fx, 0).await, [arrived.id]);
}

/// Stored assets are listed by id, page by page; what is not stored is not listed.
pub async fn stored_assets_are_listed_in_pages(fx: Fixture) {
    let account = fx.account(0).await;
    let mut wanted: Vec<AssetId> = Vec::new();
    for number in 0..6 {
        let upload = upload(&fx, account);
        fx.store.add_asset(&upload, fx.now()).await.unwrap();
        if number < 5 {
            assert!(fx.store.asset_stored(upload.id, None, &fx.file(), fx.now()).await.unwrap());
            wanted.push(upload.id);
        }
    }
    wanted.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = fx.store.list_stored_assets(Scope::All, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        assert!(page.len() <= 2);
        found.extend(page.into_iter().map(|asset| asset.id));
    }
    assert_eq!(found, wanted);
    let (own, stranger) = (Scope::Account(account), Scope::Account(fx.account(0).await));
    assert_eq!(fx.store.list_stored_assets(own, None, 10).await.unwrap().len(), 5);
    assert_eq!(fx.store.list_stored_assets(stranger, None, 10).await.unwrap(), []);
}

/// A thumbnail that is made later is named once, and the job's version tells of it.
pub async fn a_thumbnail_is_named_once(fx: Fixture) {
    let (job, asset) = storing(&fx).await;
    assert!(!fx.store.set_thumbnail(asset, "early", fx.now()).await.unwrap(), "it is not stored");
    let file = crate::StoredFile { thumbnail: None, ..fx.file() };
    assert!(fx.store.asset_stored(asset, Some(job.fence), &file, fx.now()).await.unwrap());
    let before = fx.job(job.id).await.version;
    fx.advance(1);
    assert!(fx.store.set_thumbnail(asset, "first", fx.now()).await.unwrap());
    assert!(!fx.store.set_thumbnail(asset, "second", fx.now()).await.unwrap());
    assert_eq!(find(&fx, asset).await.thumbnail.as_deref(), Some("first"));
    let after = fx.job(job.id).await;
    assert!(after.version > before && after.updated_at == fx.now());
    assert_eq!(after.fence, job.fence, "the claim goes on");
    assert!(!fx.store.set_thumbnail(fx.asset_id(), "nobody", fx.now()).await.unwrap());
    let upload = upload(&fx, job.account);
    fx.store.add_asset(&upload, fx.now()).await.unwrap();
    assert!(fx.store.asset_stored(upload.id, None, &file, fx.now()).await.unwrap());
    assert!(fx.store.set_thumbnail(upload.id, "of an upload", fx.now()).await.unwrap());
}

/// A claimed job in `storing` with one pending output.
async fn storing(fx: &Fixture) -> (Job, AssetId) {
    let account = fx.account(100).await;
    let job = fx.pending(account, 100).await;
    fx.running(job.id, &fx.word("task")).await;
    fx.storing(job.id, 1).await;
    fx.wake_now(job.id).await;
    let claimed = fx.claim_this(job.id).await;
    let asset = fx.store.assets_of(&[job.id]).await.expect("assets can be read").remove(0);
    (claimed, asset.id)
}

fn upload(fx: &Fixture, account: domain::AccountId) -> NewAsset {
    let id = fx.asset_id();
    NewAsset {
        id,
        account,
        job: None,
        index: 0,
        role: AssetRole::Upload,
        kind: domain::MediaKind::Image,
        source_url: None,
        object: format!("{account}/image/{id}"),
    }
}

/// Purges what was hidden before now and uploads from before `uploads` seconds; the files whose bytes are to go.
async fn purge(fx: &Fixture, uploads: i64) -> Vec<AssetId> {
    let purged = fx.store.purge_assets(fx.now(), fx.after(uploads), fx.now(), 10).await;
    purged.expect("purging runs").into_iter().map(|asset| asset.id).collect()
}

async fn fail(fx: &Fixture, asset: AssetId, fence: i64, error: &str, counts: bool) -> bool {
    let failed = fx.store.asset_failed(asset, fence, error, counts, None, fx.now()).await;
    failed.expect("the try is written")
}

async fn find(fx: &Fixture, asset: AssetId) -> Asset {
    fx.store.find_asset(asset, Scope::All).await.expect("assets can be read").expect("the asset exists")
}
