//! The only place that sends.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    multipart::Form,
    redirect,
};
use tokio::time::timeout;
use url::Url;

use crate::{answer::Answer, error::ReadError};

/// The longest answer that is read, in bytes after decompression.
pub(crate) const MAX_ANSWER: usize = 2 * 1024 * 1024;
const MAX_RETRY_AFTER: u64 = 3600;
const MAX_REDIRECTS: usize = 3;

/// Addresses, key, limits of time and the two connection pools.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) base: Url,
    pub(crate) upload_base: Url,
    pub(crate) authorization: HeaderValue,
    pub(crate) creates: reqwest::Client,
    pub(crate) reads: reqwest::Client,
    pub(crate) create_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) upload_timeout: Duration,
}

/// What became of the one sending of a paid call.
#[derive(Debug)]
pub(crate) enum Sent {
    /// A complete HTTP answer.
    Answered(Answer),
    /// The connection was not made: nothing was written.
    Unconnected(reqwest::Error),
    /// Something may have been written and no complete answer came back.
    Lost(Lost),
}

/// What is known of an answer that did not come back whole.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// What did arrive of the body.
    pub(crate) body: Vec<u8>,
    pub(crate) source: Option<reqwest::Error>,
}

/// The body of an upload.
pub(crate) enum UploadBody {
    Json(Vec<u8>),
    Form(Form),
}

impl Transport {
    /// Sends a paid call once. Only a failed connect or TLS handshake counts as not sent.
    pub(crate) async fn send_create(&self, path: &str, body: Vec<u8>) -> Sent {
        let url = address(&self.base, path, &[]);
        let request = self.creates.request(Method::POST, url).timeout(self.create_timeout).body(body);
        let response = match self.with_headers(request).header(CONTENT_TYPE, "application/json").send().await
        {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Sent::Unconnected(error.without_url());
            }
            Err(error) => {
                return Sent::Lost(Lost { source: Some(error.without_url()), ..Lost::default() });
            }
        };
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        match read_body(response).await {
            Ok(body) => Sent::Answered(Answer { status, retry_after, body }),
            Err(BodyError { body, broken }) => {
                let source = broken.map(reqwest::Error::without_url);
                Sent::Lost(Lost { status: Some(status), retry_after, body, source })
            }
        }
    }

    /// Sends a GET, or a POST with a JSON body that costs nothing.
    pub(crate) async fn send_read(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&[u8]>,
        left: Duration,
    ) -> Result<Answer, ReadError> {
        let url = address(&self.base, path, query);
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.reads.request(method, url).timeout(self.read_timeout.min(left));
        if let Some(body) = body {
            request = request.body(body.to_vec());
        }
        // The provider wants the content type on GET as well.
        finish(self.with_headers(request).header(CONTENT_TYPE, "application/json")).await
    }

    /// Sends a file to the upload host, once.
    pub(crate) async fn send_upload(&self, path: &str, body: UploadBody) -> Result<Answer, ReadError> {
        let url = address(&self.upload_base, path, &[]);
        let request = self.with_headers(self.reads.request(Method::POST, url).timeout(self.upload_timeout));
        match body {
            UploadBody::Json(body) => {
                finish(request.header(CONTENT_TYPE, "application/json").body(body)).await
            }
            UploadBody::Form(form) => finish(request.multipart(form)).await,
        }
    }

    /// Opens a result file: without our key, with a User-Agent, over a few redirects.
    pub(crate) async fn open_file(&self, url: Url) -> Result<Response, ReadError> {
        let mut url = url;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.unless_stalled(self.reads.get(url.clone()).send()).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            url = target
                .and_then(|target| url.join(target).ok())
                .filter(|url| matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| ReadError::invalid("the file redirects to an unusable address"))?;
        }
        Err(ReadError::invalid("the file redirects too often"))
    }

    /// Waits for the next sign of life of a file, no longer than one read may take.
    pub(crate) async fn unless_stalled<T>(
        &self,
        next: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, ReadError> {
        match timeout(self.read_timeout, next).await {
            Ok(result) => result.map_err(ReadError::unreachable),
            Err(_elapsed) => Err(ReadError::Stalled { after: self.read_timeout }),
        }
    }

    fn with_headers(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, "application/json")
    }
}

/// A client for paid calls: nothing is pooled, so that a connection which died while idle is never an unknown outcome.
pub(crate) fn create_client(
    connect_timeout: Duration,
    user_agent: &HeaderValue,
) -> reqwest::Result<reqwest::Client> {
    base_client(connect_timeout, user_agent).pool_max_idle_per_host(0).http1_only().build()
}

/// A client for everything that may be repeated.
pub(crate) fn read_client(
    connect_timeout: Duration,
    user_agent: &HeaderValue,
) -> reqwest::Result<reqwest::Client> {
    base_client(connect_timeout, user_agent).pool_idle_timeout(Duration::from_secs(30)).build()
}

/// What all clients have in common: nothing is repeated, redirected or sent through a proxy behind our back.
fn base_client(connect_timeout: Duration, user_agent: &HeaderValue) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent.clone())
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
}

/// Appends a path, whose characters are safe, and query pairs to a base that may have a path of its own.
fn address(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

async fn finish(request: RequestBuilder) -> Result<Answer, ReadError> {
    let response = request.send().await.map_err(ReadError::unreachable)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    match read_body(response).await {
        Ok(body) => Ok(Answer { status, retry_after, body }),
        Err(BodyError { broken: Some(error), .. }) => Err(ReadError::unreachable(error)),
        Err(BodyError { broken: None, .. }) => Err(ReadError::TooLarge { limit: MAX_ANSWER as u64 }),
    }
}

/// A body that was not read to its end.
struct BodyError {
    /// What was read of it.
    body: Vec<u8>,
    /// How it broke off; none when it is too long.
    broken: Option<reqwest::Error>,
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER => {
                return Err(BodyError { body, broken: None });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(BodyError { body, broken: Some(error) }),
        }
    }
}

/// The header `Retry-After` in seconds, at most an hour; dates are not read.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_path_of_the_base() {
        let base: Url = "http://127.0.0.1:9/kie/".parse().unwrap();
        assert_eq!(address(&base, "/api/v1/x", &[]).as_str(), "http://127.0.0.1:9/kie/api/v1/x");
        let plain: Url = "https://api.kie.ai".parse().unwrap();
        let url = address(&plain, "/api/v1/models/wan/2-7/price", &[("q", "a b&c")]);
        assert_eq!(url.as_str(), "https://api.kie.ai/api/v1/models/wan/2-7/price?q=a+b%26c");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_bounded() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("999999999"));
        assert_eq!(retry_after(&headers), Some(Duration::from_hours(1)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), None);
    }
}
