//! Addresses of files that their owner may hand on: signed, stable for hours, or permanent.

use std::fmt;

use domain::{AssetId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Expiry is rounded up to multiples of this, so that a page shows the same address for hours and caches work.
const STEP_SECONDS: i64 = 6 * 60 * 60;
/// Keeps signatures of links apart from other uses of the same key.
const PURPOSE: &[u8] = b"kie media link v1";
/// 128 bits of the MAC are enough for a link.
const SIGNATURE_BYTES: usize = 16;

/// Which file of an asset a link shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// The file itself.
    Original,
    /// The still thumbnail.
    Thumbnail,
    /// Kept for a short loop or wave: the name is taken, but none is made and no link shows one.
    Preview,
}

impl Variant {
    /// The variant's word in signatures, and the last part of the path for derived files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Thumbnail => "thumbnail",
            Self::Preview => "preview",
        }
    }

    /// The variant that the last part of a path means: any other name is the file itself.
    pub fn of_path_name(name: &str) -> Self {
        match name {
            "thumbnail" => Self::Thumbnail,
            "preview" => Self::Preview,
            _ => Self::Original,
        }
    }
}

/// Whether links end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkMode {
    /// Links are good for 6 to 12 hours.
    #[default]
    Signed,
    /// Links are permanent and cannot be guessed; signed ones are good too.
    Public,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was good once.
    #[error("link has expired")]
    Expired,
    /// It was never ours, or has been changed.
    #[error("link is not valid")]
    Bad,
}

/// Makes and judges links. New ones are signed with the current key; previous keys still open theirs.
#[derive(Clone)]
pub struct LinkSigner {
    mode: LinkMode,
    current: Hmac<Sha256>,
    previous: Vec<Hmac<Sha256>>,
}

impl LinkSigner {
    /// A signer over the deployment's secret keys; the keys' strength is the caller's to check.
    pub fn new<'a>(mode: LinkMode, current: &[u8], previous: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { mode, current: keyed(current), previous: previous.into_iter().map(keyed).collect() }
    }

    /// Path and query under our public address: `/media/{asset}/{name}?exp=…&sig=…`.
    ///
    /// `file_name` is what a download is called; derived variants have names of their own. Characters outside of
    /// ASCII letters, digits, dot, dash and underscore become dashes. In [`LinkMode::Public`] `exp` is 0.
    pub fn link(&self, asset: AssetId, variant: Variant, file_name: &str, now: Timestamp) -> String {
        let name =
            if variant == Variant::Original { path_name(file_name) } else { variant.as_str().to_owned() };
        let (exp, sig) = match self.mode {
            LinkMode::Signed => self.sign(asset, variant, now),
            LinkMode::Public => (0, self.sign_permanent(asset, variant)),
        };
        format!("/media/{asset}/{name}?exp={exp}&sig={sig}")
    }

    /// Expiry in Unix seconds (6 to 12 hours from now, the same for all who ask within 6 hours) and signature.
    pub fn sign(&self, asset: AssetId, variant: Variant, now: Timestamp) -> (i64, String) {
        let exp = expiry(now);
        (exp, self.signature(asset, variant, exp))
    }

    /// The signature of a link without end, valid with expiry 0 in [`LinkMode::Public`] alone.
    pub fn sign_permanent(&self, asset: AssetId, variant: Variant) -> String {
        self.signature(asset, variant, 0)
    }

    /// Judges a link in constant time; a false signature is [`LinkError::Bad`] whatever its expiry.
    pub fn verify(
        &self,
        asset: AssetId,
        variant: Variant,
        exp: i64,
        sig: &str,
        now: Timestamp,
    ) -> Result<(), LinkError> {
        let given = decoded(sig).ok_or(LinkError::Bad)?;
        let keys = std::iter::once(&self.current).chain(&self.previous);
        let signs = |key: &Hmac<Sha256>| {
            bool::from(subtle::ConstantTimeEq::ct_eq(&mac(key, asset, variant, exp)[..], &given[..]))
        };
        if !keys.fold(false, |found, key| signs(key) | found) {
            return Err(LinkError::Bad);
        }
        match (exp, self.mode) {
            (0, LinkMode::Public) => Ok(()),
            (0, LinkMode::Signed) => Err(LinkError::Expired),
            _ if exp < now.as_second() => Err(LinkError::Expired),
            _ => Ok(()),
        }
    }

    fn signature(&self, asset: AssetId, variant: Variant, exp: i64) -> String {
        hex::encode(mac(&self.current, asset, variant, exp))
    }
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSigner").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The multiple of the step that lies 6 to 12 hours ahead.
fn expiry(now: Timestamp) -> i64 {
    let step = now.as_second().div_euclid(STEP_SECONDS) + 2;
    step * STEP_SECONDS
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::new_from_slice(key).expect("a key of any length is valid")
}

fn mac(key: &Hmac<Sha256>, asset: AssetId, variant: Variant, exp: i64) -> [u8; SIGNATURE_BYTES] {
    let message = format!("\n{asset}\n{}\n{exp}", variant.as_str());
    let full = key.clone().chain_update(PURPOSE).chain_update(message).finalize().into_bytes();
    let mut short = [0; SIGNATURE_BYTES];
    short.copy_from_slice(&full[..SIGNATURE_BYTES]);
    short
}

fn decoded(sig: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut bytes = [0; SIGNATURE_BYTES];
    hex::decode_to_slice(sig, &mut bytes).ok()?;
    Some(bytes)
}

fn path_name(file_name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = file_name.chars().take(100).map(plain).collect();
    let special = name.trim_matches('.').is_empty() || Variant::of_path_name(&name) != Variant::Original;
    if special { format!("file-{}", name.trim_matches('.')) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const OLD: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn asset(last: u8) -> AssetId {
        format!("01990000-0000-7000-8000-0000000000{last:02}").parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn links_are_stable_for_six_hours_and_good_for_six_to_twelve() {
        let signer = LinkSigner::new(LinkMode::Signed, KEY, []);
        let start = 100 * STEP_SECONDS;
        let first = signer.link(asset(1), Variant::Original, "a.png", at(start));
        assert_eq!(first, signer.link(asset(1), Variant::Original, "a.png", at(start + STEP_SECONDS - 1)));
        assert_ne!(first, signer.link(asset(1), Variant::Original, "a.png", at(start + STEP_SECONDS)));
        for now in [start, start + 1, start + STEP_SECONDS - 1] {
            let (exp, sig) = signer.sign(asset(1), Variant::Original, at(now));
            assert!(exp - now > 6 * 3600 && exp - now <= 12 * 3600, "{}", exp - now);
            let verify = |second| signer.verify(asset(1), Variant::Original, exp, &sig, at(second));
            assert_eq!(verify(now), Ok(()));
            assert_eq!(verify(exp), Ok(()));
            assert_eq!(verify(exp + 1), Err(LinkError::Expired));
        }
    }

    #[test]
    fn a_changed_link_is_bad() {
        let signer = LinkSigner::new(LinkMode::Signed, KEY, []);
        let now = at(1_700_000_000);
        let (exp, sig) = signer.sign(asset(1), Variant::Thumbnail, now);
        let verify = |asset, variant, exp, sig: &str| signer.verify(asset, variant, exp, sig, now);
        assert_eq!(verify(asset(1), Variant::Thumbnail, exp, &sig), Ok(()));
        assert_eq!(verify(asset(2), Variant::Thumbnail, exp, &sig), Err(LinkError::Bad));
        assert_eq!(verify(asset(1), Variant::Original, exp, &sig), Err(LinkError::Bad));
        assert_eq!(verify(asset(1), Variant::Thumbnail, exp + STEP_SECONDS, &sig), Err(LinkError::Bad));
        assert_eq!(verify(asset(1), Variant::Thumbnail, 0, &sig), Err(LinkError::Bad));
        for wrong in ["", "00", &sig[..30], &format!("{sig}00"), &sig.replace(&sig[..1], "g")] {
            assert_eq!(verify(asset(1), Variant::Thumbnail, exp, wrong), Err(LinkError::Bad), "{wrong}");
        }
    }

    #[test]
    fn previous_keys_open_and_foreign_keys_do_not() {
        let old = LinkSigner::new(LinkMode::Signed, OLD, []);
        let new = LinkSigner::new(LinkMode::Signed, KEY, [OLD]);
        let now = at(1_700_000_000);
        let (exp, sig) = old.sign(asset(1), Variant::Original, now);
        assert_eq!(new.verify(asset(1), Variant::Original, exp, &sig, now), Ok(()));
        let (exp, sig) = new.sign(asset(1), Variant::Original, now);
        assert_eq!(old.verify(asset(1), Variant::Original, exp, &sig, now), Err(LinkError::Bad));
        assert!(!format!("{new:?}").contains("0123"), "keys are not printed");
    }

    #[test]
    fn permanent_links_open_in_public_mode_alone() {
        let public = LinkSigner::new(LinkMode::Public, KEY, []);
        let signed = LinkSigner::new(LinkMode::Signed, KEY, []);
        let (now, later) = (at(1_700_000_000), at(4_000_000_000));
        let sig = public.sign_permanent(asset(1), Variant::Original);
        let link = public.link(asset(1), Variant::Original, "a.png", now);
        assert_eq!(link, format!("/media/{}/a.png?exp=0&sig={sig}", asset(1)));
        assert_eq!(public.verify(asset(1), Variant::Original, 0, &sig, later), Ok(()));
        assert_eq!(signed.verify(asset(1), Variant::Original, 0, &sig, now), Err(LinkError::Expired));
        let (exp, sig) = signed.sign(asset(1), Variant::Original, now);
        assert_eq!(public.verify(asset(1), Variant::Original, exp, &sig, now), Ok(()));
    }

    #[test]
    fn file_names_stay_plain_and_apart_from_variants() {
        let cases = [
            ("a.png", "a.png"),
            ("кот 1.png", "----1.png"),
            ("../x", "..-x"),
            ("preview", "file-preview"),
            ("..", "file-"),
            ("", "file-"),
        ];
        for (given, shown) in cases {
            assert_eq!(path_name(given), shown, "{given}");
        }
        assert_eq!(Variant::of_path_name("thumbnail"), Variant::Thumbnail);
    }
}
