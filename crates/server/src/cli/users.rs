//! `vestibule users`: what an operator does to accounts, on the database itself. Asks nothing, so that scripts can
//! call it; passwords come from standard input or are made up and shown once.

use std::io::Read;

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vestibule_base::security::random;

use super::{Common, Failure};
use crate::output;
use vestibule::{NewUser, Password, UserSummary, Users, Vestibule};

/// Letters and digits that nobody confuses; 20 of them hold 115 bits.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a user.
    Create(Create),
    /// List users by id.
    List(List),
    /// Show one user.
    Show(Named),
    /// Give a user another password; ends the user's sessions.
    SetPassword(SetPassword),
    /// Remove the second factors of a user who has lost them; ends the user's sessions.
    RemoveAuthenticators(Named),
    /// Show the access token of a user's account at a provider, renewed if it has expired.
    ProviderToken(ProviderToken),
    /// Shut a user out; ends the user's sessions.
    Deactivate(Named),
    /// Let a deactivated user in again.
    Activate(Named),
    /// Delete a user and everything that belongs to the account. Cannot be undone.
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Id, email address or username.
    user: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[group(id = "who", required = true, multiple = true, args = ["email", "username"])]
pub(super) struct Create {
    /// Email address, the primary one.
    #[arg(long)]
    email: Option<String>,
    /// Username.
    #[arg(long)]
    username: Option<String>,
    /// Take the email address for verified.
    #[arg(long, requires = "email")]
    verified: bool,
    #[command(flatten)]
    password: NewPassword,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct ProviderToken {
    #[command(flatten)]
    named: Named,
    /// The provider, as the configuration names it.
    provider: String,
    /// The provider's name for the account, where the user has several.
    #[arg(long)]
    uid: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SetPassword {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    password: NewPassword,
}

#[derive(Debug, Args)]
struct NewPassword {
    /// Read the password from standard input (without its last line break). Else one is made up and shown.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Only users with a higher id: the last id of the page before.
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let common = command.common();
    crate::telemetry::start("warn");
    let vestibule = Vestibule::builder(common.settings.prepare()?).build().await?;
    let answer = answer(&vestibule.users(), &command).await;
    vestibule.close().await;
    let (json, text) = answer?;
    if common.json {
        output::line(format_args!("{json:#}"));
    } else {
        output::line(text);
    }
    Ok(())
}

/// Does it; gives the answer in JSON and for people.
async fn answer(users: &Users<'_>, command: &Command) -> Result<(Value, String), Failure> {
    match command {
        Command::Create(new) => {
            let (password, made_up) = new.password.take()?;
            let user = NewUser {
                email: new.email.clone(),
                username: new.username.clone(),
                password: Some(password),
                verified: new.verified,
            };
            let user = users.create(user).await?;
            Ok(with_password(&user, format!("Created: {}", line(&user)), made_up))
        }
        Command::List(page) => {
            let list = users.list(page.limit, page.after).await?;
            let text = match list.as_slice() {
                [] => "No users.".to_owned(),
                list => list.iter().map(line).collect::<Vec<_>>().join("\n"),
            };
            Ok((json!(list), text))
        }
        Command::Show(named) => {
            let user = users.find(&named.user).await?;
            Ok((json!(user), line(&user)))
        }
        Command::SetPassword(set) => {
            let user = users.find(&set.named.user).await?;
            let (password, made_up) = set.password.take()?;
            users.set_password(user.id, password).await?;
            Ok(with_password(&user, format!("Password set: {}", line(&user)), made_up))
        }
        Command::RemoveAuthenticators(named) => {
            let user = users.find(&named.user).await?;
            users.remove_authenticators(user.id).await?;
            changed(users, &user, "Second factors removed").await
        }
        Command::ProviderToken(wanted) => {
            let user = users.find(&wanted.named.user).await?;
            let token = users.provider_token(user.id, &wanted.provider, wanted.uid.as_deref()).await?;
            let token = token.ok_or(Failure::NoToken)?;
            Ok((json!({ "access_token": token.expose_secret() }), token.expose_secret().to_owned()))
        }
        Command::Deactivate(named) => {
            let user = users.find(&named.user).await?;
            users.deactivate(user.id).await?;
            changed(users, &user, "Deactivated").await
        }
        Command::Activate(named) => {
            let user = users.find(&named.user).await?;
            users.activate(user.id).await?;
            changed(users, &user, "Activated").await
        }
        Command::Delete(named) => {
            let user = users.find(&named.user).await?;
            users.delete(user.id).await?;
            Ok((json!({ "deleted": user.id }), format!("Deleted: {}", line(&user))))
        }
    }
}

impl Command {
    fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.common,
            Self::List(list) => &list.common,
            Self::SetPassword(set) => &set.named.common,
            Self::ProviderToken(wanted) => &wanted.named.common,
            Self::Show(named)
            | Self::RemoveAuthenticators(named)
            | Self::Deactivate(named)
            | Self::Activate(named)
            | Self::Delete(named) => &named.common,
        }
    }
}

impl NewPassword {
    /// The password, and its text if it was made up here and has to be told.
    fn take(&self) -> Result<(Password, Option<String>), Failure> {
        if !self.password_stdin {
            let text = random::text(ALPHABET, LENGTH)?;
            return Ok((Password::parse(&text)?, Some(text)));
        }
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(Failure::PasswordInput)?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        Ok((Password::parse(text)?, None))
    }
}

async fn changed(users: &Users<'_>, user: &UserSummary, what: &str) -> Result<(Value, String), Failure> {
    let user = users.find(&user.id.to_string()).await?;
    Ok((json!(user), format!("{what}: {}", line(&user))))
}

fn with_password(user: &UserSummary, text: String, made_up: Option<String>) -> (Value, String) {
    let mut json = json!(user);
    let Some(password) = made_up else { return (json, text) };
    let text = format!("{text}\nPassword: {password}");
    json["generated_password"] = Value::String(password);
    (json, text)
}

/// One user in one line, columns apart by tabs.
fn line(user: &UserSummary) -> String {
    let emails: Vec<String> = user
        .emails
        .iter()
        .map(|email| format!("{}{}", email.email, if email.verified { "" } else { " (unverified)" }))
        .collect();
    let state = match (user.is_active, user.has_usable_password) {
        (false, _) => "inactive",
        (true, true) => "active",
        (true, false) => "active, no password",
    };
    format!("{}\t{}\t{}\t{state}", user.id, user.username.as_deref().unwrap_or("-"), emails.join(", "))
}
