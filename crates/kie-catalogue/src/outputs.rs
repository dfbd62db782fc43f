//! How many results one request is sure to order.

use serde::Deserialize;
use serde_json::Value;

use crate::quantity::whole_number;
use crate::when::{Fit, Request, When};

/// No request orders more results than this.
const MAX_OUTPUTS: u32 = 32;

/// The first case whose condition holds for certain decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutputCase {
    #[serde(default)]
    when: When,
    count: Option<u32>,
    field: Option<String>,
}

/// Number of results, from 1 to 32.
pub(crate) fn count(cases: &[OutputCase], request: Request<'_>) -> u32 {
    let decided = cases.iter().find(|case| case.when.fit(request) == Fit::Yes);
    decided.and_then(|case| case.value(request)).unwrap_or(1).clamp(1, MAX_OUTPUTS)
}

impl OutputCase {
    fn value(&self, request: Request<'_>) -> Option<u32> {
        if let Some(count) = self.count {
            return Some(count);
        }
        let given: &Value = request.effective(self.field.as_deref()?)?;
        whole_number(given).and_then(|count| u32::try_from(count).ok())
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.when.fields().chain(self.field.as_deref())
    }

    /// Exactly one of a fixed number and a field is named.
    pub(crate) fn is_sound(&self) -> bool {
        self.count.is_some() != self.field.is_some() && self.count.is_none_or(|count| count > 0)
    }
}
