//! Three instances of the program over one database, and before them a balancer that gives each connection to the next
//! one. To a client it is one server at the address of the configuration; and a client that closes its connections, as
//! the conformance suite's does, meets another instance with each request.
//!
//! It copies bytes and looks at none, so that malformed requests arrive as they were sent.

use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::{Outcome, say};

const INSTANCES: usize = 3;

/// Serves until it is killed together with its process group, in which the instances are, too: `balanced PROGRAM CONFIG`.
pub(crate) fn run(arguments: &[std::ffi::OsString]) -> Outcome {
    let [program, config] = arguments else { return Err("balanced PROGRAM CONFIG".to_owned()) };
    let text = std::fs::read_to_string(config).map_err(|error| format!("{}: {error}", config.display()))?;
    let address = listen(&text).ok_or("the configuration has no line listen = \"ADDRESS\"")?;
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        let mut command = Command::new(program);
        command.args(["serve", "--config"]).arg(config).env("VESTIBULE_SERVER__LISTEN", "127.0.0.1:0");
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        instances.push(Instance(started.map_err(|error| format!("{}: {error}", program.display()))?));
    }
    // All at once: whatever they have to agree on at the start, they do.
    let addresses = instances.iter_mut().map(Instance::address).collect::<Result<Vec<_>, _>>()?;
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    say(&format!("{address} leads to {addresses:?}\n"));
    for (turn, client) in listener.incoming().enumerate() {
        let Ok(client) = client else { continue };
        let order: Vec<SocketAddr> =
            (0..INSTANCES).filter_map(|next| addresses.get((turn + next) % INSTANCES).copied()).collect();
        thread::spawn(move || lead(&client, &order));
    }
    Ok(())
}

/// One instance. It ends with the balancer, should this one end by itself.
struct Instance(Child);

impl Instance {
    /// Where it listens: it says so in the first line.
    fn address(&mut self) -> Result<SocketAddr, String> {
        let mut greeting = String::new();
        if let Some(output) = self.0.stdout.take() {
            BufReader::new(output).read_line(&mut greeting).map_err(|error| error.to_string())?;
        }
        let address = greeting.split_once("(at ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
        address.ok_or_else(|| format!("an instance did not start: {greeting:?}"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The address to listen at, in the text of a configuration as the suite writes it.
fn listen(config: &str) -> Option<SocketAddr> {
    let line = config.lines().find_map(|line| line.strip_prefix("listen = "))?;
    line.trim_matches('"').parse().ok()
}

/// Leads a client to the first instance that takes it, until one of both closes.
fn lead(client: &TcpStream, order: &[SocketAddr]) {
    let Some(instance) = order.iter().find_map(|address| TcpStream::connect(address).ok()) else { return };
    let _ = (client.set_nodelay(true), instance.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &instance, Shutdown::Write));
        // Whoever has answered and closed wants to hear no more.
        copy(&instance, client, Shutdown::Both);
        let _ = instance.shutdown(Shutdown::Both);
    });
}

/// Copies until there is no more, and says so.
fn copy(mut from: &TcpStream, mut to: &TcpStream, end: Shutdown) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(end);
}
