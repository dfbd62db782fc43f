//! What a rate is multiplied by: seconds, counts, characters.

use serde::Deserialize;
use serde_json::Value;

use crate::credits::{Credits, parse_micro};
use crate::when::Request;

const ONE: u64 = 1_000_000;

/// One factor of a cost rule. Amounts in files are decimal strings.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Quantity {
    /// The number in a field; `automatic` values, or a field left out, mean the limit (or `missing`, which is exact).
    Field {
        field: String,
        missing: Option<Amount>,
        limit: Option<Amount>,
        #[serde(default)]
        automatic: Vec<Value>,
    },
    /// One field divided by another, rounded up to the millionth.
    Ratio { field: String, over: String },
    /// Not in the request; at most this much.
    Limit { limit: Amount, of: String },
    /// A field's seconds and, besides, seconds that are not in the request.
    Sum {
        field: String,
        limit: Amount,
        #[serde(default)]
        automatic: Vec<Value>,
        of: String,
        plus: Amount,
    },
    /// Started blocks of text; `within` names the key inside a list of objects.
    Characters { field: String, within: Option<String>, block: u32 },
    /// Entries of a list beyond the first `beyond`.
    Items { field: String, beyond: u32 },
}

/// A decimal with up to six places, kept in millionths.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Amount(u64);

impl Amount {
    fn plain(self) -> Credits {
        Credits::from_micro(self.0)
    }
}

impl TryFrom<String> for Amount {
    type Error = String;

    fn try_from(text: String) -> Result<Amount, String> {
        parse_micro(&text)
            .map(Amount)
            .ok_or_else(|| format!("`{text}` is not a decimal with at most six places"))
    }
}

/// A quantity in millionths, and whether the request fixes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub micro: u64,
    pub exact: bool,
}

impl Quantity {
    /// `None` if the request does not tell and no limit is known.
    pub(crate) fn measure(&self, request: Request<'_>) -> Option<Measured> {
        match self {
            Quantity::Field { field, missing, limit, automatic } => {
                let given = request.effective(field);
                if given.is_none()
                    && let Some(missing) = missing
                {
                    return Some(exactly(missing.0));
                }
                field_or_limit(given, automatic, *limit)
            }
            Quantity::Ratio { field, over } => {
                let (top, bottom) = (micro(request.effective(field)?)?, micro(request.effective(over)?)?);
                if bottom == 0 {
                    return None;
                }
                let ratio = (u128::from(top) * u128::from(ONE)).div_ceil(u128::from(bottom));
                Some(exactly(u64::try_from(ratio).ok()?))
            }
            Quantity::Limit { limit, .. } => Some(at_most(limit.0)),
            Quantity::Sum { field, limit, automatic, plus, .. } => {
                let own = field_or_limit(request.effective(field), automatic, Some(*limit))?;
                Some(at_most(own.micro.checked_add(plus.0)?))
            }
            Quantity::Characters { field, within, block } => {
                let length = characters(request.effective(field)?, within.as_deref())?;
                Some(exactly(length.div_ceil(u64::from((*block).max(1))).checked_mul(ONE)?))
            }
            Quantity::Items { field, beyond } => {
                let items = request.effective(field).and_then(Value::as_array).map_or(0, Vec::len);
                let extra = u64::try_from(items).ok()?.saturating_sub(u64::from(*beyond));
                Some(exactly(extra.checked_mul(ONE)?))
            }
        }
    }

    /// The factor in words: `` `duration` (at most 10) ``.
    pub(crate) fn words(&self) -> String {
        let bounded = |limit: &Option<Amount>| {
            limit.map_or_else(String::new, |limit| format!(" (at most {})", limit.plain()))
        };
        match self {
            Quantity::Field { field, limit, .. } => format!("`{field}`{}", bounded(limit)),
            Quantity::Ratio { field, over } => format!("`{field}` / `{over}`"),
            Quantity::Limit { limit, of } => format!("{of} (at most {})", limit.plain()),
            Quantity::Sum { field, limit, plus, of, .. } => {
                format!("(`{field}`{} + {of} (at most {}))", bounded(&Some(*limit)), plus.plain())
            }
            Quantity::Characters { field, block, .. } => format!("each {block} characters of `{field}`"),
            Quantity::Items { field, beyond: 0 } => format!("entries of `{field}`"),
            Quantity::Items { field, beyond } => format!("entries of `{field}` beyond {beyond}"),
        }
    }

    pub(crate) fn fields(&self) -> Vec<&str> {
        match self {
            Quantity::Field { field, .. }
            | Quantity::Sum { field, .. }
            | Quantity::Characters { field, .. }
            | Quantity::Items { field, .. } => vec![field],
            Quantity::Ratio { field, over } => vec![field, over],
            Quantity::Limit { .. } => Vec::new(),
        }
    }
}

/// The whole number in a JSON number or in a text of digits.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    micro(value).filter(|amount| amount % ONE == 0).map(|amount| amount / ONE)
}

fn field_or_limit(given: Option<&Value>, automatic: &[Value], limit: Option<Amount>) -> Option<Measured> {
    match given {
        Some(value) if !automatic.contains(value) => micro(value).map(exactly),
        _ => limit.map(|limit| at_most(limit.0)),
    }
}

const fn exactly(micro: u64) -> Measured {
    Measured { micro, exact: true }
}

const fn at_most(micro: u64) -> Measured {
    Measured { micro, exact: false }
}

fn characters(value: &Value, within: Option<&str>) -> Option<u64> {
    let length = |text: &str| u64::try_from(text.chars().count()).ok();
    match within {
        None => length(value.as_str()?),
        Some(key) => value
            .as_array()?
            .iter()
            .try_fold(0_u64, |sum, entry| sum.checked_add(length(entry.get(key)?.as_str()?)?)),
    }
}

/// Millionths of a number or of a text that holds one; negative and unreadable ones are `None`.
fn micro(value: &Value) -> Option<u64> {
    if let Some(text) = value.as_str() {
        return parse_micro(text);
    }
    if let Some(whole) = value.as_u64() {
        return whole.checked_mul(ONE);
    }
    // Schemas bound such numbers far below 2^53 millionths; the text form keeps the digits that were sent.
    let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)?;
    parse_micro(&format!("{number:.6}"))
}
