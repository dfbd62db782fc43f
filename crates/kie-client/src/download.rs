//! Result files, read as a stream.

use bytes::Bytes;
use reqwest::{Response, header::CONTENT_TYPE};
use url::Url;

use crate::{
    client::Client,
    error::{ReadError, Snippet},
    transport::retry_after,
};

/// A result file that is being read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Download {
    client: Client,
    response: Response,
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
        self.client.transport().unless_stalled(self.response.chunk()).await
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
        let response = self.transport().open_file(url).await?;
        let status = response.status().as_u16();
        match status {
            200 => Ok(Download { client: self.clone(), response }),
            404 | 410 => Err(ReadError::NotFound { code: Some(i64::from(status)), message: String::new() }),
            _ => Err(ReadError::of_trouble(status, retry_after(response.headers()))
                .unwrap_or_else(|| ReadError::Unexpected { status, body: Snippet::new("") })),
        }
    }
}
