//! From a storage URL to a storage.

use std::{path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path,
    prefix::PrefixStore,
};
use url::Url;

use crate::error::MediaError;

/// The longest silence of a remote storage, and the longest time for one part of an upload.
const SILENCE_MAX: Duration = Duration::from_mins(1);
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A storage as opened, with what its backend cannot say about itself.
pub(crate) struct Opened {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Where it is, without credentials.
    pub(crate) description: String,
    /// Set for a local folder, which keeps no attributes and leaves torn uploads as hidden files.
    pub(crate) folder: Option<PathBuf>,
}

/// Opens `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
///
/// Options are the backend's own variables (`AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`…), in any case; keys that
/// the backend does not know and empty values are passed over, so a caller may hand over all of its variables.
pub(crate) fn open(url: &str, options: &[(String, String)]) -> Result<Opened, MediaError> {
    let parsed = Url::parse(url)
        .map_err(|error| address("write file:///absolute/folder or s3://bucket/prefix", error))?;
    if !parsed.username().is_empty() && parsed.scheme() != "az" || parsed.password().is_some() {
        return Err(advice("put credentials into variables, not into the URL"));
    }
    match parsed.scheme() {
        "file" => open_folder(&parsed),
        "s3" => open_s3(&parsed, options),
        "gs" => open_gcs(&parsed, options),
        "az" => open_azure(&parsed, options),
        other => Err(advice(&format!("the scheme must be file, s3, gs or az, not {other}"))),
    }
}

fn open_folder(url: &Url) -> Result<Opened, MediaError> {
    let folder =
        url.to_file_path().map_err(|()| advice("a local folder is written file:///absolute/folder"))?;
    std::fs::create_dir_all(&folder).map_err(|error| address("the folder must be writable", error))?;
    let objects = LocalFileSystem::new_with_prefix(&folder)
        .map_err(|error| address("the folder must be readable", error))?
        // Money is captured once the bytes are stored, so "stored" has to survive a power cut.
        .with_fsync(true);
    Ok(Opened {
        objects: Arc::new(objects),
        description: format!("file://{}", folder.display()),
        folder: Some(folder),
    })
}

fn open_s3(url: &Url, options: &[(String, String)]) -> Result<Opened, MediaError> {
    let plain = option_of(options, &["aws_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3"])
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder =
        AmazonS3Builder::new().with_client_options(client(plain)).with_retry(retry()).with_url(url.as_str());
    for (key, value) in options {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let objects = builder.build().map_err(|error| address("check the AWS_ variables", error))?;
    prefixed(url, objects)
}

fn open_gcs(url: &Url, options: &[(String, String)]) -> Result<Opened, MediaError> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_client_options(client(false))
        .with_retry(retry())
        .with_url(url.as_str());
    for (key, value) in options {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let objects = builder.build().map_err(|error| address("check the GOOGLE_ variables", error))?;
    prefixed(url, objects)
}

fn open_azure(url: &Url, options: &[(String, String)]) -> Result<Opened, MediaError> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_client_options(client(false))
        .with_retry(retry())
        .with_url(url.as_str());
    for (key, value) in options {
        if let Ok(key) = key.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    let objects = builder.build().map_err(|error| address("check the AZURE_ variables", error))?;
    prefixed(url, objects)
}

fn prefixed(url: &Url, objects: impl ObjectStore) -> Result<Opened, MediaError> {
    let prefix =
        Path::from_url_path(url.path()).map_err(|error| address("the prefix must be a plain path", error))?;
    let description = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    let objects: Arc<dyn ObjectStore> = if prefix.as_ref().is_empty() {
        Arc::new(objects)
    } else {
        Arc::new(PrefixStore::new(objects, prefix))
    };
    Ok(Opened { objects, description, folder: None })
}

/// No limit on the whole of an exchange, since a film may be watched for an hour; silence is limited instead.
fn client(plain: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_MAX)
        .with_read_timeout(SILENCE_MAX)
        .with_timeout_disabled()
}

/// Short, because the caller tries again under its own schedule.
fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: Duration::from_secs(90) }
}

fn option_of<'a>(options: &'a [(String, String)], names: &[&str]) -> Option<&'a str> {
    let wanted = |key: &str| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    options.iter().find(|(key, _)| wanted(key)).map(|(_, value)| value.as_str())
}

fn advice(text: &str) -> MediaError {
    MediaError::Address { advice: text.to_owned(), source: None }
}

fn address(text: &str, error: impl std::error::Error + Send + Sync + 'static) -> MediaError {
    MediaError::Address { advice: text.to_owned(), source: Some(Box::new(error)) }
}
