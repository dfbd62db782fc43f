//! Names of objects: the only place that knows them.
//!
//! A name is fixed before the first byte arrives, so it carries no extension; the type by content is an attribute
//! of the object where the storage keeps attributes, and a column of its row always.

use std::str::FromStr;

use domain::{AccountId, AssetId, MediaKind};

/// First part of the names of probe objects; they belong to no row and live for moments.
pub const PROBE_PREFIX: &str = "probe";

/// An output or an extra of a job: `{account}/{kind}/{asset}`.
pub fn output(account: AccountId, kind: MediaKind, asset: AssetId) -> String {
    format!("{account}/{kind}/{asset}")
}

/// A customer's own file: `{account}/upload/{asset}`.
pub fn upload(account: AccountId, asset: AssetId) -> String {
    format!("{account}/upload/{asset}")
}

/// The still thumbnail beside an object of ours.
pub fn thumbnail(object: &str) -> String {
    format!("{object}.thumb.webp")
}

/// The object that a thumbnail belongs to; any other name is given back as it is.
pub fn original(name: &str) -> &str {
    name.strip_suffix(".thumb.webp").unwrap_or(name)
}

/// What a name says about its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Whose it is.
    pub account: AccountId,
    /// The asset that it is, or belongs to.
    pub asset: AssetId,
    /// Whether it is derived (a thumbnail), so that it can be made anew.
    pub derived: bool,
}

/// Reads a name back; none if it is not one of ours.
pub fn find_named(name: &str) -> Option<Named> {
    let mut parts = name.split('/');
    let (account, kind, file) = (parts.next()?, parts.next()?, parts.next()?);
    let known = kind == "upload" || MediaKind::from_str(kind).is_ok();
    if parts.next().is_some() || !known {
        return None;
    }
    let (asset, rest) = file.split_once('.').map_or((file, None), |(asset, rest)| (asset, Some(rest)));
    let derived = match rest {
        None => false,
        Some("thumb.webp") => true,
        Some(_) => return None,
    };
    Some(Named { account: account.parse().ok()?, asset: asset.parse().ok()?, derived })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let account: AccountId = "01990000-0000-7000-8000-000000000001".parse().unwrap();
        let asset: AssetId = "01990000-0000-7000-8000-000000000002".parse().unwrap();
        let name = output(account, MediaKind::Video, asset);
        assert_eq!(name, format!("{account}/video/{asset}"));
        assert_eq!(find_named(&name), Some(Named { account, asset, derived: false }));
        let upload = upload(account, asset);
        assert_eq!(find_named(&upload), Some(Named { account, asset, derived: false }));
        for derived in [thumbnail(&name), thumbnail(&upload)] {
            assert_eq!(find_named(&derived), Some(Named { account, asset, derived: true }), "{derived}");
        }
    }

    #[test]
    fn foreign_names_are_not_ours() {
        let id = "01990000-0000-7000-8000-000000000001";
        for name in [
            "",
            "a",
            "probe/1",
            &format!("{id}/picture/{id}"),
            &format!("{id}/image/{id}.png"),
            &format!("{id}/image/{id}/x"),
        ] {
            assert_eq!(find_named(name), None, "{name}");
        }
    }
}
