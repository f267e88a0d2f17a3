//! Servers as child processes on 127.0.0.1, and what the system knows about them.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};

use crate::Error;
use crate::bare::{Order, Recorded};
use crate::load::{once, request};

/// How long a server may take to answer first, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Known to all the world, as all that the benchmark makes.
pub(crate) const SECRET_KEY: &str = "the secret key of a load benchmark, known to all the world";

/// A running server. Dropped, it is asked to stop and awaited.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first answer.
    pub(crate) first_answer: Duration,
    process: Child,
}

/// The product's program and what every run of it shares.
#[derive(Clone)]
pub(crate) struct Product {
    pub(crate) binary: PathBuf,
    /// For its configuration, data and log.
    pub(crate) folder: PathBuf,
    pub(crate) database: String,
    /// More settings: whole sections, in TOML.
    pub(crate) settings: String,
}

impl Product {
    /// Starts it and waits for the answer to `path`.
    pub(crate) async fn start(&self, path: &str) -> Result<Server, Error> {
        let address = free_address()?;
        let file = self.folder.join("vestibule.toml");
        fs::write(&file, self.config(address))?;
        let mut command = Command::new(&self.binary);
        command.arg("serve").arg("--config").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(self.folder.join("log"))?);
        Server::start(command, address, path, |_| Ok(())).await.map_err(|error| match error {
            Error::Start(_) => {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                Error::Start(format!("{} did not answer; it said: {log}", self.binary.display()))
            }
            error => error,
        })
    }

    /// Defaults, but for limits so wide that they are counted and never reached.
    fn config(&self, address: SocketAddr) -> String {
        let Self { folder, database, settings, .. } = self;
        let data = folder.join("data");
        let limit =
            |per: &[&str]| per.iter().map(|per| format!("1000/s/{per}")).collect::<Vec<_>>().join(",");
        format!(
            r#"
[server]
listen = "{address}"
public_url = "http://{address}"
data_dir = "{}"
secret_key = "{SECRET_KEY}"

[database]
url = "{database}"

[account]
email_verification = "none"
rate_limits = {{ signup = "{}", login = "{}", login_failed = "{}" }}

[headless.frontend_urls]
account_confirm_email = "http://{address}/verify/{{key}}"
account_reset_password = "http://{address}/reset"
account_reset_password_from_key = "http://{address}/reset/{{key}}"
account_signup = "http://{address}/signup"

{settings}
"#,
            data.display(),
            limit(&["ip"]),
            limit(&["ip"]),
            limit(&["ip", "key"]),
        )
    }
}

/// Starts a bare server with these answers, the first of which it must give.
pub(crate) async fn start_bare(answers: Vec<Recorded>, database: Option<String>) -> Result<Server, Error> {
    let address = free_address()?;
    let path = answers.first().map(Recorded::path).unwrap_or_default().to_owned();
    let order = serde_json::to_string(&Order { listen: address, database, answers })
        .map_err(|error| Error::Start(error.to_string()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare").stdin(Stdio::piped());
    Server::start(command, address, &path, |process| {
        // The pipe stays open: its end, also by the end of this process, ends the server.
        process.stdin.as_mut().map_or(Ok(()), |input| writeln!(input, "{order}"))
    })
    .await
}

impl Server {
    async fn start(
        mut command: Command,
        address: SocketAddr,
        path: &str,
        tell: impl FnOnce(&mut Child) -> std::io::Result<()>,
    ) -> Result<Self, Error> {
        let start = Instant::now();
        let process = command.spawn().map_err(|error| Error::Start(error.to_string()))?;
        let mut server = Self { address, first_answer: Duration::ZERO, process };
        tell(&mut server.process)?;
        loop {
            if let Ok(answer) = once(address, request(Method::GET, path, None)).await
                && answer.status == StatusCode::OK
            {
                server.first_answer = start.elapsed();
                return Ok(server);
            }
            if start.elapsed() > PATIENCE || server.process.try_wait()?.is_some() {
                return Err(Error::Start(format!("no answer from {path}")));
            }
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    }

    /// Processor time that it has used, in whole hundredths of a second.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(self.proc("stat")).ok()?;
        // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    }

    /// Its resident memory, in MB.
    pub(crate) fn resident_mb(&self) -> Option<f64> {
        let status = fs::read_to_string(self.proc("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.process.id().to_string()).join(file)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nothing listens on, as far as anyone can know.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
