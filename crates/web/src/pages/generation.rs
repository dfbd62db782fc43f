//! One generation: its results, what became of its money, who was told, and the buttons.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use domain::{DeliveryState, Job, JobId, JobState};
use http::request::Parts;
use store::{Flags, TransferFilter};

use super::frame::{Frame, Visitor, html};
use super::tile::Tile;
use crate::api::acts::flag;
use crate::front::Front;
use crate::problem::Problem;
use crate::view::{JobView, view_job};
use crate::words::{self, Words};

#[derive(Template)]
#[template(path = "generation.html")]
struct Generation {
    frame: Frame,
    w: &'static Words,
    tile: Tile,
    buttons: Vec<Button>,
    deliveries: Vec<Told>,
    transfers: Vec<Moved>,
    input: String,
}

#[derive(Template)]
#[template(path = "part.html")]
struct Part {
    w: &'static Words,
    tile: Tile,
    buttons: Vec<Button>,
    deliveries: Vec<Told>,
    transfers: Vec<Moved>,
}

#[derive(Template)]
#[template(path = "tile.html")]
struct TilePage {
    w: &'static Words,
    tile: Tile,
}

struct Button {
    act: &'static str,
    word: &'static str,
}

struct Told {
    channel: &'static str,
    word: &'static str,
}

struct Moved {
    word: &'static str,
    amount: String,
    at: String,
}

pub(super) async fn show(front: &Front, parts: &Parts, id: &str) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    let (job, view) = find(front, visitor, id).await?;
    let part = read_part(front, visitor, &job, &view).await?;
    let input = serde_json::to_string_pretty(&job.input).map_err(Problem::internal)?;
    let frame = visitor.frame(front).await?;
    let Part { w, tile, buttons, deliveries, transfers } = part;
    html(&Generation { frame, w, tile, buttons, deliveries, transfers, input })
}

pub(super) async fn show_part(front: &Front, parts: &Parts, id: &str) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    let (job, view) = find(front, visitor, id).await?;
    html(&read_part(front, visitor, &job, &view).await?)
}

pub(super) async fn show_tile(front: &Front, parts: &Parts, id: &str) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    let (job, view) = find(front, visitor, id).await?;
    let w = visitor.language.words();
    html(&TilePage { w, tile: Tile::new(front, &job, &view, visitor) })
}

pub(super) async fn act(front: &Front, parts: &Parts, id: &str, act: &str) -> Result<Response, Problem> {
    let visitor = Visitor::get(front, parts).await?;
    let id: JobId = id.parse().map_err(|_no_id| Problem::not_found("job"))?;
    let (lifecycle, scope) = (front.lifecycle(), visitor.scope());
    let hidden = |hidden| Flags { hidden: Some(hidden), ..Flags::default() };
    let favourite = |favourite| Flags { favourite: Some(favourite), ..Flags::default() };
    match act {
        "check" => drop(lifecycle.sync(id, scope).await?),
        "cancel" => drop(lifecycle.cancel(id, visitor.account).await?),
        "confirm" => drop(lifecycle.confirm(id, visitor.account).await?),
        "redeliver" => drop(lifecycle.redeliver(id, scope).await?),
        "hide" => flag(front, scope, id, hidden(true)).await?,
        "restore" => flag(front, scope, id, hidden(false)).await?,
        "favourite" => flag(front, scope, id, favourite(true)).await?,
        "unfavourite" => flag(front, scope, id, favourite(false)).await?,
        _ => return Err(Problem::not_found("page")),
    }
    Ok(Redirect::to(&format!("/g/{id}")).into_response())
}

async fn find(front: &Front, visitor: Visitor, id: &str) -> Result<(Job, JobView), Problem> {
    let missing = || Problem::not_found("job");
    let id: JobId = id.parse().map_err(|_no_id| missing())?;
    let job = front.store().find_job(id, visitor.scope()).await?.ok_or_else(missing)?;
    let view = view_job(front, &job, visitor.viewer()).await?;
    Ok((job, view))
}

async fn read_part(front: &Front, visitor: Visitor, job: &Job, view: &JobView) -> Result<Part, Problem> {
    let filter = TransferFilter {
        account: Some(visitor.account),
        job: Some(job.id),
        limit: 50,
        ..TransferFilter::default()
    };
    let transfers = front.store().list_transfers(&filter).await?;
    let currency = &front.lifecycle().policy().currency;
    let moved = |transfer: &domain::Transfer| Moved {
        word: words::transfer(transfer.kind, visitor.language),
        amount: currency.format(transfer.amount),
        at: transfer.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    let w = visitor.language.words();
    Ok(Part {
        w,
        tile: Tile::new(front, job, view, visitor),
        buttons: if visitor.is_demo { Vec::new() } else { buttons(job, view, w) },
        deliveries: view
            .deliveries
            .iter()
            .map(|delivery| told(delivery.channel, delivery.state, w))
            .collect(),
        transfers: transfers.iter().rev().map(moved).collect(),
    })
}

fn told(channel: domain::Channel, state: DeliveryState, w: &'static Words) -> Told {
    let word = match state {
        DeliveryState::Done => w.delivered,
        DeliveryState::Pending => w.delivery_pending,
        DeliveryState::Dead => w.delivery_dead,
    };
    Told { channel: channel.as_str(), word }
}

fn buttons(job: &Job, view: &JobView, w: &'static Words) -> Vec<Button> {
    let mut buttons = Vec::new();
    let mut add = |act, word| buttons.push(Button { act, word });
    match job.state {
        JobState::Draft => {
            add("confirm", w.confirm);
            add("cancel", w.cancel);
        }
        JobState::Pending => {
            add("check", w.check_now);
            add("cancel", w.cancel);
        }
        JobState::Submitting | JobState::Unclear | JobState::Running | JobState::Storing => {
            add("check", w.check_now);
        }
        JobState::Done | JobState::Failed if !view.deliveries.is_empty() => add("redeliver", w.redeliver),
        JobState::Done | JobState::Failed | JobState::Canceled => {}
    }
    if view.favourite {
        add("unfavourite", w.drop_favourite);
    } else {
        add("favourite", w.add_favourite);
    }
    if view.hidden {
        add("restore", w.restore);
    } else {
        add("hide", w.hide);
    }
    buttons
}
