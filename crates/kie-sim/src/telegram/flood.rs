//! How fast a bot may send: in all, into one chat, into one group.

use std::collections::{HashMap, VecDeque};

/// Messages a second over all chats.
const ALL_PER_SECOND: usize = 30;
/// Messages a minute into a group.
const GROUP_PER_MINUTE: usize = 20;
const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60_000;
/// When so many chats are remembered, the quiet ones are forgotten.
const CHATS_MAX: usize = 10_000;

/// What was sent lately.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    all: VecDeque<u64>,
    chats: HashMap<i64, Lately>,
}

/// What one chat got lately.
#[derive(Debug, Default)]
struct Lately {
    /// The time at which the chat's messages, one a second, would all have been sent.
    even_ms: u64,
    /// Times of the last minute; groups only.
    minute: VecDeque<u64>,
}

/// One wish to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) chat: i64,
    pub(crate) group: bool,
    /// Edits count against the whole and against groups, not against the second of a private chat.
    pub(crate) edit: bool,
    pub(crate) messages: u32,
}

impl Flood {
    /// Counts the wish, or gives the seconds to wait; a refused wish does not count.
    pub(crate) fn admit(&mut self, wish: Wish, burst: u32, now_ms: u64) -> Result<(), u32> {
        slide(&mut self.all, SECOND_MS, now_ms);
        if self.all.len() >= ALL_PER_SECOND {
            return Err(wait(self.all.front(), SECOND_MS, now_ms));
        }
        if self.chats.len() >= CHATS_MAX {
            self.chats.retain(|_, chat| chat.even_ms + MINUTE_MS > now_ms);
        }
        let chat = self.chats.entry(wish.chat).or_default();
        slide(&mut chat.minute, MINUTE_MS, now_ms);
        if wish.group && chat.minute.len() >= GROUP_PER_MINUTE {
            return Err(wait(chat.minute.front(), MINUTE_MS, now_ms));
        }
        if !wish.edit {
            let lead = chat.even_ms.saturating_sub(now_ms);
            let allowed = u64::from(burst.saturating_sub(1)) * SECOND_MS;
            if lead > allowed {
                return Err(u32::try_from((lead - allowed).div_ceil(SECOND_MS)).unwrap_or(u32::MAX).max(1));
            }
            chat.even_ms = chat.even_ms.max(now_ms) + u64::from(wish.messages) * SECOND_MS;
        }
        for _ in 0..wish.messages {
            self.all.push_back(now_ms);
            if wish.group {
                chat.minute.push_back(now_ms);
            }
        }
        Ok(())
    }
}

fn slide(times: &mut VecDeque<u64>, span_ms: u64, now_ms: u64) {
    while times.front().is_some_and(|time| time + span_ms <= now_ms) {
        times.pop_front();
    }
}

/// Whole seconds until the oldest time has left the span.
fn wait(oldest: Option<&u64>, span_ms: u64, now_ms: u64) -> u32 {
    let left = oldest.map_or(0, |time| (time + span_ms).saturating_sub(now_ms));
    u32::try_from(left.div_ceil(SECOND_MS)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: Wish = Wish { chat: 1, group: false, edit: false, messages: 1 };

    #[test]
    fn a_chat_takes_a_burst_and_then_one_a_second() {
        let mut flood = Flood::default();
        assert!((0..3).all(|_| flood.admit(PRIVATE, 3, 0).is_ok()));
        assert_eq!(flood.admit(PRIVATE, 3, 0), Err(1));
        assert_eq!(flood.admit(PRIVATE, 3, 1000), Ok(()));
        assert_eq!(flood.admit(PRIVATE, 3, 1000), Err(1));
        assert_eq!(flood.admit(Wish { chat: 2, ..PRIVATE }, 3, 1000), Ok(()));
        assert_eq!(flood.admit(Wish { edit: true, ..PRIVATE }, 3, 1000), Ok(()));
    }

    #[test]
    fn a_group_takes_twenty_a_minute_and_all_chats_thirty_a_second() {
        let mut flood = Flood::default();
        let group = Wish { chat: -1, group: true, ..PRIVATE };
        for step in 0..20 {
            assert_eq!(flood.admit(group, 100, step * 1000), Ok(()));
        }
        assert_eq!(flood.admit(group, 100, 20_000), Err(40));
        assert_eq!(flood.admit(group, 100, 60_000), Ok(()));
        let mut flood = Flood::default();
        for chat in 1..=30 {
            assert_eq!(flood.admit(Wish { chat, ..PRIVATE }, 3, 0), Ok(()));
        }
        assert_eq!(flood.admit(Wish { chat: 31, ..PRIVATE }, 3, 0), Err(1));
    }

    #[test]
    fn an_album_counts_its_parts() {
        let mut flood = Flood::default();
        assert_eq!(flood.admit(Wish { messages: 10, ..PRIVATE }, 3, 0), Ok(()));
        assert_eq!(flood.admit(PRIVATE, 3, 0), Err(8));
    }
}
