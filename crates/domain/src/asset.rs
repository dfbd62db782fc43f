//! Assets: the files that are kept.

use crate::{AccountId, AssetId, JobId, Timestamp, text_enum::text_enum};

text_enum!(
    /// What a model makes.
    MediaKind, "kind" {
        /// A still picture.
        Image = "image",
        /// A clip.
        Video = "video",
        /// Sound or music.
        Audio = "audio",
        /// A JSON answer.
        Text = "text",
    }
);

text_enum!(
    /// Why a file is kept.
    AssetRole, "asset role" {
        /// One result of a job; priced and counted.
        Output = "output",
        /// A cover, a first or last frame, a watermarked copy; kept if possible, neither priced nor counted.
        Extra = "extra",
        /// A customer's file for use as input.
        Upload = "upload",
    }
);

text_enum!(
    /// Whether the bytes are in our storage.
    AssetState, "asset state" {
        /// Being copied.
        Pending = "pending",
        /// In our storage.
        Stored = "stored",
        /// Given up.
        Lost = "lost",
    }
);

/// A file of ours, or one that is to become ours. Its row exists before its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its id; part of its public address.
    pub id: AssetId,
    /// Its owner.
    pub account: AccountId,
    /// The job that made it; none for uploads.
    pub job: Option<JobId>,
    /// Place among the job's assets of the same role, from 0.
    pub index: u16,
    /// Why it is kept.
    pub role: AssetRole,
    /// What it is.
    pub kind: MediaKind,
    /// Whether the bytes are stored.
    pub state: AssetState,
    /// Where the provider has it. Never shown to customers.
    pub source_url: Option<String>,
    /// Name of its object in our storage.
    pub object: String,
    /// Type by content, once stored.
    pub content_type: Option<String>,
    /// Length in bytes, once stored.
    pub bytes: Option<u64>,
    /// Hash of the bytes, once stored.
    pub sha256: Option<[u8; 32]>,
    /// Width in pixels, where known.
    pub width: Option<u32>,
    /// Height in pixels, where known.
    pub height: Option<u32>,
    /// Length in milliseconds, where known.
    pub duration_ms: Option<u64>,
    /// Object of the still thumbnail, where one was made.
    pub thumbnail: Option<String>,
    /// Failed tries so far.
    pub tries: u32,
    /// When the first try began.
    pub first_try_at: Option<Timestamp>,
    /// What the last failed try met.
    pub last_error: Option<String>,
    /// A fresh copy of an upload at the provider, and until when it may be used.
    pub provider_copy: Option<(String, Timestamp)>,
    /// When the row was written.
    pub created_at: Timestamp,
    /// When the bytes were deleted at the owner's wish; the row stays as a tombstone.
    pub deleted_at: Option<Timestamp>,
}
