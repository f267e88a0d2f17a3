//! Stands in for rooms that are being built, with their shapes. Goes away when they are on main.

use std::fmt;

use secrecy::ExposeSecret;
use vestibule_base::config::Config;
use vestibule_base::storage::StorageError;

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct BuildError(#[from] StorageError);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AdminError(String);

#[derive(Debug, Clone)]
pub(crate) struct Vestibule(vestibule_base::storage::Db);
pub(crate) struct Builder(Config);
pub(crate) struct Users;

pub(crate) struct Password(String);
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
impl Password {
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[derive(Debug)]
pub(crate) struct NewUser {
    pub email: Option<String>,
    pub username: Option<String>,
    pub password: Password,
    pub verified: bool,
}

#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct EmailSummary {
    pub email: String,
    pub verified: bool,
    pub primary: bool,
}

#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct UserSummary {
    pub id: i64,
    pub username: Option<String>,
    pub emails: Vec<EmailSummary>,
    pub is_active: bool,
    pub has_usable_password: bool,
}

impl Vestibule {
    pub(crate) fn builder(config: Config) -> Builder {
        Builder(config)
    }
    pub(crate) fn router(&self) -> axum::Router {
        axum::Router::new().route("/healthz", axum::routing::get(|| async { "ok" }))
    }
    pub(crate) async fn background(&self, mut stop: tokio::sync::watch::Receiver<bool>) {
        let _ = stop.wait_for(|stop| *stop).await;
    }
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
    pub(crate) fn users(&self) -> Users {
        Users
    }
}
impl Builder {
    pub(crate) async fn build(self) -> Result<Vestibule, BuildError> {
        let db = vestibule_base::storage::Db::open(self.0.database_url().expose_secret(), 4).await?;
        db.migrate().await?;
        Ok(Vestibule(db))
    }
}
impl Users {
    pub(crate) async fn create(&self, _: NewUser) -> Result<UserSummary, AdminError> {
        Err(AdminError("not there yet".into()))
    }
    pub(crate) async fn list(&self, _: u32, _: Option<i64>) -> Result<Vec<UserSummary>, AdminError> {
        Ok(vec![])
    }
    pub(crate) async fn find(&self, who: &str) -> Result<UserSummary, AdminError> {
        Err(AdminError(format!("there is no user {who}")))
    }
    pub(crate) async fn set_password(&self, _: i64, _: Password) -> Result<(), AdminError> {
        Ok(())
    }
    pub(crate) async fn deactivate(&self, _: i64) -> Result<(), AdminError> {
        Ok(())
    }
    pub(crate) async fn activate(&self, _: i64) -> Result<(), AdminError> {
        Ok(())
    }
    pub(crate) async fn delete(&self, _: i64) -> Result<(), AdminError> {
        Ok(())
    }
}
