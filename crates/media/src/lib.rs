//! Results kept in our own storage: fetched, checked by content, stored, made small, linked.
//!
//! [`copy`] streams a result from its address into a [`MediaStore`] under a name that was fixed before, in memory
//! that does not grow with the file. Nothing becomes visible in the store until the whole body has been read and
//! found sound. [`LinkSigner`] makes the addresses under which customers see it.

mod copy;
mod error;
mod fetch;
mod ingest;
mod inspect;
pub mod key;
mod link;
mod open;
mod probe;
mod range;
mod sniff;
mod store;
mod thumbnail;
mod writer;

pub use copy::{CopyRequest, Stored, adopt, copy, keep_upload};
pub use error::{CopyError, Flaw, MediaError, SourceTrouble};
pub use fetch::{FetchLimits, Fetcher};
pub use link::{LinkError, LinkMode, LinkSigner, Variant};
pub use range::{RangeAnswer, range_answer};
pub use sniff::{extension_of, kind_of, sniff};
pub use store::{ByteRange, MediaStore, Object, ObjectInfo};
pub use thumbnail::{Thumb, ThumbnailError, ThumbnailLimits, Thumbnailer};
