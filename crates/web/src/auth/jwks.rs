//! Tokens of the shop's own identity provider: JSON web tokens, checked against its published keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Account, AccountId, Role, TokenId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::Deserialize;
use store::{NewAccount, TokenOwner};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::key_set::{KeySet, candidates};
use crate::front::Front;
use crate::problem::{Problem, error_chain};
use crate::{JwksSettings, SettingsError};

const READ_WITHIN: Duration = Duration::from_secs(5);
const SET_BYTES_MAX: usize = 256 * 1024;
const SUBJECT_MAX: usize = 255;

/// The identity provider's keys. Symmetric algorithms are never accepted: their key would be public.
pub(crate) struct Jwks {
    settings: JwksSettings,
    client: reqwest::Client,
    known: Mutex<KeySet>,
    /// Held by the one who asks for those that cannot go on without an answer.
    asking: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// What a set of keys says of a token.
enum Verdict {
    Genuine(String),
    Refused,
    /// No key of the set signed it; a newer set may have the one that did.
    UnknownKey,
}

/// Three parts with dots, as our own tokens never have.
pub(super) fn looks_like_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

impl Jwks {
    pub(crate) fn new(settings: JwksSettings) -> Result<Arc<Self>, SettingsError> {
        let client = reqwest::Client::builder()
            .timeout(READ_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SettingsError::Jwks)?;
        let (known, asking, tasks) = (Mutex::default(), tokio::sync::Mutex::default(), TaskTracker::new());
        Ok(Arc::new(Self { settings, client, known, asking, tasks }))
    }

    /// The customer that a genuine token names; its account is opened at first sight.
    pub(super) async fn owner_of(
        self: &Arc<Self>,
        token: &str,
        front: &Front,
    ) -> Result<Option<TokenOwner>, Problem> {
        let Some(subject) = self.subject_of(token).await? else { return Ok(None) };
        let account = match front.store().find_account_by_external_id(&subject).await? {
            Some(account) => account,
            None => open_account(&subject, front).await?,
        };
        let token = TokenId::from_uuid(account.id.as_uuid());
        let (id, telegram_id) = (account.id, account.telegram_id);
        let owner = TokenOwner { token, account: id, role: Role::Customer, telegram_id };
        Ok(account.closed_at.is_none().then_some(owner))
    }

    async fn subject_of(self: &Arc<Self>, token: &str) -> Result<Option<String>, Problem> {
        let Ok(header) = decode_header(token) else { return Ok(None) };
        if !is_asymmetric(header.alg) {
            return Ok(None);
        }
        let keys = self.keys().await?;
        let verdict = match self.judge(token, &header, &keys) {
            Verdict::UnknownKey => match self.newer_than(Some(&keys)).await {
                Some(newer) => self.judge(token, &header, &newer),
                None => Verdict::Refused,
            },
            verdict => verdict,
        };
        match verdict {
            Verdict::Genuine(subject) => Ok(Some(subject)),
            Verdict::Refused | Verdict::UnknownKey => Ok(None),
        }
    }

    fn judge(&self, token: &str, header: &Header, keys: &JwkSet) -> Verdict {
        let mut rules = Validation::new(header.alg);
        rules.set_required_spec_claims(&["exp", "sub"]);
        rules.validate_nbf = true;
        match &self.settings.audience {
            Some(audience) => rules.set_audience(&[audience]),
            None => rules.validate_aud = false,
        }
        let candidates = candidates(keys, header.kid.as_deref());
        let found = !candidates.is_empty();
        for key in candidates {
            match decode::<Claims>(token, &key, &rules) {
                Ok(token) => {
                    let subject = token.claims.sub;
                    let sane = (1..=SUBJECT_MAX).contains(&subject.len()) && !subject.contains('\0');
                    return if sane { Verdict::Genuine(subject) } else { Verdict::Refused };
                }
                Err(error) if !is_of_another_key(error.kind()) => return Verdict::Refused,
                Err(_) => {}
            }
        }
        // A key that is named and does not fit is a forgery; without a name it may have been replaced.
        if found && header.kid.is_some() { Verdict::Refused } else { Verdict::UnknownKey }
    }

    /// The keys as they are known, if need be read now. Keys that are a little old go on being used while somebody
    /// reads them again.
    async fn keys(self: &Arc<Self>) -> Result<Arc<JwkSet>, Problem> {
        let now = Instant::now();
        let known = self.known().current(now);
        if let Some((keys, stale)) = known {
            if stale && self.known().may_ask(now) {
                let this = self.clone();
                self.tasks.spawn(async move { this.read().await });
            }
            return Ok(keys);
        }
        let read = self.newer_than(None).await;
        read.ok_or_else(|| Problem::unavailable("the identity provider's keys could not be read"))
    }

    /// Keys that were read after those: by this caller or by one before it. None if the provider does not give them, or
    /// was asked a moment ago.
    async fn newer_than(&self, old: Option<&Arc<JwkSet>>) -> Option<Arc<JwkSet>> {
        let newer = |known: &KeySet| {
            let (keys, _) = known.current(Instant::now())?;
            old.is_none_or(|old| !Arc::ptr_eq(old, &keys)).then_some(keys)
        };
        let _one = self.asking.lock().await;
        {
            let mut known = self.known();
            if let Some(keys) = newer(&known) {
                return Some(keys);
            }
            if !known.may_ask(Instant::now()) {
                return None;
            }
        }
        self.read().await;
        newer(&self.known())
    }

    async fn read(&self) {
        let read = self.read_set().await;
        let now = Instant::now();
        match read {
            Ok(keys) => self.known().keep(keys, now),
            Err(error) => {
                self.known().note_failure(now);
                tracing::warn!(error = error_chain(&*error), "jwks.unreadable");
            }
        }
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

    fn known(&self) -> MutexGuard<'_, KeySet> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the token may be well, but is not of this key.
const fn is_of_another_key(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidSignature
            | ErrorKind::InvalidAlgorithm
            | ErrorKind::InvalidKeyFormat
            | ErrorKind::InvalidEcdsaKey
            | ErrorKind::InvalidEddsaKey
            | ErrorKind::InvalidRsaKey(_)
    )
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
