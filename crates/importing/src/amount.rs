//! Amounts as old shops wrote them: decimals, sometimes with the noise of floats.

use domain::{Currency, Money};

/// So many nines or noughts behind the minor unit are the noise of a float beside the amount that was meant.
const NOISE: usize = 6;

/// An amount in major units, exactly, or what is wrong with it: a part of a minor unit is nobody's to give or take.
pub(crate) fn amount(text: &str, currency: &Currency) -> Result<Money, &'static str> {
    let none = "is no amount";
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let kept = usize::from(currency.digits()).min(fraction.len());
    let (minor, rest) = fraction.split_at_checked(kept).ok_or(none)?;
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(none);
    }
    let point = if minor.is_empty() { "" } else { "." };
    let exact = currency.parse_amount(&format!("{sign}{whole}{point}{minor}")).map_err(|_bad| none)?;
    let begins = |digit: u8| rest.len() >= NOISE && rest.bytes().take(NOISE).all(|byte| byte == digit);
    if begins(b'9') {
        let one = Money::from_minor(if sign.is_empty() { 1 } else { -1 });
        return exact.plus(one).map_err(|_bad| none);
    }
    if begins(b'0') || rest.bytes().all(|byte| byte == b'0') {
        return Ok(exact);
    }
    Err("has a part that is less than the smallest unit of money: round it in the old shop")
}

/// Why a cell with an amount is refused.
pub(crate) fn refusal(name: &str, text: &str, reason: &str) -> String {
    format!("{name} `{}` {reason}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rub(text: &str) -> Option<i64> {
        amount(text, &"RUB".parse().unwrap()).ok().map(Money::minor)
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!(rub("100"), Some(10_000));
        assert_eq!(rub("100.5"), Some(10_050));
        assert_eq!(rub("0.30000000000000004"), Some(30));
        assert_eq!(rub("0.7999999999999999"), Some(80), "0.7 + 0.1 of a float");
        assert_eq!(rub("10.000"), Some(1000));
        let part = amount("10.005", &"RUB".parse().unwrap()).unwrap_err();
        assert_eq!(
            refusal("price", "10.005", part),
            "price `10.005` has a part that is less than the smallest unit of money: round it in the old shop"
        );
        assert_eq!(rub("-2.50"), Some(-250));
        for bad in
            ["", "abc", "1e20", "1,5", "NaN", "inf", "--1", "1.2.3", "99999999999999999999", "1.00x", "é.é"]
        {
            assert_eq!(rub(bad), None, "{bad}");
        }
        let credits = "CREDIT:0".parse().unwrap();
        assert_eq!(amount("12.0", &credits), Ok(Money::from_minor(12)));
        assert!(amount("12.9", &credits).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_money(text in "\\PC{0,24}", whole in 0_i64..1_000_000, fraction in "[0-9]{0,12}") {
            let _ = rub(&text);
            let written = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            let Some(minor) = rub(&written).map(i128::from) else {
                prop_assert!(fraction.len() > 2, "{written} is an amount");
                return Ok(());
            };
            // In units of 10^-12 of a rouble.
            let exact: i128 = format!("{whole}{fraction:0<12}").parse().unwrap();
            let read = minor * 10_i128.pow(10);
            prop_assert!(read <= exact + 10_i128.pow(4), "{written} became {minor}");
            prop_assert!(exact - read < 10_i128.pow(4), "{written} became {minor}");
        }
    }
}
