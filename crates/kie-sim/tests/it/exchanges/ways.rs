//! How the simulator is brought to produce each exchange: one row for everything that it makes by itself.

use std::time::Duration;

use kie_sim::{FieldSet, ShortText, SimConfig, Stages};

/// What is done to see an exchange.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Way {
    /// The endpoint is asked, and answers by itself.
    Ask,
    /// A task is ordered, as the `param` of the sample says if there is one, and its record is read.
    Record,
    /// The same, and its callback is received.
    Callback,
    /// The answer is put in place by `/sim/records`, and the endpoint is asked.
    Given,
    /// The callback is ordered by `/sim/callbacks`.
    Sent,
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) config: fn(&mut SimConfig),
    pub(crate) faults: &'static [&'static str],
}

const fn row(name: &'static str, way: Way, faults: &'static [&'static str]) -> Row {
    Row { name, way, config: |_| {}, faults }
}

const fn with(
    name: &'static str,
    way: Way,
    config: fn(&mut SimConfig),
    faults: &'static [&'static str],
) -> Row {
    Row { name, way, config, faults }
}

/// Files of the families; what is not in the table is given to the simulator, for it has no such tasks.
pub(crate) const FAMILIES: &[&str] =
    &["aleph-", "gpt4o-", "kontext-", "luma-", "midjourney-", "runway-", "suno-", "veo-"];

const APRIL: fn(&mut SimConfig) = |config| config.fields = FieldSet::April;
const AUGUST: fn(&mut SimConfig) = |config| config.fields = FieldSet::August;
const STAGES_OF_APRIL: fn(&mut SimConfig) = |config| {
    config.fields = FieldSet::April;
    config.stages = Stages::All;
};
const STATUS: fn(&mut SimConfig) = |config| config.http_record = true;

/// Long enough to be seen running.
const SLOW: &str = "duration=1h";
/// A third of it is long enough to be seen in the middle.
pub(crate) const THIRDS: &str = "duration=3s";
const FAILED: &str = "fail=500:Internal server error";

pub(crate) const ROWS: &[Row] = &[
    row("auth-401", Way::Ask, &[]),
    row("auth-401-documented", Way::Ask, &[]),
    row("callback-hostile-array", Way::Callback, &["callback=short", "callback=no-msg", "callback=array"]),
    row(
        "callback-hostile-conflicting-ids",
        Way::Callback,
        &["callback=short", "callback=no-result", "callback=conflict"],
    ),
    row("callback-success-no-urls", Way::Callback, &["shape=no-urls", "callback=short"]),
    row("callback-success-object-resultjson", Way::Callback, &["shape=object-url-text", "callback=short"]),
    with("create-task-402", Way::Ask, |config| config.credits = 0, &[]),
    row("create-task-422-busy", Way::Ask, &["create=busy"]),
    row("create-task-422-field", Way::Ask, &["create=422"]),
    row("create-task-422-model", Way::Ask, &[]),
    row("create-task-422-no-cb-url", Way::Ask, &[]),
    with("create-task-429-body", Way::Ask, |config| config.creates_per_10s = 1, &[]),
    with(
        "create-task-429-http",
        Way::Ask,
        |config| {
            config.creates_per_10s = 1;
            config.http_429 = true;
        },
        &[],
    ),
    row("create-task-433", Way::Ask, &["create=433"]),
    row("create-task-455", Way::Ask, &["create=455"]),
    with(
        "create-task-500-credits",
        Way::Ask,
        |config| {
            config.credits = 0;
            config.short_text = ShortText::Observed;
        },
        &[],
    ),
    row("create-task-500-server", Way::Ask, &["create=500"]),
    row("create-task-500-validation", Way::Ask, &[]),
    row("create-task-505", Way::Ask, &["create=505"]),
    row("create-task-ok", Way::Ask, &[]),
    row("create-task-ok-documented", Way::Ask, &["create=documented-id"]),
    row("create-task-ok-message-key", Way::Ask, &["create=message-key"]),
    row("credit", Way::Ask, &[]),
    row("download-url-422", Way::Ask, &[]),
    row("download-url-ok", Way::Ask, &[]),
    row("family-create-ok", Way::Ask, &[]),
    row("market-callback-fail", Way::Callback, &[FAILED]),
    row("market-callback-fail-minimal", Way::Callback, &[FAILED, "callback=minimal"]),
    row("market-callback-fail-no-resultjson", Way::Callback, &[FAILED, "callback=no-result"]),
    row("market-callback-success", Way::Callback, &[]),
    row("market-callback-success-legacy", Way::Callback, &["callback=legacy"]),
    row("market-callback-success-multi", Way::Callback, &["callback=nested-param"]),
    row("market-callback-success-nested-param", Way::Callback, &["callback=nested-param"]),
    row("market-callback-success-nulls", Way::Callback, &["callback=nulls"]),
    row("model-price", Way::Ask, &[]),
    row("model-price-null", Way::Ask, &["answer=nulls"]),
    row("model-schema", Way::Ask, &[]),
    row("model-schema-null", Way::Ask, &["answer=nulls"]),
    row("model-success-rate", Way::Ask, &[]),
    row("models-404", Way::Ask, &[]),
    with("models-429", Way::Ask, |config| config.models_per_second = 1, &[]),
    row("models-empty", Way::Ask, &[]),
    row("models-list", Way::Ask, &["answer=nulls"]),
    with("record-info-400", Way::Ask, STATUS, &[]),
    with("record-info-404", Way::Ask, STATUS, &[]),
    with(
        "record-info-429",
        Way::Ask,
        |config| {
            config.http_record = true;
            config.reads_per_second = 1;
        },
        &[SLOW],
    ),
    with("record-info-fail", Way::Record, AUGUST, &[FAILED]),
    with(
        "record-info-fail-numeric-code",
        Way::Record,
        APRIL,
        &["fail=500:internal error, please try again later.", "record=numeric-fail-code"],
    ),
    with("record-info-generating", Way::Record, STAGES_OF_APRIL, &[THIRDS]),
    with("record-info-generating-2026-10", Way::Record, |config| config.stages = Stages::All, &[THIRDS]),
    row("record-info-null-422", Way::Ask, &[]),
    with("record-info-queuing", Way::Record, STAGES_OF_APRIL, &[THIRDS]),
    row("record-info-success-2026-10", Way::Record, &[]),
    with("record-info-success-documented", Way::Record, APRIL, &["shape=documented"]),
    with("record-info-success-frames", Way::Record, AUGUST, &[]),
    with("record-info-success-image", Way::Record, APRIL, &[]),
    with("record-info-success-image-multi", Way::Record, APRIL, &[]),
    with("record-info-success-resultobject", Way::Record, AUGUST, &[]),
    with("record-info-success-sora-watermark", Way::Record, APRIL, &["shape=watermark"]),
    with("record-info-success-video", Way::Record, APRIL, &[]),
    with("record-info-waiting", Way::Record, APRIL, &[SLOW]),
    with("record-info-waiting-credits", Way::Record, AUGUST, &[SLOW]),
    row("unknown-path-404", Way::Ask, &[]),
    row("upload-400-base64", Way::Ask, &[]),
    row("upload-400-missing", Way::Ask, &[]),
    row("upload-401", Way::Ask, &[]),
    row("upload-ok", Way::Ask, &[]),
    row("webhook-bad-signature", Way::Callback, &["callback=bad-signature"]),
    row("webhook-documented-sample", Way::Callback, &["callback=documented"]),
    row("webhook-signed-example", Way::Callback, &[]),
    row("webhook-signed-swapped-body", Way::Callback, &["callback=foreign-body"]),
    // What the families say of their own accord.
    row("aleph-record-unknown", Way::Ask, &[]),
    row("gpt4o-download-url-422", Way::Ask, &[]),
    row("gpt4o-record-unknown-422", Way::Ask, &[]),
    row("suno-record-not-exist-422", Way::Ask, &[]),
    row("suno-record-unknown", Way::Ask, &[]),
    row("suno-style-ok", Way::Ask, &[]),
    row("veo-record-null", Way::Ask, &[]),
];

/// Models of samples that are not on sale any more, and what is ordered in their place.
pub(crate) const SOLD_AS: &[(&str, &str)] = &[
    ("bytedance/seedream", "z-image"),
    ("sora-2-pro-image-to-video", "bytedance/seedance-2-fast"),
    ("grok-imagine/image-2-segment-map", "grok-imagine-image-2-0/segment-map"),
];

/// Where a sample is shorter than what is true: paths below these are not compared.
pub(crate) const OPEN: &[(&str, &str)] = &[
    // The schema of another model; the sample leaves out what OpenAPI demands.
    ("model-schema", ".data.openapi.info"),
    (
        "model-schema",
        ".data.openapi.paths./api/v1/jobs/createTask.post.requestBody.content.application/json.schema.properties.input.",
    ),
    // Shortened by the documentation, without the default that the service adds.
    ("record-info-success-documented", ".data.param=>.input.nsfw_checker"),
    // Of 2025: the model wants a picture today.
    ("market-callback-success-legacy", ".data.param=>.input."),
];

/// How long a sample may take to appear.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
