//! One pass over an old shop: all users first, then all generations, in portions.

use std::collections::HashSet;

use domain::{Chance, Currency, Timestamp, TransferId};
use futures_util::{Stream, StreamExt};
use lifecycle::Lifecycle;
use old_shops::{OldShop, OldShopError, Read};
use store::{Store, StoreError};
use thiserror::Error;

use crate::desk::Desk;
use crate::report::ImportReport;
use crate::seen::Seen;
use crate::{ImportOptions, generations, users};

/// What old balances and prices are in, by the names of their columns.
pub(crate) const ROUBLES: &str = "RUB";
/// Rows that are looked up together.
const PORTION: usize = 200;

/// Why a row is refused that would be written to a closed account.
pub(crate) const ERASED: &str = "the account was erased here";

/// Why an import stopped. What was written stays; the next pass goes on.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The old shop's database.
    #[error("the old shop cannot be read")]
    Old(#[from] OldShopError),
    /// Our database.
    #[error("the import cannot be written")]
    Store(#[from] StoreError),
    /// Old balances are roubles.
    #[error("old balances and prices are in roubles, but this shop's currency is {0}")]
    Currency(String),
}

/// What all parts of a pass need.
pub(crate) struct Pass<'a> {
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) options: &'a ImportOptions,
    /// All writing goes there.
    pub(crate) desk: Desk<'a>,
}

impl Pass<'_> {
    pub(crate) fn store(&self) -> &dyn Store {
        self.lifecycle.store()
    }

    pub(crate) fn chance(&self) -> &dyn Chance {
        &*self.lifecycle.ids().chance
    }

    /// The present. A pass may take hours, so each row asks once for itself.
    pub(crate) fn now(&self) -> Timestamp {
        self.lifecycle.ids().now()
    }

    pub(crate) fn transfer_id(&self, now: Timestamp) -> TransferId {
        TransferId::generate(now, self.chance())
    }

    pub(crate) fn currency(&self) -> &Currency {
        &self.lifecycle.policy().currency
    }

    /// The key of a movement that comes of a row; unique in the whole shop.
    pub(crate) fn money_key(&self, noun: &str, key: &str, what: &str) -> String {
        format!("adjust:import:{}:{noun}:{key}:{what}", self.options.shop)
    }
}

/// Takes over what is new or changed in an old shop. `progress` hears how many generations of how many are done.
///
/// # Errors
/// When one of the databases cannot be used. A row with trouble is in the report.
pub async fn import(
    lifecycle: &Lifecycle,
    old: &mut OldShop,
    options: &ImportOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<ImportReport, ImportError> {
    let pass = Pass { lifecycle, options, desk: Desk::new(lifecycle, options.dry_run) };
    let mut report = ImportReport::new(&options.shop, old.layout().as_str(), options.dry_run);
    let total = old.count().await?;
    progress(0, total);
    let mut crowd = users::Crowd::new(twice(old.user_keys()).await?);
    {
        let mut rows = old.users().chunks(PORTION);
        while let Some(portion) = next(&mut rows).await? {
            users::take_over(&pass, portion, &mut crowd, &mut report).await?;
        }
    }
    let generations_twice = twice(old.generation_keys()).await?;
    let mut course = generations::Course::new(crowd, generations_twice, options.per_second);
    let mut done = 0_u64;
    let mut rows = old.generations().chunks(PORTION);
    while let Some(portion) = next(&mut rows).await? {
        done = done.saturating_add(portion.len() as u64);
        generations::take_over(&pass, portion, &mut course, &mut report).await?;
        progress(done, total);
    }
    Ok(report)
}

/// The keys that are there more than once. Which of their rows is the right one nobody can tell.
async fn twice(
    mut keys: impl Stream<Item = Result<Read<String>, OldShopError>> + Unpin,
) -> Result<HashSet<String>, OldShopError> {
    let (mut seen, mut twice) = (Seen::default(), HashSet::new());
    while let Some(read) = keys.next().await {
        // A row without a readable key is refused for that.
        if let Some(key) = read?.ok().filter(|key| !seen.meet(key)) {
            twice.insert(key);
        }
    }
    Ok(twice)
}

/// The next portion; the first error of the source ends the pass.
async fn next<T>(
    rows: &mut (impl Stream<Item = Vec<Result<Read<T>, OldShopError>>> + Unpin),
) -> Result<Option<Vec<Read<T>>>, ImportError> {
    match rows.next().await {
        Some(portion) => Ok(Some(portion.into_iter().collect::<Result<_, _>>()?)),
        None => Ok(None),
    }
}

/// Whether the error says that the database is away, so that going on is in vain.
pub(crate) fn row_error(error: StoreError) -> Result<String, ImportError> {
    if error.is_unavailable() {
        return Err(error.into());
    }
    Ok(match &error {
        StoreError::Internal(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    })
}
