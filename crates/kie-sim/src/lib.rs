#![doc = include_str!("../README.md")]

mod call;
mod callback;
mod clock;
mod config;
mod conn;
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
mod uploads;
mod views;
mod world;

pub use config::{Durations, FieldSet, ShortText, SimConfig, Stages};
pub use fault::{
    Answer, BadFault, CallbackFault, CreateAnswer, CreateFault, Fault, RecordFault, ResultFault, Route, Rule,
    Shape,
};
pub use models::Kind;
pub use script::Script;
pub use sim::Sim;
pub use views::{LoggedRequest, SentCallback, TaskView};
