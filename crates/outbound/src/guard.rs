//! The decision whether a URL may be reached.

use std::{net::IpAddr, sync::Arc};

use url::{Host, Url};

use crate::{
    address::is_public,
    allow::AllowList,
    client::{Client, ClientOptions},
    error::{Blocked, OutboundError},
};

/// Decides which URLs may be reached; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Arc<AllowList>,
}

impl Guard {
    /// A guard that lets through the public internet over https, and what the list names.
    pub fn new(allow: AllowList) -> Self {
        Self { allow: Arc::new(allow) }
    }

    /// Judges what can be judged without resolving: scheme, user info, literal addresses in any notation.
    ///
    /// A name passes here and is judged again by the resolver of [`Guard::client`] when it is connected to.
    pub fn check(&self, url: &Url) -> Result<(), Blocked> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(Blocked::Scheme { scheme: other.to_owned() }),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::UserInfo);
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Blocked::NoHost)?;
        let listed = match url.host().ok_or(Blocked::NoHost)? {
            // A name over plain http may still resolve into a listed network; the resolver keeps nothing else.
            Host::Domain(name) => {
                self.allow.has_name(name, port) || (plain && self.allow.has_network_for(port))
            }
            Host::Ipv4(address) => self.judge_literal(address.into(), port)?,
            Host::Ipv6(address) => self.judge_literal(address.into(), port)?,
        };
        if plain && !listed { Err(Blocked::Scheme { scheme: "http".to_owned() }) } else { Ok(()) }
    }

    /// The same URL by https, where http may not reach it: strangers write http where they mean https.
    #[must_use]
    pub fn upgraded(&self, mut url: Url) -> Url {
        if url.scheme() == "http" && matches!(self.check(&url), Err(Blocked::Scheme { .. })) {
            // Http and https are of one sort, so the change cannot be refused.
            let _ = url.set_scheme("https");
        }
        url
    }

    /// A client whose connections end at addresses that this guard lets through.
    pub fn client(&self, options: &ClientOptions) -> Result<Client, OutboundError> {
        Client::new(self.clone(), options)
    }

    pub(crate) fn allow(&self) -> &Arc<AllowList> {
        &self.allow
    }

    /// Whether a literal address is listed; refused if it is neither listed nor public.
    fn judge_literal(&self, address: IpAddr, port: u16) -> Result<bool, Blocked> {
        let listed = self.allow.has_address(address, Some(port));
        if listed || is_public(address) { Ok(listed) } else { Err(Blocked::Address { address }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(guard: &Guard, url: &str) -> Result<(), Blocked> {
        guard.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn strangers_reach_only_the_public_internet_over_https() {
        let guard = Guard::default();
        for url in ["https://cdn.example/a.png", "https://1.1.1.1/", "https://[2606:4700::1111]:8443/x"] {
            assert_eq!(verdict(&guard, url), Ok(()), "{url}");
        }
        let refused = [
            "http://cdn.example/",
            "http://1.1.1.1/",
            "ftp://cdn.example/",
            "file:///etc/passwd",
            "data:,x",
            "https://user@cdn.example/",
            "https://:pw@cdn.example/",
            "https://cdn.example:0/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://100.64.0.1/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://224.0.0.1/",
            "https://0/",
            "https://10.0.0.1:443/",
            "https://127。0。0。1/",
        ];
        for url in refused {
            assert!(verdict(&guard, url).is_err(), "{url} must be refused");
        }
    }

    #[test]
    fn listed_targets_are_reached_on_their_port_also_by_http() {
        let guard = Guard::new("sim:9000, 127.0.0.1:8080, 10.0.0.0/8".parse().unwrap());
        for url in [
            "http://sim:9000/a",
            "https://SIM.:9000/a",
            "http://127.0.0.1:8080/",
            "https://10.1.1.1/",
            "http://10.1.1.1:81/",
        ] {
            assert_eq!(verdict(&guard, url), Ok(()), "{url}");
        }
        for url in ["http://127.0.0.1:8081/", "https://127.0.0.1/", "https://192.168.0.1/", "http://8.8.8.8/"]
        {
            assert!(verdict(&guard, url).is_err(), "{url} must be refused");
        }
        let strict = Guard::new("sim:9000".parse().unwrap());
        assert!(verdict(&strict, "http://sim:9001/").is_err());
        assert!(verdict(&strict, "http://other:9000/").is_err());
    }

    #[test]
    fn http_becomes_https_unless_it_is_listed() {
        let guard = Guard::new("sim:9000, 192.168.0.0/16:8080".parse().unwrap());
        for (url, upgraded) in [
            ("http://cdn.example/a?b", "https://cdn.example/a?b"),
            ("http://cdn.example:9000/", "https://cdn.example:9000/"),
            ("http://8.8.8.8/", "https://8.8.8.8/"),
            ("http://sim:9000/a", "http://sim:9000/a"),
            ("http://192.168.0.1:8080/", "http://192.168.0.1:8080/"),
            ("ftp://cdn.example/", "ftp://cdn.example/"),
        ] {
            assert_eq!(guard.upgraded(Url::parse(url).unwrap()).as_str(), upgraded);
        }
    }
}
