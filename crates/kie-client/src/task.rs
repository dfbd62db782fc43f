//! The provider's name of a task, checked once so that it is safe in addresses, logs and keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const MAX_LEN: usize = 128;

/// The provider's id of a task: opaque, 1 to 128 characters of `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

impl TaskId {
    /// Checks the shape of an id.
    ///
    /// ```
    /// use kie_client::TaskId;
    /// assert!(TaskId::new("task_wan_1765180586443").is_ok());
    /// assert!(TaskId::new("../credit").is_err());
    /// ```
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidTaskId> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > MAX_LEN || !text.bytes().all(allowed) {
            return Err(InvalidTaskId);
        }
        Ok(Self(text))
    }

    /// The id as the provider spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for TaskId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

/// The text is not a task id: empty, longer than 128, or with a character outside `[A-Za-z0-9._-]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a task id: 1 to 128 of letters, digits, dot, underscore and hyphen are allowed")]
#[non_exhaustive]
pub struct InvalidTaskId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_shapes_that_were_seen() {
        for id in
            ["5e0b7c1d9f2a4836b1c0d2e3f4a59687", "task_nano-banana-2_1769670760123", "a.b", &"x".repeat(128)]
        {
            assert_eq!(TaskId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for id in ["", " ", "a b", "a/b", "идентификатор", "a\n", &"x".repeat(129)] {
            assert_eq!(TaskId::new(id), Err(InvalidTaskId), "{id:?}");
        }
    }

    #[test]
    fn deserialises_with_the_same_check() {
        assert!(serde_json::from_str::<TaskId>("\"ok-1\"").is_ok());
        assert!(serde_json::from_str::<TaskId>("\"not ok\"").is_err());
    }
}
