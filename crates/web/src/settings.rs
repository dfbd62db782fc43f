//! What the front end is built from.

use std::sync::Arc;

use lifecycle::Lifecycle;
use secrecy::SecretString;
use url::Url;

/// Everything the front end needs.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub lifecycle: Arc<Lifecycle>,
    /// The files.
    pub media: media::MediaStore,
    /// Signs and judges links to files.
    pub links: media::LinkSigner,
    /// What the deployer decided.
    pub settings: Settings,
}

/// What the deployer decided about the front end.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program's version.
    pub version: &'static str,
    /// KIE's webhook key; when set, callbacks must be signed.
    pub hmac_key: Option<SecretString>,
    /// Requests per token per second; `None` is no limit.
    pub rate_limit: Option<u32>,
    /// Proxies (address or CIDR) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Origins whose pages may call the API from a browser.
    pub allowed_origins: Vec<String>,
    /// The largest upload, bytes.
    pub upload_max_bytes: u64,
    /// Callback paths of an older shop.
    pub legacy_callbacks: Vec<String>,
    /// The shop's own identity provider.
    pub jwks: Option<JwksSettings>,
    /// Demo: browsers without credentials read pages and events by this token.
    pub demo_token: Option<SecretString>,
    /// `ru` or `en`, for readers who ask for neither.
    pub default_language: String,
}

/// Where the signatures of JSON web tokens are checked.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// Address of the key set.
    pub url: Url,
    /// The audience that a token must name, if any.
    pub audience: Option<String>,
}

/// Settings that cannot be served; each says which one and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not an address or a CIDR.
    #[error("TRUSTED_PROXIES: `{0}` is neither an address nor a CIDR such as 10.0.0.0/8")]
    Proxy(String),
    /// Not an origin.
    #[error("ALLOWED_ORIGINS: `{0}` is not an origin such as https://shop.example")]
    Origin(String),
    /// Not a path that can be served.
    #[error("LEGACY_CALLBACKS: `{0}` is not a plain path of its own such as /api/kie/callback")]
    LegacyCallback(String),
    /// Neither of our languages.
    #[error("DEFAULT_LANGUAGE: `{0}` is not known, write ru or en")]
    Language(String),
    /// The client for the key set could not be made.
    #[error("AUTH_JWKS_URL: no client could be made for it")]
    Jwks(#[source] reqwest::Error),
    /// A defect of ours.
    #[error("the API's description could not be written")]
    Description(#[source] serde_json::Error),
}
