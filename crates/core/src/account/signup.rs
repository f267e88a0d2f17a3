//! Making an account.

use serde_json::{Map, Value};
use vestibule_base::config::PreventEnumeration;
use vestibule_base::security::password::{Password, PasswordHash};
use vestibule_base::storage::phones::{self, Phone};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, StorageError, emails, profiles};

use super::address::{EmailAddress, PhoneNumber};
use super::username::{self, Username};
use super::{Availability, availability, password};
use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::{Fault, Outcome, Problem};
use crate::visit::Visit;

/// What a new account is made of. The fields are those of `signup_fields`.
#[derive(Debug, Default)]
pub struct NewAccount {
    /// The name, if one was chosen.
    pub username: Option<Username>,
    /// The address, if one was given.
    pub email: Option<EmailAddress>,
    /// The number, if one was given.
    pub phone: Option<PhoneNumber>,
    /// The password, if one was chosen.
    pub password: Option<Password>,
    /// What was entered in the extra fields.
    pub fields: Map<String, Value>,
    /// What a name is made of, if none was chosen. Empty: the address.
    pub name_hint: String,
}

/// Whether an account can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Free,
    /// It cannot, and nobody must learn that: pretend.
    Pretend,
}

/// What is wrong with the password, if there is one.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn judge_password(ctx: &Ctx, new: &NewAccount) -> Outcome<Vec<Problem>> {
    let Some(chosen) = &new.password else { return Ok(Vec::new()) };
    let name = new.username.as_ref().map(Username::as_str);
    let email = new.email.as_ref().map(EmailAddress::as_str);
    // The reference does not look at the account at signup. We do (P5), but tell of it only where nothing else is wrong.
    let mut weak = password::judge(ctx, chosen, None, None).await?;
    if weak.is_empty() {
        weak = password::weaknesses(ctx, chosen, name, email);
    }
    Ok(weak.into_iter().map(|problem| problem.on("password")).collect())
}

/// Looks at what depends on other accounts.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn judge(ctx: &Ctx, conn: &mut Conn, new: &NewAccount) -> Outcome<(Verdict, Vec<Problem>)> {
    let mut problems = Vec::new();
    let mut verdict = Verdict::Free;
    if let Some(name) = &new.username
        && users::find_by_username(conn, &name.key()).await?.is_some()
    {
        problems.push(Problem::username_taken().on("username"));
    }
    if let Some(email) = &new.email {
        match availability(ctx, conn, email, None).await? {
            Availability::Free => {}
            Availability::Taken => problems.push(Problem::email_taken().on("email")),
            Availability::Secret => verdict = Verdict::Pretend,
        }
    }
    if let Some(phone) = &new.phone
        && phones::holder(conn, phone.as_str()).await?.is_some()
    {
        let account = &ctx.config.account;
        // Without verification nothing would hold a pretended signup: it would show anyway.
        if account.prevent_enumeration == PreventEnumeration::Off || !account.phone_verification_enabled {
            problems.push(Problem { code: "".into(), ..Problem::phone_taken().on("phone") });
        } else {
            verdict = Verdict::Pretend;
        }
    }
    Ok((verdict, problems))
}

/// Makes the account; `None` if somebody else was faster with the same name, address or number. The transaction is
/// then worthless.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn create(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    new: &NewAccount,
    password: Option<PasswordHash>,
) -> Outcome<Option<User>> {
    let Some((id, username)) = insert_user(ctx, tx, visit, new, password.as_ref()).await? else {
        return Ok(None);
    };
    let account = &ctx.config.account;
    if let Some(email) = &new.email {
        // Without unique addresses nobody claims one; in strict mode an account without a proof may share it.
        let shares = matches!(availability(ctx, tx, email, Some(id)).await?, Availability::Free)
            && account.prevent_enumeration == PreventEnumeration::Strict
            && account.email_verification != vestibule_base::config::EmailVerification::Mandatory;
        let claim = account.unique_email && !shares;
        match emails::insert(tx, id, email.as_str(), false, true, claim).await {
            Err(StorageError::Taken) => return Ok(None),
            done => done.map_err(Fault::from)?,
        };
    }
    if let Some(phone) = &new.phone {
        let row = Phone { user_id: id, phone: phone.as_str().to_owned(), verified: false };
        match phones::set(tx, &row, true).await {
            Err(StorageError::Taken) => return Ok(None),
            done => done.map_err(Fault::from)?,
        }
    }
    if !new.fields.is_empty() {
        profiles::insert(tx, id, &serde_json::to_string(&new.fields)?).await?;
    }
    ctx.record(tx, visit, Event::SignedUp, Some(id), "").await?;
    Ok(Some(User {
        id,
        username: Some(username.as_str().to_owned()),
        password,
        is_active: true,
        created_at: visit.now,
        last_login_at: None,
    }))
}

/// Every account has a name: the one that was chosen, else one made of its address.
async fn insert_user(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    new: &NewAccount,
    password: Option<&PasswordHash>,
) -> Outcome<Option<(i64, Username)>> {
    let hint = Some(new.name_hint.as_str()).filter(|hint| !hint.is_empty());
    let base = hint.unwrap_or_else(|| new.email.as_ref().map_or("user", EmailAddress::local_part));
    for attempt in 0..8 {
        let name = match &new.username {
            Some(chosen) => chosen.clone(),
            None => match username::make_up(&ctx.config.account, base, attempt)? {
                Some(name) => name,
                None => continue,
            },
        };
        if let Some(id) =
            users::insert(tx, Some(name.as_str()), Some(&name.key()), password, visit.now).await?
        {
            return Ok(Some((id, name)));
        }
        if new.username.is_some() {
            break;
        }
    }
    Ok(None)
}
