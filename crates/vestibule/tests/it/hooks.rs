//! What the application is asked, and what follows from its answers (L3, P3, X5). Over HTTP in `hooks_http.rs`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a panic is how a test says that it failed")]

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use vestibule::hooks::{
    HookError, HookFuture, Hooks, LoginAttempt, Problem, SignupAttempt, UserView, Verdict,
};
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::{Backend, on_both};
use vestibule_testkit::idp::{Idp, Person};

use super::codes::{OTHER, PASSWORD, account, entered, login, reset_key};
use super::mfa::{ADA, EVE};
use super::passkeys::{log_in, with_passkey};
use super::social::{bring, is_nobody, travel};
use super::webauthn;

/// Every way in at once.
const SETTINGS: &str = "
    account.rate_limits = false
    account.login_by_code_enabled = true
    account.email_verification_by_code_enabled = true
    account.login_on_password_reset = true
    socialaccount.email_authentication = true
    mfa.supported_types = ['totp', 'recovery_codes', 'webauthn']
    mfa.passkey_login_enabled = true
    mfa.passkey_signup_enabled = true
    mfa.rate_limits = false
";
const JWT: &str = "
    headless.token_strategy = 'jwt'
    headless.jwt_algorithm = 'HS256'
    headless.jwt_private_key = 'a secret of this test, long enough to sign with'
";

/// What a hook says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Say {
    #[default]
    Yes,
    /// Without a reason.
    No,
    /// For a reason.
    Because,
    /// Nothing that counts.
    Broken,
    /// Nothing at all.
    Silent,
}

impl Say {
    async fn verdict(self) -> Result<Verdict, HookError> {
        match self {
            Self::Yes => Ok(Verdict::Allow),
            Self::No => Ok(Verdict::Refuse(Vec::new())),
            Self::Because => Ok(Verdict::Refuse(vec![Problem::given("on_holiday", "Not now.").on("email")])),
            Self::Broken => Err(HookError::new("out of order")),
            Self::Silent => std::future::pending().await,
        }
    }
}

#[derive(Debug, Default)]
struct Notes {
    login: Say,
    signup: Say,
    fields: Option<Value>,
    claims: Option<Value>,
    asked: Vec<Value>,
}

/// The application.
#[derive(Debug, Clone, Default)]
struct Doorman(Arc<Mutex<Notes>>);

impl Doorman {
    fn set<T>(&self, set: impl FnOnce(&mut Notes) -> T) -> T {
        set(&mut self.0.lock().expect("notes"))
    }

    fn asked(&self) -> Vec<Value> {
        self.set(|notes| std::mem::take(&mut notes.asked))
    }

    async fn serve(&self, backend: Backend, settings: &str, idp: &Idp) -> TestApp {
        TestApp::start_asking(backend, &format!("{SETTINGS}{settings}"), idp, Arc::new(self.clone())).await
    }
}

fn members(answer: Option<Value>) -> Result<Map<String, Value>, HookError> {
    match answer {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(HookError::new("out of order")),
    }
}

impl Hooks for Doorman {
    fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
        let say = self.set(|notes| {
            notes.asked.push(json!({ "signup": attempt }));
            notes.signup
        });
        Box::pin(say.verdict())
    }

    fn before_login<'a>(&'a self, attempt: &'a LoginAttempt) -> HookFuture<'a, Verdict> {
        let say = self.set(|notes| {
            notes.asked.push(json!({ "login": attempt }));
            notes.login
        });
        Box::pin(say.verdict())
    }

    fn user_fields<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        let fields = self.set(|notes| notes.fields.clone());
        Box::pin(async move {
            let mut fields = members(fields)?;
            fields.insert("greeting".into(), format!("hello {}", user.id).into());
            Ok(fields)
        })
    }

    fn access_token_claims<'a>(&'a self, _: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        Box::pin(std::future::ready(members(self.set(|notes| notes.claims.clone()))))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Password,
    Code,
    Passkey,
    Redirect,
    Token,
    ResetLink,
    ResetCode,
}

const WAYS: [Way; 7] =
    [Way::Password, Way::Code, Way::Passkey, Way::Redirect, Way::Token, Way::ResetLink, Way::ResetCode];

/// What came of a try: a status (302 counts as what it tells of), and the code of the first error.
type Came = (u16, String);

fn came(reply: &Reply) -> Came {
    (reply.status, reply.errors().first().map(|(_, code)| (*code).to_owned()).unwrap_or_default())
}

/// Tries to enter as `ADA`; the server is asked for the first time when `say` counts.
async fn enter(way: Way, server: &TestApp, idp: &Idp, doorman: &Doorman, say: Say) -> (Client, Came) {
    let person = Person::verified("ada-4711", ADA);
    let ready = || doorman.set(|notes| (notes.login, notes.asked) = (say, Vec::new()));
    let mut client = if way == Way::Redirect { server.browser() } else { server.app() };
    let reply = match way {
        Way::Password => {
            ready();
            login(&mut client, ADA, PASSWORD).await
        }
        Way::Code => {
            client.post("auth/code/request", json!({ "email": ADA })).await.expect(401);
            let code = server.code_for(ADA).await;
            ready();
            client.post("auth/code/confirm", json!({ "code": code })).await
        }
        Way::Passkey => {
            // Of an account of its own: a key is asked for at every other way in, too.
            doorman.set(|notes| notes.login = Say::Yes);
            let (mut key, _, _) = with_passkey(server, &format!("{say:?}@example.org").to_lowercase()).await;
            ready();
            log_in(&mut key, &mut client).await
        }
        Way::Redirect => {
            ready();
            let location = travel(&mut client, idp, "idp", "login", &person).await;
            let error = location.split("error=").nth(1).and_then(|rest| rest.split('&').next());
            let status = match error {
                None => 200,
                Some("permission_denied") => 403,
                Some("unknown") => 503,
                Some(_) => 400,
            };
            let code = error.filter(|_| status == 400).unwrap_or_default().to_owned();
            return (client, (status, code));
        }
        Way::Token => {
            ready();
            bring(&mut client, idp, "login", &person).await
        }
        Way::ResetLink => {
            let key = reset_key(server, ADA).await;
            ready();
            client.post("auth/password/reset", json!({ "key": key, "password": OTHER })).await
        }
        Way::ResetCode => {
            client.post("auth/password/request", json!({ "email": ADA })).await.expect(401);
            let code = server.code_for(ADA).await;
            ready();
            client.post("auth/password/reset", json!({ "key": code, "password": OTHER })).await
        }
    };
    (client, came(&reply))
}

#[test]
fn l3_a_refused_login_is_over_by_every_way_in() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let by_link = doorman.serve(backend, "", &idp).await;
        let by_code = by_link.second_with("account.password_reset_by_code_enabled = true").await;
        let id = account(&by_link, ADA).await;
        for way in WAYS {
            let server = if way == Way::ResetCode { &by_code } else { &by_link };
            for (say, expected) in [
                (Say::Because, (400, "on_holiday".to_owned())),
                (Say::No, (403, String::new())),
                (Say::Broken, (503, String::new())),
            ] {
                let (mut client, came) = enter(way, server, &idp, &doorman, say).await;
                assert_eq!(came, expected, "{way:?} {say:?}");
                let asked = doorman.asked();
                let [asked] = asked.as_slice() else { unreachable!("{way:?} {say:?}: {asked:?}") };
                assert_eq!(asked["login"]["user"]["id"] == id, way != Way::Passkey, "{asked}");
                assert!(!asked.to_string().contains(PASSWORD), "{asked}");
                // Whatever is tried now, with an application that would say yes.
                doorman.set(|notes| notes.login = Say::Yes);
                if say != Say::Broken {
                    for (path, body) in [
                        ("auth/code/confirm", json!({ "code": "123456" })),
                        ("auth/code/resend", json!({})),
                        ("auth/email/verify", json!({ "key": "123456" })),
                        ("auth/email/verify/resend", json!({})),
                        ("auth/2fa/authenticate", json!({ "code": "123456" })),
                        ("auth/provider/signup", json!({ "email": ADA })),
                    ] {
                        let reply = client.post(path, body).await;
                        assert!([400, 401, 403, 404, 409].contains(&reply.status), "{way:?} {path}: {reply}");
                    }
                    let reply = client.get("auth/session").await.expect(401);
                    let pending = reply.data()["flows"].as_array().unwrap().iter();
                    let pending: Vec<_> = pending.filter(|flow| flow["is_pending"] == true).collect();
                    assert!(pending.iter().all(|flow| flow["id"] == "password_reset_by_code"), "{reply}");
                }
                assert!(is_nobody(&mut client).await, "{way:?} {say:?}");
                // Nothing was reset along the way.
                login(&mut server.app(), ADA, PASSWORD).await.expect(200);
            }
            // The way is open when the application says yes.
            let (_, came) = enter(way, server, &idp, &doorman, Say::Yes).await;
            assert_eq!(came.0, 200, "{way:?}");
            doorman.asked();
            if matches!(way, Way::ResetLink | Way::ResetCode) {
                let again = super::codes::password(PASSWORD);
                server.vestibule.users().set_password(id, again).await.expect("the former password");
            }
        }
    });
}

#[test]
fn l3_no_login_is_asked_for_before_its_first_proof() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, "", &idp).await;
        let (mut key, _, _) = with_passkey(&server, ADA).await;
        doorman.asked();
        login(&mut server.app(), ADA, OTHER).await.expect(400);
        login(&mut server.app(), EVE, OTHER).await.expect(400);
        for who in [ADA, EVE] {
            let mut client = server.app();
            client.post("auth/code/request", json!({ "email": who })).await.expect(401);
            client.post("auth/code/confirm", json!({ "code": "123456" })).await.expect(400);
        }
        let mut client = server.app();
        let mut assertion = webauthn::signed(&mut key, &mut client, "auth/webauthn/login").await;
        assertion["response"]["signature"] = "AAAA".into();
        client.post("auth/webauthn/login", webauthn::sent(&assertion)).await.expect(400);
        assert!(doorman.asked().is_empty());
    });
}

/// A login that some stage holds was let in at its first proof, and is not asked about twice.
#[test]
fn l3_stages_follow_as_ever() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, "account.login_by_code_required = true", &idp).await;
        account(&server, ADA).await;
        let mut client = server.app();
        let reply = login(&mut client, ADA, PASSWORD).await.expect(401);
        assert!(reply.is_pending("login_by_code"), "{reply}");
        assert_eq!(doorman.asked().len(), 1);
        let code = server.code_for(ADA).await;
        client.post("auth/code/confirm", json!({ "code": code })).await.expect(200);
        assert!(doorman.asked().is_empty());
    });
}

#[test]
fn l3_a_refused_signup_makes_nothing() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, "", &idp).await;
        let asking = server.second_with("socialaccount.auto_signup = false").await;
        let person = Person::verified("eve-4713", EVE);
        let password = json!({ "email": EVE, "password": PASSWORD });
        for (say, status) in [(Say::Because, 400), (Say::No, 403), (Say::Broken, 503)] {
            doorman.set(|notes| notes.signup = say);
            let mut clients = vec![server.app(), server.app(), server.app(), asking.app()];
            clients[0].post("auth/signup", password.clone()).await.expect(status);
            clients[1].post("auth/webauthn/signup", json!({ "email": EVE })).await.expect(status);
            bring(&mut clients[2], &idp, "login", &person).await.expect(status);
            let reply = bring(&mut clients[3], &idp, "login", &person).await.expect(401);
            assert!(reply.is_pending("provider_signup"), "{reply}");
            let reply = clients[3].post("auth/provider/signup", json!({ "email": EVE })).await.expect(status);
            let expected: &[(&str, &str)] = if status == 400 { &[("email", "on_holiday")] } else { &[] };
            assert_eq!(reply.errors(), expected);
            let asked = doorman.asked();
            let methods: Vec<_> =
                asked.iter().map(|asked| asked["signup"]["method"].as_str().unwrap()).collect();
            assert_eq!(methods, ["password", "passkey", "socialaccount", "socialaccount"]);
            assert!(asked.iter().all(|asked| asked["signup"]["email"] == EVE), "{asked:?}");
            assert_eq!(asked[2]["signup"]["provider"], json!({ "id": "idp", "uid": "eve-4713" }));
            assert!(!json!(asked).to_string().contains(PASSWORD));
            if say == Say::No {
                // Gone for good.
                doorman.set(|notes| notes.signup = Say::Yes);
                clients[3].post("auth/provider/signup", json!({ "email": EVE })).await.expect(409);
            }
            for client in &mut clients {
                assert!(is_nobody(client).await, "{say:?}");
            }
            assert!(server.vestibule.users().list(9, None).await.expect("users").is_empty());
            assert!(server.messages_for(EVE).await.is_empty());
        }
        doorman.set(|notes| notes.signup = Say::Yes);
        let mut client = asking.app();
        bring(&mut client, &idp, "login", &person).await.expect(401);
        client.post("auth/provider/signup", json!({ "email": EVE })).await.expect(200);
        // Whoever signs up is not asked about as somebody who logs in.
        assert!(doorman.asked().iter().all(|asked| asked.get("login").is_none()));
    });
}

#[test]
fn p3_signups_are_asked_about_whether_or_not_the_account_exists() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, "", &idp).await;
        account(&server, ADA).await;
        for say in [Say::Because, Say::Yes] {
            doorman.set(|notes| notes.signup = say);
            let mut replies = Vec::new();
            for email in [ADA, EVE] {
                let new = json!({ "email": email, "password": PASSWORD });
                let reply = server.app().post("auth/signup", new).await;
                let errors: Vec<_> =
                    reply.errors().into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
                replies.push((reply.status, errors));
                let asked = doorman.asked();
                assert_eq!(asked.len(), 1);
                assert_eq!(asked[0]["signup"]["email"], email);
            }
            assert_eq!(replies[0], replies[1]);
        }
        // Not before the input is valid.
        server.app().post("auth/signup", json!({ "email": ADA, "password": "short" })).await.expect(400);
        assert!(doorman.asked().is_empty());
    });
}

#[test]
fn x5_who_is_slow_costs_its_own_users_an_error() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, "hooks.timeout = 1", &idp).await;
        account(&server, ADA).await;
        let mut other = entered(&server, ADA).await;
        let (mut key, _, _) = with_passkey(&server, EVE).await;
        doorman.set(|notes| (notes.login, notes.signup) = (Say::Silent, Say::Silent));
        let begun = std::time::Instant::now();
        let (mut one, mut two, mut three) = (server.app(), server.app(), server.app());
        let slow = async {
            let new = json!({ "email": "new@example.org", "password": PASSWORD });
            let (by_password, by_key, signup) = tokio::join!(
                login(&mut one, ADA, PASSWORD),
                log_in(&mut key, &mut two),
                three.post("auth/signup", new),
            );
            [by_password, by_key, signup].map(|reply| reply.status)
        };
        let others = async {
            // Once the slow ones wait.
            while doorman.set(|notes| notes.asked.len()) < 5 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let asked = std::time::Instant::now();
            other.get("auth/session").await.expect(200);
            // One that writes.
            other.post("account/email", json!({ "email": "more@example.org" })).await.expect(200);
            asked.elapsed()
        };
        let (statuses, waited) = tokio::join!(slow, others);
        assert_eq!(statuses, [503, 503, 503]);
        assert!(waited.as_millis() < 700, "{waited:?}");
        assert!((900..3500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        for mut client in [one, two, three] {
            assert!(is_nobody(&mut client).await);
        }
    });
}

#[test]
fn the_user_object_and_the_token_say_what_the_application_adds() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, JWT, &idp).await;
        let id = account(&server, ADA).await;
        doorman.set(|notes| {
            notes.fields = Some(json!({ "team": ["red"] }));
            notes.claims = Some(json!({ "roles": ["admin"], "tenant": 7 }));
        });
        let mut client = server.app();
        let reply = login(&mut client, ADA, PASSWORD).await.expect(200);
        for reply in [&reply, &client.get("auth/session").await.expect(200)] {
            let user = &reply.data()["user"];
            assert_eq!((&user["id"], &user["team"]), (&json!(id), &json!(["red"])));
            assert_eq!(user["greeting"], format!("hello {id}"));
        }
        let claims = |token: &Value| -> Value {
            let part = token.as_str().unwrap().split('.').nth(1).unwrap();
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let said = claims(&reply.json["meta"]["access_token"]);
        assert_eq!((&said["roles"], &said["tenant"]), (&json!(["admin"]), &json!(7)));
        assert_eq!((&said["sub"], &said["token_use"]), (&json!(id.to_string()), &json!("access")));
        let refresh = &reply.json["meta"]["refresh_token"];
        assert_eq!(claims(refresh).get("roles"), None);

        // At every exchange anew.
        doorman.set(|notes| notes.claims = Some(json!({ "roles": [] })));
        let reply = client.post("tokens/refresh", json!({ "refresh_token": refresh })).await.expect(200);
        assert_eq!(claims(&reply.data()["access_token"])["roles"], json!([]));
        let bearer = format!("Bearer {}", reply.data()["access_token"].as_str().unwrap());
        server.app().with_header("authorization", &bearer).get("auth/session").await.expect(200);

        // What would take the place of ours is not said; nor is the token spent meanwhile.
        let refresh = reply.data()["refresh_token"].clone();
        for claims in [
            json!({ "sub": "1" }),
            json!({ "token_use": "refresh" }),
            json!({ "exp": 9_999_999_999_i64 }),
            json!({ "x": "y".repeat(3000) }),
            json!(1),
        ] {
            doorman.set(|notes| notes.claims = Some(claims.clone()));
            client.post("tokens/refresh", json!({ "refresh_token": refresh })).await.expect(503);
            let mut new = server.app();
            let reply = login(&mut new, ADA, PASSWORD).await.expect(503);
            assert_eq!(reply.json.get("meta"), None);
            assert!(is_nobody(&mut new).await);
        }
        doorman.set(|notes| notes.claims = None);
        client.post("tokens/refresh", json!({ "refresh_token": refresh })).await.expect(200);
        assert_eq!(sessions(&mut client).await, 1, "of those that got no token nothing is left");

        for fields in [json!({ "id": 1 }), json!({ "email": "x@example.org" }), json!("x")] {
            doorman.set(|notes| notes.fields = Some(fields.clone()));
            client.get("auth/session").await.expect(503);
            login(&mut server.app(), ADA, PASSWORD).await.expect(503);
        }
        doorman.set(|notes| notes.fields = None);
        client.get("auth/session").await.expect(200);
        assert_eq!(sessions(&mut client).await, 1);
        let mut browser = server.browser();
        login(&mut browser, ADA, PASSWORD).await.expect(200);
    });
}

async fn sessions(client: &mut Client) -> usize {
    client.get("auth/sessions").await.expect(200).data().as_array().unwrap().len()
}

const FIELDS: &str = "
    [[account.extra_signup_fields]]
    name = 'given_name'
    type = 'text'
    label = 'Given name'
    required = true
    max_length = 20
    [[account.extra_signup_fields]]
    name = 'born'
    type = 'date'
    [[account.extra_signup_fields]]
    name = 'plan'
    type = 'choice'
    choices = ['free', 'paid']
    [[account.extra_signup_fields]]
    name = 'agreed'
    type = 'boolean'
    required = true
    [[account.extra_signup_fields]]
    name = 'source'
    type = 'text'
    show = false
";

#[test]
fn extra_fields_are_asked_for_checked_and_shown() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server =
            doorman.serve(backend, &format!("account.email_verification = 'none'\n{FIELDS}"), &idp).await;
        let config = server.app().get("config").await.expect(200);
        let announced = config.data()["account"]["extra_signup_fields"].as_array().expect("a list");
        assert_eq!(announced.len(), 5);
        assert_eq!(announced[0]["label"], "Given name");
        let with = |more: Value| {
            let mut new =
                json!({ "email": ADA, "password": PASSWORD, "given_name": " Ada ", "agreed": true });
            new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            new
        };
        for (wrong, error) in [
            (json!({ "given_name": "" }), ("given_name", "required")),
            (json!({ "given_name": "x".repeat(21) }), ("given_name", "max_length")),
            (json!({ "agreed": false }), ("agreed", "required")),
            (json!({ "born": "yesterday" }), ("born", "invalid")),
            (json!({ "plan": "gold" }), ("plan", "invalid_choice")),
        ] {
            let reply = server.app().post("auth/signup", with(wrong)).await.expect(400);
            assert_eq!(reply.errors(), [error]);
        }
        let mut client = server.app();
        let more = json!({ "born": "1815-12-10", "plan": "paid", "source": "a friend", "unasked": 1 });
        let reply = client.post("auth/signup", with(more)).await.expect(200);
        let user = reply.data()["user"].as_object().expect("a user").clone();
        assert_eq!(user["given_name"], "Ada");
        assert_eq!(
            (&user["born"], &user["plan"], &user["agreed"]),
            (&json!("1815-12-10"), &json!("paid"), &json!(true))
        );
        assert!(!user.contains_key("source") && !user.contains_key("unasked"), "{user:?}");
        let signup = doorman.asked().pop().expect("a question");
        assert_eq!(signup["signup"]["fields"]["source"], "a friend");
        login(&mut server.app(), ADA, PASSWORD).await.expect(200);
        assert_eq!(doorman.asked()[0]["login"]["user"]["fields"]["source"], "a friend");

        // A provider does not know them: the person is asked.
        let mut client = server.app();
        let reply = bring(&mut client, &idp, "login", &Person::verified("eve-4713", EVE)).await.expect(401);
        assert!(reply.is_pending("provider_signup"), "{reply}");
        let reply = client.post("auth/provider/signup", json!({ "email": EVE, "given_name": "Eve" })).await;
        assert_eq!(reply.expect(400).errors(), [("agreed", "required")]);
        let fields = json!({ "email": EVE, "given_name": "Eve", "agreed": true });
        let reply = client.post("auth/provider/signup", fields).await.expect(200);
        assert_eq!(reply.data()["user"]["given_name"], "Eve");
        let id = reply.data()["user"]["id"].as_i64().unwrap();
        server.vestibule.users().delete(id).await.expect("deleted along with what was entered");
    });
}

#[test]
fn a_passkey_signup_takes_extra_fields_too() {
    on_both(async |backend| {
        let (idp, doorman) = (Idp::default(), Doorman::default());
        let server = doorman.serve(backend, FIELDS, &idp).await;
        let reply = server.app().post("auth/webauthn/signup", json!({ "email": ADA })).await.expect(400);
        assert_eq!(reply.errors(), [("given_name", "required"), ("agreed", "required")]);
        let new = json!({ "email": ADA, "given_name": "Ada", "agreed": "on" });
        server.app().post("auth/webauthn/signup", new).await.expect(401);
    });
}
