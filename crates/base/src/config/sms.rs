//! `[sms]`: how text messages leave.

use secrecy::SecretString;

use super::rate::{Per, Rate, Rates};
use super::read;
use super::settings::settings;

settings! {
    /// How text messages leave: as a signed POST to a service of yours, which sends them.
    pub struct Sms {
        /// Where `{"phone", "code", "kind", "message"}` is posted. Unset: messages go to the development mailbox if mails
        /// do, else none can be sent.
        pub webhook_url: Option<String> = None,

        /// The key that signs each POST, so that your service can tell it is from here. Unset: derived from
        /// `server.secret_key`.
        #[serde(deserialize_with = "read::secret", skip_serializing)]
        pub secret: Option<SecretString> = None,

        /// Seconds that a POST may take, 300 at most.
        pub timeout: i64 = 5,

        /// Whether a number that no account has is told so when somebody asks for a login code for it. The answer to whoever
        /// asks is the same either way.
        ///
        /// Danger: with it, strangers can have you text any number, within the limits below.
        pub unknown_accounts: bool = true,

        /// How many messages one number may get, whatever they are about. Whatever would need another is answered with
        /// 429 and not done.
        pub rate_limit_per_number: Rates = Rates(vec![Rate { amount: 20, window_ms: 3_600_000, per: Per::Key }]),

        /// How many messages one client's network may cause, whatever the numbers: each costs money.
        pub rate_limit_per_client: Rates = Rates(vec![Rate { amount: 200, window_ms: 3_600_000, per: Per::Ip }]),
    }
}
