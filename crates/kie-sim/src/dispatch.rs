//! Callbacks that a test orders: any body to any address, for families whose tasks are not made here.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::callback;
use crate::lock::locked;
use crate::world::World;

/// More than so many under way are refused.
const COUNT_MAX: usize = 10_000;
/// So are those that would be longer than this together.
const BYTES_MAX: usize = 64 << 20;

/// What is under way: how many, and how long together.
#[derive(Default)]
pub(crate) struct Dispatch(Mutex<(usize, usize)>);

impl Dispatch {
    fn take(&self, bytes: usize) -> Result<(), String> {
        let mut under_way = locked(&self.0);
        if under_way.0 >= COUNT_MAX {
            return Err(format!("there are {COUNT_MAX} callbacks under way already"));
        }
        if under_way.1 + bytes > BYTES_MAX {
            return Err(format!("the callbacks under way would be longer than {BYTES_MAX} bytes together"));
        }
        *under_way = (under_way.0 + 1, under_way.1 + bytes);
        Ok(())
    }

    fn release(&self, bytes: usize) {
        let mut under_way = locked(&self.0);
        *under_way = (under_way.0.saturating_sub(1), under_way.1.saturating_sub(bytes));
    }
}

/// Sends a body in the background, signed for its task and repeated as any callback; the error says what is wrong
/// with the request.
pub(crate) fn send(world: &Arc<World>, url: &str, task_id: &str, body: &Value) -> Result<(), String> {
    let reachable = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !reachable {
        return Err(format!("`{url}` is no http or https address"));
    }
    if task_id.is_empty() {
        return Err("a callback needs the task id that it is signed for".to_owned());
    }
    let body = Bytes::from(body.to_string());
    world.dispatch.take(body.len())?;
    let (world, url, task_id) = (Arc::clone(world), url.to_owned(), task_id.to_owned());
    let running = world.running.clone();
    running.spawn(async move {
        let (stop, bytes) = (world.stop.clone(), body.len());
        stop.run_until_cancelled(callback::send_given(&world, &task_id, &url, body)).await;
        world.dispatch.release(bytes);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_bounded() {
        let dispatch = Dispatch::default();
        dispatch.take(BYTES_MAX).unwrap();
        assert!(dispatch.take(1).unwrap_err().contains("bytes together"));
        dispatch.release(BYTES_MAX);
        for _ in 0..COUNT_MAX {
            dispatch.take(1).unwrap();
        }
        assert!(dispatch.take(0).unwrap_err().contains("already"));
    }
}
