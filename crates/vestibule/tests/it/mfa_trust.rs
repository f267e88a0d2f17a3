//! Trusted browsers (M5).

use serde_json::{Value, json};
use vestibule_base::security::Token;
use vestibule_base::storage::trust;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::on_both;
use vestibule_testkit::totp::{AuthenticatorApp, PERIOD};

use super::codes::{OTHER, PASSWORD, account, login};
use super::mfa::{
    ADA, CODES, EVE, TOTP, TRUST, codes, enrol, half_way, methods, protected, prove, second_factor,
};

const TRUSTS: &str = "
    mfa.trust_enabled = true
    account.rate_limits = false";

/// A browser of this person that is asked whether it is to be trusted.
async fn asked(server: &TestApp, email: &str, app: &AuthenticatorApp, browser: Client) -> Client {
    server.pass(PERIOD);
    let mut browser = half_way(browser, email).await;
    let reply = second_factor(&mut browser, &app.code(server)).await.expect(401);
    assert!(reply.is_pending("mfa_trust"), "{reply}");
    browser
}

async fn trusted(server: &TestApp, email: &str, app: &AuthenticatorApp, browser: Client) -> Client {
    let mut browser = asked(server, email, app, browser).await;
    browser.post(TRUST, json!({ "trust": true })).await.expect(200);
    browser.delete("auth/session", Value::Null).await.expect(401);
    browser
}

async fn is_trusted(browser: &Client, email: &str) -> bool {
    let reply = login(&mut browser.clone(), email, PASSWORD).await;
    assert!(reply.status == 200 || reply.is_pending("mfa_authenticate"), "{reply}");
    reply.status == 200
}

#[test]
fn m5_a_trusted_browser_skips_the_second_factor_of_its_users_for_a_while() {
    on_both(async |backend| {
        let server = TestApp::start(backend, TRUSTS).await;
        let (ada_s, _) = protected(&server, ADA).await;
        let (eve_s, _) = protected(&server, EVE).await;

        let mut browser = server.browser();
        browser.post("auth/2fa/trust", json!({ "trust": true })).await.expect(401);
        for no in [json!({ "trust": false }), json!({})] {
            let mut browser = asked(&server, ADA, &ada_s, server.browser()).await;
            browser.get("account/email").await.expect(401);
            browser.post(TRUST, json!({ "trust": [] })).await.expect(400);
            let reply = browser.post(TRUST, no).await.expect(200);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "totp")]);
            assert!(browser.cookie("mfa_trusted").is_none());
        }
        let browser = trusted(&server, ADA, &ada_s, browser).await;
        assert!(is_trusted(&browser, ADA).await && !is_trusted(&browser, EVE).await);
        assert!(!is_trusted(&server.browser(), ADA).await, "another browser");

        // Shared by two: each trusts it for themselves, and the token of before is worth nothing.
        let before = browser.clone();
        let shared = trusted(&server, EVE, &eve_s, browser).await;
        assert_ne!(before.cookie("mfa_trusted"), shared.cookie("mfa_trusted"));
        assert!(is_trusted(&shared, ADA).await && is_trusted(&shared, EVE).await);
        assert!(!is_trusted(&before, ADA).await);

        // Apps have no cookies: they are not asked, and one that they send counts for nothing.
        let cookie = format!("mfa_trusted={}", shared.cookie("mfa_trusted").expect("a cookie"));
        server.pass(PERIOD);
        let mut app = half_way(server.app().with_header("cookie", &cookie), ADA).await;
        app.post(TRUST, json!({ "trust": true })).await.expect(404);
        second_factor(&mut app, &ada_s.code(&server)).await.expect(200);

        // Of the others' making, or none at all.
        for forged in [Token::generate().expect("random").expose(), "", "x", &"A".repeat(5000)] {
            let mut browser = server.browser();
            browser.set_cookie("mfa_trusted", forged);
            assert!(!is_trusted(&browser, ADA).await, "{forged}");
        }
        server.pass(1_209_600);
        assert!(!is_trusted(&shared, ADA).await && !is_trusted(&shared, EVE).await);
    });
}

#[test]
fn m5_trust_is_stored_as_a_hash_and_bound_to_the_credentials() {
    on_both(async |backend| {
        let server = TestApp::start(backend, TRUSTS).await;
        let (app, mut client) = protected(&server, ADA).await;
        let browser = trusted(&server, ADA, &app, server.browser()).await;
        let token = Token::parse(browser.cookie("mfa_trusted").expect("a cookie")).expect("a token");
        let user_id =
            client.get("auth/session").await.expect(200).data()["user"]["id"].as_i64().expect("an id");
        let mut conn = server.db.read().await.expect("a connection");
        let mark = trust::mark(&mut conn, &token.digest(), user_id, 0).await.expect("an answer");
        assert!(mark.is_some(), "it is looked up by its hash");
        drop(conn);
        assert!(is_trusted(&browser, ADA).await);

        // New recovery codes are new credentials.
        prove(&mut client).await;
        client.post(CODES, json!({})).await.expect(200);
        assert!(!is_trusted(&browser, ADA).await);

        // So is TOTP set up anew,
        let browser = trusted(&server, ADA, &app, browser).await;
        prove(&mut client).await;
        client.delete(TOTP, Value::Null).await.expect(200);
        let app = enrol(&server, &mut client).await;
        assert!(!is_trusted(&browser, ADA).await);

        // and a password, even if it is the same again.
        let browser = trusted(&server, ADA, &app, browser).await;
        assert!(is_trusted(&browser, ADA).await);
        for (from, to) in [(PASSWORD, OTHER), (OTHER, PASSWORD)] {
            let body = json!({ "current_password": from, "new_password": to });
            client.post("account/password/change", body).await.expect(200);
        }
        assert!(!is_trusted(&browser, ADA).await);
        let browser = trusted(&server, ADA, &app, browser).await;
        client.post("auth/password/request", json!({ "email": ADA })).await.expect(200);
        let key = server.link_key_for(ADA).await;
        server
            .app()
            .post("auth/password/reset", json!({ "key": key, "password": PASSWORD }))
            .await
            .expect(401);
        assert!(!is_trusted(&browser, ADA).await);
    });
}

#[test]
fn m5_trust_given_for_a_code_does_not_count_for_a_second_factor() {
    on_both(async |backend| {
        let settings = "
            [account]
            login_by_code_required = true
            login_by_code_trust_enabled = true
            rate_limits = false";
        let server = TestApp::start(backend, settings).await;
        account(&server, ADA).await;
        let mut browser = server.browser();
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("login_by_code"));
        let code = json!({ "code": server.code_for(ADA).await });
        assert!(browser.post("auth/code/confirm", code).await.expect(401).is_pending("mfa_trust"));
        browser.post(TRUST, json!({ "trust": true })).await.expect(200);
        let app = enrol(&server, &mut browser).await;
        browser.delete("auth/session", Value::Null).await.expect(401);
        // It has another credential now.
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("login_by_code"));
        let code = json!({ "code": server.code_for(ADA).await });
        assert!(browser.post("auth/code/confirm", code).await.expect(401).is_pending("mfa_authenticate"));
        assert!(second_factor(&mut browser, &app.code(&server)).await.expect(401).is_pending("mfa_trust"));
        browser.post(TRUST, json!({ "trust": true })).await.expect(200);
        browser.delete("auth/session", Value::Null).await.expect(401);
        // mfa.trust_enabled is off: the code is skipped, the second factor is not.
        assert!(login(&mut browser, ADA, PASSWORD).await.expect(401).is_pending("mfa_authenticate"));
    });
}

#[test]
fn x1_authenticators_and_trust_outlive_a_change_of_the_secret_key() {
    on_both(async |backend| {
        let old = TestApp::start(backend, TRUSTS).await;
        let (app, mut client) = protected(&old, ADA).await;
        let recovery = codes(&mut client).await;
        let browser = trusted(&old, ADA, &app, old.browser()).await;

        let new = "server.secret_key = 'another secret key of tests, as well known'";
        let former = "server.secret_key_fallbacks = ['the secret key of tests, known to all the world']";
        let both = old.second_with(&format!("{new}\n{former}")).await;
        let cookie = browser.cookie("mfa_trusted").expect("a cookie").to_owned();
        let mut there = both.browser();
        there.set_cookie("mfa_trusted", &cookie);
        login(&mut there, ADA, PASSWORD).await.expect(200);
        // Each is used once under the new key, and written anew by that.
        both.pass(PERIOD);
        second_factor(&mut half_way(both.app(), ADA).await, &app.code(&both)).await.expect(200);
        second_factor(&mut half_way(both.app(), ADA).await, &recovery[0]).await.expect(200);

        let alone = old.second_with(new).await;
        alone.pass(PERIOD);
        let mut client = half_way(alone.app(), ADA).await;
        second_factor(&mut client, &app.code(&alone)).await.expect(200);
        second_factor(&mut half_way(alone.app(), ADA).await, &recovery[1]).await.expect(200);
        prove(&mut client).await;
        assert_eq!(codes(&mut client).await, recovery[2..]);
    });
}
