//! Runs `examples/verify-token` as its guide says: the backends in Python and Node with their packages, a real server, and
//! tokens that are good and such that are not.
//!
//! The guide quotes their code; what it quotes has to stand in them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::http::{ask, text};
use crate::{Outcome, cargo, root, say, target};

const EXAMPLES: &str = "examples/verify-token";
const GUIDE: &str = "docs/how-to/access-tokens.md";
/// Seconds that the short-lived tokens last.
const SHORT: u64 = 3;
/// What the backends grant on top, as clocks differ, and a second for rounding.
const LEEWAY: u64 = 5 + 1;
/// Everything that is started here answers within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs all examples whose language and packages are here.
pub(crate) fn run() -> Outcome {
    let folder = target().join("examples");
    guide_quotes()?;
    let code = copy(&root().join(EXAMPLES), &folder.join("verify-token"))?;
    let python = python(&folder, &code);
    let node = node(&code);
    if python.is_none() && node.is_none() {
        return Ok(());
    }
    cargo(&["build", "--quiet", "--package", "vestibule-server"], &[])?;
    let work = folder.join("run");
    // Only there if a run was interrupted.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
    let outcome = Trial::new(&work, &code)?.play(python.as_deref(), node.as_deref());
    if outcome.is_ok() {
        // Else the logs in it tell more.
        let _ = fs::remove_dir_all(&work);
    }
    outcome.map_err(|error| format!("{error}\n(the logs are in {})", work.display()))
}

/// A server, its keys, and those who verify what it signs.
struct Trial<'a> {
    work: &'a Path,
    code: &'a Path,
    port: u16,
    ed25519: String,
    p256: String,
}

impl<'a> Trial<'a> {
    fn new(work: &'a Path, code: &'a Path) -> Result<Self, String> {
        Ok(Self {
            work,
            code,
            port: free_port()?,
            ed25519: key(&["-algorithm", "ed25519"])?,
            p256: key(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])?,
        })
    }

    fn play(&self, python: Option<&Path>, node: Option<&Path>) -> Outcome {
        let first = format!("jwt_algorithm = 'EdDSA'\njwt_private_key = '''{}'''\n", self.ed25519);

        // Tokens that will be of no use later: short-lived ones, and those for somebody else.
        let server = self.serve(&format!("{first}jwt_access_token_expires_in = {SHORT}\n"))?;
        let expired = self.enter("signup")?.access;
        let expires = Instant::now() + Duration::from_secs(SHORT + LEEWAY);
        if let Some(node) = node {
            self.client(node)?;
        }
        drop(server);
        let server = self.serve(&format!("{first}jwt_audience = 'https://other.example.org'\n"))?;
        let foreign = self.enter("login")?.access;
        drop(server);

        // The first step of a rotation: the next key is published, and does not sign yet.
        let server = self.serve(&format!("{first}jwt_private_key_fallbacks = ['''{}''']\n", self.p256))?;
        let pair = self.enter("login")?;
        let backends = self.backends(python, node)?;
        let forged = forged(&pair.access);
        let unsigned = unsigned(&pair.access);
        sleep(expires.saturating_duration_since(Instant::now()));
        for backend in &backends {
            backend.lets_in("the access token", &pair)?;
            backend.refuses("a tampered token", &forged)?;
            backend.refuses("an unsigned token", &unsigned)?;
            backend.refuses("a refresh token", &pair.refresh)?;
            backend.refuses("an expired token", &expired)?;
            backend.refuses("a token of another audience", &foreign)?;
        }
        drop(server);

        // The second: the next key signs, the former one verifies.
        let _server = self.serve(&format!(
            "jwt_algorithm = 'ES256'\njwt_private_key = '''{}'''\njwt_private_key_fallbacks = ['''{}''']\n",
            self.p256, self.ed25519
        ))?;
        let (_, refreshed) =
            self.api("tokens/refresh", &format!(r#"{{"refresh_token":"{}"}}"#, pair.refresh))?;
        let next = Pair::read(&refreshed, &pair.user)?;
        for backend in &backends {
            backend.lets_in("a token of the former key", &pair)?;
            backend.lets_in("a token of the next key", &next)?;
        }
        // And those who start only now.
        for backend in &self.backends(python, node)? {
            backend.lets_in("a token of the former key", &pair)?;
        }
        Ok(())
    }

    /// Starts a server with these settings of `[headless]`, beside what the example needs.
    fn serve(&self, headless: &str) -> Result<Running, String> {
        let example = self.code.join("vestibule.toml");
        let example =
            fs::read_to_string(&example).map_err(|error| format!("{}: {error}", example.display()))?;
        // What is in the example may not stand in the file twice.
        let example = example.replace("jwt_algorithm = \"EdDSA\"\n", "");
        let config = format!(
            "{example}{headless}
[server]
listen = '127.0.0.1:{0}'
public_url = 'http://localhost:{0}'
data_dir = '{1}'
",
            self.port,
            self.work.join("data").display()
        );
        let file = self.work.join("vestibule.toml");
        fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut command = Command::new(target().join("debug/vestibule"));
        command.arg("serve").arg("--config").arg(&file);
        // Settings of who runs this would go before those in the file.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"VESTIBULE_"))
        {
            command.env_remove(name);
        }
        let mut server = Running::start(&mut command, "vestibule", self.work)?;
        server.answers(self.port, "/readyz")?;
        Ok(server)
    }

    /// Starts a backend in each language.
    fn backends(&self, python: Option<&Path>, node: Option<&Path>) -> Result<Vec<Backend>, String> {
        [("verify.py", python), ("verify.mjs", node)]
            .into_iter()
            .filter_map(|(script, program)| Some((script, program?)))
            .map(|(script, program)| {
                let port = free_port()?;
                let mut command = Command::new(program);
                command.arg(script).current_dir(self.code);
                command.env("ISSUER", format!("http://localhost:{}", self.port));
                command.env("PORT", port.to_string()).env_remove("AUDIENCE");
                let mut running = Running::start(&mut command, script, self.work)?;
                running.answers(port, "/")?;
                Ok(Backend { script, port, _running: running })
            })
            .collect()
    }

    /// Plays the example of an application.
    fn client(&self, node: &Path) -> Outcome {
        let mut command = Command::new(node);
        command.arg("client.mjs").current_dir(self.code).env_remove("BACKEND").env_remove("EMAIL");
        command.env("BASE", format!("http://localhost:{}", self.port));
        command.env("WAIT", (SHORT + 1).to_string());
        let output = command.output().map_err(|error| format!("client.mjs: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && said.contains(": 200,200,200,200,200, after 1 refresh\n") {
            say("client.mjs: five requests at once after its token expired, one refresh\n");
            return Ok(());
        }
        Err(format!("client.mjs: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }

    /// Signs up or logs in.
    fn enter(&self, how: &str) -> Result<Pair, String> {
        let who = r#"{"email":"ada@example.org","password":"correct horse battery staple"}"#;
        let (status, answer) = self.api(&format!("auth/{how}"), who)?;
        let user = answer.split_once("\"user\":{\"id\":").and_then(|(_, rest)| rest.split(',').next());
        match user {
            Some(user) if status == 200 => Pair::read(&answer, user),
            _ => Err(format!("{how}: {status} {answer}")),
        }
    }

    fn api(&self, path: &str, body: &str) -> Result<(u16, String), String> {
        ask(self.port, &format!("/_allauth/app/v1/{path}"), None, Some(body))
    }
}

/// What an application holds.
struct Pair {
    user: String,
    access: String,
    refresh: String,
}

impl Pair {
    fn read(answer: &str, user: &str) -> Result<Self, String> {
        Ok(Self {
            user: user.to_owned(),
            access: text(answer, "access_token")?.to_owned(),
            refresh: text(answer, "refresh_token")?.to_owned(),
        })
    }
}

/// A backend that verifies tokens.
struct Backend {
    script: &'static str,
    port: u16,
    _running: Running,
}

impl Backend {
    fn lets_in(&self, what: &str, pair: &Pair) -> Outcome {
        self.expect(what, &pair.access, 200, &pair.user)
    }

    fn refuses(&self, what: &str, token: &str) -> Outcome {
        self.expect(what, token, 401, "log in first")
    }

    fn expect(&self, what: &str, token: &str, status: u16, body: &str) -> Outcome {
        let (is, said) = ask(self.port, "/", Some(token), None)?;
        let line = format!("{}: {what}: {is} {said}", self.script);
        if (is, said.trim()) != (status, body) {
            return Err(format!("{line}, and {status} {body} was due"));
        }
        say(&format!("{line}\n"));
        Ok(())
    }
}

/// A program that is ended when it is dropped.
struct Running {
    child: Child,
    name: String,
}

impl Running {
    fn start(command: &mut Command, name: &str, logs: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{name}: {error}");
        let log = logs.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).map_err(failed)?;
        let error = log.try_clone().map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(log).stderr(error).spawn().map_err(failed)?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// Waits until it answers.
    fn answers(&mut self, port: u16, path: &str) -> Outcome {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if ask(port, path, None, None).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}", self.name));
            }
            sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not answer", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the code in the guide is that of the examples.
fn guide_quotes() -> Outcome {
    let read = |path: &str| fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"));
    let guide = read(GUIDE)?;
    for (language, files) in
        [("python", &["verify.py"][..]), ("js", &["verify.mjs", "client.mjs"]), ("go", &["main.go"])]
    {
        let files = files.iter().map(|file| read(&format!("{EXAMPLES}/{file}")));
        let code = files.collect::<Result<String, _>>()?;
        let fence = format!("```{language}\n");
        let mut quotes = guide.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
        if let Some(stale) = quotes.find(|quote| !code.contains(*quote)) {
            return Err(format!("{GUIDE} quotes what is not in the examples:\n{stale}"));
        }
    }
    Ok(())
}

/// Copies the files of the examples to where their packages may be installed; packages that are there stay there.
fn copy(from: &Path, to: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", to.display());
    fs::create_dir_all(to).map_err(failed)?;
    for file in fs::read_dir(from).map_err(failed)? {
        let file = file.map_err(failed)?;
        if file.path().is_file() {
            fs::copy(file.path(), to.join(file.file_name())).map_err(failed)?;
        }
    }
    Ok(to.to_owned())
}

/// Python with the packages of the example, or nothing, and a line that says so.
fn python(folder: &Path, code: &Path) -> Option<PathBuf> {
    let environment = folder.join("venv");
    let program = environment.join("bin/python");
    let install = || {
        quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let wanted = code.join("requirements.txt");
        quietly(Command::new(&program).args(["-m", "pip", "install", "-r"]).arg(wanted))
    };
    installed(&environment, &code.join("requirements.txt"), install)
        .map_err(|error| say(&format!("SKIPPED: verify.py was not run ({error}).\n")))
        .ok()
        .map(|()| program)
}

/// Node with the packages of the example, or nothing, and a line that says so.
fn node(code: &Path) -> Option<PathBuf> {
    let install = || {
        quietly(Command::new("node").arg("--version"))?;
        quietly(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(code))
    };
    installed(&code.join("node_modules"), &code.join("package.json"), install)
        .map_err(|error| say(&format!("SKIPPED: verify.mjs and client.mjs were not run ({error}).\n")))
        .ok()
        .map(|()| PathBuf::from("node"))
}

/// Installs what a file lists into a folder, unless an earlier run did: then a copy of the list is in the folder.
fn installed(folder: &Path, list: &Path, install: impl FnOnce() -> Outcome) -> Outcome {
    let wanted = fs::read(list).map_err(|error| format!("{}: {error}", list.display()))?;
    let note = folder.join("installed");
    if fs::read(&note).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(&note, wanted).map_err(|error| format!("{}: {error}", note.display()))
}

/// Runs a command; of what it says, the first line about an error is kept if it fails.
fn quietly(command: &mut Command) -> Outcome {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.to_lowercase().contains("error"));
    Err(format!("{name}: {}", line.unwrap_or("failed")))
}

/// A private key in PEM.
fn key(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("openssl").arg("genpkey").args(arguments).output();
    let output = output.map_err(|error| format!("openssl: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// The same token with another character in its signature, which a middle one changes in any case.
fn forged(token: &str) -> String {
    let (before, rest) = token.split_at(token.len().saturating_sub(20));
    let other = if rest.starts_with('A') { "B" } else { "A" };
    format!("{before}{other}{}", rest.get(1..).unwrap_or_default())
}

/// The same claims under `{"alg":"none"}`.
fn unsigned(token: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap_or_default())
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}
