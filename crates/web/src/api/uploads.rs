//! A customer's own file, for use as input.

use std::pin::pin;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use domain::{AccountId, AssetId, AssetRole, MediaKind};
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use media::{CopyError, Stored, Variant};
use serde::Serialize;
use store::{NewAsset, StoredFile};
use utoipa::ToSchema;

use super::upload_body::{BEGIN_WITHIN, FILE, Form, check_announced, is_form, too_large, too_slow};
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

/// The form that brings a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form; it is never built")]
pub(crate) struct UploadForm {
    /// The file. Little may stand in front of it.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Upload a file
///
/// Either the bytes as the body, or `multipart/form-data` with one field `file`. Two uploads of an account run at once.
#[utoipa::path(
    post, path = "/v1/uploads", tag = "uploads",
    request_body(content(
        (String = "application/octet-stream"),
        (UploadForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "The file", body = Upload),
        (status = 400, description = "`bad-request`: it broke off, was too slow, or the form cannot be read", body = ProblemBody<'static>),
        (status = 413, description = "`too-large`, with `limit`", body = ProblemBody<'static>),
        (status = 422, description = "`invalid`: no picture, clip or sound", body = ProblemBody<'static>),
    ),
)]
pub(crate) async fn upload(
    State(front): State<Shared>,
    Customer(owner): Customer,
    mut request: Request,
) -> Result<Response, Problem> {
    let file_max = front.settings().upload_max_bytes;
    let announced = check_announced(&mut request, file_max).await?;
    let _place = front.uploads.take(owner.account)?;
    let kept = if is_form(request.headers()) {
        let mut form = Form::open(request, file_max).await?;
        loop {
            let field = form.next().await?;
            if field.name() == Some(FILE) {
                break keep(&front, owner.account, None, field).await?;
            }
        }
    } else {
        keep(&front, owner.account, announced, request.into_body().into_data_stream()).await?
    };
    Ok((StatusCode::CREATED, axum::Json(kept)).into_response())
}

/// Writes the row, then the bytes, then marks the row: every object has a row, whatever breaks.
async fn keep<S, E>(
    front: &Front,
    account: AccountId,
    announced: Option<u64>,
    stream: S,
) -> Result<Upload, Problem>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BoxError> + Send + Sync,
{
    let ids = front.lifecycle().ids();
    let id = AssetId::generate(ids.now(), &*ids.chance);
    let object = media::key::upload(account, id);
    let mut pieces = pin!(stream.peekable());
    // Nothing is written for a body without a byte.
    match tokio::time::timeout(BEGIN_WITHIN, pieces.as_mut().peek()).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Problem::invalid("", "the body is empty")),
        Err(_elapsed) => return Err(too_slow()),
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
    let stored = media::keep_upload(&front.app.media, &object, (announced, bytes_max), pieces).await;
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
        CopyError::TooLarge { .. } => too_large(bytes_max),
        CopyError::Unusable { flaw } => Problem::invalid(
            "",
            format!("the file cannot be used: {flaw}; send a picture, a clip or a sound"),
        ),
        CopyError::Source(_) => Problem::new(Kind::BadRequest).detail("the upload broke off or was too slow"),
        error => Problem::unavailable(error),
    }
}
