//! A request as rules see it: who makes it, from where, with which session, and what became of that.

mod record;

pub use record::{Method, Record};

use vestibule_base::config::ClientKind;
use vestibule_base::language::AcceptLanguage;
use vestibule_base::security::{Millis, Token};
use vestibule_base::storage::users::User;

use crate::refusal::{Outcome, Refusal};

/// A request: who makes it, from where, and what became of their session.
#[derive(Debug)]
pub struct Visit {
    /// How it carries its session.
    pub client: ClientKind,
    /// The session that it came with, or has now.
    pub session: Session,
    /// What became of the session.
    pub change: Change,
    /// Whether somebody has come in by this request.
    pub entered: bool,
    /// Tokens that are yet to be signed for whoever has just entered.
    pub granting: Option<Granting>,
    /// Access and refresh tokens, to be handed to whoever has just entered.
    pub granted: Option<Granted>,
    /// What the browser shows to prove that it was trusted.
    pub trust: Option<Token>,
    /// What it is to show from now on, if it was trusted by this request.
    pub trusted: Option<Token>,
    /// The client's address.
    pub ip: String,
    /// The client's network, by which limits count.
    pub network: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// Which languages the client likes.
    pub languages: AcceptLanguage,
    /// When the request came.
    pub now: Millis,
}

/// What the tokens of a new session have to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granting {
    /// The name of the session.
    pub sid: String,
    /// The id of its first refresh token.
    pub refresh_id: String,
}

/// An access token, and the refresh token that gives the next. Prints as dots.
#[derive(Clone)]
pub struct Granted {
    /// Shown at every request, for minutes.
    pub access: String,
    /// Shown for a new pair, once; `None` if the one that was shown stays good.
    pub refresh: Option<String>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Granted(…)")
    }
}

/// What became of a session during a request.
#[derive(Debug, Default)]
pub enum Change {
    /// Nothing.
    #[default]
    Kept,
    /// It has a new token, to be handed to its holder.
    Issued(Token),
    /// It is over.
    Ended,
}

/// The session of a request.
#[derive(Debug, Default)]
pub enum Session {
    /// There is none.
    #[default]
    None,
    /// Of nobody yet: something is under way.
    Anonymous {
        /// The row.
        id: i64,
    },
    /// Of a user.
    User(Box<Current>),
}

/// Who is logged in.
#[derive(Debug, Clone)]
pub struct Current {
    /// The session's row.
    pub session_id: i64,
    /// When the session was opened.
    pub since: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
    /// The user.
    pub user: User,
    /// The user's primary address.
    pub email: Option<String>,
    /// How this session was authenticated.
    pub records: Vec<Record>,
    /// Whether the primary address is proved; `false` right after a login.
    pub email_verified: bool,
}

impl Session {
    /// Who is logged in, if anybody.
    #[must_use]
    pub fn user(&self) -> Option<&Current> {
        match self {
            Self::User(current) => Some(current),
            Self::None | Self::Anonymous { .. } => None,
        }
    }

    /// The row, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Anonymous { id } => Some(*id),
            Self::User(current) => Some(current.session_id),
        }
    }
}

impl Visit {
    /// Who is logged in.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] if nobody is.
    pub fn current(&self) -> Outcome<&Current> {
        self.session.user().ok_or(Refusal::Unauthenticated)
    }
}
