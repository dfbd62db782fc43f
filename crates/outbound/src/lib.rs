//! Requests to addresses that strangers name: every hop is checked, and the checked address is the connected one.
//!
//! Result links of the provider and webhook addresses of customers are foreign input. [`Guard`] decides which of
//! them may be reached: public addresses over https, plus what the deployer's [`AllowList`] names. A literal
//! address is judged when the URL is checked; a name is judged by the client's own resolver, so a name that
//! resolves anew between check and connect changes nothing. No proxy is used, no redirect is followed unseen, and
//! nothing is repeated.

mod address;
mod allow;
mod client;
mod error;
mod guard;
mod resolver;

pub use address::is_public;
pub use allow::{AllowList, ParseAllowListError};
pub use client::{Client, ClientOptions};
pub use error::{Blocked, OutboundError};
pub use guard::Guard;
pub use reqwest::{Method, RequestBuilder, Response, header};
