//! A mail server of the tests' own, which shows mails as they came over the wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A mail server that takes everything.
pub(crate) struct Postbox {
    port: u16,
    mails: mpsc::UnboundedReceiver<Mail>,
}

/// A mail.
pub(crate) struct Mail {
    /// The addresses of the envelope.
    pub(crate) recipients: Vec<String>,
    /// As it came.
    pub(crate) raw: String,
    /// The same with its transfer encoding undone.
    pub(crate) text: String,
}

impl Mail {
    /// The links in it.
    pub(crate) fn links(&self) -> Vec<String> {
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '<' | '>');
        let from = self.text.match_indices("http").map(|(at, _)| &self.text[at..]);
        let links = from.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
        links.map(|rest| rest.split(ends).next().unwrap_or_default().to_owned()).collect()
    }
}

impl Postbox {
    /// Opens it, until it is dropped.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mails) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(session(stream, sender.clone()));
            }
        });
        Self { port, mails }
    }

    /// What makes a server send its mails here.
    pub(crate) fn settings(&self) -> String {
        format!("email = {{ host = '127.0.0.1', port = {}, tls = 'none' }}", self.port)
    }

    /// The next mail, which was sent or is about to be.
    pub(crate) async fn next(&mut self) -> Mail {
        tokio::time::timeout(Duration::from_secs(10), self.mails.recv()).await.unwrap().unwrap()
    }

    /// All mails that came.
    pub(crate) async fn all(&mut self) -> Vec<Mail> {
        let mut all = Vec::new();
        while let Ok(mail) = self.mails.try_recv() {
            all.push(mail);
        }
        all
    }
}

/// RFC 5321, as far as a client needs it that speaks in turns.
async fn session(stream: TcpStream, mails: mpsc::UnboundedSender<Mail>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 localhost\r\n").await.ok()?;
    let mut recipients = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let verb = line.get(..4)?.to_ascii_uppercase();
        if let Some(rest) = line.get(8..).filter(|_| verb == "RCPT") {
            recipients.push(rest.trim().trim_matches(['<', '>']).to_owned());
        }
        if verb == "DATA" {
            stream.write_all(b"354 go on\r\n").await.ok()?;
            let mut raw = String::new();
            while !raw.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut raw).await.ok()? == 0 {
                    return None;
                }
            }
            let text = decoded(&raw);
            mails.send(Mail { recipients: std::mem::take(&mut recipients), raw, text }).ok()?;
        }
        stream.write_all(b"250 fine\r\n").await.ok()?;
    }
}

/// Undoes quoted-printable (RFC 2045, section 6.7), and base64 where a part is written in it.
fn decoded(raw: &str) -> String {
    let joined = raw.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    for part in raw.split("Content-Transfer-Encoding: base64\r\n").skip(1) {
        let body: String = part.split("\r\n--").next().unwrap_or_default().split_whitespace().collect();
        let plain = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, body).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&plain));
    }
    text
}
