//! A real browser without a window: Chromium, led by its DevTools protocol. Whatever it is told has to be done in
//! time; if it is not, the test fails with what the browser said.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many messages of the browser are told of when it fails.
const REMEMBERED: usize = 12;

/// A browser with one tab. When it is dropped, it is gone.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// What it said last, of which nobody may have taken note.
    said: VecDeque<Value>,
    last_id: u64,
    /// What went wrong in pages, since somebody asked.
    troubles: Vec<String>,
    /// The tab, once there is one.
    tab: Option<String>,
    /// Its profile and its log.
    folder: TempDir,
}

/// A key in the tab, made of software: it is touched, and verifies who touches it, as it is told.
#[derive(Debug, Clone)]
pub(crate) struct Authenticator(String);

impl Browser {
    /// Starts `program`, with an empty tab.
    pub(crate) fn start(program: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        // The protocol is spoken on descriptors 3 and 4, which only a shell can hand on without unsafe code. Where tests
        // run, as root or in a container, there is often no sandbox to be had, and no page but ours is opened.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#, "sh"])
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--disable-breakpad"])
            // It has nobody to talk to but us.
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Of its own, so that the processes that it starts end with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let output = process.stdout.take().unwrap();
        let (sender, from) = channel();
        std::thread::spawn(move || listen(output, &sender));
        let said = VecDeque::new();
        let mut browser =
            Self { process, to, from, said, last_id: 0, troubles: Vec::new(), tab: None, folder };

        let target = browser.command("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.command("Target.attachToTarget", attach);
        browser.tab = attached["sessionId"].as_str().map(str::to_owned);
        browser.command("Page.enable", json!({}));
        browser.command("WebAuthn.enable", json!({}));
        browser
    }

    /// Every page of the tab from now on has what `script` defines.
    pub(crate) fn define(&mut self, script: &str) {
        self.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// From now on no page is held to its Content-Security-Policy.
    pub(crate) fn bypass_content_security_policy(&mut self) {
        self.command("Page.setBypassCSP", json!({ "enabled": true }));
    }

    /// Takes note of what goes wrong in pages, for [`Browser::troubles`].
    pub(crate) fn watch(&mut self) {
        self.command("Runtime.enable", json!({}));
        self.command("Log.enable", json!({}));
    }

    /// Errors and warnings in the console, exceptions, breaches of the Content-Security-Policy and files that did not come,
    /// since this was asked last. That the API answers with an error is no trouble.
    pub(crate) fn troubles(&mut self) -> Vec<String> {
        // What was said before the answer to this has arrived with it.
        self.command("Runtime.evaluate", json!({ "expression": "0" }));
        std::mem::take(&mut self.troubles)
    }

    /// Opens a page in the tab.
    pub(crate) fn go(&mut self, url: &str) {
        self.said.clear();
        let went = self.command("Page.navigate", json!({ "url": url }));
        assert_eq!(went["errorText"], Value::Null, "{url}");
        self.wait("the page", |message| (message["method"] == "Page.loadEventFired").then_some(()));
    }

    /// What an expression comes to in the page, once it is settled; the error that it throws, if it does.
    pub(crate) fn run(&mut self, expression: &str) -> Result<Value, String> {
        let evaluate = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        // A page that gives way to another one cannot say anything.
        let mut done = self.attempt("Runtime.evaluate", evaluate).map_err(|error| error.to_string())?;
        match done["exceptionDetails"].take() {
            Value::Null => Ok(done["result"]["value"].take()),
            thrown => Err(thrown["exception"]["description"].as_str().unwrap_or("no error").to_owned()),
        }
    }

    /// Has what is downloaded go into a folder, without being asked.
    pub(crate) fn downloads(&mut self) -> PathBuf {
        let folder = self.folder.path().join("downloads");
        let allow = json!({ "behavior": "allow", "downloadPath": folder });
        self.command("Browser.setDownloadBehavior", allow);
        folder
    }

    /// Plugs in a key that can log in alone and is touched at once: one of the device itself ("internal"), or "usb".
    pub(crate) fn plug_in(&mut self, transport: &str) -> Authenticator {
        let options = json!({
            "protocol": "ctap2",
            "transport": transport,
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "automaticPresenceSimulation": true,
        });
        let added = self.command("WebAuthn.addVirtualAuthenticator", json!({ "options": options }));
        Authenticator(added["authenticatorId"].as_str().unwrap().to_owned())
    }

    /// Takes a key away.
    pub(crate) fn unplug(&mut self, key: &Authenticator) {
        self.command("WebAuthn.removeVirtualAuthenticator", json!({ "authenticatorId": key.0 }));
    }

    /// Whether a key is touched when it blinks.
    pub(crate) fn touch(&mut self, key: &Authenticator, enabled: bool) {
        let parameters = json!({ "authenticatorId": key.0, "enabled": enabled });
        self.command("WebAuthn.setAutomaticPresenceSimulation", parameters);
    }

    /// Whether who touches a key is found to be its owner.
    pub(crate) fn verify(&mut self, key: &Authenticator, verified: bool) {
        let parameters = json!({ "authenticatorId": key.0, "isUserVerified": verified });
        self.command("WebAuthn.setUserVerified", parameters);
    }

    /// The credentials in a key.
    pub(crate) fn credentials(&mut self, key: &Authenticator) -> Vec<Value> {
        let mut held = self.command("WebAuthn.getCredentials", json!({ "authenticatorId": key.0 }));
        held["credentials"].as_array_mut().map(std::mem::take).unwrap()
    }

    /// Has the tab, or the browser while there is none, do something; gives its result.
    #[track_caller]
    pub(crate) fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.attempt(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// As [`Browser::command`], for what may fail; gives the error then.
    pub(crate) fn attempt(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(tab) = &self.tab {
            message["sessionId"] = json!(tab);
        }
        let sent = self.to.write_all(format!("{message}\0").as_bytes()).and_then(|()| self.to.flush());
        assert!(sent.is_ok(), "the browser is gone at {method}. {}", self.story());
        let mut answer = self.wait(method, |message| (message["id"] == id).then(|| message.take()));
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error),
        }
    }

    /// The first message that `find` takes, of those that nobody took and of those to come.
    fn wait<T>(&mut self, what: &str, mut find: impl FnMut(&mut Value) -> Option<T>) -> T {
        if let Some(found) = self.said.iter_mut().find_map(&mut find) {
            return found;
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(mut message) = self.from.recv_timeout(left) else {
                panic!("waited for {what} in vain. {}", self.story());
            };
            self.troubles.extend(trouble(&message));
            if let Some(found) = find(&mut message) {
                return found;
            }
            self.said.push_back(message);
            if self.said.len() > REMEMBERED {
                self.said.pop_front();
            }
        }
    }

    /// What was seen of the browser.
    fn story(&self) -> String {
        let said: Vec<String> = self.said.iter().map(Value::to_string).collect();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        format!("It said:\n{}\nIts log:\n{log}", said.join("\n"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked, it leaves nothing behind. The group is for one that does not listen, and for what it started.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let group = format!("-{}", self.process.id());
        let signal = |name: &str| {
            let kill = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
            kill.is_ok_and(|status| status.success())
        };
        signal("-KILL");
        let _ = self.process.wait();
        while Instant::now() < end && signal("-0") {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What a message of the browser says went wrong in a page, if it does.
fn trouble(message: &Value) -> Option<String> {
    let said = &message["params"];
    match message["method"].as_str()? {
        "Runtime.consoleAPICalled" if ["error", "warning", "assert"].contains(&said["type"].as_str()?) => {
            let words = said["args"].as_array()?.iter().map(|word| match &word["value"] {
                Value::Null => word["description"].as_str().unwrap_or_default().to_owned(),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            });
            Some(format!("console: {}", words.collect::<Vec<_>>().join(" ")))
        }
        "Runtime.exceptionThrown" => Some(format!("exception: {}", said["exceptionDetails"])),
        "Log.entryAdded" => {
            let entry = &said["entry"];
            let url = entry["url"].as_str().unwrap_or_default();
            let is_answer = entry["source"] == "network" && url.contains("/_allauth/");
            let is_chatter = entry["level"] == "info";
            (!is_answer && !is_chatter).then(|| format!("{}: {} {url}", entry["source"], entry["text"]))
        }
        _ => None,
    }
}

/// Hands on what the browser says until it is gone. Messages end with a zero byte.
fn listen(output: ChildStdout, sender: &Sender<Value>) {
    for message in BufReader::new(output).split(0) {
        let Some(message) = message.ok().and_then(|text| serde_json::from_slice(&text).ok()) else { return };
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// Where Chromium is. Nothing, but said aloud, with what is `skipped`, if it is nowhere in `PATH`.
pub(crate) fn chromium(skipped: &str) -> Option<PathBuf> {
    let path = variable("PATH");
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|it| it.is_file());
    if found.is_none() {
        let required = variable("VESTIBULE_TEST_REQUIRE_CHROMIUM") == "1";
        assert!(!required, "VESTIBULE_TEST_REQUIRE_CHROMIUM=1, but Chromium is not installed");
        // Past the capture of the test runner, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: Chromium is not installed, so {skipped}");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "about the test run, no setting of the server")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
