//! An S3-compatible server in this process, with the rules of a strict bucket and a log.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use media::MediaStore;
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Result,
    access::S3Access,
    auth::SimpleAuth,
    dto::{AbortMultipartUploadInput, CreateMultipartUploadInput, PutObjectInput, UploadPartInput},
    service::S3ServiceBuilder,
};

/// What a bucket takes.
#[derive(Default, Clone)]
pub(crate) struct Rules {
    /// Only these types, if any are named.
    pub(crate) types: Vec<&'static str>,
    /// No body longer than this.
    pub(crate) bytes_max: Option<i64>,
}

/// What the server was asked, in order: `put image/png`, `begin video/mp4`, `part`, `abort`.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

pub(crate) struct Bucket {
    pub(crate) log: Log,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Bucket {
    pub(crate) async fn start(rules: Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("shop")).unwrap();
        let log = Log::default();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret-of-the-bucket"));
        builder.set_access(Strict { rules, log: Arc::clone(&log) });
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _closed = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { log, address, _folder: folder }
    }

    pub(crate) fn store(&self) -> MediaStore {
        self.store_with("secret-of-the-bucket")
    }

    pub(crate) fn store_with(&self, secret: &str) -> MediaStore {
        let endpoint = format!("http://{}", self.address);
        let options = [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("PATH", "/usr/bin"),
        ];
        MediaStore::open("s3://shop/media", options).unwrap()
    }

    pub(crate) fn asked(&self, what: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.starts_with(what)).count()
    }
}

struct Strict {
    rules: Rules,
    log: Log,
}

impl Strict {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    fn judge(&self, content_type: Option<&str>, bytes: Option<i64>) -> S3Result<()> {
        let content_type = content_type.unwrap_or("none");
        if !self.rules.types.is_empty() && !self.rules.types.contains(&content_type) {
            return Err(refusal(http_status(415), "mime type is not supported"));
        }
        if self.rules.bytes_max.is_some_and(|most| bytes.unwrap_or(0) > most) {
            return Err(refusal(http_status(413), "The object exceeded the maximum allowed size"));
        }
        Ok(())
    }
}

fn http_status(status: u16) -> axum::http::StatusCode {
    axum::http::StatusCode::from_u16(status).unwrap()
}

fn refusal(status: axum::http::StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::InvalidRequest, message);
    error.set_status_code(status);
    error
}

#[async_trait::async_trait]
impl S3Access for Strict {
    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let content_type = request.input.content_type.as_deref();
        self.note(format!("put {}", content_type.unwrap_or("none")));
        self.judge(content_type, request.input.content_length)
    }

    async fn create_multipart_upload(
        &self,
        request: &mut S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<()> {
        let content_type = request.input.content_type.as_deref();
        self.note(format!("begin {}", content_type.unwrap_or("none")));
        self.judge(content_type, None)
    }

    async fn upload_part(&self, request: &mut S3Request<UploadPartInput>) -> S3Result<()> {
        self.note("part".to_owned());
        let total = i64::from(request.input.part_number) * request.input.content_length.unwrap_or(0);
        let within = self.rules.bytes_max.is_none_or(|most| total <= most);
        if within {
            Ok(())
        } else {
            Err(refusal(http_status(413), "The object exceeded the maximum allowed size"))
        }
    }

    async fn abort_multipart_upload(
        &self,
        _request: &mut S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<()> {
        self.note("abort".to_owned());
        Ok(())
    }
}
