//! Mails on the wire: composed from what was rendered, and handed to the mail server over connections that are kept.

use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::queue::Failure;
use super::template::Rendered;
use super::{DeliveryError, Settings, TlsMode, Transport};
use crate::security::{Keyring, Millis, Purpose};

/// Servers drop idle connections after minutes; a younger one is probably alive.
const IDLE: Duration = Duration::from_secs(60);

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: Option<(TlsMode, TlsParameters)>,
    credentials: Option<Credentials>,
    timeout: Duration,
    hello: ClientId,
    from: Mailbox,
    keyring: Keyring,
    /// Connections between mails, with the time they were put here. Never more than there are senders.
    parked: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Checks the settings; connects only when there is a mail. Settings of the mailbox are refused.
    pub(super) fn new(settings: &Settings, keyring: Keyring) -> Result<Self, DeliveryError> {
        let refuse =
            |setting, reason: &dyn ToString| DeliveryError::Setting { setting, reason: reason.to_string() };
        let Transport::Smtp { host, port, username, password, tls, timeout_s } = &settings.transport else {
            return Err(refuse("email.transport", &"is not a mail server"));
        };
        if settings.from_email.contains(char::is_control) {
            return Err(refuse("email.from_email", &"holds control characters"));
        }
        let tls = match tls {
            TlsMode::None => None,
            mode => Some((
                *mode,
                TlsParameters::new_rustls(host.clone()).map_err(|error| refuse("email.tls", &error))?,
            )),
        };
        Ok(Self {
            host: host.clone(),
            port: *port,
            tls,
            credentials: username
                .as_ref()
                .map(|name| Credentials::new(name.clone(), password.expose_secret().to_owned())),
            timeout: Duration::from_secs((*timeout_s).clamp(1, 300)),
            hello: ClientId::default(),
            from: settings
                .from_email
                .parse()
                .map_err(|_| refuse("email.from_email", &"is not like `Name <name@example.com>`"))?,
            keyring,
            parked: Mutex::new(Vec::new()),
        })
    }

    /// How long [`Smtp::send`] takes at most.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a mail.
    pub(super) async fn send(
        &self,
        id: i64,
        created_at: Millis,
        to: &str,
        rendered: Rendered,
    ) -> Result<(), Failure> {
        let message = self.compose(id, created_at, to, rendered)?;
        // The library's own log shows every line on the wire, passwords and mails included.
        let sending = self.hand_over(&message).with_subscriber(NoSubscriber::default());
        // A connection that was cut off in mid-sentence goes down with the future that owns it.
        timeout(self.timeout, Box::pin(sending))
            .await
            .unwrap_or_else(|_| Err(Failure::Away("timeout".into())))
    }

    fn compose(&self, id: i64, created_at: Millis, to: &str, rendered: Rendered) -> Result<Message, Failure> {
        // An address and nothing else: no names, no lists, no line breaks.
        let to: Address = to.parse().map_err(|_| Failure::Refused("the address is malformed".into()))?;
        let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(created_at).unwrap_or(0));
        // The same at each attempt, so that a mail that arrives twice can be known as one.
        let mark = self.keyring.mac(Purpose::Outbox, format!("{id}/{created_at}").as_bytes());
        let mark = hex::encode(mark.first_chunk::<16>().unwrap_or(&[0; 16]));
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(rendered.subject)
            .date(date)
            .message_id(Some(format!("<{mark}@{}>", self.from.email.domain())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))
            .map_err(|error| Failure::Refused(error.to_string()))
    }

    async fn hand_over(&self, message: &Message) -> Result<(), Failure> {
        let mut connection = match self.parked_connection().await {
            Some(connection) => connection,
            None => self.connect().await.map_err(|error| Failure::Away(describe(&error)))?,
        };
        match connection.send(message.envelope(), &message.formatted()).await {
            Ok(_) => {
                if let Ok(mut parked) = self.parked.lock() {
                    parked.push((connection, Instant::now()));
                }
                Ok(())
            }
            Err(error) => Err(match error.status().map(u16::from) {
                // 550 to 559, and a malformed address: about this mail. The other refusals are about us (not
                // authenticated, out of order, not now): the operator can mend them.
                Some(501 | 550..=559) => Failure::Refused(describe(&error)),
                Some(_) => Failure::Retry(describe(&error)),
                None => Failure::Away(describe(&error)),
            }),
        }
    }

    /// A kept connection that still answers.
    async fn parked_connection(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let (mut connection, since) = self.parked.lock().ok()?.pop()?;
            if since.elapsed() < IDLE && connection.test_connected().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let server = (self.host.as_str(), self.port);
        let wrapped = match &self.tls {
            Some((TlsMode::Tls, tls)) => Some(tls.clone()),
            _ => None,
        };
        let patience = Some(self.timeout);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, patience, &self.hello, wrapped, None).await?;
        if let Some((TlsMode::StartTls, tls)) = &self.tls {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(connection)
    }
}

/// What went wrong, without the server's words: they often repeat the address.
fn describe(error: &Error) -> String {
    use std::error::Error as _;
    match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None => error.source().map_or_else(|| "the connection broke".to_owned(), ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(from_email: &str, tls: TlsMode) -> Result<Smtp, DeliveryError> {
        let settings = Settings {
            transport: Transport::Smtp {
                host: "localhost".into(),
                port: 25,
                username: None,
                password: String::new().into(),
                tls,
                timeout_s: 5,
            },
            from_email: from_email.into(),
            subject_prefix: String::new(),
            template_dir: None,
            sms: None,
            site_name: "Example".into(),
        };
        Smtp::new(&settings, Keyring::new("the secret key", &[]))
    }

    fn rendered(subject: &str) -> Rendered {
        Rendered { subject: subject.into(), text: "text".into(), html: "<p>html</p>".into() }
    }

    #[test]
    fn e6_hostile_addresses_and_subjects_make_no_headers() {
        let smtp = smtp("Example <noreply@example.com>", TlsMode::None).unwrap();
        for to in [
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com\nBcc: b@example.com",
            "a\r\n@example.com",
            "a@example.com\0",
            "A <a@example.com>",
            "a@example.com, b@example.com",
            "a@example.com> SIZE=1\r\nRCPT TO:<b@example.com",
            "\"a\r\nBcc: x\"@example.com",
            "",
        ] {
            assert!(matches!(smtp.compose(1, 0, to, rendered("s")), Err(Failure::Refused(_))), "{to:?}");
        }
        for subject in
            ["s\r\nBcc: b@example.com", "s\nBcc: b@example.com", "s\rBcc: b", "s\0Bcc: b", "ü\r\nBcc: b"]
        {
            let mail = smtp.compose(1, 0, "a@example.com", rendered(subject)).unwrap();
            let formatted = String::from_utf8(mail.formatted()).unwrap();
            let (headers, _) = formatted.split_once("\r\n\r\n").unwrap();
            assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
            assert!(
                !headers.contains('\0') && !headers.replace("\r\n", "").contains(['\r', '\n']),
                "{headers}"
            );
        }
        for from in ["a@example.com\r\nBcc: b@example.com", "nobody", "A\0 <a@example.com>"] {
            assert!(matches!(super::tests::smtp(from, TlsMode::None), Err(DeliveryError::Setting { .. })));
        }
    }

    #[test]
    fn headers_say_when_from_whom_and_that_nobody_wrote_it() {
        let smtp = smtp("\"Ex, Ample\" <webmaster@localhost>", TlsMode::None).unwrap();
        let mail = |id| {
            let mail = smtp.compose(id, 1_700_000_000_000, "a@example.com", rendered("Grüße")).unwrap();
            String::from_utf8(mail.formatted()).unwrap()
        };
        let formatted = mail(1);
        for part in [
            "From: =?utf-8?b?RXgsIEFtcGxl?= <webmaster@localhost>\r\n",
            "To: a@example.com\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Subject: =?utf-8?b?",
            "multipart/alternative",
        ] {
            assert!(formatted.contains(part), "{part}\n{formatted}");
        }
        let message_id =
            |mail: &str| mail.lines().find(|l| l.starts_with("Message-ID: <")).map(str::to_owned);
        assert!(message_id(&formatted).unwrap().ends_with("@localhost>"));
        assert_eq!(message_id(&formatted), message_id(&mail(1)));
        assert_ne!(message_id(&formatted), message_id(&mail(2)));
    }

    #[test]
    fn tls_is_ready_at_the_start() {
        smtp("a@example.com", TlsMode::StartTls).unwrap();
        smtp("a@example.com", TlsMode::Tls).unwrap();
    }
}
