//! What holds for every request before any route: its host, its client's address, its id in the log, and the headers of
//! every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use tracing::Instrument;
use vestibule_base::config::Config;
use vestibule_base::security::random;

use super::address::Addresses;
use super::cors::Cors;
use super::envelope::bare;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Of every answer, unless a page says otherwise (S6).
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// The client's address, and the network by which limits count.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientAddress {
    pub(super) ip: String,
    pub(super) network: String,
}

/// The rules of this configuration.
#[derive(Debug)]
pub(super) struct Threshold {
    hosts: Vec<String>,
    addresses: Addresses,
    cors: Cors,
    warned: AtomicBool,
    /// Ids: a random beginning for each process, then a count.
    process: u64,
    count: AtomicU64,
}

impl Threshold {
    pub(super) fn new(config: &Config) -> Self {
        let own =
            url::Url::parse(&config.server.public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let hosts = match config.server.allowed_hosts.as_slice() {
            [] => own.into_iter().collect(),
            listed => listed.to_vec(),
        };
        Self {
            hosts: hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            addresses: Addresses::new(config),
            cors: Cors::new(config),
            warned: AtomicBool::new(false),
            process: u64::from_be_bytes(random::bytes().unwrap_or_default()),
            count: AtomicU64::new(0),
        }
    }

    /// Whether the request is for us.
    fn takes_host(&self, request: &Request) -> bool {
        let mut named = request.headers().get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(only), None) => only.to_str().ok(),
            (None, _) => {
                request.uri().authority().map(axum::http::uri::Authority::as_str).or(Some("localhost"))
            }
            (Some(_), Some(_)) => None,
        };
        host.is_some_and(|host| self.knows(host))
    }

    /// Names of this machine are taken as well as those of the configuration: nobody else can be sent to them.
    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.to_ascii_lowercase();
        matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]")
            || self.hosts.iter().any(|known| match known.strip_prefix('.') {
                Some(parent) => name == parent || name.ends_with(known.as_str()),
                None => name == *known,
            })
    }

    fn warn_of_proxy(&self, headers: &HeaderMap) {
        if self.addresses.untrusted_proxy(headers) && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a request came with forwarded headers, but no proxy is trusted: if one of yours stands in front, set \
                 server.trusted_proxy_count, or all clients share its address and its limits"
            );
        }
    }
}

/// Lets a request pass to its route, and dresses the answer.
pub(super) async fn pass(
    State(threshold): State<Arc<Threshold>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let id = format!("{:016x}-{:x}", threshold.process, threshold.count.fetch_add(1, Ordering::Relaxed));
    let origin = threshold.cors.allowed(request.headers());
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = match stop(&threshold, &mut request) {
        Some(response) => response,
        None => next.run(request).instrument(span).await,
    };
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    threshold.cors.mark(origin, headers);
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The answer to a request that goes no further, if this is one.
fn stop(threshold: &Threshold, request: &mut Request) -> Option<Response<Body>> {
    // Asked by machines that know our address only, past the proxies.
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return None;
    }
    let headers = request.headers();
    if !threshold.takes_host(request) {
        tracing::warn!(host = ?request.headers().get(header::HOST), "a request for a host that is not in server.allowed_hosts");
        return Some(bare(StatusCode::BAD_REQUEST));
    }
    if let Some(preflight) = threshold.cors.preflight(request.method(), headers) {
        return Some(preflight);
    }
    threshold.warn_of_proxy(headers);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
    let Some(ip) = threshold.addresses.client(headers, peer) else {
        tracing::warn!("a request without the client's address that the trusted proxy should have told");
        return Some(bare(StatusCode::FORBIDDEN));
    };
    let address = ClientAddress { ip: ip.to_string(), network: threshold.addresses.network(ip) };
    request.extensions_mut().insert(address);
    None
}
