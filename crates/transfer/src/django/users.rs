//! The table of users: Django's own, or that of a project's model.

use super::DjangoOptions;
use super::database::{Foreign, Table};
use crate::source::ReadError;

/// The table of users, and which of its columns are what.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) table: Table,
    key: String,
    columns: Vec<(Part, String)>,
}

/// What of an account is in the table of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Password,
    Username,
    Email,
    IsActive,
    DateJoined,
    LastLogin,
    Phone,
    PhoneVerified,
}

/// A user as the table has them.
#[derive(Debug)]
pub(super) struct UserRow {
    pub(super) key: String,
    parts: Vec<(Part, Option<String>)>,
}

impl Users {
    /// Finds the table, and what there is in it; remarks on what is not.
    pub(super) async fn find(
        db: &mut Foreign,
        options: &DjangoOptions,
        remarks: &mut Vec<String>,
    ) -> Result<Self, ReadError> {
        let name = &options.user_table;
        let error = |reason: String| ReadError { place: name.clone(), reason };
        let table = db.table(name).await?.ok_or_else(|| {
            error("there is no such table; name the one of AUTH_USER_MODEL with --user-table".to_owned())
        })?;
        let key = table.key().ok_or_else(|| error("it has no primary key of one column".to_owned()))?;
        let key = key.to_owned();
        let mut columns = Vec::new();
        let parts = [
            (Part::Password, "password", None, "nobody has a password"),
            (Part::Username, "username", options.username_column.as_ref(), "nobody has a user name"),
            (
                Part::Email,
                "email",
                options.email_column.as_ref(),
                "only addresses in account_emailaddress are taken; another column can be named with --email-column",
            ),
            (Part::IsActive, "is_active", None, "everybody is active"),
            (Part::DateJoined, "date_joined", None, "accounts count as made now"),
            (Part::LastLogin, "last_login", None, "no last login is known"),
            (Part::Phone, "", options.phone_column.as_ref(), ""),
            (Part::PhoneVerified, "", options.phone_verified_column.as_ref(), ""),
        ];
        for (part, usual, named, without) in parts {
            let column = named.map_or(usual, String::as_str);
            if table.has(column) {
                columns.push((part, column.to_owned()));
            } else if named.is_some() {
                return Err(error(format!("it has no column {column:?}; it has {}", table.columns())));
            } else if !usual.is_empty() {
                remarks.push(format!("{name} has no column {usual:?}: {without}"));
            }
        }
        if options.phone_verified_column.is_some() && options.phone_column.is_none() {
            return Err(error("--phone-verified-column without --phone-column".to_owned()));
        }
        Ok(Self { table, key, columns })
    }

    /// The next users by their key.
    pub(super) async fn page(
        &self,
        db: &mut Foreign,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<UserRow>, ReadError> {
        let mut columns = vec![self.key.as_str()];
        columns.extend(self.columns.iter().map(|(_, name)| name.as_str()));
        let rows = db.page(&self.table, &columns, &self.key, after, most).await?;
        let read = |row: Vec<Option<String>>| {
            let mut values = row.into_iter();
            let key = values.next().flatten()?;
            let parts = self.columns.iter().map(|(part, _)| *part).zip(values).collect();
            Some(UserRow { key, parts })
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

impl UserRow {
    /// What a column says; `None` if it is NULL, empty, or not there.
    pub(super) fn take(&mut self, part: Part) -> Option<String> {
        let (_, value) = self.parts.iter_mut().find(|(own, _)| *own == part)?;
        value.take().filter(|text| !text.trim().is_empty())
    }
}
