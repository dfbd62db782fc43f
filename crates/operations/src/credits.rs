//! Credits for people.

/// Millionths of a credit as a decimal, with its sign.
pub(crate) fn credits_text(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    format!("{sign}{}", domain::Decimal::from_micro(micro.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn credits_are_decimals_with_a_sign() {
        assert_eq!(super::credits_text(-1_500_000), "-1.5");
        assert_eq!(super::credits_text(20_000_000), "20");
    }
}
