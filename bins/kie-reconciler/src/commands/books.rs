//! The database as commands use it: as it is, with a clock that goes by it, and a trace of what was done.

use std::sync::Arc;

use operations::{Deed, Foreseen};
use runtime::config::DatabaseConfig;
use runtime::{Ids, Store, Timestamp};

use super::act::note;
use crate::cli::Act;

/// An open database.
pub(super) struct Books {
    pub(super) store: Arc<dyn Store>,
    pub(super) ids: Ids,
}

impl Books {
    /// Opens it as it is: it is neither made nor migrated.
    pub(super) async fn open(config: &DatabaseConfig) -> anyhow::Result<Self> {
        Self::over(runtime::open_store_as_it_is(config).await?).await
    }

    /// Makes it or brings it up to date first: an account may be the first thing that is in it.
    pub(super) async fn make(config: &DatabaseConfig) -> anyhow::Result<Self> {
        Self::over(runtime::open_store(config).await?).await
    }

    async fn over(store: Arc<dyn Store>) -> anyhow::Result<Self> {
        let ids = runtime::ids_by(&*store).await?;
        Ok(Self { store, ids })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.ids.now()
    }

    /// What a deed would do, or why it is refused.
    pub(super) async fn foresee(&self, deed: &Deed<'_>) -> anyhow::Result<Foreseen> {
        operations::foresee(&*self.store, &self.ids, deed).await
    }

    /// Leaves the trace of an act; before the act, so that none is without.
    pub(super) async fn note(&self, command: &str, subject: &str, act: &Act) -> anyhow::Result<()> {
        note((&*self.store, self.now()), (command, subject), act).await
    }

    pub(super) async fn close(self) {
        self.store.close().await;
    }
}
