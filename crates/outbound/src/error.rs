//! Why a request was not made, or brought no answer.

use std::net::IpAddr;

/// A target that may not be reached. [`Blocked::Address`] is what an attack looks like; everything else may be a slip
/// of whoever wrote the URL, or of a name server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Blocked {
    /// Not https; plain http is for targets of the allow list only.
    #[error("scheme {scheme} is not allowed for this target")]
    Scheme {
        /// The scheme as written.
        scheme: String,
    },
    /// The URL carries a user name or a password.
    #[error("a URL with user name or password is not allowed")]
    UserInfo,
    /// The URL names no host, or port 0.
    #[error("the URL names no host and port")]
    NoHost,
    /// A literal address that is not public.
    #[error("{address} is not a public address")]
    Address {
        /// The address that was refused.
        address: IpAddr,
    },
    /// A name whose every address is refused.
    #[error("{host} resolves to no address that may be reached")]
    Name {
        /// The name that was resolved.
        host: String,
    },
}

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The target, or a hop on the way, may not be reached.
    #[error("target is blocked")]
    Blocked(#[from] Blocked),
    /// More redirects than allowed.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The number of redirects that would have been followed.
        limit: usize,
    },
    /// A redirect without a readable target.
    #[error("redirect without a usable location")]
    BadRedirect,
    /// No connection: name, route or handshake failed, and nothing was sent.
    #[error("target cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// No answer in time.
    #[error("target did not answer in time")]
    TimedOut(#[source] reqwest::Error),
    /// The connection broke, or the answer could not be read.
    #[error("exchange with the target failed")]
    Broken(#[source] reqwest::Error),
    /// The HTTP client itself cannot be built (no certificates, for example).
    #[error("http client cannot be built")]
    Client(#[source] reqwest::Error),
}

impl OutboundError {
    /// Whether the target may not be reached at all.
    pub fn is_blocked(&self) -> bool {
        matches!(self, Self::Blocked(_))
    }

    /// Sorts an error of the HTTP client; its URL, which may hold a signature, is dropped.
    pub fn from_reqwest(error: reqwest::Error) -> Self {
        if let Some(blocked) = blocked_in(&error) {
            return Self::Blocked(blocked);
        }
        let error = error.without_url();
        if error.is_connect() {
            return Self::Unreachable(error);
        }
        if error.is_timeout() { Self::TimedOut(error) } else { Self::Broken(error) }
    }
}

/// The resolver's refusal travels as a cause of the connection error.
fn blocked_in(error: &(dyn std::error::Error + 'static)) -> Option<Blocked> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(blocked) = error.downcast_ref::<Blocked>() {
            return Some(blocked.clone());
        }
        cause = error.source();
    }
    None
}
