//! `[email]`: how mails leave.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::read;
use super::settings::settings;

settings! {
    /// How mails leave: through an SMTP server, or into the development mailbox. Names are Django's `EMAIL_*`.
    pub struct Email {
        /// The SMTP server. Unset: mails are kept and shown in the development mailbox, which no server in use should
        /// have. Django: `EMAIL_HOST`.
        pub host: Option<String> = None,

        /// Its port. Unset: 587, with `tls = "tls"` 465, with `tls = "none"` 25. Django: `EMAIL_PORT`.
        pub port: Option<u16> = None,

        /// How the connection is protected: `"starttls"` (demanded, not tried), `"tls"` (from the first byte) or `"none"`.
        /// Unset: `"starttls"`, or `"none"` for a server on this machine.
        ///
        /// Danger: with `"none"`, codes and links travel readable. Django: `EMAIL_USE_TLS`, `EMAIL_USE_SSL`.
        pub tls: Option<SmtpTls> = None,

        /// The name to log in to the SMTP server with. Unset: no login. Django: `EMAIL_HOST_USER`.
        pub username: Option<String> = None,

        /// The password to log in with. Django: `EMAIL_HOST_PASSWORD`.
        #[serde(deserialize_with = "read::secret", skip_serializing)]
        pub password: Option<SecretString> = None,

        /// Seconds that each step with the SMTP server may take. Django: `EMAIL_TIMEOUT`.
        pub timeout: i64 = 10,

        /// Whom mails are from: an address, or `"Name <address>"`. Django: `DEFAULT_FROM_EMAIL`.
        pub from_email: String = "noreply@localhost".to_owned(),

        /// What subjects begin with, such as `"[Example] "`. allauth: `ACCOUNT_EMAIL_SUBJECT_PREFIX`.
        pub subject_prefix: String = String::new(),

        /// A folder with templates that replace the built-in ones of the same name.
        pub template_dir: Option<PathBuf> = None,
    }
}

/// How the connection to the SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// Plain at first, then TLS, or no mail.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

impl Email {
    /// Whether mails go to the development mailbox.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.host.is_none()
    }

    /// How the connection is protected, the default worked out.
    #[must_use]
    pub fn tls(&self) -> SmtpTls {
        let local = matches!(self.host.as_deref(), Some("localhost" | "127.0.0.1" | "::1"));
        self.tls.unwrap_or(if local { SmtpTls::None } else { SmtpTls::StartTls })
    }

    /// The port, the default worked out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls() {
            SmtpTls::None => 25,
            SmtpTls::StartTls => 587,
            SmtpTls::Tls => 465,
        })
    }
}
