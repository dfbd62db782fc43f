//! The library: an account's generations, newest first.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use domain::{Job, JobId, MediaKind};
use http::request::Parts;
use store::JobFilter;

use super::frame::{Frame, Visitor, html};
use super::tile::Tile;
use crate::front::Front;
use crate::params::{Params, cut_page};
use crate::problem::{Problem, error_chain};
use crate::view::view_jobs;

const PAGE: u32 = 24;
/// Opening the library wakes what is open, at most this often.
const WAKE_EVERY: Duration = Duration::from_secs(30);
const WAKE_WITHIN: Duration = Duration::from_millis(300);

#[derive(Template)]
#[template(path = "library.html")]
struct Library {
    frame: Frame,
    filters: Vec<Choice>,
    kind: Option<MediaKind>,
    q: String,
    favourite: bool,
    tiles: Vec<Tile>,
    older: Option<String>,
    /// Whether new generations belong on this page.
    is_newest: bool,
}

/// A filter by kind.
struct Choice {
    word: &'static str,
    href: &'static str,
    chosen: bool,
}

pub(super) async fn show(front: &Front, parts: &Parts) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    wake(front, visitor).await;
    let params = Params::read(parts);
    let filter = read_filter(&params, visitor)?;
    let mut jobs: Vec<Job> = front.store().list_jobs(&filter).await?;
    let older = cut_page(&mut jobs, PAGE, |job| job.id.as_uuid());
    let views = view_jobs(front, &jobs, visitor.viewer()).await?;
    let tiles = jobs.iter().zip(&views).map(|(job, view)| Tile::new(front, job, view, visitor)).collect();
    let (kind, q) = (filter.kind, filter.prompt.unwrap_or_default());
    let favourite = filter.favourite.is_some();
    let filtered = kind.is_some() || !q.is_empty() || favourite;
    let frame = visitor.frame(front).await?;
    html(&Library {
        filters: choices(&frame, kind, favourite),
        frame,
        kind,
        q,
        favourite,
        tiles,
        older,
        is_newest: !filtered && filter.before.is_none(),
    })
}

/// A hint: the page shows what there is, whether it could be given or not, and does not wait for a slow database.
async fn wake(front: &Front, visitor: Visitor) {
    let waking = front.store().wake_account_jobs(visitor.account, front.now(), WAKE_EVERY);
    let error = match tokio::time::timeout(WAKE_WITHIN, waking).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error_chain(&error),
        Err(_elapsed) => format!("it took longer than {} ms", WAKE_WITHIN.as_millis()),
    };
    tracing::warn!(error, "library.wake_failed");
}

fn read_filter(params: &Params, visitor: Visitor) -> Result<JobFilter, Problem> {
    Ok(JobFilter {
        account: Some(visitor.account),
        kind: params.one("kind")?,
        prompt: params.text("q").map(str::to_owned),
        favourite: params.text("favourite").map(|_| true),
        before: params.cursor()?.map(JobId::from_uuid),
        limit: PAGE + 1,
        ..JobFilter::default()
    })
}

fn choices(frame: &Frame, kind: Option<MediaKind>, favourite: bool) -> Vec<Choice> {
    let w = frame.w;
    let of_kind = |word, href, one| Choice { word, href, chosen: kind == one && !favourite };
    vec![
        of_kind(w.all, "/library", None),
        of_kind(w.image, "/library?kind=image", Some(MediaKind::Image)),
        of_kind(w.video, "/library?kind=video", Some(MediaKind::Video)),
        of_kind(w.audio, "/library?kind=audio", Some(MediaKind::Audio)),
        of_kind(w.text, "/library?kind=text", Some(MediaKind::Text)),
        Choice { word: w.favourites, href: "/library?favourite=1", chosen: favourite },
    ]
}
