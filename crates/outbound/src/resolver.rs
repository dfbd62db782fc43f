//! Name resolution that answers only with addresses that may be reached.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{address::is_public, allow::AllowList, error::Blocked};

/// A resolver for requests of one kind.
///
/// The HTTP client asks without telling the port, so every listed port has a resolver (and a client) of its own.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    pub(crate) allow: Arc<AllowList>,
    /// The port of the requests if entries of the list name it.
    pub(crate) port: Option<u16>,
    /// Plain http: public addresses are dropped too.
    pub(crate) listed_only: bool,
}

impl GuardedResolver {
    fn may_reach(&self, host: &str, address: IpAddr) -> bool {
        let listed = self.port.is_some_and(|port| self.allow.has_name(host, port))
            || self.allow.has_address(address, self.port);
        listed || (!self.listed_only && is_public(address))
    }

    async fn lookup(self, host: String) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
        let kept: Vec<SocketAddr> =
            found.iter().copied().filter(|socket| self.may_reach(&host, socket.ip())).collect();
        if kept.is_empty() && !found.is_empty() {
            tracing::warn!(outbound.host = %host, outbound.addresses = ?found, "Refused to reach `{host}`");
            return Err(Blocked::Name { host }.into());
        }
        Ok(Box::new(kept.into_iter()))
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(self.clone().lookup(name.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_port_opens_no_other() {
        let allow: Arc<AllowList> = Arc::new("sim:9000, 10.0.0.0/8:9001, 192.168.0.0/16".parse().unwrap());
        let resolver = |port, listed_only| GuardedResolver { allow: Arc::clone(&allow), port, listed_only };
        let reach =
            |resolver: &GuardedResolver, host: &str, ip: &str| resolver.may_reach(host, ip.parse().unwrap());
        assert!(reach(&resolver(Some(9000), false), "sim", "127.0.0.1"));
        assert!(!reach(&resolver(None, false), "sim", "127.0.0.1"));
        assert!(!reach(&resolver(Some(9001), false), "sim", "127.0.0.1"));
        assert!(reach(&resolver(Some(9001), false), "any", "10.1.1.1"));
        assert!(!reach(&resolver(None, false), "any", "10.1.1.1"));
        assert!(reach(&resolver(None, false), "any", "192.168.1.1"));
        assert!(reach(&resolver(None, false), "any", "1.1.1.1"));
        assert!(!reach(&resolver(None, true), "any", "1.1.1.1"));
    }
}
