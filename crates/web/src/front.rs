//! What all handlers share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use lifecycle::Lifecycle;
use store::{Overview, Store, StoreError};
use tokio::sync::{Mutex, Semaphore};

use crate::auth::{Jwks, TokenCache};
use crate::events::Hub;
use crate::health::Readiness;
use crate::limits::Limits;
use crate::places::UploadPlaces;
use crate::problem::Problem;
use crate::proxy::TrustedProxies;
use crate::words::Language;
use crate::{App, Settings, SettingsError};

/// The state of every route.
pub(crate) type Shared = Arc<Front>;

/// The overview behind the metrics is read at most this often.
const OVERVIEW_FOR: Duration = Duration::from_secs(15);
/// A report that is not read in this time is not worth its connection.
const REPORT_WITHIN: Duration = Duration::from_secs(20);

/// The services and what this process keeps beside them.
pub(crate) struct Front {
    pub(crate) app: App,
    pub(crate) tokens: TokenCache,
    pub(crate) limits: Limits,
    pub(crate) uploads: UploadPlaces,
    pub(crate) jwks: Option<Arc<Jwks>>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) hub: Hub,
    pub(crate) readiness: Mutex<Option<(Instant, Readiness)>>,
    pub(crate) language: Language,
    overview: Mutex<Option<(Instant, Arc<Overview>)>>,
    reports: Semaphore,
}

impl Front {
    pub(crate) fn new(app: App) -> Result<Shared, SettingsError> {
        let settings = &app.settings;
        let language = settings
            .default_language
            .parse()
            .map_err(|_unknown| SettingsError::Language(settings.default_language.clone()))?;
        Ok(Arc::new(Self {
            tokens: TokenCache::default(),
            limits: Limits::new(settings.rate_limit),
            uploads: UploadPlaces::default(),
            jwks: settings.jwks.clone().map(Jwks::new).transpose()?,
            proxies: TrustedProxies::parse(&settings.trusted_proxies)?,
            hub: Hub::default(),
            readiness: Mutex::default(),
            overview: Mutex::default(),
            reports: Semaphore::new(1),
            language,
            app,
        }))
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.app.lifecycle
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.app.lifecycle.store()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.app.settings
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app.lifecycle.ids().now()
    }

    /// A path of ours as customers write it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.app.lifecycle.policy().public_url.as_str().trim_end_matches('/'))
    }

    /// Whether browsers reach us by https.
    pub(crate) fn is_secure(&self) -> bool {
        self.app.lifecycle.policy().public_url.scheme() == "https"
    }

    /// The last 24 hours in numbers, not older than [`OVERVIEW_FOR`]; one reader asks for all.
    pub(crate) async fn overview(&self) -> Result<Arc<Overview>, Problem> {
        let mut kept = self.overview.lock().await;
        if let Some((read_at, overview)) = &*kept
            && read_at.elapsed() < OVERVIEW_FOR
        {
            return Ok(overview.clone());
        }
        let now = self.now();
        let since = now.saturating_sub(Duration::from_hours(24)).unwrap_or(now);
        let overview = Arc::new(self.report(self.store().overview(since, now)).await?);
        *kept = Some((Instant::now(), overview.clone()));
        Ok(overview)
    }

    /// One at a time and for a bounded time: customers never wait for connections that a report holds.
    pub(crate) async fn report<T>(
        &self,
        reading: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        let reading = async {
            let _only = self.reports.acquire().await.map_err(Problem::unavailable)?;
            Ok(reading.await?)
        };
        tokio::time::timeout(REPORT_WITHIN, reading).await.map_err(Problem::unavailable)?
    }
}
