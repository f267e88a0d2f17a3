//! What holds for every request before any route: its host, its client's address, its id in the log, and the headers of
//! every answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use tracing::{Instrument, Span};
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

/// The rules of this configuration.
#[derive(Debug)]
pub(super) struct Threshold {
    hosts: Vec<String>,
    /// Asked by machines of the operator's that may know our address only, or in the name of the domain that keys belong
    /// to: nothing in their answers depends on the host that was asked for.
    internal: [String; 6],
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
        let prefix = config.headless.path_prefix.trim_end_matches('/');
        Self {
            internal: [
                format!("{prefix}/forward-auth"),
                format!("{prefix}/introspect"),
                "/.well-known/jwks.json".to_owned(),
                "/.well-known/assetlinks.json".to_owned(),
                "/.well-known/apple-app-site-association".to_owned(),
                "/.well-known/webauthn".to_owned(),
            ],
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

/// A request that was let in.
pub(super) struct Admitted {
    pub(super) address: IpAddr,
    pub(super) span: Span,
    id: HeaderValue,
    origin: Option<HeaderValue>,
}

impl Threshold {
    /// Lets a request in, or answers it.
    pub(super) fn admit(&self, request: &Request) -> Result<Admitted, Box<Response<Body>>> {
        let id = self.id();
        let origin = self.cors.allowed(request.headers());
        let refuse = |response| {
            let mut response = Box::new(response);
            self.dress(&mut response, &id, origin.clone());
            Err(response)
        };
        // Asked by machines that know our address only, past the proxies.
        let health = matches!(request.uri().path(), "/healthz" | "/readyz");
        let internal = self.internal.iter().any(|path| path == request.uri().path());
        if !health && !internal && !self.takes_host(request) {
            let host = request.headers().get(header::HOST);
            tracing::warn!(?host, "a request for a host that is not in server.allowed_hosts");
            return refuse(bare(StatusCode::BAD_REQUEST));
        }
        if let Some(preflight) = self.cors.preflight(request.method(), request.headers()) {
            return refuse(preflight);
        }
        self.warn_of_proxy(request.headers());
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        let told = self.addresses.client(request.headers(), peer);
        let Some(address) = told.or(health.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))) else {
            // Once: whoever can send such a request could fill the log with it.
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "a request without the client's address that the trusted proxy should have told"
                );
            }
            return refuse(bare(StatusCode::FORBIDDEN));
        };
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        Ok(Admitted { address, span, id, origin })
    }

    /// Serves a request that was let in by `work`, which is given the client's address.
    pub(super) async fn serve<F: Future<Output = Response<Body>>>(
        &self,
        request: Request,
        work: impl FnOnce(Request, IpAddr) -> F,
    ) -> Response<Body> {
        match self.admit(&request) {
            Err(response) => *response,
            Ok(admitted) => {
                let response = work(request, admitted.address).instrument(admitted.span.clone()).await;
                self.leave(response, admitted)
            }
        }
    }

    /// Gives the answer to an admitted request the headers that every answer has.
    pub(super) fn leave(&self, mut response: Response<Body>, admitted: Admitted) -> Response<Body> {
        self.dress(&mut response, &admitted.id, admitted.origin);
        response
    }

    /// Whether nothing about a request needs a look beyond its host: no other origin, no proxy.
    pub(super) fn is_plain(&self, request: &Request) -> bool {
        let headers = request.headers();
        self.addresses.are_peers()
            && !headers.contains_key(header::ORIGIN)
            && !self.addresses.untrusted_proxy(headers)
            && self.takes_host(request)
    }

    /// Of every answer, unless a page says otherwise (S6).
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers: HeaderMap = HEADERS.into_iter().collect();
        self.cors.mark(None, &mut headers);
        headers
    }

    /// The address of the client that a request comes from; `None` if the proxy that should tell does not.
    pub(super) fn client(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<IpAddr> {
        self.addresses.client(headers, peer)
    }

    /// The network of an address, by which limits count.
    pub(super) fn network(&self, address: IpAddr) -> String {
        self.addresses.network(address)
    }

    fn dress(&self, response: &mut Response<Body>, id: &HeaderValue, origin: Option<HeaderValue>) {
        let headers = response.headers_mut();
        for (name, value) in &HEADERS {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        self.cors.mark(origin, headers);
        headers.insert(REQUEST_ID, id.clone());
    }

    fn id(&self) -> HeaderValue {
        let id = format!("{:016x}-{:x}", self.process, self.count.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// The threshold of routes that have no door of their own.
pub(super) async fn pass(
    State(threshold): State<Arc<Threshold>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    match threshold.admit(&request) {
        Err(response) => *response,
        Ok(admitted) => {
            let response = next.run(request).instrument(admitted.span.clone()).await;
            threshold.leave(response, admitted)
        }
    }
}
