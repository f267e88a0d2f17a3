//! The stages of a login, in order, and the walk through them.

use serde::{Deserialize, Serialize};
use vestibule_base::security::Millis;
use vestibule_base::security::clock::SECOND;
use vestibule_base::storage::Conn;
use vestibule_base::storage::logins::{self, Attempt};
use vestibule_base::storage::processes;
use vestibule_base::storage::users::{self, User};

use super::stages::{
    login_by_code, mfa_authenticate, mfa_signup_webauthn, mfa_trust, verify_email, verify_phone,
};
use crate::account::primary_email;
use crate::account::process::Kind;
use crate::consult::Admitted;
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Refusal};
use crate::session;
use crate::social::flow;
use crate::token;
use crate::visit::{Record, Session, Visit};

/// A step that a login must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A code on top of another way in, or as the way in.
    LoginByCode,
    /// The proof of the phone number.
    VerifyPhone,
    /// The proof of the email address.
    VerifyEmail,
    /// The second factor.
    MfaAuthenticate,
    /// Whether to trust this browser.
    MfaTrust,
    /// The passkey of somebody who signs up with one.
    MfaSignupWebauthn,
}

/// All stages, in their order. A new one is a file in `stages/` and its lines here.
pub const STAGES: [Stage; 6] = [
    Stage::LoginByCode,
    Stage::VerifyPhone,
    Stage::VerifyEmail,
    Stage::MfaAuthenticate,
    Stage::MfaTrust,
    Stage::MfaSignupWebauthn,
];

/// What a stage says of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next.
    Pass,
    /// Something must be done first: the flow is pending.
    Hold,
    /// Never: the login is over.
    Refuse,
}

impl Stage {
    /// The id of its flow.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::LoginByCode => "login_by_code",
            Self::VerifyPhone => "verify_phone",
            Self::VerifyEmail => "verify_email",
            Self::MfaAuthenticate => "mfa_authenticate",
            Self::MfaTrust => "mfa_trust",
            Self::MfaSignupWebauthn => "mfa_signup_webauthn",
        }
    }

    fn named(key: &str) -> Option<Self> {
        STAGES.into_iter().find(|stage| stage.key() == key)
    }

    async fn check(self, ctx: &Ctx, tx: &mut Conn, visit: &mut Visit, login: &Login) -> Outcome<Verdict> {
        match self {
            Self::LoginByCode => login_by_code::check(ctx, tx, visit, login).await,
            Self::VerifyPhone => verify_phone::check(ctx, tx, visit, login).await,
            Self::VerifyEmail => verify_email::check(ctx, tx, visit, login).await,
            Self::MfaAuthenticate => mfa_authenticate::check(ctx, tx, visit, login).await,
            Self::MfaTrust => Ok(mfa_trust::check(ctx, visit, login)),
            Self::MfaSignupWebauthn => Ok(mfa_signup_webauthn::check(login)),
        }
    }
}

/// An attempt to enter, on its way through the stages.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Who enters; `None` for a pretence, which never ends well.
    pub user: Option<User>,
    /// What is remembered while a stage holds it.
    pub state: State,
    /// When it began; 0 for one that begins now.
    pub started_at: Millis,
}

/// What a login remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Whether it follows a signup.
    pub signup: bool,
    /// The address that was named.
    pub email: Option<String>,
    /// The number that was named.
    pub phone: Option<String>,
    /// The stages behind it.
    pub passed: Vec<Stage>,
    /// How its user proved who they are. Belongs to this attempt alone (L2).
    pub records: Vec<Record>,
    /// Whether a login code is the way in, not an addition to another.
    pub by_code: bool,
    /// The tie to the password that its user had when it was held: under another one it does not go on (H2).
    pub password_mark: [u8; 32],
    /// Whether it follows a signup that ends with a passkey.
    pub passkey_signup: bool,
    /// Whether a third party vouched: then its own rule says whether the address must be proved.
    pub provider: bool,
    /// Whom the application has let in; `None` as long as it has not been asked.
    pub admitted: Option<LetIn>,
}

/// Whom the application lets in. Only an [`Admitted`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetIn(Option<i64>);

impl Login {
    fn let_in(&mut self, admitted: &Admitted) -> Outcome<()> {
        let user = self.user.as_ref().map(|user| user.id);
        if !admitted.is_for(user, self.state.signup) {
            return Err(Fault::Broken("a login with the admission of another".to_owned()).into());
        }
        self.state.admitted = Some(LetIn(user));
        Ok(())
    }
}

/// Begins a login that the application has admitted.
///
/// # Errors
/// [`Refusal::Unauthenticated`] if it is refused, [`Refusal::Limited`] if a message that it needs may not be sent.
pub async fn enter(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    mut login: Login,
    admitted: &Admitted,
) -> Outcome<()> {
    login.started_at = visit.now;
    login.let_in(admitted)?;
    still_valid(ctx, tx, &login).await?;
    walk(ctx, tx, visit, login).await
}

/// Looks at the user again behind a lock: what was checked before may have been changed since.
async fn still_valid(ctx: &Ctx, tx: &mut Conn, login: &Login) -> Outcome<()> {
    let Some(user) = &login.user else { return Ok(()) };
    users::lock(tx, user.id).await?;
    let checked = session::mark(&ctx.keyring, user);
    let now = users::find(tx, user.id).await?;
    let valid = now.is_some_and(|now| now.is_active && session::marks(&ctx.keyring, &now, &checked));
    if valid { Ok(()) } else { Err(Refusal::Unauthenticated) }
}

/// The login that a stage holds, if it is this one.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn held(ctx: &Ctx, conn: &mut Conn, visit: &Visit, stage: Stage) -> Outcome<Option<Login>> {
    Ok(pending(ctx, conn, visit).await?.filter(|(at, _)| *at == stage).map(|(_, login)| login))
}

/// The login of this session that some stage holds.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn pending(ctx: &Ctx, conn: &mut Conn, visit: &Visit) -> Outcome<Option<(Stage, Login)>> {
    let Session::Anonymous { id } = visit.session else { return Ok(None) };
    let Some(attempt) = logins::find(conn, id).await? else { return Ok(None) };
    let age = visit.now.saturating_sub(attempt.started_at);
    let Some(stage) = Stage::named(&attempt.stage) else { return Ok(None) };
    if age.saturating_abs() > ctx.config.account.login_timeout.saturating_mul(SECOND) {
        return Ok(None);
    }
    let state: State = serde_json::from_str(&attempt.state)?;
    let user = match attempt.user_id {
        None => None,
        Some(id) => match users::find(conn, id).await?.filter(|user| user.is_active) {
            Some(user) if session::marks(&ctx.keyring, &user, &state.password_mark) => Some(user),
            _ => return Ok(None),
        },
    };
    Ok(Some((stage, Login { user, state, started_at: attempt.started_at })))
}

/// Takes the login out of its session: of several requests that would go on with it, one may.
///
/// # Errors
/// [`Refusal::Conflict`] if another request was faster.
pub async fn take(tx: &mut Conn, visit: &Visit) -> Outcome<()> {
    let id = visit.session.id().ok_or(Refusal::Conflict)?;
    if session::lock(tx, id).await? && logins::delete(tx, id).await? {
        Ok(())
    } else {
        Err(Refusal::Conflict)
    }
}

/// Goes on, after [`take`], past the stage that held the login.
///
/// # Errors
/// As [`enter`].
pub async fn resume(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    mut login: Login,
    passed: Stage,
) -> Outcome<()> {
    login.state.passed.push(passed);
    walk(ctx, tx, visit, login).await
}

/// Goes on with a login that was held before its first proof, and hence before the application was asked.
///
/// # Errors
/// As [`enter`].
pub async fn resume_admitted(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    mut login: Login,
    passed: Stage,
    admitted: &Admitted,
) -> Outcome<()> {
    login.let_in(admitted)?;
    still_valid(ctx, tx, &login).await?;
    resume(ctx, tx, visit, login, passed).await
}

async fn walk(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit, mut login: Login) -> Outcome<()> {
    if login.user.as_ref().is_some_and(|user| !user.is_active) {
        return Err(Refusal::Unauthenticated);
    }
    for stage in STAGES {
        if login.state.passed.contains(&stage) {
            continue;
        }
        match stage.check(ctx, tx, visit, &login).await? {
            Verdict::Pass => login.state.passed.push(stage),
            Verdict::Hold => return hold_at(ctx, tx, visit, &login, stage).await,
            Verdict::Refuse => return Err(Refusal::Unauthenticated),
        }
    }
    // A pretence that nothing holds has nowhere to go.
    let user = login.user.ok_or(Refusal::Unauthenticated)?;
    if ctx.hooks.is_some() && login.state.admitted != Some(LetIn(Some(user.id))) {
        return Err(Refusal::Unauthenticated);
    }
    users::touch_login(tx, user.id, visit.now).await?;
    let email = primary_email(tx, user.id).await?;
    let way = login.state.records.last().map_or("signup", |record| record.method.name());
    ctx.record(tx, visit, Event::LoggedIn, Some(user.id), way).await?;
    leave_behind(tx, visit, user.id).await?;
    session::enter(ctx, tx, visit, user, email, login.state.records).await?;
    visit.entered = true;
    token::grant(ctx, tx, visit).await
}

/// Forgets what was under way in the session for anybody else (L2): of a user who enters, only the verification of their
/// own address goes on.
async fn leave_behind(tx: &mut Conn, visit: &Visit, user_id: i64) -> Outcome<()> {
    let Session::Anonymous { id } = visit.session else { return Ok(()) };
    if !session::lock(tx, id).await? {
        return Err(Refusal::Conflict);
    }
    logins::delete(tx, id).await?;
    flow::forget_connections(tx, id).await?;
    let awaited = processes::find(tx, id, Kind::VerifyEmail.name()).await?;
    let own = awaited.is_some_and(|process| process.user_id == Some(user_id));
    let except = if own { Kind::VerifyEmail.name() } else { "" };
    Ok(processes::delete_of_session(tx, id, except).await?)
}

/// Lets a login wait at a stage.
///
/// # Errors
/// [`Refusal::Fault`].
pub async fn hold_at(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    login: &Login,
    stage: Stage,
) -> Outcome<()> {
    let mut state = login.state.clone();
    if let Some(user) = &login.user {
        state.password_mark = session::mark(&ctx.keyring, user);
    }
    let attempt = Attempt {
        session_id: session::ensure(ctx, tx, visit).await?,
        user_id: login.user.as_ref().map(|user| user.id),
        stage: stage.key().to_owned(),
        state: serde_json::to_string(&state)?,
        started_at: login.started_at,
    };
    Ok(logins::put(tx, &attempt).await?)
}
