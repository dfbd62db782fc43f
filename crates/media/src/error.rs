//! What can go wrong, named for what the caller can do about it.

use outbound::Blocked;

/// Trouble of our own storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The storage URL or its options cannot be used; the operator must change them.
    #[error("storage address cannot be used: {advice}")]
    Address {
        /// What to write instead.
        advice: String,
        /// What the storage library said, if it was asked.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// No object of this name.
    #[error("no object {name}")]
    NotFound {
        /// The object's name.
        name: String,
    },
    /// The range starts behind the object's end.
    #[error("range is outside of the object")]
    OutOfRange,
    /// Longer than the caller wants to hold in memory.
    #[error("object is too long, {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// The storage refused or did not answer.
    #[error("storage failed to {doing}")]
    Unavailable {
        /// What we were doing.
        doing: &'static str,
        /// What it said.
        #[source]
        source: object_store::Error,
    },
    /// The storage took bytes of this type but gave back others.
    #[error("storage gave back other bytes than it was given ({content_type})")]
    Unfaithful {
        /// The type of the probe.
        content_type: &'static str,
    },
    /// A folder of the local storage cannot be read or written.
    #[error("folder of the storage failed to {doing}")]
    Folder {
        /// What we were doing.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A task that worked for the storage was lost, as happens when the runtime stops.
    #[error("task of the storage was lost")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Why a body is no result, though the source gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// No bytes at all.
    #[error("the body is empty")]
    Empty,
    /// A web page, usually of an error.
    #[error("the body is a web page")]
    Html,
    /// JSON or other text where a picture or sound was due.
    #[error("the body is text")]
    Text,
    /// A type that does not belong to the expected kind.
    #[error("the body is {found}")]
    Type {
        /// The type by content.
        found: &'static str,
    },
    /// No known type.
    #[error("the body is of no known type")]
    Unknown,
    /// Fewer bytes than announced, by the transfer or by the file itself.
    #[error("the body ends early, after {bytes} bytes")]
    Cut {
        /// Bytes that arrived.
        bytes: u64,
    },
    /// Compressed in transit though we did not ask for it.
    #[error("the body is encoded")]
    Encoded,
    /// The source's address is no http address.
    #[error("the address cannot be read")]
    Address,
    /// The address, or a redirect, may not be followed as it is written; the next link may be well.
    #[error("the address cannot be followed: {blocked}")]
    Route {
        /// What was refused.
        blocked: Blocked,
    },
}

/// A source that may work later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceTrouble {
    /// An answer that promises nothing: 5xx, 408, 425, 429, or a redirect without target.
    #[error("source answered {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// No byte for too long, or too long in all.
    #[error("source was too slow")]
    Slow,
    /// The exchange failed.
    #[error("source failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a result was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The link is dead (any 4xx that does not ask for patience): read the record again, ask for a fresh link.
    #[error("link is dead, source answered {status}")]
    Gone {
        /// The HTTP status.
        status: u16,
    },
    /// The source gave something that is no result.
    #[error("source gave no usable bytes")]
    Unusable {
        /// What is wrong with it.
        #[source]
        flaw: Flaw,
    },
    /// The file is longer than we keep.
    #[error("file is longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The link, or a redirect, leads to a private address: final.
    #[error("source is blocked")]
    Blocked {
        /// What was refused.
        #[source]
        blocked: Blocked,
    },
    /// The source does not work at the moment: try later.
    #[error("source has trouble")]
    Source(#[source] SourceTrouble),
    /// Our own storage does not work: alarm, try later, never count it against the output.
    #[error("our storage has trouble")]
    Storage(#[source] MediaError),
}

impl CopyError {
    /// Whether our own storage is to blame, which never counts against the output.
    pub fn is_our_trouble(&self) -> bool {
        matches!(self, Self::Storage(_))
    }

    /// Whether no later try can succeed with this address.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Blocked { .. })
    }

    /// Whether the source itself refused or gave bytes without use, so that the try counts towards giving up.
    pub fn counts_against_output(&self) -> bool {
        !self.is_our_trouble() && !matches!(self, Self::Source(_))
    }

    /// Whether reading the record again, or a fresh download link, may help.
    pub fn wants_new_link(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Unusable { .. })
    }

    /// A short stable word for metrics and the timeline.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "gone",
            Self::Unusable { .. } => "unusable",
            Self::TooLarge { .. } => "too_large",
            Self::Blocked { .. } => "blocked",
            Self::Source(_) => "source",
            Self::Storage(_) => "storage",
        }
    }

    pub(crate) fn cut(bytes: u64) -> Self {
        Self::Unusable { flaw: Flaw::Cut { bytes } }
    }

    pub(crate) fn is_cut(&self) -> bool {
        matches!(self, Self::Unusable { flaw: Flaw::Cut { .. } })
    }
}

impl From<MediaError> for CopyError {
    fn from(error: MediaError) -> Self {
        Self::Storage(error)
    }
}

impl From<Flaw> for CopyError {
    fn from(flaw: Flaw) -> Self {
        Self::Unusable { flaw }
    }
}

impl From<SourceTrouble> for CopyError {
    fn from(trouble: SourceTrouble) -> Self {
        Self::Source(trouble)
    }
}
