//! Secrets derived from `SECRET_KEY`: callback tokens; and the form of account tokens.

use domain::{Chance, JobId};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Why a `SECRET_KEY` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretKeyError {
    /// Too short.
    #[error("it has fewer than 32 bytes: make one with `openssl rand -hex 32`")]
    Short,
    /// Too regular.
    #[error("it has fewer than 12 different characters: make one with `openssl rand -hex 32`")]
    Monotonous,
    /// Known from an example.
    #[error("it is a known example: make one with `openssl rand -hex 32`")]
    Known,
}

/// The current secret key and previous ones, which still verify. `Debug` shows none.
#[derive(Debug, Clone)]
pub struct SecretKeys {
    current: SecretString,
    previous: Vec<SecretString>,
}

const PURPOSE_CALLBACK: &str = "kie callback token v1";
const MAC_BYTES: usize = 16;

impl SecretKeys {
    /// Takes the keys; every one is checked.
    pub fn new(current: SecretString, previous: Vec<SecretString>) -> Result<Self, SecretKeyError> {
        for key in std::iter::once(&current).chain(&previous) {
            check(key.expose_secret())?;
        }
        Ok(Self { current, previous })
    }

    /// A key for one purpose, made from the current secret: 32 bytes.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(self.current.expose_secret().as_bytes(), purpose.as_bytes())
    }

    /// The same for every previous secret.
    pub fn derive_previous(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.previous.iter().map(|key| mac(key.expose_secret().as_bytes(), purpose.as_bytes())).collect()
    }

    /// The token of the callback address of one attempt: job, number and MAC.
    pub fn callback_token(&self, job: JobId, attempt: u16) -> String {
        let claim = claim(job, attempt);
        let tag = mac(&self.derive(PURPOSE_CALLBACK), claim.as_bytes());
        format!("{claim}-{}", hex::encode(&tag[..MAC_BYTES]))
    }

    /// The job and attempt that a genuine token names. The comparison takes the same time for every wrong MAC.
    pub fn read_callback_token(&self, token: &str) -> Option<(JobId, u16)> {
        let (claimed, tag) = token.rsplit_once('-')?;
        let (job, attempt) = claimed.split_once('-')?;
        let (job, attempt) = (job.parse().ok()?, attempt.parse().ok()?);
        let tag = hex::decode(tag).ok().filter(|tag| tag.len() == MAC_BYTES)?;
        let keys =
            std::iter::once(self.derive(PURPOSE_CALLBACK)).chain(self.derive_previous(PURPOSE_CALLBACK));
        let message = claim(job, attempt);
        let genuine = keys.fold(subtle::Choice::from(0), |found, key| {
            found | mac(&key, message.as_bytes())[..MAC_BYTES].ct_eq(&tag)
        });
        bool::from(genuine).then_some((job, attempt))
    }
}

fn claim(job: JobId, attempt: u16) -> String {
    format!("{}-{attempt}", job.as_uuid().simple())
}

fn check(key: &str) -> Result<(), SecretKeyError> {
    const KNOWN: [&str; 4] = ["change-me", "changeme", "0123456789abcdef0123456789abcdef", "please-replace"];
    if key.len() < 32 {
        return Err(SecretKeyError::Short);
    }
    let different: std::collections::HashSet<char> = key.chars().collect();
    if different.len() < 12 {
        return Err(SecretKeyError::Monotonous);
    }
    let known = KNOWN.iter().any(|known| key.to_ascii_lowercase().contains(known));
    if known { Err(SecretKeyError::Known) } else { Ok(()) }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// A new bearer token, `kie_` and 64 hex digits (256 random bits); it is shown once and kept only as its hash.
pub fn account_token(chance: &dyn Chance) -> SecretString {
    let mut bytes = [0_u8; 32];
    chance.fill(&mut bytes);
    SecretString::from(format!("kie_{}", hex::encode(bytes)))
}

/// What is kept of a token.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: &[&str]) -> SecretKeys {
        let secret = |text: &&str| SecretString::from((*text).to_owned());
        SecretKeys::new(secret(&current), previous.iter().map(secret).collect()).unwrap()
    }

    const ONE: &str = "7f3a9c1e5b8d2046f1e3c5a79b8d6042";
    const OTHER: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";

    #[test]
    fn a_token_is_read_under_its_own_key_and_under_previous_ones_only() {
        let job = "0190f3a0-0000-7000-8000-000000000001".parse().unwrap();
        let token = keys(ONE, &[]).callback_token(job, 2);
        assert_eq!(keys(ONE, &[]).read_callback_token(&token), Some((job, 2)));
        assert_eq!(keys(OTHER, &[ONE]).read_callback_token(&token), Some((job, 2)));
        assert_eq!(keys(OTHER, &[]).read_callback_token(&token), None);
        assert_eq!(keys(ONE, &[]).read_callback_token(&token.replace("-2-", "-3-")), None);
        for hostile in ["", "-", "--", "x-1-00", &token[..token.len() - 2], &format!("{token}00")] {
            assert_eq!(keys(ONE, &[]).read_callback_token(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        let make = |text: &str| SecretKeys::new(SecretString::from(text.to_owned()), vec![]).map(drop);
        assert_eq!(make("short"), Err(SecretKeyError::Short));
        assert_eq!(make(&"ab".repeat(20)), Err(SecretKeyError::Monotonous));
        assert_eq!(make("change-me-change-me-0123456789-xyz"), Err(SecretKeyError::Known));
    }
}
