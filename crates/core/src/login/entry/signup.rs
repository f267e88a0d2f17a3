//! Signing up: makes the account and enters it.

use crate::account::EmailAddress;
use crate::account::signup::{self, NewAccount, Verdict};
use crate::consult;
use crate::context::Ctx;
use crate::hooks::SignupAttempt;
use crate::login::pipeline::{self, Login, State};
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::Visit;

/// How often a signup is tried again when somebody else was faster with the same name or address.
const TRIES: u32 = 3;

/// A signup, with what a robot may have filled in.
#[derive(Debug)]
pub struct Signup {
    /// The account.
    pub account: NewAccount,
    /// Whether the field that people do not see was filled in.
    pub by_robot: bool,
    /// Whether it ends with a passkey in place of a password.
    pub by_passkey: bool,
}

/// Signs up; `problems` are those that reading the input has found. An account that exists already answers as if it were new where enumeration is prevented.
///
/// # Errors
/// [`Refusal::Invalid`]; [`Refusal::Conflict`] if somebody is logged in; [`Refusal::Forbidden`] if signup is closed.
pub async fn signup(ctx: &Ctx, visit: &mut Visit, new: &Signup, mut problems: Vec<Problem>) -> Outcome<()> {
    problems.extend(signup::judge_password(ctx, &new.account).await?);
    problems.extend(judge(ctx, new).await?.1);
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems));
    }
    if visit.session.user().is_some() {
        return Err(Refusal::Conflict);
    }
    if !ctx.config.account.is_open_for_signup {
        return Err(Refusal::Forbidden);
    }
    // Hashed before it is known whether there will be an account: both take the same time (P3).
    let hash = match &new.account.password {
        Some(password) => Some(ctx.hashes.hash(password).await?),
        None => None,
    };
    if new.by_robot {
        return Err(Refusal::Unauthenticated);
    }
    let admitted = consult::before_signup(ctx, visit, |ctx| attempt(ctx, visit, new)).await?;
    for _ in 0..TRIES {
        let (verdict, problems) = judge(ctx, new).await?;
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        let mut tx = ctx.db.write().await?;
        let user = if verdict == Verdict::Pretend {
            None
        } else {
            match signup::create(ctx, &mut tx, visit, &new.account, hash.clone()).await? {
                Some(user) => Some(user),
                None => continue,
            }
        };
        let named = user.is_none();
        let state = State {
            signup: true,
            passkey_signup: new.by_passkey,
            email: new.account.email.as_ref().map(EmailAddress::as_str).map(str::to_owned).filter(|_| named),
            phone: new.account.phone.as_ref().map(|phone| phone.as_str().to_owned()).filter(|_| named),
            ..State::default()
        };
        pipeline::enter(ctx, &mut tx, visit, Login { user, state, ..Login::default() }, &admitted).await?;
        return ctx.commit(tx).await;
    }
    Err(Refusal::Conflict)
}

async fn judge(ctx: &Ctx, new: &Signup) -> Outcome<(Verdict, Vec<Problem>)> {
    let mut conn = ctx.db.read().await?;
    signup::judge(ctx, &mut conn, &new.account).await
}

/// The signup as hooks are told of it.
fn attempt(ctx: &Ctx, visit: &Visit, new: &Signup) -> SignupAttempt {
    let account = &new.account;
    SignupAttempt {
        email: account.email.as_ref().map(|email| email.as_str().to_owned()),
        username: account.username.as_ref().map(|name| name.as_str().to_owned()),
        phone: account.phone.as_ref().map(|phone| phone.as_str().to_owned()),
        fields: account.fields.clone(),
        method: match (&account.password, new.by_passkey) {
            (_, true) => "passkey",
            (Some(_), false) => "password",
            (None, false) => "code",
        },
        provider: None,
        visitor: consult::visitor(ctx, visit),
    }
}
