//! Amounts as old shops wrote them: decimals, sometimes with the noise of floats.

use domain::{Currency, Money};

/// So many nines behind the minor unit are the noise of a float just below the next one.
const NOISE: &str = "999999";

/// An amount in major units, exactly; what is below a minor unit is dropped. None if it is no amount.
pub(crate) fn amount(text: &str, currency: &Currency) -> Option<Money> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let kept = usize::from(currency.digits()).min(fraction.len());
    let (minor, rest) = fraction.split_at_checked(kept)?;
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = if minor.is_empty() { "" } else { "." };
    let exact = currency.parse_amount(&format!("{sign}{whole}{point}{minor}")).ok()?;
    if !rest.starts_with(NOISE) {
        return Some(exact);
    }
    let one = Money::from_minor(if sign.is_empty() { 1 } else { -1 });
    exact.plus(one).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rub(text: &str) -> Option<i64> {
        amount(text, &"RUB".parse().unwrap()).map(Money::minor)
    }

    #[test]
    fn amounts_are_read_exactly_and_never_made_larger() {
        assert_eq!(rub("100"), Some(10_000));
        assert_eq!(rub("100.5"), Some(10_050));
        assert_eq!(rub("0.30000000000000004"), Some(30));
        assert_eq!(rub("0.7999999999999999"), Some(80), "0.7 + 0.1 of a float");
        assert_eq!(rub("33.339"), Some(3333), "a third of a kopeck is nobody's");
        assert_eq!(rub("-2.50"), Some(-250));
        for bad in
            ["", "abc", "1e20", "1,5", "NaN", "inf", "--1", "1.2.3", "99999999999999999999", "1.00x", "é.é"]
        {
            assert_eq!(rub(bad), None, "{bad}");
        }
        let credits = "CREDIT:0".parse().unwrap();
        assert_eq!(amount("12.9", &credits), Some(Money::from_minor(12)));
    }

    proptest! {
        #[test]
        fn no_text_makes_money(text in "\\PC{0,24}", whole in 0_i64..1_000_000, fraction in "[0-9]{0,12}") {
            let _ = rub(&text);
            let written = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            let minor = i128::from(rub(&written).unwrap());
            // In units of 10^-12 of a rouble.
            let exact: i128 = format!("{whole}{fraction:0<12}").parse().unwrap();
            let read = minor * 10_i128.pow(10);
            prop_assert!(read <= exact + 10_i128.pow(4), "{written} became {minor}");
            prop_assert!(exact - read < 10_i128.pow(10), "{written} became {minor}");
        }
    }
}
