//! Databases that django-allauth has filled (`crates/server/tests/django`): everybody in them comes in afterwards by what
//! they had.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it failed")]

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};
use vestibule_base::config::Config;
use vestibule_base::security::Keyring;
use vestibule_base::security::webauthn::Algorithm;
use vestibule_base::storage::Db;
use vestibule_testkit::app::TestApp;
use vestibule_testkit::authenticator::{Authenticator, BACKUP_ELIGIBLE, Lie};
use vestibule_testkit::client::{Client, Reply};
use vestibule_testkit::database::{Backend, TestDatabase, on_both};
use vestibule_testkit::idp::{Idp, Person};
use vestibule_testkit::totp::AuthenticatorApp;
use vestibule_transfer::{Django, DjangoOptions, Importer, Note, Options, Report, Watcher};

const SQLITE: &str = include_str!("../../../server/tests/django/auth.sqlite.sql");
const SQLITE_KNOWN: &str = include_str!("../../../server/tests/django/auth.sqlite.json");
const POSTGRES: &str = include_str!("../../../server/tests/django/auth.postgres.sql");
const POSTGRES_KNOWN: &str = include_str!("../../../server/tests/django/auth.postgres.json");
const OWN: &str = include_str!("../../../server/tests/django/own.sqlite.sql");
const OWN_KNOWN: &str = include_str!("../../../server/tests/django/own.sqlite.json");

const SECRET_KEY: &str = "the secret key of tests, known to all the world";
const ORIGIN: &str = "http://localhost:8000";
const SETTINGS: &str = "
    [account]
    login_methods = ['email', 'username']
    signup_fields = ['username*', 'email*', 'password1*']
    email_verification_by_code_enabled = true
    rate_limits = false
    [mfa]
    supported_types = ['totp', 'recovery_codes', 'webauthn']
    passkey_login_enabled = true
    rate_limits = false
    [socialaccount]
    store_tokens = true
";
const TWO_FACTORS: &str = "auth/2fa/authenticate";

/// A database of a Django project, and what its people know.
struct Project {
    database: TestDatabase,
    known: Value,
    options: DjangoOptions,
}

impl Project {
    /// As django-allauth has filled it on the same kind of database.
    async fn filled(backend: Backend) -> Self {
        let (sql, known) = match backend {
            Backend::Sqlite => (SQLITE, SQLITE_KNOWN),
            Backend::Postgres => (POSTGRES, POSTGRES_KNOWN),
        };
        Self::of(backend, sql, known, DjangoOptions::default()).await
    }

    /// With a user model of its own.
    async fn own() -> Self {
        let options = DjangoOptions {
            user_table: "people_person".to_owned(),
            email_column: Some("mail".to_owned()),
            phone_column: Some("mobile".to_owned()),
            phone_verified_column: Some("mobile_ok".to_owned()),
            ..DjangoOptions::default()
        };
        Self::of(Backend::Sqlite, OWN, OWN_KNOWN, options).await
    }

    async fn of(backend: Backend, sql: &'static str, known: &str, options: DjangoOptions) -> Self {
        let database = TestDatabase::empty(backend).await;
        database.run(sql).await;
        Self { database, known: serde_json::from_str(known).expect("JSON"), options }
    }

    /// Takes it in.
    async fn move_in(&self, server: &TestApp, options: Options) -> (Report, Notes) {
        let mut django = Django::open(&self.database.url, self.options.clone()).await.expect("a project");
        let keyring = Keyring::new(SECRET_KEY, &[]);
        let config = Config::from_toml(SETTINGS).expect("settings");
        let importer = Importer::new(&server.db, &keyring, &config, &*server.clock, options);
        let mut notes = Notes::default();
        let report = importer.run(&mut django, &mut notes).await.expect("an import");
        (report, notes)
    }

    /// All that is in it: the file, or its tables as text.
    async fn contents(&self) -> Vec<u8> {
        if let Some(path) = self.database.url.strip_prefix("sqlite://") {
            return std::fs::read(path).expect("a file");
        }
        let db = Db::open(&self.database.url, 1).await.expect("the database");
        let mut conn = db.read().await.expect("a connection");
        let sql = "SELECT CAST(database_to_xml(true, false, '') AS TEXT)";
        let text = conn.all(sql, Vec::new()).await.expect("rows")[0].text(0).expect("text");
        assert!(text.contains("alice@example.org"));
        text.into_bytes()
    }

    fn of_person(&self, name: &str, what: &str) -> &str {
        self.known[name][what].as_str().unwrap_or_else(|| panic!("{name} has no {what}"))
    }

    fn password(&self, name: &str) -> &str {
        self.of_person(name, "password")
    }

    /// Types address and password.
    async fn log_in(&self, server: &TestApp, name: &str) -> (Client, Reply) {
        let mut client = server.app();
        let typed = json!({ "email": self.of_person(name, "email"), "password": self.password(name) });
        let reply = client.post("auth/login", typed).await;
        (client, reply)
    }

    /// The same, as far as the second factor.
    async fn half_way(&self, server: &TestApp, name: &str) -> Client {
        let (client, reply) = self.log_in(server, name).await;
        assert!(reply.expect(401).is_pending("mfa_authenticate"), "{name}");
        client
    }

    async fn second_factor(&self, server: &TestApp, name: &str, code: &str, status: u16) {
        let mut client = self.half_way(server, name).await;
        client.post(TWO_FACTORS, json!({ "code": code })).await.expect(status);
    }
}

#[derive(Debug, Default)]
struct Notes(Vec<Note>);

impl Watcher for Notes {
    fn note(&mut self, note: &Note) {
        self.0.push(note.clone());
    }

    fn progress(&mut self, _: &Report) {}
}

impl Notes {
    /// What was said of an account: whether it was taken, and the problems.
    fn of(&self, source_id: &str) -> (bool, String) {
        let mut notes = self.0.iter().filter(|note| note.source_id.as_deref() == Some(source_id));
        let note = notes.next().unwrap_or_else(|| panic!("nothing of {source_id} in {self:?}"));
        (note.user_id.is_some(), note.problems.join("; "))
    }
}

fn batches(options: Options) -> Options {
    // Small ones, so that there are several.
    Options { batch: 3, ..options }
}

fn usual() -> Options {
    batches(Options::new("django"))
}

#[test]
fn people_of_a_django_project_log_in_with_what_they_had() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let server = TestApp::start(backend, SETTINGS).await;
        let (report, notes) = project.move_in(&server, usual()).await;
        assert_eq!(report.taken + report.skipped, 20, "{report:?} {notes:?}");

        // The same password, whatever it was hashed by: by the old hash, and by the new one.
        for name in ["pbkdf2", "pbkdf2-sha1", "argon2", "bcrypt-sha256", "bcrypt", "scrypt", "md5", "conny"] {
            for _ in 0..2 {
                project.log_in(&server, name).await.1.expect(200);
            }
        }
        // The same id, addresses and name.
        let (mut alice, reply) = project.log_in(&server, "alice").await;
        assert_eq!(reply.expect(200).data()["user"]["id"].to_string(), project.of_person("alice", "id"));
        let list = alice.get("account/email").await.expect(200);
        let list: Vec<_> = list
            .data()
            .as_array()
            .expect("addresses")
            .iter()
            .map(|row| (row["email"].as_str(), row["verified"].as_bool(), row["primary"].as_bool()))
            .collect();
        for (email, verified, primary) in [
            ("alice@example.org", true, true),
            ("alice@work.example", true, false),
            ("alice@later.example", false, false),
        ] {
            assert!(list.contains(&(Some(email), Some(verified), Some(primary))), "{email} in {list:?}");
        }
        let typed = json!({ "username": "alice", "password": project.password("alice") });
        server.app().post("auth/login", typed).await.expect(200);

        // Who had not proved an address has not.
        for name in ["bob", "root"] {
            assert!(project.log_in(&server, name).await.1.expect(401).is_pending("verify_email"), "{name}");
        }
        // Who had no password, was switched off, or is unknown, comes in by none.
        project.log_in(&server, "gone").await.1.expect(400);
        for password in ["", "!", "nopass has a long password"] {
            let typed = json!({ "email": "nopass@example.org", "password": password });
            server.app().post("auth/login", typed).await.expect(400);
        }
        // An address that cannot be taken is left out; the name still logs in.
        assert!(notes.of("16").0, "{notes:?}");
        assert!(notes.of("16").1.contains("jürgen@example.org"), "{notes:?}");
        let typed = json!({ "username": "juergen", "password": project.password("juergen") });
        let reply = server.app().post("auth/login", typed).await;
        assert!([200, 401].contains(&reply.status), "{reply}");
        // Of two names that differ in case, one is.
        assert!(notes.of("15").1.contains("username"), "{notes:?}");
    });
}

#[test]
fn m1_second_factors_move_in_and_what_cannot_be_read_leaves_nobody_unprotected() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let server = TestApp::start(backend, SETTINGS).await;
        let (_, notes) = project.move_in(&server, usual()).await;

        for name in ["tina", "mira"] {
            let app = AuthenticatorApp::new(project.of_person(name, "totp"));
            project.second_factor(&server, name, &app.wrong(&server), 400).await;
            project.second_factor(&server, name, &app.code(&server), 200).await;
        }
        // Recovery codes: those of a seed and those that were listed, each once; a used one is used.
        project.second_factor(&server, "tina", project.of_person("tina", "used"), 400).await;
        for name in ["tina", "mira"] {
            for code in project.known[name]["unused"].as_array().expect("codes").iter().take(2) {
                let code = code.as_str().expect("a code");
                project.second_factor(&server, name, code, 200).await;
                project.second_factor(&server, name, code, 400).await;
            }
        }
        // A secret that only the project's own program can read: the account is not opened to its password alone.
        let (taken, why) = notes.of("5");
        assert!(!taken && why.contains("totp"), "{why}");
        project.log_in(&server, "cora").await.1.expect(400);
        let lose = Options { lose_second_factors: true, ..usual() };
        let (report, _) = project.move_in(&server, lose).await;
        assert_eq!(report.taken, 1, "{report:?}");
        project.log_in(&server, "cora").await.1.expect(200);
    });
}

#[test]
fn m4_keys_and_passkeys_move_in_with_their_user_handle() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let server = TestApp::start(backend, SETTINGS).await;
        project.move_in(&server, usual()).await;
        for key in project.known["wanda"]["keys"].as_array().expect("keys") {
            let text = |what: &str| key[what].as_str().unwrap_or_else(|| panic!("no {what}"));
            let discoverable = key["discoverable"] == true;
            let mut device = Authenticator::new(Algorithm::Es256);
            let private = BASE64URL.decode(text("private_key")).expect("base64url");
            device.hold(text("rp_id"), (text("id"), text("user_handle"), discoverable), &private, 3);
            let honest = Lie { set: if discoverable { BACKUP_ELIGIBLE } else { 0 }, ..Lie::default() };

            let path = "auth/webauthn/authenticate";
            let mut client = project.half_way(&server, "wanda").await;
            let answer = device.get(&asked(&mut client, path).await, ORIGIN, &honest);
            client.post(path, json!({ "credential": answer })).await.expect(200);
            if !discoverable {
                continue;
            }
            let path = "auth/webauthn/login";
            let mut client = server.app();
            let answer = device.get(&asked(&mut client, path).await, ORIGIN, &honest);
            let reply = client.post(path, json!({ "credential": answer })).await.expect(200);
            assert_eq!(reply.data()["user"]["id"].to_string(), project.of_person("wanda", "id"));
        }
    });
}

async fn asked(client: &mut Client, path: &str) -> Value {
    client.get(path).await.expect(200).data()["request_options"].clone()
}

#[test]
fn accounts_at_third_parties_move_in() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let idp = Idp::default();
        let server = TestApp::start_with(backend, SETTINGS, &idp).await;
        project.move_in(&server, usual()).await;
        for name in ["greta", "conny"] {
            let person = Person::new(project.of_person(name, "uid"));
            let mut browser = server.browser();
            let fields = [("provider", "idp"), ("process", "login"), ("callback_url", "/done")];
            let left = browser.post_form("auth/provider/redirect", &fields).await.expect(302);
            let answer = idp.authorize(left.header("location").expect("a page"), &person);
            assert_eq!(browser.get(&answer.url()).await.expect(302).header("location"), Some("/done"));
            let reply = browser.get("auth/session").await.expect(200);
            assert_eq!(reply.data()["user"]["email"], project.of_person(name, "email"));
        }
    });
}

#[test]
fn it_is_done_once_and_a_dry_run_does_nothing() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let server = TestApp::start(backend, SETTINGS).await;
        let (dry, _) = project.move_in(&server, Options { dry_run: true, ..usual() }).await;
        project.log_in(&server, "alice").await.1.expect(400);
        let (first, _) = project.move_in(&server, usual()).await;
        assert_eq!((dry.taken, dry.skipped, &dry.reasons), (first.taken, first.skipped, &first.reasons));
        let (second, _) = project.move_in(&server, usual()).await;
        assert_eq!((second.taken, second.already_there), (0, first.taken), "{second:?}");
        project.log_in(&server, "alice").await.1.expect(200);
    });
}

#[test]
fn a_user_model_of_the_projects_own_moves_in() {
    on_both(async |backend| {
        let project = Project::own().await;
        let settings =
            SETTINGS.replace("['email', 'username']", "['email', 'phone']").replace("username*", "phone");
        let server = TestApp::start(backend, &settings).await;
        let (report, notes) = project.move_in(&server, usual()).await;
        let (mut alice, reply) = project.log_in(&server, "alice").await;
        reply.expect(200);
        let phone = alice.get("account/phone").await.expect(200);
        assert_eq!(phone.data()[0]["phone"], "+31612345678", "{phone}");
        assert_eq!(phone.data()[0]["verified"], true, "{phone}");
        assert!(
            notes.of(project.of_person("bob", "id").replace('-', "").as_str()).1.contains("phone"),
            "{report:?}"
        );
        let app = AuthenticatorApp::new(project.of_person("tina", "totp"));
        project.second_factor(&server, "tina", &app.code(&server), 200).await;

        // A passkey knows its owner by the UUID.
        let key = &project.known["wanda"]["keys"][0];
        let text = |what: &str| key[what].as_str().expect("a text");
        let mut device = Authenticator::new(Algorithm::Es256);
        let private = BASE64URL.decode(text("private_key")).expect("base64url");
        device.hold(text("rp_id"), (text("id"), text("user_handle"), true), &private, 3);
        let path = "auth/webauthn/login";
        let mut client = server.app();
        let honest = Lie { set: BACKUP_ELIGIBLE, ..Lie::default() };
        let answer = device.get(&asked(&mut client, path).await, ORIGIN, &honest);
        let reply = client.post(path, json!({ "credential": answer })).await.expect(200);
        assert_eq!(reply.data()["user"]["email"], "wanda@example.org");
        let (second, _) = project.move_in(&server, usual()).await;
        assert_eq!(second.taken, 0, "{second:?}");
    });
}

#[test]
fn what_is_missing_is_told() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let url = &project.database.url;
        let refused = async |options: DjangoOptions| {
            Django::open(url, options).await.err().map(|error| error.to_string()).expect("an error")
        };
        let why =
            refused(DjangoOptions { user_table: "people_person".to_owned(), ..Default::default() }).await;
        assert!(why.contains("--user-table"), "{why}");
        let why =
            refused(DjangoOptions { phone_column: Some("mobile".to_owned()), ..Default::default() }).await;
        assert!(why.contains("no column \"mobile\"") && why.contains("date_joined"), "{why}");
        let django = Django::open(url, DjangoOptions::default()).await.expect("a project");
        assert_eq!(django.remarks(), [""; 0]);
        let own = Project::own().await;
        let django = Django::open(&own.database.url, own.options.clone()).await.expect("a project");
        let remarks = django.remarks().join("\n");
        for missing in ["username", "is_active", "date_joined"] {
            assert!(remarks.contains(&format!("{missing:?}")), "{missing} in {remarks}");
        }
        for nowhere in ["sqlite:///nowhere/db.sqlite3", "/nowhere/db.sqlite3", "mysql://localhost/x"] {
            assert!(Django::open(nowhere, DjangoOptions::default()).await.is_err(), "{nowhere}");
        }
    });
}

#[test]
fn x1_the_source_is_not_touched() {
    on_both(async |backend| {
        let project = Project::filled(backend).await;
        let server = TestApp::start(backend, SETTINGS).await;
        let before = project.contents().await;
        project.move_in(&server, usual()).await;
        assert_eq!(project.contents().await, before);
        if let Some(path) = project.database.url.strip_prefix("sqlite://") {
            let folder = std::path::Path::new(path).parent().expect("a folder");
            assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 1);
        }
    });
}
