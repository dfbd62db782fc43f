//! HTTP: the API, callbacks, media and pages.
//!
//! Every route stands in `router`; handlers lie in `api`, one file per noun, and in `pages`. A handler's extractors
//! say who may call it, its error is a [`problem`](https://www.rfc-editor.org/rfc/rfc9457) from a closed list.

mod api;
mod auth;
mod body;
mod callback;
mod docs;
mod events;
mod front;
mod headers;
mod health;
mod limits;
mod media;
mod metrics;
mod openapi;
mod pages;
mod params;
mod places;
mod problem;
mod proxy;
mod request_id;
mod router;
mod serve;
mod settings;
mod view;
mod words;

pub use router::{callbacks_router, metrics_router, router};
pub use serve::serve;
pub use settings::{App, JwksSettings, Settings, SettingsError};
