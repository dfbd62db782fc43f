//! Inputs that are files of ours: checked at order time, copied to the provider before sending.

use std::time::Duration;

use domain::{AccountId, Asset, AssetId, AssetState, Job, Scope};
use serde_json::Value;
use store::{ProviderCopy, StoreError};
use thiserror::Error;

use crate::{KeepError, Lifecycle, ReadFailure};

/// The provider promises a day at least; sources differ up to three.
const COPY_USABLE: Duration = Duration::from_hours(20);

/// Why an input file could not be brought to the provider. Nothing was bought.
#[derive(Debug, Error)]
pub enum UploadError {
    /// The database.
    #[error("the input's files could not be looked up")]
    Store(#[from] StoreError),
    /// To be tried again.
    #[error("{0}")]
    Later(String),
}

impl Lifecycle {
    /// Every place in an input that names a file of ours: JSON pointer and asset.
    pub(crate) fn own_files(&self, input: &Value) -> Vec<(String, AssetId)> {
        let prefix = format!("{}/media/", self.policy.public_url.as_str().trim_end_matches('/'));
        let mut found = Vec::new();
        visit(input, &mut String::new(), &mut |pointer, text| {
            let id = text.strip_prefix(&prefix).and_then(|rest| rest.split(['/', '?']).next());
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                found.push((pointer.to_owned(), id));
            }
        });
        found
    }

    /// The file, if it is the account's own and its bytes are there.
    pub(crate) async fn own_file(&self, id: AssetId, owner: AccountId) -> Result<Option<Asset>, StoreError> {
        let asset = self.store().find_asset(id, Scope::Account(owner)).await?;
        Ok(asset.filter(|asset| asset.state == AssetState::Stored && asset.deleted_at.is_none()))
    }

    /// The input as the provider gets it: addresses of ours are swapped for fresh copies at the provider.
    pub(crate) async fn input_for_provider(&self, job: &Job) -> Result<Value, UploadError> {
        let mut input = job.input.clone();
        for (pointer, id) in self.own_files(&job.input) {
            let Some(asset) = self.own_file(id, job.account).await? else {
                return Err(UploadError::Later(format!("the input file {id} is not there any more")));
            };
            let url = self.provider_copy(&asset).await?;
            if let Some(place) = input.pointer_mut(&pointer) {
                *place = Value::from(url);
            }
        }
        Ok(input)
    }

    async fn provider_copy(&self, asset: &Asset) -> Result<String, UploadError> {
        let later = |what: String| UploadError::Later(format!("the input file {} {what}", asset.id));
        if let Some((url, until)) = &asset.provider_copy
            && *until > self.ids().now()
        {
            return Ok(url.clone());
        }
        let content_type = asset.content_type.as_deref().unwrap_or("application/octet-stream");
        let bytes = asset.bytes.unwrap_or(0);
        let file = self
            .vault()
            .read(&asset.object, content_type, bytes)
            .await
            .map_err(|error: KeepError| later(format!("cannot be read: {error}")))?;
        store::fail_point!("input.opened");
        let url = self
            .ports
            .provider
            .upload(file)
            .await
            .map_err(|error: ReadFailure| later(format!("cannot be uploaded: {error}")))?;
        store::fail_point!("input.uploaded");
        let copy = ProviderCopy { url: url.clone(), until: self.after(COPY_USABLE) };
        self.store().set_provider_copy(asset.id, &copy).await?;
        store::fail_point!("input.kept");
        tracing::info!(account = %asset.account, asset = %asset.id, bytes, "input.uploaded");
        Ok(url)
    }

    /// The provider refused an input: perhaps it has lost our copies before their time. The next order sends new ones.
    pub(crate) async fn distrust_copies(&self, job: &Job) -> Result<(), StoreError> {
        for (_, id) in self.own_files(&job.input) {
            let asset = self.store().find_asset(id, Scope::Account(job.account)).await?;
            if let Some((url, _)) = asset.and_then(|asset| asset.provider_copy) {
                let spent = ProviderCopy { url, until: self.ids().now() };
                self.store().set_provider_copy(id, &spent).await?;
            }
        }
        Ok(())
    }
}

/// JSON pointers of the texts that hold a NUL character.
pub(crate) fn nul_characters(input: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(input, &mut String::new(), &mut |pointer, text| {
        if text.contains('\0') {
            found.push(pointer.to_owned());
        }
    });
    found
}

fn visit(value: &Value, pointer: &mut String, found: &mut dyn FnMut(&str, &str)) {
    let length = pointer.len();
    match value {
        Value::String(text) => found(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                visit(item, pointer, found);
                pointer.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                visit(member, pointer, found);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
