//! Accounts of a Django project with django-allauth, read from its database.
//!
//! Tables of apps that are not installed are absent, and user models of a project's own have columns of their own: what is
//! there is looked up first, and what is missing is told.

mod account;
mod authenticators;
mod database;
mod users;

use std::collections::HashMap;

use account::Around;
use database::{Foreign, Row, Span, Table};
use users::{UserRow, Users};

use crate::source::{Item, ReadError, Source};

/// What cannot be read off the database.
#[derive(Debug, Clone)]
pub struct DjangoOptions {
    /// The table of users.
    pub user_table: String,
    /// Its column with the user name; unset: `username`, if there is one.
    pub username_column: Option<String>,
    /// Its column with the address; unset: `email`, if there is one.
    pub email_column: Option<String>,
    /// Its column with the telephone number, if any.
    pub phone_column: Option<String>,
    /// Its column that says whether the number is proved; unset: none is.
    pub phone_verified_column: Option<String>,
    /// `MFA_RECOVERY_CODE_COUNT` of the project: the codes are made from a seed.
    pub recovery_code_count: u32,
    /// `MFA_RECOVERY_CODE_DIGITS` of the project.
    pub recovery_code_digits: u32,
}

impl Default for DjangoOptions {
    fn default() -> Self {
        Self {
            user_table: "auth_user".to_owned(),
            username_column: None,
            email_column: None,
            phone_column: None,
            phone_verified_column: None,
            recovery_code_count: 10,
            recovery_code_digits: 8,
        }
    }
}

/// The database of a Django project. Reads it, in the order of the users' keys; changes nothing.
#[derive(Debug)]
pub struct Django {
    db: Foreign,
    users: Users,
    emails: Option<Table>,
    socials: Option<Table>,
    tokens: Option<Table>,
    authenticators: Option<Table>,
    options: DjangoOptions,
    remarks: Vec<String>,
    /// The key of the last user that was read.
    last: Option<String>,
}

impl Django {
    /// Opens `url` (`sqlite://PATH`, the path itself, or `postgres://…`) and looks which tables and columns there are.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read, has no such table of users, or a column that was named is missing.
    pub async fn open(url: &str, options: DjangoOptions) -> Result<Self, ReadError> {
        let mut db = Foreign::open(url).await?;
        let mut remarks = Vec::new();
        let users = Users::find(&mut db, &options, &mut remarks).await?;
        let emails = db.table("account_emailaddress").await?;
        let socials = db.table("socialaccount_socialaccount").await?;
        let tokens = db.table("socialaccount_socialtoken").await?;
        let authenticators = db.table("mfa_authenticator").await?;
        for (table, name, without) in [
            (&emails, "account_emailaddress", "the addresses of the users' own table count as unverified"),
            (&socials, "socialaccount_socialaccount", "nobody is connected to third parties"),
            (&authenticators, "mfa_authenticator", "nobody has second factors"),
        ] {
            if table.is_none() {
                remarks.push(format!("there is no table {name}: {without}"));
            }
        }
        Ok(Self { db, users, emails, socials, tokens, authenticators, options, remarks, last: None })
    }

    /// What is missing in this database, or not looked at, for people: a line each.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// How many users there are.
    ///
    /// # Errors
    /// [`ReadError`] if the database is gone.
    pub async fn count(&mut self) -> Result<u64, ReadError> {
        self.db.count(&self.users.table).await
    }
}

impl Source for Django {
    async fn next(&mut self, most: usize) -> Result<Vec<Item>, ReadError> {
        let after = self.last.take();
        let rows = self.users.page(&mut self.db, after.as_deref(), most).await?;
        let Some(last) = rows.last().map(|row| row.key.clone()) else {
            // Were it asked again, it would begin anew: the key of the last one stays.
            self.last = after;
            return Ok(Vec::new());
        };
        let span = Span { after: after.as_deref(), last: &last };
        let mut around: HashMap<String, Around> = HashMap::new();
        let db = &mut self.db;
        for row in of_users(db, self.emails.as_ref(), account::EMAIL, span).await? {
            put(&mut around, row, |around| &mut around.emails);
        }
        for row in of_users(db, self.authenticators.as_ref(), authenticators::COLUMNS, span).await? {
            put(&mut around, row, |around| &mut around.authenticators);
        }
        let mut socials = of_users(db, self.socials.as_ref(), account::SOCIAL, span).await?;
        if let (Some(accounts), Some(tokens), false) = (&self.socials, &self.tokens, socials.is_empty()) {
            let tokens = db.of_accounts(tokens, account::TOKEN, accounts, span).await?;
            account::attach(&mut socials, tokens);
        }
        for row in socials {
            put(&mut around, row, |around| &mut around.socials);
        }
        self.last = Some(last);
        let read = |row: UserRow| {
            let around = around.remove(&row.key).unwrap_or_default();
            account::read(&self.users, &self.options, row, around)
        };
        Ok(rows.into_iter().map(read).collect())
    }
}

async fn of_users(
    db: &mut Foreign,
    table: Option<&Table>,
    columns: &[&str],
    span: Span<'_>,
) -> Result<Vec<Row>, ReadError> {
    match table {
        Some(table) => db.of_users(table, columns, span).await,
        None => Ok(Vec::new()),
    }
}

/// Lays a row that begins with the key of its user to what else is known of them.
fn put(around: &mut HashMap<String, Around>, mut row: Row, place: fn(&mut Around) -> &mut Vec<Row>) {
    if let Some(Some(user)) = row.first_mut().map(Option::take) {
        place(around.entry(user).or_default()).push(row);
    }
}
