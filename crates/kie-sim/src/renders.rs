//! Pictures that were drawn lately, so that ranges and repeats do not draw them again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::files::{self, Blob, Format, Wish};
use crate::ids::fnv;
use crate::lock::locked;
use crate::task::Task;

/// About a megabyte each at most.
const KEPT: usize = 32;

/// The newest result files.
#[derive(Default)]
pub(crate) struct Renders {
    kept: Mutex<VecDeque<(String, Arc<Blob>)>>,
}

impl Renders {
    /// The file of a task under this name.
    pub(crate) async fn file(
        &self,
        task: &Arc<Task>,
        name: &str,
        format: Format,
        bytes: Option<u64>,
    ) -> anyhow::Result<Arc<Blob>> {
        let key = format!("{}/{name}", task.order.id);
        if let Some((_, blob)) = locked(&self.kept).iter().find(|(kept, _)| *kept == key) {
            return Ok(Arc::clone(blob));
        }
        let (owner, variant) = (Arc::clone(task), fnv(name));
        let made = tokio::task::spawn_blocking(move || {
            let caption = owner.caption();
            files::make(&Wish { format, caption: &caption, variant, input: &owner.order.input, bytes })
        });
        let blob = Arc::new(made.await??);
        let mut kept = locked(&self.kept);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((key, Arc::clone(&blob)));
        Ok(blob)
    }
}
