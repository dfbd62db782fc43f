//! Result files, read as a stream.

use std::fmt;

use bytes::Bytes;
use reqwest::{Response, header::CONTENT_TYPE};
use tokio::time::Instant;
use tracing::{Instrument, Span};
use url::Url;

use crate::{client::Client, error::ReadError, snippet::Snippet, trace, transport::retry_after};

/// A result file that is being read. Dropping it closes the connection. Its `Debug` does not show the address, which
/// can be signed.
pub struct Download {
    client: Client,
    response: Response,
    log: Log,
}

impl Download {
    /// The length in bytes, when the server states it. It often does not.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The type that the server states. It is often wrong or missing: decide by the content.
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The next piece; `None` at the end. A file that breaks off is an error when its length was stated.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ReadError> {
        let next = self.client.transport().unless_stalled(self.response.chunk()).await;
        match &next {
            Ok(Some(chunk)) => self.log.bytes += chunk.len() as u64,
            Ok(None) => self.log.end(None),
            Err(error) => self.log.end(Some(error)),
        }
        next
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("content_length", &self.content_length())
            .field("content_type", &self.content_type())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a result file: without the key, over at most three redirects, without a limit of time for the whole but
    /// with the read time-out for each piece. The address is reached as it is; services that take addresses from
    /// others should check where they lead.
    pub async fn download(&self, url: &str) -> Result<Download, ReadError> {
        let url: Url = url.parse().map_err(|_error| ReadError::invalid("not an address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ReadError::invalid("not an http address"));
        }
        let span = trace::span("download", None, None);
        let mut log = Log { span: span.clone(), started: Instant::now(), bytes: 0, ended: false };
        match self.open(url).instrument(span).await {
            Ok(response) => Ok(Download { client: self.clone(), response, log }),
            Err(error) => {
                log.end(Some(&error));
                Err(error)
            }
        }
    }

    async fn open(&self, url: Url) -> Result<Response, ReadError> {
        let response = self.transport().open_file(url).await?;
        let status = response.status().as_u16();
        match status {
            200 => Ok(response),
            404 | 410 => Err(ReadError::NotFound { code: Some(i64::from(status)), message: String::new() }),
            _ => Err(ReadError::of_trouble(status, retry_after(response.headers()), None)
                .unwrap_or_else(|| ReadError::Unexpected { status, body: Snippet::new("") })),
        }
    }
}

/// The one line about a download, at its end: read to the end, failed, or given up by whoever read it.
struct Log {
    span: Span,
    started: Instant,
    bytes: u64,
    ended: bool,
}

impl Log {
    fn end(&mut self, error: Option<&ReadError>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.span.record("bytes", self.bytes);
            self.span.in_scope(|| trace::ended(self.started, error));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !self.ended {
            self.span.record("bytes", self.bytes);
            let elapsed_ms = trace::elapsed_ms(self.started);
            self.span.in_scope(|| tracing::debug!(elapsed_ms, "call dropped"));
        }
    }
}
