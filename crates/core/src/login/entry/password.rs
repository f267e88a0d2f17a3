//! Logging in with a password.

use vestibule_base::config::{Action, LoginMethod};
use vestibule_base::ratelimit::{self, Usage};
use vestibule_base::security::password::Password;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, phones};

use crate::account::password;
use crate::account::{EmailAddress, PhoneNumber, by_email, username, verify_email};
use crate::consult;
use crate::context::Ctx;
use crate::login::pipeline::{self, Login, State};
use crate::refusal::{Outcome, Problem, Refusal};
use crate::visit::{Method, Record, Visit};

/// Whom somebody says they are.
#[derive(Debug)]
pub enum Identifier {
    /// By address.
    Email(EmailAddress),
    /// By name.
    Username(String),
    /// By number.
    Phone(PhoneNumber),
}

/// Logs in. Counts the request, and the try as a failure until it is known to be none.
///
/// # Errors
/// [`Refusal::Invalid`] for wrong credentials, the same whether or not the account exists; [`Refusal::Conflict`] if
/// somebody is logged in already; [`Refusal::Limited`].
pub async fn login(ctx: &Ctx, visit: &mut Visit, who: Identifier, given: &Password) -> Outcome<()> {
    let mut conn = ctx.db.read().await?;
    let candidates = candidates(ctx, &mut conn, &who).await?;
    drop(conn);
    let mut tx = ctx.db.write().await?;
    let request = ctx.try_limit(&mut tx, visit, Action::Login, None).await?;
    let failure = match request {
        Some(_) => password::count(ctx, &mut tx, visit, &candidates, &key(&who)).await?,
        None => None,
    };
    tx.commit().await?;
    request.ok_or(Refusal::Limited)?;
    let usage = failure.ok_or_else(Problem::too_many_login_attempts)?;
    let user = password::find(ctx, visit, given, &candidates).await?;
    let user = user.ok_or_else(|| mismatch(&who))?;
    let entered = enter(ctx, visit, &who, given, user.clone(), &usage).await;
    if entered.is_err() {
        // What was done is undone, but the password was right.
        let mut tx = ctx.db.write().await?;
        ratelimit::forgive(&mut tx, usage).await?;
        tx.commit().await?;
    }
    entered
}

/// Enters with a password that is right.
async fn enter(
    ctx: &Ctx,
    visit: &mut Visit,
    who: &Identifier,
    given: &Password,
    mut user: User,
    usage: &Usage,
) -> Outcome<()> {
    let admitted = consult::before_login(ctx, visit, &user, Method::Password).await?;
    let fresh = password::rehash(ctx, given, &user).await;
    let mut tx = ctx.db.write().await?;
    if let Identifier::Email(email) = who
        && verify_email::must_wait(ctx, &mut tx, visit, &user, email.as_str()).await?
    {
        return Err(Problem::too_many_login_attempts().into());
    }
    if visit.session.user().is_some() {
        return Err(Refusal::Conflict);
    }
    ratelimit::forgive(&mut tx, usage.clone()).await?;
    if let Some(fresh) = fresh
        && !password::upgrade(ctx, &mut tx, &mut user, fresh).await?
    {
        // Another login was faster, or the password has changed.
        drop(tx);
        let now = password::recheck(ctx, given, user.id).await?;
        user = now.ok_or_else(|| mismatch(who))?;
        tx = ctx.db.write().await?;
        ratelimit::forgive(&mut tx, usage.clone()).await?;
    }
    let mut record = Record::new(Method::Password, visit.now);
    let mut state = State::default();
    match who {
        Identifier::Email(email) => {
            record.email = Some(email.as_str().to_owned());
            state.email = Some(email.as_str().to_owned());
        }
        Identifier::Username(name) => record.username = Some(name.clone()),
        Identifier::Phone(_) => {}
    }
    state.records.push(record);
    let login = Login { user: Some(user), state, ..Login::default() };
    pipeline::enter(ctx, &mut tx, visit, login, &admitted).await?;
    ctx.commit(tx).await
}

/// The active accounts that are meant. A name that looks like an address is one where addresses log in as well.
async fn candidates(ctx: &Ctx, conn: &mut Conn, who: &Identifier) -> Outcome<Vec<User>> {
    let found = match who {
        Identifier::Email(email) => return by_email(conn, email).await,
        Identifier::Phone(phone) => match phones::holder(conn, phone.as_str()).await? {
            Some(row) => users::find(conn, row.user_id).await?,
            None => None,
        },
        Identifier::Username(name) => {
            let account = &ctx.config.account;
            if account.login_methods.contains(&LoginMethod::Email)
                && let Some(email) = EmailAddress::parse(name, account.email_max_length as usize)
            {
                let found = by_email(conn, &email).await?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            users::find_by_username(conn, &username::key(name)).await?
        }
    };
    Ok(found.into_iter().filter(|user| user.is_active).collect())
}

/// What an unknown account is counted under.
fn key(who: &Identifier) -> String {
    match who {
        Identifier::Email(email) => format!("email:{email}"),
        Identifier::Username(name) => format!("username:{}", username::key(name)),
        Identifier::Phone(phone) => format!("phone:{}", phone.as_str()),
    }
}

fn mismatch(who: &Identifier) -> Problem {
    let problem = match who {
        Identifier::Email(_) => Problem::email_password_mismatch(),
        Identifier::Username(_) => Problem::username_password_mismatch(),
        Identifier::Phone(_) => Problem::phone_password_mismatch(),
    };
    problem.on("password")
}
