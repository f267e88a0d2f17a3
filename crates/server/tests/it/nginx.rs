//! An application behind a real nginx, with the configuration of `examples/proxies`: who gets through, and what the
//! application is told of them. Skipped, aloud, where nginx is not installed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, vestibule};

const CONFIGURATION: &str = include_str!("../../../../examples/proxies/nginx.conf");
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

#[test]
fn an_application_behind_nginx_learns_who_is_calling() {
    let Some(program) = nginx() else {
        assert!(!is_required(), "VESTIBULE_TEST_REQUIRE_NGINX=1, but nginx is not installed");
        // Past the capture of the test runner, which would keep it to itself.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: nginx is not installed, so examples/proxies/nginx.conf was not tried"
        );
        return;
    };
    let folder = TempDir::new().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configure(folder.path(), port);
    let server = Server::start_as(vestibule(folder.path(), &["serve"]).stderr(Stdio::null()));
    let application = Application::start();
    let proxy = Nginx::start(&program, folder.path(), port, server.address, application.address);

    strangers_stay_outside(&proxy);
    let id = people_get_in_and_are_named(&proxy);
    claims_cannot_be_forged(&proxy, &id);
    who_logs_out_is_outside(&proxy);
    vestibule_sees_the_clients_address(&proxy);

    // Without Vestibule nobody gets in.
    let app = log_in(&proxy, "app");
    drop(server);
    assert_eq!(proxy.get("/api/x", &app.credential()).status, 500);
}

fn strangers_stay_outside(proxy: &Nginx) {
    assert_eq!(proxy.get("/api/orders", &[]).status, 401);
    assert_eq!(proxy.get("/api/orders", &[("X-User-Id", "1")]).status, 401);
    assert_eq!(proxy.get("/api/orders", &[("Cookie", "sessionid=nonsense")]).status, 401);
    let sent = proxy.get("/orders?page=2&sort=%2Fa", &[]);
    assert_eq!(sent.status, 302);
    let next =
        format!("http%3A%2F%2F{}%2Forders%3Fpage%3D2%26sort%3D%252Fa", proxy.host().replace(':', "%3A"));
    assert_eq!(sent.headers["location"], format!("https://www.example.org/login?next={next}"));
    // No other page than one of this server can be come back to.
    for path in ["//evil.example/", "/\\evil.example"] {
        assert_eq!(proxy.get(path, &[]).headers["location"], "https://www.example.org/login", "{path}");
    }
    let posted = proxy.ask("POST", "/orders", &[], "a=1");
    assert_eq!((posted.status, &*posted.headers["location"]), (302, "https://www.example.org/login"));
    // What nginx asks by itself is not for others to ask.
    assert_eq!(proxy.get("/_forward_auth", &[]).status, 404);
    for answer in [&sent, &posted] {
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

fn people_get_in_and_are_named(proxy: &Nginx) -> String {
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

fn claims_cannot_be_forged(proxy: &Nginx, id: &str) {
    let person = log_in(proxy, "app");
    for name in CLAIMS {
        for name in [name.to_owned(), name.to_uppercase(), name.replace('-', "_")] {
            let mut headers = person.credential().to_vec();
            headers.push((&name, "forged"));
            headers.push((&name, "forged again"));
            let answer = proxy.get("/api/orders", &headers);
            assert_eq!(answer.status, 200);
            assert!(!answer.body.contains("forged"), "{name}: {}", answer.body);
            assert_eq!(answer.json()["x-user-id"], json!([id]));
        }
    }
}

fn who_logs_out_is_outside(proxy: &Nginx) {
    for kind in ["app", "browser"] {
        let person = log_in(proxy, kind);
        assert_eq!(proxy.get("/api/orders", &person.credential()).status, 200);
        let left = proxy.ask("DELETE", &format!("/_allauth/{kind}/v1/auth/session"), &person.all(), "");
        assert_eq!(left.status, 401, "{}", left.body);
        assert_eq!(proxy.get("/api/orders", &person.credential()).status, 401);
        assert_eq!(proxy.get("/orders", &person.credential()).status, 302);
    }
}

fn vestibule_sees_the_clients_address(proxy: &Nginx) {
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

fn log_in(proxy: &Nginx, kind: &str) -> Person {
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

/// A running nginx.
struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    /// With the configuration of the examples, in which only addresses and folders are others.
    fn start(
        program: &Path,
        folder: &Path,
        address: SocketAddr,
        vestibule: SocketAddr,
        application: SocketAddr,
    ) -> Self {
        let mut configuration = CONFIGURATION.to_owned();
        let places = folder.display();
        // As whoever runs the tests, it may write in its own folder only.
        let http = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {places}/{name};\n"))
            .concat();
        for (from, to) in [
            ("server 127.0.0.1:8000;", format!("server {vestibule};")),
            ("server 127.0.0.1:3000;", format!("server {application};")),
            ("listen 80;", format!("listen {address};")),
            ("http {", format!("http {{\naccess_log off;\n{http}")),
        ] {
            assert_eq!(configuration.matches(from).count(), 1, "{from}");
            configuration = configuration.replace(from, &to);
        }
        std::fs::write(folder.join("nginx.conf"), configuration).unwrap();
        let process = Command::new(program)
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            // One process, as whoever runs the tests, with its files in the test's folder.
            .args(["-g", "daemon off; master_process off; pid nginx.pid; error_log error.log;"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { process, address };
        let patience = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            let log = std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(Instant::now() < patience, "nginx does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    fn host(&self) -> String {
        self.address.to_string()
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "")
    }

    /// In HTTP/1.0, so that answers come whole and end with the connection.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n",
            self.host(),
            body.len()
        );
        if method != "GET" {
            head += &format!("Origin: http://{}\r\n", self.host());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::read(&answer)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    /// By names in small letters; of several of one name, joined by newlines.
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let values = headers.entry(name.to_ascii_lowercase()).or_default();
            if !values.is_empty() {
                values.push('\n');
            }
            values.push_str(value);
        }
        Self { status, headers, body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.headers.get("set-cookie")?.lines();
        cookies.find_map(|cookie| {
            Some(cookie.strip_prefix(name)?.strip_prefix('=')?.split(';').next()?.to_owned())
        })
    }
}

/// Where nginx is: in `PATH`, or where Debian puts it, which is not in everybody's.
fn nginx() -> Option<PathBuf> {
    let path = variable("PATH");
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.is_file())
}

fn is_required() -> bool {
    variable("VESTIBULE_TEST_REQUIRE_NGINX") == "1"
}

#[expect(clippy::disallowed_methods, reason = "about the test run, no setting of the server")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
