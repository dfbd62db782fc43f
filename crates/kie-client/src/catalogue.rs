//! Tasks from inputs that `kie-catalogue` has validated, and costs in its credits.

use kie_catalogue::ValidInput;
use url::Url;

use crate::{create::NewTask, credits::Credits};

impl<'a> NewTask<'a> {
    /// A task from a validated input, defaults already filled in.
    pub fn from_valid(input: &'a ValidInput, callback_url: Option<&'a Url>) -> Self {
        Self { callback_url, ..Self::new(input.model_id(), input.value()) }
    }
}

impl From<Credits> for kie_catalogue::Credits {
    fn from(credits: Credits) -> Self {
        Self::from_micro(credits.micro())
    }
}

impl From<kie_catalogue::Credits> for Credits {
    fn from(credits: kie_catalogue::Credits) -> Self {
        Self::from_micro(credits.micro())
    }
}
