//! What a provider says of a person.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider's own, immutable name for the person: 1 to 191 characters.
    pub uid: String,
    /// Addresses, the most important first: lower-cased, ASCII, at most 254 characters.
    pub emails: Vec<ProviderEmail>,
    /// The address to use; one of `emails`, if there is any.
    pub email: Option<String>,
    /// The name that the person logs in with there, or shows.
    pub username: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// A phone number in international form. The provider's word only: unverified.
    pub phone: Option<String>,
    /// What is kept of the provider's answers.
    pub extra_data: Value,
}

/// An address as a provider gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderEmail {
    /// The address.
    pub email: String,
    /// Whether the provider, or the operator on its behalf, says that it belongs to the person.
    pub verified: bool,
    /// Whether it is the person's first.
    pub primary: bool,
}
