//! What the demo tells: three orders from the click to the customer.

use std::io::Write;
use std::time::Duration;

use operations::{SmokeLine, SmokeOptions, SmokeStep};
use runtime::Recipient;
use serde_json::json;

use super::Demo;

const PATIENCE: Duration = Duration::from_mins(2);

pub(super) fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Orders an image, a video and a sound, and watches them arrive; whether all were delivered.
pub(super) async fn tell(demo: &Demo) -> anyhow::Result<bool> {
    say(&format!("page    {}/library (signed in as the demo account)", demo.page))?;
    say(&format!("api     {}/docs", demo.page))?;
    say(&format!("token   {}", demo.token))?;
    say(&format!("data    {}", demo.folder.display()))?;
    say("")?;
    let hook = format!("http://{}/hook", demo.receiver.address());
    let order = |model: &str, input| (model.to_owned(), Some(input));
    let options = SmokeOptions {
        account: demo.account,
        recipients: vec![Recipient::Webhook { url: hook }],
        orders: vec![
            order("z-image", json!({ "prompt": "A red kite over a dune at dawn" })),
            order("kling-2.6/text-to-video", json!({ "prompt": "A red kite rises", "sound": true })),
            order(
                "elevenlabs/text-to-speech-turbo-2-5",
                json!({ "text": "Every generation that was bought is stored for good." }),
            ),
        ],
        patience: PATIENCE,
    };
    let lines = operations::smoke(&demo.services().lifecycle, &options, |step| {
        let text = match step {
            SmokeStep::Ordered(job) => {
                let price = demo.services().lifecycle.policy().currency.format(job.price);
                format!("ordered     {:38} {price}", job.model)
            }
            SmokeStep::Moved(job) => format!("{:11} {}", job.state.as_str(), job.model),
        };
        // A closed terminal must not stop the shop.
        let _ = say(&text);
    })
    .await?;
    let delivered = wait_until_told(demo, &lines).await;
    for line in &lines {
        let told =
            if demo.receiver.was_told_of(&line.job.to_string()) { "delivered" } else { "NOT DELIVERED" };
        for object in &line.objects {
            say(&format!("{told:11} {:38} {}{}", line.model, demo.page, demo.link(object)))?;
        }
    }
    let well = delivered && lines.iter().all(|line| line.ok);
    say("")?;
    say(if well { "all delivered" } else { "something was not delivered: see the lines above and the log" })?;
    Ok(well)
}

async fn wait_until_told(demo: &Demo, lines: &[SmokeLine]) -> bool {
    let told = || lines.iter().all(|line| demo.receiver.was_told_of(&line.job.to_string()));
    let waiting = async {
        while !told() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok()
}
