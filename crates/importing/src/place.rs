//! Where a file of the old shop lies, as seen from here.

use lifecycle::OBJECT;

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A source that the storage port can read.
    Source(String),
    /// Nowhere that we can reach; why.
    Unreachable(String),
}

/// Where `asset_url` leads. Behind one of `media_at` it is an object in our storage, which is adopted where it lies, but
/// never one that is a customer's of ours already.
pub(crate) fn place(asset: &str, media_at: &[String]) -> Place {
    let inside =
        media_at.iter().filter(|prefix| !prefix.is_empty()).find_map(|prefix| asset.strip_prefix(&**prefix));
    if let Some(rest) = inside {
        return object(rest);
    }
    if asset.starts_with("https://") || asset.starts_with("http://") {
        return Place::Source(asset.to_owned());
    }
    Place::Unreachable(
        "its asset_url is below no --media-at and is no http(s) address: say by --media-at what such names begin with"
            .to_owned(),
    )
}

fn object(rest: &str) -> Place {
    let name = rest.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let sound = !name.is_empty()
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !name.chars().any(char::is_control);
    if !sound {
        return Place::Unreachable("its asset_url names no object".to_owned());
    }
    if media::key::find_named(name).is_some() {
        return Place::Unreachable("its asset_url names a file of this shop".to_owned());
    }
    Place::Source(format!("{OBJECT}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(asset: &str) -> Place {
        place(asset, &["s3://bucket/".to_owned(), "https://cdn.old/files".to_owned(), String::new()])
    }

    #[test]
    fn files_behind_our_storage_are_objects_and_others_addresses() {
        let source = |text: &str| Place::Source(text.to_owned());
        assert_eq!(at("s3://bucket/a/b.png"), source("object:a/b.png"));
        assert_eq!(at("https://cdn.old/files/a/b.png?v=1"), source("object:a/b.png"));
        assert_eq!(at("https://elsewhere/b.png"), source("https://elsewhere/b.png"));
    }

    #[test]
    fn what_is_below_no_prefix_is_told_as_that() {
        let Place::Unreachable(reason) = at("s3://old-bucket/zzz.png") else { panic!("it was found") };
        assert!(reason.contains("below no --media-at and is no http(s) address"), "{reason}");
    }

    #[test]
    fn nothing_leads_out_of_the_storage_or_to_another_customer() {
        let id = "01990000-0000-7000-8000-000000000001";
        for bad in [
            "s3://bucket/".to_owned(),
            "s3://bucket/../secret".to_owned(),
            "s3://bucket/a//b".to_owned(),
            format!("s3://bucket/{id}/image/{id}"),
            format!("s3://bucket/{id}/upload/{id}"),
            format!("s3://bucket/{id}/image/{id}.thumb.webp"),
            "file:///etc/passwd".to_owned(),
            "object:a.png".to_owned(),
            "uploads/a.png".to_owned(),
        ] {
            assert!(matches!(at(&bad), Place::Unreachable(_)), "{bad}");
        }
    }
}
