//! An HTTP client that sends only what the guard lets through.

use std::{collections::HashMap, sync::Arc, time::Duration};

use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{HeaderMap, LOCATION},
    redirect,
};
use url::Url;

use crate::{
    error::{Blocked, OutboundError},
    guard::Guard,
    resolver::GuardedResolver,
};

/// How a client connects and waits.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The `User-Agent`; some delivery networks refuse requests without one.
    pub user_agent: String,
    /// The longest wait for name, connection and handshake together.
    pub connect_timeout: Duration,
    /// The longest silence between two reads.
    pub read_timeout: Option<Duration>,
    /// The longest time from the request to the last byte of the answer; none for long downloads.
    pub total_timeout: Option<Duration>,
    /// Idle connections kept per host; 0 keeps none, so no request meets a stale connection.
    pub idle_per_host_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("kie-delivery/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Some(Duration::from_secs(30)),
            total_timeout: None,
            idle_per_host_max: 2,
        }
    }
}

/// Sends requests to checked URLs from checked addresses; cheap to clone.
///
/// It uses no proxy, follows no redirect by itself, repeats nothing, keeps no cookies and asks for no compression.
#[derive(Debug, Clone)]
pub struct Client {
    guard: Guard,
    by_scope: Arc<HashMap<Scope, reqwest::Client>>,
}

impl Client {
    pub(crate) fn new(guard: Guard, options: &ClientOptions) -> Result<Self, OutboundError> {
        let ports = guard.allow().ports();
        let listed =
            ports.iter().flat_map(|port| [Scope::new(false, Some(*port)), Scope::new(true, Some(*port))]);
        let scopes = listed.chain([Scope::new(false, None)]);
        let plain = (!guard.allow().is_empty()).then_some(Scope::new(true, None));
        let by_scope = scopes
            .chain(plain)
            .map(|scope| build(&guard, options, &scope).map(|client| (scope, client)))
            .collect::<Result<_, _>>()
            .map_err(OutboundError::Client)?;
        Ok(Self { guard, by_scope: Arc::new(by_scope) })
    }

    /// The guard that judges this client's targets.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Starts a request to a checked URL; finish it with [`Client::send`].
    ///
    /// The builder must not be given another URL. A name is judged when it is resolved, that is in `send`.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, OutboundError> {
        self.guard.check(url)?;
        let plain = url.scheme() == "http";
        let port = url.port_or_known_default();
        let client = self
            .by_scope
            .get(&Scope::new(plain, port))
            .or_else(|| self.by_scope.get(&Scope::new(plain, None)))
            .ok_or_else(|| Blocked::Scheme { scheme: url.scheme().to_owned() })?;
        Ok(client.request(method, url.clone()))
    }

    /// Sends a request of [`Client::request`] once; any status is an answer, a redirect too.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, OutboundError> {
        request.send().await.map_err(OutboundError::from_reqwest)
    }

    /// Reads a URL, following at most `redirects_max` redirects, each checked like the first URL. A hop that http may
    /// not reach is asked over https.
    ///
    /// The headers go to every hop, so they must hold no secret.
    pub async fn get_following(
        &self,
        url: &Url,
        headers: &HeaderMap,
        redirects_max: usize,
    ) -> Result<Response, OutboundError> {
        let mut url = self.guard.upgraded(url.clone());
        for _ in 0..=redirects_max {
            let response = match self.get(&url, headers).await {
                // The name might have led into a listed network. It does not, so it is a stranger's like any other.
                Err(OutboundError::Blocked(Blocked::Name { .. })) if url.scheme() == "http" => {
                    let _ = url.set_scheme("https");
                    self.get(&url, headers).await?
                }
                answer => answer?,
            };
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            url = self.guard.upgraded(redirect_target(&url, &response)?);
        }
        Err(OutboundError::TooManyRedirects { limit: redirects_max })
    }

    async fn get(&self, url: &Url, headers: &HeaderMap) -> Result<Response, OutboundError> {
        let request = self.request(Method::GET, url)?.headers(headers.clone());
        self.send(request).await
    }
}

/// Requests that share a resolver: plain http or https, to a port that the allow list names or any other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    plain: bool,
    port: Option<u16>,
}

impl Scope {
    fn new(plain: bool, port: Option<u16>) -> Self {
        Self { plain, port }
    }
}

fn build(guard: &Guard, options: &ClientOptions, scope: &Scope) -> Result<reqwest::Client, reqwest::Error> {
    let resolver =
        GuardedResolver { allow: Arc::clone(guard.allow()), port: scope.port, listed_only: scope.plain };
    let mut builder = reqwest::Client::builder()
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.idle_per_host_max)
        .dns_resolver(resolver)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .referer(false);
    if let Some(limit) = options.read_timeout {
        builder = builder.read_timeout(limit);
    }
    if let Some(limit) = options.total_timeout {
        builder = builder.timeout(limit);
    }
    builder.build()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(from: &Url, response: &Response) -> Result<Url, OutboundError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    location.and_then(|location| from.join(location).ok()).ok_or(OutboundError::BadRedirect)
}
