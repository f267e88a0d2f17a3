//! Traces, as a collector gets them: whole, without a secret, and at nobody's cost when it is away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::Server;
use crate::crash::{Api, PASSWORD, answered};
use crate::http::ask;

const PATIENCE: Duration = Duration::from_secs(15);
const LOGIN: &str = "POST /_allauth/app/v1/auth/login";

/// A collector that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        spawn(move || {
            for stream in listener.incoming() {
                kept.lock().unwrap().push(take(stream.unwrap()));
            }
        });
        Self { address, requests }
    }

    fn everything(&self) -> String {
        self.requests.lock().unwrap().concat()
    }

    fn spans(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let posts = requests.iter().map(|request| request.split_once("\r\n\r\n").unwrap().1);
        posts
            .flat_map(|body| {
                let post: Value = serde_json::from_str(body).unwrap();
                let resource = &post["resourceSpans"][0];
                assert_eq!(attribute(&resource["resource"], "service.name"), "vestibule");
                resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
            })
            .collect()
    }

    /// The spans, as soon as there are so many of a name.
    fn wait_for(&self, name: &str, number: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if spans.iter().filter(|span| span["name"] == name).count() >= number {
                return spans;
            }
            assert!(began.elapsed() < PATIENCE, "no {number} of {name} in {spans:#?}");
            sleep(Duration::from_millis(20));
        }
    }
}

/// A request, head and body; it is answered.
fn take(mut stream: TcpStream) -> String {
    let mut taken = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = taken.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                    .unwrap();
                return taken;
            }
        }
        let read = stream.read(&mut buffer).unwrap();
        taken += std::str::from_utf8(&buffer[..read]).unwrap();
    }
}

fn attribute<'a>(of: &'a Value, name: &str) -> &'a Value {
    let mut attributes = of["attributes"].as_array().unwrap().iter();
    let found = attributes.find(|attribute| attribute["key"] == name);
    found.map_or(&Value::Null, |found| found["value"].as_object().unwrap().values().next().unwrap())
}

fn configure(endpoint: &str, more: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let settings = format!(
        "account.email_verification = 'none'\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         telemetry.otlp_endpoint = '{endpoint}'\n\
         telemetry.otlp_headers = ['Authorization: Bearer of-the-collector']\n{more}"
    );
    fs::write(folder.path().join("vestibule.toml"), settings).unwrap();
    folder
}

fn stop(mut server: Server) -> Duration {
    let began = Instant::now();
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    began.elapsed()
}

#[test]
fn x3_traces_of_a_login_are_whole_and_hold_no_secret() {
    let collector = Collector::start();
    let folder = configure(&format!("http://{}/v1/traces", collector.address), "");
    let server = Server::start(folder.path());
    let api = Api(server.address);
    let ada = json!({ "email": "ada@example.org", "password": PASSWORD });
    answered(api.post("auth/signup", "", &ada).unwrap(), &[200]);
    let wrong = json!({ "email": "ada@example.org", "password": "guessed-by-somebody" });
    answered(api.post("auth/login", "", &wrong).unwrap(), &[400]);
    let entered = answered(api.post("auth/login", "", &ada).unwrap(), &[200]);
    let token = entered["meta"]["session_token"].as_str().unwrap();
    let session = "/_allauth/app/v1/auth/session";
    assert_eq!(api.get(&format!("{session}?in-the-query=1"), token).unwrap().0, 200);
    let headers = [("X-Email-Verification-Key", "in-a-header"), ("Cookie", "sessionid=in-a-cookie")];
    let answer = ask(server.address, "GET", "/_allauth/app/v1/auth/email/verify", &headers, "");
    let id = answer.headers["x-request-id"].clone();
    ask(server.address, "GET", "/account/verify-email/in-a-path", &[], "");
    ask(server.address, "GET", "/readyz", &[], "");
    // What has not been posted yet is posted when the server stops.
    stop(server);

    let spans = collector.spans();
    let logins: Vec<&Value> = spans.iter().filter(|span| span["name"] == LOGIN).collect();
    let statuses = logins.iter().map(|span| attribute(span, "http.response.status_code").as_str().unwrap());
    assert_eq!(statuses.collect::<Vec<_>>(), ["400", "200"]);
    let login = logins[1];
    assert_eq!(login["kind"], 2);
    assert_eq!(attribute(login, "http.route"), "/_allauth/app/v1/auth/login");
    assert_eq!((&login["parentSpanId"], &login["status"]), (&json!(""), &json!({})));
    let time = |span: &Value, which: &str| span[which].as_str().unwrap().parse::<u64>().unwrap();
    let below: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"] == login["spanId"]).collect();
    for span in &below {
        assert_eq!(span["traceId"], login["traceId"]);
        assert!(time(span, "startTimeUnixNano") >= time(login, "startTimeUnixNano"));
        assert!(time(span, "endTimeUnixNano") <= time(login, "endTimeUnixNano"));
    }
    for name in ["SELECT", "hash", "BEGIN", "INSERT", "COMMIT"] {
        assert!(below.iter().any(|span| span["name"] == name), "{name} is not in {below:#?}");
    }
    assert!(below.iter().any(|span| attribute(span, "db.query.text").to_string().contains("$1")));
    assert!(spans.iter().any(|span| attribute(span, "vestibule.request_id") == id.as_str()));
    let roots = spans.iter().filter(|span| span["parentSpanId"] == "");
    assert!(roots.clone().all(|span| span["kind"] == 2), "work of nobody is in no trace");
    assert!(!roots.clone().any(|span| span["name"].as_str().unwrap().contains("readyz")));

    let everything = collector.everything();
    assert!(everything.contains("Bearer of-the-collector"));
    for secret in
        [PASSWORD, token, "ada@", "guessed", "in-the-query", "in-a-header", "in-a-cookie", "in-a-path"]
    {
        assert!(!everything.contains(secret), "{secret} is in a trace");
    }
}

#[test]
fn a_trace_of_a_proxy_that_is_trusted_with_it_is_gone_on_with_and_one_of_a_stranger_is_not() {
    let collector = Collector::start();
    let endpoint = format!("http://{}/v1/traces", collector.address);
    let get = |server: &Server, trace: &str, flags: &str| {
        let parent = format!("00-{trace}-b7ad6b7169203331-{flags}");
        let headers = [("X-Forwarded-For", "203.0.113.7"), ("traceparent", parent.as_str())];
        ask(server.address, "GET", "/_allauth/app/v1/config", &headers, "");
    };
    let traces = ["1", "2", "3"].map(|digit| digit.repeat(32));
    let folder = configure(&endpoint, "telemetry.trust_traceparent = true\n");
    let server = Server::start(folder.path());
    get(&server, &traces[0], "01");
    get(&server, &traces[1], "00");
    stop(server);
    // That there is a proxy does not say that it looks at this header.
    let folder = configure(&endpoint, "server.trusted_proxy_count = 1\n");
    let server = Server::start(folder.path());
    get(&server, &traces[2], "01");
    stop(server);

    let spans = collector.wait_for("GET /_allauth/app/v1/config", 2);
    assert!(
        spans.iter().any(|span| {
            span["traceId"] == traces[0].as_str() && span["parentSpanId"] == "b7ad6b7169203331"
        })
    );
    assert!(!spans.iter().any(|span| traces[1..].iter().any(|trace| span["traceId"] == trace.as_str())));
}

#[test]
fn x5_a_collector_that_is_away_or_silent_costs_its_traces_and_nothing_else() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), away] {
        let folder = configure(&format!("http://{address}/v1/traces"), "");
        let server = Server::start(folder.path());
        let began = Instant::now();
        for _ in 0..200 {
            assert_eq!(ask(server.address, "GET", "/_allauth/app/v1/config", &[], "").status, 200);
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(stop(server) < Duration::from_secs(5));
    }
}
