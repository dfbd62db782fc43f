//! Values between rows and words of the domain; an impossible value names its table, column and row.

use std::fmt::Display;
use std::str::FromStr;

use domain::Timestamp;
use store::StoreError;
use uuid::Uuid;

/// Microseconds since 1970, as rows keep moments.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The same of a moment that may be missing.
pub(crate) fn micros_opt(at: Option<Timestamp>) -> Option<i64> {
    at.map(micros)
}

/// A length of time in microseconds, saturating.
pub(crate) fn micros_of(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Ids as one JSON text of hexadecimal words, for `unhex(value) … from json_each(?)`.
pub(crate) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let words: Vec<String> = ids.into_iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", words.join(","))
}

/// A row that is being read: where an impossible value is found.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    /// The table.
    pub(crate) table: &'static str,
    /// The row, in words.
    pub(crate) id: &'a dyn Display,
}

impl Cell<'_> {
    /// An impossible value of `column`.
    pub(crate) fn corrupt(&self, column: &'static str, why: impl Display) -> StoreError {
        StoreError::Corrupt { table: self.table, column, source: format!("{}: {why}", self.id).into() }
    }

    /// A moment.
    pub(crate) fn time(&self, column: &'static str, micros: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(micros).map_err(|error| self.corrupt(column, error))
    }

    /// A moment that may be missing.
    pub(crate) fn time_opt(
        &self,
        column: &'static str,
        micros: Option<i64>,
    ) -> Result<Option<Timestamp>, StoreError> {
        micros.map(|micros| self.time(column, micros)).transpose()
    }

    /// A word of a closed list, or anything else with a parser.
    pub(crate) fn word<T>(&self, column: &'static str, text: &str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    /// A number that must fit its type.
    pub(crate) fn number<T>(&self, column: &'static str, number: i64) -> Result<T, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: Display,
    {
        T::try_from(number).map_err(|error| self.corrupt(column, error))
    }

    /// A number that may be missing.
    pub(crate) fn number_opt<T>(
        &self,
        column: &'static str,
        number: Option<i64>,
    ) -> Result<Option<T>, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: Display,
    {
        number.map(|number| self.number(column, number)).transpose()
    }

    /// A JSON document.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }

    /// Thirty-two bytes.
    pub(crate) fn hash(&self, column: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        bytes.try_into().map_err(|error| self.corrupt(column, error))
    }
}

/// A value as JSON text; only a defect can make it fail.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Internal(Box::new(error)))
}

/// A number of ours that must fit a row.
pub(crate) fn to_integer<T>(number: T) -> Result<i64, StoreError>
where
    i64: TryFrom<T>,
    <i64 as TryFrom<T>>::Error: std::error::Error + Send + Sync + 'static,
{
    i64::try_from(number).map_err(|error| StoreError::Internal(Box::new(error)))
}

/// Reads every row or fails with the first that is impossible.
pub(crate) fn read_all<R, T>(rows: Vec<R>) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    rows.into_iter().map(T::try_from).collect()
}

/// The rows of a claim that can be read. One that cannot keeps its lease and is told of: it must not hold up the others.
pub(crate) fn readable<R, T>(table: &'static str, rows: Vec<R>, id_of: impl Fn(&R) -> Uuid) -> Vec<T>
where
    T: TryFrom<R, Error = StoreError>,
{
    let read = |row: R| {
        let id = id_of(&row);
        T::try_from(row)
            .inspect_err(|error| {
                tracing::error!(table, %id, error = error as &dyn std::error::Error, "row.unreadable");
            })
            .ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// Reads the row, if there is one.
pub(crate) fn read_one<R, T>(row: Option<R>) -> Result<Option<T>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    row.map(T::try_from).transpose()
}
