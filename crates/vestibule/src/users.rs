//! What an operator does with accounts, past all rules of signup.

use secrecy::SecretString;
use vestibule_base::security::password::Password;
use vestibule_core::Ctx;
use vestibule_core::account::admin::{self, AdminError, NewUser, UserSummary};
use vestibule_core::social::{Failure as ProviderFailure, tokens};

/// The accounts of a running Vestibule.
#[derive(Debug, Clone, Copy)]
pub struct Users<'a> {
    pub(crate) ctx: &'a Ctx,
}

impl Users<'_> {
    /// Makes a user.
    ///
    /// # Errors
    /// [`AdminError`]; so for all below.
    pub async fn create(&self, new: NewUser) -> Result<UserSummary, AdminError> {
        admin::create(self.ctx, new).await
    }

    /// Users in the order of their ids, `limit` at most, with ids above `after`.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn list(&self, limit: u32, after: Option<i64>) -> Result<Vec<UserSummary>, AdminError> {
        admin::list(self.ctx, after.unwrap_or(0), i64::from(limit)).await
    }

    /// The user with this id, address or name.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn find(&self, who: &str) -> Result<UserSummary, AdminError> {
        admin::find(self.ctx, who).await
    }

    /// Gives a user another password, and ends their sessions.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_password(&self, id: i64, password: Password) -> Result<(), AdminError> {
        admin::set_password(self.ctx, id, &password).await
    }

    /// Shuts a user out: their sessions end at once.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn deactivate(&self, id: i64) -> Result<(), AdminError> {
        admin::set_active(self.ctx, id, false).await
    }

    /// Lets a user in again.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn activate(&self, id: i64) -> Result<(), AdminError> {
        admin::set_active(self.ctx, id, true).await
    }

    /// Removes the second factors of a user who has lost them, and ends their sessions.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn remove_authenticators(&self, id: i64) -> Result<(), AdminError> {
        admin::remove_authenticators(self.ctx, id).await
    }

    /// The access token of a user's account at a provider (of several the one with this `uid`, else the oldest), renewed if
    /// it has expired; `None` if there is none, or `socialaccount.store_tokens` is off.
    ///
    /// # Errors
    /// [`ProviderFailure`] if it cannot be renewed.
    pub async fn provider_token(
        &self,
        id: i64,
        provider: &str,
        uid: Option<&str>,
    ) -> Result<Option<SecretString>, ProviderFailure> {
        tokens::access_of(self.ctx, id, provider, uid).await
    }

    /// Removes a user and all that is theirs.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn delete(&self, id: i64) -> Result<(), AdminError> {
        admin::delete(self.ctx, id).await
    }
}
