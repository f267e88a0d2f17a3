//! The text messages that there are, and the webhook that sends them.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::queue::Failure;
use super::{DeliveryError, SmsWebhook, mail};
use crate::language::Language;
use crate::outbound::{Endpoint, Outbound, OutboundError};
use crate::security::{Keyring, Millis, Purpose, clock};

/// A text message to one phone.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sms {
    /// The number, in E.164.
    pub phone: String,
    /// The language of whoever caused it.
    #[serde(default, deserialize_with = "mail::language")]
    pub language: Language,
    /// What it says.
    pub kind: SmsKind,
    /// The code to type, for the kinds that carry one.
    pub code: Option<String>,
}

/// What a text message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsKind {
    /// Prove this number by typing a code.
    VerificationCode,
    /// Log in by typing a code. Not sent so far: as in the reference, such a code goes out as a `VerificationCode`.
    LoginCode,
    /// Somebody tried to enter an account that is not there.
    UnknownAccount,
    /// Somebody tried to sign up with a number that has an account.
    AccountAlreadyExists,
}

impl SmsKind {
    /// Its name in the webhook.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerificationCode => "verification_code",
            Self::LoginCode => "login_code",
            Self::UnknownAccount => "unknown_account",
            Self::AccountAlreadyExists => "account_already_exists",
        }
    }
}

impl fmt::Debug for Sms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sms({})", self.kind.name())
    }
}

/// The key of the webhook's signature where none is configured: 64 hexadecimal digits, taken as ASCII.
#[must_use]
pub fn derived_secret(keyring: &Keyring) -> SecretString {
    hex::encode(keyring.mac(Purpose::Webhook, b"sms")).into()
}

/// The webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    secret: SecretString,
    timeout: Duration,
}

#[derive(Serialize)]
struct Body<'a> {
    phone: &'a str,
    code: Option<&'a str>,
    kind: SmsKind,
    language: Language,
    message: &'a str,
}

impl Webhook {
    pub(super) fn new(settings: &SmsWebhook, keyring: &Keyring) -> Result<Self, DeliveryError> {
        let endpoint = Outbound::new()?.configured(&settings.url).map_err(|error| {
            DeliveryError::Setting { setting: "sms.webhook_url", reason: error.to_string() }
        })?;
        let secret = settings.secret.clone().unwrap_or_else(|| derived_secret(keyring));
        let timeout = Duration::from_secs(settings.timeout_s.clamp(1, 300));
        Ok(Self { endpoint: endpoint.within(timeout), secret, timeout })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Posts a message. Any answer but 2xx is a failure to try again after.
    pub(super) async fn send(&self, id: i64, now: Millis, sms: &Sms, message: &str) -> Result<(), Failure> {
        let body = Body {
            phone: &sms.phone,
            code: sms.code.as_deref(),
            kind: sms.kind,
            language: sms.language,
            message,
        };
        let body = serde_json::to_string(&body).map_err(|error| Failure::Refused(error.to_string()))?;
        let (time, delivery) = (now / clock::SECOND, id.to_string());
        let signature = format!("t={time},v1={}", sign(self.secret.expose_secret(), time, &body));
        let headers =
            [("X-Vestibule-Signature", signature.as_str()), ("X-Vestibule-Delivery", delivery.as_str())];
        let answer = self.endpoint.post_json(body, &headers).await.and_then(|answer| answer.success());
        answer.map(drop).map_err(|error| match error {
            OutboundError::Timeout | OutboundError::Unreachable(_) => Failure::Away(error.to_string()),
            _ => Failure::Retry(error.to_string()),
        })
    }
}

/// HMAC-SHA-256 of `time.body`, in hexadecimal digits.
fn sign(secret: &str, time: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map(|mac| hex::encode(mac.chain_update(format!("{time}.{body}")).finalize().into_bytes()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn the_signature_is_plain_hmac_of_time_and_body() {
        // RFC 4231, case 2 has the key "Jefe"; made with: printf '1.{}' | openssl dgst -sha256 -hmac Jefe
        assert_eq!(sign("Jefe", 1, "{}"), JEFE);
    }
    const JEFE: &str = "dc7943cccf20f64327d263db5e2aca27c2b8175e8e6e7ea04f482091bf456b0f";

    #[tokio::test]
    async fn a_post_names_phone_code_kind_and_message_and_is_signed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sms", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let mut requests = Vec::new();
            for status in ["500 Oops", "204 No Content"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                while !request.contains('}') {
                    let mut buffer = [0; 2048];
                    let read = stream.read(&mut buffer).await.unwrap();
                    request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                }
                let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                requests.push(request);
            }
            requests
        });
        let settings = SmsWebhook { url, secret: Some("shared".to_owned().into()), timeout_s: 5 };
        let webhook = Webhook::new(&settings, &Keyring::new("the secret key", &[])).unwrap();
        let sms = Sms {
            phone: "+4930123456".into(),
            language: Language::En,
            kind: SmsKind::LoginCode,
            code: Some("BCDF-GHJK".into()),
        };
        assert!(matches!(webhook.send(7, 5_000, &sms, "hello").await, Err(Failure::Retry(_))));
        webhook.send(7, 5_000, &sms, "hello").await.unwrap();
        let request = server.await.unwrap().pop().unwrap();
        let body = r#"{"phone":"+4930123456","code":"BCDF-GHJK","kind":"login_code","language":"en","message":"hello"}"#;
        assert!(request.ends_with(body), "{request}");
        assert!(request.contains(&format!("x-vestibule-signature: t=5,v1={}\r\n", sign("shared", 5, body))));
        assert!(request.contains("x-vestibule-delivery: 7\r\n"));
        assert!(!format!("{sms:?} {webhook:?}").contains("BCDF"));
        assert!(matches!(webhook.send(8, 5_000, &sms, "hello").await, Err(Failure::Away(_))));
    }

    #[tokio::test]
    async fn a_silent_webhook_is_given_up_after_its_timeout() {
        // Connections are taken by the system, and nobody answers.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sms", listener.local_addr().unwrap());
        let settings = SmsWebhook { url, secret: None, timeout_s: 1 };
        let webhook = Webhook::new(&settings, &Keyring::new("the secret key", &[])).unwrap();
        let sms = Sms {
            phone: "+4930123456".into(),
            language: Language::En,
            kind: SmsKind::UnknownAccount,
            code: None,
        };
        let begun = std::time::Instant::now();
        assert!(matches!(webhook.send(1, 0, &sms, "hello").await, Err(Failure::Away(_))));
        assert!((900..3_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }
}
