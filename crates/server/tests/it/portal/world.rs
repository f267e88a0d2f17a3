//! A server with everything that its portal has pages for, and what people have beside their browser: their mail, their
//! phone and an authenticator app.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use super::look;
use super::page::Page;
use crate::cli::{Server, run, vestibule};
use crate::devtools::{Browser, chromium};
use crate::http::ask;
use crate::oidc_provider::{self, BY_SECRET, Provider, SECRET};

/// What the server says on its standard error; shown if the test fails.
const LOG: &str = "vestibule.log";

pub(super) struct World {
    pub(super) site: String,
    axe: Option<String>,
    chromium: PathBuf,
    /// There is none without Node.
    pub(super) provider: Option<Provider>,
    address: SocketAddr,
    /// The newest message that was read.
    read: u64,
    _server: Server,
    folder: TempDir,
}

impl World {
    /// With `settings` beside the usual ones. Nothing, but said aloud, without Chromium.
    pub(super) fn start(settings: &str) -> Option<Self> {
        let chromium = chromium("the portal was not tried in a browser")?;
        let folder = TempDir::new().unwrap();
        let log = |name| File::create(folder.path().join(name)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let site = format!("http://localhost:{}", address.port());
        let packages = oidc_provider::packages();
        let provider = packages.map(|packages| Provider::start(&packages, &site, log("provider.log")));
        let text = configuration(&site, provider.as_ref()) + settings;
        fs::write(folder.path().join("vestibule.toml"), text).unwrap();
        let mut command = vestibule(folder.path(), &["serve"]);
        let server = Server::start_at(address, command.stderr(log(LOG)));
        Some(Self { site, axe: look::axe(), chromium, provider, address, read: 0, _server: server, folder })
    }

    /// Makes an account with a verified address; gives its password.
    pub(super) fn make(&self, email: &str) -> String {
        let made = run(self.folder.path(), &["users", "create", "--email", email, "--verified", "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        made["generated_password"].as_str().unwrap().to_owned()
    }

    /// A browser that nobody used before.
    pub(super) fn browse(&self, width: u32, languages: &str) -> Page {
        Page::open(Browser::start(&self.chromium), &self.site, width, languages, self.axe.clone())
    }

    /// Asks the API for something, as an application does.
    pub(super) fn ask(&self, path: &str, body: &Value) {
        let headers = [("Content-Type", "application/json")];
        let path = format!("/_allauth/app/v1/{path}");
        let answer = ask(self.address, "POST", &path, &headers, &body.to_string());
        assert!([200, 401].contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
    }

    /// The next message that comes to an address or a phone number.
    #[track_caller]
    pub(super) fn message(&mut self, to: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let listed = ask(self.address, "GET", "/_dev/mail.json", &[], "").json();
            let number = |message: &Value| message["id"].as_u64().unwrap_or_default();
            let mut all = listed.as_array().unwrap().iter().rev();
            if let Some(found) = all.find(|message| message["to"] == to && number(message) > self.read) {
                self.read = number(found);
                return found.clone();
            }
            assert!(Instant::now() < end, "no message came to {to}. There are {listed:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The code in the next message to an address or a phone number.
    #[track_caller]
    pub(super) fn code(&mut self, to: &str) -> String {
        let message = self.message(to);
        message["code"].as_str().unwrap_or_else(|| panic!("no code in {message:#}")).to_owned()
    }

    /// The link in the next message to an address.
    #[track_caller]
    pub(super) fn link(&mut self, to: &str) -> String {
        let message = self.message(to);
        message["link"].as_str().unwrap_or_else(|| panic!("no link in {message:#}")).to_owned()
    }
}

impl Drop for World {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it under the name of the test that failed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{LOG}:\n{}", fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default());
        }
    }
}

/// An authenticator app. As each code works once, it is made to run ahead: the server takes those of the next minutes, too.
pub(super) struct App {
    app: AuthenticatorApp,
    last: i64,
}

impl App {
    /// What `secret` was typed into.
    pub(super) fn new(secret: &str) -> Self {
        Self { app: AuthenticatorApp::new(&secret.replace(' ', "")), last: 0 }
    }

    /// A code that was not shown before.
    pub(super) fn code(&mut self, page: &mut Page) -> String {
        let now = page.browser.run("Math.floor(Date.now() / 1000)").unwrap().as_i64().unwrap();
        self.last = (self.last + PERIOD).max(now - 2 * PERIOD);
        self.app.code_at(self.last)
    }
}

fn configuration(site: &str, provider: Option<&Provider>) -> String {
    let provider = provider.map(|provider| {
        format!(
            "[[socialaccount.apps]]\n\
             provider = 'openid_connect'\n\
             provider_id = '{BY_SECRET}'\n\
             name = 'Harbour'\n\
             client_id = '{BY_SECRET}'\n\
             secret = '{SECRET}'\n\
             settings = {{ server_url = '{}' }}\n",
            provider.issuer
        )
    });
    format!(
        "server.secret_key = 'the secret key of this test, long enough for it'\n\
         server.public_url = '{site}'\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         usersessions.track_activity = true\n\
         [mfa]\n\
         supported_types = ['totp', 'recovery_codes', 'webauthn']\n\
         passkey_login_enabled = true\n\
         passkey_signup_enabled = true\n\
         trust_enabled = true\n\
         totp_tolerance = 9\n\
         rate_limits = false\n\
         {}\
         [account]\n\
         rate_limits = false\n\
         signup_fields = ['email*', 'password1*', 'phone']\n\
         email_verification_by_code_enabled = true\n\
         email_verification_supports_resend = true\n\
         email_verification_supports_change = true\n\
         phone_verification_supports_resend = true\n\
         phone_verification_supports_change = true\n\
         login_by_code_enabled = true\n\
         login_by_code_supports_resend = true\n",
        provider.unwrap_or_default()
    )
}
