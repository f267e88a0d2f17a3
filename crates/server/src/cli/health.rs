//! `vestibule health`: asks the server that runs with the same settings whether it is well. For containers, which have
//! no other program to ask with.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use super::{Failure, Settings};

const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(super) struct Command {
    /// Ask whether it can do its work, too: whether its database answers.
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Why it is not well.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    #[error("server.listen is no address")]
    Address,
    #[error("no answer from {0}: {1}")]
    Silent(SocketAddr, io::Error),
    #[error("{0} answered: {1}")]
    Unwell(SocketAddr, String),
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let (_, config) = command.settings.load()?;
    let listen = config.server.listen.parse().map_err(|_| HealthError::Address)?;
    let address = reachable(listen);
    let path = if command.ready { "/readyz" } else { "/healthz" };
    let status = ask(address, path).map_err(|error| HealthError::Silent(address, error))?;
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(HealthError::Unwell(address, status).into())
}

/// The first line of the answer.
fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Who listens on all addresses listens on that of this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
