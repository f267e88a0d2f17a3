//! The page of `examples/single-page-application` in a real browser, at a sub-domain: what its guide does with `curl`, people
//! do in the page.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::cli::{Server, vestibule};
use crate::devtools::{Browser, chromium};
use crate::guides::Place;
use crate::http::ask;

const PASSWORD: &str = "correct horse battery staple";
const NEXT_PASSWORD: &str = "staple battery horse correct";
/// What somebody does in the page, and what they see there.
const PERSON: &str = r#"
globalThis.person = {
    fill(id, fields) {
        const form = document.getElementById(id);
        for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
        form.requestSubmit();
    },
    sees() {
        const shown = [...document.querySelectorAll("form, section")].filter((section) => !section.hidden);
        return [shown.map((section) => section.id).join(), document.getElementById("problem").textContent];
    },
};
"#;

#[test]
fn a_single_page_application_at_a_sub_domain_works_in_a_browser() {
    let Some(program) = chromium("examples/single-page-application was not tried in a browser") else {
        return;
    };
    let place = Place::new();
    let address: SocketAddr = place.ports.to("127.0.0.1:8000").parse().unwrap();
    let mut command = vestibule(
        place.folder.path(),
        &["serve", "--config", "examples/single-page-application/sub-domain.toml"],
    );
    let server = Server::start_at(address, command.stderr(Stdio::null()));
    let _files = serve_files(&place);
    let mut browser = Browser::start(&program);
    browser.define(PERSON);
    let url = place.ports.to("http://app.example.localhost:3000/");
    let mut page = Page { browser, url, mail: server.address };

    page.open("");
    page.sees("login");
    page.open("#signup");
    page.sees("signup");
    page.fill("signup", &json!({ "email": "ada@example.org", "password": "12345" }));
    page.complains("signup");
    page.fill("signup", &json!({ "email": "ada@example.org", "password": PASSWORD }));
    page.sees("verify_email");
    // What is pending is so after a reload, too.
    page.open("");
    page.sees("verify_email");
    page.fill("verify_email", &json!({ "key": "nonsense" }));
    page.complains("verify_email");
    let code = page.code(1);
    page.fill("verify_email", &json!({ "key": code }));
    page.sees("account");
    page.open("");
    page.sees("account");
    assert_eq!(page.run("document.querySelector('#who').textContent"), "ada");
    assert_eq!(page.run("document.cookie.includes('sessionid')"), false, "no script reads the session");
    page.log_out();

    page.open("#password_request");
    page.sees("password_request");
    page.fill("password_request", &json!({ "email": "ada@example.org" }));
    page.sees("password_reset_by_code");
    let code = page.code(2);
    page.fill("password_reset_by_code", &json!({ "key": code, "password": NEXT_PASSWORD }));
    page.sees("login");
    page.fill("login", &json!({ "email": "ada@example.org", "password": PASSWORD }));
    page.complains("login");
    page.fill("login", &json!({ "email": "ada@example.org", "password": NEXT_PASSWORD }));
    page.sees("account");
    page.log_out();

    // The same page from an origin that is not listed has nothing.
    page.url = place.ports.to("http://other.example.localhost:3000/");
    page.open("");
    page.complains("");
}

/// A tab with the application.
struct Page {
    browser: Browser,
    url: String,
    /// Where its mails are.
    mail: SocketAddr,
}

impl Page {
    fn open(&mut self, fragment: &str) {
        // A page that differs in its fragment alone is no other one to a browser, and would not be loaded.
        self.browser.go("about:blank");
        self.browser.go(&format!("{}{fragment}", self.url));
    }

    fn fill(&mut self, form: &str, fields: &Value) {
        self.run(&format!("person.fill({}, {fields})", json!(form)));
    }

    fn log_out(&mut self) {
        self.run("document.querySelector('#logout').click()");
        self.sees("login");
    }

    /// In a moment, this alone is there, and no complaint.
    #[track_caller]
    fn sees(&mut self, section: &str) {
        self.until(|shown, problem| shown == section && problem.is_empty(), section);
    }

    /// In a moment, there is this, and a complaint, which is taken away again.
    #[track_caller]
    fn complains(&mut self, section: &str) {
        self.until(|shown, problem| shown == section && !problem.is_empty(), "a complaint");
        self.run("document.querySelector('#problem').textContent = ''");
    }

    #[track_caller]
    fn until(&mut self, good: impl Fn(&str, &str) -> bool, what: &str) {
        let began = Instant::now();
        loop {
            let seen = self.run("person.sees()");
            if good(seen[0].as_str().unwrap(), seen[1].as_str().unwrap()) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "waiting for {what}: {seen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The code in the newest mail, when there are so many.
    fn code(&self, mails: usize) -> String {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            let box_of_mails = ask(self.mail, "GET", "/_dev/mail.json", &[], "").json();
            let all = box_of_mails.as_array().unwrap();
            if all.len() == mails {
                return all[0]["code"].as_str().unwrap().to_owned();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no mail came");
    }

    #[track_caller]
    fn run(&mut self, expression: &str) -> Value {
        self.browser.run(expression).unwrap()
    }
}

/// Serves the files of the application until what it gives is dropped.
fn serve_files(place: &Place) -> tokio::runtime::Runtime {
    let read = |name: &str| {
        std::fs::read_to_string(place.path("examples/single-page-application").join(name)).unwrap()
    };
    let script = |text: String| get(async move || ([("content-type", "text/javascript")], text));
    let page = Html(read("index.html"));
    let files = Router::new()
        .route("/", get(async move || page))
        .route("/api.js", script(read("api.js")))
        .route("/main.js", script(read("main.js")));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = place.ports.to("127.0.0.1:3000");
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
    runtime.spawn(async { axum::serve(listener, files).await });
    runtime
}
