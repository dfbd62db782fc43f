//! The deployer's exceptions: private targets that may be reached after all.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use crate::address::unmapped;

/// Private targets that may be reached, also over plain http; empty by default.
///
/// Written as a comma separated list of `host:port`, `address[:port]` and `network/length[:port]`; an `IPv6` address
/// or network with a port is put in brackets: `localhost:9000, 10.0.0.0/8, 192.168.1.7:8080, [fd00::/8]:9000`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    entries: Vec<Entry>,
}

/// An entry of an allow list that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allow list entry {entry:?} is neither host:port nor a network with an optional port")]
pub struct ParseAllowListError {
    entry: String,
}

impl AllowList {
    /// Whether nothing private may be reached.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the name is listed with this port.
    pub(crate) fn has_name(&self, host: &str, port: u16) -> bool {
        let host = normal_name(host);
        self.entries
            .iter()
            .any(|entry| matches!(entry, Entry::Name { name, port: p } if *name == host && *p == port))
    }

    /// Whether a network that holds the address is listed for this port; without a port only entries for all ports
    /// count.
    pub(crate) fn has_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let address = unmapped(address);
        self.entries.iter().any(|entry| {
            matches!(entry, Entry::Network { network, port: p }
                if (p.is_none() || *p == port) && network.contains(address))
        })
    }

    /// Whether any network is listed for this port.
    pub(crate) fn has_network_for(&self, port: u16) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry, Entry::Network { port: p, .. } if p.is_none_or(|p| p == port)))
    }

    /// The ports that entries name, sorted, each once.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<u16> = self.entries.iter().filter_map(Entry::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

impl FromStr for AllowList {
    type Err = ParseAllowListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse =
            |entry: &str| Entry::parse(entry).ok_or_else(|| ParseAllowListError { entry: entry.to_owned() });
        Ok(Self { entries: entries.map(parse).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{entry}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Name { name: String, port: u16 },
    Network { network: Network, port: Option<u16> },
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(network) = text.parse() {
            return Some(Self::Network { network, port: None });
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Some(Self::Network { network: Network::single(socket.ip()), port: port(socket.port())? });
        }
        let (host, digits) = text.rsplit_once(':')?;
        let port = port(digits.parse().ok()?)?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(network) = bare.parse() {
            return Some(Self::Network { network, port });
        }
        let name_like = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = !host.is_empty() && host.bytes().all(name_like) && !host.contains("..");
        is_name.then(|| Some(Self::Name { name: normal_name(host), port: port? }))?
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Name { port, .. } => Some(*port),
            Self::Network { port, .. } => *port,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, port } => write!(f, "{name}:{port}"),
            Self::Network { network, port: None } => write!(f, "{network}"),
            Self::Network { network, port: Some(port) } if network.base.is_ipv6() => {
                write!(f, "[{network}]:{port}")
            }
            Self::Network { network, port: Some(port) } => write!(f, "{network}:{port}"),
        }
    }
}

/// A network in the notation `address/length`; a bare address is a network of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    length: u32,
}

impl Network {
    fn single(address: IpAddr) -> Self {
        let base = unmapped(address);
        Self { base, length: if base.is_ipv4() { 32 } else { 128 } }
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                (base.to_bits() ^ other.to_bits()).checked_shr(32 - self.length).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => {
                (base.to_bits() ^ other.to_bits()).checked_shr(128 - self.length).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, length)) = text.split_once('/') else {
            return text.parse().map(Self::single).map_err(drop);
        };
        let base: IpAddr = address.parse().map_err(drop)?;
        let length: u32 = length.parse().map_err(drop)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        if length > most { Err(()) } else { Ok(Self { base, length }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

/// A port of an entry; zero is no port.
#[expect(clippy::option_option, reason = "the outer option is the verdict, the inner one the field's shape")]
fn port(number: u16) -> Option<Option<u16>> {
    (number != 0).then_some(Some(number))
}

/// Names compare without case and without the final dot of the root.
fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AllowList {
        text.parse().unwrap()
    }

    #[test]
    fn every_notation_is_read_and_printed() {
        let cases = [
            ("", ""),
            (" Localhost:9000 , sim.:80", "localhost:9000,sim:80"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8:9000", "10.0.0.0/8:9000"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("127.0.0.1:8080", "127.0.0.1/32:8080"),
            ("::1", "::1/128"),
            ("[::1]:8080", "[::1/128]:8080"),
            ("fd00::/8", "fd00::/8"),
            ("[fd00::/8]:9000", "[fd00::/8]:9000"),
        ];
        for (text, printed) in cases {
            assert_eq!(list(text).to_string(), printed, "{text}");
            assert_eq!(list(printed), list(text), "{text} survives printing");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:70000",
            "10.0.0.0/33",
            "a b:80",
            "http://x:80",
        ] {
            assert!(text.parse::<AllowList>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_and_networks_are_kept_apart() {
        let allow = list("10.0.0.0/8:9000, 192.168.0.0/16, sim:80, ::ffff:127.0.0.1");
        let has = |text: &str, port| allow.has_address(text.parse().unwrap(), port);
        assert!(has("10.1.2.3", Some(9000)));
        assert!(!has("10.1.2.3", Some(9001)));
        assert!(!has("10.1.2.3", None));
        assert!(has("192.168.3.4", Some(1)) && has("192.168.3.4", None));
        assert!(has("::ffff:192.168.3.4", Some(1)));
        assert!(has("127.0.0.1", None));
        assert!(!has("11.0.0.1", Some(9000)));
        assert!(allow.has_name("SIM.", 80) && !allow.has_name("sim", 81));
        assert_eq!(allow.ports(), [80, 9000]);
        assert!(list("0.0.0.0/0").has_address("8.8.8.8".parse().unwrap(), None));
        assert!(list("::/0").has_address("fd00::1".parse().unwrap(), None));
    }
}
