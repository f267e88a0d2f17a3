//! Where `vestibule users` does its work: on the database itself, or by the API for operators of a running server. Each
//! command is written once and does not know which.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::{Host, Url};
use vestibule::{
    NewUser, Password, Search, SessionEntry, SessionSearch, UserDetails, UserSummary, Vestibule,
};
use vestibule_base::outbound::{Answer, Outbound, OutboundError};

use super::{Common, Failure};

/// The variable of the environment that holds the token.
const VARIABLE: &str = "VESTIBULE_ADMIN_TOKEN";
/// What one page holds at most.
const PAGE: u32 = 100;
/// A little longer than a server takes to give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to work.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Use the API for operators at this address (the server's admin.listen) in place of the database, such as
    /// https://admin.example.org. The token is taken from VESTIBULE_ADMIN_TOKEN.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    server: Option<String>,
    /// Take the token from this file in place of VESTIBULE_ADMIN_TOKEN.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Why a server did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error("--server: write an address such as https://admin.example.org; http is for this machine only")]
    Address,
    #[error("no token: set {VARIABLE}, or name a file by --token-file")]
    NoToken,
    #[error("{path}: {source}", path = path.display())]
    TokenFile { path: PathBuf, source: std::io::Error },
    #[error("the server: {0}")]
    Outbound(#[from] OutboundError),
    #[error("the server says: {0}")]
    Refused(String),
    #[error(
        "what answers (status {0}) is no Vestibule's API for operators; is --server the address of admin.listen?"
    )]
    Other(u16),
    #[error("tokens of providers are not given away by a server: ask on its own machine, without --server")]
    OnlyHere,
}

/// The database, or a server.
pub(super) enum Office {
    Here(Box<Vestibule>),
    There(Remote),
}

impl Office {
    pub(super) async fn open(place: &Place) -> Result<Self, Failure> {
        match &place.server {
            None => {
                let config = place.common.settings.prepare()?;
                Ok(Self::Here(Box::new(Vestibule::builder(config).build().await?)))
            }
            Some(server) => Ok(Self::There(Remote::new(server, place.token_file.as_deref())?)),
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Here(vestibule) = self {
            vestibule.close().await;
        }
    }

    pub(super) async fn create(
        &self,
        email: Option<&str>,
        username: Option<&str>,
        password: &SecretString,
        verified: bool,
    ) -> Result<UserSummary, Failure> {
        match self {
            Self::Here(vestibule) => {
                let new = NewUser {
                    email: email.map(str::to_owned),
                    username: username.map(str::to_owned),
                    password: Some(Password::parse(password.expose_secret())?),
                    verified,
                };
                Ok(vestibule.users().create(new).await?)
            }
            Self::There(remote) => {
                let password = password.expose_secret();
                let new = json!({ "email": email, "username": username, "password": password, "verified": verified });
                Ok(read(&remote.post(&["users"], &new).await?)?)
            }
        }
    }

    /// Up to `limit` users that fit, with ids above `after`. A server gives them in pages.
    pub(super) async fn search(
        &self,
        search: Search,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, Failure> {
        let mut search = Search { after: after.unwrap_or(0), limit, ..search };
        let remote = match self {
            Self::Here(vestibule) => return Ok(vestibule.users().search(&search).await?),
            Self::There(remote) => remote,
        };
        let mut found = Vec::new();
        loop {
            let wanted = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX)).min(PAGE);
            if wanted == 0 {
                return Ok(found);
            }
            search.limit = wanted;
            let page: UserPage = read(&remote.get(&["users"], &query(&search)).await?)?;
            found.extend(page.users);
            let Some(next) = page.next else { return Ok(found) };
            search.after = next;
        }
    }

    pub(super) async fn find(&self, who: &str) -> Result<UserSummary, Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().find(who).await?),
            Self::There(remote) => Ok(read(&remote.get(&["users", who], &[]).await?)?),
        }
    }

    /// The same, with all that belongs to them.
    pub(super) async fn details(&self, who: &str) -> Result<UserDetails, Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().details(who).await?),
            Self::There(remote) => Ok(read(&remote.get(&["users", who], &[]).await?)?),
        }
    }

    pub(super) async fn set_password(&self, id: i64, password: &SecretString) -> Result<(), Failure> {
        match self {
            Self::Here(vestibule) => {
                let password = Password::parse(password.expose_secret())?;
                Ok(vestibule.users().set_password(id, password).await?)
            }
            Self::There(remote) => {
                let body = json!({ "password": password.expose_secret() });
                remote.post(&["users", &id.to_string(), "password"], &body).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn set_active(&self, id: i64, active: bool) -> Result<(), Failure> {
        match self {
            Self::Here(vestibule) if active => Ok(vestibule.users().activate(id).await?),
            Self::Here(vestibule) => Ok(vestibule.users().deactivate(id).await?),
            Self::There(remote) => {
                let body = json!({ "is_active": active });
                remote.patch(&["users", &id.to_string()], &body).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn remove_authenticators(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().remove_authenticators(id).await?),
            Self::There(remote) => Ok(remote.delete(&["users", &id.to_string(), "authenticators"]).await?),
        }
    }

    pub(super) async fn provider_token(
        &self,
        id: i64,
        provider: &str,
        uid: Option<&str>,
    ) -> Result<Option<SecretString>, Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().provider_token(id, provider, uid).await?),
            Self::There(_) => Err(RemoteError::OnlyHere.into()),
        }
    }

    pub(super) async fn send_reset(&self, id: i64) -> Result<String, Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().send_reset(id).await?),
            Self::There(remote) => {
                let path = ["users", &id.to_string(), "password-reset"];
                let sent: Sent = read(&remote.post(&path, &json!({})).await?)?;
                Ok(sent.sent_to)
            }
        }
    }

    pub(super) async fn sessions(&self, id: i64) -> Result<Vec<SessionEntry>, Failure> {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = match self {
                Self::Here(vestibule) => {
                    let search = SessionSearch { user_id: Some(id), ip: None, after, limit: PAGE };
                    let (sessions, next) = vestibule.sessions().search(&search).await?;
                    SessionPage { sessions, next }
                }
                Self::There(remote) => {
                    let query = [("after", after.to_string())];
                    read(&remote.get(&["users", &id.to_string(), "sessions"], &query).await?)?
                }
            };
            found.extend(page.sessions);
            let Some(next) = page.next else { return Ok(found) };
            after = next;
        }
    }

    /// Ends all sessions of a user, or the one of this id.
    pub(super) async fn end_sessions(&self, id: i64, session: Option<i64>) -> Result<(), Failure> {
        match (self, session) {
            (Self::Here(vestibule), None) => Ok(vestibule.users().end_sessions(id).await?),
            (Self::Here(vestibule), Some(session)) => Ok(vestibule.sessions().end(Some(id), session).await?),
            (Self::There(remote), None) => Ok(remote.delete(&["users", &id.to_string(), "sessions"]).await?),
            (Self::There(remote), Some(session)) => {
                Ok(remote.delete(&["users", &id.to_string(), "sessions", &session.to_string()]).await?)
            }
        }
    }

    pub(super) async fn delete(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Here(vestibule) => Ok(vestibule.users().delete(id).await?),
            Self::There(remote) => Ok(remote.delete(&["users", &id.to_string()]).await?),
        }
    }
}

/// A server's API for operators.
pub(super) struct Remote {
    outbound: Outbound,
    base: Url,
    authorization: SecretString,
}

#[derive(Deserialize)]
struct UserPage {
    users: Vec<UserSummary>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct SessionPage {
    sessions: Vec<SessionEntry>,
    next: Option<i64>,
}

#[derive(Deserialize)]
struct Sent {
    sent_to: String,
}

impl Remote {
    fn new(server: &str, token_file: Option<&Path>) -> Result<Self, RemoteError> {
        let base = address(server).ok_or(RemoteError::Address)?;
        let token = match token_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| RemoteError::TokenFile { path: path.to_owned(), source })?,
            None => std::env::var_os(VARIABLE).and_then(|token| token.into_string().ok()).unwrap_or_default(),
        };
        if token.trim().is_empty() {
            return Err(RemoteError::NoToken);
        }
        let authorization = format!("Bearer {}", token.trim()).into();
        Ok(Self { outbound: Outbound::new()?, base, authorization })
    }

    async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Answer, RemoteError> {
        judge(self.endpoint(path, query)?.get_text(&self.headers()).await?)
    }

    async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, RemoteError> {
        judge(self.endpoint(path, &[])?.post_json(body.to_string(), &self.headers()).await?)
    }

    async fn patch(&self, path: &[&str], body: &Value) -> Result<Answer, RemoteError> {
        judge(self.endpoint(path, &[])?.patch_json(body.to_string(), &self.headers()).await?)
    }

    async fn delete(&self, path: &[&str]) -> Result<(), RemoteError> {
        judge(self.endpoint(path, &[])?.delete(&self.headers()).await?).map(drop)
    }

    fn endpoint(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<vestibule_base::outbound::Endpoint, RemoteError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| RemoteError::Address)?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.outbound.configured(url.as_str())?.within(PATIENCE))
    }

    fn headers(&self) -> [(&str, &str); 1] {
        [("authorization", self.authorization.expose_secret())]
    }
}

fn query(search: &Search) -> Vec<(&'static str, String)> {
    let mut query = vec![("after", search.after.to_string()), ("limit", search.limit.to_string())];
    query.extend(search.q.clone().map(|q| ("q", q)));
    query.extend(search.is_active.map(|active| ("is_active", active.to_string())));
    query.extend(search.has_mfa.map(|mfa| ("has_mfa", mfa.to_string())));
    query
}

/// The API's address at a server. A token never travels readable beyond this machine.
fn address(server: &str) -> Option<Url> {
    let url = Url::parse(server).ok()?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let fine = plain && (url.scheme() == "https" || url.scheme() == "http" && local);
    fine.then(|| Url::parse(&format!("{}/_admin/v1", url.as_str().trim_end_matches('/'))).ok()).flatten()
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, RemoteError> {
    serde_json::from_str(&answer.text).map_err(|_| RemoteError::Other(answer.status))
}

/// What was done; what was not says why.
fn judge(answer: Answer) -> Result<Answer, RemoteError> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    Err(match body["error"]["message"].as_str() {
        Some(message) => RemoteError::Refused(message.chars().filter(|sign| !sign.is_control()).collect()),
        None => RemoteError::Other(answer.status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x3_a_token_travels_by_https_or_stays_on_this_machine() {
        for fine in
            ["https://admin.example.org", "http://127.0.0.1:8001/", "http://localhost:8001", "http://[::1]:1"]
        {
            let address = address(fine).unwrap();
            assert!(address.path().ends_with("/_admin/v1") && !address.path().contains("//"), "{address}");
        }
        for wrong in
            ["http://admin.example.org", "http://10.0.0.1:8001", "https://me:x@example.org", "admin", ""]
        {
            assert!(address(wrong).is_none(), "{wrong}");
        }
    }
}
