//! `[events]`: the log of what happens to accounts, and the services that are told of it.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::read;
use super::settings::settings;

settings! {
    /// What happens to accounts is written down in the database, in the transaction of the change itself. See
    /// docs/how-to/events.md.
    pub struct Events {
        /// Days that events, and deliveries that were given up, are kept. 0: for ever.
        pub retention: i64 = 90,

        /// Services of yours that are told of events, by signed POSTs, each a `[[events.webhooks]]` with `name`, `url`,
        /// `secrets` (the keys that sign, each `whsec_` and 24 to 64 random bytes in base64; several while the receiver
        /// changes its own), and, if need be, `events` (the names of those that it is told of; none: all), `timeout`
        /// (seconds that a POST may take; 15) and `allow_http`.
        ///
        /// Danger: with `allow_http` events travel readable.
        pub webhooks: Vec<Webhook> = Vec::new(),
    }
}

/// A service that is told of events. Its URL, which may hold a key, and its secrets do not print.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called here. Deliveries that wait belong to the name, whatever the URL is by then.
    pub name: String,
    /// Where to post.
    #[serde(skip_serializing)]
    pub url: String,
    /// The keys that sign.
    #[serde(default, deserialize_with = "read::secrets", skip_serializing)]
    pub secrets: Vec<SecretString>,
    /// The events that it is told of; none: all.
    #[serde(default)]
    pub events: Vec<String>,
    /// Seconds that a POST may take.
    #[serde(default = "patience")]
    pub timeout: i64,
    /// Whether the URL may be one without TLS on another machine.
    #[serde(default)]
    pub allow_http: bool,
}

fn patience() -> i64 {
    15
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("events", &self.events)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
