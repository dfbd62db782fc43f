//! An S3-compatible server on a local folder, for tests and for trying the product out.

use std::{
    collections::HashMap,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use clap::Parser;
use futures_util::StreamExt;
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    access::S3Access,
    auth::SimpleAuth,
    dto::{
        AbortMultipartUploadInput, CompleteMultipartUploadInput, CreateMultipartUploadInput, PutObjectInput,
        StreamingBlob, UploadPartInput,
    },
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;

/// Serves a folder over the S3 protocol; prints its address in one line once it listens.
#[derive(Debug, Parser)]
#[command(name = "s3-server", version)]
struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Folder that holds the buckets; made if absent.
    #[arg(long)]
    folder: PathBuf,
    /// Bucket to serve; made if absent.
    #[arg(long)]
    bucket: String,
    /// The only access key that is let in.
    #[arg(long)]
    access_key: String,
    /// Its secret.
    #[arg(long)]
    secret_key: String,
    /// Refuses what a bucket with a list of media types and a size limit refuses: types other than image, video,
    /// audio and JSON, and objects above `--max-bytes`.
    #[arg(long)]
    strict: bool,
    /// Largest object of a strict bucket, in bytes.
    #[arg(long, default_value_t = 50 * 1024 * 1024)]
    max_bytes: u64,
    /// Begins each answer so many milliseconds later.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// A media type that a strict bucket does not take although it is one of those.
    #[arg(long)]
    refuse: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let bucket = options.folder.join(&options.bucket);
    std::fs::create_dir_all(&bucket)
        .with_context(|| format!("cannot make the folder {}", bucket.display()))?;
    let service = service(&options)?;
    let delay = Duration::from_millis(options.delay_ms);
    let router = Router::new().fallback(move |request: Request| answer(service.clone(), request, delay));

    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}", listener.local_addr()?)?;
    out.flush()?;
    axum::serve(listener, router).await?;
    Ok(())
}

fn service(options: &Options) -> anyhow::Result<S3Service> {
    let files = FileSystem::new(&options.folder)
        .map_err(|error| anyhow::anyhow!("cannot serve {}: {error:?}", options.folder.display()))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(options.access_key.clone(), options.secret_key.clone()));
    if options.strict {
        let (max_bytes, refused) = (options.max_bytes, options.refuse.clone());
        builder.set_access(StrictBucket { max_bytes, refused, uploads: Mutex::default() });
    }
    Ok(builder.build())
}

async fn answer(service: S3Service, request: Request, delay: Duration) -> Response {
    tokio::time::sleep(delay).await;
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(_broken) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The rules of a bucket that is configured with allowed media types and a size limit, as Supabase Storage has them.
struct StrictBucket {
    max_bytes: u64,
    refused: Option<String>,
    uploads: Mutex<HashMap<UploadId, PartSizes>>,
}

type UploadId = String;
type PartSizes = HashMap<i32, u64>;

/// Uploads under way at a time; a client that never ends its uploads is told to slow down.
const UPLOADS_MAX: usize = 1_000;
/// Bytes of a refused body that are still read.
const REFUSED_READ_MAX: usize = 1 << 30;

impl StrictBucket {
    fn uploads(&self) -> MutexGuard<'_, HashMap<UploadId, PartSizes>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_type(&self, content_type: Option<&str>) -> S3Result<()> {
        let given = content_type.unwrap_or("application/octet-stream");
        let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let media = ["image/", "video/", "audio/"].iter().any(|family| essence.starts_with(family));
        if (media || essence == "application/json") && self.refused.as_ref() != Some(&essence) {
            return Ok(());
        }
        let code = S3ErrorCode::Custom("InvalidMimeType".into());
        let words = format!("mime type {essence} is not supported");
        Err(refusal(code, words, StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }

    fn check_size(&self, bytes: u64) -> S3Result<()> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let message = "The object exceeded the maximum allowed size";
        Err(refusal(S3ErrorCode::EntityTooLarge, message.to_owned(), StatusCode::PAYLOAD_TOO_LARGE))
    }

    /// The parts of an upload count together; a part that is sent again counts once.
    fn count_part(&self, upload: &str, number: i32, bytes: u64) -> S3Result<()> {
        let mut uploads = self.uploads();
        if !uploads.contains_key(upload) && uploads.len() >= UPLOADS_MAX {
            return Err(S3Error::new(S3ErrorCode::SlowDown));
        }
        let parts = uploads.entry(upload.to_owned()).or_default();
        let others: u64 = parts.iter().filter(|part| *part.0 != number).map(|part| part.1).sum();
        self.check_size(others.saturating_add(bytes))?;
        parts.insert(number, bytes);
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3Access for StrictBucket {
    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let verdict = self
            .check_type(request.input.content_type.as_deref())
            .and_then(|()| length(request, request.input.content_length))
            .and_then(|bytes| self.check_size(bytes));
        read_refused(verdict, request.input.body.take()).await.map(|body| request.input.body = body)
    }

    async fn create_multipart_upload(
        &self,
        request: &mut S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<()> {
        self.check_type(request.input.content_type.as_deref())
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        let input = &request.input;
        let verdict = length(request, input.content_length)
            .and_then(|bytes| self.count_part(&input.upload_id, input.part_number, bytes));
        read_refused(verdict, request.input.body.take()).await.map(|body| request.input.body = body)
    }

    async fn complete_multipart_upload(
        &self,
        request: &mut S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<()> {
        self.uploads().remove(&request.input.upload_id);
        Ok(())
    }

    async fn abort_multipart_upload(
        &self,
        request: &mut S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<()> {
        self.uploads().remove(&request.input.upload_id);
        Ok(())
    }
}

/// Reads a refused body to its end, as gateways do: a client that is still sending would see a broken connection
/// instead of the refusal. A body that is not refused is given back untouched.
async fn read_refused(verdict: S3Result<()>, body: Option<StreamingBlob>) -> S3Result<Option<StreamingBlob>> {
    let Err(refusal) = verdict else { return Ok(body) };
    let mut left = REFUSED_READ_MAX;
    if let Some(mut body) = body {
        while let Some(Ok(chunk)) = body.next().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { break };
            left = rest;
        }
    }
    Err(refusal)
}

/// The length of the object or part itself: signed chunks make the request longer than what it carries.
fn length<T>(request: &S3Request<T>, content_length: Option<i64>) -> S3Result<u64> {
    let decoded = request.headers.get("x-amz-decoded-content-length");
    let decoded = decoded.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let plain = || content_length.and_then(|length| u64::try_from(length).ok());
    decoded.or_else(plain).ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))
}

fn refusal(code: S3ErrorCode, message: String, status: StatusCode) -> S3Error {
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}
