#![doc = include_str!("../README.md")]

mod call;
mod callback;
mod clock;
mod config;
mod conn;
mod dispatch;
mod family;
mod fault;
mod files;
mod ids;
mod journal;
mod limiter;
mod links;
mod lock;
mod marks;
mod mime;
mod models;
mod ranges;
mod record;
mod renders;
mod reply;
mod ring;
mod routes;
mod script;
mod sim;
mod task;
pub mod telegram;
mod uploads;
mod views;
mod world;

pub use config::{Durations, FieldSet, ShortText, SimConfig, Stages};
pub use fault::{
    Answer, BadFault, CallbackFault, CreateAnswer, CreateFault, Fault, Loss, PaymentFault, RecordFault,
    ResultFault, Route, Rule, Shape, TelegramFault, UpdateFault,
};
pub use models::Kind;
pub use script::Script;
pub use sim::Sim;
pub use telegram::{Telegram, TelegramChat, TelegramConfig};
pub use views::{LoggedRequest, SentCallback, TaskView};
