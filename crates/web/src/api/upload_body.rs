//! The body of an upload: the bytes themselves, or the field `file` of a form; read piece by piece, and never for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use futures_util::{Stream, ready};
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

use crate::body::read_bounded;
use crate::problem::{Kind, Problem};

/// What a form may hold around its file: boundaries, heads, small fields in front.
const FORM_AROUND_MAX: u64 = 64 * 1024;
/// The file of a form begins in this time, and the first byte of a body comes in it.
pub(super) const BEGIN_WITHIN: Duration = Duration::from_secs(30);

/// The field that is kept.
pub(super) const FILE: &str = "file";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("multipart/form-data"))
}

/// Refuses a body that announces more than may be kept; gives what a plain body announces.
pub(super) async fn check_announced(request: &mut Request, file_max: u64) -> Result<Option<u64>, Problem> {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let form = is_form(headers);
    let most = if form { form_max(file_max) } else { file_max };
    if length.is_none_or(|length: u64| length <= most) {
        return Ok(length.filter(|_| !form));
    }
    // Who asks first has sent nothing yet; who does not is heard out, within bounds, so that it hears the answer.
    if !headers.contains_key(header::EXPECT) {
        let body = std::mem::take(request.body_mut());
        read_bounded(body, 0).await;
    }
    Err(too_large(file_max))
}

pub(super) fn too_large(file_max: u64) -> Problem {
    Problem::new(Kind::TooLarge).fact("limit", file_max)
}

const fn form_max(file_max: u64) -> u64 {
    file_max.saturating_add(FORM_AROUND_MAX)
}

/// A form on its way in.
pub(super) struct Form {
    parts: Multipart,
    file_begun: Arc<AtomicBool>,
    begin_until: Instant,
    file_max: u64,
}

impl Form {
    /// The parser keeps what it has read until it knows what it is. So it is given one piece at a time, and nothing
    /// more than [`FORM_AROUND_MAX`] in front of the file.
    pub(super) async fn open(mut request: Request, file_max: u64) -> Result<Self, Problem> {
        let limit = usize::try_from(form_max(file_max)).unwrap_or(usize::MAX);
        DefaultBodyLimit::max(limit).apply(&mut request);
        let file_begun = Arc::new(AtomicBool::new(false));
        let begun = file_begun.clone();
        let request = request.map(|body| {
            let pieces = Box::pin(body.into_data_stream());
            Body::from_stream(Piecewise { pieces, seen: 0, gave: false, begun })
        });
        let parts = Multipart::from_request(request, &()).await.map_err(|_no_boundary| bad_form())?;
        Ok(Self { parts, file_begun, begin_until: Instant::now() + BEGIN_WITHIN, file_max })
    }

    /// The next field; `file` lets the rest of the body come.
    pub(super) async fn next(&mut self) -> Result<Field<'_>, Problem> {
        let field = tokio::time::timeout_at(self.begin_until, self.parts.next_field()).await;
        let file_max = self.file_max;
        let field = field.map_err(|_elapsed| too_slow())?.map_err(|error| refused(&error, file_max))?;
        let field =
            field.ok_or_else(|| Problem::new(Kind::BadRequest).detail("the form has no field `file`"))?;
        if field.name() == Some(FILE) {
            self.file_begun.store(true, Ordering::Relaxed);
        }
        Ok(field)
    }
}

pub(super) fn too_slow() -> Problem {
    Problem::new(Kind::BadRequest)
        .detail("the upload was too slow: no byte of the file came within 30 seconds")
}

fn refused(error: &MultipartError, file_max: u64) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE { too_large(file_max) } else { bad_form() }
}

fn bad_form() -> Problem {
    Problem::new(Kind::BadRequest)
        .detail("the form cannot be read: put the field `file` first, with at most 64 KiB in front of it")
}

/// A body that pauses after each piece, because the form's parser reads on while there is something to read.
struct Piecewise<S> {
    pieces: Pin<Box<S>>,
    seen: u64,
    gave: bool,
    begun: Arc<AtomicBool>,
}

impl<S, E> Stream for Piecewise<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.seen > FORM_AROUND_MAX && !self.begun.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err("the file does not begin".into())));
        }
        let piece = ready!(self.pieces.as_mut().poll_next(cx));
        self.gave = true;
        Poll::Ready(piece.map(|piece| {
            let piece = piece.map_err(Into::<BoxError>::into)?;
            self.seen += piece.len() as u64;
            Ok(piece)
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    #[tokio::test]
    async fn one_piece_at_a_time_and_little_before_the_file() {
        let begun = Arc::new(AtomicBool::new(false));
        let piece = Bytes::from(vec![b'x'; 40 * 1024]);
        let pieces = stream::repeat(piece).map(Ok::<_, std::io::Error>);
        let mut pieces = Piecewise { pieces: Box::pin(pieces), seen: 0, gave: false, begun: begun.clone() };
        assert!(pieces.next().now_or_never().is_some());
        assert!(pieces.next().now_or_never().is_none(), "a pause after a piece");
        assert!(pieces.next().await.is_some_and(|piece| piece.is_ok()));
        assert!(pieces.next().await.is_some_and(|piece| piece.is_err()), "80 KiB without a file");
        begun.store(true, Ordering::Relaxed);
        assert!(pieces.next().await.is_some_and(|piece| piece.is_ok()));
    }
}
