//! What an operator does to users by the command line: on the database itself, and by a server's API for operators. The
//! same commands, with the same output.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, complaint, run, vestibule};
use crate::http::ask;

const TOKEN: &str = "Zk3vQ9xT7mB2nL5pR8sW4yC6hJ1gF0dA";

/// A way to the users.
struct Way<'a> {
    folder: &'a Path,
    more: Vec<String>,
}

impl Way<'_> {
    fn arguments<'b>(&'b self, arguments: &[&'b str]) -> Vec<&'b str> {
        let more = self.more.iter().map(String::as_str);
        ["users"].into_iter().chain(arguments.iter().copied()).chain(more).collect()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = self.arguments(&[arguments, &["--json"]].concat());
        let output = run(self.folder, &arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = run(self.folder, &self.arguments(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        complaint(&run(self.folder, &self.arguments(arguments)))
    }

    fn set_password(&self, id: &str, password: &str) {
        let arguments = self.arguments(&["set-password", id, "--password-stdin", "--json"]);
        let mut set = vestibule(self.folder, &arguments).stdin(Stdio::piped()).spawn().unwrap();
        set.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
        let output = set.wait_with_output().unwrap();
        assert!(output.status.success());
        assert!(
            !String::from_utf8(output.stdout).unwrap().contains(password),
            "a given password is not shown"
        );
    }
}

/// Gives what a person reads, for comparison.
fn life(way: &Way<'_>) -> Vec<String> {
    let ada = way.json(&["create", "--email", "ada@example.org", "--verified"]);
    assert_eq!(ada["emails"][0]["email"], "ada@example.org");
    assert_eq!(ada["emails"][0]["verified"], true);
    assert_eq!(ada["generated_password"].as_str().unwrap().len(), 20);
    let id = ada["id"].to_string();
    let shown = way.text(&["show", &id]);
    assert!(shown.contains("\ncreated\t20"), "{shown}");
    let mut read = vec![way.text(&["list"]), shown.lines().next().unwrap_or_default().to_owned()];
    assert_eq!(way.json(&["show", &id])["authenticators"], json!([]));
    assert_eq!(way.json(&["list"]).as_array().unwrap().len(), 1);
    assert_eq!(way.json(&["list", "--after", &id]).as_array().unwrap().len(), 0);
    assert_eq!(way.json(&["show", "ada@example.org"])["id"], ada["id"]);
    assert_eq!(way.json(&["search", "ada@", "--active", "true", "--mfa", "false"])[0]["id"], ada["id"]);
    assert_eq!(way.json(&["search", "bea"]).as_array().unwrap().len(), 0);
    assert_eq!(way.json(&["deactivate", &id])["is_active"], false);
    assert_eq!(way.json(&["activate", &id])["is_active"], true);
    way.set_password(&id, "correct horse battery staple");
    assert_eq!(way.json(&["send-reset", &id])["sent_to"], "ada@example.org");
    assert_eq!(way.json(&["sessions", &id]).as_array().unwrap().len(), 0);
    read.push(way.text(&["end-sessions", &id]));
    read.push(way.text(&["remove-authenticators", &id]));
    read.push(way.refused(&["end-sessions", &id, "--session", "7"]).replace("the server says: ", ""));
    read.push(way.text(&["delete", &id]));
    assert_eq!(way.json(&["list"]).as_array().unwrap().len(), 0);
    read.push(way.refused(&["show", "ada@example.org"]).replace("the server says: ", ""));
    way.refused(&["create", "--email", "no address"]);
    read
}

#[test]
fn users_are_looked_after_on_the_database_and_by_a_server_alike() {
    let here = TempDir::new().unwrap();
    let direct = life(&Way { folder: here.path(), more: Vec::new() });

    let there = TempDir::new().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("admin = {{ listen = \"{address}\", tokens = [{TOKEN:?}] }}\n");
    std::fs::write(there.path().join("vestibule.toml"), settings).unwrap();
    let server = Server::start(there.path());
    // From a folder that has neither database nor configuration.
    let elsewhere = TempDir::new().unwrap();
    let token = elsewhere.path().join("token");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let url = format!("http://{address}");
    let by =
        |file: &str| vec!["--server".to_owned(), url.clone(), "--token-file".to_owned(), file.to_owned()];
    let way = Way { folder: elsewhere.path(), more: by("token") };
    assert_eq!(life(&way), direct);
    assert!(!elsewhere.path().join("vestibule-data").exists(), "a server is asked, and no database is made");
    assert!(way.refused(&["provider-token", "1", "github"]).contains("there is no user 1"));
    let bea = way.json(&["create", "--email", "bea@example.org"])["id"].to_string();
    assert!(way.refused(&["provider-token", &bea, "github"]).contains("without --server"));

    // X3: a wrong token is not repeated, and none is taken from the command line.
    std::fs::write(&token, "not the right token, which nobody needs to see").unwrap();
    let said = way.refused(&["list"]);
    assert!(said.contains("Show a token") && !said.contains("nobody needs"), "{said}");
    let none = Way { folder: elsewhere.path(), more: by("none") };
    assert!(none.refused(&["list"]).contains("none"));
    let unset = Way { folder: elsewhere.path(), more: vec!["--server".to_owned(), url] };
    assert!(unset.refused(&["list"]).contains("VESTIBULE_ADMIN_TOKEN"));
    let mut by_variable = vestibule(elsewhere.path(), &unset.arguments(&["list"]));
    assert!(by_variable.env("VESTIBULE_ADMIN_TOKEN", TOKEN).output().unwrap().status.success());

    // The public address has none of it.
    let authorization = format!("Bearer {TOKEN}");
    let headers = [("Authorization", authorization.as_str())];
    assert_eq!(ask(server.address, "GET", "/_admin/v1/users", &headers, "").status, 404);
    assert_eq!(ask(address, "GET", "/_admin/v1/users", &headers, "").status, 200);
    assert_eq!(ask(address, "GET", "/_allauth/app/v1/config", &headers, "").status, 404);
    assert_eq!(ask(address, "GET", "/_allauth/app/v1/config", &[], "").status, 401);
}

#[test]
fn an_api_for_operators_without_tokens_does_not_start() {
    let folder = TempDir::new().unwrap();
    let start = |settings: &str| {
        std::fs::write(folder.path().join("vestibule.toml"), settings).unwrap();
        complaint(&run(folder.path(), &["serve"]))
    };
    assert!(
        start("admin.listen = \"127.0.0.1:0\"\n")
            .contains("vestibule.toml:1: admin.listen: set admin.tokens")
    );
    let short = start("[admin]\nlisten = \"127.0.0.1:0\"\ntokens = [\"hush-hush\"]\n");
    assert!(short.contains("admin.tokens") && !short.contains("hush"), "{short}");
}
