//! Copying from real servers into a folder and into an S3-compatible server.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod adopting;
mod bucket;
mod copying;
mod s3;
mod samples;
mod source;
mod storing;
mod thumbnails;
