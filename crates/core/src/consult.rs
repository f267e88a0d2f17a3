//! When the application is asked (see [`hooks`](crate::hooks)), and what follows from its answers. Never inside a
//! transaction: who is slow keeps nobody else waiting.

use std::time::Duration;

use serde_json::{Map, Value};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, emails, profiles};

use crate::context::Ctx;
use crate::hooks::{HookFuture, LoginAttempt, SignupAttempt, UserView, Verdict, Visitor};
use crate::refusal::{HookError, Outcome, Refusal};
use crate::visit::{Current, Method, Visit};

/// Members that the user object has by itself.
const USER_MEMBERS: [&str; 5] = ["id", "display", "email", "username", "has_usable_password"];
/// How large what hooks add may be, as JSON in bytes. An access token goes along with every request, in a header.
const LARGEST_FIELDS: usize = 64 * 1024;
const LARGEST_CLAIMS: usize = 2048;

/// The proof that the application lets somebody in. Only asking makes one, so that no way in can leave it out (L3).
#[derive(Debug)]
pub struct Admitted(Whom);

#[derive(Debug, PartialEq, Eq)]
enum Whom {
    User(i64),
    NewUser,
}

impl Admitted {
    /// Whether it is about this login: of this user, or one that follows a signup.
    #[must_use]
    pub fn is_for(&self, user: Option<i64>, signup: bool) -> bool {
        match self.0 {
            Whom::User(id) => user == Some(id) && !signup,
            Whom::NewUser => signup,
        }
    }
}

/// Asks whether a user may log in who has given a first proof.
///
/// # Errors
/// [`Refusal::Invalid`] or [`Refusal::Barred`] if not; [`Refusal::Fault`] if there is no answer.
pub async fn before_login(ctx: &Ctx, visit: &Visit, user: &User, method: Method) -> Outcome<Admitted> {
    let admitted = Admitted(Whom::User(user.id));
    let Some(hooks) = &ctx.hooks else { return Ok(admitted) };
    let mut conn = ctx.db.read().await?;
    let found = emails::of_user(&mut conn, user.id).await?;
    let email = found.into_iter().find(|row| row.primary).map(|row| row.email);
    let user = view(ctx, &mut conn, user, email).await?;
    drop(conn);
    let attempt = LoginAttempt { user, method: method.name(), visitor: visitor(ctx, visit) };
    obey(visit, in_time(ctx, hooks.before_login(&attempt)).await?, admitted)
}

/// Asks whether somebody may sign up. To be asked whether or not the account exists (P3).
///
/// # Errors
/// As [`before_login`].
pub async fn before_signup(
    ctx: &Ctx,
    visit: &Visit,
    attempt: impl FnOnce(&Ctx) -> SignupAttempt,
) -> Outcome<Admitted> {
    let Some(hooks) = &ctx.hooks else { return Ok(Admitted(Whom::NewUser)) };
    obey(visit, in_time(ctx, hooks.before_signup(&attempt(ctx))).await?, Admitted(Whom::NewUser))
}

fn obey(visit: &Visit, verdict: Verdict, admitted: Admitted) -> Outcome<Admitted> {
    let Verdict::Refuse(problems) = verdict else { return Ok(admitted) };
    let user = match admitted.0 {
        Whom::User(id) => Some(id),
        Whom::NewUser => None,
    };
    tracing::info!(target: "vestibule::audit", event = "refused_by_hook", user, ip = %visit.ip);
    Err(if problems.is_empty() { Refusal::Barred } else { Refusal::Invalid(problems) })
}

/// What clients are told of whoever is logged in, beyond what they are told of everybody: what the user entered at
/// signup, and what the application adds.
///
/// # Errors
/// [`Refusal::Fault`] if there is no answer, or one that would hide a member.
pub async fn user_fields(ctx: &Ctx, current: &Current) -> Outcome<Map<String, Value>> {
    let shown = ctx.config.account.extra_signup_fields.iter().filter(|field| field.show);
    let shown: Vec<&str> = shown.map(|field| field.name.as_str()).collect();
    if shown.is_empty() && ctx.hooks.is_none() {
        return Ok(Map::new());
    }
    let user = view_of(ctx, current).await?;
    let mut fields = user.fields.clone();
    fields.retain(|name, _| shown.contains(&name.as_str()));
    if let Some(hooks) = &ctx.hooks {
        let added = in_time(ctx, hooks.user_fields(&user)).await?;
        fields.extend(check(added, &USER_MEMBERS, LARGEST_FIELDS)?);
    }
    Ok(fields)
}

/// What an access token says beyond what all of them say; `taken` are the claims that it has.
///
/// # Errors
/// [`Refusal::Fault`] if there is no answer, or one that would replace a claim.
pub async fn claims(ctx: &Ctx, current: &Current, taken: &[&str]) -> Outcome<Map<String, Value>> {
    let Some(hooks) = &ctx.hooks else { return Ok(Map::new()) };
    let user = view_of(ctx, current).await?;
    Ok(check(in_time(ctx, hooks.access_token_claims(&user)).await?, taken, LARGEST_CLAIMS)?)
}

fn check(added: Map<String, Value>, taken: &[&str], largest: usize) -> Result<Map<String, Value>, HookError> {
    if let Some(name) = taken.iter().find(|name| added.contains_key(**name)) {
        return Err(HookError::new(format_args!("{name} is not for a hook to say")));
    }
    let size: usize = added.iter().map(|(name, value)| name.len() + value.to_string().len() + 4).sum();
    if size > largest {
        return Err(HookError::new(format_args!("what it adds is larger than {largest} bytes")));
    }
    Ok(added)
}

async fn view_of(ctx: &Ctx, current: &Current) -> Outcome<UserView> {
    if ctx.config.account.extra_signup_fields.is_empty() {
        return Ok(plain(&current.user, current.email.clone()));
    }
    let mut conn = ctx.db.read().await?;
    view(ctx, &mut conn, &current.user, current.email.clone()).await
}

async fn view(ctx: &Ctx, conn: &mut Conn, user: &User, email: Option<String>) -> Outcome<UserView> {
    let mut view = plain(user, email);
    // Of fields that are not in the settings any more, nobody knows what they mean.
    let known = &ctx.config.account.extra_signup_fields;
    if !known.is_empty()
        && let Some(fields) = profiles::of_user(conn, user.id).await?
    {
        view.fields = serde_json::from_str(&fields)?;
        view.fields.retain(|name, _| known.iter().any(|field| field.name == *name));
    }
    Ok(view)
}

fn plain(user: &User, email: Option<String>) -> UserView {
    UserView { id: user.id, username: user.username.clone(), email, fields: Map::new() }
}

/// Where a request comes from, as hooks are told.
#[must_use]
pub fn visitor(ctx: &Ctx, visit: &Visit) -> Visitor {
    Visitor {
        client: visit.client,
        ip: visit.ip.clone(),
        user_agent: visit.user_agent.clone(),
        language: ctx.language(visit).code(),
    }
}

/// Waits for an answer no longer than is configured, whoever gives it.
async fn in_time<T>(ctx: &Ctx, asked: HookFuture<'_, T>) -> Result<T, HookError> {
    tokio::time::timeout(patience(ctx), asked)
        .await
        .unwrap_or_else(|_| Err(HookError::new("no answer in time")))
}

/// How long one answer may take.
fn patience(ctx: &Ctx) -> Duration {
    Duration::from_secs(u64::try_from(ctx.config.hooks.timeout).unwrap_or_default())
}

/// How much longer a request may take for what the application is asked during it: whether it may be done, what the user
/// object says, and what the token says.
#[must_use]
pub fn patience_of_request(ctx: &Ctx) -> Duration {
    ctx.hooks.as_ref().map_or(Duration::ZERO, |_| patience(ctx).saturating_mul(3))
}
