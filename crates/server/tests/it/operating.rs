//! The steps of `docs/operating.md`, done as they stand there, around people who are logged in and half-way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule_base::security::{Clock, SystemClock};
use vestibule_base::storage::{Db, LATEST, schema_version};
use vestibule_base::vals;
use vestibule_testkit::database::{Backend, TestDatabase};
use vestibule_testkit::totp::AuthenticatorApp;

use crate::cli::{Server, complaint, vestibule};
use crate::crash::{Api, PASSWORD, answered};

const PAGE: &str = include_str!("../../../../docs/operating.md");
const APP: &str = "/_allauth/app/v1";
/// Seconds that a code of an authenticator app is shown.
const PERIOD: i64 = 30;

/// The commands of a section, block by block.
fn steps(heading: &str) -> Vec<String> {
    let (_, section) = PAGE.split_once(&format!("\n{heading}\n")).unwrap();
    let level = heading.split(' ').next().unwrap();
    let section = section.split(&format!("\n{level} ")).next().unwrap();
    let mut blocks = Vec::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```sh" {
            let block = lines.by_ref().map(str::trim).take_while(|line| *line != "```");
            blocks.push(block.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// A folder with settings, keys and a database, in which the page's commands are run.
struct Place {
    folder: TempDir,
    database: TestDatabase,
}

impl Place {
    fn new(backend: Backend) -> Self {
        let creating = TestDatabase::create(backend);
        let database = tokio::runtime::Runtime::new().unwrap().block_on(creating);
        let place = Self { folder: TempDir::new().unwrap(), database };
        place.write("secret_key", "the secret key of this test, long enough for it\n");
        place.write("secret_key_fallbacks", "[]\n");
        place.write(
            "vestibule.toml",
            "account.rate_limits = false\n\
             account.email_verification = 'none'\n\
             account.login_by_code_enabled = true\n\
             mfa = { allow_unverified_email = true, totp_tolerance = 3, reauthentication_required = false }\n\
             passwords.argon2 = { memory_kib = 64, iterations = 1, parallelism = 1 }\n",
        );
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// What instances and commands are told.
    fn told(&self, command: &mut Command) {
        command.current_dir(self.path()).env_remove("RUST_LOG");
        command.env("VESTIBULE_DATABASE__URL", &self.database.url);
        command.env("VESTIBULE_SERVER__SECRET_KEY_FILE", "secret_key");
        command.env("VESTIBULE_SERVER__SECRET_KEY_FALLBACKS_FILE", "secret_key_fallbacks");
    }

    fn serve(&self) -> Server {
        let mut command = vestibule(self.path(), &["serve"]);
        self.told(&mut command);
        Server::start_as(command.stderr(Stdio::null()))
    }

    /// Runs the commands of a step. What they print.
    fn run(&self, step: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_vestibule")).parent().unwrap();
        let mut command = Command::new("sh");
        self.told(command.args(["-euc", step]));
        #[expect(clippy::disallowed_methods, reason = "where programs are, no setting of the server")]
        let path = std::env::var("PATH").unwrap_or_default();
        let output = command.env("PATH", format!("{}:{path}", program.display())).output().unwrap();
        assert!(output.status.success(), "{step}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn restart(&self, server: &mut Server) {
        server.process.kill().unwrap();
        server.process.wait().unwrap();
        *server = self.serve();
    }
}

fn api(server: &Server) -> Api {
    Api(server.address)
}

fn credentials(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": PASSWORD })
}

fn token(answer: &Value) -> String {
    answer["meta"]["session_token"].as_str().unwrap().to_owned()
}

fn sign_up(api: Api, name: &str) -> String {
    token(&answered(api.post("auth/signup", "", &credentials(name)).unwrap(), &[200]))
}

fn session(api: Api, token: &str) -> u16 {
    api.get(&format!("{APP}/auth/session"), token).unwrap().0
}

/// What was mailed to somebody.
fn mailed(api: Api, name: &str, what: &str) -> String {
    let to = format!("{name}@example.org");
    let asked = Instant::now();
    loop {
        let (_, mails) = api.get("/_dev/mail.json", "").unwrap();
        let mut theirs = mails.as_array().unwrap().iter().filter(|mail| mail["to"] == to.as_str());
        if let Some(found) = theirs.find_map(|mail| mail[what].as_str()) {
            return found.to_owned();
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "no {what} for {to} in {mails}");
        sleep(Duration::from_millis(10));
    }
}

/// Asks for a login by code. The session that waits for it.
fn ask_for_code(api: Api, name: &str) -> String {
    let email = json!({ "email": format!("{name}@example.org") });
    token(&answered(api.post("auth/code/request", "", &email).unwrap(), &[401]))
}

fn confirm(api: Api, pending: &str, code: &str) {
    answered(api.post("auth/code/confirm", pending, &json!({ "code": code })).unwrap(), &[200]);
}

/// Logs in with password and authenticator app, by the code of some periods ago.
fn log_in(api: Api, name: &str, app: &AuthenticatorApp, periods: i64) -> String {
    let pending = token(&answered(api.post("auth/login", "", &credentials(name)).unwrap(), &[401]));
    let code = json!({ "code": code(app, periods) });
    token(&answered(api.post("auth/2fa/authenticate", &pending, &code).unwrap(), &[200]))
}

fn code(app: &AuthenticatorApp, periods: i64) -> String {
    app.code_at(SystemClock.now() / 1000 - periods * PERIOD)
}

#[test]
fn x1_the_secret_key_is_changed_by_the_steps_of_the_page_and_nobody_is_logged_out() {
    let steps = steps("## Changing the secret key");
    let [prepare, change, reseal, forget] = steps.as_slice() else {
        unreachable!("four steps, not {steps:?}");
    };
    for &backend in Backend::all() {
        let place = Place::new(backend);
        // Over PostgreSQL two instances, of which one is always a step behind.
        let (mut first, mut other) = (place.serve(), (backend == Backend::Postgres).then(|| place.serve()));
        let old_key = fs::read_to_string(place.path().join("secret_key")).unwrap();
        let ada = sign_up(api(&first), "ada");
        let path = "account/authenticators/totp";
        let secret = api(&first).get(&format!("{APP}/{path}"), &ada).unwrap().1["meta"]["secret"].clone();
        let app = AuthenticatorApp::new(secret.as_str().unwrap());
        answered(api(&first).post(path, &ada, &json!({ "code": code(&app, 3) })).unwrap(), &[200]);
        let bob = sign_up(api(&first), "bob");
        sign_up(api(&first), "dave");
        let pending = ask_for_code(api(&first), "dave");
        let in_mail = mailed(api(&first), "dave", "code");

        place.run(prepare);
        place.restart(&mut first);
        assert_eq!(session(api(&first), &ada), 200);
        if let Some(other) = &mut other {
            place.restart(other);
        }

        place.run(change);
        assert_ne!(fs::read_to_string(place.path().join("secret_key")).unwrap(), old_key);
        place.restart(&mut first);
        // The one writes with the new key now, the other with the old one, and each reads both.
        let behind = other.as_ref().map_or(api(&first), api);
        for api in [api(&first), behind] {
            assert_eq!((session(api, &ada), session(api, &bob)), (200, 200));
        }
        let carol = sign_up(api(&first), "carol");
        assert_eq!(session(behind, &carol), 200);
        confirm(api(&first), &pending, &in_mail);
        sign_up(api(&first), "eve");
        let pending = ask_for_code(api(&first), "eve");
        confirm(behind, &pending, &mailed(behind, "eve", "code"));
        log_in(behind, "ada", &app, 2);
        if let Some(other) = &mut other {
            place.restart(other);
        }

        for api in other.iter().chain([&first]).map(api) {
            for session_of in [&ada, &bob, &carol] {
                assert_eq!(session(api, session_of), 200, "nobody is logged out");
            }
        }

        let said = place.run(reseal);
        assert!(said.contains("secrets are encrypted with the present key"), "{said}");
        place.run(forget);
        place.restart(&mut first);
        if let Some(other) = &mut other {
            place.restart(other);
        }
        for api in other.iter().chain([&first]).map(api) {
            assert_eq!(session(api, &carol), 200, "made with the new key");
            assert_ne!(session(api, &bob), 200, "the old key is worth nothing any more");
        }
        log_in(api(&first), "ada", &app, 1);
    }
}

#[test]
fn x7_a_backup_is_made_and_restored_by_the_steps_of_the_page() {
    for &backend in Backend::all() {
        let steps = steps(if backend == Backend::Sqlite { "### SQLite" } else { "### PostgreSQL" });
        let [backup, restore] = steps.as_slice() else { unreachable!("two steps, not {steps:?}") };
        let place = Place::new(backend);
        fs::create_dir(place.path().join("backup")).unwrap();
        // The page's folder is here, and its day is today.
        let here = |step: &str| {
            let today = place.run("date +%F");
            let folder = place.path().join("backup");
            step.replace("/backup", folder.to_str().unwrap()).replace("2026-11-24", today.trim())
        };
        let mut server = place.serve();
        let ada = sign_up(api(&server), "ada");
        place.run(&here(backup));
        sign_up(api(&server), "late");
        server.process.kill().unwrap();
        server.process.wait().unwrap();

        let said = place.run(&here(restore));
        assert!(said.contains("Ended: 1 session(s)"), "{said}");
        server = place.serve();
        assert_ne!(session(api(&server), &ada), 200);
        for (name, status) in [("ada", 200), ("late", 400)] {
            assert_eq!(api(&server).post("auth/login", "", &credentials(name)).unwrap().0, status, "{name}");
        }
        drop(server);
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_in_one_line_and_left_alone() {
    for &backend in Backend::all() {
        let place = Place::new(backend);
        let newer = LATEST + 1;
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let found = runtime.block_on(async {
            let db = Db::open(&place.database.url, 2).await.unwrap();
            let mut tx = db.write().await.unwrap();
            tx.execute("INSERT INTO schema_version (version) VALUES ($1)", vals![newer]).await.unwrap();
            tx.commit().await.unwrap();
            db.close().await;
            for arguments in [&["serve"] as &[&str], &["migrate"], &["users", "list"]] {
                let mut command = vestibule(place.path(), arguments);
                place.told(command.env("VESTIBULE_SERVER__LISTEN", "127.0.0.1:0"));
                let said = complaint(&command.output().unwrap());
                assert!(said.contains(&format!("has version {newer}")), "{said}");
                assert!(said.contains("start the newer binary, or restore a backup"), "{said}");
            }
            let db = Db::open(&place.database.url, 2).await.unwrap();
            let found = schema_version(&db).await.unwrap();
            db.close().await;
            found
        });
        assert_eq!(found, Some(newer));
    }
}

#[test]
fn an_instance_waits_for_the_one_that_migrates_as_long_as_that_takes() {
    if !Backend::all().contains(&Backend::Postgres) {
        return;
    }
    let place = Place::new(Backend::Postgres);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let db = Db::open(&place.database.url, 2).await.unwrap();
        let mut tx = db.write().await.unwrap();
        // The one that every migration holds.
        tx.execute("SELECT pg_advisory_xact_lock(7831504)", vals![]).await.unwrap();
        let mut command = vestibule(place.path(), &["migrate"]);
        place.told(&mut command);
        let waiting = command.spawn().unwrap();
        // Longer than a statement may take while people wait for it.
        tokio::time::sleep(Duration::from_millis(5500)).await;
        tx.commit().await.unwrap();
        let output = waiting.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        db.close().await;
    });
}
