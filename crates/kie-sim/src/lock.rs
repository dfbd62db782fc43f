//! Locks that outlive a panic: a test that dies holding one must not take the simulator along.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guard, poisoned or not; every critical section here leaves its data whole.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
