//! Delivering: paying the duties to tell, each at least once per channel.

use std::time::Duration;

use delivery::{Channel, Message, Outcome};
use domain::{Delivery, Scope};
use store::DeliveryResult;

use crate::{Lifecycle, StepError};

/// How long a slow receiver's messages wait for those of others; up to twice that.
const OTHERS_FIRST: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// The channels that are set up in this process; others wait for a process that has them.
    pub fn channels(&self) -> Vec<domain::Channel> {
        self.ports.channels.iter().map(|channel| channel.kind()).collect()
    }

    /// Makes one try of a delivery that the caller has claimed; one of a channel that is not here is left to its lease.
    pub async fn deliver(&self, delivery: &Delivery) -> Result<(), StepError> {
        let Some(channel) = self.ports.channels.iter().find(|channel| channel.kind() == delivery.channel)
        else {
            return Ok(());
        };
        let result = self.try_delivery(delivery, &**channel).await?;
        store::fail_point!("deliver.sent");
        let at = self.ids().now();
        if !self.store().record_delivery(delivery, &result, at).await? {
            tracing::debug!(delivery = %delivery.id, "delivery.stale");
            return Ok(());
        }
        store::fail_point!("deliver.recorded");
        log_result(delivery, result);
        Ok(())
    }

    /// Lets others go first, when this account's receivers are slow; it counts as no try.
    pub(crate) async fn put_off(&self, delivery: &Delivery) -> Result<(), StepError> {
        let until = self.after(OTHERS_FIRST.mul_f64(1.0 + self.fraction()));
        if self.store().put_off_delivery(delivery, until).await? {
            let (job, account, channel) = (delivery.job, delivery.account, delivery.channel);
            let error = "the account's receivers are slow, and others go first";
            tracing::debug!(%job, %account, %channel, error, "delivery.postponed");
        }
        Ok(())
    }

    async fn try_delivery(
        &self,
        delivery: &Delivery,
        channel: &dyn Channel,
    ) -> Result<DeliveryResult, StepError> {
        let Some(job) = self.store().find_job(delivery.job, Scope::All).await? else {
            return Ok(DeliveryResult::Dead { error: "the job is gone".to_owned() });
        };
        let webhook_key = self.store().webhook_key(delivery.account).await?;
        store::fail_point!("deliver.ready");
        let message = Message { delivery, job: &job, webhook_key: &webhook_key, at: self.ids().now() };
        Ok(match channel.deliver(&message).await {
            Outcome::Delivered => DeliveryResult::Delivered,
            Outcome::Gone { error } => DeliveryResult::Dead { error },
            // The receiver may ask for more patience than the schedule has, never for less, and each try counts.
            Outcome::Retry { after, error } => {
                match delivery::retry_delay(delivery.attempts.saturating_add(1), self.fraction()) {
                    Some(delay) => {
                        DeliveryResult::Retry { at: self.after(delay.max(after.unwrap_or_default())), error }
                    }
                    None => DeliveryResult::Dead { error },
                }
            }
        })
    }
}

fn log_result(delivery: &Delivery, result: DeliveryResult) {
    let (job, account, channel) = (delivery.job, delivery.account, delivery.channel);
    match result {
        DeliveryResult::Delivered => {
            tracing::info!(%job, %account, %channel, event_name = %delivery.event, "delivery.sent");
        }
        DeliveryResult::Retry { error, .. } => {
            tracing::warn!(%job, %account, %channel, error, attempts = delivery.attempts, "delivery.failed");
        }
        DeliveryResult::Dead { error } => {
            tracing::error!(%job, %account, %channel, error, "delivery.dead");
        }
    }
}
