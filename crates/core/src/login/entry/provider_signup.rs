//! The account that is made of what a provider says of a person, and of what the person adds.

use serde_json::{Map, Value};
use vestibule_base::security::password::PasswordHash;
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, emails, phones};
use vestibule_providers::{Identity, Provider};

use super::provider::phone_required;
use crate::account::signup::{self, NewAccount};
use crate::account::username::Username;
use crate::account::{Availability, EmailAddress, PhoneNumber, availability};
use crate::consult;
use crate::context::Ctx;
use crate::hooks::{ProviderView, SignupAttempt};
use crate::refusal::{Fault, Outcome, Problem};
use crate::visit::{Method, Visit};

/// Addresses of a provider beyond this many are left out.
const MOST_ADDRESSES: usize = 20;

/// An account to be made.
#[derive(Debug)]
pub struct NewUser {
    account: NewAccount,
    /// Whether its address is proved: the provider says so.
    verified: bool,
    /// Further addresses, and whether they are proved.
    further: Vec<(EmailAddress, bool)>,
}

/// What becomes of a signup without asking.
#[derive(Debug)]
pub enum Verdict {
    /// The account can be made.
    Make(NewUser),
    /// Something is lacking, or taken.
    Ask,
    /// The address is taken, and nobody must learn that.
    Pretend(EmailAddress),
}

/// What the person entered.
#[derive(Debug, Default)]
pub struct Entered {
    /// A name, if one was chosen.
    pub username: Option<Username>,
    /// An address, if one was given.
    pub email: Option<EmailAddress>,
    /// A number, if one was given.
    pub phone: Option<PhoneNumber>,
    /// What was entered in the extra fields.
    pub fields: Map<String, Value>,
}

/// What becomes of a signup with what was entered.
#[derive(Debug)]
pub enum EnteredVerdict {
    /// The account can be made.
    Make(NewUser),
    /// Something is another account's, and nobody must learn that.
    Pretend {
        /// The address that was named.
        email: Option<String>,
        /// The number that was named.
        phone: Option<String>,
    },
}

/// Whether an account can be made of what the provider says alone.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn judge(ctx: &Ctx, tx: &mut Conn, identity: &Identity) -> Outcome<Verdict> {
    let addresses = addresses(ctx, identity);
    if let Some((email, _)) = addresses.first() {
        match availability(ctx, tx, email, None).await? {
            Availability::Free => {}
            Availability::Taken => return Ok(Verdict::Ask),
            Availability::Secret => return Ok(Verdict::Pretend(email.clone())),
        }
    } else if ctx.config.providers_email_required() {
        return Ok(Verdict::Ask);
    }
    if ctx.config.account.extra_signup_fields.iter().any(|field| field.required) {
        return Ok(Verdict::Ask);
    }
    let phone = identity.phone.as_deref().and_then(PhoneNumber::parse);
    let free = match &phone {
        Some(phone) => phones::holder(tx, phone.as_str()).await?.is_none(),
        None => false,
    };
    if phone_required(ctx) && !free {
        return Ok(Verdict::Ask);
    }
    let asked = ctx.config.account.signup_fields.get(vestibule_base::config::SignupField::Phone).is_some();
    let phone = phone.filter(|_| free && asked);
    Ok(Verdict::Make(new_user(ctx, tx, identity, addresses, None, phone).await?))
}

/// Whether an account can be made of that and of what was entered; if not, what is wrong.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn judge_entered(
    ctx: &Ctx,
    tx: &mut Conn,
    identity: &Identity,
    entered: &Entered,
) -> Outcome<(EnteredVerdict, Vec<Problem>)> {
    let as_entered = NewAccount {
        username: entered.username.clone(),
        email: entered.email.clone(),
        phone: entered.phone.clone(),
        ..NewAccount::default()
    };
    let (verdict, problems) = signup::judge(ctx, tx, &as_entered).await?;
    let text = |email: &EmailAddress| email.as_str().to_owned();
    if verdict == signup::Verdict::Pretend {
        let (email, phone) =
            (entered.email.as_ref().map(text), entered.phone.as_ref().map(|phone| phone.as_str().to_owned()));
        return Ok((EnteredVerdict::Pretend { email, phone }, problems));
    }
    let mut addresses = addresses(ctx, identity);
    if let Some(email) = &entered.email {
        match addresses.iter().position(|(known, _)| known == email) {
            Some(at) => {
                let chosen = addresses.remove(at);
                // A proved address is the primary one, whatever was entered.
                let behind = !chosen.1 && addresses.first().is_some_and(|(_, verified)| *verified);
                addresses.insert(usize::from(behind), chosen);
            }
            None => {
                let behind = addresses.iter().take_while(|(_, verified)| *verified).count();
                addresses.insert(behind, (email.clone(), false));
            }
        }
    }
    // What the provider says besides may be another account's.
    let mut free = Vec::new();
    for (email, verified) in addresses {
        let entered = entered.email.as_ref() == Some(&email);
        if entered || is_nobodys(tx, &email).await? {
            free.push((email, verified));
        }
    }
    let mut new = new_user(ctx, tx, identity, free, entered.username.clone(), entered.phone.clone()).await?;
    new.account.fields = entered.fields.clone();
    Ok((EnteredVerdict::Make(new), problems))
}

/// The signup as hooks are told of it, whether or not the account exists.
#[must_use]
pub fn attempt(
    ctx: &Ctx,
    visit: &Visit,
    provider: &Provider,
    identity: &Identity,
    entered: &Entered,
) -> SignupAttempt {
    let said = || addresses(ctx, identity).into_iter().next().map(|(email, _)| email);
    let text = |email: EmailAddress| email.as_str().to_owned();
    let name = entered.username.as_ref().map(|name| name.as_str().to_owned());
    let phone = entered.phone.clone().or_else(|| identity.phone.as_deref().and_then(PhoneNumber::parse));
    SignupAttempt {
        email: entered.email.clone().or_else(said).map(text),
        username: name.or_else(|| identity.username.clone()),
        phone: phone.map(|phone| phone.as_str().to_owned()),
        fields: entered.fields.clone(),
        method: Method::Socialaccount.name(),
        provider: Some(ProviderView { id: provider.id().to_owned(), uid: identity.uid.clone() }),
        visitor: consult::visitor(ctx, visit),
    }
}

async fn is_nobodys(tx: &mut Conn, email: &EmailAddress) -> Outcome<bool> {
    Ok(emails::with_address(tx, email.as_str()).await?.iter().all(|row| !row.stands_for_account()))
}

/// The provider's addresses that are of our form, proved ones first.
fn addresses(ctx: &Ctx, identity: &Identity) -> Vec<(EmailAddress, bool)> {
    let longest = ctx.config.account.email_max_length as usize;
    let parse = |text: &str| EmailAddress::parse(text, longest);
    let given = identity.emails.iter().take(MOST_ADDRESSES);
    let mut found: Vec<(EmailAddress, bool)> = Vec::new();
    for (email, verified) in given.filter_map(|given| Some((parse(&given.email)?, given.verified))) {
        // Two spellings may be one address.
        match found.iter_mut().find(|(known, _)| *known == email) {
            Some(known) => known.1 |= verified,
            None => found.push((email, verified)),
        }
    }
    found.sort_by_key(|(_, verified)| !verified);
    found
}

async fn new_user(
    ctx: &Ctx,
    tx: &mut Conn,
    identity: &Identity,
    addresses: Vec<(EmailAddress, bool)>,
    chosen: Option<Username>,
    phone: Option<PhoneNumber>,
) -> Outcome<NewUser> {
    let mut addresses = addresses.into_iter();
    let (email, verified) =
        addresses.next().map_or((None, false), |(email, verified)| (Some(email), verified));
    let username = match chosen {
        Some(chosen) => Some(chosen),
        None => free_username(ctx, tx, identity).await?,
    };
    let name_hint = name_hint(identity);
    let account = NewAccount { username, email, phone, name_hint, ..NewAccount::default() };
    Ok(NewUser { account, verified, further: addresses.collect() })
}

/// The name that the person has at the provider, if it can be taken here.
async fn free_username(ctx: &Ctx, tx: &mut Conn, identity: &Identity) -> Outcome<Option<Username>> {
    let given = identity.username.as_deref().and_then(|name| Username::parse(&ctx.config.account, name).ok());
    let Some(name) = given else { return Ok(None) };
    Ok(users::find_by_username(tx, &name.key()).await?.is_none().then_some(name))
}

/// What a name is made of: as in the reference the given name, the family name, the address, the name there.
fn name_hint(identity: &Identity) -> String {
    let email = identity.email.as_deref().and_then(|email| email.split('@').next());
    let hints =
        [identity.first_name.as_deref(), identity.last_name.as_deref(), email, identity.username.as_deref()];
    let usable = |hint: &&str| hint.chars().any(|c| c.is_ascii_alphanumeric());
    hints.into_iter().flatten().find(usable).unwrap_or("user").to_owned()
}

/// Makes the account; `None` if somebody else was faster with the same name, address or number. The transaction is then
/// worthless.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn create(ctx: &Ctx, tx: &mut Conn, visit: &Visit, new: &NewUser) -> Outcome<Option<User>> {
    let Some(user) = signup::create(ctx, tx, visit, &new.account, None::<PasswordHash>).await? else {
        return Ok(None);
    };
    let unique = ctx.config.account.unique_email;
    if new.verified {
        for row in emails::of_user(tx, user.id).await? {
            if unique && emails::with_address(tx, &row.email).await?.iter().any(|other| other.verified) {
                return Ok(None);
            }
            emails::set_verified(tx, &row, unique).await.map_err(Fault::from)?;
        }
    }
    for (email, verified) in &new.further {
        if is_nobodys(tx, email).await? {
            emails::insert(tx, user.id, email.as_str(), *verified, false, unique && *verified).await?;
        }
    }
    Ok(Some(user))
}
