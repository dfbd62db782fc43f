//! The Telegram Bot API beside the provider: the bot's side over HTTP, the customer's side as a library.

mod admin;
mod args;
mod bot;
mod chat;
mod checkout;
mod config;
mod customer;
mod fetch;
mod files;
mod flood;
mod html;
mod keyboard;
mod markdown;
mod media;
mod message;
mod methods;
mod refusal;
mod routes;
mod sign;
mod stars;
mod state;
mod text;
mod updates;
mod views;
mod webhook;

pub use config::TelegramConfig;
pub use customer::{CustomerError, PayError, Telegram, TelegramChat};
pub use sign::{sign_init_data, sign_login};
pub use views::{
    ButtonView, CallView, CallbackAnswerView, ChatKind, ChatStanding, ChatView, DeliveryView, FileView,
    InvoiceView, MessageView, PaymentView, Person,
};

pub(crate) use admin::router as admin_router;
pub(crate) use bot::{Bot, Surroundings};
pub(crate) use routes::router;
