//! What an operator does with accounts, past all rules of signup.

use secrecy::SecretString;
use vestibule_base::security::password::Password;
use vestibule_core::Ctx;
use vestibule_core::admin::{self, AdminError, NewUser, Search, SessionSearch};
use vestibule_core::dossier::{SessionEntry, UserDetails, UserSummary};
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

    /// Users that fit, in the order of their ids.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn search(&self, search: &Search) -> Result<Vec<UserSummary>, AdminError> {
        admin::search(self.ctx, search).await
    }

    /// The user with this id, address or name.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn find(&self, who: &str) -> Result<UserSummary, AdminError> {
        admin::find(self.ctx, who).await
    }

    /// The same with all that belongs to them.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn details(&self, who: &str) -> Result<UserDetails, AdminError> {
        admin::details(self.ctx, who).await
    }

    /// Gives a user another password, and ends their sessions.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn set_password(&self, id: i64, password: Password) -> Result<(), AdminError> {
        admin::set_password(self.ctx, id, Some(&password)).await
    }

    /// Takes the password of a user away, and ends their sessions.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn remove_password(&self, id: i64) -> Result<(), AdminError> {
        admin::set_password(self.ctx, id, None).await
    }

    /// Mails a user a link by which they can choose another password; gives the address.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if they cannot reset it by themselves either.
    pub async fn send_reset(&self, id: i64) -> Result<String, AdminError> {
        admin::send_reset(self.ctx, id).await
    }

    /// Takes an address of a user for verified.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if it is none of theirs.
    pub async fn verify_email(&self, id: i64, email: &str) -> Result<UserSummary, AdminError> {
        admin::verify_email(self.ctx, id, email).await
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

    /// Removes one of them, and ends their sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if the user has none of this id.
    pub async fn remove_authenticator(&self, id: i64, authenticator: i64) -> Result<(), AdminError> {
        admin::remove_authenticator(self.ctx, id, authenticator).await
    }

    /// Disconnects an account at a third party, be it the last way in, and ends the user's sessions.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if the user has none of this id.
    pub async fn remove_provider(&self, id: i64, account: i64) -> Result<(), AdminError> {
        admin::remove_provider(self.ctx, id, account).await
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn end_sessions(&self, id: i64) -> Result<(), AdminError> {
        admin::end_sessions(self.ctx, id).await
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

/// The sessions of users, of a running Vestibule.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pub(crate) ctx: &'a Ctx,
}

impl Sessions<'_> {
    /// Live sessions that fit, in the order of their ids, and after which id to go on if there may be more.
    ///
    /// # Errors
    /// [`AdminError::Unknown`] if sessions of a user are asked for who is not there.
    pub async fn search(
        &self,
        search: &SessionSearch,
    ) -> Result<(Vec<SessionEntry>, Option<i64>), AdminError> {
        admin::sessions(self.ctx, search).await
    }

    /// Ends a session: one of the given user, if there is one.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if there is no such session.
    pub async fn end(&self, user: Option<i64>, id: i64) -> Result<(), AdminError> {
        admin::end_session(self.ctx, user, id).await
    }
}
