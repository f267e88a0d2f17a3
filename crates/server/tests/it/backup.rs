//! `vestibule backup` and `vestibule restore`, with the program as a process and people who are logged in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule_base::storage::{Db, LATEST};
use vestibule_base::vals;
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::cli::{Server, complaint, run, vestibule};
use crate::crash::{Api, PASSWORD, answered};

const DATABASE: &str = "vestibule-data/vestibule.sqlite3";

/// Settings without a mail server: what is mailed can be read in the development mailbox.
fn configure(folder: &Path, database: Option<&str>) {
    let database = database.map(|url| format!("database.url = {url:?}\n")).unwrap_or_default();
    let settings = "server.secret_key = 'the secret key of this test, long enough for it'\n\
        account.rate_limits = false\n\
        account.email_verification = 'none'\n\
        account.login_by_code_enabled = true\n\
        passwords.argon2 = { memory_kib = 64, iterations = 1, parallelism = 1 }\n\
        [headless.frontend_urls]\n\
        account_reset_password_from_key = 'http://localhost:8000/reset-password/{key}'\n";
    fs::write(folder.join("vestibule.toml"), database + settings).unwrap();
}

/// What is open at the moment of a backup.
struct Open {
    token: String,
    /// A login that waits for the code.
    pending: String,
    code: String,
    reset_key: String,
}

fn credentials(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": PASSWORD })
}

fn sign_up(api: Api, name: &str) -> String {
    token(&answered(api.post("auth/signup", "", &credentials(name)).unwrap(), &[200]))
}

fn log_in(api: Api, name: &str) -> u16 {
    api.post("auth/login", "", &credentials(name)).unwrap().0
}

fn token(answer: &Value) -> String {
    answer["meta"]["session_token"].as_str().unwrap().to_owned()
}

fn session(api: Api, token: &str) -> u16 {
    api.get("/_allauth/app/v1/auth/session", token).unwrap().0
}

/// Ada asks for a login by code, Bob for another password, and neither goes on.
fn open(api: Api) -> Open {
    let token_of_ada = sign_up(api, "ada");
    sign_up(api, "bob");
    let email = json!({ "email": "ada@example.org" });
    let pending = token(&answered(api.post("auth/code/request", "", &email).unwrap(), &[401]));
    let email = json!({ "email": "bob@example.org" });
    answered(api.post("auth/password/request", "", &email).unwrap(), &[200]);
    let code = mailed(api, "code");
    let link = mailed(api, "link");
    let reset_key = link.rsplit_once('/').unwrap().1.to_owned();
    Open { token: token_of_ada, pending, code, reset_key }
}

fn mailed(api: Api, what: &str) -> String {
    let asked = Instant::now();
    loop {
        let (_, mails) = api.get("/_dev/mail.json", "").unwrap();
        if let Some(found) = mails.as_array().unwrap().iter().find_map(|mail| mail[what].as_str()) {
            return found.to_owned();
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "no {what} in {mails}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Open {
    /// All of it can be gone on with.
    fn assert_alive(&self, api: Api) {
        assert_eq!(session(api, &self.token), 200);
        answered(
            api.post("auth/code/confirm", &self.pending, &json!({ "code": self.code })).unwrap(),
            &[200],
        );
        answered(self.reset(api), &[200, 401]);
    }

    /// None of it can, and whoever it was logs in with a password.
    fn assert_dead(&self, api: Api) {
        assert!(matches!(session(api, &self.token), 401 | 410));
        let code = json!({ "code": self.code });
        answered(api.post("auth/code/confirm", &self.pending, &code).unwrap(), &[401, 409, 410]);
        answered(api.post("auth/code/confirm", "", &code).unwrap(), &[409]);
        answered(self.reset(api), &[400]);
        assert_eq!((log_in(api, "ada"), log_in(api, "bob")), (200, 200));
    }

    fn reset(&self, api: Api) -> (u16, Value) {
        let new = json!({ "key": self.reset_key, "password": "another horse battery staple" });
        api.post("auth/password/reset", "", &new).unwrap()
    }
}

fn stop(mut server: Server) {
    server.process.kill().unwrap();
    server.process.wait().unwrap();
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of files in the data folder that a restore leaves or makes.
fn beside(folder: &Path, what: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("vestibule-data")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().contains(what)).collect()
}

#[cfg(unix)]
fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
}

#[test]
fn x7_a_restore_ends_what_the_backup_held_open_unless_told_otherwise() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    configure(folder, None);
    let server = Server::start(folder);
    let api = Api(server.address);
    let open = open(api);

    // Made while people go on signing up.
    let busy = AtomicBool::new(true);
    let signed_up = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut n = 0;
            while busy.load(Ordering::Relaxed) {
                sign_up(api, &format!("other{n}"));
                n += 1;
            }
            n
        });
        std::thread::sleep(Duration::from_millis(100));
        succeed(folder, &["backup", "one.backup"]);
        succeed(folder, &["backup", "two.backup", "--json"]);
        busy.store(false, Ordering::Relaxed);
        others.join().unwrap()
    });
    assert!(signed_up > 0);
    assert_private(&folder.join("one.backup"));
    assert!(!folder.join("one.backup.partial").exists());

    let late = sign_up(api, "late");
    let said = complaint(&run(folder, &["restore", "one.backup"]));
    assert!(said.contains("in use: stop the server"), "{said}");
    assert_eq!(session(api, &late), 200, "the server was not disturbed");
    stop(server);

    let said = succeed(folder, &["restore", "one.backup"]);
    assert!(said.contains("1 pending login(s), 1 code(s), 1 mailed link(s)"), "{said}");
    let kept = beside(folder, "before-restore").pop().unwrap();
    assert!(said.contains(kept.to_str().unwrap()), "{said}");
    assert_private(&folder.join(DATABASE));
    let server = Server::start(folder);
    let api = Api(server.address);
    assert_eq!(log_in(api, "late"), 400, "made after the backup");
    assert!(matches!(session(api, &late), 401 | 410));
    let there: Vec<bool> = (0..signed_up).map(|n| log_in(api, &format!("other{n}")) == 200).collect();
    assert!(there.is_sorted_by(|earlier, later| earlier >= later), "a moment, not a mixture: {there:?}");
    open.assert_dead(api);
    stop(server);

    let answer: Value =
        serde_json::from_str(&succeed(folder, &["restore", "two.backup", "--keep-sessions", "--json"]))
            .unwrap();
    assert_eq!((&answer["ended"], &answer["version"]), (&Value::Null, &json!(LATEST)));
    let server = Server::start(folder);
    open.assert_alive(Api(server.address));
    stop(server);

    // The one that was replaced is a database like any other, and holds what came after the backup.
    let answer: Value =
        serde_json::from_str(&succeed(folder, &["restore", kept.to_str().unwrap(), "--json"])).unwrap();
    assert!(answer["ended"]["sessions"].as_i64().unwrap() > signed_up, "{answer}");
    assert!(answer["replaced"].as_str().unwrap().contains("before-restore"), "{answer}");
    let server = Server::start(folder);
    assert_eq!(log_in(Api(server.address), "late"), 200);
}

#[test]
fn x7_a_restore_makes_a_database_where_there_is_none() {
    let folder = TempDir::new().unwrap();
    configure(folder.path(), None);
    succeed(folder.path(), &["users", "create", "--email", "ada@example.org"]);
    succeed(folder.path(), &["backup", "a.backup"]);
    fs::remove_dir_all(folder.path().join("vestibule-data")).unwrap();
    let said = succeed(folder.path(), &["restore", "a.backup"]);
    assert!(!said.contains("before"), "{said}");
    assert!(succeed(folder.path(), &["users", "list"]).contains("ada@example.org"));
}

#[test]
fn x7_what_is_no_backup_is_refused_and_the_present_database_stays() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    configure(folder, None);
    let said = complaint(&run(folder, &["backup", "a.backup"]));
    assert!(said.contains("there is no database at"), "{said}");
    assert!(!folder.join("vestibule-data").exists() && !folder.join("a.backup").exists(), "and none is made");

    succeed(folder, &["users", "create", "--email", "ada@example.org"]);
    succeed(folder, &["backup", "a.backup"]);
    let said = complaint(&run(folder, &["backup", "a.backup"]));
    assert!(said.contains("a.backup exists already"), "{said}");
    let good = fs::read(folder.join("a.backup")).unwrap();

    let refused = |file: &str, why: &str| {
        // Without its header, which says whether it is in use.
        let content = || fs::read(folder.join(DATABASE)).unwrap().split_off(100);
        let before = content();
        let said = complaint(&run(folder, &["restore", file]));
        assert!(said.contains(file) && said.contains(why), "{said}");
        assert!(content() == before, "another database after {file}");
        assert_eq!(beside(folder, "restor"), Vec::<PathBuf>::new(), "nothing is left beside it");
        assert!(succeed(folder, &["users", "list"]).contains("ada@example.org"));
    };
    refused("none.backup", "No such file");
    for (name, content) in
        [("text.backup", "no database at all, but long enough".repeat(40)), ("empty.backup", String::new())]
    {
        fs::write(folder.join(name), content).unwrap();
        refused(name, "is not a database of Vestibule");
    }
    fs::write(folder.join("short.backup"), &good[..good.len() / 2]).unwrap();
    refused("short.backup", "is damaged");
    let mut spoilt = good.clone();
    for page in spoilt.chunks_mut(4096).skip(3).step_by(2) {
        page[..64].fill(0xff);
    }
    fs::write(folder.join("spoilt.backup"), spoilt).unwrap();
    refused("spoilt.backup", "is damaged");
    fs::write(folder.join("part.backup"), &good).unwrap();
    fs::write(folder.join("part.backup-wal"), "writes").unwrap();
    refused("part.backup", "a database in use, or a part of one");

    fs::write(folder.join("newer.backup"), &good).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", folder.join("newer.backup").display());
        let db = Db::open(&url, 1).await.unwrap();
        let mut tx = db.write().await.unwrap();
        let newer = "INSERT INTO schema_version (version) VALUES ($1)";
        tx.execute(newer, vals![LATEST + 1]).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
    });
    refused("newer.backup", &format!("the database has version {}", LATEST + 1));

    let said = complaint(&run(folder, &["restore"]));
    assert!(said.contains("name the backup"), "{said}");
}

#[test]
fn x7_a_restore_that_is_killed_leaves_the_one_database_or_the_other() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    configure(folder, None);
    let server = Server::start(folder);
    let api = Api(server.address);
    let ada = sign_up(api, "ada");
    succeed(folder, &["backup", "a.backup"]);
    let late = sign_up(api, "late");
    stop(server);
    fs::create_dir(folder.join("present")).unwrap();
    fs::rename(folder.join(DATABASE), folder.join("present/db")).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::rename(folder.join(format!("{DATABASE}{suffix}")), folder.join(format!("present/db{suffix}")))
            .unwrap();
    }

    let (mut old, mut new) = (0, 0);
    // From the first step to beyond the last: as long as a restore takes, and more, in small steps.
    let mut delay = Duration::ZERO;
    while new < 2 {
        fs::remove_dir_all(folder.join("vestibule-data")).unwrap();
        fs::create_dir(folder.join("vestibule-data")).unwrap();
        for suffix in ["", "-wal"] {
            let there = folder.join(format!("present/db{suffix}"));
            fs::copy(there, folder.join(format!("{DATABASE}{suffix}"))).unwrap();
        }
        let mut restoring: std::process::Child =
            Command::spawn(&mut vestibule(folder, &["restore", "a.backup"])).unwrap();
        std::thread::sleep(delay);
        restoring.kill().unwrap();
        restoring.wait().unwrap();
        delay += Duration::from_millis(6);

        let server = Server::start(folder);
        let api = Api(server.address);
        match log_in(api, "late") {
            200 => {
                old += 1;
                assert_eq!((session(api, &ada), session(api, &late)), (200, 200), "all of the old one");
            }
            status => {
                new += 1;
                assert_eq!(status, 400);
                assert_ne!(session(api, &ada), 200, "the backup is never there with its sessions alive");
            }
        }
        assert_eq!(log_in(api, "ada"), 200);
        stop(server);
        assert!(delay < Duration::from_secs(10), "no restore came to its end");
    }
    assert!(old > 0);
}

#[test]
fn x7_after_pg_restore_what_the_backup_held_open_is_ended() {
    if !Backend::all().contains(&Backend::Postgres) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let database = runtime.block_on(TestDatabase::create(Backend::Postgres));
    configure(folder, Some(&database.url));
    let said = complaint(&run(folder, &["backup", "a.backup"]));
    assert!(said.contains("pg_dump"), "{said}");
    let said = complaint(&run(folder, &["restore", "a.backup"]));
    assert!(said.contains("pg_restore") && said.contains("without a file"), "{said}");

    let server = Server::start(folder);
    let open_there = open(Api(server.address));
    stop(server);
    succeed(folder, &["restore", "--keep-sessions"]);
    let server = Server::start(folder);
    let api = Api(server.address);
    assert_eq!(session(api, &open_there.token), 200);
    stop(server);
    let said = succeed(folder, &["restore"]);
    assert!(said.contains("3 session(s), 1 pending login(s), 1 code(s), 1 mailed link(s)"), "{said}");
    let server = Server::start(folder);
    open_there.assert_dead(Api(server.address));
    drop(server);

    let empty = runtime.block_on(TestDatabase::empty(Backend::Postgres));
    configure(folder, Some(&empty.url));
    let said = complaint(&run(folder, &["restore"]));
    assert!(said.contains("restore it with pg_restore first"), "{said}");
}
