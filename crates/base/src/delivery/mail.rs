//! The mails that there are.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::language::Language;
use crate::security::Millis;

/// A mail to one recipient.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    /// The address, as stored.
    pub to: String,
    /// The language of whoever caused it. One that was queued before there were languages is English.
    #[serde(default, deserialize_with = "language")]
    pub language: Language,
    /// What it says.
    pub kind: MailKind,
}

/// What a mail says. Prints its name only: the rest are secrets and addresses.
#[derive(Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are; templates know them by these names")]
pub enum MailKind {
    /// Prove this address by following a link.
    VerifyEmailLink { url: String, signup: bool },
    /// Prove this address by typing a code.
    VerifyEmailCode { code: String, signup: bool },
    /// Log in by typing a code.
    LoginCode { code: String },
    /// Choose a new password by following a link; names the account, should that be forgotten too.
    PasswordResetLink { url: String, username: Option<String> },
    /// Choose a new password by typing a code.
    PasswordResetCode { code: String },
    /// Somebody tried to enter an account that is not there.
    UnknownAccount { signup_url: Option<String> },
    /// Somebody tried to sign up with an address that has an account. The built-in templates leave `signup_url` out.
    AccountAlreadyExists { signup_url: Option<String>, password_reset_url: Option<String> },
    /// The account's address is another one now.
    EmailChanged { from: String, to: String, notice: Notice },
    /// An address was removed from the account.
    EmailDeleted { email: String, notice: Notice },
    /// The password was changed.
    PasswordChanged(Notice),
    /// An account without a password has one now.
    PasswordSet(Notice),
    /// The password was reset.
    PasswordReset(Notice),
    /// An authenticator app is asked for from now on.
    TotpActivated(Notice),
    /// No authenticator app is asked for any more.
    TotpDeactivated(Notice),
    /// A key was added.
    WebauthnAdded(Notice),
    /// A key was removed.
    WebauthnRemoved(Notice),
    /// The recovery codes are others now.
    RecoveryCodesGenerated(Notice),
    /// A recovery code was used.
    RecoveryCodeUsed(Notice),
    /// An account at a third party lets its owner in from now on.
    ProviderConnected { provider: String, notice: Notice },
    /// An account at a third party lets nobody in any more.
    ProviderDisconnected { provider: String, notice: Notice },
    /// The account was deleted.
    AccountDeleted(Notice),
}

/// A language by its tag; English if it is not known here: a newer instance may have queued the message.
pub(super) fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Language, D::Error> {
    Ok(Language::named(&String::deserialize(deserializer)?))
}

/// Whence something was done to an account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Notice {
    /// When.
    pub at: Millis,
    /// From which address.
    pub ip: String,
    /// With which program, as it calls itself. Never mailed as it stands: whoever did it chose these words.
    pub user_agent: String,
}

impl MailKind {
    /// The name of this kind's templates.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmailLink { .. } => "verify_email_link",
            Self::VerifyEmailCode { .. } => "verify_email_code",
            Self::LoginCode { .. } => "login_code",
            Self::PasswordResetLink { .. } => "password_reset_link",
            Self::PasswordResetCode { .. } => "password_reset_code",
            Self::UnknownAccount { .. } => "unknown_account",
            Self::AccountAlreadyExists { .. } => "account_already_exists",
            Self::EmailChanged { .. } => "email_changed",
            Self::EmailDeleted { .. } => "email_deleted",
            Self::PasswordChanged(_) => "password_changed",
            Self::PasswordSet(_) => "password_set",
            Self::PasswordReset(_) => "password_reset",
            Self::TotpActivated(_) => "totp_activated",
            Self::TotpDeactivated(_) => "totp_deactivated",
            Self::WebauthnAdded(_) => "webauthn_added",
            Self::WebauthnRemoved(_) => "webauthn_removed",
            Self::RecoveryCodesGenerated(_) => "recovery_codes_generated",
            Self::RecoveryCodeUsed(_) => "recovery_code_used",
            Self::ProviderConnected { .. } => "provider_connected",
            Self::ProviderDisconnected { .. } => "provider_disconnected",
            Self::AccountDeleted(_) => "account_deleted",
        }
    }

    /// The code to type, if it carries one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::VerifyEmailCode { code, .. }
            | Self::LoginCode { code }
            | Self::PasswordResetCode { code } => Some(code),
            _ => None,
        }
    }

    /// The link to follow, if it carries one.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::VerifyEmailLink { url, .. } | Self::PasswordResetLink { url, .. } => Some(url),
            Self::UnknownAccount { signup_url } => signup_url.as_deref(),
            Self::AccountAlreadyExists { password_reset_url, .. } => password_reset_url.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({:?})", self.kind)
    }
}

impl fmt::Debug for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_from_before_there_were_languages_or_in_one_unknown_here_is_english() {
        let language = |json: &str| serde_json::from_str::<Mail>(json).unwrap().language;
        let kind = r#""kind":{"LoginCode":{"code":"BCDF-GHJK"}}"#;
        assert_eq!(language(&format!(r#"{{"to":"a@example.com",{kind}}}"#)), Language::En);
        assert_eq!(language(&format!(r#"{{"to":"a@example.com","language":"tlh",{kind}}}"#)), Language::En);
        assert_eq!(language(&format!(r#"{{"to":"a@example.com","language":"nl",{kind}}}"#)), Language::Nl);
    }
}
