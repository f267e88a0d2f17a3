//! The document, the router and its source name the same operations, for each kind of client, and the tests of this
//! binary use every one of them.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::contract::Contract;
use vestibule_testkit::database::on_both;

const DOCUMENT: &str = include_str!("../../../../api/openapi.yaml");
const ROUTER: &str = include_str!("../../src/http/mod.rs");
/// Where operations are: those of both kinds of client, and those of one.
const BASES: [&str; 3] = ["/_allauth/{client}/v1", "/_allauth/browser/v1", "/_allauth/app/v1"];
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Switches on every operation, together with [`FACTORS`].
const ALL: &str = "
[account]
login_by_code_enabled = true
email_verification_by_code_enabled = true
rate_limits = false
deletion_enabled = true
data_export_enabled = true
";
/// Those of second factors.
pub(crate) const FACTORS: &str = "
[mfa]
supported_types = ['totp', 'recovery_codes', 'webauthn']
passkey_login_enabled = true
passkey_signup_enabled = true
rate_limits = false
trust_enabled = true
";

/// What is asked neither by browsers nor by apps.
const BEHIND: [(&str, &str); 2] = [("GET", "/_allauth/forward-auth"), ("POST", "/_allauth/introspect")];

/// Method and path below one of [`BASES`].
pub(crate) type Operations = BTreeSet<(String, String)>;

fn below(path: &str) -> Option<&str> {
    BASES.iter().find_map(|base| path.strip_prefix(base))
}

/// What the document promises.
pub(crate) fn documented() -> Operations {
    let contract = Contract::parse(DOCUMENT).expect("a document that can be read");
    let operations = contract.operations().into_iter();
    operations.filter_map(|(method, path)| Some((method, below(&path)?.to_owned()))).collect()
}

#[test]
fn outside_of_the_clients_parts_is_what_those_behind_us_ask() {
    let contract = Contract::parse(DOCUMENT).expect("a document that can be read");
    let operations = contract.operations().into_iter();
    let outside = operations.filter(|(_, path)| below(path).is_none());
    let expected = BEHIND.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(outside.collect::<Vec<_>>(), expected);
    on_both(async |backend| {
        let secret = "a secret of 32 characters or more";
        let one = format!("{{ client_id = 'shop', client_secret = '{secret}' }}");
        let server = TestApp::start(backend, &format!("headless.introspection_clients = [{one}]")).await;
        for (only, path) in BEHIND {
            for method in METHODS.into_iter().filter(|method| *method != only) {
                let reply = server.app().call(method.parse().unwrap(), path).send().await.expect(405);
                assert!(reply.header("allow").is_some_and(|allow| allow.contains(only)), "{path}");
            }
        }
    });
}

/// What the router's source says: each `routes.at("path", &[("METHOD", handler), ...])`, or `routes.with(manner, ...)`.
fn in_source() -> Operations {
    let mut found = Operations::new();
    let calls = ROUTER.split("routes.").skip(1);
    for call in calls.filter(|call| call.starts_with("at(") || call.starts_with("with(")) {
        let call = &call[..call.find(");\n").unwrap_or(call.len())];
        let mut texts = call.split('"').skip(1).step_by(2);
        let path = texts.next().unwrap_or_default();
        found.extend(texts.map(|method| (method.to_owned(), path.to_owned())));
    }
    found
}

#[test]
fn the_router_s_source_and_the_document_name_the_same_operations() {
    let (source, documented) = (in_source(), documented());
    assert!(source.len() > 20, "{source:?}");
    assert_eq!(source.difference(&documented).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    assert_eq!(documented.difference(&source).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn each_kind_of_client_is_served_what_is_documented_and_nothing_else() {
    on_both(async |backend| {
        let server = TestApp::start(backend, &format!("{ALL}{FACTORS}")).await;
        let documented = documented();
        let paths: BTreeSet<&String> = documented.iter().map(|(_, path)| path).collect();
        let contract = Contract::parse(DOCUMENT).expect("a document that can be read");
        for (kind, client) in [("app", server.app()), ("browser", server.browser())] {
            for path in &paths {
                for method in METHODS {
                    let mut client = client.clone();
                    let call = client.call(method.parse().unwrap(), path.trim_start_matches('/'));
                    let reply =
                        if method == "GET" { call.send().await } else { call.json(&json!({})).send().await };
                    let served = !matches!(reply.status, 404 | 405);
                    let whole = format!("/_allauth/{kind}/v1{path}");
                    let promised = contract.operation(method, &whole).is_some();
                    assert_eq!(served, promised, "{method} {path}: {reply}");
                    if METHODS.iter().all(|other| contract.operation(other, &whole).is_none()) {
                        reply.expect(404);
                    } else if !promised {
                        let allow = reply.expect(405).header("allow").map(str::to_owned);
                        let allow = allow.unwrap_or_else(|| panic!("{method} {path}: no Allow"));
                        assert!(!allow.split(',').any(|allowed| allowed.trim() == method), "{allow}");
                    }
                }
            }
        }
    });
}

#[test]
fn what_is_switched_off_is_not_there() {
    on_both(async |backend| {
        let server = TestApp::start(backend, "headless.clients = ['app']").await;
        for path in ["auth/code/request", "auth/code/resend"] {
            server.app().post(path, json!({})).await.expect(404);
        }
        // Codes can be asked for on top of a password without being a way in.
        server.app().post("auth/code/confirm", json!({})).await.expect(409);
        server.app().get("config").await.expect(200);
        server.browser().get("config").await.expect(404);
        server.browser().post("auth/login", json!({})).await.expect(404);
    });
}

/// An operation that no test calls could answer anything. Calls are found in the sources: `.post("auth/login"`, or
/// `call(Method::POST, "auth/login"`.
#[test]
fn every_operation_is_called_by_a_test_of_its_own() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut tests = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("contract.rs") {
            tests.extend(fs::read_to_string(path).unwrap().split_whitespace());
        }
    }
    let missing: Vec<_> = documented()
        .into_iter()
        .filter(|(method, path)| {
            let path = path.trim_start_matches('/');
            let short = format!(".{}(\"{path}\"", method.to_lowercase());
            let long = format!("Method::{method},\"{path}\"");
            !tests.contains(&short) && !tests.contains(&long)
        })
        .collect();
    assert!(missing.is_empty(), "never called: {missing:?}");
}
