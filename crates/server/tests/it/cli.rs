//! The program as its operator meets it: a process with arguments, an environment, output and an exit status.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) fn vestibule(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    vestibule(folder, arguments).output().unwrap()
}

/// The line that a failed start ends with; that there is one and the status is 1 is checked here.
pub(crate) fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("vestibule: ")).collect();
    assert_eq!(lines.len(), 1, "one line in\n{said}");
    lines[0].to_owned()
}

/// A server that serves, on a port of its own.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    greeting: String,
}

impl Server {
    /// With the configuration in `folder`, if there is one.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = vestibule(folder, &["serve"]);
        Self::start_as(command.stderr(Stdio::null()))
    }

    /// What `command` starts.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut server = Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), command);
        let (_, rest) = server.greeting.split_once("(at ").unwrap();
        server.address = rest.split(',').next().unwrap().parse().unwrap();
        server
    }

    /// What `command` starts, at an address that its configuration names in advance.
    pub(crate) fn start_at(address: SocketAddr, command: &mut Command) -> Self {
        command.env("VESTIBULE_SERVER__LISTEN", address.to_string());
        let process = command.spawn().unwrap();
        let mut server = Self { process, address, greeting: String::new() };
        let output = server.process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut server.greeting).unwrap();
        assert!(server.greeting.contains("listening"), "no server at {address}: {:?}", server.greeting);
        server
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_serves_without_a_configuration_and_stops_when_told() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(folder.path());
    assert!(server.greeting.contains("SQLite vestibule-data/vestibule.sqlite3"), "{}", server.greeting);
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.get("/metrics").starts_with("HTTP/1.1 404"), "metrics are not public");
    // A connection that rests between two requests holds nothing up.
    let mut resting = TcpStream::connect(server.address).unwrap();
    resting.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(resting.read(&mut [0; 64]).unwrap() > 0);
    server.signal("TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    // Secrets were kept: the same database opens again.
    let server = Server::start(folder.path());
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_start_that_fails_says_so_in_one_line() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = vestibule(folder.path(), &[]).env("VESTIBULE_SERVER__LISTEN", &address).output().unwrap();
    assert!(complaint(&output).contains(&format!("cannot listen on {address}")));

    assert!(complaint(&run(folder.path(), &["serve", "--config", "none.toml"])).contains("none.toml"));

    std::fs::write(folder.path().join("vestibule.toml"), "[account]\nlogin_methds = [\"email\"]\n").unwrap();
    let said = complaint(&run(folder.path(), &[]));
    assert!(said.contains("vestibule.toml:2") && said.contains("login_methods"), "{said}");

    std::fs::write(folder.path().join("vestibule.toml"), "[server]\nsecret_key = \"short\"\n").unwrap();
    let said = complaint(&run(folder.path(), &[]));
    assert!(said.contains("vestibule.toml:2") && said.contains("server.secret_key"), "{said}");
    assert!(!said.contains("\"short\""), "the key is not shown: {said}");

    std::fs::write(folder.path().join("vestibule.toml"), "[database]\nurl = \"mysql://x\"\n").unwrap();
    assert!(complaint(&run(folder.path(), &[])).contains("database.url"));
}

#[test]
fn x1_a_lost_secret_key_is_given_up_by_hand_only() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("vestibule-data");
    assert!(run(folder.path(), &["users", "create", "--email", "ada@example.org"]).status.success());
    std::fs::remove_file(data.join("secret_key")).unwrap();
    let said = complaint(&run(folder.path(), &[]));
    assert!(
        said.contains("server.secret_key: not the one") && said.contains("vestibule keys adopt"),
        "{said}"
    );
    complaint(&run(folder.path(), &["users", "list"]));
    assert!(run(folder.path(), &["keys", "adopt"]).status.success());
    assert!(run(folder.path(), &["users", "list"]).status.success());
}

#[test]
fn config_check_finds_what_cannot_work() {
    let folder = TempDir::new().unwrap();
    assert_eq!(run(folder.path(), &["config", "check"]).status.code(), Some(0));
    std::fs::write(folder.path().join("bad.toml"), "[session]\ncookie_domain = \"other.org\"\n").unwrap();
    let output = run(folder.path(), &["config", "check", "--config", "bad.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("error: bad.toml:2: session.cookie_domain"), "{said}");
    assert!(!folder.path().join("vestibule-data").exists(), "checking makes nothing");
}

#[test]
fn doubts_are_told_to_whoever_serves_or_asks_for_them() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("vestibule.toml"), "email.host = \"127.0.0.1\"\n").unwrap();
    let doubts = |arguments: &[&str]| {
        let output = run(folder.path(), arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat())
            .unwrap()
            .matches("email.from_email")
            .count()
    };
    assert_eq!(doubts(&["config", "check"]), 1);
    assert_eq!(doubts(&["users", "list"]), 0);
    assert_eq!(doubts(&["export", "--output", "accounts.jsonl"]), 0);
    let mut command = vestibule(folder.path(), &["serve"]);
    command.stderr(std::fs::File::create(folder.path().join("log")).unwrap());
    drop(Server::start_as(&mut command));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log.matches("email.from_email").count(), 1, "{log}");
}

#[test]
fn config_default_is_a_configuration() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["config", "default"]);
    std::fs::write(folder.path().join("all.toml"), output.stdout).unwrap();
    assert_eq!(run(folder.path(), &["config", "check", "--config", "all.toml"]).status.code(), Some(0));
}

#[test]
fn migrating_twice_is_as_good_as_once() {
    let folder = TempDir::new().unwrap();
    for _ in 0..2 {
        assert!(run(folder.path(), &["migrate"]).status.success());
    }
}
