//! The provider's signature of a callback: it covers the task id and the time, not the body.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-webhook-timestamp";
/// The header with the signature, base64 of 32 bytes.
pub const SIGNATURE_HEADER: &str = "x-webhook-signature";

const MAX_TIMESTAMP: usize = 12;

/// Checks the signature of a callback in constant time, then the age of its timestamp: at most `tolerance` seconds
/// before or after `now_unix`. Receivers in the field use 300 to 900 seconds; whether the provider signs a repeated
/// delivery anew is unknown.
///
/// ```
/// use std::time::Duration;
/// use kie_client::callback::verify_signature;
///
/// let verified = verify_signature(
///     &"whk_sample_0123456789abcdef".into(),
///     "5e0b7c1d9f2a4836b1c0d2e3f4a59687",
///     "1769670760",
///     "XnciktOYSuurEHAEozAeF8xGogDjw4vOCT2VMPhGNHQ=",
///     1_769_670_765,
///     Duration::from_mins(10),
/// );
/// assert!(verified.is_ok());
/// ```
pub fn verify_signature(
    key: &SecretString,
    task_id: &str,
    timestamp: &str,
    signature: &str,
    now_unix: i64,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    if key.expose_secret().is_empty() {
        return Err(SignatureError::NoKey);
    }
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || timestamp.len() > MAX_TIMESTAMP {
        return Err(SignatureError::InvalidTimestamp);
    }
    let sent_at: i64 = timestamp.parse().map_err(|_error| SignatureError::InvalidTimestamp)?;
    let expected = sign(key, task_id, timestamp);
    if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
        return Err(SignatureError::Mismatch);
    }
    if now_unix.abs_diff(sent_at) > tolerance.as_secs() {
        return Err(SignatureError::Stale);
    }
    Ok(())
}

/// The signature that the provider sends for this id and the text of the timestamp.
#[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
pub fn sign(key: &SecretString, task_id: &str, timestamp: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("a key of any length");
    mac.update(task_id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key is empty, which would accept what anybody can sign.
    #[error("the signature cannot be checked without a key")]
    NoKey,
    /// The timestamp is not a number of seconds.
    #[error("the timestamp of the callback is not a number of seconds")]
    InvalidTimestamp,
    /// The signature is not of this key, task and time.
    #[error("the signature of the callback is wrong")]
    Mismatch,
    /// The signature is right and too old, or from too far ahead.
    #[error("the signature of the callback is out of time")]
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e0b7c1d9f2a4836b1c0d2e3f4a59687";
    const TIME: &str = "1769670760";
    const SIGNATURE: &str = "XnciktOYSuurEHAEozAeF8xGogDjw4vOCT2VMPhGNHQ=";
    const NOW: i64 = 1_769_670_760;

    fn verify(key: &str, id: &str, time: &str, signature: &str, now: i64) -> Result<(), SignatureError> {
        verify_signature(&key.into(), id, time, signature, now, Duration::from_mins(5))
    }

    #[test]
    fn the_worked_example() {
        let key = "whk_sample_0123456789abcdef";
        assert_eq!(sign(&key.into(), ID, TIME), SIGNATURE);
        assert_eq!(verify(key, ID, TIME, SIGNATURE, NOW), Ok(()));
        assert_eq!(verify(key, ID, TIME, SIGNATURE, NOW + 300), Ok(()));
        assert_eq!(verify(key, ID, TIME, SIGNATURE, NOW - 300), Ok(()));
    }

    #[test]
    fn everything_else_is_refused() {
        let key = "whk_sample_0123456789abcdef";
        assert_eq!(verify(key, ID, TIME, SIGNATURE, NOW + 301), Err(SignatureError::Stale));
        assert_eq!(verify(key, ID, TIME, SIGNATURE, NOW - 301), Err(SignatureError::Stale));
        assert_eq!(verify(key, ID, TIME, SIGNATURE, i64::MIN), Err(SignatureError::Stale));
        assert_eq!(verify("other", ID, TIME, SIGNATURE, NOW), Err(SignatureError::Mismatch));
        assert_eq!(verify(key, "other", TIME, SIGNATURE, NOW), Err(SignatureError::Mismatch));
        assert_eq!(verify(key, ID, "1769670761", SIGNATURE, NOW), Err(SignatureError::Mismatch));
        assert_eq!(verify(key, ID, TIME, "", NOW), Err(SignatureError::Mismatch));
        assert_eq!(
            verify(key, ID, TIME, SIGNATURE.trim_end_matches('='), NOW),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(verify("", ID, TIME, SIGNATURE, NOW), Err(SignatureError::NoKey));
        for time in ["", "abc", "-1", "+1769670760", "1769670760.5", "9999999999999", " 1769670760"] {
            assert_eq!(
                verify(key, ID, time, SIGNATURE, NOW),
                Err(SignatureError::InvalidTimestamp),
                "{time}"
            );
        }
    }
}
