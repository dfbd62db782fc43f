//! How many uploads run at once: each holds memory and a connection to the storage, so there are few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::AccountId;

use crate::problem::{Kind, Problem};

/// At once in this process.
const ALL_MAX: usize = 8;
/// At once of one account, so that one cannot take them all.
const ACCOUNT_MAX: usize = 2;
/// Most uploads are over by then.
const COME_AGAIN_S: u64 = 5;

type Taken = Arc<Mutex<HashMap<AccountId, usize>>>;

/// The places for uploads; nobody waits for one.
#[derive(Default)]
pub(crate) struct UploadPlaces(Taken);

/// One place, free again when this is dropped.
pub(crate) struct UploadPlace {
    taken: Taken,
    account: AccountId,
}

impl UploadPlaces {
    pub(crate) fn take(&self, account: AccountId) -> Result<UploadPlace, Problem> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&account).copied().unwrap_or(0);
        if own >= ACCOUNT_MAX || taken.values().sum::<usize>() >= ALL_MAX {
            let detail = "too many uploads run at once: wait for one to end, then send it again";
            return Err(Problem::new(Kind::RateLimited).detail(detail).retry_after(COME_AGAIN_S));
        }
        taken.insert(account, own + 1);
        Ok(UploadPlace { taken: self.0.clone(), account })
    }
}

impl Drop for UploadPlace {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.account) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let places = UploadPlaces::default();
        let account = |n: u8| AccountId::from_uuid(uuid::Uuid::from_bytes([n; 16]));
        let mut held: Vec<UploadPlace> =
            (0..8).map(|n| places.take(account(n / 2)).unwrap_or_else(|_| panic!("place {n}"))).collect();
        assert!(places.take(account(0)).is_err(), "two of one account");
        assert!(places.take(account(9)).is_err(), "eight of all");
        held.pop();
        assert!(places.take(account(0)).is_err());
        let ninth = places.take(account(9));
        assert!(ninth.is_ok());
        drop((held, ninth));
        assert!(places.0.lock().unwrap().is_empty(), "nothing is remembered of those who left");
    }
}
