//! Rows as we take them: text of any kind in, typed values or the reason why not out. Nothing here can fail otherwise.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::layout::Column;
use crate::results::results;
use crate::{Layout, OldStatus};

/// The longest cell that is read.
const CELL_MAX: usize = 1024 * 1024;
/// The longest key, word or address.
const WORD_MAX: usize = 2048;

/// A row that cannot be taken over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its key, as far as it can be read.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// A user of an old shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldUser {
    /// The shop's id of the user.
    pub key: String,
    /// `balance_rub` as it is written, major units.
    pub balance: Option<String>,
    /// `hold_rub` as it is written, major units.
    pub hold: Option<String>,
    /// The Telegram chat, where all rows of the user name the same private one.
    pub chat: Option<i64>,
    /// SHA-256 of all this.
    pub fingerprint: [u8; 32],
}

/// A generation of an old shop.
#[derive(Debug, Clone, PartialEq)]
pub struct OldGeneration {
    /// The shop's id of it.
    pub key: String,
    /// The shop's id of its owner.
    pub user: String,
    /// The word of `status`, in lower case.
    pub word: String,
    /// What the word means.
    pub status: OldStatus,
    /// `type` or `kind`.
    pub kind: Option<String>,
    /// The old name of the model.
    pub model: Option<String>,
    /// Who made it, if the shop had several providers.
    pub provider: Option<String>,
    /// The provider's task.
    pub task: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// What was asked for, as an object.
    pub options: Value,
    /// Addresses of results, in order, without duplicates.
    pub results: Vec<String>,
    /// The shop's own copy of the first result.
    pub asset: Option<String>,
    /// Why it failed, in the old shop's words.
    pub error: Option<String>,
    /// The key under which it was ordered.
    pub order_key: Option<String>,
    /// The chat that waits for it.
    pub chat: Option<i64>,
    /// Whether the chat has got it.
    pub delivered: bool,
    /// The price as it is written, major units.
    pub price: Option<String>,
    /// When it was ordered.
    pub created_at: Option<Timestamp>,
    /// When it changed last.
    pub updated_at: Option<Timestamp>,
    /// SHA-256 of what matters of it.
    pub fingerprint: [u8; 32],
}

/// The cells of a row as bytes, in the order of the query.
pub(crate) type Cells = Vec<Option<Vec<u8>>>;

/// The key of a row, which is its first cell; it is what [`read_user`] and [`read_generation`] make of it.
pub(crate) fn read_key(cells: &Cells) -> Result<String, BadRow> {
    Reader::new(cells, 0).required(0, "id")
}

/// Key, balance, hold, smallest and largest chat.
pub(crate) fn read_user(cells: &Cells) -> Result<OldUser, BadRow> {
    let reader = Reader::new(cells, 0);
    let chats = (reader.word(3)?, reader.word(4)?);
    let chat = chats.0.filter(|lowest| Some(lowest) == chats.1.as_ref());
    Ok(OldUser {
        balance: reader.word(1)?,
        hold: reader.word(2)?,
        // A group is nobody's own chat; its number is negative.
        chat: chat.and_then(|chat| chat.parse().ok()).filter(|chat: &i64| *chat > 0),
        fingerprint: fingerprint(cells, |_| true),
        key: reader.required(0, "user_id")?,
    })
}

/// The cells of [`Column::ALL`].
pub(crate) fn read_generation(layout: Layout, cells: &Cells) -> Result<OldGeneration, BadRow> {
    let reader = Reader::new(cells, Column::Key as usize);
    let text = |column: Column| reader.text(column as usize);
    let word = |column: Column| reader.word(column as usize);
    let moment = |column: Column| reader.moment(column);
    let key = reader.required(Column::Key as usize, "id")?;
    let status_word = reader.required(Column::Status as usize, "status")?;
    let status = layout.status(&status_word).ok_or_else(|| {
        let shown: String = status_word.chars().take(40).collect();
        reader.bad(format!("unknown status `{shown}`; {} has {}", layout.as_str(), layout.words()))
    })?;
    Ok(OldGeneration {
        user: reader.required(Column::User as usize, "user_id")?,
        word: status_word.to_ascii_lowercase(),
        status,
        kind: word(Column::Kind)?,
        model: word(Column::Model)?,
        provider: word(Column::Provider)?,
        task: word(Column::Task)?,
        prompt: text(Column::Prompt)?,
        options: options(text(Column::Options)?),
        results: results(text(Column::Results)?.as_deref()),
        asset: word(Column::Asset)?,
        error: text(Column::Error)?,
        order_key: word(Column::OrderKey)?,
        chat: word(Column::Chat)?.and_then(|chat| chat.parse().ok()),
        delivered: word(Column::Delivered)?.is_some(),
        price: word(Column::Price)?,
        created_at: moment(Column::Created)?,
        updated_at: moment(Column::Updated)?,
        fingerprint: fingerprint(cells, |place| {
            Column::ALL.get(place).is_none_or(|column| !column.is_passing())
        }),
        key,
    })
}

/// Cells of one row with the key that complaints name.
struct Reader<'a> {
    cells: &'a Cells,
    key: String,
}

impl<'a> Reader<'a> {
    fn new(cells: &'a Cells, key: usize) -> Self {
        let key = cells.get(key).and_then(Option::as_deref).map(String::from_utf8_lossy).unwrap_or_default();
        Self { cells, key: key.chars().take(200).collect() }
    }

    fn bad(&self, reason: impl Into<String>) -> BadRow {
        BadRow { key: self.key.clone(), reason: reason.into() }
    }

    /// The text of a cell; nothing for null and for blanks.
    fn text(&self, place: usize) -> Result<Option<String>, BadRow> {
        let Some(bytes) = self.cells.get(place).and_then(Option::as_deref) else { return Ok(None) };
        let name = || Column::ALL.get(place).map_or("a cell", |column| column.names()[0]);
        if bytes.len() > CELL_MAX {
            return Err(self.bad(format!("{} is longer than {CELL_MAX} bytes", name())));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.bad(format!("{} is no text: {error}", name())))?;
        Ok((!text.trim().is_empty()).then(|| clean(text)))
    }

    /// A short text without blanks around it.
    fn word(&self, place: usize) -> Result<Option<String>, BadRow> {
        let Some(text) = self.text(place)? else { return Ok(None) };
        let word = text.trim();
        if word.len() > WORD_MAX {
            let name = Column::ALL.get(place).map_or("a cell", |column| column.names()[0]);
            return Err(self.bad(format!("{name} is longer than {WORD_MAX} bytes")));
        }
        Ok(Some(word.to_owned()))
    }

    fn required(&self, place: usize, name: &str) -> Result<String, BadRow> {
        self.word(place)?.ok_or_else(|| self.bad(format!("it has no {name}")))
    }

    fn moment(&self, column: Column) -> Result<Option<Timestamp>, BadRow> {
        let Some(word) = self.word(column as usize)? else { return Ok(None) };
        let unreadable = || {
            let shown: String = word.chars().take(40).collect();
            self.bad(format!("{} `{shown}` is no time", column.names()[0]))
        };
        moment(&word).map(Some).ok_or_else(unreadable)
    }
}

/// PostgreSQL and JSON documents of ours cannot hold NUL.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn fingerprint(cells: &Cells, counts: impl Fn(usize) -> bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (place, cell) in cells.iter().enumerate().filter(|(place, _)| counts(*place)) {
        let length = cell.as_ref().map_or(u64::MAX, |bytes| bytes.len() as u64);
        hash.update((place as u64).to_le_bytes());
        hash.update(length.to_le_bytes());
        hash.update(cell.as_deref().unwrap_or_default());
    }
    hash.finalize().into()
}

/// A time as databases write it: RFC 3339, with a blank for the T, without a zone (UTC), or a number since 1970.
fn moment(word: &str) -> Option<Timestamp> {
    if let Ok(number) = word.parse::<i64>() {
        return match number.unsigned_abs() {
            0..100_000_000_000 => Timestamp::from_second(number).ok(),
            100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(number).ok(),
            _ => Timestamp::from_microsecond(number).ok(),
        };
    }
    if let Ok(moment) = word.parse::<Timestamp>() {
        return Timestamp::from_microsecond(moment.as_microsecond()).ok();
    }
    let civil: civil::DateTime = word.parse().ok()?;
    let moment = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Timestamp::from_microsecond(moment.as_microsecond()).ok()
}

/// JSON, once or twice encoded; anything else stays a text.
pub(crate) fn json(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
            Ok(_) | Err(_) => Value::String(inner),
        },
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

/// The input as an object; what is none is kept under `options`.
fn options(text: Option<String>) -> Value {
    match text.map(|text| clean_json(json(&text))) {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(object @ Value::Object(_)) => object,
        Some(other) => Value::Object([("options".to_owned(), other)].into_iter().collect()),
    }
}

fn clean_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(clean_json).collect()),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (clean(&name), clean_json(value))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
