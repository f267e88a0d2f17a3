//! What the application around Vestibule may be asked: whether somebody may sign up or log in, and what clients are
//! told of a user. As a trait for those who embed, and over HTTP for those who run the binary.

mod http;

pub use http::{HookSettingError, HttpHooks};

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use vestibule_base::config::ClientKind;

pub use crate::refusal::{HookError, Problem};

/// An answer on its way.
pub type HookFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, HookError>> + Send + 'a>>;

/// What the application is asked. Each question has an answer by default: allow, and nothing to add.
///
/// No transaction is open meanwhile. An error, and no answer within `hooks.timeout`, count as no: the request is answered
/// with 503 and not done. No question holds a password, a code or a token.
///
/// ```
/// use vestibule_core::hooks::{HookFuture, Hooks, Problem, SignupAttempt, Verdict};
///
/// #[derive(Debug)]
/// struct OnlyUs;
///
/// impl Hooks for OnlyUs {
///     fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
///         Box::pin(async move {
///             let ours = attempt.email.as_ref().is_some_and(|email| email.ends_with("@example.org"));
///             let problem = Problem::given("not_invited", "Please sign up with your address at work.");
///             Ok(if ours { Verdict::Allow } else { Verdict::Refuse(vec![problem.on("email")]) })
///         })
///     }
/// }
/// ```
pub trait Hooks: fmt::Debug + Send + Sync {
    /// Whether somebody may sign up. Asked once the input is valid, whether or not the account exists already.
    ///
    /// # Errors
    /// [`HookError`]: nobody can sign up for now.
    fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
        let _ = attempt;
        answer(Verdict::Allow)
    }

    /// Whether a user may log in. Asked once the first proof is right, before any further one; not for a signup.
    ///
    /// # Errors
    /// [`HookError`]: nobody can log in for now.
    fn before_login<'a>(&'a self, attempt: &'a LoginAttempt) -> HookFuture<'a, Verdict> {
        let _ = attempt;
        answer(Verdict::Allow)
    }

    /// Further members of the user object that clients get of whoever is logged in, by names that it does not have yet.
    ///
    /// # Errors
    /// [`HookError`]: the request is answered with 503.
    fn user_fields<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        let _ = user;
        answer(Map::new())
    }

    /// Further claims of a user's access token, by names that it does not have yet.
    ///
    /// # Errors
    /// [`HookError`]: no token is given.
    fn access_token_claims<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        let _ = user;
        answer(Map::new())
    }
}

/// Those that several hold are asked as they are.
impl<H: Hooks + ?Sized> Hooks for Arc<H> {
    fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
        (**self).before_signup(attempt)
    }

    fn before_login<'a>(&'a self, attempt: &'a LoginAttempt) -> HookFuture<'a, Verdict> {
        (**self).before_login(attempt)
    }

    fn user_fields<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        (**self).user_fields(user)
    }

    fn access_token_claims<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        (**self).access_token_claims(user)
    }
}

fn answer<'a, T: Send + 'a>(answer: T) -> HookFuture<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

/// Whether something may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not: the answer is 400 with these problems, or 403 if there are none.
    Refuse(Vec<Problem>),
}

/// A user, as hooks see them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserView {
    /// Never changes, and is never used again.
    pub id: i64,
    /// The name.
    pub username: Option<String>,
    /// The primary address.
    pub email: Option<String>,
    /// What was entered in `account.extra_signup_fields`.
    pub fields: Map<String, Value>,
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visitor {
    /// `app` or `browser`.
    pub client: ClientKind,
    /// The client's address.
    pub ip: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// The language to speak to people in: `en`.
    pub language: &'static str,
}

/// A signup that is about to be done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignupAttempt {
    /// The address.
    pub email: Option<String>,
    /// The name that was chosen.
    pub username: Option<String>,
    /// The number.
    pub phone: Option<String>,
    /// What was entered in `account.extra_signup_fields`.
    pub fields: Map<String, Value>,
    /// How the account will be entered: `password`, `passkey`, `code` or `socialaccount`.
    pub method: &'static str,
    /// The third party that vouches, and its own name for the person.
    pub provider: Option<ProviderView>,
    /// Where it comes from.
    #[serde(flatten)]
    pub visitor: Visitor,
}

/// A third party that vouches for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProviderView {
    /// The id of the registration: `github`.
    pub id: String,
    /// The provider's own name for the person.
    pub uid: String,
}

/// A login that is about to go through the stages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoginAttempt {
    /// Who enters.
    pub user: UserView,
    /// The first proof: `password`, `code`, `mfa` (a passkey), `password_reset` or `socialaccount`.
    pub method: &'static str,
    /// Where it comes from.
    #[serde(flatten)]
    pub visitor: Visitor,
}
