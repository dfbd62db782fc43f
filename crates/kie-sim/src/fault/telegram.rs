//! What can go wrong with the messenger: calls of a bot, updates to it, payments.

use std::time::Duration;

use super::parse::duration;

/// A call of the Bot API that does not go as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TelegramFault {
    /// Refused with this code and description; nothing is done.
    Refuse(u16, String),
    /// Refused because the bot was put out of the chat, in the words that fit the kind of chat.
    Kicked,
    /// Refused with 429 and so many seconds to wait.
    Flood(u32),
    /// Refused because the group became the supergroup with this id, which exists from then on.
    Migrated(i64),
    /// Nothing is done, and no proper answer comes.
    Undone(Loss),
    /// The call is carried out, and its answer is lost.
    LostAnswer(Loss),
    /// The call is carried out, and answered late.
    Slow(Duration),
}

/// How an answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Silence; the connection stays open until the caller leaves.
    Timeout,
    /// The connection is closed.
    Reset,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// An HTML page under HTTP 502.
    Html,
    /// HTTP 200 without a body.
    Empty,
}

/// An update that does not reach the bot as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateFault {
    /// So many copies under one update id.
    Duplicate(u32),
    /// So much later.
    Late(Duration),
    /// Never, as after a day without a reader.
    Lost,
}

/// A payment that does not go as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentFault {
    /// The customer is told that it failed, and is charged.
    SaidFailed,
}

impl TelegramFault {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let refuse = |code, text: &str| Some(Self::Refuse(code, text.to_owned()));
        let takes_more = matches!(word, "429" | "chat-migrated" | "slow" | "lost-answer");
        if rest.is_some() && !takes_more && word.parse::<u16>().is_err() {
            return None;
        }
        match word {
            "blocked" => refuse(403, BLOCKED),
            "deactivated" => refuse(403, DEACTIVATED),
            "deleted" => refuse(403, GROUP_DELETED),
            "not-found" => refuse(400, CHAT_NOT_FOUND),
            "kicked" => Some(Self::Kicked),
            "429" => Some(Self::Flood(rest.unwrap_or("1").parse().ok()?)),
            "chat-migrated" => Some(Self::Migrated(rest?.parse().ok().filter(|id: &i64| *id < 0)?)),
            "slow" => Some(Self::Slow(duration(rest?)?)),
            "lost-answer" => Some(Self::LostAnswer(Loss::parse(rest.unwrap_or("reset"))?)),
            "timeout" | "reset" | "cut" | "html" | "empty" => Some(Self::Undone(Loss::parse(word)?)),
            digits => {
                let code = digits.parse().ok().filter(|code| (400..=599).contains(code))?;
                refuse(code, rest.unwrap_or(default_description(code)))
            }
        }
    }
}

impl Loss {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "timeout" => Self::Timeout,
            "reset" => Self::Reset,
            "cut" => Self::Cut,
            "html" => Self::Html,
            "empty" => Self::Empty,
            _ => return None,
        })
    }
}

impl UpdateFault {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        match word {
            "duplicate" => {
                let copies = rest.unwrap_or("2").parse().ok()?;
                (2..=100).contains(&copies).then_some(Self::Duplicate(copies))
            }
            "late" => Some(Self::Late(duration(rest?)?)),
            "lost" if rest.is_none() => Some(Self::Lost),
            _ => None,
        }
    }
}

impl PaymentFault {
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text == "said-failed").then_some(Self::SaidFailed)
    }
}

pub(crate) const BLOCKED: &str = "Forbidden: bot was blocked by the user";
pub(crate) const DEACTIVATED: &str = "Forbidden: user is deactivated";
pub(crate) const GROUP_DELETED: &str = "Forbidden: the group chat was deleted";
pub(crate) const CHAT_NOT_FOUND: &str = "Bad Request: chat not found";

/// The description that usually goes with a code.
fn default_description(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => BLOCKED,
        404 => "Not Found",
        409 => {
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
        }
        413 => "Request Entity Too Large",
        400..=499 => "Bad Request",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Rule};

    fn parsed(text: &str) -> Fault {
        text.parse::<Rule>().unwrap().fault
    }

    #[test]
    fn the_messenger_speaks_the_same_language() {
        let rule: Rule = "tg=429:3:times=2:after=1".parse().unwrap();
        assert_eq!(rule.fault, Fault::Telegram(TelegramFault::Flood(3)));
        assert_eq!((rule.times, rule.after), (Some(2), 1));
        assert_eq!(parsed("tg=chat-migrated:-1001"), Fault::Telegram(TelegramFault::Migrated(-1001)));
        assert_eq!(parsed("tg=lost-answer"), Fault::Telegram(TelegramFault::LostAnswer(Loss::Reset)));
        assert_eq!(
            parsed("tg=400:Bad Request: wrong: x"),
            Fault::Telegram(TelegramFault::Refuse(400, "Bad Request: wrong: x".into()))
        );
        assert_eq!(parsed("tg-update=lost"), Fault::Update(UpdateFault::Lost));
        assert_eq!(parsed("tg-pay=said-failed"), Fault::Payment(PaymentFault::SaidFailed));
        for bad in [
            "tg=",
            "tg=200",
            "tg=chat-migrated:5",
            "tg=slow",
            "tg-update=duplicate:1",
            "tg-pay=x",
            "tg=blocked:x",
            "tg-update=lost:x",
        ] {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }
}
