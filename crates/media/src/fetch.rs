//! Reading a foreign address: guarded, limited, without credentials.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use outbound::{
    Blocked, Client, ClientOptions, Guard, OutboundError, Response,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue},
};
use url::Url;

use crate::error::{CopyError, Flaw, SourceTrouble};

/// What a download may cost.
#[derive(Debug, Clone)]
pub struct FetchLimits {
    /// The longest file, in bytes.
    pub bytes_max: u64,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest silence.
    pub idle_timeout: Duration,
    /// The longest time spent waiting for the source in all; time that our storage takes does not count.
    pub total_timeout: Duration,
    /// Redirects that are followed.
    pub redirects_max: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            bytes_max: 4 * 1024 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_mins(30),
            redirects_max: 3,
        }
    }
}

/// Reads files from addresses that the guard lets through; cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    limits: FetchLimits,
}

/// A body that is about to be read.
pub(crate) struct Body {
    /// Its length, if announced.
    pub(crate) bytes: Option<u64>,
    pub(crate) stream: BoxStream<'static, Result<Bytes, CopyError>>,
}

impl Fetcher {
    /// A fetcher behind a guard; fails only if the HTTP client cannot be built.
    pub fn new(guard: &Guard, limits: FetchLimits) -> Result<Self, OutboundError> {
        let options = ClientOptions {
            connect_timeout: limits.connect_timeout,
            read_timeout: Some(limits.idle_timeout),
            ..ClientOptions::default()
        };
        Ok(Self { client: guard.client(&options)?, limits })
    }

    pub(crate) fn limits(&self) -> &FetchLimits {
        &self.limits
    }

    /// Whether the address gives a file now; its body is not read.
    pub async fn answers(&self, source: &str) -> Result<(), CopyError> {
        self.open(source).await.map(drop)
    }

    /// Asks for the file; its body is not read yet.
    pub(crate) async fn open(&self, source: &str) -> Result<Body, CopyError> {
        let url = usable_url(source)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let asked = self.client.get_following(&url, &headers, self.limits.redirects_max);
        let response = tokio::time::timeout(self.limits.total_timeout, asked).await;
        let response = response.map_err(|_elapsed| SourceTrouble::Slow)?.map_err(refused)?;
        check_status(response.status().as_u16())?;
        let encoded = response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
        if encoded {
            return Err(Flaw::Encoded.into());
        }
        Ok(body_of(response))
    }
}

/// The provider's links are https; the client asks one that says http over https unless the allow list names it.
fn usable_url(source: &str) -> Result<Url, CopyError> {
    let url = Url::parse(source.trim()).map_err(|_unreadable| Flaw::Address)?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(Flaw::Address.into()) }
}

fn body_of(response: Response) -> Body {
    let bytes = response.content_length();
    let mut seen = 0;
    let stream = response.bytes_stream().map(move |piece| match piece {
        Ok(piece) => {
            seen += piece.len() as u64;
            Ok(piece)
        }
        Err(error) if error.is_timeout() => Err(SourceTrouble::Slow.into()),
        Err(_) => Err(CopyError::cut(seen)),
    });
    Body { bytes, stream: stream.boxed() }
}

fn check_status(status: u16) -> Result<(), CopyError> {
    match status {
        200 | 203 => Ok(()),
        204 | 205 => Err(Flaw::Empty.into()),
        408 | 425 | 429 => Err(SourceTrouble::Status { status }.into()),
        400..=499 => Err(CopyError::Gone { status }),
        _ => Err(SourceTrouble::Status { status }.into()),
    }
}

fn refused(error: OutboundError) -> CopyError {
    match error {
        // A private address is an attack, or a provider that cannot be reached by us. What else is refused (a scheme,
        // user info, a name that resolves to nothing public) may be one bad answer of the source or of a name server.
        OutboundError::Blocked(blocked @ Blocked::Address { .. }) => CopyError::Blocked { blocked },
        OutboundError::Blocked(blocked) => Flaw::Route { blocked }.into(),
        OutboundError::TimedOut(_) => SourceTrouble::Slow.into(),
        other => SourceTrouble::Failed(Box::new(other)).into(),
    }
}
