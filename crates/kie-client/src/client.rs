//! The client and its builder: addresses, key, limits of time, repetition.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use tracing::Span;
use url::Url;

use crate::{
    answer::Answer,
    error::ReadError,
    limit::{Call, Denied, Limiter},
    retry::{self, RetryPolicy},
    trace,
    transport::{self, Transport},
};

const BASE_URL: &str = "https://api.kie.ai";
const UPLOAD_URL: &str = "https://kieai.redpandaai.co";
const USER_AGENT: &str = concat!("kie-client/", env!("CARGO_PKG_VERSION"));

/// A client of one KIE account. Cloning is cheap and shares connections and limits.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    retry: RetryPolicy,
    limiter: Arc<dyn Limiter>,
}

impl Client {
    /// A client that uses `api_key` for the API and for uploads.
    ///
    /// ```
    /// use std::time::Duration;
    /// use kie_client::{Client, RetryPolicy};
    ///
    /// let client = Client::builder("kie-key")
    ///     .base_url("http://127.0.0.1:8089".parse()?)
    ///     .retry(RetryPolicy::new(3, Duration::from_secs(20)))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(api_key: impl Into<SecretString>) -> ClientBuilder {
        ClientBuilder::new(api_key.into())
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn limiter(&self) -> &dyn Limiter {
        &*self.inner.limiter
    }

    /// Reads once more while the policy allows; `read` makes a value of a complete answer.
    pub(crate) async fn read<T>(
        &self,
        call: Call,
        span: &Span,
        request: ReadRequest<'_>,
        read: impl Fn(&Answer) -> Result<T, ReadError> + Sync,
    ) -> Result<T, ReadError> {
        let ReadRequest { path, query, body } = request;
        let read = &read;
        let repeated = retry::repeat(&self.inner.retry, |deadline| async move {
            // The limiter's wait counts, so what is left is known only behind it.
            let admitted = timeout(deadline.left(), self.acquire(call)).await;
            admitted.unwrap_or_else(|_elapsed| Err(throttled(None, "the limiter had no place in time")))?;
            let answer = self.transport().send_read(path, query, body, deadline.left()).await?;
            read(&answer)
        });
        trace::traced(span, repeated).await
    }

    pub(crate) async fn acquire(&self, call: Call) -> Result<(), ReadError> {
        let admitted = self.limiter().acquire(call).await;
        admitted.map_err(|denied| throttled(denied.retry_after, "the limiter refuses the request"))
    }
}

fn throttled(retry_after: Option<Duration>, message: &str) -> ReadError {
    ReadError::Throttled { retry_after, code: None, message: message.to_owned(), body: None }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.transport().base.as_str())
            .field("upload_url", &self.transport().upload_base.as_str())
            .finish_non_exhaustive()
    }
}

/// A request that may be repeated.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a [u8]>,
}

/// Settings of a [`Client`]; every one but the key has a default.
#[must_use]
pub struct ClientBuilder {
    api_key: SecretString,
    base_url: Option<Url>,
    upload_url: Option<Url>,
    create_timeout: Duration,
    read_timeout: Duration,
    upload_timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    limiter: Arc<dyn Limiter>,
    user_agent: String,
}

impl ClientBuilder {
    fn new(api_key: SecretString) -> Self {
        Self {
            api_key,
            base_url: None,
            upload_url: None,
            create_timeout: Duration::from_mins(2),
            read_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_mins(5),
            connect_timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            limiter: Arc::new(Unlimited),
            user_agent: USER_AGENT.to_owned(),
        }
    }

    /// The API's address, `https://api.kie.ai` by default; plain http works too.
    pub fn base_url(mut self, url: Url) -> Self {
        self.base_url = Some(url);
        self
    }

    /// The upload host's address, `https://kieai.redpandaai.co` by default.
    pub fn upload_url(mut self, url: Url) -> Self {
        self.upload_url = Some(url);
        self
    }

    /// The time for one paid call, connection included; 120 seconds by default, as the provider can take more than
    /// 90 under load.
    pub fn create_timeout(mut self, timeout: Duration) -> Self {
        self.create_timeout = timeout;
        self
    }

    /// The time for one attempt of a read, connection included; 30 seconds by default.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// The time for one upload, connection included; 300 seconds by default.
    pub fn upload_timeout(mut self, timeout: Duration) -> Self {
        self.upload_timeout = timeout;
        self
    }

    /// The time for connecting, TLS included; 10 seconds by default. What fails here was not sent.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How often reads are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Who is asked before every request; nobody by default.
    pub fn limiter(mut self, limiter: Arc<dyn Limiter>) -> Self {
        self.limiter = limiter;
        self
    }

    /// The `User-Agent` header; this crate's name and version by default.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = text.into();
        self
    }

    /// Checks the settings and prepares the connection pools; nothing is sent.
    pub fn build(self) -> Result<Client, BuildError> {
        let user_agent =
            HeaderValue::from_str(&self.user_agent).map_err(|_error| BuildError::InvalidUserAgent)?;
        let creates =
            transport::create_client(self.connect_timeout, &user_agent).map_err(BuildError::transport)?;
        let reads =
            transport::read_client(self.connect_timeout, &user_agent).map_err(BuildError::transport)?;
        let transport = Transport {
            base: checked_address(self.base_url, BASE_URL)?,
            upload_base: checked_address(self.upload_url, UPLOAD_URL)?,
            authorization: authorization(&self.api_key)?,
            creates,
            reads,
            create_timeout: self.create_timeout,
            read_timeout: self.read_timeout,
            upload_timeout: self.upload_timeout,
        };
        Ok(Client { inner: Arc::new(Inner { transport, retry: self.retry, limiter: self.limiter }) })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The key is empty or has characters that no header can carry.
    #[error("the API key is empty or has characters that a header cannot carry")]
    InvalidKey,
    /// An address is not plain http or https, or carries a query, a fragment or a user name.
    #[error("not a usable address: {url}")]
    InvalidUrl {
        /// The address, without user name and password.
        url: String,
    },
    /// The user agent has characters that no header can carry.
    #[error("the user agent has characters that a header cannot carry")]
    InvalidUserAgent,
    /// The TLS library or its trust store cannot be used.
    #[error("the HTTP transport cannot be prepared")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl BuildError {
    fn transport(error: reqwest::Error) -> Self {
        Self::Transport(Box::new(error))
    }
}

struct Unlimited;

#[async_trait::async_trait]
impl Limiter for Unlimited {
    async fn acquire(&self, _call: Call) -> Result<(), Denied> {
        Ok(())
    }
}

fn authorization(key: &SecretString) -> Result<HeaderValue, BuildError> {
    let key = key.expose_secret().trim();
    if key.is_empty() {
        return Err(BuildError::InvalidKey);
    }
    let mut value =
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_error| BuildError::InvalidKey)?;
    value.set_sensitive(true);
    Ok(value)
}

fn checked_address(url: Option<Url>, default: &str) -> Result<Url, BuildError> {
    let url = match url {
        Some(url) => url,
        None => default.parse().map_err(|_error| BuildError::InvalidUrl { url: default.to_owned() })?,
    };
    let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if plain && url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    let shown = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    Err(BuildError::InvalidUrl { url: shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_settings_are_refused() {
        assert!(matches!(Client::builder(" ").build(), Err(BuildError::InvalidKey)));
        assert!(matches!(Client::builder("a\nb").build(), Err(BuildError::InvalidKey)));
        for url in ["ftp://x/", "https://x/?a=1", "https://user:pw@x/", "data:x"] {
            let error = Client::builder("k").base_url(url.parse().unwrap()).build().unwrap_err();
            assert!(matches!(&error, BuildError::InvalidUrl { url } if !url.contains("pw")), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let builder = Client::builder("very-secret");
        assert!(!format!("{builder:?}").contains("very-secret"));
        let client = builder.build().unwrap();
        assert!(!format!("{client:?}").contains("very-secret"));
        assert!(!format!("{:?}", client.transport()).contains("very-secret"));
    }
}
