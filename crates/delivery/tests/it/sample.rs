//! A job and its delivery, as rows have them.

use domain::{
    AccountId, BatchId, Delivery, DeliveryEvent, DeliveryId, DeliveryState, Job, JobId, JobState, MediaKind,
    Money, PriceBasis, Recipient, SeededChance, Timestamp,
};

pub(crate) const KEY: [u8; 32] = *b"an account's own key of 32 bytes";

pub(crate) struct Sample {
    pub(crate) job: Job,
    pub(crate) delivery: Delivery,
}

impl Sample {
    /// A finished job of a batch and the duty to tell `address` of it.
    pub(crate) fn done(address: &str) -> Self {
        let at: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let chance = SeededChance::new(7);
        let job = job(at, &chance, address);
        let delivery = Delivery {
            id: DeliveryId::generate(at, &chance),
            job: job.id,
            account: job.account,
            channel: domain::Channel::Webhook,
            address: address.to_owned(),
            event: DeliveryEvent::JobDone,
            state: DeliveryState::Pending,
            attempts: 0,
            wake_at: Some(at),
            fence: 1,
            delivered_at: None,
            last_error: None,
            created_at: at,
        };
        Self { job, delivery }
    }

    pub(crate) fn message(&self, at: Timestamp) -> delivery::Message<'_> {
        delivery::Message { delivery: &self.delivery, job: &self.job, webhook_key: &KEY, at }
    }
}

fn job(at: Timestamp, chance: &SeededChance, address: &str) -> Job {
    Job {
        id: JobId::generate(at, chance),
        account: AccountId::generate(at, chance),
        model: "z-image".to_owned(),
        kind: MediaKind::Image,
        input: serde_json::json!({"prompt": "a private thought"}),
        prompt: Some("a private thought".to_owned()),
        state: JobState::Done,
        gift: false,
        late: false,
        cause: None,
        failure: None,
        price: Money::ZERO,
        basis: PriceBasis::Free,
        held: Money::ZERO,
        captured: Money::ZERO,
        released: Money::ZERO,
        refunded: Money::ZERO,
        outputs_ordered: 1,
        batch: Some(BatchId::generate(at, chance)),
        key: "order-1".to_owned(),
        recipients: vec![Recipient::Webhook { url: address.to_owned() }],
        request_id: "req-1".to_owned(),
        attempts: 1,
        cost: None,
        task_id: Some("task-1".to_owned()),
        created_at: at,
        entered_at: at,
        updated_at: at,
        version: 5,
        wake_at: None,
        wake_seq: 0,
        lease_until: None,
        fence: 3,
        deadline_at: None,
        tries: 0,
        hints: 0,
        favourite: false,
        hidden_at: None,
    }
}
