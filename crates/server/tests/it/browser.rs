//! Keys and passkeys in a real browser (M4): Chromium, with keys made of software, on pages of a running server.
//! Skipped, aloud, where Chromium is not installed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, vestibule};
use crate::devtools::{Browser, chromium};

/// What a front end does in its page.
const FRONTEND: &str = include_str!("frontend.js");
const ADA: &str = "ada@example.org";
const PASSWORD: &str = "correct horse battery staple";
const KEYS: &str = "account/authenticators/webauthn";
/// Asks for a key that can log in alone.
const PASSKEYS: &str = "account/authenticators/webauthn?passwordless";
const AUTHENTICATE: &str = "auth/webauthn/authenticate";
const REAUTHENTICATE: &str = "auth/webauthn/reauthenticate";
const LOGIN: &str = "auth/webauthn/login";

#[test]
fn m4_a_real_browser_signs_up_with_a_passkey_and_adds_uses_and_deletes_another() {
    let Some(mut page) = Page::open() else { return };
    let phone = page.browser.plug_in("internal");

    // Signup.
    let user = page.sign_up(ADA, |_| ());
    assert_eq!((&user["email"], &user["has_usable_password"]), (&json!(ADA), &json!(false)));
    let keys = page.keys();
    assert_eq!(names(&keys), ["Phone"]);
    assert_eq!(keys[0]["is_passwordless"], true);
    let held = page.browser.credentials(&phone);
    assert_eq!(held.len(), 1);
    assert_eq!((&held[0]["rpId"], &held[0]["isResidentCredential"]), (&json!("localhost"), &json!(true)));

    // Login.
    page.log_out();
    page.call("GET", "account/authenticators", None, 401);
    let entered = page.log_in_by_passkey(200);
    assert_eq!(entered["data"]["user"], user);
    let method = &entered["data"]["methods"][0];
    assert_eq!((&method["type"], &method["passwordless"]), (&json!("webauthn"), &json!(true)));
    assert_eq!(method["id"], keys[0]["id"]);
    assert!(page.keys()[0]["last_used_at"].is_number());

    // A second one, after a fresh proof, which cannot be the first again.
    let held = page.call("GET", PASSKEYS, None, 401);
    assert_eq!(held["data"]["flows"], json!([{ "id": "mfa_reauthenticate", "types": ["webauthn"] }]));
    page.prove();
    let asked = page.options(PASSKEYS);
    let refused = page.create(&asked).unwrap_err();
    assert!(refused.starts_with("InvalidStateError"), "{refused}");
    let stick = page.browser.plug_in("usb");
    page.browser.touch(&phone, false);
    let asked = page.options(PASSKEYS);
    let made = page.create(&asked).unwrap();
    let sent = json!({ "name": "Stick", "passwordless": true, "credential": made });
    let added = page.call("POST", KEYS, Some(sent), 200);
    assert_eq!(added["data"]["is_passwordless"], true);
    let keys = page.keys();
    assert_eq!(names(&keys), ["Phone", "Stick"]);

    // As second factor, behind a password.
    page.call("POST", "account/password/change", Some(json!({ "new_password": PASSWORD })), 200);
    page.log_out();
    let entry = json!({ "email": ADA, "password": PASSWORD });
    let held = page.call("POST", "auth/login", Some(entry), 401);
    let flow = pending(&held).unwrap();
    assert_eq!(flow["id"], "mfa_authenticate");
    assert!(flow["types"].as_array().unwrap().contains(&json!("webauthn")), "{flow}");
    page.call("GET", "account/authenticators", None, 401);
    let asked = page.options(AUTHENTICATE);
    assert_eq!(asked["publicKey"]["allowCredentials"].as_array().unwrap().len(), 2);
    let signed = page.get(&asked).unwrap();
    let entered = page.call("POST", AUTHENTICATE, Some(json!({ "credential": signed })), 200);
    let methods = entered["data"]["methods"].as_array().unwrap();
    assert_eq!((&methods[0]["method"], &methods[1]["method"]), (&json!("password"), &json!("mfa")));
    assert_eq!(methods[1]["id"], keys[1]["id"]);
    assert!(page.keys()[1]["last_used_at"].is_number());

    // Deleted, it opens nothing any more, though it still signs.
    let stick_only = json!({ "authenticators": [keys[1]["id"]] });
    page.call("DELETE", KEYS, Some(stick_only.clone()), 401);
    page.prove();
    page.call("DELETE", KEYS, Some(stick_only), 200);
    assert_eq!(names(&page.keys()), ["Phone"]);
    page.log_out();
    let refused = page.log_in_by_passkey(400);
    assert_eq!(refused["errors"][0]["code"], "incorrect_code");
    page.call("GET", "account/authenticators", None, 401);
    page.browser.touch(&phone, true);
    page.browser.touch(&stick, false);
    page.log_in_by_passkey(200);
}

#[test]
fn m4_a_real_browser_has_nothing_from_a_page_of_another_origin() {
    let Some(mut page) = Page::open() else { return };
    page.browser.plug_in("internal");
    page.sign_up(ADA, |_| ());
    let own = page.url.clone();
    let by_number = own.replace("localhost", "127.0.0.1");
    let elsewhere = TempDir::new().unwrap();
    let elsewhere = Server::start(elsewhere.path());
    // To browsers this is the same site, for which keys sign; to the server it is not.
    let same_site = format!("http://localhost:{}/healthz", elsewhere.address.port());

    // A new key.
    page.prove();
    let mut asked = page.options(KEYS);
    // Else the browser would refuse, as it has one of this account.
    asked["publicKey"]["excludeCredentials"] = json!([]);
    page.browser.go(&by_number);
    let refused = page.create(&asked).unwrap_err();
    assert!(refused.starts_with("SecurityError"), "{refused}");
    page.browser.go(&same_site);
    let made = page.create(&asked).unwrap();
    page.browser.go(&own);
    let refused = page.call("POST", KEYS, Some(json!({ "credential": made })), 400);
    assert_eq!(refused["errors"][0]["code"], "incorrect_code");
    assert_eq!(names(&page.keys()), ["Phone"]);

    // A login.
    page.log_out();
    let asked = page.options(LOGIN);
    page.browser.go(&by_number);
    let refused = page.get(&asked).unwrap_err();
    assert!(refused.starts_with("SecurityError"), "{refused}");
    page.browser.go(&same_site);
    let signed = page.get(&asked).unwrap();
    page.browser.go(&own);
    let refused = page.call("POST", LOGIN, Some(json!({ "credential": signed })), 400);
    assert_eq!(refused["errors"][0]["code"], "incorrect_code");
    page.call("GET", "account/authenticators", None, 401);

    // It was nothing but the origin.
    page.log_in_by_passkey(200);
    page.prove();
    let mut asked = page.options(KEYS);
    asked["publicKey"]["excludeCredentials"] = json!([]);
    let made = page.create(&asked).unwrap();
    page.call("POST", KEYS, Some(json!({ "credential": made })), 200);
    assert_eq!(names(&page.keys()), ["Phone", "Key 1"]);
}

#[test]
fn m4_a_real_browser_logs_in_nobody_whom_the_key_did_not_verify() {
    let Some(mut page) = Page::open() else { return };
    let phone = page.browser.plug_in("internal");
    page.sign_up(ADA, |_| ());
    page.log_out();
    page.browser.verify(&phone, false);
    let asked = page.options(LOGIN);
    let refused = page.get(&asked).unwrap_err();
    assert!(refused.starts_with("NotAllowedError"), "{refused}");
    // A page that asks for less gets it, but not in.
    let mut asked = page.options(LOGIN);
    asked["publicKey"]["userVerification"] = json!("discouraged");
    let signed = page.get(&asked).unwrap();
    let refused = page.call("POST", LOGIN, Some(json!({ "credential": signed })), 400);
    assert_eq!(refused["errors"][0]["code"], "incorrect_code");
    page.call("GET", "account/authenticators", None, 401);
    page.browser.verify(&phone, true);
    page.log_in_by_passkey(200);
}

#[test]
fn m4_a_real_browser_logs_in_with_keys_of_each_algorithm_that_is_asked_for() {
    let Some(mut page) = Page::open() else { return };
    // EdDSA, ES256, RS256.
    for algorithm in [-8, -7, -257] {
        let key = page.browser.plug_in("internal");
        let email = format!("ada{algorithm}@example.org");
        // As with a key that knows no other.
        let user = page.sign_up(&email, |asked| {
            let offered = asked["publicKey"]["pubKeyCredParams"].as_array_mut().unwrap();
            offered.retain(|offer| offer["alg"] == algorithm);
            assert_eq!(offered.len(), 1, "{algorithm} is asked for");
        });
        page.log_out();
        let entered = page.log_in_by_passkey(200);
        assert_eq!(entered["data"]["user"], user);
        page.log_out();
        page.browser.unplug(&key);
    }
}

/// A page of a server, in a browser.
struct Page {
    browser: Browser,
    url: String,
    _server: Server,
    _folder: TempDir,
}

impl Page {
    /// Nothing, but said aloud, without Chromium.
    fn open() -> Option<Self> {
        let program = chromium("passkeys were not tried in a browser")?;
        let folder = TempDir::new().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(folder.path().join("vestibule.toml"), settings(address)).unwrap();
        let mut command = vestibule(folder.path(), &["serve"]);
        let server = Server::start_at(address, command.stderr(Stdio::null()));
        let mut browser = Browser::start(&program);
        browser.define(FRONTEND);
        // The pages of an API let no script call anything.
        browser.bypass_content_security_policy();
        // Any page of the server's origin will do.
        let url = format!("http://localhost:{}/healthz", address.port());
        browser.go(&url);
        let mut page = Self { browser, url, _server: server, _folder: folder };
        // Gives the page its CSRF token.
        page.call("GET", "config", None, 200);
        Some(page)
    }

    /// An account with a passkey named "Phone", made as the page is asked to but for what `change` does; gives the user.
    fn sign_up(&mut self, email: &str, change: impl Fn(&mut Value)) -> Value {
        let held = self.call("POST", "auth/webauthn/signup", Some(json!({ "email": email })), 401);
        assert_eq!(pending(&held).unwrap()["id"], "verify_email");
        let code = self.browser.run(&format!("frontend.code({})", json!(email))).unwrap();
        let held = self.call("POST", "auth/email/verify", Some(json!({ "key": code })), 401);
        assert_eq!(pending(&held).unwrap()["id"], "mfa_signup_webauthn");
        let mut asked = self.options("auth/webauthn/signup");
        change(&mut asked);
        let made = self.create(&asked).unwrap();
        let sent = json!({ "name": "Phone", "credential": made });
        let mut entered = self.call("PUT", "auth/webauthn/signup", Some(sent), 200);
        entered["data"]["user"].take()
    }

    /// Answers with `status`.
    fn log_in_by_passkey(&mut self, status: u16) -> Value {
        let asked = self.options(LOGIN);
        let signed = self.get(&asked).unwrap();
        self.call("POST", LOGIN, Some(json!({ "credential": signed })), status)
    }

    /// Shows once more who is there, by a key.
    fn prove(&mut self) {
        let asked = self.options(REAUTHENTICATE);
        let signed = self.get(&asked).unwrap();
        let proved = self.call("POST", REAUTHENTICATE, Some(json!({ "credential": signed })), 200);
        let last = proved["data"]["methods"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["type"], &last["reauthenticated"]), (&json!("webauthn"), &json!(true)));
    }

    fn log_out(&mut self) {
        self.call("DELETE", "auth/session", None, 401);
    }

    /// The keys that the account shows.
    fn keys(&mut self) -> Vec<Value> {
        let listed = self.call("GET", "account/authenticators", None, 200);
        let rows = listed["data"].as_array().unwrap().iter();
        rows.filter(|row| row["type"] == "webauthn").cloned().collect()
    }

    /// What the browser is asked to make or to sign.
    fn options(&mut self, path: &str) -> Value {
        let reply = self.call("GET", path, None, 200);
        let data = &reply["data"];
        data.get("creation_options").or(data.get("request_options")).unwrap().clone()
    }

    /// A credential that the browser makes.
    fn create(&mut self, options: &Value) -> Result<Value, String> {
        self.browser.run(&format!("frontend.create({options})"))
    }

    /// What the browser signs.
    fn get(&mut self, options: &Value) -> Result<Value, String> {
        self.browser.run(&format!("frontend.get({options})"))
    }

    /// Calls the API from the page; it has to answer with `status`.
    #[track_caller]
    fn call(&mut self, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let call = format!("frontend.call({}, {}, {})", json!(method), json!(path), json!(body));
        let reply = self.browser.run(&call).unwrap();
        assert_eq!(reply["status"], status, "{method} {path}: {reply}");
        reply
    }
}

/// The flow that is waited for.
fn pending(reply: &Value) -> Option<&Value> {
    reply["data"]["flows"].as_array()?.iter().find(|flow| flow["is_pending"] == true)
}

fn names(keys: &[Value]) -> Vec<&str> {
    keys.iter().map(|key| key["name"].as_str().unwrap()).collect()
}

fn settings(address: SocketAddr) -> String {
    format!(
        "server.secret_key = 'the secret key of this test, long enough for it'\n\
         server.public_url = 'http://localhost:{}'\n\
         account = {{ rate_limits = false, email_verification_by_code_enabled = true }}\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         [mfa]\n\
         supported_types = ['totp', 'recovery_codes', 'webauthn']\n\
         passkey_login_enabled = true\n\
         passkey_signup_enabled = true\n\
         rate_limits = false\n",
        address.port()
    )
}
