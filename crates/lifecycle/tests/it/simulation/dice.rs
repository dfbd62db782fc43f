//! What a seed decides: chance with words, the shop's policy, and what each createTask meets.

use std::time::Duration;

use domain::{Answer, Cause, Chance, SeededChance};
use lifecycle::{GiveUp, Policy, UnclearPolicy};
use serde_json::json;

use crate::kie::{End, Hint, Life, Reply};
use crate::shop;

/// Chance with words.
pub(super) struct Dice(SeededChance);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(SeededChance::new(seed))
    }

    pub(super) fn odds(&self, odds: f64) -> bool {
        self.0.fraction() < odds
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small counts"
    )]
    pub(super) fn below(&self, end: usize) -> usize {
        ((self.0.fraction() * end as f64) as usize).min(end.saturating_sub(1))
    }

    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    pub(super) fn seconds(&self, most: f64) -> Duration {
        Duration::from_secs_f64(self.0.fraction() * most)
    }

    pub(super) fn forked(from: &Self) -> Self {
        Self(from.fork())
    }

    /// Chance of its own for somebody else.
    pub(super) fn fork(&self) -> SeededChance {
        let mut seed = [0; 8];
        self.0.fill(&mut seed);
        SeededChance::new(u64::from_le_bytes(seed))
    }

    pub(super) fn policy(&self) -> Policy {
        let unclear_policy = if self.odds(0.8) { UnclearPolicy::Release } else { UnclearPolicy::Hold };
        let minutes = Duration::from_mins;
        Policy {
            unclear_policy,
            unclear_after: minutes(10),
            pending_after: minutes(30),
            give_up: GiveUp { image: minutes(4), audio: minutes(5), video: minutes(6) },
            create_slots: *self.pick(&[None, Some(1), Some(3), Some(20)]).unwrap(),
            max_open_jobs: 12,
            ..shop::policy()
        }
    }

    /// What one createTask meets.
    pub(super) fn fate(&self) -> (Reply, Life) {
        let answers = [
            Answer::Throttled,
            Answer::Blocked,
            Answer::NotSent,
            Answer::Refused(Cause::ModelUnavailable),
            Answer::Refused(Cause::Moderation),
            Answer::Refused(Cause::InvalidInput),
            Answer::Refused(Cause::ProviderError),
        ];
        let reply = match self.below(20) {
            0 | 1 => Reply::LostButMade,
            2 => Reply::LostUnmade,
            3..=6 => Reply::Refused(*self.pick(&answers).unwrap()),
            7 => Reply::RefusedWithTask(Answer::Refused(Cause::ProviderError)),
            8 => Reply::AcceptedLate(self.seconds(300.0)),
            _ => Reply::Accepted,
        };
        let mut life =
            Life::ending(self.end()).after(self.seconds(if self.odds(0.8) { 60.0 } else { 900.0 }));
        if self.odds(0.3) {
            life.young = self.seconds(60.0);
        }
        life.shows_address = self.odds(0.8);
        for _ in 0..self.below(4) {
            let hint = match self.below(10) {
                0 => Hint::Garbage,
                1 => Hint::WrongToken,
                2 => Hint::OtherTask(self.some_task()),
                _ => Hint::Genuine,
            };
            life = life.hint(self.seconds(if self.odds(0.8) { 90.0 } else { 3000.0 }), hint);
        }
        (reply, life)
    }

    fn end(&self) -> End {
        match self.below(16) {
            0 => End::Never,
            1 => End::Empty,
            2 => End::EmptyAtFirst(self.seconds(200.0)),
            3 | 4 => End::Failed { moderation: self.odds(0.5) },
            5 => End::Word("pondering"),
            6 => End::Object(json!({"text": "kite"})),
            7 => End::Made { results: Some(1 + self.below(4)), extras: self.below(3), credits: Some("80") },
            _ => End::Made { results: None, extras: self.below(2), credits: self.odds(0.5).then_some("20") },
        }
    }

    /// The id of a task that may or may not be, whosever.
    pub(super) fn some_task(&self) -> String {
        format!("task-{:04}", 1 + self.below(9))
    }
}
