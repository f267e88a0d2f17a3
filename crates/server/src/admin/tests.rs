//! The API for operators, in process, on both databases. Every answer is held against `api/admin.yaml`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock, Mutex};

use axum::http::Method;
use serde_json::{Value, json};
use vestibule_base::config::Config;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::client::{Client, Door, Reply};
use vestibule_testkit::contract::Contract;
use vestibule_testkit::database::{Backend, on_both};
use vestibule_testkit::totp::AuthenticatorApp;

const DOCUMENT: &str = include_str!("../../../../api/admin.yaml");
const ROUTER: &str = include_str!("mod.rs");
const TOKEN: &str = "Zk3vQ9xT7mB2nL5pR8sW4yC6hJ1gF0dA";
const OTHER: &str = "b7Qw2Lr9Xc4Vn6Mz1Kj8Hg5Fd3Sa0PoI";
const PASSWORD: &str = "correct horse battery staple";

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::parse(DOCUMENT).unwrap());
type Operations = BTreeSet<(String, String)>;

/// A server with its office for operators.
struct Office {
    server: TestApp,
    door: Door,
    seen: Arc<Mutex<Operations>>,
}

impl Office {
    async fn open(backend: Backend, settings: &str) -> Self {
        let server = TestApp::start(backend, settings).await;
        let config = Config::from_toml(&format!("admin.tokens = [{OTHER:?}, {TOKEN:?}]")).unwrap();
        let seen = Arc::new(Mutex::new(Operations::new()));
        let observer = Arc::new({
            let seen = Arc::clone(&seen);
            move |method: &Method, path: &str, reply: &Reply| {
                let checked = CONTRACT.check(method.as_str(), path, reply.status, &reply.json);
                assert!(checked.is_ok(), "{}\nin {reply}", checked.err().unwrap_or_default());
                for (name, value) in [
                    ("cache-control", "no-store"),
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                ] {
                    assert_eq!(reply.header(name), Some(value), "S6: {method} {path}");
                }
                assert_eq!(reply.header("set-cookie"), None);
                assert_eq!(reply.header("access-control-allow-origin"), None);
                if (200..300).contains(&reply.status) {
                    seen.lock().unwrap().extend(CONTRACT.operation(method.as_str(), path));
                }
            }
        });
        let door = Door {
            router: super::router(&server.vestibule, &config.admin),
            public_url: "http://127.0.0.1:8001".to_owned(),
            prefix: "/_admin".to_owned(),
            observer: Some(observer),
        };
        Self { server, door, seen }
    }

    /// Somebody who shows this as their `Authorization`.
    fn showing(&self, authorization: &str) -> Client {
        Client::app(self.door.clone()).with_header("authorization", authorization)
    }

    fn operator(&self) -> Client {
        self.showing(&format!("Bearer {TOKEN}"))
    }

    /// Makes a user with a password; gives the id.
    async fn user(&self, email: &str) -> i64 {
        let body = json!({ "email": email, "verified": true, "password": PASSWORD });
        let reply = self.operator().post("/_admin/v1/users", body).await.expect(201);
        reply.json["id"].as_i64().unwrap()
    }

    /// An app in which they are logged in.
    async fn app(&self, email: &str) -> Client {
        let mut app = self.server.app();
        app.post("auth/login", json!({ "email": email, "password": PASSWORD })).await.expect(200);
        app
    }

    /// The types of the events of a user, and by whom.
    async fn events(&self, id: i64) -> Vec<(String, String)> {
        let reply = self.operator().get(&format!("/_admin/v1/events?user_id={id}")).await.expect(200);
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        let events = reply.json["events"].as_array().unwrap();
        events.iter().map(|event| (text(event, "type"), text(event, "by"))).collect()
    }
}

fn documented() -> Operations {
    CONTRACT.operations()
}

#[test]
fn the_router_s_source_and_the_document_name_the_same_operations() {
    let mut found = Operations::new();
    for call in ROUTER.split(".route(").skip(1) {
        let call = call.split_once(")\n").map_or(call, |(call, _)| call);
        let path = call.split('"').nth(1).unwrap();
        for method in ["get", "post", "patch", "delete"] {
            let named = [format!(" {method}("), format!(".{method}(")].iter().any(|word| call.contains(word));
            if named && path.starts_with("/_admin/v1/") {
                found.insert((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    assert_eq!(found, documented());
}

#[test]
fn a_user_lives_and_every_operation_is_called() {
    on_both(async |backend| {
        let office = Office::open(
            backend,
            "mfa = { supported_types = ['totp', 'recovery_codes'], reauthentication_required = false }",
        )
        .await;
        let mut operator = office.operator();
        let id = office.user("ada@example.org").await;
        let path = format!("/_admin/v1/users/{id}");

        let shown = operator.get(&path).await.expect(200).json;
        assert_eq!(
            shown["emails"][0],
            json!({ "email": "ada@example.org", "verified": true, "primary": true })
        );
        assert_eq!((&shown["phone"], &shown["authenticators"]), (&Value::Null, &json!([])));
        assert_eq!(operator.get("/_admin/v1/users/ada@example.org").await.expect(200).json["id"], id);
        assert_eq!(operator.get("/_admin/v1/users?q=ada").await.expect(200).json["users"][0]["id"], id);

        // Sessions, one by one and all.
        for _ in 0..3 {
            office.app("ada@example.org").await;
        }
        let listed = operator.get(&format!("{path}/sessions")).await.expect(200).json;
        let sessions: Vec<i64> =
            listed["sessions"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
        assert_eq!((sessions.len(), &listed["next"]), (3, &Value::Null));
        operator.delete(&format!("{path}/sessions/{}", sessions[0]), Value::Null).await.expect(204);
        operator.delete(&format!("/_admin/v1/sessions/{}", sessions[1]), Value::Null).await.expect(204);
        operator.delete(&format!("/_admin/v1/sessions/{}", sessions[1]), Value::Null).await.expect(404);
        let left =
            operator.get(&format!("/_admin/v1/sessions?user_id={id}&ip=127.0.0.1")).await.expect(200).json;
        assert_eq!(left["sessions"].as_array().unwrap().len(), 1);
        operator.delete(&format!("{path}/sessions"), Value::Null).await.expect(204);
        let left = operator.get("/_admin/v1/sessions").await.expect(200).json;
        assert_eq!(left["sessions"], json!([]));

        // What they log in with.
        let mut app = office.app("ada@example.org").await;
        factors(&office.server, &mut app).await;
        let shown = operator.get(&path).await.expect(200).json;
        let factors = shown["authenticators"].as_array().unwrap();
        let totp = factors.iter().find(|one| one["type"] == "totp").unwrap()["id"].as_i64().unwrap();
        operator.delete(&format!("{path}/authenticators/{totp}"), Value::Null).await.expect(204);
        let shown = operator.get(&path).await.expect(200).json;
        assert_eq!(shown["authenticators"], json!([]), "M2: the codes went with what they stood in for");
        app.get("auth/session").await.expect(401);
        operator.delete(&format!("{path}/authenticators/{totp}"), Value::Null).await.expect(404);
        operator.delete(&format!("{path}/authenticators"), Value::Null).await.expect(204);

        let account = connect(&office.server, id).await;
        let shown = operator.get(&path).await.expect(200).json;
        assert_eq!(shown["providers"][0]["extra_data"], json!({ "login": "ada" }));
        operator.delete(&format!("{path}/providers/{account}"), Value::Null).await.expect(204);
        operator.delete(&format!("{path}/providers/{account}"), Value::Null).await.expect(404);

        let reply = operator.post(&format!("{path}/password-reset"), json!({})).await.expect(202);
        assert_eq!(reply.json, json!({ "sent_to": "ada@example.org" }));
        let key = office.server.link_key_for("ada@example.org").await;
        let reset = json!({ "key": key, "password": "another horse, another staple" });
        office.server.app().post("auth/password/reset", reset).await.expect(401);

        operator
            .post(&format!("{path}/emails/verify"), json!({ "email": "ada@example.org" }))
            .await
            .expect(200);
        operator
            .post(&format!("{path}/emails/verify"), json!({ "email": "eve@example.org" }))
            .await
            .expect(404);
        operator.post(&format!("{path}/password"), json!({ "password": null })).await.expect(204);
        let shown = operator.get(&path).await.expect(200).json;
        assert_eq!(shown["has_usable_password"], false);
        operator.patch(&path, json!({ "is_active": false })).await.expect(200);
        operator.post(&format!("{path}/password-reset"), json!({})).await.expect(409);
        operator.delete(&path, Value::Null).await.expect(204);
        operator.get(&path).await.expect(404);
        operator.delete(&path, Value::Null).await.expect(404);

        let done: Vec<_> = office.events(id).await;
        for kind in [
            "signed_up",
            "sessions_ended",
            "authenticator_removed",
            "provider_disconnected",
            "password_reset_requested",
            "password_changed",
            "deactivated",
            "deleted",
        ] {
            assert!(done.contains(&(kind.to_owned(), "operator".to_owned())), "{kind} not in {done:?}");
        }
        assert!(done.contains(&("logged_in".to_owned(), "user".to_owned())));
        assert_eq!(*office.seen.lock().unwrap(), documented(), "called with success");
    });
}

/// Gives whoever is logged in an authenticator app and recovery codes.
async fn factors(server: &TestApp, app: &mut Client) {
    let offer = app.get("account/authenticators/totp").await.expect(404);
    let secret = offer.json["meta"]["secret"].as_str().unwrap().to_owned();
    let code = AuthenticatorApp::new(&secret).code(server);
    app.post("account/authenticators/totp", json!({ "code": code })).await.expect(200);
}

/// Connects an account at a third party, as a login there would; gives its id.
async fn connect(server: &TestApp, user: i64) -> i64 {
    let mut tx = server.db.write().await.unwrap();
    let extra = json!({ "login": "ada" }).to_string();
    let id = vestibule_base::storage::social::insert(&mut tx, user, "github", "7", &extra, 0).await.unwrap();
    tx.commit().await.unwrap();
    id.unwrap()
}

#[test]
fn s2_without_a_right_token_every_path_says_the_same() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let mut answers = BTreeSet::new();
        let shown = [
            "",
            "Bearer",
            "Bearer ",
            &format!("Bearer {TOKEN}x"),
            &format!("Basic {TOKEN}"),
            TOKEN,
            &format!("Bearer {}", &TOKEN[1..]),
        ];
        let paths = ["/_admin/v1/users", "/_admin/v1/users/1", "/_admin/openapi.yaml", "/_admin/none", "/"];
        let mut last = 0;
        for authorization in shown {
            for path in paths {
                for method in [Method::GET, Method::DELETE] {
                    last += 1;
                    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
                    // Unknown paths are not in the document, and answer 401 nevertheless.
                    let mut client = office.showing(authorization).from_ip(ip);
                    let mut door = office.door.clone();
                    door.observer = None;
                    let mut client = match path {
                        "/" | "/_admin/none" | "/_admin/openapi.yaml" => {
                            Client::app(door).with_header("authorization", authorization).from_ip(ip)
                        }
                        _ if method == Method::DELETE && path == "/_admin/v1/users" => {
                            Client::app(door).with_header("authorization", authorization).from_ip(ip)
                        }
                        _ => std::mem::replace(&mut client, Client::app(door)),
                    };
                    let reply = client.call(method.clone(), path).send().await;
                    let challenge = reply.header("www-authenticate").map(str::to_owned);
                    answers.insert((reply.status, reply.json.to_string(), challenge));
                }
            }
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers.first().map(|(status, ..)| *status), Some(401));
        office.operator().get("/_admin/v1/users").await.expect(200);
        office.showing(&format!("bearer {OTHER}")).get("/_admin/v1/users").await.expect(200);
    });
}

#[test]
fn e2_wrong_tokens_are_counted_and_right_ones_are_let_in() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let mut stranger = office.showing("Bearer wrong");
        for _ in 0..10 {
            stranger.get("/_admin/v1/users").await.expect(401);
        }
        stranger.get("/_admin/v1/users").await.expect(429);
        office.operator().get("/_admin/v1/users").await.expect(200);
        office.server.pass(60);
        stranger.get("/_admin/v1/users").await.expect(401);
    });
}

#[test]
fn p7_who_is_shut_out_is_out_at_once_and_stays_out() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let id = office.user("ada@example.org").await;
        let mut app = office.app("ada@example.org").await;
        let path = format!("/_admin/v1/users/{id}");
        let reply = office.operator().patch(&path, json!({ "is_active": false })).await.expect(200);
        assert_eq!(reply.json["is_active"], false);
        app.get("auth/session").await.expect(401);
        let login = json!({ "email": "ada@example.org", "password": PASSWORD });
        office.server.app().post("auth/login", login).await.expect(400);
        office.operator().patch(&path, json!({ "is_active": true })).await.expect(200);
        office.app("ada@example.org").await;
    });
}

#[test]
fn s2_whoever_is_in_with_what_was_changed_is_out() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let id = office.user("ada@example.org").await;
        let account = connect(&office.server, id).await;
        let path = format!("/_admin/v1/users/{id}");
        let (set, none) = (json!({ "password": PASSWORD }), json!({ "password": null }));
        let acts: [(Method, String, Option<&Value>); 5] = [
            (Method::POST, format!("{path}/password"), Some(&set)),
            (Method::DELETE, format!("{path}/authenticators"), None),
            (Method::DELETE, format!("{path}/providers/{account}"), None),
            (Method::DELETE, format!("{path}/sessions"), None),
            (Method::POST, format!("{path}/password"), Some(&none)),
        ];
        for (method, path, body) in acts {
            let mut app = office.app("ada@example.org").await;
            let mut operator = office.operator();
            let call = operator.call(method, &path);
            let call = if let Some(body) = body { call.json(body) } else { call };
            call.send().await.expect(204);
            assert_eq!(app.get("auth/session").await.status, 401, "{path}");
        }
    });
}

#[test]
fn an_address_is_proved_by_an_operator_and_by_one_account_only() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let mut operator = office.operator();
        let create = |verified: bool| json!({ "email": "ada@example.org", "verified": verified, "password": PASSWORD });
        let id = operator.post("/_admin/v1/users", create(false)).await.expect(201).json["id"].clone();
        let path = format!("/_admin/v1/users/{id}");
        let login = json!({ "email": "ada@example.org", "password": PASSWORD });
        assert!(office.server.app().post("auth/login", login).await.expect(401).is_pending("verify_email"));
        let shown =
            operator.post(&format!("{path}/emails/verify"), json!({ "email": "Ada@Example.org" })).await;
        assert_eq!(shown.expect(200).json["emails"][0]["verified"], true);
        office.app("ada@example.org").await;
        let id = id.as_i64().unwrap();
        let (proved, by) = ("email_verified".to_owned(), "operator".to_owned());
        assert!(office.events(id).await.contains(&(proved.clone(), by.clone())));
        // What is proved already is no event.
        operator
            .post(&format!("{path}/emails/verify"), json!({ "email": "ada@example.org" }))
            .await
            .expect(200);
        assert_eq!(office.events(id).await.iter().filter(|(kind, _)| *kind == proved).count(), 1);
        // Somebody else's it cannot become.
        operator.post("/_admin/v1/users", create(true)).await.expect(409);
        for is_active in [false, true] {
            operator.patch(&path, json!({ "is_active": is_active })).await.expect(200);
        }
        assert!(office.events(id).await.contains(&("activated".to_owned(), by)));
    });
}

#[test]
fn what_belongs_to_another_user_is_not_there() {
    on_both(async |backend| {
        let settings = "mfa = { supported_types = ['totp'], reauthentication_required = false }";
        let office = Office::open(backend, settings).await;
        let (ada, bea) = (office.user("ada@example.org").await, office.user("bea@example.org").await);
        let account = connect(&office.server, ada).await;
        let mut app = office.app("ada@example.org").await;
        factors(&office.server, &mut app).await;
        let mut operator = office.operator();
        let shown = operator.get(&format!("/_admin/v1/users/{ada}")).await.expect(200).json;
        let sessions = operator.get(&format!("/_admin/v1/users/{ada}/sessions")).await.expect(200).json;
        let (totp, session) = (&shown["authenticators"][0]["id"], &sessions["sessions"][0]["id"]);
        for part in
            [format!("authenticators/{totp}"), format!("providers/{account}"), format!("sessions/{session}")]
        {
            operator.delete(&format!("/_admin/v1/users/{bea}/{part}"), Value::Null).await.expect(404);
        }
        let mail = json!({ "email": "ada@example.org" });
        operator.post(&format!("/_admin/v1/users/{bea}/emails/verify"), mail).await.expect(404);
        app.get("auth/session").await.expect(200);
        let after = operator.get(&format!("/_admin/v1/users/{ada}")).await.expect(200).json;
        assert_eq!(after, shown);
    });
}

#[test]
fn users_are_found_by_how_what_is_known_of_them_begins() {
    on_both(async |backend| {
        let settings = "account.login_methods = ['email', 'username']\naccount.signup_fields = ['username*', 'email*', 'password1*']";
        let office = Office::open(backend, settings).await;
        let mut operator = office.operator();
        let names = ["Ada", "adam", "ad-hoc", "Bea"];
        let mut ids = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let email = format!("{}@example{number}.org", ["x.ada", "y.a", "z", "ada.b"][number]);
            let body = json!({ "username": name, "email": email });
            ids.push(operator.post("/_admin/v1/users", body).await.expect(201).json["id"].as_i64().unwrap());
        }
        let mut tx = office.server.db.write().await.unwrap();
        let phone = vestibule_base::storage::phones::Phone {
            user_id: ids[3],
            phone: "+491712345678".to_owned(),
            verified: true,
        };
        vestibule_base::storage::phones::set(&mut tx, &phone, true).await.unwrap();
        tx.commit().await.unwrap();
        let mut found = async |query: &str| -> Vec<i64> {
            let reply = operator.get(&format!("/_admin/v1/users?{query}")).await.expect(200);
            reply.json["users"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect()
        };
        assert_eq!(found("").await, ids);
        assert_eq!(found("q=ADA").await, [ids[0], ids[1], ids[3]]);
        assert_eq!(found("q=ad-").await, [ids[2]]);
        assert_eq!(found("q=z%40example2.org").await, [ids[2]]);
        assert_eq!(found("q=%2B49%20171").await, [ids[3]]);
        assert_eq!(found(&format!("q={}", ids[1])).await, [ids[1]]);
        assert_eq!(found("q=ada%25").await, [0; 0]);
        assert_eq!(found("q=example").await, [0; 0], "the middle is not searched");
        assert_eq!(found(&format!("after={}&limit=2", ids[0])).await, ids[1..3]);
        assert_eq!(found("has_mfa=true").await, [0; 0]);
        assert_eq!(found("has_mfa=false&q=ada&limit=1").await, [ids[0]]);
        office.operator().patch(&format!("/_admin/v1/users/{}", ids[0]), json!({ "is_active": false })).await;
        assert_eq!(found("is_active=false").await, [ids[0]]);
        assert_eq!(found("is_active=true&q=ada").await, [ids[1], ids[3]]);
    });
}

#[test]
fn pages_lead_to_each_other() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        for name in 0..5 {
            office.user(&format!("u{name}@example.org")).await;
        }
        let mut operator = office.operator();
        let (mut seen, mut next) = (0, json!(0));
        while !next.is_null() {
            let reply = operator.get(&format!("/_admin/v1/users?limit=2&after={next}")).await.expect(200);
            seen += reply.json["users"].as_array().unwrap().len();
            next = reply.json["next"].clone();
        }
        assert_eq!(seen, 5);
        let newest = operator.get("/_admin/v1/events?limit=2&type=signed_up").await.expect(200).json;
        let before = newest["before"].as_i64().unwrap();
        let older =
            operator.get(&format!("/_admin/v1/events?limit=2&before={before}")).await.expect(200).json;
        assert!(older["events"][1]["id"].as_i64().unwrap() < before);
        let none = operator.get("/_admin/v1/events?since=2100-01-01T00:00:00Z").await.expect(200).json;
        assert_eq!(none, json!({ "events": [], "before": null }));
    });
}

#[test]
fn what_is_not_understood_is_refused() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        let id = office.user("ada@example.org").await;
        let mut operator = office.operator();
        for query in
            ["users?name=x", "users?limit=0", "users?is_active=maybe", "events?type=none", "events?since=now"]
        {
            operator.get(&format!("/_admin/v1/{query}")).await.expect(400);
        }
        for body in [
            json!({}),
            json!({ "email": "x" }),
            json!({ "email": "a@example.org", "admin": true }),
            json!([]),
        ] {
            operator.post("/_admin/v1/users", body).await.expect(400);
        }
        operator.post("/_admin/v1/users", json!({ "email": "ada@example.org" })).await.expect(409);
        let path = format!("/_admin/v1/users/{id}/password");
        for body in
            [json!({}), json!({ "password": "" }), json!({ "password": "a\u{0}b" }), json!({ "password": 5 })]
        {
            operator.post(&path, body).await.expect(400);
        }
        let long = json!({ "password": "x".repeat(70_000) });
        operator.post(&path, long).await.expect(400);
        office.app("ada@example.org").await;
        operator.get("/_admin/v1/none").await.expect(404);
        operator.put("/_admin/v1/users", json!({})).await.expect(405);
        operator.delete(&format!("/_admin/v1/users/{id}x"), Value::Null).await.expect(404);
        operator.get("/_admin/v1/users/a%00b").await.expect(404);
        operator.get("/_admin/v1/users/999/sessions").await.expect(404);
    });
}

#[test]
fn a_reset_by_code_is_for_the_user_to_ask_for() {
    on_both(async |backend| {
        let office = Office::open(backend, "account.password_reset_by_code_enabled = true").await;
        let id = office.user("ada@example.org").await;
        let path = format!("/_admin/v1/users/{id}/password-reset");
        let reply = office.operator().post(&path, json!({})).await.expect(409);
        assert_eq!(reply.json["error"]["code"], "refused");
        assert!(office.server.messages_for("ada@example.org").await.is_empty());
    });
}

#[test]
fn the_document_is_served_to_operators() {
    on_both(async |backend| {
        let mut office = Office::open(backend, "").await;
        office.door.observer = None;
        let yaml = office.operator().get("/_admin/openapi.yaml").await.expect(200);
        assert_eq!(yaml.header("cache-control"), Some("no-store"));
        let json = office.operator().get("/_admin/openapi.json").await.expect(200);
        assert_eq!(json.json["info"]["title"], "Vestibule for operators");
    });
}

#[test]
fn the_public_router_has_none_of_it() {
    on_both(async |backend| {
        let office = Office::open(backend, "").await;
        for path in ["/_admin/v1/users", "/_admin/openapi.yaml"] {
            let mut client = office.server.app().with_header("authorization", &format!("Bearer {TOKEN}"));
            client.get(path).await.expect(404);
        }
    });
}
