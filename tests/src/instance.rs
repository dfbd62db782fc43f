//! Starting one instance from flags: here, or as a process with the same settings as variables.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use media::MediaStore;
use runtime::config::Config;
use runtime::{Front, Running};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::storage::S3Server;

#[derive(Parser)]
struct Parsed {
    #[command(flatten)]
    config: Config,
}

/// Instances are configured like any shop: by the same flags.
pub(crate) fn config(flags: &[(String, String)]) -> Config {
    let words = std::iter::once("kie-web")
        .chain(flags.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    Parsed::try_parse_from(words).expect("the flags are good").config
}

pub(crate) fn set(flags: &mut Vec<(String, String)>, name: &str, value: &str) {
    flags.retain(|(known, _)| known != name);
    flags.push((name.to_owned(), value.to_owned()));
}

pub(crate) fn open_media(config: &Config, storage: Option<&S3Server>) -> MediaStore {
    let url = config.media.media_url.as_deref().unwrap_or_default();
    let variables = storage.map(S3Server::variables).unwrap_or_default();
    MediaStore::open(url, variables).expect("the storage opens")
}

pub(crate) async fn serve(
    config: &Config,
    media: &MediaStore,
    listener: TcpListener,
    ahead: Duration,
) -> Running {
    let services = runtime::open_services_over(config, media.clone()).await.expect("the services open");
    services.clock.shift_offset_micros(i64::try_from(ahead.as_micros()).unwrap());
    let front = Front { worker: true, ..Front::default() };
    runtime::serve_services(config, services, front, listener, CancellationToken::new())
        .await
        .expect("the instance serves")
}

/// The same settings as variables, as a deployer sets them.
pub(crate) fn variables(
    flags: &[(String, String)],
    address: SocketAddr,
    storage: Option<&S3Server>,
) -> Vec<(String, String)> {
    let name = |flag: &str| flag.trim_start_matches('-').replace('-', "_").to_ascii_uppercase();
    let mut variables: Vec<(String, String)> =
        flags.iter().map(|(flag, value)| (name(flag), value.clone())).collect();
    variables.push(("LISTEN_ADDR".to_owned(), address.to_string()));
    variables.push(("PATH".to_owned(), "/usr/bin:/bin".to_owned()));
    variables.extend(storage.map(S3Server::variables).unwrap_or_default());
    variables
}
