//! The `Range` header: one range of bytes.

/// What a request wants of a file of `len` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Whole,
    /// From the first to before the last.
    Part(u64, u64),
    /// Beyond the end.
    Nothing,
}

/// Several ranges or an unknown unit are answered with the whole, as HTTP allows.
pub(crate) fn wanted(header: Option<&str>, len: u64) -> Want {
    let Some(range) = header.and_then(|value| value.strip_prefix("bytes=")) else { return Want::Whole };
    let Some((first, last)) = range.split_once('-') else { return Want::Whole };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), _) if first >= len => Want::Nothing,
        (Ok(first), Ok(last)) if last >= first => Want::Part(first, last.saturating_add(1).min(len)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Want::Part(first, len),
        (Err(_), Ok(0)) if first.trim().is_empty() => Want::Nothing,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => Want::Part(len.saturating_sub(suffix), len),
        _ => Want::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_http() {
        assert_eq!(wanted(None, 10), Want::Whole);
        assert_eq!(wanted(Some("bytes=0-3"), 10), Want::Part(0, 4));
        assert_eq!(wanted(Some("bytes=4-"), 10), Want::Part(4, 10));
        assert_eq!(wanted(Some("bytes=-4"), 10), Want::Part(6, 10));
        assert_eq!(wanted(Some("bytes=-40"), 10), Want::Part(0, 10));
        assert_eq!(wanted(Some("bytes=5-100"), 10), Want::Part(5, 10));
        assert_eq!(wanted(Some("bytes=10-"), 10), Want::Nothing);
        assert_eq!(wanted(Some("bytes=0-1,4-5"), 10), Want::Whole);
        assert_eq!(wanted(Some("lines=1-2"), 10), Want::Whole);
    }
}
