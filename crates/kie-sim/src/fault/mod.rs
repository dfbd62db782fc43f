//! What can be made to go wrong, and the one grammar that names it in prompts and scripts.

mod answer;
mod kinds;
mod mark;
mod parse;
mod rule;
mod telegram;

pub use answer::Answer;
pub use kinds::{CallbackFault, CreateAnswer, CreateFault, Fault, RecordFault, ResultFault, Route, Shape};
pub use parse::BadFault;
pub use rule::Rule;
pub use telegram::{Loss, PaymentFault, TelegramFault, UpdateFault};

pub(crate) use answer::{UNAUTHORIZED, UNKNOWN_MODEL, default_text};
pub(crate) use kinds::Moment;
pub(crate) use mark::{UNKNOWN_MAX, marks_in, unknown_marks_in};
pub(crate) use parse::is_chance;
pub(crate) use rule::{Armed, pick};
pub(crate) use telegram::{BLOCKED, CHAT_NOT_FOUND, DEACTIVATED, GROUP_DELETED};
