//! `[admin]`: the API for operators.

use secrecy::SecretString;

use super::read;
use super::settings::settings;

settings! {
    /// The API for operators: users, sessions and events, on an address of its own and never on the public one. It is
    /// described by `api/admin.yaml`; `vestibule users --server URL` uses it.
    pub struct Admin {
        /// Address and port that it listens on, such as `"127.0.0.1:8001"`. Unset: there is no such API.
        ///
        /// Danger: it speaks http. On another address than that of this machine, put TLS in front.
        pub listen: Option<String> = None,

        /// What operators show to be let in, as `Authorization: Bearer …`: at least 32 random characters each. Several, so that one
        /// can be changed while others are in use.
        ///
        /// Danger: whoever knows one can do anything to every account.
        #[serde(deserialize_with = "read::secrets", skip_serializing)]
        pub tokens: Vec<SecretString> = Vec::new(),
    }
}
