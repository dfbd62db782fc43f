//! The recording channel.

use std::time::Duration;

use delivery::{Channel, Outcome, Recording};
use domain::{DeliveryEvent, JobState};

use crate::sample::Sample;

#[tokio::test]
async fn it_remembers_tries_and_answers_as_told() {
    let sample = Sample::done("https://shop.example/hooks");
    let at = sample.delivery.created_at;
    let recording = Recording::new(domain::Channel::Webhook);
    assert_eq!(recording.kind(), domain::Channel::Webhook);
    let later = Outcome::Retry { after: Some(Duration::from_secs(9)), error: "busy".to_owned() };
    recording.answer_next(later.clone());
    assert_eq!(recording.deliver(&sample.message(at)).await, later);
    assert_eq!(recording.deliver(&sample.message(at)).await, Outcome::Delivered);
    let sent = recording.sent();
    assert_eq!(sent.iter().map(|sent| &sent.outcome).collect::<Vec<_>>(), [&later, &Outcome::Delivered]);
    for sent in sent {
        assert_eq!((sent.delivery, sent.job, sent.at), (sample.delivery.id, sample.job.id, at));
        assert_eq!((sent.event, sent.state, sent.gift), (DeliveryEvent::JobDone, JobState::Done, false));
        assert_eq!(sent.address, "https://shop.example/hooks");
    }
}
