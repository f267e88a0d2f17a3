//! `vestibule events` and `vestibule webhooks`, as an operator meets them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{complaint, run, vestibule};

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = run(folder.path(), &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn create(folder: &TempDir, email: &str) -> Value {
    json(folder, &["users", "create", "--email", email])
}

#[test]
fn x3_events_are_listed_and_followed() {
    let folder = TempDir::new().unwrap();
    let none = run(folder.path(), &["events"]);
    assert_eq!(String::from_utf8(none.stdout).unwrap(), "No events.\n");
    let ada = create(&folder, "ada@example.org");
    create(&folder, "eve@example.org");
    assert_eq!(json(&folder, &["events"]).as_array().unwrap().len(), 2);
    let own = json(&folder, &["events", "--user", "ada@example.org"]);
    assert_eq!((&own[0]["user_id"], &own[0]["by"]), (&ada["id"], &Value::from("operator")));
    assert_eq!(json(&folder, &["events", "--type", "deleted"]).as_array().unwrap().len(), 0);
    assert_eq!(json(&folder, &["events", "--since", "2100-01-01T00:00:00Z"]).as_array().unwrap().len(), 0);
    let text = String::from_utf8(run(folder.path(), &["events", "--limit", "1"]).stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("\tsigned_up\tuser 2\toperator"), "{text}");
    complaint(&run(folder.path(), &["events", "--user", "nobody@example.org"]));
    let wrong = run(folder.path(), &["events", "--type", "logged-in"]);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("there is no event"));

    let mut follow =
        vestibule(folder.path(), &["events", "--follow", "--json", "--limit", "1"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["user_id"], 2);
    let bob = create(&folder, "bob@example.org");
    json(&folder, &["users", "delete", "bob@example.org"]);
    for kind in ["signed_up", "deleted"] {
        let event = next();
        assert_eq!((&event["type"], &event["user_id"]), (&Value::from(kind), &bob["id"]));
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn x3_webhooks_are_tested_and_listed() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = format!(
        "[[events.webhooks]]\nname = 'crm'\nurl = 'http://{}/in'\nsecrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']",
        listener.local_addr().unwrap()
    );
    std::fs::write(folder.path().join("vestibule.toml"), &settings).unwrap();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        while !request.ends_with("\"test\"}") {
            let mut buffer = [0; 2048];
            let read = stream.read(&mut buffer).unwrap();
            request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
        request
    });
    assert_eq!(json(&folder, &["webhooks", "test", "crm"])["taken"], "crm");
    let request = receiver.join().unwrap();
    assert!(
        request.contains("\r\nwebhook-id: msg_") && request.contains("\r\nwebhook-signature: v1,"),
        "{request}"
    );
    // Nobody listens any more, and a server that would make it again does not run.
    complaint(&run(folder.path(), &["webhooks", "test", "crm"]));
    complaint(&run(folder.path(), &["webhooks", "test", "nobody"]));
    create(&folder, "ada@example.org");
    let listed = json(&folder, &["webhooks", "list"]);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["waiting"], &listed[0]["dead"]),
        (&"crm".into(), &1.into(), &0.into())
    );
    assert_eq!(json(&folder, &["webhooks", "dead-letters"]).as_array().unwrap().len(), 0);
    assert_eq!(json(&folder, &["webhooks", "retry", "--all"])["retried"], 0);
    complaint(&run(folder.path(), &["webhooks", "discard", "17"]));
    assert_eq!(run(folder.path(), &["webhooks", "retry"]).status.code(), Some(2));

    std::fs::write(folder.path().join("vestibule.toml"), settings.replace("MfKQ", "hunter")).unwrap();
    let said = run(folder.path(), &["config", "check"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("error: events.webhooks: crm: secrets: expected whsec_"), "{text}");
    assert!(!text.contains("hunter"));
}
