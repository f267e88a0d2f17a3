//! The program is killed at any moment, on both databases: what it has acknowledged is there when it starts again,
//! nothing is half there, and what was used stays used. And what it does while its disk is full.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule_base::security::random;
use vestibule_base::storage::{Db, outbox};
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::cli::{Server, vestibule};

/// Kills in a usual run; `VESTIBULE_CRASH_ROUNDS` asks for another number.
const ROUNDS: usize = 10;
const WORKERS: usize = 4;
pub(crate) const PASSWORD: &str = "correct horse battery staple";

#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of the server")]
fn rounds() -> usize {
    std::env::var("VESTIBULE_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn configure(folder: &Path, database: &str) {
    let settings = format!(
        "server.secret_key = 'the secret key of this test, long enough for it'\n\
         database.url = {database:?}\n\
         account.rate_limits = false\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n\
         [headless.frontend_urls]\n\
         account_confirm_email = 'http://localhost:8000/verify-email/{{key}}'\n\
         account_reset_password_from_key = 'http://localhost:8000/reset-password/{{key}}'\n"
    );
    std::fs::write(folder.join("vestibule.toml"), settings).unwrap();
}

/// A client of the server; `None` for an answer says that the server was gone before it had answered.
#[derive(Clone, Copy)]
pub(crate) struct Api(pub(crate) SocketAddr);

impl Api {
    pub(crate) fn post(self, path: &str, token: &str, body: &Value) -> Option<(u16, Value)> {
        self.ask(&format!("POST /_allauth/app/v1/{path}"), token, &body.to_string())
    }

    pub(crate) fn get(self, path: &str, token: &str) -> Option<(u16, Value)> {
        self.ask(&format!("GET {path}"), token, "")
    }

    fn ask(self, what: &str, token: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.0).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let token = if token.is_empty() { String::new() } else { format!("X-Session-Token: {token}\r\n") };
        let length = body.len();
        let head = format!(
            "{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        // Half an answer is none.
        Some((status, serde_json::from_str(body).ok()?))
    }

    fn log_in(self, account: &Account, password: &str) -> Entry {
        let body = json!({ "email": account.email, "password": password });
        match self.post("auth/login", "", &body).unwrap() {
            (200, _) => Entry::Verified,
            (401, _) => Entry::Unverified,
            (400, _) => Entry::Refused,
            answer => panic!("{answer:?} for {account:?}"),
        }
    }

    /// The key in the newest mail to the account of this kind.
    fn key(self, account: &Account, page: &str) -> Option<String> {
        loop {
            let (_, mails) = self.get("/_dev/mail.json", "")?;
            let links = mails.as_array()?.iter().filter(|mail| mail["to"] == account.email.as_str());
            let mut links = links.filter_map(|mail| mail["link"].as_str()).filter(|link| link.contains(page));
            if let Some(link) = links.next() {
                return Some(link.rsplit_once('/')?.1.to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Verified,
    Unverified,
    Refused,
}

/// What is known of something that was asked for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Known {
    #[default]
    NotAsked,
    /// The server died before it answered.
    Unanswered,
    Done,
}

/// An account, as far as the server's answers tell.
#[derive(Debug, Default)]
struct Account {
    email: String,
    password: String,
    /// What the password may have become.
    next: Option<String>,
    signed_up: Known,
    verified: Known,
    verify_key: Option<String>,
    reset: Known,
    reset_key: Option<String>,
}

impl Account {
    /// Goes through everything once; `None` when the server died.
    fn live(&mut self, api: Api) -> Option<()> {
        self.signed_up = Known::Unanswered;
        let new = json!({ "email": self.email, "password": self.password });
        answered(api.post("auth/signup", "", &new)?, &[401]);
        self.signed_up = Known::Done;

        let key = api.key(self, "/verify-email/")?;
        self.verify_key = Some(key.clone());
        self.verified = Known::Unanswered;
        answered(api.post("auth/email/verify", "", &json!({ "key": key }))?, &[200, 401]);
        self.verified = Known::Done;

        let login = json!({ "email": self.email, "password": self.password });
        let mut session = answered(api.post("auth/login", "", &login)?, &[200]);
        for n in 0..3 {
            let new = format!("{PASSWORD} {n}");
            self.next = Some(new.clone());
            let change = json!({ "current_password": self.password, "new_password": new });
            let token = session["meta"]["session_token"].as_str().unwrap().to_owned();
            session = answered(api.post("account/password/change", &token, &change)?, &[200]);
            self.password = new;
            self.next = None;
        }

        answered(api.post("auth/password/request", "", &json!({ "email": self.email }))?, &[200]);
        let key = api.key(self, "/reset-password/")?;
        self.reset_key = Some(key.clone());
        self.reset = Known::Unanswered;
        let new = format!("{PASSWORD}, reset");
        self.next = Some(new.clone());
        answered(api.post("auth/password/reset", "", &json!({ "key": key, "password": new }))?, &[200, 401]);
        self.reset = Known::Done;
        self.password = new;
        self.next = None;
        Some(())
    }

    /// Holds what the server knows now against what it has answered.
    fn check(&self, api: Api) {
        let entry = match (api.log_in(self, &self.password), &self.next) {
            (Entry::Refused, Some(next)) => api.log_in(self, next),
            (entry, Some(next)) => {
                assert_eq!(api.log_in(self, next), Entry::Refused, "two passwords for {self:?}");
                entry
            }
            (entry, None) => entry,
        };
        if entry == Entry::Refused {
            assert_eq!(self.signed_up, Known::Unanswered, "gone: {self:?}");
            // Then nothing of it is there, and it can be made.
            let new = json!({ "email": self.email, "password": self.password });
            answered(api.post("auth/signup", "", &new).unwrap(), &[401]);
            assert_eq!(api.log_in(self, &self.password), Entry::Unverified, "half there: {self:?}");
            return;
        }
        match self.verified {
            Known::NotAsked => assert_eq!(entry, Entry::Unverified, "{self:?}"),
            Known::Unanswered => {}
            Known::Done => assert_eq!(entry, Entry::Verified, "{self:?}"),
        }
        if let Some(key) = &self.verify_key {
            let (status, _) = api.post("auth/email/verify", "", &json!({ "key": key })).unwrap();
            assert_eq!(status == 400, entry == Entry::Verified, "{status} for the key of {self:?}");
        }
        if let Some(key) = &self.reset_key {
            let was_reset = self.reset == Known::Done || api.log_in(self, &self.password) == Entry::Refused;
            let again = json!({ "key": key, "password": format!("{PASSWORD}, reset once more") });
            let (status, _) = api.post("auth/password/reset", "", &again).unwrap();
            assert_eq!(status == 400, was_reset, "{status} for the reset key of {self:?}");
        }
    }
}

#[track_caller]
pub(crate) fn answered((status, body): (u16, Value), wanted: &[u16]) -> Value {
    assert!(wanted.contains(&status), "{status} {body}");
    body
}

fn survives_being_killed(backend: Backend) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(TestDatabase::durable(backend));
    let folder = TempDir::new().unwrap();
    configure(folder.path(), &database.url);
    let mut last = Vec::new();
    for round in 0..rounds() {
        let mut server = Server::start(folder.path());
        let api = Api(server.address);
        for account in &last {
            Account::check(account, api);
        }
        let lived = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let lived = &lived;
                scope.spawn(move || {
                    for n in 0.. {
                        let email = format!("w{worker}n{n}@round{round}.example.org");
                        let mut account = Account { email, password: PASSWORD.into(), ..Account::default() };
                        let alive = account.live(api).is_some();
                        lived.lock().unwrap().push(account);
                        if !alive {
                            break;
                        }
                    }
                });
            }
            let [moment] = random::bytes::<1>().unwrap();
            std::thread::sleep(Duration::from_millis(50 + 3 * u64::from(moment)));
            server.process.kill().unwrap();
            server.process.wait().unwrap();
        });
        last = lived.into_inner().unwrap();
        assert!(last.len() >= WORKERS);
    }
    // What was on its way to somebody arrives, at the latest when the dead server's hold on it has ended.
    let server = Server::start(folder.path());
    let waiting = async {
        let db = Db::open(&database.url, 1).await.unwrap();
        let started = Instant::now();
        while outbox::count(&mut db.read().await.unwrap()).await.unwrap() > 0 {
            assert!(started.elapsed() < Duration::from_secs(20), "messages stay behind");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        db.close().await;
    };
    runtime.block_on(waiting);
    let api = Api(server.address);
    for account in last.iter().filter(|account| account.signed_up == Known::Done) {
        api.key(account, "/verify-email/").unwrap();
    }
    for account in &last {
        account.check(api);
    }
}

#[test]
fn x4_what_was_acknowledged_survives_a_kill_on_sqlite() {
    survives_being_killed(Backend::Sqlite);
}

#[test]
fn x4_what_was_acknowledged_survives_a_kill_on_postgresql() {
    if Backend::all().contains(&Backend::Postgres) {
        survives_being_killed(Backend::Postgres);
    }
}

#[test]
fn x5_a_full_disk_refuses_what_must_be_written_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("test.sqlite3");
    configure(folder.path(), &format!("sqlite://{}", path.display()));
    // A limit on the size of files stands in for the end of the disk: 1 MiB, in the shell's units of 512 bytes.
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        "ulimit -S -f 2048; trap '' XFSZ; exec \"$0\" serve",
        env!("CARGO_BIN_EXE_vestibule"),
    ]);
    command.current_dir(folder.path()).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server::start_as(&mut command);
    let api = Api(server.address);
    let account = |n: usize| Account {
        email: format!("ada{n}@example.org"),
        password: PASSWORD.into(),
        ..Account::default()
    };
    let sign_up = |n: usize| {
        let body = json!({ "email": account(n).email, "password": PASSWORD });
        let asked = Instant::now();
        let answer = api.post("auth/signup", "", &body).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(5));
        answer
    };
    let (_, first) = sign_up(0);
    let token = first["meta"]["session_token"].as_str().unwrap();
    let refused = (1..1000).find(|n| match sign_up(*n).0 {
        401 => false,
        503 => true,
        status => panic!("{status}"),
    });
    let refused = refused.expect("the disk is full some time");
    for _ in 0..3 {
        assert_eq!(sign_up(refused).0, 503);
        let (status, session) = api.get("/_allauth/app/v1/auth/session", token).unwrap();
        assert_eq!((status, session["data"]["flows"].is_array()), (401, true), "reading goes on");
        assert_eq!(api.get("/healthz", "").unwrap().0, 200);
    }
    // Room again, without a restart, where the system has a tool for that.
    let id = server.process.id().to_string();
    let made_room = Command::new("prlimit").args(["--fsize=unlimited:unlimited", "--pid", &id]).status();
    if made_room.is_ok_and(|status| status.success()) {
        assert_eq!(sign_up(refused).0, 401);
    }
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let server = Server::start(folder.path());
    let api = Api(server.address);
    for n in 0..refused {
        assert_eq!(api.log_in(&account(n), PASSWORD), Entry::Unverified, "{n} of {refused}");
    }
}

#[test]
fn x3_the_program_logs_no_secret_however_much_it_logs() {
    let folder = TempDir::new().unwrap();
    configure(folder.path(), &format!("sqlite://{}", folder.path().join("test.sqlite3").display()));
    let log = folder.path().join("log");
    let mut command = vestibule(folder.path(), &["serve"]);
    command.env("RUST_LOG", "trace").stderr(std::fs::File::create(&log).unwrap());
    let mut server = Server::start_as(&mut command);
    let api = Api(server.address);
    let mut account =
        Account { email: "ada@example.org".into(), password: PASSWORD.into(), ..Account::default() };
    account.live(api).unwrap();
    let login = json!({ "email": account.email, "password": account.password });
    let session = answered(api.post("auth/login", "", &login).unwrap(), &[200]);
    let token = session["meta"]["session_token"].as_str().unwrap().to_owned();
    answered(api.get("/_allauth/app/v1/auth/session", &token).unwrap(), &[200]);
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("password_changed"), "there is a log");
    let secrets = [PASSWORD.to_owned(), token, account.verify_key.unwrap(), account.reset_key.unwrap()];
    for line in log.lines().filter(|line| !line.contains("vestibule::mailbox")) {
        for secret in &secrets {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
        assert!(!line.contains("the secret key of this test"), "{line}");
    }
}
