//! Security keys and passkeys: `keys` sets them up and keeps them, `proof` takes what they sign.
//!
//! A ceremony is begun for one session, purpose and user, and lives for five minutes. The first answer spends it, whatever
//! it is: of several requests with one challenge, one is looked at (M4, C3).

mod keys;
mod proof;

pub(crate) use keys::lets_in;
pub use keys::{
    LONGEST_NAME, NewKey, add, are_own, check_may_add, creation_options, insert, new_key_options, registered,
    remove_keys, rename,
};
pub use proof::{log_in, login_options, reauthenticate, reauthentication_options, request_options, spend};

use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::webauthn::{Ceremony, Credential, CredentialId};
use vestibule_base::storage::authenticators::{self, Authenticator};
use vestibule_base::storage::processes::{self, Process};
use vestibule_base::storage::{Conn, users};

use super::Listed;
use crate::context::Ctx;
use crate::refusal::Outcome;
use crate::session;
use crate::visit::Visit;

/// How long an answer is awaited.
const AWAITED_FOR: Millis = 300 * SECOND;

/// What a ceremony is for. An answer to one of another purpose is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting up a key.
    Add,
    /// Setting up the passkey of a new account.
    Signup,
    /// A second factor.
    Authenticate,
    /// A fresh proof.
    Reauthenticate,
    /// A passkey in place of a password.
    Login,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "webauthn_add",
            Self::Signup => "webauthn_signup",
            Self::Authenticate => "webauthn_authenticate",
            Self::Reauthenticate => "webauthn_reauthenticate",
            Self::Login => "webauthn_login",
        }
    }
}

/// A key and what is known of it.
#[derive(Debug)]
pub struct Key {
    /// The row.
    pub row: Authenticator,
    /// What it registered; `None` if no secret key opens it: such a key is of no use, and can be removed.
    credential: Option<Credential>,
}

impl Key {
    /// Opens what is stored of a key.
    ///
    /// # Errors
    /// [`crate::refusal::Refusal::Fault`] if what it opens is no credential.
    pub fn open(ctx: &Ctx, row: Authenticator) -> Outcome<Self> {
        let credential = match super::open(ctx, row.user_id, row.kind, &row.secret) {
            Ok(opened) => Some(serde_json::from_slice(&opened)?),
            Err(fault) => {
                tracing::error!(authenticator = row.id, error = %fault, "a key is of no use");
                None
            }
        };
        Ok(Self { row, credential })
    }

    /// As its owner sees it.
    #[must_use]
    pub fn listed(self) -> Listed {
        let passwordless = self.credential.and_then(|credential| credential.discoverable);
        Listed { row: self.row, codes: None, passwordless }
    }

    /// Whether it can log in alone. One whose browser did not say is given the benefit of the doubt: whether it can be
    /// found without its id, it shows by being found.
    fn is_passkey(&self) -> bool {
        self.credential.as_ref().is_some_and(|credential| credential.discoverable != Some(false))
    }

    /// Whether it is known to open the account alone, for which it must have verified who holds it.
    fn is_way_in(&self) -> bool {
        self.is_passkey() && self.credential.as_ref().is_some_and(|credential| credential.user_verified)
    }
}

/// Begins to await an answer, in place of any other of this purpose.
async fn await_answer(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    purpose: Purpose,
    user_id: Option<i64>,
    ceremony: &Ceremony,
) -> Outcome<()> {
    if let Some(user_id) = user_id {
        users::lock(tx, user_id).await?;
    }
    let process = Process {
        id: 0,
        session_id: session::ensure(ctx, tx, visit).await?,
        user_id,
        address: String::new(),
        code_hash: None,
        attempts_left: 0,
        resends: 0,
        changes: 0,
        state: serde_json::to_string(ceremony)?,
        expires_at: visit.now.saturating_add(AWAITED_FOR),
    };
    Ok(processes::put(tx, purpose.name(), &process).await?)
}

/// The ceremony that this session awaits the answer of, which spends it.
async fn answered(
    tx: &mut Conn,
    visit: &Visit,
    purpose: Purpose,
    user_id: Option<i64>,
) -> Outcome<Option<Ceremony>> {
    let Some(session_id) = visit.session.id() else { return Ok(None) };
    if !session::lock(tx, session_id).await? {
        return Ok(None);
    }
    let Some(process) = processes::find(tx, session_id, purpose.name()).await? else { return Ok(None) };
    let spent = processes::delete(tx, process.id).await?;
    if !spent || process.user_id != user_id || process.expires_at <= visit.now {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&process.state)?))
}

async fn of_user(ctx: &Ctx, conn: &mut Conn, user_id: i64) -> Outcome<Vec<Key>> {
    let rows = authenticators::of_user(conn, user_id).await?.into_iter();
    rows.filter(|row| row.kind == Kind::Webauthn).map(|row| Key::open(ctx, row)).collect()
}

fn ids(keys: &[Key]) -> Vec<CredentialId> {
    keys.iter().filter_map(|key| Some(key.credential.as_ref()?.id.clone())).collect()
}
