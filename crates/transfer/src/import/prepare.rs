//! What can be said of an account by itself: every part in the form in which it is stored, or why it cannot be taken.

use secrecy::ExposeSecret;
use serde_json::Value;
use vestibule_base::config::Config;
use vestibule_base::security::password::{check, usable};
use vestibule_base::security::webauthn::{Credential, CredentialId, PublicKey};
use vestibule_base::security::{Code, Millis};
use vestibule_core::account::address::{EmailAddress, PhoneNumber};
use vestibule_core::account::username::Username;
use vestibule_core::mfa::stored;
use vestibule_core::mfa::webauthn::LONGEST_NAME;
use vestibule_core::social::tokens::Tokens;

use super::reason::{Problem, Reason};
use crate::account::{Account, Passkey, ProviderAccount, RecoveryCodes, Totp};
use crate::base32;
use crate::source::Item;

/// The largest id that every client can read: a JSON number is exact up to here.
const LARGEST_ID: i64 = (1 << 53) - 1;
/// Bytes that a key may know its owner by (WebAuthn Level 3, 5.4.3).
const LONGEST_HANDLE: usize = 64;
/// Bytes of what other systems call people and themselves: keys of an index.
const LONGEST_KEY: usize = 500;
/// What is said of others.
const NO_KEY: &str = "not 1 to 500 bytes of text without NUL";
/// Bytes of extra fields, as JSON.
const LARGEST_FIELDS: usize = 64 * 1024;
/// A TOTP secret of 80 bits is the shortest that apps ever made.
const SHORTEST_SECRET: usize = 10;

/// An account whose parts are good by themselves.
pub(super) struct Ready {
    pub(super) place: String,
    pub(super) source_id: String,
    /// The id that it had.
    pub(super) id: Option<i64>,
    pub(super) username: Option<Username>,
    pub(super) password: Option<String>,
    pub(super) is_active: bool,
    pub(super) created_at: Millis,
    pub(super) last_login_at: Option<Millis>,
    pub(super) emails: Vec<ReadyEmail>,
    pub(super) phone: Option<(String, bool)>,
    /// A JSON object.
    pub(super) fields: Option<String>,
    pub(super) providers: Vec<ReadyProvider>,
    pub(super) totp: Option<Sealable>,
    pub(super) codes: Option<Sealable>,
    pub(super) keys: Vec<ReadyKey>,
    /// It had second factors, whether or not one is left.
    pub(super) had_factors: bool,
    pub(super) problems: Vec<Problem>,
}

#[derive(Clone)]
pub(super) struct ReadyEmail {
    pub(super) email: String,
    pub(super) verified: bool,
    pub(super) primary: bool,
}

#[derive(Clone)]
pub(super) struct ReadyProvider {
    pub(super) provider: String,
    pub(super) uid: String,
    pub(super) extra_data: String,
    pub(super) created_at: Millis,
    pub(super) last_login_at: Millis,
    pub(super) tokens: Option<Tokens>,
}

/// An authenticator that is to be sealed.
pub(super) struct Sealable {
    pub(super) plain: Vec<u8>,
    pub(super) counter: i64,
    pub(super) created_at: Millis,
    pub(super) last_used_at: Option<Millis>,
}

#[derive(Clone)]
pub(super) struct ReadyKey {
    pub(super) name: String,
    pub(super) credential: Credential,
    pub(super) created_at: Millis,
    pub(super) last_used_at: Option<Millis>,
}

/// An account that cannot be taken.
pub(super) struct Hopeless {
    pub(super) place: String,
    pub(super) source_id: Option<String>,
    pub(super) problems: Vec<Problem>,
}

/// Looks at what was read.
pub(super) fn prepare(config: &Config, now: Millis, item: Item) -> Result<Ready, Hopeless> {
    let Item { place, account, left_out, lost_factor } = item;
    let mut problems: Vec<Problem> = left_out.into_iter().map(|what| Reason::Unread.because(what)).collect();
    let account = match account {
        Ok(account) => account,
        Err(why) => {
            problems.push(Reason::Unread.because(why));
            return Err(Hopeless { place, source_id: None, problems });
        }
    };
    if !is_key(&account.source_id) {
        problems.push(Reason::Unread.because(format!("source_id: {NO_KEY}")));
        return Err(Hopeless { place, source_id: None, problems });
    }
    let mut look = Look { config, created_at: account.created_at.unwrap_or(now), problems };
    let had_factors = lost_factor || account.totp.is_some() || !account.passkeys.is_empty();
    let id = account.id.filter(|id| {
        let fits = (1..=LARGEST_ID).contains(id);
        if !fits {
            look.problem(Reason::Id, format!("id {id}: not from 1 to 2^53 - 1"));
        }
        fits
    });
    let handle = account.id.map(stored::handle);
    let ready = Ready {
        id,
        username: look.username(account.username.as_deref()),
        password: look.password(&account),
        is_active: account.is_active,
        created_at: look.created_at,
        last_login_at: account.last_login_at,
        emails: look.emails(&account),
        phone: look.phone(&account),
        fields: look.fields(&account),
        providers: account.providers.into_iter().filter_map(|one| look.provider(one)).collect(),
        totp: account.totp.and_then(|totp| look.totp(&totp)),
        codes: account.recovery_codes.and_then(|codes| look.codes(codes)),
        keys: account.passkeys.into_iter().filter_map(|key| look.key(key, handle.as_deref())).collect(),
        had_factors,
        problems: look.problems,
        source_id: account.source_id,
        place,
    };
    Ok(ready)
}

struct Look<'a> {
    config: &'a Config,
    created_at: Millis,
    problems: Vec<Problem>,
}

impl Look<'_> {
    fn problem(&mut self, reason: Reason, what: String) {
        self.problems.push(reason.because(what));
    }

    fn username(&mut self, typed: Option<&str>) -> Option<Username> {
        let typed = typed.filter(|name| !name.trim().is_empty())?;
        match Username::existing(&self.config.account, typed) {
            Ok(name) => Some(name),
            Err(problem) => {
                self.problem(Reason::Username, format!("username {typed:?}: {}", problem.message));
                None
            }
        }
    }

    /// What is no hash stands for an account without a password, as with Django; what is one of a format or with a work
    /// factor that a login would refuse is told.
    fn password(&mut self, account: &Account) -> Option<String> {
        let hash = account.password.as_ref().map(ExposeSecret::expose_secret).filter(|hash| usable(hash))?;
        let hash = known_spelling(hash);
        match check(&hash) {
            // No text may hold it, says PostgreSQL.
            Ok(()) if hash.contains('\0') => {
                self.problem(Reason::Password, "password: it holds a NUL".to_owned());
                None
            }
            Ok(()) => Some(hash),
            Err(bad) => {
                self.problem(Reason::Password, format!("password: {bad}"));
                None
            }
        }
    }

    /// Each address once; one of them primary.
    fn emails(&mut self, account: &Account) -> Vec<ReadyEmail> {
        let longest = self.config.account.email_max_length as usize;
        let mut found: Vec<ReadyEmail> = Vec::new();
        for row in &account.emails {
            let Some(email) = EmailAddress::parse(&row.email, longest) else {
                self.problem(
                    Reason::Email,
                    format!("email {:?}: no address that mails can be sent to", row.email),
                );
                continue;
            };
            let primary = row.primary && found.iter().all(|other| !other.primary);
            match found.iter_mut().find(|other| other.email == email.as_str()) {
                Some(same) => {
                    same.verified |= row.verified;
                    same.primary |= primary;
                }
                None => found.push(ReadyEmail {
                    email: email.as_str().to_owned(),
                    verified: row.verified,
                    primary,
                }),
            }
        }
        elect_primary(&mut found);
        found
    }

    /// Whether or not the settings ask for fields of these names: they may yet.
    fn fields(&mut self, account: &Account) -> Option<String> {
        if account.fields.is_empty() {
            return None;
        }
        let fields = Value::Object(account.fields.clone()).to_string();
        if fields.len() > LARGEST_FIELDS {
            self.problem(Reason::Field, format!("{} bytes: more than {LARGEST_FIELDS}", fields.len()));
            return None;
        }
        Some(fields)
    }

    fn phone(&mut self, account: &Account) -> Option<(String, bool)> {
        let row = account.phone.as_ref()?;
        let Some(phone) = PhoneNumber::parse(&row.phone) else {
            self.problem(Reason::Phone, format!("phone {:?}: not in E.164, such as +31612345678", row.phone));
            return None;
        };
        Some((phone.as_str().to_owned(), row.verified))
    }

    fn provider(&mut self, one: ProviderAccount) -> Option<ReadyProvider> {
        for (name, key) in [("provider", &one.provider), ("uid", &one.uid)] {
            if !is_key(key) {
                self.problem(Reason::Provider, format!("{name} of a provider account: {NO_KEY}"));
                return None;
            }
        }
        let created_at = one.created_at.unwrap_or(self.created_at);
        Some(ReadyProvider {
            provider: one.provider,
            uid: one.uid,
            extra_data: if one.extra_data == Value::Null {
                "{}".to_owned()
            } else {
                one.extra_data.to_string()
            },
            created_at,
            last_login_at: one.last_login_at.unwrap_or(created_at),
            tokens: one.tokens.map(|tokens| Tokens {
                access: tokens.access,
                refresh: tokens.refresh,
                expires_at: tokens.expires_at,
            }),
        })
    }

    fn totp(&mut self, totp: &Totp) -> Option<Sealable> {
        let secret = base32::decode(totp.secret.expose_secret());
        let Some(plain) = secret.filter(|secret| secret.len() >= SHORTEST_SECRET) else {
            self.problem(Reason::Totp, "totp: the secret is no base 32 of 10 bytes or more".to_owned());
            return None;
        };
        Some(Sealable {
            plain,
            counter: totp.last_step.max(0),
            created_at: totp.created_at.unwrap_or(self.created_at),
            last_used_at: totp.last_used_at,
        })
    }

    fn codes(&mut self, set: RecoveryCodes) -> Option<Sealable> {
        let mut lines = Vec::new();
        for one in &set.codes {
            match Code::parse(one.code.expose_secret()) {
                Some(code) => lines.push(stored::Line { code: code.expose().to_owned(), used: one.used }),
                None => {
                    self.problem(Reason::RecoveryCodes, "a recovery code that cannot be typed".to_owned())
                }
            }
        }
        let plain = serde_json::to_vec(&stored::Set { codes: lines, seen: set.seen }).ok()?;
        Some(Sealable {
            plain,
            counter: 0,
            created_at: set.created_at.unwrap_or(self.created_at),
            last_used_at: set.last_used_at,
        })
    }

    /// `handle`: what the owner's id made keys know them by, where the key itself says nothing.
    fn key(&mut self, key: Passkey, handle: Option<&[u8]>) -> Option<ReadyKey> {
        let name: String = key.name.chars().filter(|c| *c != '\0').take(LONGEST_NAME as usize).collect();
        let name = if name.is_empty() { "Key".to_owned() } else { name };
        let Some(id) = CredentialId::new(key.credential_id) else {
            self.problem(Reason::Passkey, format!("passkey {name:?}: its id has not 1 to 1023 bytes"));
            return None;
        };
        let public_key = match PublicKey::from_cose(&key.public_key) {
            Ok(public_key) => public_key,
            Err(error) => {
                self.problem(Reason::Passkey, format!("passkey {name:?}: {error}"));
                return None;
            }
        };
        let user_handle = key.user_handle.or_else(|| handle.map(<[u8]>::to_vec));
        if user_handle.as_ref().is_some_and(|handle| !(1..=LONGEST_HANDLE).contains(&handle.len())) {
            self.problem(Reason::Passkey, format!("passkey {name:?}: its user handle has not 1 to 64 bytes"));
            return None;
        }
        Some(ReadyKey {
            name,
            credential: Credential {
                id,
                public_key,
                sign_count: key.sign_count,
                backup_eligible: key.backup_eligible,
                // A key that may not be copied was not.
                backed_up: key.backed_up && key.backup_eligible,
                user_verified: key.user_verified,
                discoverable: key.discoverable,
                user_handle,
            },
            created_at: key.created_at.unwrap_or(self.created_at),
            last_used_at: key.last_used_at,
        })
    }
}

/// Whether the databases can find something by it.
fn is_key(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && !text.contains('\0')
}

/// Makes one address primary, if none is: the first verified one, else the first.
pub(super) fn elect_primary(emails: &mut [ReadyEmail]) {
    if emails.iter().any(|row| row.primary) {
        return;
    }
    let at = emails.iter().position(|row| row.verified).unwrap_or(0);
    if let Some(row) = emails.get_mut(at) {
        row.primary = true;
    }
}

/// The spelling in which a login knows a hash: that of Django or a PHC string. Other systems write bcrypt bare, or put
/// its name in braces before either (Spring, Dovecot).
fn known_spelling(hash: &str) -> String {
    let hash = hash.trim();
    let bare = match hash.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((_, bare)) if bare.starts_with('$') => bare,
        _ => hash,
    };
    if bare.starts_with("$2") { format!("bcrypt${bare}") } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_hashes_get_the_spelling_that_logins_know() {
        let bcrypt = "$2b$12$eEQf8K9gqtQjfPyj3ASmBObP/83gvJSpZLsdWdaeVP4ZMuINPXOsi";
        let argon2 = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
                      9kHaqa8QyJ9ab6ExNNa29hFkBRO2p3OqAOAPPKOhLYY";
        for (foreign, ours) in [
            (bcrypt.to_owned(), format!("bcrypt${bcrypt}")),
            (bcrypt.replace("$2b", "$2a"), format!("bcrypt${}", bcrypt.replace("$2b", "$2a"))),
            (bcrypt.replace("$2b", "$2y"), format!("bcrypt${}", bcrypt.replace("$2b", "$2y"))),
            (format!("{{bcrypt}}{bcrypt}"), format!("bcrypt${bcrypt}")),
            (format!("{{ARGON2ID}}{argon2}"), argon2.to_owned()),
            (format!("argon2{argon2}"), format!("argon2{argon2}")),
            (argon2.to_owned(), argon2.to_owned()),
        ] {
            assert_eq!(known_spelling(&foreign), ours);
            assert_eq!(check(&ours), Ok(()), "{ours}");
        }
    }
}
