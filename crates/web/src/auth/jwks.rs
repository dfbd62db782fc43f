//! Tokens of the shop's own identity provider: JSON web tokens, checked against its published keys.

use std::time::{Duration, Instant};

use domain::{Account, AccountId, Role, TokenId};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use store::{NewAccount, TokenOwner};
use tokio::sync::Mutex;

use crate::front::Front;
use crate::problem::{Problem, error_chain};
use crate::{JwksSettings, SettingsError};

/// An unknown key id asks for the set anew, at most this often.
const REFRESH_EVERY: Duration = Duration::from_mins(1);
const READ_WITHIN: Duration = Duration::from_secs(5);
const SET_BYTES_MAX: usize = 256 * 1024;
const SUBJECT_MAX: usize = 255;

/// The identity provider's keys. Symmetric algorithms are never accepted: their key would be public.
pub(crate) struct Jwks {
    settings: JwksSettings,
    client: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Option<JwkSet>,
    asked_at: Option<Instant>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// Three parts with dots, as our own tokens never have.
pub(super) fn looks_like_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

impl Jwks {
    pub(crate) fn new(settings: JwksSettings) -> Result<Self, SettingsError> {
        let client = reqwest::Client::builder()
            .timeout(READ_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SettingsError::Jwks)?;
        Ok(Self { settings, client, known: Mutex::default() })
    }

    /// The customer that a genuine token names; its account is opened at first sight.
    pub(super) async fn owner_of(&self, token: &str, front: &Front) -> Result<Option<TokenOwner>, Problem> {
        let Some(subject) = self.subject_of(token).await else { return Ok(None) };
        let account = match front.store().find_account_by_external_id(&subject).await? {
            Some(account) => account,
            None => open_account(&subject, front).await?,
        };
        let token = TokenId::from_uuid(account.id.as_uuid());
        let (id, telegram_id) = (account.id, account.telegram_id);
        let owner = TokenOwner { token, account: id, role: Role::Customer, telegram_id };
        Ok(account.closed_at.is_none().then_some(owner))
    }

    async fn subject_of(&self, token: &str) -> Option<String> {
        let header = decode_header(token).ok()?;
        if !is_asymmetric(header.alg) {
            return None;
        }
        let key = self.find_key(header.kid.as_deref()).await?;
        let mut rules = Validation::new(header.alg);
        rules.set_required_spec_claims(&["exp", "sub"]);
        rules.validate_nbf = true;
        match &self.settings.audience {
            Some(audience) => rules.set_audience(&[audience]),
            None => rules.validate_aud = false,
        }
        let claims = decode::<Claims>(token, &key, &rules).ok()?.claims;
        (1..=SUBJECT_MAX).contains(&claims.sub.len()).then_some(claims.sub)
    }

    async fn find_key(&self, kid: Option<&str>) -> Option<DecodingKey> {
        let mut known = self.known.lock().await;
        if let Some(key) = known.find(kid) {
            return Some(key);
        }
        if known.asked_at.is_some_and(|asked_at| asked_at.elapsed() < REFRESH_EVERY) {
            return None;
        }
        known.asked_at = Some(Instant::now());
        match self.read_set().await {
            Ok(keys) => known.keys = Some(keys),
            Err(error) => tracing::warn!(error = error_chain(&*error), "jwks.unreadable"),
        }
        known.find(kid)
    }

    async fn read_set(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let mut response = self.client.get(self.settings.url.clone()).send().await?.error_for_status()?;
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await? {
            text.extend_from_slice(&piece);
            if text.len() > SET_BYTES_MAX {
                return Err("the key set is too large".into());
            }
        }
        Ok(serde_json::from_slice(&text)?)
    }
}

impl Known {
    /// The key of this id; a token without one fits a set of one key only.
    fn find(&self, kid: Option<&str>) -> Option<DecodingKey> {
        let keys = self.keys.as_ref()?;
        let key = match kid {
            Some(kid) => keys.find(kid),
            None => keys.keys.first().filter(|_| keys.keys.len() == 1),
        };
        DecodingKey::from_jwk(key?).ok()
    }
}

async fn open_account(subject: &str, front: &Front) -> Result<Account, Problem> {
    let ids = front.lifecycle().ids();
    let mut webhook_key = [0_u8; 32];
    ids.chance.fill(&mut webhook_key);
    let at = ids.now();
    let account = NewAccount {
        id: AccountId::generate(at, &*ids.chance),
        external_id: Some(subject.to_owned()),
        name: None,
        telegram_id: None,
        webhook_key,
        demo: false,
        at,
    };
    let account = front.store().add_account(&account).await?.into_inner();
    tracing::info!(account = %account.id, "account.opened");
    Ok(account)
}

const fn is_asymmetric(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}
