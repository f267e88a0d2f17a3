//! From rows to an account.

use secrecy::SecretString;
use vestibule_base::security::Millis;

use super::database::Row;
use super::users::{Part, UserRow, Users};
use super::{DjangoOptions, authenticators};
use crate::account::{Account, Email, Phone, ProviderAccount, ProviderTokens};
use crate::source::Item;

/// Columns of `account_emailaddress`.
pub(super) const EMAIL: &[&str] = &["email", "verified", "primary"];
/// Columns of `socialaccount_socialaccount`.
pub(super) const SOCIAL: &[&str] = &["id", "provider", "uid", "extra_data", "date_joined", "last_login"];
/// Columns of `socialaccount_socialtoken`.
pub(super) const TOKEN: &[&str] = &["token", "token_secret", "expires_at"];

/// The rows of other tables that belong to a user: `None` for the user, then the columns.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) emails: Vec<Row>,
    pub(super) socials: Vec<Row>,
    pub(super) authenticators: Vec<Row>,
}

/// Reads a user.
pub(super) fn read(users: &Users, options: &DjangoOptions, mut row: UserRow, around: Around) -> Item {
    let key = Key(row.key.clone());
    let (mut left_out, mut lost_factor) = (Vec::new(), false);
    let mut account = Account {
        source_id: key.plain(),
        id: key.number(),
        username: row.take(Part::Username),
        // Django's mark of somebody who has no password.
        password: row.take(Part::Password).filter(|hash| !hash.starts_with('!')).map(SecretString::from),
        is_active: row.take(Part::IsActive).is_none_or(|said| truth(&said)),
        created_at: row.take(Part::DateJoined).and_then(|at| moment(&at)),
        last_login_at: row.take(Part::LastLogin).and_then(|at| moment(&at)),
        ..Account::default()
    };
    account.emails = around.emails.into_iter().filter_map(email).collect();
    if let Some(own) = row.take(Part::Email) {
        add_own(&mut account.emails, own);
    }
    let phone_verified = row.take(Part::PhoneVerified).is_some_and(|said| truth(&said));
    account.phone = row.take(Part::Phone).map(|phone| Phone { phone, verified: phone_verified });
    account.providers = around.socials.into_iter().filter_map(social).collect();
    for row in around.authenticators {
        // Codes on paper stand in for a factor, and are none.
        let is_factor = row.get(1) != Some(&Some("recovery_codes".to_owned()));
        if let Err(reason) = authenticators::read(&mut account, row, options, &key) {
            lost_factor |= is_factor;
            left_out.push(reason);
        }
    }
    Item { place: format!("{} {}", users.table.name, row.key), account: Ok(account), left_out, lost_factor }
}

/// Lays to each account at a third party its newest tokens, which come newest first.
pub(super) fn attach(socials: &mut [Row], tokens: Vec<Row>) {
    for row in socials {
        let id = row.get(1).cloned().flatten();
        let own = tokens.iter().find(|token| id.is_some() && token.first() == Some(&id));
        row.extend(own.into_iter().flat_map(|token| token.iter().skip(1).cloned()));
    }
}

/// The key of a user, as text.
#[derive(Debug)]
pub(super) struct Key(pub(super) String);

impl Key {
    /// A UUID is written with dashes by one database and without by the other: here without.
    fn plain(&self) -> String {
        match self.uuid() {
            Some(uuid) => uuid,
            None => self.0.clone(),
        }
    }

    fn number(&self) -> Option<i64> {
        self.0.parse().ok().filter(|number| *number > 0)
    }

    fn uuid(&self) -> Option<String> {
        let digits: String = self.0.chars().filter(|c| *c != '-').collect();
        let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        (digits.len() == 32 && is_hex && self.number().is_none()).then(|| digits.to_ascii_lowercase())
    }

    /// What passkeys know the user by: django-allauth's spelling of the key in URLs.
    pub(super) fn handle(&self) -> Vec<u8> {
        let Some(mut number) = self.number() else { return self.plain().into_bytes() };
        let mut digits = Vec::new();
        while number > 0 {
            let digit = u32::try_from(number % 36).unwrap_or_default();
            digits.extend(char::from_digit(digit, 36).map(|digit| digit as u8));
            number /= 36;
        }
        digits.reverse();
        digits
    }
}

fn email(row: Row) -> Option<Email> {
    let [_, email, verified, primary] = <[Option<String>; 4]>::try_from(row).ok()?;
    let is = |said: Option<String>| said.is_some_and(|said| truth(&said));
    Some(Email { email: email?, verified: is(verified), primary: is(primary) })
}

/// The address in the users' own table. django-allauth takes it for one that is not proved where it does not know it.
fn add_own(emails: &mut Vec<Email>, own: String) {
    if !emails.iter().any(|known| known.email.eq_ignore_ascii_case(own.trim())) {
        let primary = emails.iter().all(|known| !known.primary);
        emails.push(Email { email: own, verified: false, primary });
    }
}

fn social(row: Row) -> Option<ProviderAccount> {
    let mut values = row.into_iter().skip(2);
    let mut next = || values.next().flatten();
    let (provider, uid, extra_data) = (next(), next(), next());
    let (created_at, last_login_at) = (next(), next());
    let (access, refresh, expires_at) = (next(), next(), next());
    let tokens = access.filter(|token| !token.is_empty()).map(|access| ProviderTokens {
        access: access.into(),
        refresh: refresh.filter(|token| !token.is_empty()).map(SecretString::from),
        expires_at: expires_at.and_then(|at| moment(&at)),
    });
    Some(ProviderAccount {
        provider: provider?,
        uid: uid?,
        extra_data: extra_data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or_default(),
        created_at: created_at.and_then(|at| moment(&at)),
        last_login_at: last_login_at.and_then(|at| moment(&at)),
        tokens,
    })
}

/// A flag: SQLite writes `1`, PostgreSQL `true`.
fn truth(said: &str) -> bool {
    matches!(said, "1" | "true" | "t")
}

/// A moment as either database writes it; without an offset it is UTC, which is what Django stores.
pub(super) fn moment(written: &str) -> Option<Millis> {
    if let Ok(at) = written.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let at: jiff::civil::DateTime = written.parse().ok()?;
    Some(jiff::tz::Offset::UTC.to_timestamp(at).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_both_databases() {
        for written in [
            "2026-11-25 02:30:56.380823",
            "2026-11-25 02:30:56.380823+00",
            "2026-11-25 03:30:56.380823+01:00",
            "2026-11-25T02:30:56.380823Z",
        ] {
            assert_eq!(moment(written), Some(1_795_573_856_380), "{written}");
        }
        assert_eq!(moment("2026-11-25 02:30:56"), Some(1_795_573_856_000));
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn handles_are_the_keys_as_django_allauth_writes_them_in_urls() {
        for (key, handle) in [("1", "1"), ("18", "i"), ("36", "10"), ("4711", "3mv")] {
            assert_eq!(Key(key.to_owned()).handle(), handle.as_bytes(), "{key}");
        }
        let uuid = "47e316b2a388438b92fd2a121fe1871e";
        for written in [uuid, "47e316b2-a388-438b-92fd-2a121fe1871e"] {
            let key = Key(written.to_owned());
            assert_eq!((key.plain().as_str(), key.number()), (uuid, None));
            assert_eq!(key.handle(), uuid.as_bytes());
        }
        assert_eq!(Key("ann".to_owned()).handle(), b"ann");
    }

    #[test]
    fn the_address_of_the_users_table_is_added_where_it_is_not_known() {
        let known = Email { email: "a@example.org".to_owned(), verified: true, primary: true };
        let mut emails = vec![known.clone()];
        add_own(&mut emails, "A@Example.org".to_owned());
        assert_eq!(emails, [known]);
        add_own(&mut emails, "b@example.org".to_owned());
        assert_eq!((emails[1].verified, emails[1].primary), (false, false));
        let mut emails = Vec::new();
        add_own(&mut emails, "c@example.org".to_owned());
        assert_eq!((emails[0].verified, emails[0].primary), (false, true));
    }
}
