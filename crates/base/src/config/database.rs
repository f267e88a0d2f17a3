//! `[database]`: SQLite or PostgreSQL.

use secrecy::SecretString;

use super::read;
use super::settings::settings;

settings! {
    /// Where everything is stored: SQLite for one instance, PostgreSQL for many.
    pub struct Database {
        /// `"sqlite://PATH"` or `"postgres://USER:PASSWORD@HOST/NAME"`. Unset: the file `vestibule.sqlite3` in
        /// `server.data_dir`. Secret, as it may hold a password.
        #[serde(deserialize_with = "read::secret", skip_serializing)]
        pub url: Option<SecretString> = None,

        /// Connections that are kept open at most.
        pub max_connections: u32 = 16,
    }
}
