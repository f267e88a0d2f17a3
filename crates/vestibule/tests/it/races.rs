//! Many requests at once: what works once works once, limits are exact, and nobody waits for ever (C3, E2).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vestibule_base::vals;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use super::codes::{Flow, OTHER, PASSWORD, account, addresses, entered, login, reset_key};

/// A request to be made: who, how, where, what.
type Request = (Client, Method, &'static str, Value);

const FREE: &str = "account.rate_limits = false";

/// Makes all requests at once, each by a clone of its client. The answers are in the order of the requests.
///
/// # Panics
/// If one of them waits for another for ever, or fails with a 5xx.
pub(super) async fn at_once(requests: Vec<Request>) -> Vec<Reply> {
    let mut under_way = JoinSet::new();
    for (number, (mut client, method, path, body)) in requests.into_iter().enumerate() {
        under_way.spawn(async move { (number, client.call(method, path).json(&body).send().await) });
    }
    let all = tokio::time::timeout(Duration::from_secs(30), under_way.join_all()).await;
    let replies: BTreeMap<usize, Reply> = all.expect("no deadlock").into_iter().collect();
    let replies: Vec<Reply> = replies.into_values().collect();
    for reply in &replies {
        assert!(reply.status < 500, "{reply}");
    }
    replies
}

pub(super) fn post(client: &Client, path: &'static str, body: Value) -> Request {
    (client.clone(), Method::POST, path, body)
}

/// How often each status was answered.
pub(super) fn statuses(replies: &[Reply]) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for reply in replies {
        *counted.entry(reply.status).or_default() += 1;
    }
    counted
}

impl Flow {
    fn request(self, client: &Client, code: &str) -> Request {
        match self {
            Self::Email => post(client, "auth/email/verify", json!({ "key": code })),
            Self::Phone => post(client, "auth/phone/verify", json!({ "code": code })),
            Self::Login => post(client, "auth/code/confirm", json!({ "code": code })),
            Self::Reset => post(client, "auth/password/reset", json!({ "key": code, "password": OTHER })),
        }
    }
}

#[test]
fn c3_a_code_used_by_many_at_once_works_once() {
    on_both(async |backend| {
        for flow in Flow::ALL {
            let app = TestApp::start(backend, flow.settings()).await;
            let client = flow.begin(&app, 1).await;
            let code = app.code_for(&flow.address(1)).await;
            let replies = at_once(vec![flow.request(&client, &code); 20]).await;
            let seen = statuses(&replies);
            assert_eq!(seen.get(&flow.done()), Some(&1), "{flow:?}: {seen:?}");
            // The others come too late for the code, or even for the session.
            assert!(seen.keys().all(|status| [flow.done(), 409, 410].contains(status)), "{flow:?}: {seen:?}");
        }
    });
}

#[test]
fn c3_a_verification_link_used_by_many_at_once_works_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        own.post("account/email", json!({ "email": "b@example.org" })).await.expect(200);
        let key = app.link_key_for("b@example.org").await;
        let replies = at_once(vec![post(&own, "auth/email/verify", json!({ "key": key })); 20]).await;
        assert_eq!(statuses(&replies), BTreeMap::from([(200, 1), (400, 19)]));
        assert!(addresses(&mut own).await[1].1);
    });
}

#[test]
fn c3_a_verification_link_logs_in_once() {
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, login_on_email_confirmation = true }";
        let app = TestApp::start(backend, settings).await;
        let mut client = app.app();
        let new = json!({ "email": "a@example.org", "password": PASSWORD });
        client.post("auth/signup", new).await.expect(401);
        let key = app.link_key_for("a@example.org").await;
        let replies = at_once(vec![post(&client, "auth/email/verify", json!({ "key": key })); 20]).await;
        assert_eq!(statuses(&replies).get(&200), Some(&1), "{:?}", statuses(&replies));
    });
}

#[test]
fn c3_a_reset_key_used_by_many_at_once_works_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        let password = |number| format!("{OTHER} {number}");
        let reset = |number| {
            post(&app.app(), "auth/password/reset", json!({ "key": key, "password": password(number) }))
        };
        let replies = at_once((0..20).map(reset).collect()).await;
        assert_eq!(statuses(&replies), BTreeMap::from([(401, 1), (400, 19)]));
        let winner = replies.iter().position(|reply| reply.status == 401).expect("a winner");
        for number in 0..20 {
            let status = if number == winner { 200 } else { 400 };
            login(&mut app.app(), "a@example.org", &password(number)).await.expect(status);
        }
    });
}

#[test]
fn c3_several_reset_keys_of_one_account_used_at_once_work_once_together() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        for round in 0..3 {
            let email = format!("a{round}@example.org");
            account(&app, &email).await;
            let mut requests = Vec::new();
            for _ in 0..4 {
                let key = reset_key(&app, &email).await;
                let body = json!({ "key": key, "password": OTHER });
                requests.extend(vec![post(&app.app(), "auth/password/reset", body); 3]);
            }
            let replies = at_once(requests).await;
            assert_eq!(statuses(&replies), BTreeMap::from([(401, 1), (400, 11)]));
        }
    });
}

#[test]
fn c3_no_more_guesses_at_once_than_one_after_the_other() {
    on_both(async |backend| {
        for flow in Flow::ALL {
            let app = TestApp::start(backend, flow.settings()).await;
            let mut client = flow.begin(&app, 1).await;
            let code = app.code_for(&flow.address(1)).await;
            let guesses = (0..50).map(|guess| flow.request(&client, &format!("{guess:08}"))).collect();
            let replies = at_once(guesses).await;
            let seen = statuses(&replies);
            assert_eq!(seen, BTreeMap::from([(400, 3), (409, 47)]), "{flow:?}");
            flow.confirm(&mut client, &code).await.expect(409);
        }
    });
}

#[test]
fn c3_guesses_do_not_outrun_a_code_that_is_sent_again() {
    on_both(async |backend| {
        for (flow, resend) in [
            (Flow::Email, "auth/email/verify/resend"),
            (Flow::Phone, "auth/phone/verify/resend"),
            (Flow::Login, "auth/code/resend"),
        ] {
            let app = TestApp::start(backend, flow.settings()).await;
            for person in 1..=2 {
                let client = flow.begin(&app, person).await;
                let mut requests = Vec::new();
                for guess in 0..20 {
                    requests.push(flow.request(&client, &format!("{guess:08}")));
                    requests.push(post(&client, resend, Value::Null));
                }
                let seen = statuses(&at_once(requests).await);
                assert!(seen.get(&200).is_none_or(|sent| *sent <= 5), "{flow:?}: {seen:?}");
                let mut tried = seen.get(&400).copied().unwrap_or_default();
                let mut client = client;
                while flow.confirm(&mut client, "WRNG-CDXX").await.status == 400 {
                    tried += 1;
                }
                assert_eq!(tried, 3, "{flow:?}: {seen:?}");
            }
        }
    });
}

/// A session that asks for a code of its own account and, at the same moment, for one of a victim's must never hold the
/// victim's login together with its own account's code.
#[test]
fn c3_a_code_that_is_sent_again_never_opens_another_account() {
    on_both(async |backend| {
        let flow = Flow::Login;
        let app = TestApp::start(backend, flow.settings()).await;
        account(&app, "victim@example.org").await;
        let mut first = flow.begin(&app, 1).await;
        for _ in 0..10 {
            let own = json!({ "email": "person1@example.org" });
            first.post("auth/code/request", own).await.expect(401);
            let mut requests = vec![post(&first, "auth/code/resend", Value::Null); 5];
            requests.push(post(&first, "auth/code/request", json!({ "email": "victim@example.org" })));
            at_once(requests).await;
            let code = app.code_for("person1@example.org").await;
            let reply = flow.confirm(&mut first.clone(), &code).await;
            if reply.status == 200 {
                assert_eq!(reply.data()["user"]["email"], "person1@example.org");
                first = app.app();
            }
        }
    });
}

#[test]
fn c3_asking_for_codes_at_once_leaves_one() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Login.settings()).await;
        let client = Flow::Login.begin(&app, 1).await;
        let email = json!({ "email": "person1@example.org" });
        let mut requests = vec![post(&client, "auth/code/request", email.clone()); 10];
        requests.extend(vec![post(&client, "auth/password/request", email); 10]);
        let replies = at_once(requests).await;
        assert_eq!(statuses(&replies), BTreeMap::from([(401, 20)]));
        let mut working = 0;
        for message in app.messages_for("person1@example.org").await {
            let code = message.content.code.expect("a code");
            // A clone of the state before: each code is tried, three wrong ones end the flow.
            working += usize::from(Flow::Login.confirm(&mut client.clone(), &code).await.status == 200);
        }
        assert!(working <= 1, "{working}");
    });
}

/// Twice `limit` requests and more at once, from several instances and one network: `limit` pass.
async fn limit_holds(instances: &[&TestApp], limit: usize) {
    let mut requests = Vec::new();
    for number in 0..50 {
        let app = instances[number % instances.len()];
        let client = app.app().from_ip(IpAddr::from([203, 0, 113, 7]));
        let body = json!({ "email": format!("unknown{number}@example.org"), "password": PASSWORD });
        requests.push(post(&client, "auth/login", body));
    }
    let seen = statuses(&at_once(requests).await);
    assert_eq!(seen.get(&400).copied().unwrap_or_default(), limit, "{seen:?}");
    assert_eq!(seen[&429], 50 - limit, "{seen:?}");
}

#[test]
fn e2_limits_are_exact_at_once_over_instances_and_restarts() {
    on_both(async |backend| {
        let settings = "account.rate_limits = { login = '10/m/ip', login_failed = false }";
        let one = TestApp::start(backend, settings).await;
        limit_holds(&[&one], 10).await;
        one.pass(60);
        let two = one.second().await;
        limit_holds(&[&one, &two], 10).await;
        one.vestibule.close().await;
        two.vestibule.close().await;
        let restarted = two.second().await;
        limit_holds(&[&restarted], 0).await;
        restarted.pass(59);
        limit_holds(&[&restarted], 0).await;
        restarted.pass(1);
        limit_holds(&[&restarted], 10).await;
    });
}

#[test]
fn e2_failed_logins_at_once_are_counted_one_by_one() {
    on_both(async |backend| {
        let settings = "account.rate_limits = { login = false, login_failed = '5/5m/key' }";
        let one = TestApp::start(backend, settings).await;
        let two = one.second().await;
        account(&one, "a@example.org").await;
        let mut requests = Vec::new();
        for number in 0..50_u8 {
            let app = if number.is_multiple_of(2) { &one } else { &two };
            let client = app.app().from_ip(IpAddr::from([203, 0, 113, number]));
            let body = json!({ "email": "a@example.org", "password": format!("guess {number}") });
            requests.push(post(&client, "auth/login", body));
        }
        let replies = at_once(requests).await;
        let tried = replies
            .iter()
            .filter(|reply| reply.errors() == [("password", "email_password_mismatch")])
            .count();
        assert_eq!(tried, 5, "{:?}", statuses(&replies));
        login(&mut one.app(), "a@example.org", PASSWORD).await.expect(400);
    });
}

#[test]
fn e2_each_window_of_a_rule_counts_for_itself() {
    on_both(async |backend| {
        let settings = "account.rate_limits = { login = '5/m/ip,8/h/ip', login_failed = false }";
        let one = TestApp::start(backend, settings).await;
        limit_holds(&[&one], 5).await;
        one.pass(60);
        limit_holds(&[&one], 3).await;
        one.pass(3600);
        limit_holds(&[&one], 5).await;
    });
}

#[test]
fn h2_of_two_password_changes_at_once_one_wins() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        for round in 0..3 {
            let email = format!("a{round}@example.org");
            account(&app, &email).await;
            let (one, two) = (entered(&app, &email).await, entered(&app, &email).await);
            let password = |number| format!("the password of client {number}");
            let change = |client: &Client, number| {
                let body = json!({ "current_password": PASSWORD, "new_password": password(number) });
                post(client, "account/password/change", body)
            };
            let replies = at_once(vec![change(&one, 0), change(&two, 1)]).await;
            let won: Vec<bool> = replies.iter().map(|reply| reply.status == 200).collect();
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "{:?}", statuses(&replies));
            for (number, mut client) in [(0, one), (1, two)] {
                let status = if won[number] { 200 } else { 400 };
                login(&mut app.app(), &email, &password(number)).await.expect(status);
                // The tokens from before are worthless on both sides.
                let reply = client.get("auth/session").await;
                assert!([401, 410].contains(&reply.status), "{reply}");
                let new = replies[number].json["meta"]["session_token"].as_str();
                assert_eq!(new.is_some(), won[number]);
                if let Some(new) = new {
                    client.set_token(Some(new));
                    client.get("auth/session").await.expect(200);
                }
            }
        }
    });
}

#[test]
fn h2_nobody_who_logs_in_during_a_reset_stays() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        for round in 0..3 {
            let email = format!("a{round}@example.org");
            account(&app, &email).await;
            let key = reset_key(&app, &email).await;
            let old = json!({ "email": email, "password": PASSWORD });
            let mut requests = vec![post(&app.app(), "auth/login", old); 8];
            requests
                .insert(4, post(&app.app(), "auth/password/reset", json!({ "key": key, "password": OTHER })));
            for reply in at_once(requests).await {
                let mut client = app.app();
                client.set_token(reply.json["meta"]["session_token"].as_str());
                let reply = client.get("auth/session").await;
                assert!([401, 410].contains(&reply.status), "{reply}");
            }
        }
    });
}

#[test]
fn h7_addresses_deleted_and_chosen_at_once_leave_one_primary() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        for round in 0..3 {
            let (first, second) = (format!("a{round}@example.org"), format!("b{round}@example.org"));
            account(&app, &first).await;
            let mut own = entered(&app, &first).await;
            own.post("account/email", json!({ "email": second })).await.expect(200);
            let key = app.link_key_for(&second).await;
            own.post("auth/email/verify", json!({ "key": key })).await.expect(200);
            let mut requests = Vec::new();
            for _ in 0..4 {
                for email in [&first, &second] {
                    let choose = json!({ "email": email, "primary": true });
                    requests.push((own.clone(), Method::PATCH, "account/email", choose));
                    requests.push((own.clone(), Method::DELETE, "account/email", json!({ "email": email })));
                }
            }
            let seen = statuses(&at_once(requests).await);
            let left = addresses(&mut own).await;
            assert_eq!(left.iter().filter(|row| row.2).count(), 1, "{left:?} {seen:?}");
            assert!(left.iter().any(|row| row.1), "{left:?}");
        }
    });
}

#[test]
fn c5_an_address_added_many_times_at_once_is_added_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        let add = post(&own, "account/email", json!({ "email": "b@example.org" }));
        let replies = at_once(vec![add; 20]).await;
        assert_eq!(statuses(&replies), BTreeMap::from([(200, 1), (400, 19)]));
        assert_eq!(addresses(&mut own).await.len(), 2);
    });
}

#[test]
fn c5_of_two_accounts_that_prove_one_address_at_once_one_gets_it() {
    on_both(async |backend| {
        let settings =
            "[account]\nrate_limits = false\nemail_verification = 'optional'\nlogin_by_code_enabled = true";
        let app = TestApp::start(backend, settings).await;
        for round in 0..4 {
            let (shared, second) = (format!("s{round}@example.org"), format!("b{round}@example.org"));
            let mut one = app.app();
            one.post("auth/signup", json!({ "email": shared, "password": PASSWORD })).await.expect(200);
            let mut link = app.link_key_for(&shared).await;
            account(&app, &second).await;
            let mut two = entered(&app, &second).await;
            two.post("account/email", json!({ "email": shared })).await.expect(200);
            let other = app.link_key_for(&shared).await;
            let mut requests = Vec::new();
            if round % 2 == 0 {
                // The first account proves it by a login code.
                let mut client = app.app();
                client.post("auth/code/request", json!({ "email": shared })).await.expect(401);
                link = app.code_for(&shared).await;
                requests.push(post(&client, "auth/code/confirm", json!({ "code": link })));
            } else {
                requests.push(post(&one, "auth/email/verify", json!({ "key": link })));
            }
            requests.push(post(&two, "auth/email/verify", json!({ "key": other })));
            at_once(requests).await;
            let mut conn = app.db.read().await.expect("a connection");
            let rows = vestibule_base::storage::emails::with_address(&mut conn, &shared).await.expect("rows");
            assert_eq!(rows.iter().filter(|row| row.verified).count(), 1, "{rows:?}");
        }
    });
}

/// All that an account can do to itself, at once, from several sessions.
#[test]
fn c3_a_mixed_load_on_one_account_does_not_lock_up() {
    on_both(async |backend| {
        let settings = "[account]\nrate_limits = false\nlogin_by_code_enabled = true\n\
                        password_reset_by_code_enabled = true\nemail_verification_by_code_enabled = true";
        let app = TestApp::start(backend, settings).await;
        account(&app, "a@example.org").await;
        for _ in 0..2 {
            app.vestibule.users().set_password(1, super::codes::password(PASSWORD)).await.expect("a user");
            let email = json!({ "email": "a@example.org" });
            let mut requests = Vec::new();
            for number in 0..8 {
                let own = entered(&app, "a@example.org").await;
                let (mut by_code, mut resetting) = (app.app(), app.app());
                by_code.post("auth/code/request", email.clone()).await.expect(401);
                let code = app.code_for("a@example.org").await;
                resetting.post("auth/password/request", email.clone()).await.expect(401);
                let key = app.code_for("a@example.org").await;
                let new = json!({ "email": format!("new{number}@example.org") });
                let mut adding = entered(&app, "a@example.org").await;
                adding.post("account/email", new.clone()).await;
                let proof = app.messages_for(&format!("new{number}@example.org")).await;
                let proof = proof.first().and_then(|message| message.content.code.clone());
                let change = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
                requests.extend([
                    post(&by_code, "auth/code/confirm", json!({ "code": code })),
                    post(&resetting, "auth/password/reset", json!({ "key": key, "password": PASSWORD })),
                    post(&adding, "auth/email/verify", json!({ "key": proof.unwrap_or_default() })),
                    post(&own, "account/password/change", change),
                    post(&own, "account/email", new.clone()),
                    (own.clone(), Method::DELETE, "account/email", new.clone()),
                    post(&own, "auth/reauthenticate", json!({ "password": PASSWORD })),
                    post(&app.app(), "auth/login", json!({ "email": "a@example.org", "password": PASSWORD })),
                    post(&app.app(), "auth/code/request", email.clone()),
                    post(&app.app(), "auth/password/request", email.clone()),
                    (by_code.clone(), Method::DELETE, "auth/session", Value::Null),
                ]);
            }
            assert_eq!(requests.len(), 88);
            at_once(requests).await;
        }
        login(&mut app.app(), "a@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn c3_of_two_accounts_that_prove_one_number_at_once_one_has_it() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Phone.settings()).await;
        for round in 0..4 {
            let number = format!("+3162000000{round}");
            // The first signs up with the number, the others want it in place of theirs.
            let mut contenders = vec![app.app()];
            contenders[0]
                .post("auth/signup", json!({ "phone": number, "password": PASSWORD }))
                .await
                .expect(401);
            let mut codes = vec![app.code_for(&number).await];
            for other in 0..3 {
                let own = format!("+316300000{round}{other}");
                let mut client = app.app();
                client.post("auth/signup", json!({ "phone": own, "password": PASSWORD })).await.expect(401);
                let code = app.code_for(&own).await;
                client.post("auth/phone/verify", json!({ "code": code })).await.expect(200);
                client.post("account/phone", json!({ "phone": number })).await.expect(202);
                codes.push(app.code_for(&number).await);
                contenders.push(client);
            }
            let requests = contenders.iter().zip(&codes);
            let requests = requests.map(|(client, code)| Flow::Phone.request(client, code)).collect();
            let seen = statuses(&at_once(requests).await);
            assert_eq!(seen, BTreeMap::from([(200, 1), (400, 3)]));
            let mut conn = app.db.read().await.expect("a connection");
            let proved = "SELECT user_id FROM phones WHERE phone = $1 AND verified = 1";
            assert_eq!(conn.all(proved, vals![number.as_str()]).await.expect("rows").len(), 1);
        }
    });
}

#[test]
fn c3_a_change_of_number_proved_many_times_at_once_is_made_once() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Phone.settings()).await;
        let mut own = Flow::Phone.begin(&app, 1).await;
        let code = app.code_for(&Flow::Phone.address(1)).await;
        Flow::Phone.confirm(&mut own, &code).await.expect(200);
        own.post("account/phone", json!({ "phone": Flow::Phone.address(2) })).await.expect(202);
        let code = app.code_for(&Flow::Phone.address(2)).await;
        let seen = statuses(&at_once(vec![Flow::Phone.request(&own, &code); 20]).await);
        assert_eq!(seen, BTreeMap::from([(200, 1), (409, 19)]));
    });
}
