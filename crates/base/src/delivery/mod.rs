//! What is sent to people: mails and text messages. A message is written to the outbox in the transaction that gives
//! rise to it, so that what was rolled back sends nothing, and leaves after the commit, so that a dead mail server
//! neither loses a message nor holds up a request. Knows nothing of when to send what.

pub mod mail;
pub mod mailbox;
mod queue;
pub mod sms;
mod smtp;
mod template;
mod whence;

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::{Notify, watch};

pub use mail::{Mail, MailKind, Notice};
pub use sms::{Sms, SmsKind};

use crate::outbound::OutboundError;
use crate::security::{Clock, Keyring, Millis, NoEntropy, Purpose};
use crate::storage::{Conn, Db, StorageError, outbox};

/// How and in whose name messages are sent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What carries mails.
    pub transport: Transport,
    /// The sender: `name@example.com` or `Name <name@example.com>`.
    pub from_email: String,
    /// Put before each subject as it stands.
    pub subject_prefix: String,
    /// A folder with templates that take the place of the built-in ones of the same names; `name.de.txt` does so in one
    /// language alone.
    pub template_dir: Option<PathBuf>,
    /// What carries text messages; without it they go to the development mailbox.
    pub sms: Option<SmsWebhook>,
    /// What the application is called in messages.
    pub site_name: String,
}

/// What carries mails.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A mail server.
    Smtp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// The name to authenticate with, if it asks for that.
        username: Option<String>,
        /// The password to authenticate with.
        password: SecretString,
        /// How the connection is protected.
        tls: TlsMode,
        /// Seconds that sending one mail may take.
        timeout_s: u64,
    },
    /// The development mailbox: nothing leaves, everything can be read there and in the log.
    Mailbox,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Not at all.
    None,
    /// Upgraded after the greeting; a server that does not offer it gets no mail.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// A webhook that sends text messages.
#[derive(Debug, Clone)]
pub struct SmsWebhook {
    /// Where to POST.
    pub url: String,
    /// The key of the signature; without it [`sms::derived_secret`].
    pub secret: Option<SecretString>,
    /// Seconds that a POST may take.
    pub timeout_s: u64,
}

/// Why delivery cannot start, or a message cannot be queued.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A setting is no good.
    #[error("{setting}: {reason}")]
    Setting {
        /// The field of [`Settings`].
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A template is broken. One line that names file and line.
    #[error("{0}")]
    Template(String),
    /// The HTTP client for the webhook could not be set up.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The outbox could not be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The message could not be sealed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The message could not be written down.
    #[error("a message could not be written down: {0}")]
    Encoding(#[from] serde_json::Error),
}

/// What carries a message, by its name in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Mail,
    Sms,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sms => "sms",
        }
    }
}

/// Queues messages, and sends what is queued. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct Delivery(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keyring: Keyring,
    templates: template::Templates,
    smtp: Option<smtp::Smtp>,
    webhook: Option<sms::Webhook>,
    wake_mail: Notify,
    wake_sms: Notify,
}

impl Delivery {
    /// Reads the templates and checks the settings.
    ///
    /// # Errors
    /// [`DeliveryError::Setting`], [`DeliveryError::Template`] and [`DeliveryError::Outbound`], one line each.
    pub fn new(settings: Settings, keyring: Keyring) -> Result<Self, DeliveryError> {
        let smtp = match &settings.transport {
            Transport::Smtp { .. } => Some(smtp::Smtp::new(&settings, keyring.clone())?),
            Transport::Mailbox => None,
        };
        let webhook = settings.sms.as_ref().map(|sms| sms::Webhook::new(sms, &keyring)).transpose()?;
        Ok(Self(Arc::new(Inner {
            templates: template::Templates::new(&settings)?,
            keyring,
            smtp,
            webhook,
            wake_mail: Notify::new(),
            wake_sms: Notify::new(),
        })))
    }

    /// Queues a mail in the caller's transaction. Call [`Delivery::wake`] after the commit.
    ///
    /// # Errors
    /// [`DeliveryError::Storage`], [`DeliveryError::NoEntropy`], [`DeliveryError::Encoding`].
    pub async fn mail(&self, tx: &mut Conn, now: Millis, mail: &Mail) -> Result<(), DeliveryError> {
        self.push(tx, now, Channel::Mail, serde_json::to_vec(mail)?).await
    }

    /// Queues a text message in the caller's transaction. Call [`Delivery::wake`] after the commit.
    ///
    /// # Errors
    /// As [`Delivery::mail`].
    pub async fn sms(&self, tx: &mut Conn, now: Millis, sms: &Sms) -> Result<(), DeliveryError> {
        self.push(tx, now, Channel::Sms, serde_json::to_vec(sms)?).await
    }

    async fn push(
        &self,
        tx: &mut Conn,
        now: Millis,
        channel: Channel,
        plain: Vec<u8>,
    ) -> Result<(), DeliveryError> {
        let sealed = self.0.keyring.seal(Purpose::Outbox, channel.name().as_bytes(), &plain)?;
        Ok(outbox::push(tx, channel.name(), &sealed, now).await?)
    }

    /// Tells the worker of this instance that something was queued.
    pub fn wake(&self) {
        self.0.wake_mail.notify_one();
        self.0.wake_sms.notify_one();
    }

    /// The worker: sends what is queued, by this instance or by another, until `stop` turns true or its sender is
    /// gone. What is being sent then is sent to its end.
    pub async fn run(&self, db: Db, clock: Arc<dyn Clock>, stop: watch::Receiver<bool>) {
        tokio::join!(
            queue::run(&self.0, &db, &*clock, Channel::Mail, &self.0.wake_mail, stop.clone()),
            queue::run(&self.0, &db, &*clock, Channel::Sms, &self.0.wake_sms, stop.clone()),
        );
    }

    /// Sends what is due at `now`, once, and gives the number of messages that left.
    ///
    /// # Errors
    /// Any of [`StorageError`].
    pub async fn deliver_due(&self, db: &Db, now: Millis) -> Result<usize, StorageError> {
        let mut sent = 0;
        for channel in [Channel::Mail, Channel::Sms] {
            loop {
                let round = queue::round(&self.0, db, now, channel).await?;
                sent += round.sent;
                if round.taken == 0 {
                    break;
                }
            }
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests;
