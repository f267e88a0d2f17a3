//! The client's address: the peer of the socket, unless the configuration trusts proxies to say otherwise.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use vestibule_base::config::Config;

/// Whom to believe.
#[derive(Debug)]
pub(super) struct Addresses {
    proxies: usize,
    header: Option<String>,
    prefix: u32,
}

impl Addresses {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            proxies: config.server.trusted_proxy_count as usize,
            header: config.server.trusted_client_ip_header.clone(),
            prefix: config.server.rate_limit_ipv6_prefix.min(128),
        }
    }

    /// The client's address; `None` if those who are trusted to tell it do not.
    pub(super) fn client(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<IpAddr> {
        if let Some(name) = &self.header {
            // Of two, one would be the client's own.
            let mut told = headers.get_all(name).iter();
            let only = told.next().filter(|_| told.next().is_none())?;
            return parse(only.to_str().ok()?);
        }
        if self.proxies == 0 {
            return peer.map(|peer| peer.ip().to_canonical());
        }
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or("?")).collect();
        if lines.is_empty() {
            return peer.map(|peer| peer.ip().to_canonical());
        }
        let joined = lines.join(",");
        match joined.rsplit(',').nth(self.proxies - 1)?.trim() {
            // The proxy had nothing to tell: the request is its own.
            "" => peer.map(|peer| peer.ip().to_canonical()),
            told => parse(told),
        }
    }

    /// Whether the client is the peer of the socket, always.
    pub(super) fn are_peers(&self) -> bool {
        self.proxies == 0 && self.header.is_none()
    }

    /// Whether a proxy that nobody trusts seems to stand in front.
    pub(super) fn untrusted_proxy(&self, headers: &HeaderMap) -> bool {
        self.proxies == 0
            && self.header.is_none()
            && (headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded"))
    }

    /// The network by which limits count: an IPv4 address, or an IPv6 prefix.
    pub(super) fn network(&self, ip: IpAddr) -> String {
        match ip {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                format!("{}/{}", Ipv6Addr::from_bits(v6.to_bits() & mask), self.prefix)
            }
        }
    }
}

/// An address as proxies write it, with or without a port. IPv4 inside IPv6 is IPv4.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let ip = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(ip.to_canonical())
}
