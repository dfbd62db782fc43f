//! The `Range` header of a reader.

use std::ops::Range;

/// What to answer to a request for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeAnswer {
    /// The whole, with 200: no range was asked, or one that a server may pass over (several ranges, other units).
    Whole,
    /// These bytes, with 206; never empty.
    Part(Range<u64>),
    /// Nothing, with 416 and `Content-Range: bytes */{length}`.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `bytes` bytes.
pub fn range_answer(header: Option<&str>, bytes: u64) -> RangeAnswer {
    header.and_then(|header| single_range(header, bytes)).unwrap_or(RangeAnswer::Whole)
}

/// None if the header is not one range of bytes in the standard's form.
fn single_range(header: &str, bytes: u64) -> Option<RangeAnswer> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        bytes.saturating_sub(number(last)?)..bytes
    } else {
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(bytes)
    };
    Some(if range.start < range.end { RangeAnswer::Part(range) } else { RangeAnswer::Unsatisfiable })
}

fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number beyond u64 lies beyond every file.
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{RangeAnswer::*, *};

    #[test]
    fn the_standards_forms_are_read() {
        let cases = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..100)),
            ("bytes=10-19", Part(10..20)),
            ("bytes=90-1000", Part(90..100)),
            ("bytes=99-", Part(99..100)),
            ("bytes=-10", Part(90..100)),
            ("bytes=-1000", Part(0..100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=5-4", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=-", Whole),
            ("items=0-1", Whole),
        ];
        for (header, answer) in cases {
            assert_eq!(range_answer(Some(header), 100), answer, "{header}");
        }
        assert_eq!(range_answer(None, 100), Whole);
        assert_eq!(range_answer(Some("bytes=0-"), 0), Unsatisfiable);
    }
}
