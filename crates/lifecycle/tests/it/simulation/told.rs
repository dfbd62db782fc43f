//! What people were told in the storm stays true, whatever died afterwards.

use std::cell::RefCell;
use std::rc::Rc;

use domain::{AccountId, AssetId, AssetState, JobId, JobState, Scope, TransferId};
use store::{AssetStore, CallbackStore, OrderStore, TransferStore};

use super::Sim;
use crate::kie::Post;

/// A good answer that somebody got.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Ordered {
        account: AccountId,
        key: String,
        jobs: Vec<JobId>,
    },
    Confirmed(JobId),
    Canceled(JobId),
    Uploaded(AssetId),
    Restored(JobId, Vec<AssetId>),
    Refunded(JobId, TransferId),
    /// The provider, that its callback is kept.
    Kept(Post),
}

/// All of them; clones share the list.
#[derive(Clone, Default)]
pub(super) struct Answers(Rc<RefCell<Vec<Told>>>);

impl Answers {
    pub(super) fn add(&self, told: Told) {
        self.0.borrow_mut().push(told);
    }
}

impl Sim {
    /// Every callback that was answered with 200, in the storm and after it.
    pub(super) fn kept_callbacks(&self) -> Vec<Post> {
        let kept = |told: &Told| if let Told::Kept(post) = told { Some(post.clone()) } else { None };
        self.told.0.borrow().iter().filter_map(kept).chain(self.world.kept()).collect()
    }

    pub(super) async fn prove_words_are_kept(&self) {
        let answers = self.told.0.borrow().clone();
        for told in answers {
            assert!(self.is_true(&told).await, "{told:?} is not true any more");
        }
    }

    async fn is_true(&self, told: &Told) -> bool {
        let store = &self.world.store;
        match told {
            Told::Ordered { account, key, jobs } => {
                let kept = store.find_order(*account, key).await.unwrap();
                kept.is_some_and(|(_, kept)| kept.iter().map(|job| job.id).eq(jobs.iter().copied()))
            }
            Told::Confirmed(id) => {
                let bought = self.world.job(*id).await.state != JobState::Draft;
                let history = self.world.history(*id).await;
                bought && !history.iter().any(|(_, words)| words == "draft → canceled")
            }
            Told::Canceled(id) => self.world.job(*id).await.state == JobState::Canceled,
            Told::Uploaded(file) => {
                let row = store.find_asset(*file, Scope::All).await.unwrap();
                row.is_some_and(|row| row.state == AssetState::Stored && row.deleted_at.is_none())
            }
            Told::Restored(id, files) => {
                let assets = self.world.assets(*id).await;
                assets.iter().all(|asset| !files.contains(&asset.id) || asset.deleted_at.is_none())
            }
            Told::Refunded(id, transfer) => {
                let moved = store.find_transfer(*transfer, Scope::All).await.unwrap();
                moved.is_some_and(|moved| moved.job == Some(*id))
            }
            Told::Kept(post) => {
                let Some((id, _)) = self.world.life.keys().read_callback_token(&post.token) else {
                    return false;
                };
                let kept = store.callbacks_with_task(id).await.unwrap();
                !post.genuine || kept.iter().any(|kept| kept.task_id.as_ref() == Some(&post.task))
            }
        }
    }
}
