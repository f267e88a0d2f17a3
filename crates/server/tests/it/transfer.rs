//! `vestibule export` and `vestibule import`, with the program as a process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule_testkit::database::{Backend, TestDatabase};

use crate::cli::{Server, complaint, run};
use crate::crash::{Api, PASSWORD, answered};

/// Settings with a secret key of their own.
fn configure(folder: &Path, key: &str, database: Option<&str>) {
    let database = database.map(|url| format!("database.url = {url:?}\n")).unwrap_or_default();
    let settings = format!(
        "server.secret_key = 'the secret key of this test, {key}'\n\
         account = {{ rate_limits = false, email_verification = 'none' }}\n\
         passwords.argon2 = {{ memory_kib = 64, iterations = 1, parallelism = 1 }}\n"
    );
    fs::write(folder.join("vestibule.toml"), database + &settings).unwrap();
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(err));
    String::from_utf8(out.clone()).unwrap()
}

fn credentials(name: &str) -> Value {
    json!({ "email": format!("{name}@example.org"), "password": PASSWORD })
}

#[test]
fn everybody_moves_from_one_kind_of_database_to_the_other() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = *Backend::all().last().unwrap();
    let database = runtime.block_on(TestDatabase::create(backend));
    configure(here.path(), "here", None);
    configure(there.path(), "there", Some(&database.url));
    let server = Server::start(here.path());
    for name in ["ada", "bob", "eve"] {
        answered(Api(server.address).post("auth/signup", "", &credentials(name)).unwrap(), &[200]);
    }
    // Beside the running server.
    let text = said(&run(here.path(), &["export", "--output", "accounts.jsonl"]));
    assert_eq!(text, "3 accounts are in accounts.jsonl.\n");
    let file = here.path().join("accounts.jsonl");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777, 0o600);
    assert!(
        complaint(&run(here.path(), &["export", "--output", "accounts.jsonl"])).contains("accounts.jsonl")
    );
    let lines = said(&run(here.path(), &["export"]));
    assert_eq!(lines.lines().count(), 4, "{lines}");

    let file = file.to_str().unwrap();
    let text = said(&run(there.path(), &["import", file, "--dry-run"]));
    assert!(
        text.starts_with("3 would be taken (0 of them not whole), 0 already there, 0 not taken."),
        "{text}"
    );
    assert_eq!(said(&run(there.path(), &["users", "list"])), "No users.\n");
    for (taken, there_already) in [(3, 0), (0, 3)] {
        let text = said(&run(there.path(), &["import", file, "--json"]));
        let told: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&told["report"]["taken"], &told["report"]["already_there"]),
            (&json!(taken), &json!(there_already))
        );
    }
    let server = Server::start(there.path());
    for name in ["ada", "bob", "eve"] {
        answered(Api(server.address).post("auth/login", "", &credentials(name)).unwrap(), &[200]);
    }
}

#[test]
fn a_table_is_taken_but_for_its_bad_lines() {
    let folder = TempDir::new().unwrap();
    configure(folder.path(), "here", None);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("users.csv", "email,email_verified,plan\nada@example.org,yes,free\nbob@example.org,perhaps,\n");
    let text = complaint(&run(folder.path(), &["import", "users.csv"]));
    assert!(text.contains("users.csv, line 1: unknown columns plan"), "{text}");
    let output = run(folder.path(), &["import", "users.csv", "--ignore-columns", "plan"]);
    assert!(said(&output).starts_with("1 taken (0 of them not whole), 0 already there, 1 not taken."));
    let notes = String::from_utf8(output.stderr).unwrap();
    assert_eq!(notes, "vestibule: line 3: not taken: email_verified: neither true nor false\n");
    assert!(said(&run(folder.path(), &["users", "list"])).contains("ada@example.org"));

    write("users", "");
    assert!(complaint(&run(folder.path(), &["import", "users"])).contains("--format"));
    assert!(complaint(&run(folder.path(), &["import", "none.jsonl"])).contains("none.jsonl"));
    write("newer.jsonl", "{\"vestibule_accounts\": 9}\n");
    assert!(complaint(&run(folder.path(), &["import", "newer.jsonl"])).contains("version 9"));
    assert_eq!(run(folder.path(), &["import"]).status.code(), Some(2));
}

#[test]
fn nothing_is_sealed_under_a_key_that_the_database_does_not_know() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for backend in Backend::all() {
        let folder = TempDir::new().unwrap();
        let database = runtime.block_on(TestDatabase::create(*backend));
        configure(folder.path(), "of the server", Some(&database.url));
        let eve = ["users", "create", "--email", "eve@example.org"];
        said(&run(folder.path(), &eve));
        let account = r#"{"source_id": "1", "username": "ada", "totp": {"secret": "MZXW6YTBOIMZXW6YTBOI"}}"#;
        fs::write(folder.path().join("accounts.jsonl"), account).unwrap();

        configure(folder.path(), "another one", Some(&database.url));
        for command in [
            &["import", "accounts.jsonl"][..],
            &["import", "accounts.jsonl", "--dry-run"],
            &["export"],
            &["export", "--output", "out.jsonl"],
        ] {
            let line = complaint(&run(folder.path(), command));
            assert!(line.contains("server.secret_key: not the one"), "{command:?}: {line}");
        }
        assert!(!folder.path().join("out.jsonl").exists());
        configure(folder.path(), "of the server", Some(&database.url));
        let list = said(&run(folder.path(), &["users", "list"]));
        assert!(list.contains("eve@example.org") && !list.contains("ada"), "{list}");
        let text = said(&run(folder.path(), &["import", "accounts.jsonl"]));
        assert!(text.starts_with("1 taken (0 of them not whole), 0 already there"), "{text}");
    }
}
