//! Accounts that third parties make or enter, and addresses that are somebody's already (H1, H3, H5, L2).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vestibule_base::storage::emails;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::Client;
use vestibule_testkit::database::on_both;
use vestibule_testkit::idp::{Idp, Person};

use super::codes::{PASSWORD, account, addresses, login};
use super::hijack::Proof;
use super::social::{BACK, FREE, ada, bob, bring, by, connected, depart, is_nobody, travel, user};
use super::social_attacks::arrive_at_once;

const VICTIM: &str = "victim@example.org";
/// With it, verified addresses of the app `idp` log in.
const TRUSTING: &str = "email_authentication = true,";

fn victim() -> Person {
    Person::verified("the-owner", VICTIM)
}

fn attacker() -> Person {
    Person::verified("the-attacker", "evil@example.org")
}

/// How the owner of an address proves that it is theirs.
#[derive(Debug, Clone, Copy)]
enum Ours {
    Here(Proof),
    AtTheProvider,
}

impl Ours {
    fn all() -> [Self; 4] {
        [
            Self::Here(Proof::LoginCode),
            Self::Here(Proof::ResetLink),
            Self::Here(Proof::ResetCode),
            Self::AtTheProvider,
        ]
    }

    fn settings(self) -> String {
        let proof = match self {
            Self::Here(proof) => proof,
            Self::AtTheProvider => Proof::ResetCode,
        };
        format!("{}{}", Idp::apps(TRUSTING), proof.settings(true))
    }

    async fn give(self, server: &TestApp, idp: &Idp) {
        match self {
            Self::Here(proof) => proof.give(server, VICTIM).await,
            Self::AtTheProvider => {
                by(server, idp, &victim()).await;
            }
        }
    }
}

#[test]
fn h1_a_squatter_s_connection_goes_when_the_owner_proves_the_address() {
    on_both(async |backend| {
        for proof in Ours::all() {
            for has_password in [true, false] {
                let idp = Idp::default();
                let server = TestApp::start_with(backend, &proof.settings(), &idp).await;
                let mut squatter = server.app();
                if has_password {
                    let new = json!({ "email": VICTIM, "password": PASSWORD });
                    squatter.post("auth/signup", new).await.expect(200);
                    bring(&mut squatter, &idp, "connect", &attacker()).await.expect(200);
                } else {
                    let claiming = Person::unverified("the-attacker", VICTIM);
                    bring(&mut squatter, &idp, "login", &claiming).await.expect(200);
                }
                let squatted = user(&mut squatter).await;
                assert_eq!(connected(&mut squatter).await, ["the-attacker"]);

                proof.give(&server, &idp).await;
                assert!(is_nobody(&mut squatter).await, "{proof:?}");
                let mut again = server.app();
                let reply = bring(&mut again, &idp, "login", &attacker()).await.expect(200);
                assert_ne!(reply.data()["user"]["id"], squatted, "{proof:?}: the connection is still there");
                if has_password {
                    login(&mut server.app(), VICTIM, PASSWORD).await.expect(400);
                }
                let mut owner = by(&server, &idp, &victim()).await;
                assert_eq!(user(&mut owner).await, squatted, "{proof:?}");
                assert_eq!(addresses(&mut owner).await, [(VICTIM.to_owned(), true, true)]);
                assert!(connected(&mut owner).await.is_empty(), "{proof:?}");
            }
        }
    });
}

#[test]
fn h1_a_squatter_s_connection_goes_when_the_owner_follows_the_link() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = format!("{FREE}account.email_verification = 'optional'");
        let server = TestApp::start_with(backend, &settings, &idp).await;
        let mut squatter = server.app();
        squatter.post("auth/signup", json!({ "email": VICTIM, "password": PASSWORD })).await.expect(200);
        let key = server.link_key_for(VICTIM).await;
        bring(&mut squatter, &idp, "connect", &attacker()).await.expect(200);
        let squatted = user(&mut squatter).await;
        let reply = server.app().post("auth/email/verify", json!({ "key": key })).await;
        assert!([200, 401].contains(&reply.status), "{reply}");
        assert!(is_nobody(&mut squatter).await);
        let mut again = server.app();
        bring(&mut again, &idp, "login", &attacker()).await.expect(200);
        assert_ne!(user(&mut again).await, squatted);
    });
}

/// Whether somebody who comes by a provider gets into the account that has their address.
async fn gets_in(server: &TestApp, idp: &Idp, person: &Person, owner: i64) -> bool {
    let mut browser = server.browser();
    travel(&mut browser, idp, "idp", "login", person).await;
    let reply = browser.get("auth/session").await;
    reply.status == 200 && reply.data()["user"]["id"] == owner
}

#[test]
fn h3_an_address_opens_no_account_unless_so_configured_and_proved_on_both_sides() {
    on_both(async |backend| {
        for (settings, apps, trusts) in [
            ("", "", false),
            ("socialaccount.email_authentication_auto_connect = true", "", false),
            ("socialaccount.email_authentication = true", "email_authentication = false,", false),
            ("socialaccount.email_authentication = true", "", true),
            ("", TRUSTING, true),
        ] {
            let idp = Idp::default();
            let server =
                TestApp::start_with(backend, &format!("{FREE}{settings}\n{}", Idp::apps(apps)), &idp).await;
            let owner = account(&server, VICTIM).await;
            let claiming = |verified: Value| {
                Person::new("somebody").claim("email", VICTIM).claim("email_verified", verified)
            };
            for lie in
                [json!(false), json!("True"), json!("false"), json!(1), json!([true]), json!({}), Value::Null]
            {
                assert!(
                    !gets_in(&server, &idp, &claiming(lie.clone()), owner).await,
                    "{settings} {apps} {lie}"
                );
            }
            let nothing = Person::new("somebody").claim("email", VICTIM);
            assert!(!gets_in(&server, &idp, &nothing, owner).await, "{settings} {apps}");
            let other = Person::verified("somebody", "victim@example.net");
            assert!(!gets_in(&server, &idp, &other.claim("sub", "somebody-else"), owner).await);
            assert_eq!(
                gets_in(&server, &idp, &claiming(json!(true)), owner).await,
                trusts,
                "{settings} {apps}"
            );
            // What the owner had stays theirs.
            let mut own = server.app();
            login(&mut own, VICTIM, PASSWORD).await.expect(200);
            assert!(connected(&mut own).await.is_empty());
        }
    });
}

#[test]
fn h3_an_address_connects_for_good_only_where_so_configured() {
    on_both(async |backend| {
        for connects in [false, true] {
            let idp = Idp::default();
            let settings = format!(
                "{FREE}account.email_notifications = true
                 socialaccount.email_authentication_auto_connect = {connects}\n{}",
                Idp::apps(TRUSTING)
            );
            let server = TestApp::start_with(backend, &settings, &idp).await;
            let owner = account(&server, VICTIM).await;
            assert!(gets_in(&server, &idp, &victim(), owner).await);
            let mut own = server.app();
            login(&mut own, VICTIM, PASSWORD).await.expect(200);
            assert_eq!(!connected(&mut own).await.is_empty(), connects);
            assert_eq!(server.messages_for(VICTIM).await.len(), usize::from(connects), "the owner is told");
            let elsewhere = Person::verified("the-owner", "elsewhere@example.org");
            assert_eq!(gets_in(&server, &idp, &elsewhere, owner).await, connects);
        }
    });
}

#[test]
fn h3_an_unproved_address_beside_a_proved_one_opens_nothing() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, &format!("{FREE}{}", Idp::apps(TRUSTING)), &idp).await;
        let squatter = account(&server, "evil@example.org").await;
        let mut own = server.app();
        login(&mut own, "evil@example.org", PASSWORD).await.expect(200);
        own.post("account/email", json!({ "email": VICTIM })).await.expect(200);
        assert!(!gets_in(&server, &idp, &victim(), squatter).await);
        login(&mut server.app(), "evil@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn h5_one_subject_that_comes_many_times_at_once_is_one_account() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        for round in 0..3 {
            let person = Person::verified(&format!("new-{round}"), &format!("new{round}@example.org"));
            let mut returns = Vec::new();
            for _ in 0..10 {
                let mut browser = server.browser();
                let page = depart(&mut browser, "idp", "login").await;
                returns.push((browser, idp.authorize(&page, &person)));
            }
            let mut ids = BTreeSet::new();
            for (mut browser, told) in arrive_at_once(returns).await {
                assert_eq!(told, BACK);
                ids.insert(user(&mut browser).await);
            }
            assert_eq!(ids.len(), 1);
        }
        assert_eq!(server.vestibule.users().list(50, None).await.expect("users").len(), 3);
    });
}

#[test]
fn h5_two_subjects_with_one_address_do_not_share_it() {
    on_both(async |backend| {
        for settings in
            ["", "socialaccount.auto_signup = false\n", "account.email_verification = 'optional'\n"]
        {
            let idp = Idp::default();
            let server = TestApp::start_with(backend, &format!("{FREE}{settings}"), &idp).await;
            for round in 0..3 {
                let email = format!("both{round}@example.org");
                let mut returns = Vec::new();
                for name in ["one", "two", "three", "four"] {
                    let mut browser = server.browser();
                    let page = depart(&mut browser, "idp", "login").await;
                    let person = Person::verified(&format!("{name}-{round}"), &email);
                    returns.push((browser, idp.authorize(&page, &person)));
                }
                let mut inside = 0;
                for (mut browser, told) in arrive_at_once(returns).await {
                    assert_eq!(told, BACK, "{settings}");
                    if settings.contains("auto_signup") {
                        let reply = browser.post("auth/provider/signup", json!({ "email": email })).await;
                        assert!([200, 400, 401].contains(&reply.status), "{reply}");
                    }
                    inside += usize::from(browser.get("auth/session").await.status == 200);
                }
                assert_eq!(inside, 1, "{settings}");
                let mut conn = server.db.read().await.expect("a connection");
                let rows = emails::with_address(&mut conn, &email).await.expect("rows");
                assert_eq!(rows.len(), 1, "{settings}: {rows:?}");
            }
        }
    });
}

#[test]
fn c3_a_signup_that_is_completed_many_times_at_once_is_completed_once() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server =
            TestApp::start_with(backend, &format!("{FREE}socialaccount.auto_signup = false"), &idp).await;
        let mut browser = server.browser();
        assert_eq!(travel(&mut browser, &idp, "idp", "login", &ada()).await, BACK);
        let body = json!({ "email": "ada@example.org" });
        let replies =
            super::races::at_once(vec![super::races::post(&browser, "auth/provider/signup", body); 10]).await;
        let seen = super::races::statuses(&replies);
        assert_eq!(seen.get(&200), Some(&1), "{seen:?}");
        assert_eq!(server.vestibule.users().list(50, None).await.expect("users").len(), 1);
    });
}

#[test]
fn l2_a_signup_that_waits_is_its_session_s_alone() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server =
            TestApp::start_with(backend, &format!("{FREE}socialaccount.auto_signup = false"), &idp).await;
        account(&server, "eve@example.org").await;
        let waits = async |browser: &mut Client| {
            let flow = browser.get("auth/session").await.is_pending("provider_signup");
            let status = browser.get("auth/provider/signup").await.status;
            assert_eq!(status, if flow { 200 } else { 409 });
            flow
        };
        let mut own = server.browser();
        assert_eq!(travel(&mut own, &idp, "idp", "login", &ada()).await, BACK);
        assert!(waits(&mut own).await);
        let shown = own.get("auth/provider/signup").await.expect(200);
        assert_eq!(shown.data()["account"]["uid"], "ada-4711");
        assert_eq!(shown.data()["email"][0]["email"], "ada@example.org");
        assert!(!waits(&mut server.browser()).await);
        let new = json!({ "email": "eve2@example.org" });
        server.browser().post("auth/provider/signup", new.clone()).await.expect(409);

        // It ends with the login of somebody else, and with time.
        let mut other = own.clone();
        login(&mut other, "eve@example.org", PASSWORD).await.expect(200);
        other.post("auth/provider/signup", new.clone()).await.expect(409);
        assert!(connected(&mut other).await.is_empty());
        other.delete("auth/session", Value::Null).await.expect(401);
        assert!(!waits(&mut other).await);
        let mut late = server.browser();
        assert_eq!(travel(&mut late, &idp, "idp", "login", &ada()).await, BACK);
        server.pass(901);
        late.post("auth/provider/signup", new.clone()).await.expect(409);

        // Another visit takes the place of the former.
        let mut third = server.browser();
        assert_eq!(travel(&mut third, &idp, "idp", "login", &ada()).await, BACK);
        assert_eq!(travel(&mut third, &idp, "idp", "login", &bob()).await, BACK);
        let shown = third.get("auth/provider/signup").await.expect(200);
        assert_eq!(shown.data()["account"]["uid"], "bob-4712");
        third.post("auth/provider/signup", json!({ "email": "bob@example.org" })).await.expect(200);
        assert_eq!(connected(&mut third).await, ["bob-4712"]);
        let mut fourth = server.browser();
        assert_eq!(travel(&mut fourth, &idp, "idp", "login", &ada()).await, BACK);
        assert_eq!(travel(&mut fourth, &idp, "idp", "login", &bob()).await, BACK);
        fourth.delete("auth/session", Value::Null).await.expect(401);
        assert!(!waits(&mut fourth).await);
    });
}

#[test]
fn a_taken_address_looks_like_a_free_one() {
    on_both(async |backend| {
        let idp = Idp::default();
        let settings = format!(
            "{FREE}account.email_verification = 'mandatory'
            account.email_verification_by_code_enabled = true"
        );
        let server = TestApp::start_with(backend, &settings, &idp).await;
        account(&server, VICTIM).await;
        let mut seen = Vec::new();
        for (sub, email) in [("one", VICTIM), ("two", "free@example.org")] {
            let mut browser = server.browser();
            let person = Person::unverified(sub, email);
            assert_eq!(travel(&mut browser, &idp, "idp", "login", &person).await, BACK);
            let session = browser.get("auth/session").await.expect(401);
            assert!(session.is_pending("verify_email"), "{session}");
            let looked = browser.get("auth/email/verify").await;
            let wrong = browser.post("auth/email/verify", json!({ "key": "BCDF-GHJK" })).await.expect(400);
            seen.push((session.json, looked.status, wrong.json));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(server.messages_for(VICTIM).await.len(), 1);
        assert!(
            server.messages_for(VICTIM).await[0].content.code.is_none(),
            "the owner gets no code to be tricked out of"
        );
        // Where the provider's word is taken for it, or none is asked for, it is no secret that nothing waits.
        for verification in ["none", "optional"] {
            let settings = format!("{settings}\nsocialaccount.email_verification = '{verification}'");
            let server = TestApp::start_with(backend, &settings, &idp).await;
            account(&server, VICTIM).await;
            let mut browser = server.browser();
            assert_eq!(
                travel(&mut browser, &idp, "idp", "login", &Person::unverified("one", VICTIM)).await,
                BACK
            );
            assert!(is_nobody(&mut browser).await);
        }
    });
}

#[test]
fn nobody_signs_up_where_signup_is_closed() {
    on_both(async |backend| {
        let idp = Idp::default();
        let server = TestApp::start_with(backend, FREE, &idp).await;
        let id = user(&mut by(&server, &idp, &ada()).await).await;
        let closed = server.second_with("account.is_open_for_signup = false").await;
        let mut browser = closed.browser();
        let told = travel(&mut browser, &idp, "idp", "login", &bob()).await;
        assert_eq!(told, "/done?error=signup_closed&error_process=login");
        assert!(is_nobody(&mut browser).await);
        bring(&mut closed.app(), &idp, "login", &bob()).await.expect(403);
        assert_eq!(user(&mut by(&closed, &idp, &ada()).await).await, id);
        assert_eq!(closed.vestibule.users().list(50, None).await.expect("users").len(), 1);
    });
}
