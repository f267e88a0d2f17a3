//! Security keys: setting them up, using them as second factors and fresh proofs, and what a ceremony is bound to (M4, C3,
//! H4, M3, X1). Passkeys are in `passkeys.rs`.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use axum::http::Method;
use serde_json::{Map, Value, json};
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::webauthn::Algorithm;
use vestibule_base::storage::authenticators;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::authenticator::{Authenticator, Lie, USER_PRESENT, USER_VERIFIED};
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use super::codes::{PASSWORD, account, entered, login};
use super::mfa::{ADA, EVE, codes, half_way, kinds, mails, methods, prove, second_factor, stored, types};
use super::races::{at_once, post, statuses};

pub(super) const ORIGIN: &str = "http://localhost:8000";
pub(super) const KEYS: &str = "account/authenticators/webauthn";
pub(super) const AUTHENTICATE: &str = "auth/webauthn/authenticate";
const REAUTHENTICATE: &str = "auth/webauthn/reauthenticate";
/// Everything that keys and passkeys can do.
pub(super) const SETTINGS: &str = "
    [account]
    email_notifications = true
    email_verification_by_code_enabled = true
    rate_limits = false
    [mfa]
    supported_types = ['totp', 'recovery_codes', 'webauthn']
    passkey_login_enabled = true
    passkey_signup_enabled = true
    rate_limits = false
";

pub(super) fn key() -> Authenticator {
    Authenticator::new(Algorithm::EdDsa)
}

/// What the client is asked to create, or to sign, at a path.
pub(super) async fn options(client: &mut Client, path: &str) -> Value {
    let reply = client.get(path).await.expect(200);
    let data = reply.data();
    data.get("creation_options").or(data.get("request_options")).expect("options").clone()
}

/// Signs what the client is asked for at a path.
pub(super) async fn signed(key: &mut Authenticator, client: &mut Client, path: &str) -> Value {
    key.get(&options(client, path).await, ORIGIN, &Lie::default())
}

pub(super) fn sent(credential: &Value) -> Value {
    json!({ "credential": credential })
}

/// Sets up a key of whoever is logged in; gives its id.
pub(super) async fn enrol(client: &mut Client, key: &mut Authenticator, query: &str) -> i64 {
    prove(client).await;
    let asked = options(client, &format!("{KEYS}{query}")).await;
    let made = key.create(&asked, ORIGIN, &Lie::default());
    let reply = client.post(KEYS, sent(&made)).await.expect(200);
    reply.data()["id"].as_i64().expect("an id")
}

/// An account with a key; gives a client that is logged in and has just proved who it is.
pub(super) async fn keyed(server: &TestApp, email: &str) -> (Authenticator, Client, i64) {
    account(server, email).await;
    let mut client = entered(server, email).await;
    let mut key = key();
    let id = enrol(&mut client, &mut key, "").await;
    (key, client, id)
}

/// That the answer says no more than that the credential is no good.
#[track_caller]
pub(super) fn no_good(reply: Reply) {
    let reply = reply.expect(400);
    assert_eq!(reply.errors(), [("credential", "incorrect_code")]);
}

#[track_caller]
pub(super) fn not_taken(reply: Reply) {
    let reply = reply.expect(400);
    assert_eq!(reply.errors(), [("", "incorrect_code")]);
}

#[test]
fn keys_from_adding_to_removing() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            account(&server, email).await;
            login(&mut client, email, PASSWORD).await.expect(200);
            client.get("account/authenticators/webauthn").await.expect(401);
            prove(&mut client).await;
            let asked = options(&mut client, KEYS).await;
            let mut first = key();
            let made = first.create(&asked, ORIGIN, &Lie::default());
            let body = json!({ "name": "  Blue one ", "credential": made });
            let reply = client.post("account/authenticators/webauthn", body).await.expect(200);
            let row = reply.data();
            assert_eq!((&row["name"], &row["is_passwordless"]), (&json!("Blue one"), &json!(false)));
            assert_eq!(row["last_used_at"], Value::Null);
            assert_eq!(reply.json["meta"]["recovery_codes_generated"], true);
            assert_eq!(kinds(&mut client).await, ["webauthn", "recovery_codes"]);

            // A second one gets a name, and is a passkey; one that is there is not asked again.
            let asked = options(&mut client, &format!("{KEYS}?passwordless=false")).await;
            let excluded = asked["publicKey"]["excludeCredentials"].as_array().expect("a list");
            assert_eq!(excluded.len(), 1);
            let made = key().create(&asked, ORIGIN, &Lie::default());
            let name = "ñ".repeat(150);
            let reply = client.post(KEYS, json!({ "credential": made, "name": name })).await.expect(200);
            assert_eq!(reply.data()["name"], "ñ".repeat(100));
            assert_eq!(reply.data()["is_passwordless"], true);
            assert_eq!(reply.json["meta"]["recovery_codes_generated"], false);
            let second = reply.data()["id"].as_i64().expect("an id");
            let third = enrol(&mut client, &mut key(), "").await;

            let body = json!({ "id": second.to_string(), "name": "Green" });
            let reply = client.put("account/authenticators/webauthn", body).await.expect(200);
            assert_eq!(reply.data()["name"], "Green");
            let listed = client.get("account/authenticators").await.expect(200);
            let names: Vec<_> =
                listed.data().as_array().expect("a list").iter().map(|row| &row["name"]).collect();
            assert_eq!(names, [&json!("Blue one"), &Value::Null, &json!("Green"), &json!("Key 1")]);
            for (body, error) in [
                (json!({ "id": "x", "name": "" }), vec![("id", "invalid_choice"), ("name", "required")]),
                (
                    json!({ "id": [], "name": "x\u{0}" }),
                    vec![("id", "required"), ("name", "null_characters_not_allowed")],
                ),
                (json!({ "id": i64::MAX, "name": "x" }), vec![("id", "invalid_choice")]),
            ] {
                let reply = client.put(KEYS, body).await.expect(400);
                assert_eq!(reply.errors(), error);
            }
            for (ids, error) in [
                (json!([]), "required"),
                (json!("1"), "invalid_list"),
                (json!(["one"]), "invalid_pk_value"),
                (json!([second, 99_999]), "invalid_choice"),
            ] {
                let reply = client.delete(KEYS, json!({ "authenticators": ids })).await.expect(400);
                assert_eq!(reply.errors(), [("authenticators", error)]);
            }
            let ids = json!({ "authenticators": [second, third, second] });
            client.delete("account/authenticators/webauthn", ids).await.expect(200);
            assert_eq!(kinds(&mut client).await, ["webauthn", "recovery_codes"]);
            let id = client.get("account/authenticators").await.expect(200).data()[0]["id"].clone();
            client.delete(KEYS, json!({ "authenticators": [id] })).await.expect(200);
            assert!(kinds(&mut client).await.is_empty(), "the codes go with the last one");
            let (added, removed) =
                ("A security key or passkey was added", "A security key or passkey was removed");
            assert_eq!(mails(&server, email).await, [added, added, added, removed, removed, removed]);
        }
    });
}

#[test]
fn a_key_is_a_second_factor_and_a_fresh_proof() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut key, mut first, _) = keyed(&server, ADA).await;
        for mut client in [server.app(), server.browser()] {
            client.get("auth/webauthn/authenticate").await.expect(401);
            client.post("auth/webauthn/authenticate", json!({})).await.expect(401);
            let mut client = half_way(client, ADA).await;
            let reply = client.get("auth/session").await.expect(401);
            assert_eq!(
                types(reply.flow("mfa_authenticate").expect("the flow")),
                ["recovery_codes", "webauthn"]
            );
            // L1: nothing of the account before that.
            client.get(KEYS).await.expect(401);
            client.get("auth/webauthn/reauthenticate").await.expect(401);
            client.post("auth/webauthn/reauthenticate", json!({ "credential": {} })).await.expect(401);
            for nothing in [json!({}), json!({ "credential": null }), json!({ "credential": {} })] {
                let reply = client.post(AUTHENTICATE, nothing).await.expect(400);
                assert_eq!(reply.errors(), [("credential", "required")]);
            }
            let assertion = signed(&mut key, &mut client, AUTHENTICATE).await;
            let reply = client.post(AUTHENTICATE, sent(&assertion)).await.expect(200);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "webauthn")]);
            assert!(reply.data()["methods"][1].get("passwordless").is_none(), "{reply}");

            let reply = client.get(KEYS).await.expect(401);
            assert!(reply.flow("mfa_reauthenticate").is_some(), "{reply}");
            let assertion = signed(&mut key, &mut client, REAUTHENTICATE).await;
            let reply = client.post(REAUTHENTICATE, sent(&assertion)).await.expect(200);
            assert_eq!(reply.data()["methods"][2]["reauthenticated"], true);
            client.get(KEYS).await.expect(200);
        }
        let listed = first.get("account/authenticators").await.expect(200);
        assert!(listed.data()[0]["last_used_at"].is_f64(), "{listed}");
        // What was lost is stood in for.
        let code = codes(&mut first).await.remove(0);
        second_factor(&mut half_way(server.app(), ADA).await, &code).await.expect(200);
    });
}

#[test]
fn m4_the_first_answer_spends_a_challenge_whatever_it_is() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, mut client, _) = keyed(&server, ADA).await;
        let bent = Lie { rp_id: Some("attacker.example"), ..Lie::default() };
        for wrong in [json!("not even an object"), json!({ "id": "AAAA" }), Value::Null] {
            let wrong_one = |good: Value| if wrong.is_null() { good } else { wrong.clone() };
            let asked = options(&mut client, KEYS).await;
            let mut new = key();
            let bad = wrong_one(new.create(&asked, ORIGIN, &bent));
            not_taken(client.post(KEYS, sent(&bad)).await);
            let good = key().create(&asked, ORIGIN, &Lie::default());
            not_taken(client.post(KEYS, sent(&good)).await);

            let mut waiting = half_way(server.app(), ADA).await;
            for (client, path) in [(&mut waiting, AUTHENTICATE), (&mut client, REAUTHENTICATE)] {
                let asked = options(client, path).await;
                let bad = wrong_one(own.get(&asked, ORIGIN, &bent));
                no_good(client.post(path, sent(&bad)).await);
                let good = own.get(&asked, ORIGIN, &Lie::default());
                no_good(client.post(path, sent(&good)).await);
                // Good answers spend one as well.
                let good = signed(&mut own, client, path).await;
                client.post(path, sent(&good)).await.expect(200);
                let again = own.get(&asked, ORIGIN, &Lie::default());
                assert!(client.post(path, sent(&again)).await.status >= 400);
            }
        }
        let asked = options(&mut client, KEYS).await;
        client.post(KEYS, sent(&key().create(&asked, ORIGIN, &Lie::default()))).await.expect(200);
        not_taken(client.post(KEYS, sent(&key().create(&asked, ORIGIN, &Lie::default()))).await);
        // A new challenge takes the place of the old one.
        let old = options(&mut client, REAUTHENTICATE).await;
        options(&mut client, REAUTHENTICATE).await;
        no_good(client.post(REAUTHENTICATE, sent(&own.get(&old, ORIGIN, &Lie::default()))).await);
    });
}

#[test]
fn m4_a_challenge_is_bound_to_its_session_and_its_purpose() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut key_, mut client, _) = keyed(&server, ADA).await;
        let mut other = half_way(server.app(), ADA).await;
        let assertion = signed(&mut key_, &mut other, AUTHENTICATE).await;
        other.post(AUTHENTICATE, sent(&assertion)).await.expect(200);

        // Of another session of the same user.
        options(&mut client, REAUTHENTICATE).await;
        let elsewhere = signed(&mut key_, &mut other, REAUTHENTICATE).await;
        no_good(client.post(REAUTHENTICATE, sent(&elsewhere)).await);
        prove(&mut other).await;
        options(&mut client, KEYS).await;
        let made = key().create(&options(&mut other, KEYS).await, ORIGIN, &Lie::default());
        not_taken(client.post(KEYS, sent(&made)).await);
        other.post(KEYS, sent(&made)).await.expect(200);

        // Of another purpose in the same session: a second factor is no login and no proof, and what was asked for before
        // the login is worth nothing after it (L2).
        let mut waiting = half_way(server.app(), ADA).await;
        let for_login = options(&mut waiting, "auth/webauthn/login").await;
        let for_login = key_.get(
            &with_ids(&for_login, &options(&mut client, REAUTHENTICATE).await),
            ORIGIN,
            &Lie::default(),
        );
        no_good(waiting.post(AUTHENTICATE, sent(&for_login)).await);
        let as_factor = signed(&mut key_, &mut waiting, AUTHENTICATE).await;
        no_good(waiting.post("auth/webauthn/login", sent(&as_factor)).await);
        waiting.post(AUTHENTICATE, sent(&as_factor)).await.expect(200);
        let asked = options(&mut client, REAUTHENTICATE).await;
        let as_proof = key_.get(&asked, ORIGIN, &Lie::default());
        not_taken(client.post(KEYS, sent(&as_proof)).await);
        client.post(REAUTHENTICATE, sent(&as_proof)).await.expect(200);
    });
}

/// The challenge of one, and the keys of another.
fn with_ids(challenge: &Value, keys: &Value) -> Value {
    let mut both = challenge.clone();
    both["publicKey"]["allowCredentials"] = keys["publicKey"]["allowCredentials"].clone();
    both
}

#[test]
fn m4_a_challenge_lives_for_five_minutes() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, _, _) = keyed(&server, ADA).await;
        for (seconds, good) in [(299, true), (300, false), (100_000, false)] {
            let mut client = half_way(server.app(), ADA).await;
            let assertion = signed(&mut own, &mut client, AUTHENTICATE).await;
            client.post(AUTHENTICATE, sent(&assertion)).await.expect(200);
            let as_proof = signed(&mut own, &mut client, REAUTHENTICATE).await;
            prove(&mut client).await;
            let asked = options(&mut client, KEYS).await;
            server.pass(seconds);
            let reply = client.post(REAUTHENTICATE, sent(&as_proof)).await;
            if good {
                reply.expect(200);
            } else {
                no_good(reply);
                prove(&mut client).await;
            }
            let reply = client.post(KEYS, sent(&key().create(&asked, ORIGIN, &Lie::default()))).await;
            if good {
                reply.expect(200);
            } else {
                not_taken(reply);
            }
        }
    });
}

#[test]
fn m4_lies_are_refused_though_they_are_signed() {
    on_both(async |backend| {
        let claim = |name: &str, value: Value| Lie {
            client_data: Map::from_iter([(name.to_owned(), value)]),
            ..Lie::default()
        };
        let lies = || {
            [
                claim("origin", json!("https://attacker.example")),
                claim("origin", json!("http://localhost:8001")),
                claim("origin", json!("http://app.localhost:8000")),
                claim("origin", json!("http://localhost:8000.attacker.example")),
                claim("crossOrigin", json!(true)),
                claim("challenge", json!("AAAA")),
                claim("type", json!("webauthn.other")),
                Lie { rp_id: Some("attacker.example"), ..Lie::default() },
                Lie { clear: USER_PRESENT, ..Lie::default() },
            ]
        };
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, mut client, _) = keyed(&server, ADA).await;
        let mut waiting = half_way(server.browser(), ADA).await;
        for lie in lies() {
            let asked = options(&mut waiting, AUTHENTICATE).await;
            no_good(waiting.post(AUTHENTICATE, sent(&own.get(&asked, ORIGIN, &lie))).await);
            let asked = options(&mut client, REAUTHENTICATE).await;
            no_good(client.post(REAUTHENTICATE, sent(&own.get(&asked, ORIGIN, &lie))).await);
            let asked = options(&mut client, KEYS).await;
            not_taken(client.post(KEYS, sent(&key().create(&asked, ORIGIN, &lie))).await);
        }
        // Without verification a key is a second factor where that is not asked for, and never a passkey.
        let unverified = Lie { clear: USER_VERIFIED, ..Lie::default() };
        let asked = options(&mut waiting, AUTHENTICATE).await;
        waiting.post(AUTHENTICATE, sent(&own.get(&asked, ORIGIN, &unverified))).await.expect(200);
        let asked = options(&mut client, &format!("{KEYS}?passwordless")).await;
        not_taken(client.post(KEYS, sent(&key().create(&asked, ORIGIN, &unverified))).await);
        let made = key().create(&options(&mut client, KEYS).await, ORIGIN, &unverified);
        not_taken(client.post(KEYS, json!({ "credential": made, "passwordless": true })).await);
        let made = key().create(&options(&mut client, KEYS).await, ORIGIN, &unverified);
        client.post(KEYS, sent(&made)).await.expect(200);

        let strict = server.second_with("mfa.webauthn_user_verification = 'required'").await;
        let mut waiting = half_way(strict.app(), ADA).await;
        let asked = options(&mut waiting, AUTHENTICATE).await;
        assert_eq!(asked["publicKey"]["userVerification"], "required");
        no_good(waiting.post(AUTHENTICATE, sent(&own.get(&asked, ORIGIN, &unverified))).await);
        let good = signed(&mut own, &mut waiting, AUTHENTICATE).await;
        waiting.post(AUTHENTICATE, sent(&good)).await.expect(200);
    });
}

#[test]
fn m4_a_key_is_of_its_owner_alone() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut ada_s, mut ada, ada_id) = keyed(&server, ADA).await;
        let (mut eve_s, mut eve, eve_id) = keyed(&server, EVE).await;
        // Eve signs what Ada is asked for.
        let mut waiting = half_way(server.app(), ADA).await;
        let eve_s_ids = options(&mut eve, REAUTHENTICATE).await;
        let asked = with_ids(&options(&mut waiting, AUTHENTICATE).await, &eve_s_ids);
        let by_eve = eve_s.get(&asked, ORIGIN, &Lie::default());
        no_good(waiting.post(AUTHENTICATE, sent(&by_eve)).await);
        let mut as_ada = by_eve.clone();
        as_ada["response"]["userHandle"] = Value::Null;
        options(&mut waiting, AUTHENTICATE).await;
        no_good(waiting.post(AUTHENTICATE, sent(&as_ada)).await);
        // Ada's own key: without a handle, and with another's.
        let mut assertion = signed(&mut ada_s, &mut waiting, AUTHENTICATE).await;
        assertion["response"]["userHandle"] = json!("OTk5");
        no_good(waiting.post(AUTHENTICATE, sent(&assertion)).await);
        let mut assertion = signed(&mut ada_s, &mut waiting, AUTHENTICATE).await;
        assertion["response"].as_object_mut().expect("an object").remove("userHandle");
        waiting.post(AUTHENTICATE, sent(&assertion)).await.expect(200);

        // A key that Ada has cannot be Eve's too. An attestation of the kind "none" is signed by nobody.
        prove(&mut ada).await;
        let asked = options(&mut ada, KEYS).await;
        let made = key().create(&asked, ORIGIN, &Lie::default());
        ada.post(KEYS, sent(&made)).await.expect(200);
        prove(&mut eve).await;
        for client in [&mut eve, &mut ada] {
            let asked = options(client, KEYS).await;
            let mut copied = key().create(&asked, ORIGIN, &Lie::default());
            for member in ["id", "rawId"] {
                copied[member] = made[member].clone();
            }
            copied["response"]["attestationObject"] = made["response"]["attestationObject"].clone();
            not_taken(client.post(KEYS, sent(&copied)).await);
        }
        // Nor can Eve name or remove it.
        let reply = eve.put(KEYS, json!({ "id": ada_id, "name": "Mine" })).await.expect(400);
        assert_eq!(reply.errors(), [("id", "invalid_choice")]);
        let reply = eve.delete(KEYS, json!({ "authenticators": [eve_id, ada_id] })).await.expect(400);
        assert_eq!(reply.errors(), [("authenticators", "invalid_choice")]);
        assert_eq!(kinds(&mut eve).await, ["webauthn", "recovery_codes"]);
        assert_eq!(kinds(&mut ada).await, ["webauthn", "recovery_codes", "webauthn"]);
    });
}

#[test]
fn m4_a_counter_that_does_not_go_up_is_refused() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, _, _) = keyed(&server, ADA).await;
        let counted = |count| Lie { sign_count: Some(count), ..Lie::default() };
        for (count, good) in
            [(7, true), (7, false), (6, false), (0, false), (8, true), (u32::MAX, true), (u32::MAX, false)]
        {
            let mut client = half_way(server.app(), ADA).await;
            let asked = options(&mut client, AUTHENTICATE).await;
            let reply = client.post(AUTHENTICATE, sent(&own.get(&asked, ORIGIN, &counted(count)))).await;
            if good {
                reply.expect(200);
            } else {
                no_good(reply);
            }
        }
        // One that never counts is taken for what it is.
        let (mut synced, _, _) = keyed(&server, EVE).await;
        for _ in 0..3 {
            let mut client = half_way(server.browser(), EVE).await;
            let asked = options(&mut client, AUTHENTICATE).await;
            client.post(AUTHENTICATE, sent(&synced.get(&asked, ORIGIN, &counted(0)))).await.expect(200);
        }
    });
}

#[test]
fn e5_keys_are_of_moderate_size_and_number() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (_, mut client, _) = keyed(&server, ADA).await;
        let mut made = key().create(&options(&mut client, KEYS).await, ORIGIN, &Lie::default());
        made["response"]["attestationObject"] = json!("o".repeat(80 * 1024));
        client.post(KEYS, sent(&made)).await.expect(400);
        let mut count = 1;
        loop {
            let made = key().create(&options(&mut client, KEYS).await, ORIGIN, &Lie::default());
            if client.post(KEYS, sent(&made)).await.status != 200 {
                break;
            }
            count += 1;
            assert!(count < 100, "{count} keys");
        }
        assert!(count > 10, "{count} keys are enough for everybody");
        client.get("account/authenticators").await.expect(200);
    });
}

#[test]
fn c3_of_many_answers_to_one_challenge_one_succeeds() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, mut client, _) = keyed(&server, ADA).await;
        let mut waiting = half_way(server.app(), ADA).await;
        let as_factor = sent(&signed(&mut own, &mut waiting, AUTHENTICATE).await);
        let replies =
            at_once((0..6).map(|_| post(&waiting, AUTHENTICATE, as_factor.clone())).collect()).await;
        assert_eq!(statuses(&replies)[&200], 1);

        let as_proof = sent(&signed(&mut own, &mut client, REAUTHENTICATE).await);
        let replies =
            at_once((0..6).map(|_| post(&client, REAUTHENTICATE, as_proof.clone())).collect()).await;
        assert_eq!((statuses(&replies)[&200], statuses(&replies)[&400]), (1, 5));

        let made = key().create(&options(&mut client, KEYS).await, ORIGIN, &Lie::default());
        let replies = at_once((0..6).map(|_| post(&client, KEYS, sent(&made))).collect()).await;
        assert_eq!((statuses(&replies)[&200], statuses(&replies)[&400]), (1, 5));
        assert_eq!(kinds(&mut client).await, ["webauthn", "recovery_codes", "webauthn"]);
    });
}

#[test]
fn h4_no_key_with_an_unverified_address_and_none_added_with_one() {
    on_both(async |backend| {
        let optional = "
            account = { email_verification = 'optional', rate_limits = false }
            mfa.supported_types = ['webauthn']";
        let server = TestApp::start(backend, optional).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            client.post("auth/signup", json!({ "email": email, "password": PASSWORD })).await.expect(200);
            prove(&mut client).await;
            for _ in 0..2 {
                let reply = client.get(KEYS).await.expect(409);
                assert_eq!(reply.errors(), [("", "unverified_email")]);
                let reply = client.post(KEYS, json!({})).await.expect(409);
                assert_eq!(reply.errors(), [("", "unverified_email")]);
            }
            let link = server.link_key_for(email).await;
            client.post("auth/email/verify", json!({ "key": link })).await.expect(200);
            let asked = options(&mut client, KEYS).await;
            let second = format!("second-{email}");
            client.post("account/email", json!({ "email": second })).await.expect(200);
            // Asked for before the address was added.
            let made = key().create(&asked, ORIGIN, &Lie::default());
            client.post(KEYS, sent(&made)).await.expect(409);
            client.delete("account/email", json!({ "email": second })).await.expect(200);
            client.post(KEYS, sent(&made)).await.expect(200);
            let reply = client.post("account/email", json!({ "email": second })).await.expect(400);
            assert_eq!(reply.errors(), [("email", "add_email_blocked")]);
            assert_eq!(kinds(&mut client).await, ["webauthn"], "codes are not supported");
        }
    });
}

#[test]
fn l4_every_change_of_keys_needs_a_fresh_proof() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (_, mut client, id) = keyed(&server, ADA).await;
        let made = key().create(&options(&mut client, KEYS).await, ORIGIN, &Lie::default());
        server.pass(301);
        let ids = json!({ "authenticators": [id] });
        for (method, body) in [
            (Method::GET, Value::Null),
            (Method::POST, sent(&made)),
            (Method::PUT, json!({ "id": id, "name": "New" })),
            (Method::DELETE, ids),
        ] {
            let reply = client.call(method, KEYS).json(&body).send().await.expect(401);
            assert!(reply.flow("mfa_reauthenticate").is_some(), "{reply}");
        }
        assert_eq!(kinds(&mut client).await, ["webauthn", "recovery_codes"]);
        let listed = client.get("account/authenticators").await.expect(200);
        assert_eq!(listed.data()[0]["name"], "Key 1");
    });
}

#[test]
fn x1_what_is_kept_of_a_key_is_sealed_and_can_be_sealed_anew() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut own, mut client, id) = keyed(&server, ADA).await;
        let user = client.get("auth/session").await.expect(200).data()["user"]["id"].as_i64().expect("an id");
        let row = stored(&server, user).await.remove(0);
        assert_eq!((row.id, row.kind), (id, Kind::Webauthn));
        assert!(!row.secret.windows(10).any(|part| part == b"public_key"), "the key stands in the clear");

        let new = "server.secret_key = 'another secret key of tests, as well known'";
        let former = "server.secret_key_fallbacks = ['the secret key of tests, known to all the world']";
        let both = server.second_with(&format!("{new}\n{former}")).await;
        assert_eq!(both.vestibule.reseal().await.expect("sealed anew"), 2);
        let alone = server.second_with(new).await;
        let mut client = half_way(alone.app(), ADA).await;
        let good = signed(&mut own, &mut client, AUTHENTICATE).await;
        client.post(AUTHENTICATE, sent(&good)).await.expect(200);
    });
}

#[test]
fn x1_a_key_that_no_secret_key_opens_stands_in_nobody_s_way() {
    on_both(async |backend| {
        let server = TestApp::start(backend, SETTINGS).await;
        let (mut lost, mut client, id) = keyed(&server, ADA).await;
        let before = options(&mut client, REAUTHENTICATE).await;
        let mut other = key();
        enrol(&mut client, &mut other, "").await;
        let user = client.get("auth/session").await.expect(200).data()["user"]["id"].as_i64().expect("an id");
        let row = stored(&server, user).await.remove(0);
        let mut tx = server.db.write().await.expect("a transaction");
        authenticators::replace_secret(&mut tx, row.id, &row.secret, b"no more", None).await.expect("a row");
        tx.commit().await.expect("committed");

        let mut waiting = half_way(server.app(), ADA).await;
        let asked = options(&mut waiting, AUTHENTICATE).await;
        assert_eq!(asked["publicKey"]["allowCredentials"].as_array().map(Vec::len), Some(1));
        let mut by_lost = asked.clone();
        by_lost["publicKey"]["allowCredentials"] = before["publicKey"]["allowCredentials"].clone();
        let by_lost = lost.get(&by_lost, ORIGIN, &Lie::default());
        no_good(waiting.post(AUTHENTICATE, sent(&by_lost)).await);
        let good = signed(&mut other, &mut waiting, AUTHENTICATE).await;
        waiting.post(AUTHENTICATE, sent(&good)).await.expect(200);
        assert_eq!(kinds(&mut client).await, ["webauthn", "recovery_codes", "webauthn"]);
        client.delete(KEYS, json!({ "authenticators": [id] })).await.expect(200);
        assert_eq!(kinds(&mut client).await, ["recovery_codes", "webauthn"]);
    });
}
