//! One account as it travels. In JSON, times are RFC 3339 and bytes base64url.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_base::security::{Millis, rfc_3339};

use crate::wire::{base64url, opt_base64url, opt_secret, secret, yes};

/// One account as it travels. Secrets in it do not print; written as JSON they do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its key where it comes from: what comes again under the same key is not taken twice. Not empty.
    pub source_id: String,
    /// The id that it had, to be kept where nobody has it: tables of the application may refer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Its name, as its owner wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A hash in a format that [`vestibule_base::security::password`] verifies; bare bcrypt (`$2b$…`) will do, too.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "opt_secret")]
    pub password: Option<SecretString>,
    /// An inactive account is entered by no way.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// When it was made; not known: now.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub created_at: Option<Millis>,
    /// When its owner last entered.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub last_login_at: Option<Millis>,
    /// Addresses. The first one that says so is primary; if none does, the first verified one, else the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Email>,
    /// Number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// What is connected at third parties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderAccount>,
    /// Authenticator app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,
    /// Recovery codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<RecoveryCodes>,
    /// Security keys and passkeys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<Passkey>,
    /// Extra fields of the signup form, by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// An address of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The address.
    pub email: String,
    /// Whether its owner has proved it.
    #[serde(default)]
    pub verified: bool,
    /// Whether the account is known by it.
    #[serde(default)]
    pub primary: bool,
}

/// The number of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// In E.164.
    pub phone: String,
    /// Whether its owner has proved it.
    #[serde(default)]
    pub verified: bool,
}

/// An account at a third party.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderAccount {
    /// The app of the configuration, by its id.
    pub provider: String,
    /// The provider's own name for the person.
    pub uid: String,
    /// What the provider said of them.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub extra_data: Value,
    /// When it was connected; not known: when the account was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub created_at: Option<Millis>,
    /// When it last logged in; not known: when it was connected.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub last_login_at: Option<Millis>,
    /// The provider's tokens, if any were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<ProviderTokens>,
}

/// Tokens of a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderTokens {
    /// Access token.
    #[serde(with = "secret")]
    pub access: SecretString,
    /// Refresh token, or the secret of OAuth 1.0a.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "opt_secret")]
    pub refresh: Option<SecretString>,
    /// When the access token expires.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub expires_at: Option<Millis>,
}

/// An authenticator app (HMAC-SHA-1; digits and period are those of the settings).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totp {
    /// The secret in base 32, with or without padding.
    #[serde(with = "secret")]
    pub secret: SecretString,
    /// The newest time step whose code was taken; 0: not known.
    #[serde(default)]
    pub last_step: i64,
    /// When it was set up; not known: when the account was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub created_at: Option<Millis>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub last_used_at: Option<Millis>,
}

/// A set of recovery codes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCodes {
    /// The codes, in the order in which they are shown.
    pub codes: Vec<RecoveryCode>,
    /// Whether their owner has seen them.
    #[serde(default = "yes")]
    pub seen: bool,
    /// When they were made; not known: when the account was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub created_at: Option<Millis>,
    /// When one was last used.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub last_used_at: Option<Millis>,
}

/// A recovery code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCode {
    /// The code as it was shown to its owner.
    #[serde(with = "secret")]
    pub code: SecretString,
    /// Whether it was used: it is listed, and worth nothing.
    #[serde(default)]
    pub used: bool,
}

/// A security key or passkey.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// What its owner calls it.
    #[serde(default)]
    pub name: String,
    /// Its id.
    #[serde(with = "base64url")]
    pub credential_id: Vec<u8>,
    /// Its public key, as COSE writes it.
    #[serde(with = "base64url")]
    pub public_key: Vec<u8>,
    /// What its counter last said.
    #[serde(default)]
    pub sign_count: u32,
    /// What it knows its owner by, and shows at a login without a name. Needed by passkeys of accounts that had another id,
    /// or whose handle was not the id in decimal digits; not known: the id that the account had.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "opt_base64url")]
    pub user_handle: Option<Vec<u8>>,
    /// Whether it may be copied to other devices (flag BE).
    #[serde(default)]
    pub backup_eligible: bool,
    /// Whether it was copied (flag BS).
    #[serde(default)]
    pub backed_up: bool,
    /// Whether it verified who held it when it was set up (flag UV).
    #[serde(default)]
    pub user_verified: bool,
    /// Whether it can be found without its id (`credProps.rk`), as far as its browser said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discoverable: Option<bool>,
    /// When it was set up; not known: when the account was made.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub created_at: Option<Millis>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc_3339::option")]
    pub last_used_at: Option<Millis>,
}
