//! Submitting: validate → price → hold and job in one transaction, before anything is bought.

use std::collections::HashMap;

use domain::{AccountId, BatchId, Job, JobId, JobState, MediaKind, Money, Recipient};
use kie_catalogue::{InputFault, Model, OutputKind, ValidInput};
use serde_json::Value;
use store::{NewEntry, NewJob, NewOrder, OrderLimits, Placed, StoreError};
use thiserror::Error;

use crate::{Lifecycle, OffSale, Policy, Quote, QuoteError, uploads};

/// Most jobs that can be ordered together.
const COUNT_MAX: u32 = 16;
/// Different uploaded files in one order; no model takes more.
const FILES_MAX: usize = 64;

/// An order as a customer gives it.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    /// Who orders.
    pub account: AccountId,
    /// The account's linked chat; the default recipient.
    pub linked_chat: Option<i64>,
    /// The `Idempotency-Key`.
    pub key: String,
    /// Fingerprint of the whole body.
    pub fingerprint: [u8; 32],
    /// The request's id.
    pub request_id: String,
    /// The model's id.
    pub model: String,
    /// The input.
    pub input: Value,
    /// How many jobs; asking for a count makes a batch.
    pub count: Option<u32>,
    /// Where results go; the linked chat if none is said.
    pub recipients: Option<Vec<Recipient>>,
    /// Whether to keep it unpaid when money is short (or until it is confirmed).
    pub draft: bool,
}

/// One fault of an order, at a JSON pointer into its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFault {
    /// JSON pointer.
    pub pointer: String,
    /// The customer's words.
    pub message: String,
}

/// What became of a good order.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The jobs, by index.
    pub jobs: Vec<Job>,
    /// Whether it had been placed before.
    pub replayed: bool,
}

/// Why an order was refused; nothing was written.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The key is not 1 to 255 visible ASCII characters.
    #[error("the idempotency key must be 1 to 255 visible ASCII characters")]
    BadKey,
    /// No such model.
    #[error("there is no model `{model}`")]
    UnknownModel {
        /// As asked.
        model: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// The model is known but cannot be ordered.
    #[error("`{model}` is not for sale: {reason}")]
    NotForSale {
        /// The model.
        model: String,
        /// Why not.
        reason: OffSale,
    },
    /// The body has faults.
    #[error("the order has faults")]
    Faults(Vec<OrderFault>),
    /// The key was used for another order.
    #[error("this idempotency key was used for another order")]
    KeyReused,
    /// The balance does not suffice.
    #[error("the balance does not suffice")]
    Short {
        /// What the order costs.
        required: Money,
        /// What the account has.
        available: Money,
    },
    /// Too many open jobs.
    #[error("too many generations are open")]
    TooManyOpen {
        /// How many are allowed.
        limit: u32,
    },
    /// Today's free generations are used up.
    #[error("today's free generations are used up")]
    FreeUsedUp {
        /// How many are allowed a day.
        limit: u32,
    },
    /// The account is closed.
    #[error("the account is closed")]
    NoAccount,
    /// The database.
    #[error("the order could not be written")]
    Store(#[from] StoreError),
}

impl Lifecycle {
    /// Places an order. A replay gives the current jobs, even if the model has left the catalogue since.
    pub async fn submit(&self, request: &OrderRequest) -> Result<Submitted, SubmitError> {
        if !(1..=255).contains(&request.key.len()) || !request.key.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(SubmitError::BadKey);
        }
        match self.check_order(request).await {
            Ok(order) => self.place(&order).await,
            // The order may have been good when it was placed.
            Err(refusal) => match self.store().find_order(request.account, &request.key).await? {
                Some((kept, jobs)) if store::is_same_order(&kept, &request.fingerprint) => {
                    Ok(Submitted { jobs, replayed: true })
                }
                Some(_) => Err(SubmitError::KeyReused),
                None => Err(refusal),
            },
        }
    }

    /// The price of one job of this model with this input.
    pub fn quote(&self, model: &str, input: Value) -> Result<Quote, SubmitError> {
        let catalogue = self.offers.catalogue();
        let model = known(&catalogue, model)?;
        let valid = model.validate(input).map_err(|faults| SubmitError::Faults(at_input(faults)))?;
        self.price(model, &valid)
    }

    fn price(&self, model: &Model, input: &ValidInput) -> Result<Quote, SubmitError> {
        let refused = |reason| SubmitError::NotForSale { model: model.id().to_owned(), reason };
        self.offers.why_not_for_sale(model).map_or(Ok(()), |reason| Err(refused(reason)))?;
        self.offers.quote(model, input).map_err(|error| match error {
            QuoteError::Unknown => refused(OffSale::Unpriced),
            QuoteError::TooLarge => SubmitError::Faults(vec![OrderFault {
                pointer: "/input".to_owned(),
                message: "the price of this request is too large".to_owned(),
            }]),
        })
    }

    async fn check_order(&self, request: &OrderRequest) -> Result<NewOrder, SubmitError> {
        let catalogue = self.offers.catalogue();
        let model = known(&catalogue, &request.model)?;
        let mut faults = Vec::new();
        let recipients = self.check_recipients(request, &mut faults);
        if request.count.is_some_and(|count| !(1..=COUNT_MAX).contains(&count)) {
            let message = format!("must be 1 to {COUNT_MAX}");
            faults.push(OrderFault { pointer: "/count".to_owned(), message });
        }
        let mut known = HashMap::new();
        for (pointer, id) in self.own_files(&request.input) {
            let is_there = match known.get(&id) {
                Some(is_there) => *is_there,
                None if known.len() < FILES_MAX => {
                    let is_there = self.own_file(id, request.account).await?.is_some();
                    *known.entry(id).or_insert(is_there)
                }
                None => {
                    let message = format!("more than {FILES_MAX} uploaded files in one order");
                    faults.push(OrderFault { pointer: format!("/input{pointer}"), message });
                    break;
                }
            };
            if !is_there {
                let message = "there is no such uploaded file of this account".to_owned();
                faults.push(OrderFault { pointer: format!("/input{pointer}"), message });
            }
        }
        for pointer in uploads::nul_characters(&request.input) {
            // PostgreSQL keeps no such text, and no model wants one.
            let message = "must not contain the NUL character".to_owned();
            faults.push(OrderFault { pointer: format!("/input{pointer}"), message });
        }
        let valid = match model.validate(request.input.clone()) {
            Ok(valid) => valid,
            Err(more) => {
                faults.extend(at_input(more));
                return Err(SubmitError::Faults(faults));
            }
        };
        if !faults.is_empty() {
            return Err(SubmitError::Faults(faults));
        }
        let quote = self.price(model, &valid)?;
        quote.price.times(request.count.unwrap_or(1)).map_err(|_too_large| {
            let message = "the price of this many is too large".to_owned();
            SubmitError::Faults(vec![OrderFault { pointer: "/count".to_owned(), message }])
        })?;
        Ok(self.new_order(request, model, &valid, &quote, &recipients))
    }

    fn check_recipients(&self, request: &OrderRequest, faults: &mut Vec<OrderFault>) -> Vec<Recipient> {
        let linked = request.linked_chat.map(|chat_id| Recipient::Telegram { chat_id });
        let Some(asked) = &request.recipients else { return linked.into_iter().collect() };
        for (index, recipient) in asked.iter().enumerate() {
            let (field, message) = match recipient {
                Recipient::Webhook { url } => match delivery::check_webhook_url(&self.ports.outbound, url) {
                    Ok(_) => continue,
                    Err(error) => ("url", error.to_string()),
                },
                chat if Some(chat) == linked.as_ref() => continue,
                Recipient::Telegram { .. } => {
                    ("chat_id", "this chat is not linked to the account".to_owned())
                }
            };
            faults.push(OrderFault { pointer: format!("/deliver/{index}/{field}"), message });
        }
        if asked.len() > 8 {
            let message = "at most 8 recipients".to_owned();
            faults.push(OrderFault { pointer: "/deliver".to_owned(), message });
        }
        asked.clone()
    }

    fn new_order(
        &self,
        request: &OrderRequest,
        model: &Model,
        valid: &ValidInput,
        quote: &Quote,
        recipients: &[Recipient],
    ) -> NewOrder {
        let (at, chance) = (self.ids().now(), &*self.ids().chance);
        let state = if request.draft { JobState::Draft } else { JobState::Pending };
        let patience = if request.draft { Policy::DRAFT_AFTER } else { self.policy.pending_after };
        let job = || {
            let id = JobId::generate(at, chance);
            let hold = match state {
                JobState::Draft => None,
                _ => ledger::hold(id, request.account, quote.price, at, chance),
            };
            let entry = NewEntry { source: "order", event: "job.created", detail: None, fold: None };
            NewJob {
                id,
                model: model.id().to_owned(),
                kind: media_kind(model.kind()),
                input: valid.value().clone(),
                prompt: valid.prompt().map(str::to_owned),
                state,
                price: quote.price,
                basis: quote.basis.clone(),
                outputs_ordered: u16::try_from(valid.outputs().clamp(1, 32)).unwrap_or(1),
                recipients: recipients.to_vec(),
                deadline_at: self.after(patience),
                hold,
                timeline: vec![entry],
            }
        };
        NewOrder {
            account: request.account,
            key: request.key.clone(),
            fingerprint: request.fingerprint,
            batch: request.count.map(|_| BatchId::generate(at, chance)),
            request_id: request.request_id.clone(),
            jobs: (0..request.count.unwrap_or(1)).map(|_| job()).collect(),
            limits: OrderLimits {
                open_jobs: self.policy.max_open_jobs,
                free_per_day: self.policy.free_per_day,
            },
            at,
        }
    }

    async fn place(&self, order: &NewOrder) -> Result<Submitted, SubmitError> {
        store::fail_point!("order.checked");
        match self.store().place(order).await? {
            Placed::Opened(jobs) => {
                store::fail_point!("order.placed");
                log_opened(&jobs);
                Ok(Submitted { jobs, replayed: false })
            }
            Placed::Replayed(jobs) => Ok(Submitted { jobs, replayed: true }),
            Placed::KeyReused => Err(SubmitError::KeyReused),
            Placed::Short { available } => {
                let required = order.jobs.iter().map(|job| job.price.minor()).fold(0, i64::saturating_add);
                Err(SubmitError::Short { required: Money::from_minor(required), available })
            }
            Placed::TooManyOpen => Err(SubmitError::TooManyOpen { limit: order.limits.open_jobs }),
            Placed::FreeUsedUp => Err(SubmitError::FreeUsedUp { limit: order.limits.free_per_day }),
            Placed::NoAccount => Err(SubmitError::NoAccount),
        }
    }
}

fn known<'a>(catalogue: &'a kie_catalogue::Catalogue, id: &str) -> Result<&'a Model, SubmitError> {
    catalogue.get(id).ok_or_else(|| {
        let nearest = catalogue.nearest(id).map(str::to_owned);
        SubmitError::UnknownModel { model: id.to_owned(), nearest }
    })
}

fn log_opened(jobs: &[Job]) {
    for job in jobs {
        tracing::info!(
            job = %job.id, account = %job.account, model = %job.model, price = job.price.minor(), state = %job.state,
            request_id = %job.request_id, "job.created"
        );
        if job.held.is_positive() {
            tracing::info!(
                job = %job.id, account = %job.account, model = %job.model, amount = job.held.minor(),
                request_id = %job.request_id, "hold.placed"
            );
        }
    }
}

fn at_input(faults: Vec<InputFault>) -> Vec<OrderFault> {
    let shift = |fault: InputFault| OrderFault {
        pointer: format!("/input{}", fault.pointer),
        message: fault.message,
    };
    faults.into_iter().map(shift).collect()
}

/// What we keep the output of a model as.
pub const fn media_kind(kind: OutputKind) -> MediaKind {
    match kind {
        OutputKind::Image => MediaKind::Image,
        OutputKind::Audio => MediaKind::Audio,
        OutputKind::Text => MediaKind::Text,
        // Video, and what a later catalogue may make: it is waited for the longest.
        _ => MediaKind::Video,
    }
}
