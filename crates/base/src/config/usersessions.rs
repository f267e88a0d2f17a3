//! `[usersessions]`: the list of a user's sessions.

use super::settings::settings;

settings! {
    /// The list of one's own sessions. Names are allauth's `USERSESSIONS_*`.
    pub struct UserSessions {
        /// Whether time, address and user agent of the latest request are kept, instead of those of the login alone.
        ///
        /// allauth: `USERSESSIONS_TRACK_ACTIVITY`.
        pub track_activity: bool = false,
    }
}
