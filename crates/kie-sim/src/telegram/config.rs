//! What the messenger is told when it starts.

use std::fmt;
use std::time::Duration;

/// The bot and the habits of the service around it.
#[derive(Clone)]
pub struct TelegramConfig {
    /// The only token that is accepted, `<bot id>:<secret>`.
    pub token: String,
    /// The bot's username, without the at sign.
    pub username: String,
    /// Whether sending too fast is refused: 30 messages a second in all, 1 a second in a chat (short bursts
    /// are let through), 20 a minute in a group.
    pub limits: bool,
    /// Messages that a chat takes at once before one a second is the rule.
    pub chat_burst: u32,
    /// Waits before the second, third, … delivery of an update to a webhook; the last one goes on for ever.
    pub webhook_retry: Vec<Duration>,
    /// How long a webhook may take.
    pub webhook_timeout: Duration,
    /// How long the bot may take to answer a pre-checkout query.
    pub pre_checkout_wait: Duration,
    /// How long a pressed button waits for its answer.
    pub callback_query_life: Duration,
    /// How long one file is fetched from its URL.
    pub fetch_wait: Duration,
    /// Bytes of media that are kept in memory; the oldest files lose theirs.
    pub media_bytes_max: u64,
    /// The bot's Stars at the start.
    pub stars: u64,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            token: "7000000001:kie-sim-telegram-token".to_owned(),
            username: "kie_sim_bot".to_owned(),
            limits: true,
            chat_burst: 3,
            webhook_retry: [0, 2, 4, 8, 16, 32, 60].map(Duration::from_secs).to_vec(),
            webhook_timeout: Duration::from_mins(1),
            pre_checkout_wait: Duration::from_secs(10),
            callback_query_life: Duration::from_mins(1),
            fetch_wait: Duration::from_secs(20),
            media_bytes_max: 256 << 20,
            stars: 0,
        }
    }
}

impl TelegramConfig {
    /// The number before the colon of the token; 0 if there is none.
    pub(crate) fn bot_id(&self) -> i64 {
        self.token.split_once(':').and_then(|(id, _)| id.parse().ok()).unwrap_or(0)
    }
}

impl fmt::Debug for TelegramConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelegramConfig")
            .field("bot", &self.bot_id())
            .field("username", &self.username)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
