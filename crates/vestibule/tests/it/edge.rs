//! The edge: where requests come from, which host they ask for, and what their bodies may hold.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use axum::http::Method;
use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Door, Reply};
use vestibule_testkit::contract::Contract;
use vestibule_testkit::database::on_both;

use crate::contract::FACTORS;
use crate::failure::dump;
use crate::postbox::Postbox;

const PASSWORD: &str = "correct horse battery staple";
const OPEN: &str = "account = { email_verification = 'none', rate_limits = false, login_by_code_enabled = true, \
                    deletion_enabled = true, data_export_enabled = true, \
                    login_methods = ['email', 'username'], signup_fields = ['email*', 'username', 'password1*'] }";

/// Every operation of the API, as method and path within a client's part.
pub(crate) fn routes() -> Vec<(Method, String)> {
    let contract = Contract::parse(include_str!("../../../../api/openapi.yaml")).unwrap();
    let known = contract.operations().into_iter().filter_map(|(method, path)| {
        let path = path.strip_prefix("/_allauth/{client}/v1/")?.to_owned();
        Some((method.parse().unwrap(), path))
    });
    known.collect()
}

/// The server for requests that the contract does not provide for.
pub(crate) fn unobserved(app: &TestApp) -> Door {
    Door { observer: None, ..app.door.clone() }
}

async fn signed_up(mut client: Client, email: &str) -> Client {
    client.post("auth/signup", json!({ "email": email, "password": PASSWORD })).await.expect(200);
    client
}

#[test]
fn e1_the_clients_address_is_what_trusted_proxies_say() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/client_ip.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let settings = |case: &Value| match case["trusted_client_ip_header"].as_str() {
        Some(name) => format!("server.trusted_client_ip_header = '{name}'"),
        None => format!("server.trusted_proxy_count = {}", case["trusted_proxy_count"]),
    };
    let all: std::collections::BTreeSet<String> = cases.iter().map(settings).collect();
    on_both(async |backend| {
        let mut seen = 0;
        for wanted in &all {
            let app = TestApp::start(backend, &format!("{OPEN}\n{wanted}")).await;
            for case in cases.iter().filter(|case| settings(case) == *wanted) {
                seen += 1;
                // Those who watch the server come past the proxy.
                Client::app(unobserved(&app)).get("/healthz").await.expect(200);
                let peer: IpAddr = case["peer"].as_str().unwrap().parse().unwrap();
                let mut client = Client::app(unobserved(&app)).from_ip(peer);
                if let Some(forwarded) = case["x_forwarded_for"].as_str() {
                    client = client.with_header("x-forwarded-for", forwarded);
                }
                if let Some(told) = case["client_ip_header_value"].as_str() {
                    client = client.with_header("x-real-ip", told);
                }
                let new = json!({ "email": format!("u{seen}@example.org"), "password": PASSWORD });
                let reply = client.post("auth/signup", new).await;
                let Some(address) = case["client"].as_str() else {
                    assert_eq!(reply.status, 403, "{case}: {reply}");
                    continue;
                };
                reply.expect(200);
                let sessions = client.get("auth/sessions").await.expect(200);
                assert_eq!(sessions.data()[0]["ip"], address, "{case}");
            }
        }
        assert_eq!(seen, cases.len());
    });
}

#[test]
fn e1_an_address_told_twice_is_not_believed() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "server.trusted_client_ip_header = 'X-Real-IP'").await;
        let mut request = axum::http::Request::new(axum::body::Body::empty());
        *request.uri_mut() = "/_allauth/app/v1/config".parse().unwrap();
        request.headers_mut().append("x-real-ip", "198.51.100.7".parse().unwrap());
        for status in [200, 403] {
            let mut again = axum::http::Request::new(axum::body::Body::empty());
            (*again.uri_mut(), *again.headers_mut()) = (request.uri().clone(), request.headers().clone());
            let answer = tower::ServiceExt::oneshot(app.door.router.clone(), again).await.unwrap();
            assert_eq!(answer.status(), status);
            request.headers_mut().append("x-real-ip", "203.0.113.1".parse().unwrap());
        }
        // Several lines of a forwarding chain are one list.
        let app = TestApp::start(backend, &format!("{OPEN}\nserver.trusted_proxy_count = 1")).await;
        let mut request = axum::http::Request::new(axum::body::Body::empty());
        *request.uri_mut() = "/_allauth/app/v1/config".parse().unwrap();
        request.headers_mut().append("x-forwarded-for", "198.51.100.7".parse().unwrap());
        request.headers_mut().append("x-forwarded-for", "not an address".parse().unwrap());
        let answer = tower::ServiceExt::oneshot(app.door.router.clone(), request).await.unwrap();
        assert_eq!(answer.status(), 403, "the last one counts");
    });
}

#[test]
fn e1_limits_count_ipv6_by_network_and_mapped_addresses_as_ipv4() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account.rate_limits = { login = '1/m/ip' }").await;
        let status = async |ip: &str| {
            let mut client = app.app().from_ip(ip.parse().unwrap());
            let wrong = json!({ "email": "ada@example.org", "password": "wrong horse" });
            client.post("auth/login", wrong).await.status
        };
        assert_eq!(status("2001:db8:0:1::1").await, 400);
        assert_eq!(status("2001:db8:0:1:ffff:ffff:ffff:ffff").await, 429, "the same /64");
        assert_eq!(status("2001:db8:0:2::1").await, 400, "another one");
        assert_eq!(status("::ffff:198.51.100.1").await, 400);
        assert_eq!(status("198.51.100.1").await, 429, "the same address, written as IPv4");
        assert_eq!(status("198.51.100.2").await, 400);
    });
}

#[test]
fn e3_links_are_made_of_the_configuration_only() {
    let settings = "server.public_url = 'https://auth.example.org'\n\
        headless.frontend_urls.account_confirm_email = 'https://app.example.org/verify/{key}'\n\
        headless.frontend_urls.account_reset_password_from_key = 'https://app.example.org/reset/{key}'\n\
        headless.frontend_urls.account_reset_password = 'https://app.example.org/reset'\n\
        headless.frontend_urls.account_signup = 'https://app.example.org/signup'\n\
        account.rate_limits = false";
    on_both(async |backend| {
        let mut postbox = Postbox::open().await;
        let app = TestApp::start(backend, &format!("{settings}\n{}", postbox.settings())).await;
        let client = app
            .app()
            .with_header("x-forwarded-host", "evil.example")
            .with_header("x-forwarded-proto", "http");
        let client = client.with_header("forwarded", "host=evil.example;proto=http");
        let client =
            client.with_header("x-original-url", "https://evil.example/").with_header("host", "localhost");
        let (mut client, mut links) = (client.with_header("referer", "https://evil.example/"), 0);
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        client.post("auth/signup", new.clone()).await.expect(401);
        client.post("auth/password/request", json!({ "email": "ada@example.org" })).await.expect(200);
        client.post("auth/password/request", json!({ "email": "nobody@example.org" })).await.expect(200);
        client.clone().with_header("x-session-token", "").post("auth/signup", new).await.expect(401);
        app.deliver().await;
        for _ in 0..4 {
            let mail = postbox.next().await;
            assert!(!mail.text.contains("evil"), "{}", mail.text);
            for link in mail.links() {
                links += 1;
                assert!(link.starts_with("https://app.example.org/"), "{link}");
            }
        }
        assert!(links >= 4);
    });
}

#[test]
fn e3_foreign_hosts_are_refused() {
    let settings = "server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'\n\
                    server.allowed_hosts = ['auth.example.org', '.tenants.example.org']";
    on_both(async |backend| {
        let app = TestApp::start(backend, settings).await;
        let mut client = Client::app(unobserved(&app));
        for (host, status) in [
            ("auth.example.org", 200),
            ("AUTH.example.org", 200),
            ("auth.example.org:443", 200),
            ("a.tenants.example.org", 200),
            ("tenants.example.org", 200),
            ("localhost:8000", 200),
            ("[::1]:8000", 200),
            ("evil.example", 400),
            ("auth.example.org.evil.example", 400),
            ("evil-auth.example.org", 400),
            ("eviltenants.example.org", 400),
            ("auth.example.org@evil.example", 400),
            ("auth.example.org, evil.example", 400),
            ("evil.example:auth.example.org", 400),
            ("", 400),
            ("\u{e9}", 400),
        ] {
            for path in ["config", "/healthz", "/readyz"] {
                let reply = client.call(Method::GET, path).header("host", host).send().await;
                // Load balancers ask for an address.
                let wanted = if path == "config" { status } else { 200 };
                assert_eq!(reply.status, wanted, "{path} of {host:?}: {reply}");
            }
        }
        let new = json!({ "email": "ada@example.org", "password": PASSWORD });
        let refused = client.call(Method::POST, "auth/signup").header("host", "evil.example").json(&new);
        refused.send().await.expect(400);
        assert!(!dump(&app.db).await.contains("ada@example.org"), "nothing was done");
    });
}

#[test]
fn e5_bodies_are_objects_of_moderate_size() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let client = signed_up(Client::app(unobserved(&app)), "ada@example.org").await;
        let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let padded = |length: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(length - 8));
        let malformed: Vec<Vec<u8>> = vec![
            b"[]".into(),
            b"null".into(),
            b"1".into(),
            b"\"text\"".into(),
            b"true".into(),
            b"{".into(),
            b" ".into(),
            b"{} {}".into(),
            b"{}x".into(),
            b"{\"a\":1,}".into(),
            b"{'a':1}".into(),
            b"{\"a\":NaN}".into(),
            b"{\"a\":1e999}".into(),
            b"{\"email\":\"a\",\"email\":\"b\"}".into(),
            b"{\"x\":{\"y\":1,\"y\":2}}".into(),
            b"{\"\\u0065mail\":\"a\",\"email\":\"b\"}".into(),
            b"{\"a\":\"\\ud800\"}".into(),
            b"{\"a\":\"\xff\"}".into(),
            b"\xef\xbb\xbf{}".into(),
            b"email=a&password=b".into(),
            b"<xml/>".into(),
            nested(65).into(),
            nested(100_000).into(),
            padded((1 << 20) + 1).into(),
        ];
        for (method, path) in [
            (Method::POST, "auth/login"),
            (Method::POST, "auth/signup"),
            (Method::POST, "auth/password/request"),
            (Method::POST, "auth/password/reset"),
            (Method::POST, "auth/code/request"),
            (Method::POST, "auth/reauthenticate"),
            (Method::POST, "auth/email/verify"),
            (Method::POST, "account/email"),
            (Method::PUT, "account/email"),
            (Method::PATCH, "account/email"),
            (Method::DELETE, "account/email"),
            (Method::POST, "account/phone"),
            (Method::POST, "account/password/change"),
            (Method::DELETE, "auth/sessions"),
        ] {
            for body in &malformed {
                let mut client = client.clone();
                let reply =
                    client.call(method.clone(), path).raw("application/json", body.clone()).send().await;
                let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                assert_eq!(reply.status, 400, "{method} {path} with {shown}: {reply}");
                assert_eq!(reply.errors(), [("", "malformed")], "{method} {path} with {shown}");
            }
            for fine in [nested(64), padded(1 << 20), String::new(), "{}".into()] {
                let mut client = client.clone();
                let reply = client.call(method.clone(), path).raw("application/json", fine).send().await;
                assert!(!reply.errors().contains(&("", "malformed")), "{method} {path}: {reply}");
            }
        }
        let app = TestApp::start(backend, "server.body_limit = 100").await;
        for (length, code) in [(100, "required"), (101, "malformed")] {
            let body = padded(length);
            let reply =
                app.app().call(Method::POST, "auth/signup").raw("text/plain", body).send().await.expect(400);
            assert_eq!(reply.errors()[0].1, code);
        }
    });
}

/// Fields that operations read, and values that would pass.
fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("email", json!("new@example.org")),
        ("username", json!("newcomer")),
        ("phone", json!("+31201234567")),
        ("password", json!(PASSWORD)),
        ("current_password", json!(PASSWORD)),
        ("new_password", json!(PASSWORD)),
        ("key", json!("MQ-abc")),
        ("code", json!("ABCD-EFGH")),
        ("sessions", json!([0])),
        ("primary", json!(true)),
    ]
}

/// Values that do not.
fn odd_values() -> Vec<Value> {
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    vec![
        Value::Null,
        json!(true),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!([]),
        json!({ "$ne": 1 }),
        json!([null, [1], "1", 1.5, i64::MAX]),
        deep,
        json!("a\0@example.org"),
        json!("a@example.org\r\nBcc: b@example.org"),
        json!("\u{202e}\u{feff}\u{fffd}\u{1f980}\u{ff11}"),
        json!("a@\u{130}.example"),
        json!("'; DROP TABLE users; --"),
        json!("%00%0d%0a"),
        json!("x".repeat(5000)),
        json!("9".repeat(400)),
        json!("-"),
    ]
}

/// What an operation reads, besides codes and keys.
fn read_at(path: &str) -> &'static [&'static str] {
    match path {
        "auth/signup" => &["email", "username", "phone", "password"],
        "auth/login" => &["email", "username", "phone", "password"],
        "auth/code/request" => &["email", "phone"],
        "auth/code/confirm" | "auth/phone/verify" => &["code"],
        "auth/email/verify" => &["key"],
        "auth/password/reset" => &["key", "password"],
        "auth/reauthenticate" => &["password"],
        "account/password/change" => &["current_password", "new_password"],
        "account/phone" => &["phone"],
        "account/email" => &["email", "primary"],
        "auth/sessions" => &["sessions"],
        _ => &["email"],
    }
}

#[test]
fn e5_no_body_makes_the_server_fail() {
    on_both(async |backend| {
        for codes in [false, true] {
            let settings = format!(
                "account = {{ email_verification = 'none', rate_limits = false, login_by_code_enabled = true, \
                 login_methods = ['email', 'username', 'phone'], \
                 signup_fields = ['email*', 'username', 'phone', 'password1*'], \
                 email_verification_by_code_enabled = {codes}, password_reset_by_code_enabled = {codes} }}"
            );
            let app = TestApp::start(backend, &settings).await;
            let door = unobserved(&app);
            let mut users = 0;
            for (method, path) in routes().into_iter().filter(|(method, _)| *method != Method::GET) {
                for field in read_at(&path) {
                    users += 1;
                    let email = format!("u{users}@example.org");
                    let member = signed_up(Client::app(door.clone()), &email).await;
                    // Somebody logged in, or somebody who awaits a code.
                    let mut client = if codes { Client::app(door.clone()) } else { member };
                    if codes {
                        client.post("auth/code/request", json!({ "email": email })).await;
                        client.post("auth/password/request", json!({ "email": email })).await;
                    }
                    for value in odd_values() {
                        let mut body: serde_json::Map<_, _> =
                            fields().into_iter().map(|(name, fine)| (name.to_owned(), fine)).collect();
                        body.insert((*field).to_owned(), value);
                        let body = Value::Object(body);
                        let reply = client.clone().call(method.clone(), &path).json(&body).send().await;
                        sound(&reply, &format!("{method} {path} with {body}"));
                    }
                }
            }
        }
    });
}

/// No failure of ours, and an envelope; or a person is led on.
fn sound(reply: &Reply, what: &str) {
    assert!(reply.status < 500, "{what}: {reply}");
    if reply.status == 302 {
        assert_eq!(what.split(' ').nth(1), Some("auth/provider/redirect"), "{what}");
        return;
    }
    assert_eq!(reply.json["status"], reply.status, "{what}: {reply}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
}

#[test]
fn e5_no_header_makes_the_server_fail() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        let member = signed_up(Client::app(unobserved(&app)), "ada@example.org").await;
        let long = "x".repeat(20_000);
        for name in [
            "x-session-token",
            "authorization",
            "cookie",
            "x-email-verification-key",
            "x-password-reset-key",
            "user-agent",
            "origin",
            "referer",
            "content-type",
            "accept",
            "x-csrftoken",
            "x-forwarded-for",
            "content-length",
        ] {
            for value in
                ["", " ", "\u{e9}", "=;;=", "-", "1-", "MQ-\u{1f980}", "sessionid=\"", "%00", long.as_str()]
            {
                for (method, path) in [
                    (Method::GET, "auth/email/verify"),
                    (Method::GET, "auth/password/reset"),
                    (Method::POST, "auth/login"),
                ] {
                    for mut client in [member.clone(), Client::browser(unobserved(&app))] {
                        let reply = client.call(method.clone(), path).header(name, value).send().await;
                        sound(&reply, &format!("{method} {path} with {name}: {value:.20}"));
                    }
                }
            }
        }
    });
}

#[test]
fn e5_unknown_members_are_ignored_and_never_assigned() {
    on_both(async |backend| {
        let app = TestApp::start(backend, "account = { rate_limits = false }").await;
        let mut client = app.app();
        let new = json!({
            "email": "ada@example.org", "password": PASSWORD, "id": 4711, "user_id": 4711, "username": "root",
            "verified": true, "is_active": false, "is_superuser": true, "claim": "x", "created_at": 0, "__proto__": {},
        });
        client.post("auth/signup", new).await.expect(401);
        let user = app.vestibule.users().find("ada@example.org").await.unwrap();
        assert!(user.id != 4711 && user.is_active && !user.emails[0].verified);
        assert_eq!(user.username.as_deref(), Some("ada"));
        let key = app.link_key_for("ada@example.org").await;
        client.post("auth/email/verify", json!({ "key": key, "email": "eve@example.org", "user": 1 })).await;
        let user = app.vestibule.users().find("ada@example.org").await.unwrap();
        assert_eq!(user.emails.len(), 1);
        assert!(user.emails[0].verified);
        if client.get("auth/session").await.status != 200 {
            client
                .post("auth/login", json!({ "email": "ada@example.org", "password": PASSWORD }))
                .await
                .expect(200);
        }
        let more = json!({ "email": "ada@example.com", "verified": true, "primary": true, "user_id": 1 });
        client.post("account/email", more).await.expect(200);
        let user = app.vestibule.users().find("ada@example.org").await.unwrap();
        let added = user.emails.iter().find(|email| email.email == "ada@example.com").unwrap();
        assert!(!added.verified && !added.primary);
    });
}

#[test]
fn e5_other_methods_are_not_allowed() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &format!("{OPEN}{FACTORS}")).await;
        let member = signed_up(Client::app(unobserved(&app)), "ada@example.org").await;
        let all = routes();
        let paths: std::collections::BTreeSet<&str> = all.iter().map(|(_, path)| path.as_str()).collect();
        for path in paths {
            let allowed: Vec<&str> =
                all.iter().filter(|(_, at)| at == path).map(|(method, _)| method.as_str()).collect();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get"] {
                if allowed.contains(&method) {
                    continue;
                }
                let mut client = member.clone();
                let reply = client.call(method.parse().unwrap(), path).json(&json!({})).send().await;
                assert_eq!(reply.status, 405, "{method} {path}: {reply}");
                assert_eq!(reply.json, json!({ "status": 405 }));
                let mut told: Vec<&str> =
                    reply.header("allow").unwrap_or_default().split(',').map(str::trim).collect();
                told.retain(|method| *method != "HEAD");
                told.sort_unstable();
                let mut allowed = allowed.clone();
                allowed.sort_unstable();
                assert_eq!(told, allowed, "{method} {path}");
            }
        }
        for path in
            ["nowhere", "auth", "auth/login/", "auth//login", "AUTH/LOGIN", "/_allauth/other/v1/config", "/"]
        {
            let mut client = member.clone();
            assert_eq!(client.get(path).await.expect(404).json, json!({ "status": 404 }));
        }
    });
}

#[test]
fn e6_no_line_break_reaches_a_mail_or_an_address() {
    let settings = "account = { email_verification = 'none', rate_limits = false, email_notifications = true, \
                    signup_fields = ['email*', 'username', 'password1*'], login_methods = ['email', 'username'] }";
    on_both(async |backend| {
        let mut postbox = Postbox::open().await;
        let app = TestApp::start(backend, &format!("{settings}\n{}", postbox.settings())).await;
        for evil in [
            "ada@example.org\r\nBcc: eve@example.org",
            "ada@example.org\nBcc: eve@example.org",
            "ada\r\nBcc: eve@example.org\r\n@example.org",
            "ada@example.org\0",
            "\"ada\r\nBcc: x\"@example.org",
            "ada@example.org, eve@example.org",
            "<ada@example.org>",
            "ada@example.org\u{2028}Bcc: x",
            "ada@example.org\u{85}x",
        ] {
            let mut client = app.app();
            for path in ["auth/signup", "auth/password/request", "auth/login"] {
                let body = json!({ "email": evil, "password": PASSWORD });
                client.post(path, body).await.expect(400);
            }
        }
        for evil in ["ada\r\nBcc: x", "ada\0", "ada\n", "<b>ada</b>", "ada\u{2028}x"] {
            let body = json!({ "email": "ada@example.org", "username": evil, "password": PASSWORD });
            let reply = app.app().post("auth/signup", body).await;
            // White space around a name is not part of it.
            let wanted = if evil.trim() == "ada" { 200 } else { 400 };
            reply.expect(wanted);
        }
        let agent = "<img src=x onerror=alert(1)> {{ 7*77777 }} {% raw %} \u{e9}";
        let mut client = app.app().with_header("user-agent", agent);
        client.post("auth/login", json!({ "username": "ada", "password": PASSWORD })).await.expect(200);
        let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
        client.post("account/password/change", change).await.expect(200);
        app.deliver().await;
        let mails = postbox.all().await;
        assert!(!mails.is_empty());
        for mail in &mails {
            assert_eq!(mail.recipients, ["ada@example.org"]);
            let (head, _) = mail.raw.split_once("\r\n\r\n").unwrap();
            assert!(!head.to_ascii_lowercase().contains("bcc"), "{head}");
            let to = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("to:")).count();
            assert_eq!(to, 1, "{head}");
            assert!(!mail.text.contains("<img") && !mail.text.contains("544439"), "{}", mail.text);
        }
    });
}

#[test]
fn the_path_prefix_is_a_setting() {
    on_both(async |backend| {
        for prefix in ["/api/auth", "/x/"] {
            let settings = format!("headless = {{ path_prefix = '{prefix}', serve_specification = true }}");
            let app = TestApp::start(backend, &settings).await;
            let mut client = Client::app(unobserved(&app));
            let base = prefix.trim_end_matches('/');
            client.get(&format!("{base}/app/v1/config")).await.expect(200);
            client.get("/_allauth/app/v1/config").await.expect(404);
            client.get("/_allauth/openapi.yaml").await.expect(404);
            let document = client.get(&format!("{base}/openapi.json")).await.expect(200);
            let paths = document.json["paths"].as_object().unwrap();
            let moved = |path: &String| path.starts_with(&format!("{base}/")) && !path.contains("_allauth");
            assert!(paths.keys().all(moved) && paths.len() > 20, "{:?}", paths.keys());
            client.get(&format!("{base}/forward-auth")).await.expect(401);
            client.get("/_allauth/forward-auth").await.expect(404);
        }
    });
}

#[test]
fn only_the_configured_clients_are_served() {
    on_both(async |backend| {
        for (one, other) in [("app", "browser"), ("browser", "app")] {
            let app = TestApp::start(backend, &format!("headless.clients = ['{one}']")).await;
            let mut client = Client::app(unobserved(&app));
            client.get(&format!("/_allauth/{one}/v1/config")).await.expect(200);
            for (method, path) in routes() {
                let path = format!("/_allauth/{other}/v1/{path}");
                client.call(method, &path).json(&json!({})).send().await.expect(404);
            }
        }
    });
}

#[test]
fn what_is_for_developers_is_served_to_them_only() {
    let in_use = "server.public_url = 'https://auth.example.org'\nemail.host = 'localhost'";
    let pages = ["/_allauth/openapi.yaml", "/_allauth/openapi.json", "/_allauth/openapi.html"];
    on_both(async |backend| {
        let app = TestApp::start(backend, in_use).await;
        for path in pages.into_iter().chain(["/_dev/mail", "/_dev/mail.json", "/_dev/", "/metrics"]) {
            Client::app(unobserved(&app)).get(path).await.expect(404);
        }
        let app = TestApp::start(backend, "headless.serve_specification = true").await;
        for path in pages.into_iter().chain(["/_dev/mail", "/_dev/mail.json"]) {
            Client::app(unobserved(&app)).get(path).await.expect(200);
        }
    });
}
