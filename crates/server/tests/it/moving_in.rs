//! Moving in from Django, by the command line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use vestibule_testkit::database::{Backend, TestDatabase};

use super::cli::{complaint, run};

const DJANGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/django");

fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn settings_of_a_project_become_a_configuration_that_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("{DJANGO}/settings.py");
    let file = said(folder.path(), &["import", "django-settings", &settings]);
    fs::write(folder.path().join("vestibule.toml"), &file).unwrap();
    let judged = said(folder.path(), &["config", "check"]);
    assert!(judged.contains("The configuration is good."), "{judged}\n{file}");

    let parsed: toml::Table = file.parse().unwrap();
    let social = &parsed["socialaccount"]["apps"];
    assert_eq!(social[0]["provider"].as_str(), Some("github"));
    assert_eq!(social[0]["settings"]["scope"][0].as_str(), Some("user:email"));
    assert!(social[0]["settings"].get("favourite_colour").is_none());
    assert_eq!(social[1]["provider_id"].as_str(), Some("work"));
    for (section, key, value) in [
        ("server", "public_url", "\"https://shop.example\""),
        ("server", "language", "\"de\""),
        ("server", "languages", "[\"de\", \"en\"]"),
        ("account", "login_methods", "[\"email\"]"),
        ("account", "login_by_code_timeout", "120"),
        ("account", "username_blacklist", "[\"admin\", \"root\", \"postmaster\"]"),
        ("mfa", "trust_cookie_age", "2592000"),
        ("headless", "token_strategy", "\"jwt\""),
        ("session", "cookie_age", "2592000"),
        ("email", "tls", "\"starttls\""),
        ("server", "cors_allowed_origins", "[\"https://app.shop.example\"]"),
    ] {
        assert_eq!(parsed[section][key].to_string(), value, "{section}.{key}");
    }
    for told in [
        "ACCOUNT_ADAPTER (line ",
        "ACCOUNT_SIGNUP_FORM_CLASS (line ",
        "ACCOUNT_FANCY (line ",
        "favourite_colour",
        "VESTIBULE_SOCIALACCOUNT__APPS__0__SECRET",
        "VESTIBULE_EMAIL__PASSWORD",
        "--from postgres://shop:PASSWORD@db.internal:5433/shop",
        "--user-table people_person",
        "NoEmojiValidator",
        "tlh",
        "from .base import *",
        "EMAIL_HOST (line 1",
    ] {
        assert!(file.contains(told), "{told} in\n{file}");
    }
}

#[test]
fn what_is_no_settings_file_is_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings.py");
    fs::write(&path, "A = (\n").unwrap();
    let name = path.display().to_string();
    assert!(complaint(&run(folder.path(), &["import", "django-settings", &name])).contains("line 2"));
    let missing = run(folder.path(), &["import", "django-settings", "nothing.py"]);
    assert!(complaint(&missing).contains("nothing.py"));
}

#[test]
fn users_of_a_project_are_taken_in_once() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let source = runtime.block_on(async {
        let source = TestDatabase::empty(Backend::Sqlite).await;
        source.run(include_str!("../django/auth.sqlite.sql")).await;
        source
    });
    let report = |more: &[&str]| -> Value {
        let arguments = [&["import", "django", "--from", &source.url, "--json"], more].concat();
        let text = said(folder.path(), &arguments);
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let dry = report(&["--dry-run"]);
    assert_eq!(dry["dry_run"], true);
    let first = report(&[]);
    assert_eq!(dry["report"], first["report"]);
    let taken = first["report"]["taken"].as_u64().unwrap();
    assert!(taken >= 18, "{first}");
    let second = report(&[]);
    assert_eq!((&second["report"]["taken"], &second["report"]["already_there"]), (&0.into(), &taken.into()));
    assert!(said(folder.path(), &["users", "list"]).contains("alice@example.org"));
    let nowhere = run(folder.path(), &["import", "django", "--from", "nowhere.sqlite3"]);
    assert!(complaint(&nowhere).contains("nowhere.sqlite3"));
}
