//! Query parameters and ids in paths, refused with the name of the parameter.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use uuid::Uuid;

use crate::problem::Problem;

/// Most rows of one page of a list.
const LIMIT_MAX: u32 = 100;
const LIMIT_USUAL: u32 = 20;

/// The id in a path. What is no id names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("row"))
    }
}

/// The query string.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::read(parts))
    }
}

impl Params {
    pub(crate) fn read(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).map(owned).collect())
    }

    /// Refuses parameters that this call does not know: a misspelt filter must not give everything.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(invalid(name, format!("is not known here; known are {}", known.join(", "))))
            }
            None => Ok(self),
        }
    }

    /// The text of a parameter; an empty one counts as left out.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter of a type.
    pub(crate) fn one<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        let parse = |text: &str| text.parse().map_err(|error: T::Err| invalid(name, error.to_string()));
        self.text(name).map(parse).transpose()
    }

    /// A parameter that may repeat.
    pub(crate) fn all<T>(&self, name: &str) -> Result<Vec<T>, Problem>
    where
        T: FromStr,
        T::Err: Display,
    {
        let given = self.0.iter().filter(|(given, value)| given == name && !value.is_empty());
        given
            .map(|(_, text)| text.parse().map_err(|error: T::Err| invalid(name, error.to_string())))
            .collect()
    }

    /// How many rows: 1 to 100, usually 20.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.one::<u32>("limit")?.unwrap_or(LIMIT_USUAL);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        Err(invalid("limit", format!("must be 1 to {LIMIT_MAX}")))
    }

    /// Where the page before ended, as [`cursor`] wrote it.
    pub(crate) fn cursor(&self) -> Result<Option<Uuid>, Problem> {
        let read = |text: &str| {
            let id = text.strip_prefix("c_").and_then(|id| Uuid::try_parse(id).ok());
            id.ok_or_else(|| invalid("cursor", "is not a cursor of this list".to_owned()))
        };
        self.text("cursor").map(read).transpose()
    }
}

/// Cuts the row that was read to know whether there is a next page, and names the place after the last one shown.
pub(crate) fn cut_page<T>(rows: &mut Vec<T>, limit: u32, id: impl Fn(&T) -> Uuid) -> Option<String> {
    let limit = limit as usize;
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last().map(|row| format!("c_{}", id(row).simple()))
}

/// PostgreSQL holds no NUL; a text with one finds nothing, which is the truth.
fn owned((name, value): (Cow<'_, str>, Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.replace('\0', "\u{fffd}"))
}

fn invalid(name: &str, detail: String) -> Problem {
    Problem::invalid(format!("/query/{name}"), detail)
}
