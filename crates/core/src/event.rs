//! What happens to accounts, for the audit log. Names users by id and never holds a secret.

use crate::visit::Visit;

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A user entered.
    LoggedIn,
    /// A way in was tried with the wrong secret.
    LoginFailed,
    /// A session was ended by its holder.
    LoggedOut,
    /// An account was made.
    SignedUp,
    /// Somebody proved again who they are.
    Reauthenticated,
    /// A code was wrong.
    CodeRejected,
    /// An address was proved.
    EmailVerified,
    /// An address was added.
    EmailAdded,
    /// An address was removed.
    EmailRemoved,
    /// Another address is the primary one.
    PrimaryEmailChanged,
    /// A number was proved.
    PhoneVerified,
    /// A reset was asked for.
    PasswordResetRequested,
    /// The password was reset.
    PasswordReset,
    /// The password was changed.
    PasswordChanged,
    /// An account without a password has one now.
    PasswordSet,
    /// A password chosen before the address was proved was thrown away.
    PasswordWiped,
    /// Sessions of a user were ended from elsewhere.
    SessionsEnded,
    /// A refresh token gave the next pair.
    TokensRefreshed,
    /// A refresh token came again after it was used: its session has ended.
    RefreshTokenReused,
    /// An authenticator was set up.
    AuthenticatorAdded,
    /// An authenticator was removed.
    AuthenticatorRemoved,
    /// A code of no authenticator was tried, or what no key had signed.
    SecondFactorFailed,
    /// A key signed a counter that did not go up: there may be a copy of it.
    KeyCopied,
    /// New recovery codes were made in place of the old ones.
    RecoveryCodesGenerated,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// A browser was trusted.
    BrowserTrusted,
    /// An account at a third party was connected.
    ProviderConnected,
    /// An account at a third party was disconnected.
    ProviderDisconnected,
    /// A login at a third party came to nothing.
    ProviderFailed,
    /// An operator let a user in again.
    Activated,
    /// An operator shut a user out.
    Deactivated,
    /// An operator deleted a user.
    Deleted,
}

impl Event {
    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::LoginFailed => "login_failed",
            Self::LoggedOut => "logged_out",
            Self::SignedUp => "signed_up",
            Self::Reauthenticated => "reauthenticated",
            Self::CodeRejected => "code_rejected",
            Self::EmailVerified => "email_verified",
            Self::EmailAdded => "email_added",
            Self::EmailRemoved => "email_removed",
            Self::PrimaryEmailChanged => "primary_email_changed",
            Self::PhoneVerified => "phone_verified",
            Self::PasswordResetRequested => "password_reset_requested",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::PasswordSet => "password_set",
            Self::PasswordWiped => "password_wiped",
            Self::SessionsEnded => "sessions_ended",
            Self::TokensRefreshed => "tokens_refreshed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::AuthenticatorAdded => "authenticator_added",
            Self::AuthenticatorRemoved => "authenticator_removed",
            Self::KeyCopied => "key_copied",
            Self::SecondFactorFailed => "second_factor_failed",
            Self::RecoveryCodesGenerated => "recovery_codes_generated",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::BrowserTrusted => "browser_trusted",
            Self::ProviderConnected => "provider_connected",
            Self::ProviderDisconnected => "provider_disconnected",
            Self::ProviderFailed => "provider_failed",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
        }
    }

    /// Writes what an operator did to the audit log.
    pub fn log_operator(self, user: i64) {
        tracing::info!(target: "vestibule::audit", event = self.name(), user, by = "operator");
    }

    /// Writes it to the audit log.
    pub fn log(self, visit: &Visit, user: Option<i64>, detail: &str) {
        tracing::info!(
            target: "vestibule::audit",
            event = self.name(),
            user = user,
            ip = %visit.ip,
            at = visit.now,
            detail
        );
    }
}
