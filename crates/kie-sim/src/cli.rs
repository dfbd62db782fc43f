//! The command line, whose help is meant to be enough to use the simulator from any language.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kie_catalogue::Catalogue;
use kie_sim::{Durations, FieldSet, ShortText, SimConfig, Stages, TelegramConfig};
use url::Url;

/// A simulator of the KIE.ai API and of the Telegram Bot API: real sockets, real files, no money.
#[derive(Parser)]
#[command(name = "kie-sim", version, arg_required_else_help = true)]
#[command(after_help = "Use --help for paths, marks and scripts.", after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the API, uploads and results on one address until SIGINT or SIGTERM.
    #[command(after_long_help = AFTER_HELP, after_help = "Use --help for paths, marks and scripts.")]
    Serve(Box<ServeArgs>),
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 picks a free one (see --url-file).
    #[arg(long, env = "KIE_SIM_LISTEN", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Allow an address that is not loopback; the /sim paths then demand the key.
    #[arg(long, env = "KIE_SIM_PUBLIC")]
    public: bool,
    /// Base of result and upload links, if callers reach this server under another name.
    #[arg(long, env = "KIE_SIM_PUBLIC_URL")]
    public_url: Option<Url>,
    /// The only API key that is accepted (`Authorization: Bearer …`).
    #[arg(long, env = "KIE_SIM_KEY", default_value = "kie-sim-key", hide_env_values = true)]
    key: String,
    /// Sign callbacks with this key (X-Webhook-Timestamp, X-Webhook-Signature).
    #[arg(long, env = "KIE_SIM_HMAC_KEY", hide_env_values = true)]
    hmac_key: Option<String>,
    /// Keep tasks and uploads in this folder; after a restart they go on.
    #[arg(long, env = "KIE_SIM_FOLDER")]
    folder: Option<PathBuf>,
    /// How long an image task runs (250ms, 3s, 2m).
    #[arg(long, env = "KIE_SIM_IMAGE", default_value = "3s", value_parser = span)]
    image: Duration,
    /// How long a video task runs.
    #[arg(long, env = "KIE_SIM_VIDEO", default_value = "6s", value_parser = span)]
    video: Duration,
    /// How long an audio task runs.
    #[arg(long, env = "KIE_SIM_AUDIO", default_value = "4s", value_parser = span)]
    audio: Duration,
    /// How long a text task runs.
    #[arg(long, env = "KIE_SIM_TEXT", default_value = "2s", value_parser = span)]
    text: Duration,
    /// For so long after its creation recordInfo answers `recordInfo is null`.
    #[arg(long, env = "KIE_SIM_YOUNG", default_value = "0s", value_parser = span)]
    young: Duration,
    /// New tasks per 10 s; more are refused with 429. 0 switches the limit off.
    #[arg(long, env = "KIE_SIM_CREATES_PER_10S", default_value_t = 20)]
    creates_per_10s: u32,
    /// Reads per second of one task; more are refused with 429. 0 switches the limit off.
    #[arg(long, env = "KIE_SIM_READS_PER_SECOND", default_value_t = 10)]
    reads_per_second: u32,
    /// Discovery calls per second; more are refused with 429. 0 switches the limit off.
    #[arg(long, env = "KIE_SIM_MODELS_PER_SECOND", default_value_t = 1)]
    models_per_second: u32,
    /// Say 429 as HTTP status instead of a code in HTTP 200.
    #[arg(long, env = "KIE_SIM_HTTP_429")]
    http_429: bool,
    /// Let recordInfo say 400, 404 and 429 as HTTP status, as its page documents.
    #[arg(long, env = "KIE_SIM_HTTP_RECORD")]
    http_record: bool,
    /// Balance at the start, in credits (up to six decimals).
    #[arg(long, env = "KIE_SIM_CREDITS", default_value = "10000", value_parser = micro)]
    credits: u64,
    /// Charge for a model without a known price, in credits.
    #[arg(long, env = "KIE_SIM_UNKNOWN_COST", default_value = "1", value_parser = micro)]
    unknown_cost: u64,
    /// How a lack of credits is said: code 402 as documented, or code 500 as observed.
    #[arg(long, env = "KIE_SIM_SHORT_TEXT", value_enum, default_value = "documented")]
    short_text: ShortText,
    /// Waits before repeats of a callback that was not answered with 200, separated by commas.
    #[arg(long, env = "KIE_SIM_CALLBACK_RETRY", default_value = "5s,15s,60s", value_delimiter = ',', value_parser = span)]
    callback_retry: Vec<Duration>,
    /// How long the receiver of a callback may take.
    #[arg(long, env = "KIE_SIM_CALLBACK_TIMEOUT", default_value = "15s", value_parser = span)]
    callback_timeout: Duration,
    /// Makes task ids and chances repeatable; 0 draws a seed.
    #[arg(long, env = "KIE_SIM_SEED", default_value_t = 0)]
    seed: u64,
    /// Pad every result file to this many bytes.
    #[arg(long, env = "KIE_SIM_RESULT_BYTES")]
    result_bytes: Option<u64>,
    /// After this time results are gone (404).
    #[arg(long, env = "KIE_SIM_RESULT_LIFE", default_value = "336h", value_parser = span)]
    result_life: Duration,
    /// After this time a link made by download-url is dead (403).
    #[arg(long, env = "KIE_SIM_LINK_LIFE", default_value = "20m", value_parser = span)]
    link_life: Duration,
    /// After this time uploads are gone (404).
    #[arg(long, env = "KIE_SIM_UPLOAD_LIFE", default_value = "24h", value_parser = span)]
    upload_life: Duration,
    /// Which set of fields recordInfo shows.
    #[arg(long, env = "KIE_SIM_FIELDS", value_enum, default_value = "october")]
    fields: FieldSet,
    /// Which words a running task goes through.
    #[arg(long, env = "KIE_SIM_STAGES", value_enum, default_value = "observed")]
    stages: Stages,
    /// Requests and callbacks kept in the log.
    #[arg(long, env = "KIE_SIM_LOG_ENTRIES", default_value_t = 100_000)]
    log_entries: usize,
    /// A folder of model files that are added to the packed ones or replace them.
    #[arg(long, env = "KIE_SIM_CATALOGUE")]
    catalogue: Option<PathBuf>,
    /// Tasks kept; the oldest finished ones are forgotten.
    #[arg(long, env = "KIE_SIM_TASKS_KEPT", default_value_t = 100_000)]
    tasks_kept: usize,
    /// The bot token that is accepted under /bot<token>/…
    #[arg(
        long,
        env = "KIE_SIM_TELEGRAM_TOKEN",
        default_value = "7000000001:kie-sim-telegram-token",
        hide_env_values = true
    )]
    telegram_token: String,
    /// The bot's username.
    #[arg(long, env = "KIE_SIM_TELEGRAM_USERNAME", default_value = "kie_sim_bot")]
    telegram_username: String,
    /// Let the bot send as fast as it likes (else 30/s, 1/s in a chat, 20/min in a group).
    #[arg(long, env = "KIE_SIM_TELEGRAM_NO_LIMITS")]
    telegram_no_limits: bool,
    /// Waits before repeats of an update that the webhook did not accept; the last one goes on for ever.
    #[arg(long, env = "KIE_SIM_TELEGRAM_RETRY", default_value = "0s,2s,4s,8s,16s,32s,60s", value_delimiter = ',', value_parser = span)]
    telegram_retry: Vec<Duration>,
    /// How long the bot may take to answer a pre-checkout query.
    #[arg(long, env = "KIE_SIM_TELEGRAM_CHECKOUT", default_value = "10s", value_parser = span)]
    telegram_checkout: Duration,
    /// Write the base URL to this file once it is served.
    #[arg(long, env = "KIE_SIM_URL_FILE")]
    pub(crate) url_file: Option<PathBuf>,
    /// What is logged, in the language of tracing's filters; debug shows each request.
    #[arg(long, env = "KIE_SIM_LOG", default_value = "info")]
    pub(crate) log: String,
}

impl ServeArgs {
    pub(crate) fn into_config(self) -> anyhow::Result<SimConfig> {
        let telegram = TelegramConfig {
            token: self.telegram_token,
            username: self.telegram_username,
            limits: !self.telegram_no_limits,
            webhook_retry: self.telegram_retry,
            pre_checkout_wait: self.telegram_checkout,
            ..TelegramConfig::default()
        };
        let catalogue = self.catalogue.as_deref().map(with_overlay).transpose()?;
        Ok(SimConfig {
            listen: self.listen,
            public: self.public,
            public_url: self.public_url,
            api_key: self.key,
            hmac_key: self.hmac_key,
            folder: self.folder,
            duration: Durations { image: self.image, video: self.video, audio: self.audio, text: self.text },
            young: self.young,
            creates_per_10s: self.creates_per_10s,
            reads_per_second: self.reads_per_second,
            models_per_second: self.models_per_second,
            http_429: self.http_429,
            http_record: self.http_record,
            credits: self.credits,
            unknown_cost: self.unknown_cost,
            short_text: self.short_text,
            callback_retry: self.callback_retry,
            callback_timeout: self.callback_timeout,
            seed: self.seed,
            result_bytes: self.result_bytes,
            result_life: self.result_life,
            link_life: self.link_life,
            upload_life: self.upload_life,
            fields: self.fields,
            stages: self.stages,
            log_entries: self.log_entries,
            catalogue,
            tasks_kept: self.tasks_kept,
            telegram,
        })
    }
}

fn with_overlay(folder: &Path) -> anyhow::Result<Arc<Catalogue>> {
    Ok(Arc::new(Catalogue::packed()?.overlay_directory(folder)?))
}

/// `250ms`, `5s`, `2m`, `336h` or plain seconds.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_ignored| "expected a number and ms, s, m or h".to_owned())?;
    let ms = match unit {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    ms.map(Duration::from_millis).ok_or_else(|| "expected a number and ms, s, m or h".to_owned())
}

/// Credits with up to six decimals as millionths.
fn micro(text: &str) -> Result<u64, String> {
    let bad = || "expected credits with up to six decimals".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_ignored| bad())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_ignored| bad())?;
    whole.checked_mul(1_000_000).and_then(|micro| micro.checked_add(part)).ok_or_else(bad)
}

const AFTER_HELP: &str = include_str!("help.txt");

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn amounts_and_spans_are_exact() {
        assert_eq!(micro("0.19"), Ok(190_000));
        assert_eq!(micro("5916.25"), Ok(5_916_250_000));
        assert!(micro("1.0000001").is_err() && micro("-1").is_err() && micro("1.x").is_err());
        assert_eq!(span("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert!(span("5y").is_err() && span("").is_err());
    }
}
