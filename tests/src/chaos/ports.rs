//! Ports of this machine that nothing listens on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A free address. Another process may take it before ours does; then ours says so and is started again.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
