//! The one HTTP client for whatever we call: no redirects, no proxies, limits on time and size, and a guard on
//! addresses. What the operator wrote may be anywhere; what was learned at run time must be https on the public net.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Request};
use url::{Host, Url, form_urlencoded};

use crate::trace;

/// How long a call may take, where nothing else is said.
const TOTAL: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// Largest body of an answer that is read.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// Why a call brought nothing. Never holds a URL, a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is none that may be called.
    #[error("the address is not allowed: {0}")]
    Forbidden(&'static str),
    /// No complete answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, or it broke.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// The answer is larger than [`MAX_ANSWER`].
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    /// The answer is not UTF-8.
    #[error("the answer is not text")]
    NotText,
    /// The answer's status is not one of success.
    #[error("answered with status {0}")]
    Status(u16),
    /// A header to be sent holds what no header may.
    #[error("a header to be sent is malformed")]
    Header,
    /// The client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
}

impl OutboundError {
    /// One word for it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::TooLarge => "too_large",
            Self::NotText => "not_text",
            Self::Status(_) => "status",
            Self::Header => "header",
            Self::Setup(_) => "setup",
        }
    }
}

/// The HTTP client. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Outbound {
    configured: Client,
    learned: Client,
    stage: Option<Arc<dyn Stage>>,
}

/// What answers in place of the net: for tests, which call nobody.
pub trait Stage: fmt::Debug + Send + Sync {
    /// The answer to a call.
    fn answer(&self, played: Played) -> Pin<Box<dyn Future<Output = Result<Answer, OutboundError>> + Send>>;
}

/// A call as a [`Stage`] sees it.
#[derive(Debug, Clone)]
pub struct Played {
    /// `GET` or `POST`.
    pub method: String,
    /// Where to, query included.
    pub url: Url,
    /// Headers, by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The body, or nothing.
    pub body: String,
}

impl Outbound {
    /// Sets up the client with the system's certificates. Without any, it starts and trusts no server.
    ///
    /// # Errors
    /// [`OutboundError::Setup`].
    pub fn new() -> Result<Self, OutboundError> {
        // Refused if the process has one already: then that one serves.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Self {
            configured: build(|client| client)?,
            learned: build(|client| client.https_only(true).dns_resolver(Arc::new(PublicOnly)))?,
            stage: None,
        })
    }

    /// The same client, whose calls a stage answers. URLs are judged as ever; nothing leaves the process.
    #[must_use]
    pub fn staged(self, stage: Arc<dyn Stage>) -> Self {
        Self { stage: Some(stage), ..self }
    }

    /// An endpoint that the operator wrote into the configuration: http or https, anywhere.
    ///
    /// # Errors
    /// [`OutboundError::Forbidden`] for another scheme.
    pub fn configured(&self, url: &str) -> Result<Endpoint, OutboundError> {
        let url = parse(url)?;
        Ok(self.endpoint(&self.configured, url))
    }

    /// An endpoint learned at run time: https, no credentials, public addresses only.
    ///
    /// # Errors
    /// [`OutboundError::Forbidden`] if the URL itself shows that it is something else. A name that resolves to
    /// another address is refused when it is called.
    pub fn learned(&self, url: &str) -> Result<Endpoint, OutboundError> {
        let url = parse(url)?;
        if url.scheme() != "https" {
            return Err(OutboundError::Forbidden("https is needed"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Forbidden("it holds credentials"));
        }
        // A literal address never reaches the resolver.
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            _ => None,
        };
        if literal.is_some_and(|ip| !is_public(ip)) {
            return Err(OutboundError::Forbidden(NOT_PUBLIC));
        }
        Ok(self.endpoint(&self.learned, url))
    }

    fn endpoint(&self, client: &Client, url: Url) -> Endpoint {
        Endpoint { client: client.clone(), stage: self.stage.clone(), url, patience: TOTAL }
    }
}

/// A URL that may be called.
#[derive(Clone)]
pub struct Endpoint {
    client: Client,
    stage: Option<Arc<dyn Stage>>,
    url: Url,
    patience: Duration,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The same endpoint, where a call may take as long as `patience`.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// GET, with further headers.
    ///
    /// # Errors
    /// Any of [`OutboundError`] but `Status`: see [`Answer::success`]. So for all below.
    pub async fn get_text(&self, headers: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        self.call(Method::GET, headers, Body::None).await
    }

    /// POST of a JSON text as it stands (it may be signed), with further headers.
    ///
    /// # Errors
    /// As [`Endpoint::get_text`].
    pub async fn post_json(&self, body: String, headers: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        self.call(Method::POST, headers, Body::Json(body)).await
    }

    /// PATCH with a JSON text, with further headers.
    ///
    /// # Errors
    /// As [`Endpoint::get_text`].
    pub async fn patch_json(&self, body: String, headers: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        self.call(Method::PATCH, headers, Body::Json(body)).await
    }

    /// DELETE, with further headers.
    ///
    /// # Errors
    /// As [`Endpoint::get_text`].
    pub async fn delete(&self, headers: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        self.call(Method::DELETE, headers, Body::None).await
    }

    /// POST of a form (`application/x-www-form-urlencoded`), with further headers.
    ///
    /// # Errors
    /// As [`Endpoint::get_text`].
    pub async fn post_form<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, OutboundError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.call(Method::POST, headers, Body::Form(body)).await
    }

    async fn call(
        &self,
        method: Method,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Answer, OutboundError> {
        let builder = self.client.request(method, self.url.clone()).timeout(self.patience);
        let builder = match body {
            Body::None => builder,
            Body::Json(text) => builder.header(CONTENT_TYPE, "application/json").body(text),
            Body::Form(text) => builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(text),
        };
        // What the caller says of a header counts.
        let request = builder.headers(header_map(headers)?).build().map_err(refine)?;
        let span = trace::call(request.method().as_str(), self.url.host_str());
        let answer = match &self.stage {
            Some(stage) => stage.answer(played(&request)).await,
            None => send(&self.client, request).await,
        };
        match &answer {
            Ok(answer) => span.record("http.response.status_code", answer.status),
            Err(error) => span.record("error.type", error.kind()),
        };
        answer
    }
}

/// What a request carries.
enum Body {
    None,
    Json(String),
    Form(String),
}

fn played(request: &Request) -> Played {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    Played {
        method: request.method().to_string(),
        url: request.url().clone(),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

/// An answer. Redirects are answers too: they are not followed.
#[derive(Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The media type, without its parameters, lower-cased; empty where none is given.
    pub media_type: String,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body of a 2xx answer.
    ///
    /// # Errors
    /// [`OutboundError::Status`] for any other.
    pub fn success(self) -> Result<String, OutboundError> {
        if (200..300).contains(&self.status) {
            Ok(self.text)
        } else {
            Err(OutboundError::Status(self.status))
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bodies hold tokens.
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Whether an address is on the public net: not special in any way.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|net| net.contains(&ip)),
        // Only global unicast. Outside it are loopback, mapped and translated IPv4 (NAT64), link-local, unique local,
        // multicast, discard, segment routing.
        IpAddr::V6(ip) => GLOBAL_V6.contains(&ip) && !SPECIAL_V6.iter().any(|net| net.contains(&ip)),
    }
}

const NOT_PUBLIC: &str = "it is not on the public net";

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), bits)
}

/// IANA's special-purpose registry and what else is no public server.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),        // this network
    v4(10, 0, 0, 0, 8),       // private
    v4(100, 64, 0, 0, 10),    // shared by carriers (CGNAT)
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // a cloud's own services, by a public number
    v4(169, 254, 0, 0, 16),   // link-local; the metadata of clouds
    v4(172, 16, 0, 0, 12),    // private
    v4(192, 0, 0, 0, 24),     // protocol assignments
    v4(192, 0, 2, 0, 24),     // documentation
    v4(192, 31, 196, 0, 24),  // AS112
    v4(192, 52, 193, 0, 24),  // multicast tunnels
    v4(192, 88, 99, 0, 24),   // 6to4 relays
    v4(192, 168, 0, 0, 16),   // private
    v4(192, 175, 48, 0, 24),  // AS112
    v4(198, 18, 0, 0, 15),    // benchmarks
    v4(198, 51, 100, 0, 24),  // documentation
    v4(203, 0, 113, 0, 24),   // documentation
    v4(224, 0, 0, 0, 4),      // multicast
    v4(240, 0, 0, 0, 4),      // reserved, broadcast
];

const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

const SPECIAL_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 23),     // protocol assignments: Teredo, benchmarks, ORCHID
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4 carries IPv4
    v6(0x3fff, 0, 20),     // documentation
];

/// Resolves names, and refuses one as soon as one of its addresses is not public.
#[derive(Debug)]
struct PublicOnly;

#[derive(Debug, thiserror::Error)]
#[error("{NOT_PUBLIC}")]
struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().any(|address| !is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn build(more: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client, OutboundError> {
    let builder = || {
        more(Client::builder())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TOTAL)
            .connect_timeout(CONNECT)
            .user_agent(concat!("vestibule/", env!("CARGO_PKG_VERSION")))
    };
    builder().build().or_else(|error| {
        tracing::warn!(error = %chain(&error), "no certificates of the system: https calls will fail");
        builder()
            .tls_certs_only(std::iter::empty())
            .build()
            .map_err(|error| OutboundError::Setup(chain(&error)))
    })
}

fn parse(url: &str) -> Result<Url, OutboundError> {
    let url = Url::parse(url).map_err(|_| OutboundError::Forbidden("it is no URL"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(OutboundError::Forbidden("neither http nor https")),
    }
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap, OutboundError> {
    headers
        .iter()
        .map(|(name, value)| Some((HeaderName::try_from(*name).ok()?, HeaderValue::try_from(*value).ok()?)))
        .collect::<Option<HeaderMap>>()
        .ok_or(OutboundError::Header)
}

async fn send(client: &Client, request: Request) -> Result<Answer, OutboundError> {
    let mut response = client.execute(request).await.map_err(refine)?;
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(refine)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(body).map_err(|_| OutboundError::NotText)?;
    Ok(Answer { status: response.status().as_u16(), media_type, text })
}

fn refine(error: reqwest::Error) -> OutboundError {
    let error = error.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return OutboundError::Forbidden(NOT_PUBLIC);
        }
        cause = inner.source();
    }
    if error.is_timeout() { OutboundError::Timeout } else { OutboundError::Unreachable(chain(&error)) }
}

/// The deepest cause says most: "connection refused" rather than "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(inner) = deepest.source() {
        deepest = inner;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn o6_the_guards_table() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ffff::1",
        ];
        for ip in special {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2003::1",
            "2606:4700::1111",
            "2a00::1",
            "3ffe::1",
        ];
        for ip in public {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn o6_learned_urls_are_https_and_public_even_after_resolution() {
        let outbound = Outbound::new().unwrap();
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "nonsense",
            "https://user:pass@example.com/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(matches!(outbound.learned(url), Err(OutboundError::Forbidden(_))), "{url}");
        }
        let refused = outbound.learned("https://localhost/").unwrap().get_text(&[]).await;
        assert!(matches!(refused, Err(OutboundError::Forbidden(NOT_PUBLIC))), "{refused:?}");
    }

    #[tokio::test]
    async fn o6_redirects_are_answers_and_large_answers_are_refused() {
        let answers = [
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(MAX_ANSWER + 1)),
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:hunter2@{}/?key=hunter2", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 2048]).await.unwrap();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let endpoint = Outbound::new().unwrap().configured(&url).unwrap();
        assert_eq!(endpoint.get_text(&[]).await.unwrap().status, 302);
        assert!(matches!(endpoint.get_text(&[]).await, Err(OutboundError::TooLarge)));
        let answer = endpoint.post_json("{}".into(), &[("x-more", "1")]).await.unwrap();
        assert_eq!(answer.success().unwrap(), "ok");
        server.await.unwrap();

        let gone = endpoint.get_text(&[]).await.unwrap_err();
        assert!(!format!("{gone} {gone:?} {endpoint:?}").contains("hunter2"), "{gone:?}");
        assert!(matches!(endpoint.get_text(&[("x", "a\r\nb: c")]).await, Err(OutboundError::Header)));
    }
}
