//! A customer's own file, for use as input.

use std::pin::pin;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::response::{IntoResponse, Response};
use domain::{AccountId, AssetId, AssetRole, MediaKind};
use futures_util::{Stream, StreamExt};
use http::{StatusCode, header};
use media::{CopyError, Stored, Variant};
use serde::Serialize;
use store::{NewAsset, StoredFile};
use utoipa::ToSchema;

use crate::auth::Customer;
use crate::front::{Front, Shared};
use crate::problem::{Kind, Problem, ProblemBody};

/// A file that was kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct Upload {
    /// Its id.
    #[schema(value_type = String)]
    id: AssetId,
    /// Our address of it; put it into an input.
    url: String,
    /// Type by content.
    content_type: String,
    /// Length in bytes.
    bytes: u64,
    /// Hash of the bytes, hex.
    sha256: String,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Upload a file
///
/// Either the bytes as the body, or `multipart/form-data` with one field `file`.
#[utoipa::path(
    post, path = "/v1/uploads", tag = "uploads",
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "The file", body = Upload),
        (status = 413, description = "`too-large`", body = ProblemBody<'static>),
        (status = 422, description = "`invalid`: no picture, clip or sound", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn upload(
    State(front): State<Shared>,
    Customer(owner): Customer,
    request: Request,
) -> Result<Response, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kept = if content_type.is_some_and(|text| text.starts_with("multipart/form-data")) {
        let mut form = Multipart::from_request(request, &()).await.map_err(|_no_boundary| bad_form())?;
        loop {
            let field = form.next_field().await.map_err(|_torn| bad_form())?;
            let Some(field) = field else {
                return Err(Problem::new(Kind::BadRequest).detail("the form has no field `file`"));
            };
            if field.name() == Some("file") {
                break keep(&front, owner.account, field).await?;
            }
        }
    } else {
        keep(&front, owner.account, request.into_body().into_data_stream()).await?
    };
    Ok((StatusCode::CREATED, axum::Json(kept)).into_response())
}

/// Writes the row, then the bytes, then marks the row: every object has a row, whatever breaks.
async fn keep<S, E>(front: &Front, account: AccountId, stream: S) -> Result<Upload, Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BoxError> + Send + Sync,
{
    let ids = front.lifecycle().ids();
    let id = AssetId::generate(ids.now(), &*ids.chance);
    let object = media::key::upload(account, id);
    let mut pieces = pin!(stream.peekable());
    // Nothing is written for a body without a byte.
    if pieces.as_mut().peek().await.is_none() {
        return Err(Problem::invalid("", "the body is empty"));
    }
    let asset = NewAsset {
        id,
        account,
        job: None,
        index: 0,
        role: AssetRole::Upload,
        // The row is written before a byte is seen; the type by content is set with the bytes.
        kind: MediaKind::Image,
        source_url: None,
        object: object.clone(),
    };
    front.store().add_asset(&asset, ids.now()).await?;
    store::fail_point!("upload.announced");
    let bytes_max = front.settings().upload_max_bytes;
    let stored = media::keep_upload(&front.app.media, &object, bytes_max, pieces).await;
    let stored = stored.map_err(|error| refused(error, bytes_max))?;
    store::fail_point!("upload.written");
    front.store().asset_stored(id, None, &stored_file(&stored), ids.now()).await?;
    store::fail_point!("upload.kept");
    tracing::info!(%account, asset = %id, bytes = stored.bytes, content_type = stored.content_type, "upload.stored");
    Ok(shown(front, id, &stored))
}

fn shown(front: &Front, id: AssetId, stored: &Stored) -> Upload {
    let name = format!("upload.{}", media::extension_of(&stored.content_type));
    let link = front.app.links.link(id, Variant::Original, &name, front.now());
    Upload {
        id,
        url: front.absolute(&link),
        content_type: stored.content_type.clone(),
        bytes: stored.bytes,
        sha256: hex::encode(stored.sha256),
    }
}

fn stored_file(stored: &Stored) -> StoredFile {
    StoredFile {
        kind: media::kind_of(&stored.content_type),
        content_type: stored.content_type.clone(),
        bytes: stored.bytes,
        sha256: stored.sha256,
        width: stored.width,
        height: stored.height,
        duration_ms: stored.duration_ms,
        thumbnail: None,
    }
}

fn refused(error: CopyError, bytes_max: u64) -> Problem {
    match error {
        CopyError::TooLarge { .. } => Problem::new(Kind::TooLarge).fact("limit", bytes_max),
        CopyError::Unusable { flaw } => Problem::invalid(
            "",
            format!("the file cannot be used: {flaw}; send a picture, a clip or a sound"),
        ),
        CopyError::Source(_) => Problem::new(Kind::BadRequest).detail("the upload broke off or was too slow"),
        error => Problem::unavailable(error),
    }
}

fn bad_form() -> Problem {
    Problem::new(Kind::BadRequest).detail("the form cannot be read")
}
