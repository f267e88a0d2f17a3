//! `vestibule users`: what an operator does to accounts, on the database itself or by a server's API for operators. Asks
//! nothing, so that scripts can call it; passwords come from standard input or are made up and shown once.

use std::io::Read;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use vestibule_base::security::random;

use super::Failure;
use super::office::{Office, Place};
use crate::output;
use vestibule::{Password, Search, SessionEntry, UserDetails, UserSummary};
use vestibule_base::security::rfc_3339;

/// Letters and digits that nobody confuses; 20 of them hold 115 bits.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a user.
    Create(Create),
    /// List users by id.
    List(List),
    /// Look for users by how their address, username or phone number begins, or by id.
    Search(Look),
    /// Show one user, with all that belongs to the account.
    Show(Named),
    /// Give a user another password; ends the user's sessions.
    SetPassword(SetPassword),
    /// Remove the second factors of a user who has lost them; ends the user's sessions.
    RemoveAuthenticators(Named),
    /// Show the access token of a user's account at a provider, renewed if it has expired.
    ProviderToken(ProviderToken),
    /// Mail a user a link to reset their password.
    SendReset(Named),
    /// List a user's sessions.
    Sessions(Named),
    /// End a user's sessions: all of them, or one.
    EndSessions(EndSessions),
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
    place: Place,
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
    place: Place,
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
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Look {
    /// How an address, username or phone number begins, or an id.
    q: Option<String>,
    /// Only users who can log in (true), or only those who cannot (false).
    #[arg(long)]
    active: Option<bool>,
    /// Only users with a second factor or passkey (true), or only those without (false).
    #[arg(long)]
    mfa: Option<bool>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Args)]
pub(super) struct EndSessions {
    #[command(flatten)]
    named: Named,
    /// Only this one.
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    let place = command.place();
    crate::telemetry::start("warn");
    let office = Office::open(place).await?;
    let answer = answer(&office, &command).await;
    office.close().await;
    let (json, text) = answer?;
    if place.common.json {
        output::line(format_args!("{json:#}"));
    } else {
        output::line(text);
    }
    Ok(())
}

/// Does it; gives the answer in JSON and for people.
async fn answer(office: &Office, command: &Command) -> Result<(Value, String), Failure> {
    match command {
        Command::Create(new) => {
            let (password, made_up) = new.password.take()?;
            let user =
                office.create(new.email.as_deref(), new.username.as_deref(), &password, new.verified).await?;
            Ok(with_password(&user, format!("Created: {}", line(&user)), made_up))
        }
        Command::List(page) => listed(&office.search(Search::default(), page.after, page.limit).await?),
        Command::Search(look) => {
            let search =
                Search { q: look.q.clone(), is_active: look.active, has_mfa: look.mfa, ..Search::default() };
            listed(&office.search(search, look.list.after, look.list.limit).await?)
        }
        Command::Show(named) => {
            let user = office.details(&named.user).await?;
            Ok((json!(user), sheet(&user)))
        }
        Command::SetPassword(set) => {
            let user = office.find(&set.named.user).await?;
            let (password, made_up) = set.password.take()?;
            office.set_password(user.id, &password).await?;
            Ok(with_password(&user, format!("Password set: {}", line(&user)), made_up))
        }
        Command::RemoveAuthenticators(named) => {
            let user = office.find(&named.user).await?;
            office.remove_authenticators(user.id).await?;
            changed(office, &user, "Second factors removed").await
        }
        Command::ProviderToken(wanted) => {
            let user = office.find(&wanted.named.user).await?;
            let token = office.provider_token(user.id, &wanted.provider, wanted.uid.as_deref()).await?;
            let token = token.ok_or(Failure::NoToken)?;
            Ok((json!({ "access_token": token.expose_secret() }), token.expose_secret().to_owned()))
        }
        Command::SendReset(named) => {
            let user = office.find(&named.user).await?;
            let sent_to = office.send_reset(user.id).await?;
            Ok((json!({ "sent_to": sent_to }), format!("Sent to {sent_to}")))
        }
        Command::Sessions(named) => {
            let user = office.find(&named.user).await?;
            let sessions = office.sessions(user.id).await?;
            let text = match sessions.as_slice() {
                [] => "No sessions.".to_owned(),
                list => list.iter().map(session_line).collect::<Vec<_>>().join("\n"),
            };
            Ok((json!(sessions), text))
        }
        Command::EndSessions(end) => {
            let user = office.find(&end.named.user).await?;
            office.end_sessions(user.id, end.session).await?;
            changed(office, &user, "Sessions ended").await
        }
        Command::Deactivate(named) => {
            let user = office.find(&named.user).await?;
            office.set_active(user.id, false).await?;
            changed(office, &user, "Deactivated").await
        }
        Command::Activate(named) => {
            let user = office.find(&named.user).await?;
            office.set_active(user.id, true).await?;
            changed(office, &user, "Activated").await
        }
        Command::Delete(named) => {
            let user = office.find(&named.user).await?;
            office.delete(user.id).await?;
            Ok((json!({ "deleted": user.id }), format!("Deleted: {}", line(&user))))
        }
    }
}

impl Command {
    fn place(&self) -> &Place {
        match self {
            Self::Create(create) => &create.place,
            Self::List(list) => &list.place,
            Self::Search(look) => &look.list.place,
            Self::SetPassword(set) => &set.named.place,
            Self::ProviderToken(wanted) => &wanted.named.place,
            Self::EndSessions(end) => &end.named.place,
            Self::Show(named)
            | Self::RemoveAuthenticators(named)
            | Self::SendReset(named)
            | Self::Sessions(named)
            | Self::Deactivate(named)
            | Self::Activate(named)
            | Self::Delete(named) => &named.place,
        }
    }
}

impl NewPassword {
    /// The password, and its text if it was made up here and has to be told.
    fn take(&self) -> Result<(SecretString, Option<String>), Failure> {
        if !self.password_stdin {
            let text = random::text(ALPHABET, LENGTH)?;
            return Ok((text.clone().into(), Some(text)));
        }
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(Failure::PasswordInput)?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        // Judged here, so that what cannot be a password is not sent anywhere.
        Password::parse(text)?;
        Ok((text.into(), None))
    }
}

fn listed(users: &[UserSummary]) -> Result<(Value, String), Failure> {
    let text = match users {
        [] => "No users.".to_owned(),
        list => list.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    Ok((json!(users), text))
}

async fn changed(office: &Office, user: &UserSummary, what: &str) -> Result<(Value, String), Failure> {
    let user = office.find(&user.id.to_string()).await?;
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

/// One user on some lines. What people have chosen themselves is written as in JSON, without control characters.
fn sheet(UserDetails { user, belongings }: &UserDetails) -> String {
    let mut lines = vec![line(user), format!("created\t{}", rfc_3339::text(user.created_at))];
    lines.extend(user.last_login_at.map(|at| format!("last login\t{}", rfc_3339::text(at))));
    lines.extend(
        belongings
            .phone
            .as_ref()
            .map(|row| format!("phone\t{}{}", row.phone, if row.verified { "" } else { " (unverified)" })),
    );
    for row in &belongings.authenticators {
        let name = row.name.as_ref().map(|name| format!(" {}", json!(name))).unwrap_or_default();
        let used = row.last_used_at.map_or("never".to_owned(), rfc_3339::text);
        lines.push(format!("authenticator {}\t{}{name}\tused {used}", row.id, row.kind));
    }
    for row in &belongings.providers {
        lines.push(format!("provider account {}\t{}\t{}", row.id, row.provider, json!(row.uid)));
    }
    lines.extend(user.fields.iter().map(|(name, value)| format!("{name}\t{value}")));
    lines.join("\n")
}

/// One session in one line. What its client calls itself has no control characters here.
fn session_line(session: &SessionEntry) -> String {
    let agent: String =
        session.user_agent.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    let (opened, seen) = (rfc_3339::text(session.created_at), rfc_3339::text(session.last_seen_at));
    format!("{}\t{}\t{}\topened {opened}\tseen {seen}\t{agent}", session.id, session.client, session.ip)
}
