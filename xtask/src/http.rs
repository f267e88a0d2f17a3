//! As much of an HTTP client as talking to a server on this machine takes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Asks `http://localhost:PORT` for a path: with an access token, and a JSON body, which makes it a POST, if given.
/// Gives the status and the body.
pub(crate) fn ask(
    port: u16,
    path: &str,
    token: Option<&str>,
    json: Option<&str>,
) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| format!("http://localhost:{port}{path}: {error}");
    let mut stream = TcpStream::connect(("localhost", port)).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed)?;
    let method = if json.is_some() { "POST" } else { "GET" };
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = json.unwrap_or_default();
    // HTTP/1.0, so that the answer ends with the connection and has no chunks.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost:{port}\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status
        .map(|status| (status, body.to_owned()))
        .ok_or_else(|| format!("http://localhost:{port}{path}: no HTTP answer"))
}

/// A text in a JSON object, by its name. Enough for texts without escapes, such as tokens.
pub(crate) fn text<'a>(json: &'a str, name: &str) -> Result<&'a str, String> {
    let start = format!("\"{name}\":\"");
    let rest = json.split_once(&start).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).ok_or_else(|| format!("no {name} in {json}"))
}
