//! An application behind a real proxy, with a configuration of `examples/proxies`: who gets through, and what the
//! application is told of them. What is asked of every proxy; each has a module with what is its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, vestibule};
use crate::http::{Answer, ask};

const PASSWORD: &str = "correct horse battery staple";
/// What only Vestibule may say.
const CLAIMS: [&str; 6] = [
    "x-user-id",
    "x-user-email",
    "x-user-email-verified",
    "x-user-username",
    "x-user-phone",
    "x-auth-methods",
];
/// What else the name of a header may have where these have a hyphen. Applications turn all of them into one: CGI, WSGI and
/// PHP read `X_User.Id` as `HTTP_X_USER_ID`.
const SEPARATORS: &str = "_.!#$%&'*+^`|~";

/// A proxy and its example.
pub(crate) struct Example {
    /// The name of its program.
    pub(crate) program: &'static str,
    /// The name of its configuration in `examples/proxies`.
    pub(crate) file: &'static str,
    pub(crate) configuration: &'static str,
    /// What in the configuration is another in a test: addresses and folders.
    pub(crate) replacements: fn(&Places) -> Vec<(&'static str, String)>,
    /// The program, as a child of the test that ends when it is killed, with the configuration in the second argument.
    pub(crate) command: fn(&Path, &Path, &Places) -> Command,
    /// What it answers if Vestibule does not.
    pub(crate) without_vestibule: u16,
}

/// Where everything is in a test.
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    /// Of the proxy.
    pub(crate) public: SocketAddr,
    pub(crate) vestibule: SocketAddr,
    pub(crate) application: SocketAddr,
}

/// Plays everything that every example has to hold, and `own`, which this one has. Skips it, aloud, where the program is not
/// installed.
///
/// # Panics
///
/// If the example does not hold, or if the program is missing where `VESTIBULE_TEST_REQUIRE_…=1` demands it.
pub(crate) fn play(example: &Example, own: impl FnOnce(&Proxy)) {
    let name = example.program;
    let Some(program) = find(name) else {
        let required = format!("VESTIBULE_TEST_REQUIRE_{}", name.to_uppercase());
        assert!(variable(&required) != "1", "{required}=1, but {name} is not installed");
        // Past the capture of the test runner, which would keep it to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {name} is not installed, so examples/proxies/{} was not tried",
            example.file
        );
        return;
    };
    let folder = TempDir::new().unwrap();
    let public = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configure(folder.path(), public);
    let server = Server::start_as(vestibule(folder.path(), &["serve"]).stderr(Stdio::null()));
    let application = Application::start();
    let places = Places {
        folder: folder.path().to_owned(),
        public,
        vestibule: server.address,
        application: application.address,
    };
    let proxy = Proxy::start(&program, example, &places);

    strangers_stay_outside(&proxy);
    let id = people_get_in_and_are_named(&proxy);
    claims_cannot_be_forged(&proxy, &id);
    claims_cannot_be_taken_off(&proxy, &id);
    who_logs_out_is_outside(&proxy);
    vestibule_sees_the_clients_address(&proxy);
    own(&proxy);

    // Without Vestibule nobody gets in.
    let app = log_in(&proxy, "app");
    drop(server);
    assert_eq!(proxy.get("/api/x", &app.credential()).status, example.without_vestibule);
}

fn strangers_stay_outside(proxy: &Proxy) {
    assert_eq!(proxy.get("/api/orders", &[]).status, 401);
    assert_eq!(proxy.get("/api/orders", &[("X-User-Id", "1")]).status, 401);
    // The question to Vestibule has the proxy's query, not the client's.
    assert_eq!(proxy.get("/api/orders?redirect=login", &[]).status, 401);
    assert_eq!(proxy.get("/orders?redirect=no", &[]).status, 302);
    assert_eq!(proxy.get("/api/orders", &[("Cookie", "sessionid=nonsense")]).status, 401);
    let sent = proxy.get("/orders?page=2&sort=%2Fa", &[]);
    assert_eq!(sent.status, 302);
    let next =
        format!("http%3A%2F%2F{}%2Forders%3Fpage%3D2%26sort%3D%252Fa", proxy.host().replace(':', "%3A"));
    assert_eq!(sent.headers["location"], format!("https://www.example.org/login?next={next}"));
    // The way in is open: Vestibule's pages, and those alone.
    for path in ["/account", "/account/login", "/_portal/settings.json"] {
        assert_eq!(proxy.get(path, &[]).status, 200, "{path}");
    }
    for path in ["/accountant", "/_portals", "/_allauth"] {
        assert_eq!(proxy.get(path, &[]).status, 302, "{path}");
    }
    // No other page than one of this server can be come back to.
    for path in ["//evil.example/", "/\\evil.example"] {
        let location = &proxy.get(path, &[]).headers["location"];
        let next = location.strip_prefix("https://www.example.org/login").unwrap();
        let own = format!("?next=http%3A%2F%2F{}%2F", proxy.host().replace(':', "%3A"));
        assert!(next.is_empty() || next.starts_with(&own), "{path}: {location}");
    }
    let posted = proxy.ask("POST", "/orders", &[], "a=1");
    assert_eq!((posted.status, &*posted.headers["location"]), (302, "https://www.example.org/login"));
    for answer in [&sent, &posted] {
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

fn people_get_in_and_are_named(proxy: &Proxy) -> String {
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let reply = proxy.ask("POST", "/_allauth/app/v1/auth/signup", &[], &body);
    let id = reply.json()["data"]["user"]["id"].to_string();
    for kind in ["app", "browser"] {
        let person = log_in(proxy, kind);
        for path in ["/orders?page=2", "/api/orders?page=2"] {
            let answer = proxy.ask("POST", path, &person.credential(), "some body");
            assert_eq!(answer.status, 200, "{kind} {path}");
            let seen = answer.json();
            assert_eq!(seen["x-user-id"], json!([id]));
            assert_eq!(seen["x-user-email"], json!(["ada@example.org"]));
            assert_eq!(seen["x-user-email-verified"], json!(["false"]));
            assert_eq!(seen["x-auth-methods"], json!(["password"]));
            assert_eq!(seen["x-user-username"], json!(["ada"]));
            assert_eq!(seen["x-user-phone"], Value::Null, "there is none");
            // The request itself arrives as it was.
            assert_eq!(seen["request"], format!("POST {path} some body"));
        }
    }
    id
}

fn claims_cannot_be_forged(proxy: &Proxy, id: &str) {
    let person = log_in(proxy, "app");
    for claim in CLAIMS {
        for name in [vec![claim.to_owned(), claim.to_uppercase()], spellings(claim)].concat() {
            let mut headers = person.credential().to_vec();
            headers.push((&name, "forged"));
            headers.push((&name, "forged again"));
            let answer = proxy.get("/api/orders", &headers);
            assert_eq!(answer.status, 200, "{name}");
            assert!(!answer.body.contains("forged"), "{name}: {}", answer.body);
            assert_eq!(answer.json()["x-user-id"], json!([id]));
        }
    }
}

/// A header that `Connection` names is one to be dropped before the request is passed on: such a request is refused, or
/// arrives with what Vestibule said all the same.
fn claims_cannot_be_taken_off(proxy: &Proxy, id: &str) {
    let person = log_in(proxy, "app");
    for claim in CLAIMS {
        let spelling = format!("x-{}", claim["x-".len()..].replace('-', "_"));
        for connection in [claim.to_owned(), claim.to_uppercase(), format!("close, {claim} ,TE")] {
            for before in [None, Some(("Connection", "close"))] {
                let mut headers = person.credential().to_vec();
                headers.extend(before);
                headers.push(("Connection", &connection));
                headers.push((&spelling, "forged"));
                let answer = proxy.get("/api/orders", &headers);
                if answer.status != 400 {
                    let seen = answer.json();
                    assert_eq!(seen["x-user-id"], json!([id]), "{headers:?}");
                    assert_eq!(seen["x-user-email"], json!(["ada@example.org"]), "{headers:?}");
                    assert!(!answer.body.contains("forged"), "{headers:?}: {}", answer.body);
                }
            }
        }
    }
    // What others mean by it passes.
    for connection in ["close", "close, TE", "X-Users"] {
        let mut headers = person.credential().to_vec();
        headers.push(("Connection", connection));
        assert_eq!(proxy.get("/api/orders", &headers).status, 200, "{connection}");
    }
}

/// Other spellings of a claim: each separator at each place of a hyphen, alone and at all of them.
fn spellings(claim: &str) -> Vec<String> {
    let hyphens: Vec<usize> = claim.match_indices('-').map(|(place, _)| place).collect();
    let mut spellings = Vec::new();
    for separator in SEPARATORS.chars().map(String::from) {
        spellings.push(claim.replace('-', &separator));
        for place in &hyphens {
            let mut spelling = claim.to_owned();
            spelling.replace_range(*place..=*place, &separator);
            spellings.push(spelling);
        }
    }
    spellings
}

fn who_logs_out_is_outside(proxy: &Proxy) {
    for kind in ["app", "browser"] {
        let person = log_in(proxy, kind);
        assert_eq!(proxy.get("/api/orders", &person.credential()).status, 200);
        let left = proxy.ask("DELETE", &format!("/_allauth/{kind}/v1/auth/session"), &person.all(), "");
        assert_eq!(left.status, 401, "{}", left.body);
        assert_eq!(proxy.get("/api/orders", &person.credential()).status, 401);
        assert_eq!(proxy.get("/orders", &person.credential()).status, 302);
    }
}

fn vestibule_sees_the_clients_address(proxy: &Proxy) {
    let person = log_in(proxy, "app");
    let mut headers = person.credential().to_vec();
    headers.push(("X-Forwarded-For", "198.51.100.7"));
    let sessions = proxy.get("/_allauth/app/v1/auth/sessions", &headers).json();
    let addresses: Vec<_> =
        sessions["data"].as_array().unwrap().iter().map(|session| &session["ip"]).collect();
    assert!(addresses.iter().all(|address| *address == "127.0.0.1"), "{addresses:?}");
}

/// Somebody who is logged in, by the way of one kind of client.
struct Person {
    /// The header that carries the session.
    carries: (&'static str, String),
    csrf: String,
}

impl Person {
    fn credential(&self) -> [(&str, &str); 1] {
        [(self.carries.0, &self.carries.1)]
    }

    /// With what a browser needs to change something.
    fn all(&self) -> [(&str, &str); 2] {
        [(self.carries.0, &self.carries.1), ("X-CSRFToken", &self.csrf)]
    }
}

fn log_in(proxy: &Proxy, kind: &str) -> Person {
    let before = proxy.get(&format!("/_allauth/{kind}/v1/config"), &[]);
    let csrf = before.cookie("csrftoken").unwrap_or_default();
    let cookies = format!("csrftoken={csrf}");
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let headers = [("Cookie", cookies.as_str()), ("X-CSRFToken", &csrf)];
    let reply = proxy.ask("POST", &format!("/_allauth/{kind}/v1/auth/login"), &headers, &body);
    assert_eq!(reply.status, 200, "{}", reply.body);
    match reply.json()["meta"]["session_token"].as_str() {
        Some(token) => Person { carries: ("X-Session-Token", token.to_owned()), csrf },
        None => {
            let (session, csrf) = (reply.cookie("sessionid").unwrap(), reply.cookie("csrftoken").unwrap());
            Person { carries: ("Cookie", format!("sessionid={session}; csrftoken={csrf}")), csrf }
        }
    }
}

fn configure(folder: &Path, public: SocketAddr) {
    let settings = format!(
        "server.secret_key = 'the secret key of this test, long enough for it'\n\
         server.public_url = 'http://{public}'\n\
         server.trusted_proxy_count = 1\n\
         account = {{ rate_limits = false, email_verification = 'none' }}\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         headless.forward_auth_login_url = 'https://www.example.org/login'\n"
    );
    std::fs::write(folder.join("vestibule.toml"), settings).unwrap();
}

/// An application that answers with what it was asked: the request line with the body, and each header's values.
struct Application {
    address: SocketAddr,
    /// Serves until it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Application {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async { axum::serve(listener, Router::new().fallback(echo)).await });
        Self { address, _runtime: runtime }
    }
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: String) -> String {
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in &headers {
        seen.entry(name.as_str().to_owned()).or_default().push(value.to_str().unwrap());
    }
    let mut seen = json!(seen);
    seen["request"] = json!(format!("{method} {uri} {body}"));
    seen.to_string()
}

/// A running proxy.
pub(crate) struct Proxy {
    process: Child,
    address: SocketAddr,
}

impl Proxy {
    fn start(program: &Path, example: &Example, places: &Places) -> Self {
        let mut configuration = example.configuration.to_owned();
        for (from, to) in (example.replacements)(places) {
            assert!(configuration.contains(from), "{from}");
            configuration = configuration.replace(from, &to);
        }
        let file = places.folder.join(example.file);
        std::fs::write(&file, configuration).unwrap();
        let log = places.folder.join("proxy.log");
        let process = (example.command)(program, &file, places)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let proxy = Self { process, address: places.public };
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(proxy.address).is_err() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < patience, "{} does not listen: {said}", example.program);
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "")
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let own: &[_] = if method == "GET" { &[] } else { &[("Origin", &*origin)] };
        ask(self.address, method, path, &[own, headers].concat(), body)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a program is: in `PATH`, or where Debian puts servers, which is not in everybody's.
fn find(name: &str) -> Option<PathBuf> {
    let path = variable("PATH");
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

#[expect(clippy::disallowed_methods, reason = "about the test run, no setting of the server")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
