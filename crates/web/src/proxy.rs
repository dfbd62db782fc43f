//! Who is on the other end of the connection, seen through proxies that the deployer trusts.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::request::Parts;

use crate::SettingsError;

/// Addresses whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone)]
pub(crate) struct TrustedProxies(Vec<(IpAddr, u8)>);

impl TrustedProxies {
    pub(crate) fn parse(entries: &[String]) -> Result<Self, SettingsError> {
        entries.iter().map(|entry| network(entry)).collect::<Result<_, _>>().map(Self)
    }

    /// The nearest address that is not a trusted proxy; none when the connection is not known.
    pub(crate) fn client(&self, parts: &Parts) -> Option<IpAddr> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().rev();
        let hops = forwarded
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.rsplit(','))
            .map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        let mut last = peer;
        for hop in hops {
            last = hop.to_canonical();
            if !self.trusts(last) {
                break;
            }
        }
        Some(last)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|&(network, prefix)| contains(network, prefix, address))
    }
}

fn network(entry: &str) -> Result<(IpAddr, u8), SettingsError> {
    let refused = || SettingsError::Proxy(entry.to_owned());
    let (address, prefix) = entry.split_once('/').map_or((entry, None), |(ip, prefix)| (ip, Some(prefix)));
    let address: IpAddr = address.trim().parse().map_err(|_not_an_address| refused())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(text) => text.trim().parse().ok().filter(|&prefix| prefix <= most).ok_or_else(refused)?,
        None => most,
    };
    Ok((address, prefix))
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            u32::from(network) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            u128::from(network) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut request = http::Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
        TrustedProxies::parse(&trusted).unwrap().client(&parts).unwrap().to_string()
    }

    #[test]
    fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
        assert_eq!(client(&[], "1.2.3.4", &["9.9.9.9"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["6.6.6.6, 9.9.9.9, 10.2.2.2"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["6.6.6.6", "9.9.9.9"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.1.1", &["junk"]), "10.1.1.1");
        assert_eq!(client(&["::/0"], "::1", &[]), "::1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "x", "1.2.3.4/33", "::1/129", "1.2.3.4/"] {
            assert!(TrustedProxies::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
