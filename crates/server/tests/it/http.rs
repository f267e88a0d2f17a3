//! A request by hand, without a client that does more than it is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Asks in HTTP/1.0, so that answers come whole and end with the connection.
pub(crate) fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    try_ask(address, method, path, headers, body).unwrap()
}

/// The same of a server that may be gone before it has answered: half an answer is none.
pub(crate) fn try_ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Answer::read(&answer)
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By names in small letters; of several of one name, joined by newlines.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let values = headers.entry(name.to_ascii_lowercase()).or_default();
            if !values.is_empty() {
                values.push('\n');
            }
            values.push_str(value);
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        (length.is_none_or(|length: usize| length == body.len())).then(|| Self {
            status,
            headers,
            body: body.to_owned(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.headers.get("set-cookie")?.lines();
        cookies.find_map(|cookie| {
            Some(cookie.strip_prefix(name)?.strip_prefix('=')?.split(';').next()?.to_owned())
        })
    }
}
