//! Accounts taken before they exist, addresses that collide, and ways in that must not be lost (H1, H2, H5, H6, H7).

#![expect(clippy::expect_used, reason = "a panic is how a test says that it failed")]

use std::collections::BTreeMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use vestibule::NewUser;
use vestibule_base::storage::emails::{self, Email};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::on_both;

use super::codes::{Flow, OTHER, PASSWORD, account, addresses, entered, login, password, reset, reset_key};
use super::races::{at_once, post, statuses};

const FREE: &str = "account.rate_limits = false";
const VICTIM: &str = "victim@example.org";
const EVIL: &str = "evil@example.org";

async fn signup(app: &TestApp, email: &str, password: &str) -> (Client, Reply) {
    let mut client = app.app();
    let reply = client.post("auth/signup", json!({ "email": email, "password": password })).await;
    (client, reply)
}

/// The rows of an address, of whatever accounts.
async fn holders(app: &TestApp, email: &str) -> Vec<Email> {
    let mut conn = app.db.read().await.expect("a connection");
    emails::with_address(&mut conn, email).await.expect("rows")
}

/// Whether a client has no session any more.
async fn is_out(client: &mut Client) -> bool {
    [401, 410].contains(&client.get("auth/session").await.status)
}

/// How the owner of an address proves it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    LoginCode,
    ResetLink,
    ResetCode,
}

impl Proof {
    const ALL: [Self; 3] = [Self::LoginCode, Self::ResetLink, Self::ResetCode];

    pub(super) fn settings(self, by_code: bool) -> String {
        let reset = matches!(self, Self::ResetCode);
        format!(
            "[account]
             rate_limits = false
             email_verification = 'optional'
             login_by_code_enabled = true
             email_verification_by_code_enabled = {by_code}
             password_reset_by_code_enabled = {reset}"
        )
    }

    pub(super) async fn give(self, app: &TestApp, email: &str) {
        let mut owner = app.app();
        match self {
            Self::LoginCode => {
                owner.post("auth/code/request", json!({ "email": email })).await.expect(401);
                let code = app.code_for(email).await;
                let reply = owner.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
                assert_eq!(reply.data()["user"]["has_usable_password"], false);
            }
            Self::ResetLink => {
                let key = reset_key(app, email).await;
                reset(app, &key).await.expect(401);
            }
            Self::ResetCode => {
                owner.post("auth/password/request", json!({ "email": email })).await.expect(401);
                let key = app.code_for(email).await;
                let new = json!({ "key": key, "password": OTHER });
                owner.post("auth/password/reset", new).await.expect(401);
            }
        }
    }
}

#[test]
fn h1_what_was_set_up_before_the_owner_proved_the_address_is_thrown_away() {
    on_both(async |backend| {
        for proof in Proof::ALL {
            for by_code in [false, true] {
                let app = TestApp::start(backend, &proof.settings(by_code)).await;
                let (mut attacker, reply) = signup(&app, VICTIM, PASSWORD).await;
                reply.expect(200);
                attacker.post("account/email", json!({ "email": EVIL })).await.expect(200);
                let key = if by_code { app.code_for(EVIL).await } else { app.link_key_for(EVIL).await };
                proof.give(&app, VICTIM).await;

                assert!(is_out(&mut attacker.clone()).await, "{proof:?}");
                let reply = attacker.post("auth/email/verify", json!({ "key": key })).await;
                assert!([400, 401, 409, 410].contains(&reply.status), "{proof:?}: {reply}");
                login(&mut app.app(), VICTIM, PASSWORD).await.expect(400);
                let left = app.vestibule.users().find(VICTIM).await.expect("an account").emails;
                assert_eq!(left.len(), 1, "{proof:?}: {left:?}");
                assert!(left[0].email == VICTIM && left[0].primary, "{left:?}");
                // A reset link proves the address to us, but verifies it no more than the reference's does.
                assert_eq!(left[0].verified, !matches!(proof, Proof::ResetLink), "{proof:?}");
                assert!(holders(&app, EVIL).await.is_empty());
                if !matches!(proof, Proof::LoginCode) {
                    login(&mut app.app(), VICTIM, OTHER).await.expect(200);
                }
            }
        }
    });
}

#[test]
fn h1_a_link_that_is_followed_elsewhere_ends_what_was_open() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &Proof::LoginCode.settings(false)).await;
        let (mut attacker, reply) = signup(&app, VICTIM, PASSWORD).await;
        reply.expect(200);
        let first = app.link_key_for(VICTIM).await;
        attacker.post("account/email", json!({ "email": EVIL })).await.expect(200);
        let evil = app.link_key_for(EVIL).await;
        app.app().post("auth/email/verify", json!({ "key": first })).await.expect(401);
        assert!(is_out(&mut attacker).await);
        app.app().post("auth/email/verify", json!({ "key": evil })).await.expect(400);
        let left = app.vestibule.users().find(VICTIM).await.expect("an account").emails;
        assert!(left.len() == 1 && left[0].verified, "{left:?}");
    });
}

#[test]
fn h1_proving_a_further_address_of_a_proved_account_ends_nothing() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &Proof::LoginCode.settings(false)).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        for email in ["b@example.org", "c@example.org"] {
            own.post("account/email", json!({ "email": email })).await.expect(200);
        }
        let key = app.link_key_for("b@example.org").await;
        app.app().post("auth/email/verify", json!({ "key": key })).await.expect(401);
        own.get("auth/session").await.expect(200);
        assert_eq!(
            addresses(&mut own).await.iter().map(|row| row.1).collect::<Vec<_>>(),
            [true, true, false]
        );
        login(&mut app.app(), "a@example.org", PASSWORD).await.expect(200);
    });
}

/// An address that nobody has proved, beside others, may be a stranger's: no way in leads through it.
#[test]
fn h1_an_unproved_address_beside_others_opens_nothing() {
    on_both(async |backend| {
        for proof in [Proof::ResetLink, Proof::ResetCode] {
            let app = TestApp::start(backend, &proof.settings(false)).await;
            account(&app, "a@example.org").await;
            let mut own = entered(&app, "a@example.org").await;
            own.post("account/email", json!({ "email": EVIL })).await.expect(200);
            let before = app.messages_for(EVIL).await.len();
            let mut stranger = app.app();
            stranger.post("auth/code/request", json!({ "email": EVIL })).await.expect(401);
            stranger.post("auth/password/request", json!({ "email": EVIL })).await;
            let mails = app.messages_for(EVIL).await;
            assert_eq!(mails.len(), before + 2);
            for mail in &mails[..2] {
                assert_eq!(mail.content.code, None, "{mail:?}");
                assert!(mail.content.link.as_deref().is_none_or(|link| !link.contains("reset")), "{mail:?}");
            }
        }
    });
}

#[test]
fn h1_a_code_on_top_of_the_password_keeps_it() {
    on_both(async |backend| {
        let settings = "[account]\nrate_limits = false\nemail_verification = 'optional'\n\
                        login_by_code_enabled = true\nlogin_by_code_required = ['password']";
        let app = TestApp::start(backend, settings).await;
        let new = NewUser {
            email: Some("a@example.org".to_owned()),
            password: Some(password(PASSWORD)),
            ..NewUser::default()
        };
        app.vestibule.users().create(new).await.expect("an account");
        for _ in 0..2 {
            let mut client = app.app();
            login(&mut client, "a@example.org", PASSWORD).await.expect(401);
            let code = app.code_for("a@example.org").await;
            client.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
        }
    });
}

/// Everything that may be open for an account.
struct Open {
    app: Client,
    browser: Client,
    login: Client,
    login_code: String,
    verify_link: String,
    reset_link: String,
}

impl Open {
    async fn all(app: &TestApp, email: &str) -> Self {
        let mut browser = app.browser();
        login(&mut browser, email, PASSWORD).await.expect(200);
        let mut session = entered(app, email).await;
        session.post("account/email", json!({ "email": "further@example.org" })).await.expect(200);
        let verify_link = app.link_key_for("further@example.org").await;
        let mut login = app.app();
        login.post("auth/code/request", json!({ "email": email })).await.expect(401);
        let login_code = app.code_for(email).await;
        let reset_link = reset_key(app, email).await;
        Self { app: session, browser, login, login_code, verify_link, reset_link }
    }

    async fn assert_closed(mut self, app: &TestApp) {
        assert!(is_out(&mut self.app).await && is_out(&mut self.browser).await);
        let reply = self.login.post("auth/code/confirm", json!({ "code": self.login_code })).await;
        reply.expect(409);
        assert!(!self.login.get("auth/session").await.is_pending("login_by_code"));
        app.app().post("auth/email/verify", json!({ "key": self.verify_link })).await.expect(400);
        reset(app, &self.reset_link).await.expect(400);
    }
}

const OPEN: &str = "account = { rate_limits = false, login_by_code_enabled = true }";

#[test]
fn h2_a_reset_ends_all_else() {
    on_both(async |backend| {
        let app = TestApp::start(backend, OPEN).await;
        account(&app, "a@example.org").await;
        let open = Open::all(&app, "a@example.org").await;
        let key = reset_key(&app, "a@example.org").await;
        reset(&app, &key).await.expect(401);
        open.assert_closed(&app).await;
    });
}

#[test]
fn h2_a_change_ends_all_but_the_own_session() {
    on_both(async |backend| {
        let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
        let app = TestApp::start(backend, OPEN).await;
        account(&app, "a@example.org").await;
        let open = Open::all(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        let mut before = own.clone();
        own.post("account/password/change", change.clone()).await.expect(200);
        open.assert_closed(&app).await;
        own.get("auth/session").await.expect(200);
        assert!(is_out(&mut before).await, "the token changes");

        let settings = "account = { rate_limits = false, login_by_code_enabled = true, logout_on_password_change = true }";
        let app = TestApp::start(backend, settings).await;
        account(&app, "a@example.org").await;
        let open = Open::all(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        own.post("account/password/change", change).await.expect(401);
        open.assert_closed(&app).await;
        assert!(is_out(&mut own).await);
    });
}

#[test]
fn h2_a_new_password_ends_codes_that_are_awaited() {
    on_both(async |backend| {
        for flow in [Flow::Email, Flow::Phone, Flow::Login, Flow::Reset] {
            let app = TestApp::start(backend, flow.settings()).await;
            let mut waiting = flow.begin(&app, 1).await;
            let code = app.code_for(&flow.address(1)).await;
            let users = app.vestibule.users();
            let id = users.list(1, None).await.expect("users")[0].id;
            if matches!(flow, Flow::Phone) {
                users.set_password(id, password(OTHER)).await.expect("a new password");
            } else {
                let mut owner = app.app();
                let email = json!({ "email": flow.address(1) });
                owner.post("auth/password/request", email).await.expect(401);
                let key = app.code_for(&flow.address(1)).await;
                let new = json!({ "key": key, "password": OTHER });
                owner.post("auth/password/reset", new).await.expect(401);
            }
            flow.confirm(&mut waiting, &code).await.expect(409);
        }
    });
}

#[test]
fn h5_signups_at_once_with_one_email_make_one_account() {
    on_both(async |backend| {
        for says in [false, true] {
            let app = TestApp::start(
                backend,
                &format!("account = {{ rate_limits = false, prevent_enumeration = {} }}", !says),
            )
            .await;
            let second = app.second().await;
            let spellings = ["new@example.org", "New@Example.ORG", " new@EXAMPLE.org "];
            let new = |number: usize| {
                let app = if number.is_multiple_of(2) { &app } else { &second };
                let new = json!({ "email": spellings[number % 3], "password": PASSWORD });
                post(&app.app(), "auth/signup", new)
            };
            let replies = at_once((0..20).map(new).collect()).await;
            let wanted =
                if says { BTreeMap::from([(401, 1), (400, 19)]) } else { BTreeMap::from([(401, 20)]) };
            assert_eq!(statuses(&replies), wanted);
            assert_eq!(holders(&app, "new@example.org").await.len(), 1);
            assert_eq!(app.vestibule.users().list(10, None).await.expect("users").len(), 1);
            let mails = app.messages_for("new@example.org").await;
            let links: Vec<_> = mails.iter().filter_map(|mail| mail.content.link.as_deref()).collect();
            let proofs = links.iter().filter(|link| link.contains("/verify-email/")).count();
            assert_eq!(proofs, 1, "{links:?}");
        }
    });
}

#[test]
fn h5_signups_at_once_with_one_username_make_one_account() {
    on_both(async |backend| {
        let settings = "[account]\nrate_limits = false\nlogin_methods = ['username']\n\
                        signup_fields = ['username*', 'email*', 'password1*']";
        let app = TestApp::start(backend, settings).await;
        let second = app.second().await;
        let new = |number: usize| {
            let app = if number.is_multiple_of(2) { &app } else { &second };
            let name = ["alice", "Alice", "ALICE"][number % 3];
            let email = format!("new{number}@example.org");
            let new = json!({ "username": name, "email": email, "password": PASSWORD });
            post(&app.app(), "auth/signup", new)
        };
        let replies = at_once((0..20).map(new).collect()).await;
        assert_eq!(statuses(&replies), BTreeMap::from([(401, 1), (400, 19)]));
        for reply in replies.iter().filter(|reply| reply.status == 400) {
            assert_eq!(reply.errors(), [("username", "username_taken")]);
        }
        assert_eq!(app.vestibule.users().list(10, None).await.expect("users").len(), 1);
    });
}

#[test]
fn h5_signups_at_once_with_one_phone_number_make_one_account() {
    on_both(async |backend| {
        let app = TestApp::start(backend, Flow::Phone.settings()).await;
        let new = json!({ "phone": "+31612345678", "password": PASSWORD });
        let requests = (0..20).map(|_| post(&app.app(), "auth/signup", new.clone())).collect();
        assert_eq!(statuses(&at_once(requests).await), BTreeMap::from([(401, 20)]));
        assert_eq!(app.vestibule.users().list(10, None).await.expect("users").len(), 1);
    });
}

/// Pairs of addresses that naive folding or normalisation makes equal. The file was made for this project.
#[derive(Debug, Deserialize)]
struct Pair {
    a: String,
    b: String,
    same_account: Value,
    want_b: String,
}

#[test]
fn h6_no_two_addresses_fold_into_one_account() {
    #[derive(Deserialize)]
    struct File {
        pairs: Vec<Pair>,
    }
    let file: File = serde_json::from_str(include_str!("../vectors/email_pairs.json")).expect("vectors");
    assert_eq!(file.pairs.len(), 19);
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, prevent_enumeration = false }";
        for pair in &file.pairs {
            let app = TestApp::start(backend, settings).await;
            let refused_before = verdict(&app, &pair.b).await;
            let new = NewUser {
                email: Some(pair.a.clone()),
                password: Some(password(PASSWORD)),
                verified: true,
                ..NewUser::default()
            };
            let stored = app.vestibule.users().create(new).await.map(|user| user.emails[0].email.clone());
            let refused = verdict(&app, &pair.b).await;
            assert_eq!(refused, refused_before, "{pair:?}: whether or not a is stored");
            // U-labels are accepted, so that the pair of one name in both forms is one account.
            let same = pair.same_account != false;
            match pair.want_b.as_str() {
                "accepted" => assert!(!refused, "{pair:?}"),
                "refused as invalid, or stored in A-label form (xn--...)" => {}
                _ => assert!(refused, "{pair:?}"),
            }
            let Ok(stored) = stored else {
                assert!(refused, "{pair:?}");
                continue;
            };
            let by_b = login(&mut app.app(), &pair.b, PASSWORD).await;
            assert_eq!(by_b.status, if same { 200 } else { 400 }, "{pair:?}: {by_b}");
            app.app().post("auth/password/request", json!({ "email": pair.b })).await;
            let mails = app.messages_for(&stored).await.len();
            assert_eq!(mails, usize::from(same), "{pair:?}: mail to the address as stored");
            let all = vestibule_base::delivery::mailbox::list(&app.db).await.expect("the mailbox");
            assert_eq!(all.len(), mails, "{pair:?}: {all:?}");
            let (_, reply) = signup(&app, &pair.b, PASSWORD).await;
            if same {
                assert_eq!(reply.expect(400).errors(), [("email", "email_taken")], "{pair:?}");
            } else if !refused {
                reply.expect(401);
                assert_eq!(holders(&app, &stored).await.len(), 1, "{pair:?}");
            }
        }
    });
}

/// Whether an address is refused as none.
async fn verdict(app: &TestApp, email: &str) -> bool {
    // With a weak password nothing is made of it.
    let (_, reply) = signup(app, email, "short").await;
    reply.expect(400).errors().contains(&("email", "invalid"))
}

async fn add_and_prove(app: &TestApp, own: &mut Client, email: &str) {
    own.post("account/email", json!({ "email": email })).await.expect(200);
    let key = app.link_key_for(email).await;
    own.post("auth/email/verify", json!({ "key": key })).await.expect(200);
}

async fn delete(own: &mut Client, email: &str) -> Reply {
    own.delete("account/email", json!({ "email": email })).await
}

#[test]
fn h7_the_primary_and_the_last_address_stay() {
    on_both(async |backend| {
        let app = TestApp::start(backend, FREE).await;
        account(&app, "a@example.org").await;
        let mut own = entered(&app, "a@example.org").await;
        let stays = |reply: Reply| {
            assert_eq!(reply.expect(400).errors(), [("email", "cannot_remove_primary_email")]);
        };
        stays(delete(&mut own, "a@example.org").await);
        add_and_prove(&app, &mut own, "b@example.org").await;
        stays(delete(&mut own, "a@example.org").await);
        delete(&mut own, "b@example.org").await.expect(200);
        stays(delete(&mut own, "a@example.org").await);
    });
}

#[test]
fn h7_the_only_verified_address_stays_also_when_two_are_deleted_at_once() {
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, email_verification = 'optional' }";
        let app = TestApp::start(backend, settings).await;
        for round in 0..3 {
            let name = |letter| format!("{letter}{round}@example.org");
            let (mut own, reply) = signup(&app, &name('a'), PASSWORD).await;
            reply.expect(200);
            add_and_prove(&app, &mut own, &name('b')).await;
            assert_eq!(
                delete(&mut own, &name('b')).await.expect(400).errors(),
                [("email", "cannot_remove_primary_email")]
            );
            add_and_prove(&app, &mut own, &name('c')).await;
            let remove =
                |letter| (own.clone(), Method::DELETE, "account/email", json!({ "email": name(letter) }));
            let replies = at_once(vec![remove('b'), remove('c')]).await;
            assert_eq!(statuses(&replies), BTreeMap::from([(200, 1), (400, 1)]));
            let left = addresses(&mut own).await;
            assert!(left.iter().any(|(_, verified, _)| *verified), "{left:?}");
        }
    });
}

#[test]
fn h1_an_address_goes_to_the_account_that_proves_it() {
    on_both(async |backend| {
        let app = TestApp::start(backend, &Proof::LoginCode.settings(false)).await;
        let (mut squatter, reply) = signup(&app, "shared@example.org", PASSWORD).await;
        reply.expect(200);
        let squatted = app.link_key_for("shared@example.org").await;
        let id = account(&app, "owner@example.org").await;
        let mut owner = entered(&app, "owner@example.org").await;
        add_and_prove(&app, &mut owner, "shared@example.org").await;

        let reply = app.app().post("auth/email/verify", json!({ "key": squatted })).await;
        assert_eq!(reply.expect(400).errors(), [("key", "email_taken")]);
        assert!(!addresses(&mut squatter).await[0].1);
        let rows = holders(&app, "shared@example.org").await;
        assert_eq!(rows.iter().filter(|row| row.verified).map(|row| row.user_id).collect::<Vec<_>>(), [id]);

        // From now on the address means its owner, whoever else named it first.
        let mut client = app.app();
        client.post("auth/code/request", json!({ "email": "shared@example.org" })).await.expect(401);
        let code = app.code_for("shared@example.org").await;
        let reply = client.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
        assert_eq!(reply.data()["user"]["email"], "owner@example.org");
        let before = app.messages_for("shared@example.org").await.len();
        let key = reset_key(&app, "shared@example.org").await;
        assert_eq!(app.messages_for("shared@example.org").await.len(), before + 1);
        reset(&app, &key).await.expect(401);
        login(&mut app.app(), "owner@example.org", OTHER).await.expect(200);
        login(&mut app.app(), "shared@example.org", PASSWORD).await.expect(400);
    });
}

#[test]
fn h5_without_unique_emails_accounts_may_share_an_address() {
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, unique_email = false }";
        let app = TestApp::start(backend, settings).await;
        for chosen in [PASSWORD, OTHER] {
            let (_, reply) = signup(&app, "shared@example.org", chosen).await;
            reply.expect(401);
            let key = app.link_key_for("shared@example.org").await;
            app.app().post("auth/email/verify", json!({ "key": key })).await.expect(401);
        }
        let rows = holders(&app, "shared@example.org").await;
        assert_eq!(rows.iter().filter(|row| row.verified).count(), 2);
        let mut users = Vec::new();
        for chosen in [PASSWORD, OTHER] {
            let reply = login(&mut app.app(), "shared@example.org", chosen).await.expect(200);
            users.push(reply.data()["user"]["id"].clone());
        }
        assert_ne!(users[0], users[1]);
        // Each account gets a link of its own, and the other keeps its password.
        let before = app.messages_for("shared@example.org").await.len();
        let key = reset_key(&app, "shared@example.org").await;
        assert_eq!(app.messages_for("shared@example.org").await.len(), before + 2);
        let new = json!({ "key": key, "password": "a third one, for one of them" });
        app.app().post("auth/password/reset", new).await.expect(401);
        let mut works = 0;
        for chosen in [PASSWORD, OTHER] {
            works += usize::from(login(&mut app.app(), "shared@example.org", chosen).await.status == 200);
        }
        assert_eq!(works, 1);
    });
}

#[test]
fn h5_with_strict_secrecy_an_address_is_verified_on_one_account_only() {
    on_both(async |backend| {
        let settings = "account = { rate_limits = false, email_verification = 'optional', prevent_enumeration = 'strict' }";
        let app = TestApp::start(backend, settings).await;
        let mut links = Vec::new();
        for chosen in [PASSWORD, OTHER] {
            let (_, reply) = signup(&app, "shared@example.org", chosen).await;
            reply.expect(200);
            links.push(app.link_key_for("shared@example.org").await);
        }
        assert_eq!(holders(&app, "shared@example.org").await.len(), 2);
        app.app().post("auth/email/verify", json!({ "key": links[1] })).await.expect(401);
        app.app().post("auth/email/verify", json!({ "key": links[0] })).await.expect(400);
        let rows = holders(&app, "shared@example.org").await;
        assert_eq!(rows.iter().filter(|row| row.verified).count(), 1);
        // Who signs up from now on gets an account, but neither the address nor its mail.
        let (mut late, reply) = signup(&app, "shared@example.org", "somebody else 815").await;
        reply.expect(200);
        login(&mut app.app(), "shared@example.org", OTHER).await.expect(200);
        login(&mut app.app(), "shared@example.org", "somebody else 815").await.expect(400);
        let key = reset_key(&app, "shared@example.org").await;
        reset(&app, &key).await.expect(401);
        late.get("auth/session").await.expect(200);
    });
}
