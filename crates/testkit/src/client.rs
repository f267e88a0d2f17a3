//! Clients of the API, in process: each request goes straight into the router, without a socket.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use url::form_urlencoded;

/// Is shown every answer before the test is.
pub type Observer = Arc<dyn Fn(&Method, &str, &Reply) + Send + Sync>;

/// The server as its clients see it.
#[derive(Clone)]
pub struct Door {
    /// What answers.
    pub router: Router,
    /// Scheme, host and port that people type.
    pub public_url: String,
    /// What API paths begin with, such as `/_allauth`.
    pub prefix: String,
    /// Is called with the method, the path with its query, and the answer.
    pub observer: Option<Observer>,
}

/// A client: an app, which carries its session in a header, or a browser, which does in cookies. A clone has the
/// same session and goes its own way from there.
///
/// Paths are relative to the client's part of the API (`auth/login`), or begin with a slash and are used as they are
/// (`/healthz`).
#[derive(Debug, Clone)]
pub struct Client {
    door: Door,
    carrier: Carrier,
    peer: SocketAddr,
    headers: HeaderMap,
}

#[derive(Debug, Clone)]
enum Carrier {
    App { token: Option<String> },
    Browser { cookies: BTreeMap<String, String> },
}

const TOKEN: HeaderName = HeaderName::from_static("x-session-token");
const CSRF: HeaderName = HeaderName::from_static("x-csrftoken");
const CSRF_COOKIE: &str = "csrftoken";
const CSRF_FIELD: &str = "csrfmiddlewaretoken";
/// The media type of HTML forms.
pub const FORM: &str = "application/x-www-form-urlencoded";

impl Client {
    /// An app without a session. It takes `meta.session_token` from answers, and drops it at a 410.
    #[must_use]
    pub fn app(door: Door) -> Self {
        Self::new(door, Carrier::App { token: None })
    }

    /// A browser without cookies, on a page of the server's own origin. It fetches a CSRF token before its first
    /// change, as pages do.
    #[must_use]
    pub fn browser(door: Door) -> Self {
        Self::new(door, Carrier::Browser { cookies: BTreeMap::new() })
    }

    fn new(door: Door, carrier: Carrier) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("vestibule-testkit"));
        Self { door, carrier, peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)), headers }
    }

    /// The session token of an app.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match &self.carrier {
            Carrier::App { token } => token.as_deref(),
            Carrier::Browser { .. } => None,
        }
    }

    /// Gives an app another session token, or none.
    pub fn set_token(&mut self, new: Option<&str>) {
        if let Carrier::App { token } = &mut self.carrier {
            *token = new.map(str::to_owned);
        }
    }

    /// A cookie of a browser.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        match &self.carrier {
            Carrier::App { .. } => None,
            Carrier::Browser { cookies } => cookies.get(name).map(String::as_str),
        }
    }

    /// Gives a browser a cookie.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        if let Carrier::Browser { cookies } = &mut self.carrier {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Makes all further requests come from this address.
    #[must_use]
    pub fn from_ip(mut self, ip: IpAddr) -> Self {
        self.peer.set_ip(ip);
        self
    }

    /// Adds a header to all further requests.
    ///
    /// # Panics
    /// If it is no header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        self.headers.insert(name, value);
        self
    }

    /// `GET`.
    pub async fn get(&mut self, path: &str) -> Reply {
        self.call(Method::GET, path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&mut self, path: &str, json: Value) -> Reply {
        self.call(Method::POST, path).json(&json).send().await
    }

    /// `POST` of a form as a page of the front end has it: with the CSRF secret in a field, and in no header.
    pub async fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        if self.cookie(CSRF_COOKIE).is_none() {
            self.get("config").await;
        }
        let secret = self.cookie(CSRF_COOKIE).unwrap_or_default().to_owned();
        let fields = fields.iter().copied().chain([(CSRF_FIELD, secret.as_str())]);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.call(Method::POST, path).raw(FORM, body).without_csrf().send().await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&mut self, path: &str, json: Value) -> Reply {
        self.call(Method::PUT, path).json(&json).send().await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&mut self, path: &str, json: Value) -> Reply {
        self.call(Method::PATCH, path).json(&json).send().await
    }

    /// `DELETE` with a JSON body; `Value::Null` for none.
    pub async fn delete(&mut self, path: &str, json: Value) -> Reply {
        let call = self.call(Method::DELETE, path);
        if json.is_null() { call.send().await } else { call.json(&json).send().await }
    }

    /// A request to be made in detail.
    pub fn call(&mut self, method: Method, path: &str) -> Call<'_> {
        let headers = self.headers.clone();
        let path = match (path.starts_with('/'), &self.carrier) {
            (true, _) => path.to_owned(),
            (false, Carrier::App { .. }) => format!("{}/app/v1/{path}", self.door.prefix),
            (false, Carrier::Browser { .. }) => format!("{}/browser/v1/{path}", self.door.prefix),
        };
        Call { client: self, method, path, headers, body: Bytes::new(), csrf: true }
    }

    /// Sends a request as it is and takes over what the answer does to the session.
    async fn exchange(&mut self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        // A router does not fail: its error type has no values.
        let answer = self.door.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body that does not break off").to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, json, body };
        match &mut self.carrier {
            Carrier::App { token } => {
                if let Some(new) = reply.json["meta"]["session_token"].as_str() {
                    *token = Some(new.to_owned());
                } else if reply.status == 410 {
                    *token = None;
                }
            }
            Carrier::Browser { cookies } => {
                for cookie in reply.set_cookies() {
                    keep(cookies, cookie);
                }
            }
        }
        if let Some(observer) = &self.door.observer {
            observer(&method, &path, &reply);
        }
        reply
    }
}

/// A request on its way to being sent.
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a mut Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    csrf: bool,
}

impl Call<'_> {
    /// Sets a header, also one that the client would set by itself.
    ///
    /// # Panics
    /// If it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let (name, value) = header(name, value);
        self.headers.insert(name, value);
        self
    }

    /// Sends this as JSON.
    #[must_use]
    pub fn json(self, json: &Value) -> Self {
        self.raw("application/json", json.to_string())
    }

    /// Sends these bytes.
    #[must_use]
    pub fn raw(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Leaves out the CSRF token that a browser would send.
    #[must_use]
    pub fn without_csrf(mut self) -> Self {
        self.csrf = false;
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// If the path is none, or the answer breaks off.
    pub async fn send(mut self) -> Reply {
        let changes = !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let is_browser = matches!(self.client.carrier, Carrier::Browser { .. });
        if is_browser && changes && self.csrf {
            if self.client.cookie(CSRF_COOKIE).is_none() {
                let Call { client, method, path, headers, body, .. } =
                    self.client.call(Method::GET, "config");
                let fetch = request(client, method, &path, headers, body);
                self.client.exchange(fetch).await;
            }
            if let Some(token) = self.client.cookie(CSRF_COOKIE) {
                let (_, token) = header(CSRF.as_str(), token);
                self.headers.entry(CSRF).or_insert(token);
            }
        }
        if is_browser && changes {
            let (_, origin) = header("origin", &self.client.door.public_url);
            self.headers.entry(ORIGIN).or_insert(origin);
        }
        let request = request(self.client, self.method, &self.path, self.headers, self.body);
        self.client.exchange(request).await
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; `Value::Null` if it is not.
    pub json: Value,
    /// The body as it came.
    pub body: Bytes,
}

impl Reply {
    /// The same, if it has this status.
    ///
    /// # Panics
    /// If it has another one; shows the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got {self}");
        self
    }

    /// What the envelope holds.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.json["data"]
    }

    /// The errors as `(param, code)`; the param is empty for an error of the whole request.
    #[must_use]
    pub fn errors(&self) -> Vec<(&str, &str)> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| (text(&error["param"]), text(&error["code"]))).collect()
    }

    /// The flow with this id, if the answer lists it.
    #[must_use]
    pub fn flow(&self, id: &str) -> Option<&Value> {
        self.json["data"]["flows"].as_array()?.iter().find(|flow| flow["id"] == id)
    }

    /// Whether the flow with this id is what the session waits for.
    #[must_use]
    pub fn is_pending(&self, id: &str) -> bool {
        self.flow(id).is_some_and(|flow| flow["is_pending"] == true)
    }

    /// The text of a header; of the first one of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Set-Cookie` headers, whole.
    pub fn set_cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("public_url", &self.public_url)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn request(client: &Client, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().expect("a path");
    *request.headers_mut() = headers;
    let public = client.door.public_url.as_str();
    let host = public.split_once("://").map_or(public, |(_, host)| host);
    request.headers_mut().entry(HOST).or_insert(header("host", host).1);
    match &client.carrier {
        Carrier::App { token: Some(token) } => {
            request.headers_mut().entry(TOKEN).or_insert(header(TOKEN.as_str(), token).1);
        }
        Carrier::Browser { cookies } if !cookies.is_empty() => {
            let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers_mut().entry(COOKIE).or_insert(header("cookie", &cookies.join("; ")).1);
        }
        _ => {}
    }
    request.extensions_mut().insert(ConnectInfo(client.peer));
    request
}

/// Does to the jar what a `Set-Cookie` asks for. Everything here is one site: domain and path do not matter.
fn keep(cookies: &mut BTreeMap<String, String>, set_cookie: &str) {
    let mut parts = set_cookie.split(';').map(str::trim);
    let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
    if parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0")) {
        cookies.remove(name);
    } else {
        cookies.insert(name.to_owned(), value.trim_matches('"').to_owned());
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn header(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    (name.parse().expect("a header name"), value.parse().expect("a header value"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use serde_json::json;

    /// Answers with what it got: the headers named below, the peer and the body.
    async fn echo(ConnectInfo(peer): ConnectInfo<SocketAddr>, headers: HeaderMap, body: String) -> String {
        let mut seen = serde_json::Map::new();
        for name in ["host", "cookie", "origin", "x-csrftoken", "x-session-token", "content-type"] {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            seen.insert(name.to_owned(), json!(value));
        }
        json!({"data": seen, "peer": peer.ip().to_string(), "body": body}).to_string()
    }

    fn door() -> Door {
        let router = Router::new()
            .route("/_allauth/app/v1/echo", post(echo).get(echo))
            .route("/_allauth/app/v1/in", get(async || r#"{"meta":{"session_token":"abc"}}"#))
            .route("/_allauth/app/v1/gone", get(async || (axum::http::StatusCode::GONE, "{}")))
            .route("/_allauth/browser/v1/echo", post(echo))
            .route(
                "/_allauth/browser/v1/config",
                get(async || ([(SET_COOKIE, "csrftoken=t0ken; Path=/; SameSite=Lax")], "{}")),
            )
            .route("/out", get(async || ([(SET_COOKIE, "csrftoken=\"\"; Max-Age=0; Path=/")], "{}")));
        let (public_url, prefix) = ("https://a.example".to_owned(), "/_allauth".to_owned());
        Door { router, public_url, prefix, observer: None }
    }

    #[tokio::test]
    async fn an_app_keeps_its_token_until_it_is_gone() {
        let mut app = Client::app(door()).from_ip([192, 0, 2, 7].into());
        app.get("in").await;
        let reply = app.post("echo", json!({"a": 1})).await.expect(200);
        assert_eq!(reply.data()["x-session-token"], "abc");
        assert_eq!(reply.data()["content-type"], "application/json");
        assert_eq!(reply.data()["host"], "a.example");
        assert_eq!(reply.data()["origin"], Value::Null);
        assert_eq!((&reply.json["peer"], &reply.json["body"]), (&json!("192.0.2.7"), &json!(r#"{"a":1}"#)));
        let replaced = app.call(Method::GET, "echo").header("X-Session-Token", "other").send().await;
        assert_eq!(replaced.data()["x-session-token"], "other");
        app.get("gone").await;
        assert_eq!(app.token(), None);
    }

    #[tokio::test]
    async fn a_browser_fetches_a_csrf_token_and_sends_it_with_its_origin() {
        let mut browser = Client::browser(door());
        let reply = browser.post("echo", json!({})).await;
        assert_eq!(reply.data()["x-csrftoken"], "t0ken");
        assert_eq!(reply.data()["cookie"], "csrftoken=t0ken");
        assert_eq!(reply.data()["origin"], "https://a.example");
        let reply = browser.call(Method::POST, "echo").without_csrf().send().await;
        assert_eq!(reply.data()["x-csrftoken"], Value::Null);
        browser.get("/out").await;
        assert_eq!(browser.cookie("csrftoken"), None);
    }
}
