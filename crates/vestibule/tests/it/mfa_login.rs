//! What second factors must not do to accounts, and what logins must not do without them (H2, H4, L1, L2, L3), and many
//! requests at once (C3).

use serde_json::{Value, json};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::database::on_both;
use vestibule_testkit::totp::PERIOD;

use super::codes::{OTHER, PASSWORD, account, entered, login};
use super::mfa::{
    ADA, AUTHENTICATE, CODES, EVE, FREE, REAUTHENTICATE, TOTP, codes, enrol, half_way, kinds, methods,
    offered, protected, prove, refused, second_factor, stored,
};
use super::races::{at_once, post, statuses};

#[test]
fn h4_no_second_factor_with_an_unverified_address_and_none_added_with_one() {
    on_both(async |backend| {
        let settings = "account = { email_verification = 'optional', rate_limits = false }";
        let server = TestApp::start(backend, settings).await;
        for (mut client, email) in [(server.app(), ADA), (server.browser(), EVE)] {
            let body = json!({ "email": email, "password": PASSWORD });
            client.post("auth/signup", body).await.expect(200);
            let reply = client.get(TOTP).await.expect(409);
            assert_eq!(reply.errors(), [("", "unverified_email")]);
            prove(&mut client).await;
            let reply = client.post(TOTP, json!({ "code": "123456" })).await.expect(400);
            assert_eq!(reply.errors(), [("code", "unverified_email")]);

            let key = server.link_key_for(email).await;
            client.post("auth/email/verify", json!({ "key": key })).await.expect(200);
            let app = offered(&mut client).await;
            let second = format!("second-{email}");
            client.post("account/email", json!({ "email": second })).await.expect(200);
            // The secret was offered before the address was added.
            let reply = client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
            assert_eq!(reply.errors(), [("code", "unverified_email")]);
            client.delete("account/email", json!({ "email": second })).await.expect(200);
            client.post(TOTP, json!({ "code": app.code(&server) })).await.expect(200);
            let reply = client.post("account/email", json!({ "email": second })).await.expect(400);
            assert_eq!(reply.errors(), [("email", "add_email_blocked")]);
            assert_eq!(
                client.get("account/email").await.expect(200).data().as_array().map(Vec::len),
                Some(1)
            );
        }
    });
}

#[test]
fn h4_both_at_once_leave_one_of_them() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        for round in 0..4 {
            let email = format!("ada{round}@example.org");
            account(&server, &email).await;
            let mut client = entered(&server, &email).await;
            prove(&mut client).await;
            let app = offered(&mut client).await;
            let both = at_once(vec![
                post(&client, "account/email", json!({ "email": format!("second-{email}") })),
                post(&client, TOTP, json!({ "code": app.code(&server) })),
            ])
            .await;
            assert_eq!(both.iter().filter(|reply| reply.status == 200).count(), 1, "{both:?}");
        }
    });
}

#[test]
fn h4_the_settings_can_allow_it() {
    on_both(async |backend| {
        let settings = "
            account = { email_verification = 'optional', rate_limits = false, login_by_code_enabled = true }
            mfa.allow_unverified_email = true";
        let server = TestApp::start(backend, settings).await;
        let mut client = server.app();
        client.post("auth/signup", json!({ "email": ADA, "password": PASSWORD })).await.expect(200);
        enrol(&server, &mut client).await;
        client.post("account/email", json!({ "email": EVE })).await.expect(200);
        // H1: whoever set this up never proved the address; its owner is not locked out by it.
        let mut owner = server.app();
        owner.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
        let code = json!({ "code": server.code_for(ADA).await });
        owner.post("auth/code/confirm", code).await.expect(200);
        assert!(kinds(&mut owner).await.is_empty());
        client.get("auth/session").await.expect(401);
    });
}

#[test]
fn l1_a_login_that_waits_for_its_second_factor_opens_nothing() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let set = codes(&mut owner).await;
        for mut client in [half_way(server.app(), ADA).await, half_way(server.browser(), ADA).await] {
            for path in ["account/authenticators", TOTP, CODES, "account/email", "auth/sessions"] {
                client.get(path).await.expect(401);
            }
            for path in [TOTP, CODES, REAUTHENTICATE] {
                client.post(path, json!({ "code": app.code(&server) })).await.expect(401);
            }
            client.delete(TOTP, Value::Null).await.expect(401);
            client.post("auth/reauthenticate", json!({ "password": PASSWORD })).await.expect(401);
            assert!(client.get("auth/session").await.is_pending("mfa_authenticate"));
            client.delete("auth/session", Value::Null).await.expect(401);
            let status = second_factor(&mut client, &app.code(&server)).await.status;
            assert!([401, 410].contains(&status), "{status}");
        }
        assert_eq!(codes(&mut owner).await, set, "and uses nothing up");
        second_factor(&mut half_way(server.app(), ADA).await, &app.code(&server)).await.expect(200);

        // In time, or not at all.
        server.pass(PERIOD);
        let mut late = half_way(server.app(), ADA).await;
        server.pass(901);
        second_factor(&mut late, &app.code(&server)).await.expect(401);
    });
}

#[test]
fn l2_nothing_of_one_login_reaches_another() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (ada_s, _) = protected(&server, ADA).await;
        let (eve_s, _) = protected(&server, EVE).await;
        account(&server, "ann@example.org").await;
        for fresh in [server.app(), server.browser()] {
            server.pass(PERIOD);
            let client = half_way(fresh, ADA).await;
            let mut client = half_way(client, EVE).await;
            refused(&mut client, &ada_s.code(&server)).await;
            let reply = second_factor(&mut client, &eve_s.code(&server)).await.expect(200);
            assert_eq!(reply.data()["user"]["email"], EVE);
            assert_eq!(methods(&reply), [("password", ""), ("mfa", "totp")]);

            // A secret that one session is offered is of no use in another, nor to another user in the same one.
            let mut one = entered(&server, "ann@example.org").await;
            let mut other = entered(&server, "ann@example.org").await;
            let app = offered(&mut one).await;
            prove(&mut other).await;
            other.post(TOTP, json!({ "code": app.code(&server) })).await.expect(400);
        }
        // A failed login as somebody else leaves the one that waits as it was.
        server.pass(PERIOD);
        let mut client = half_way(server.app(), ADA).await;
        login(&mut client, EVE, OTHER).await.expect(400);
        second_factor(&mut client, &ada_s.code(&server)).await.expect(200);
    });
}

#[test]
fn l3_no_way_in_leads_around_the_second_factor() {
    let settings = "
        [account]
        login_by_code_enabled = true
        login_on_password_reset = true
        login_on_email_confirmation = true
        rate_limits = false";
    on_both(async |backend| {
        for by_code in [false, true] {
            let settings = format!("{settings}\npassword_reset_by_code_enabled = {by_code}");
            let server = TestApp::start(backend, &settings).await;
            let (app, _) = protected(&server, ADA).await;
            for mut client in [server.app(), server.browser()] {
                client.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
                let code = json!({ "code": server.code_for(ADA).await });
                let reply = client.post("auth/code/confirm", code).await.expect(401);
                assert!(reply.is_pending("mfa_authenticate"), "{reply}");
                client.get("account/email").await.expect(401);
                let reply = second_factor(&mut client, &app.code(&server)).await.expect(200);
                assert_eq!(methods(&reply), [("code", ""), ("mfa", "totp")]);
                server.pass(PERIOD);
                client.delete("auth/session", Value::Null).await.expect(401);
                client.get("auth/session").await;

                let asked = client.post("auth/password/request", json!({ "email": ADA })).await;
                asked.expect(if by_code { 401 } else { 200 });
                let key = if by_code { server.code_for(ADA).await } else { server.link_key_for(ADA).await };
                let body = json!({ "key": key, "password": PASSWORD });
                let reply = client.post("auth/password/reset", body).await.expect(401);
                assert!(reply.is_pending("mfa_authenticate"), "{reply}");
                for (path, body) in [
                    ("auth/email/verify", json!({ "key": "x" })),
                    ("auth/code/confirm", json!({ "code": "x" })),
                ] {
                    let status = client.post(path, body).await.status;
                    assert!([400, 409].contains(&status), "{path}: {status}");
                }
                let reply = second_factor(&mut client, &app.code(&server)).await.expect(200);
                assert_eq!(methods(&reply), [("password_reset", ""), ("mfa", "totp")]);
                server.pass(PERIOD);
                client.delete("auth/session", Value::Null).await.expect(401);
                client.get("auth/session").await;
            }
        }
    });
}

#[test]
fn h2_a_login_that_waits_ends_with_the_password_that_it_began_with() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let mut thief = half_way(server.app(), ADA).await;
        let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
        owner.post("account/password/change", body).await.expect(200);
        second_factor(&mut thief, &app.code(&server)).await.expect(401);
        owner.get("account/authenticators").await.expect(200);
    });
}

#[test]
fn h2_a_login_held_under_a_former_password_goes_no_further() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, _) = protected(&server, ADA).await;
        let mut thief = half_way(server.app(), ADA).await;
        // By whatever path: here past all of ours, which would have removed the login.
        let mut tx = server.db.write().await.expect("a transaction");
        tx.execute("UPDATE users SET password = NULL", vec![]).await.expect("an update");
        tx.commit().await.expect("a commit");
        second_factor(&mut thief, &app.code(&server)).await.expect(401);
        thief.get("account/authenticators").await.expect(401);
    });
}

#[test]
fn an_operator_helps_who_has_lost_their_second_factor() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (_, mut before) = protected(&server, ADA).await;
        let users = server.vestibule.users();
        let id = users.find(ADA).await.expect("a user").id;
        users.remove_authenticators(id).await.expect("done");
        assert!([401, 410].contains(&before.get("auth/session").await.status), "old sessions end");
        let body = json!({ "email": ADA, "password": PASSWORD });
        server.app().post("auth/login", body).await.expect(200);
    });
}

#[test]
fn c3_one_code_sent_by_many_at_once_is_taken_once() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let (app, mut owner) = protected(&server, ADA).await;
        let recovery = codes(&mut owner).await;
        for code in [app.code(&server), recovery[0].clone()] {
            let mut requests = Vec::new();
            for round in 0..8 {
                let fresh = if round % 2 == 0 { server.app() } else { server.browser() };
                let client = half_way(fresh, ADA).await;
                // Twice from each session, and from one that is logged in.
                requests.push(post(&client, AUTHENTICATE, json!({ "code": code })));
                requests.push(post(&client, AUTHENTICATE, json!({ "code": code })));
                requests.push(post(&owner, REAUTHENTICATE, json!({ "code": code })));
            }
            let replies = at_once(requests).await;
            assert_eq!(statuses(&replies).get(&200), Some(&1), "{:?}", statuses(&replies));
        }
        let left = codes(&mut owner).await;
        assert_eq!(left, recovery[1..]);

        // Different codes at once are all taken, each once.
        let requests = left.iter().map(|code| post(&owner, REAUTHENTICATE, json!({ "code": code })));
        let replies = at_once(requests.collect()).await;
        assert_eq!(statuses(&replies).get(&200), Some(&left.len()), "{:?}", statuses(&replies));
    });
}

#[test]
fn c3_totp_is_set_up_once() {
    on_both(async |backend| {
        let server = TestApp::start(backend, FREE).await;
        let user_id = account(&server, ADA).await;
        let mut requests = Vec::new();
        for _ in 0..3 {
            let mut client = entered(&server, ADA).await;
            prove(&mut client).await;
            let app = offered(&mut client).await;
            for _ in 0..2 {
                requests.push(post(&client, TOTP, json!({ "code": app.code(&server) })));
            }
        }
        let replies = at_once(requests).await;
        assert_eq!(statuses(&replies).get(&200), Some(&1), "{:?}", statuses(&replies));
        assert_eq!(stored(&server, user_id).await.len(), 2);
    });
}

#[test]
fn c3_wrong_codes_at_once_are_counted_one_by_one() {
    on_both(async |backend| {
        let limits = "account.rate_limits = { login_failed = '5/5m/key', login = '1000/m/ip' }";
        let server = TestApp::start(backend, limits).await;
        let (app, _) = protected(&server, ADA).await;
        let client = half_way(server.app(), ADA).await;
        let guess = json!({ "code": app.wrong(&server) });
        let replies = at_once((0..12).map(|_| post(&client, AUTHENTICATE, guess.clone())).collect()).await;
        let looked_at = replies.iter().filter(|reply| reply.errors() == [("code", "incorrect_code")]).count();
        assert_eq!((looked_at, statuses(&replies)[&400]), (5, 12));
    });
}
