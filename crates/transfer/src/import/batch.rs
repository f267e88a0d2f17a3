//! Some accounts in one transaction: which of them may be taken beside those that are there, and under which ids.

use std::collections::{HashMap, HashSet};

use vestibule_base::storage::imports::{self, Key, Table};
use vestibule_base::storage::{Conn, StorageError, Val};

use super::prepare::{Ready, ReadyEmail, ReadyKey, ReadyProvider};
use super::reason::{Problem, Reason};
use super::rows::insert;
use super::{Ids, ImportError, Importer};

/// What became of an account.
pub(super) enum Fate {
    /// It is user `id`.
    Taken { id: i64, problems: Vec<Problem> },
    /// It was taken in by an earlier run.
    AlreadyThere,
    /// It was not taken.
    Skipped(Vec<Problem>),
}

/// Ids that a dry run makes up: nobody will ever be given those, so that it need not take real ones away.
pub(super) struct MadeUp(i64);

impl MadeUp {
    pub(super) fn new() -> Self {
        Self(1 << 53)
    }

    fn take(&mut self, count: usize) -> Vec<i64> {
        let first = self.0;
        self.0 = first.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        (first..self.0).collect()
    }
}

/// An account that is taken, and what of it.
pub(super) struct Entry<'a> {
    pub(super) account: &'a Ready,
    pub(super) id: i64,
    pub(super) emails: Vec<(ReadyEmail, Claim)>,
    pub(super) phone: Option<(String, bool, Claim)>,
    /// Each with the id of its row.
    pub(super) providers: Vec<(&'a ReadyProvider, i64)>,
    pub(super) keys: Vec<&'a ReadyKey>,
    problems: Vec<Problem>,
}

/// Whether an account holds an address or number to the exclusion of all others.
pub(super) type Claim = bool;

/// Takes accounts in; gives the fate of each, in their order. Commits nothing.
pub(super) async fn write(
    importer: &Importer<'_>,
    tx: &mut Conn,
    accounts: &[Ready],
    made_up: Option<&mut MadeUp>,
) -> Result<Vec<Fate>, ImportError> {
    let source = &importer.options.source;
    let ids = accounts.iter().map(|account| account.source_id.clone()).collect();
    let known: HashSet<String> = imports::known(tx, source, ids).await?.into_iter().collect();
    let fresh: Vec<&Ready> = accounts.iter().filter(|account| !known.contains(&account.source_id)).collect();
    let mut batch = Batch::beside(importer, tx, &fresh).await?;
    let mut fates = Vec::with_capacity(accounts.len());
    for account in accounts {
        if known.contains(&account.source_id) {
            fates.push(Fate::AlreadyThere);
            continue;
        }
        match batch.admit(account) {
            // Neither is known yet.
            Ok(()) => fates.push(Fate::Taken { id: 0, problems: Vec::new() }),
            Err(problems) => fates.push(Fate::Skipped(problems)),
        }
    }
    imports::release_emails(tx, &batch.released_emails).await?;
    imports::release_phones(tx, &batch.released_phones).await?;
    let mut entries = batch.entries;
    number(importer.options.ids, tx, &mut entries, made_up).await?;
    let mut taken = entries.iter_mut();
    for fate in &mut fates {
        if let Fate::Taken { id, problems } = fate
            && let Some(entry) = taken.next()
        {
            *id = entry.id;
            *problems = std::mem::take(&mut entry.problems);
        }
    }
    insert(importer.keyring, tx, source, &entries).await?;
    Ok(fates)
}

/// Gives every entry its id, and what it has at third parties.
async fn number(
    policy: Ids,
    tx: &mut Conn,
    entries: &mut [Entry<'_>],
    made_up: Option<&mut MadeUp>,
) -> Result<(), StorageError> {
    let highest = entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    let users = entries.iter().filter(|entry| entry.id == 0).count();
    let accounts = entries.iter().map(|entry| entry.providers.len()).sum();
    let (users, accounts) = match made_up {
        Some(made_up) => (made_up.take(users), made_up.take(accounts)),
        None => (
            imports::reserve(tx, Table::Users, highest, users).await?,
            imports::reserve(tx, Table::SocialAccounts, 0, accounts).await?,
        ),
    };
    let (mut users, mut accounts) = (users.into_iter(), accounts.into_iter());
    let too_few = || StorageError::Broken("fewer ids than were asked for".to_owned());
    for entry in entries {
        if entry.id == 0 {
            entry.id = users.next().ok_or_else(too_few)?;
            if let Some(wished) = entry.account.id.filter(|_| policy == Ids::Renumber) {
                entry.problems.push(Reason::IdTaken.because(format!("id {wished}: in use")));
            }
        }
        for (_, id) in &mut entry.providers {
            *id = accounts.next().ok_or_else(too_few)?;
        }
    }
    Ok(())
}

/// What is in use: in the database, and by the entries so far.
struct Batch<'a> {
    ids_policy: Ids,
    unique_email: bool,
    lose_second_factors: bool,
    ids: HashSet<i64>,
    usernames: HashSet<String>,
    emails: HashMap<String, Holder>,
    phones: HashMap<String, Holder>,
    providers: HashSet<(String, String)>,
    credentials: HashSet<Vec<u8>>,
    /// Claims of accounts that never proved them, which give way to somebody who has.
    released_emails: Vec<String>,
    released_phones: Vec<String>,
    entries: Vec<Entry<'a>>,
}

/// Who claims an address or number.
#[derive(Clone, Copy)]
struct Holder {
    /// Whether they have proved it.
    verified: bool,
    /// The entry, if it is one.
    entry: Option<usize>,
}

impl<'a> Batch<'a> {
    /// Looks up what these accounts may meet.
    async fn beside(
        importer: &Importer<'_>,
        tx: &mut Conn,
        accounts: &[&Ready],
    ) -> Result<Self, StorageError> {
        let there = |rows: Vec<(String, bool)>| {
            let held = |(key, verified)| (key, Holder { verified, entry: None });
            rows.into_iter().map(held).collect()
        };
        let ids = accounts.iter().filter_map(|account| account.id.map(Val::from)).collect();
        let names =
            accounts.iter().filter_map(|account| Some(account.username.as_ref()?.key().into())).collect();
        let emails =
            accounts.iter().flat_map(|account| &account.emails).map(|row| row.email.clone()).collect();
        let phones = accounts.iter().filter_map(|account| Some(account.phone.as_ref()?.0.clone())).collect();
        let providers = accounts.iter().flat_map(|account| &account.providers);
        let providers = providers.map(|one| (one.provider.clone(), one.uid.clone())).collect();
        let keys = accounts.iter().flat_map(|account| &account.keys);
        let keys = keys.map(|key| key.credential.id.as_bytes().into()).collect();
        Ok(Self {
            ids_policy: importer.options.ids,
            unique_email: importer.config.account.unique_email,
            lose_second_factors: importer.options.lose_second_factors,
            ids: ints(imports::taken(tx, Key::UserId, ids).await?),
            usernames: texts(imports::taken(tx, Key::Username, names).await?),
            emails: there(imports::claimed_emails(tx, emails).await?),
            phones: there(imports::claimed_phones(tx, phones).await?),
            providers: imports::connected(tx, providers).await?.into_iter().collect(),
            credentials: bytes(imports::taken(tx, Key::Credential, keys).await?),
            released_emails: Vec::new(),
            released_phones: Vec::new(),
            entries: Vec::new(),
        })
    }

    /// Makes an entry of an account, or says why not.
    fn admit(&mut self, account: &'a Ready) -> Result<(), Vec<Problem>> {
        let mut problems = account.problems.clone();
        let judged = self.judge(account, &mut problems);
        let Some(entry) = judged else { return Err(problems) };
        let at = self.entries.len();
        if entry.id != 0 {
            self.ids.insert(entry.id);
        }
        self.usernames.extend(account.username.as_ref().map(|name| name.key()));
        for (row, claim) in &entry.emails {
            if *claim {
                self.hold_email(&row.email, Holder { verified: row.verified, entry: Some(at) });
            }
        }
        if let Some((phone, verified, _)) = &entry.phone {
            self.hold_phone(phone, Holder { verified: *verified, entry: Some(at) });
        }
        self.providers.extend(entry.providers.iter().map(|(one, _)| (one.provider.clone(), one.uid.clone())));
        self.credentials.extend(entry.keys.iter().map(|key| key.credential.id.as_bytes().to_vec()));
        self.entries.push(Entry { problems, ..entry });
        Ok(())
    }

    fn judge(&self, account: &'a Ready, problems: &mut Vec<Problem>) -> Option<Entry<'a>> {
        let wished = account.id.filter(|_| self.ids_policy != Ids::New);
        let taken = wished.is_some_and(|id| self.ids.contains(&id));
        if taken && self.ids_policy == Ids::Keep {
            problems.push(Reason::IdTaken.because(format!("id {}: in use", wished.unwrap_or_default())));
            return None;
        }
        if let Some(name) = &account.username
            && self.usernames.contains(&name.key())
        {
            problems.push(Reason::UsernameTaken.because(format!("username {:?}: in use", name.as_str())));
            return None;
        }
        let mut emails = Vec::new();
        for row in &account.emails {
            let claim = self.unique_email && (row.verified || row.primary);
            if claim && !may_hold(self.emails.get(&row.email), row.verified) {
                problems.push(Reason::EmailTaken.because(format!("email {}: in use", row.email)));
                // It is who they are. Without it they would be half an account, and perhaps somebody else's other half.
                if row.primary {
                    return None;
                }
                continue;
            }
            emails.push((row.clone(), claim));
        }
        let phone = account.phone.clone().filter(|(phone, verified)| {
            let free = may_hold(self.phones.get(phone), *verified);
            if !free {
                problems.push(Reason::PhoneTaken.because(format!("phone {phone}: in use")));
            }
            free
        });
        let providers = self.free_providers(account, problems);
        let keys = self.free_keys(account, problems);
        let nothing = account.username.is_none() && emails.is_empty() && phone.is_none();
        if nothing && providers.is_empty() && keys.is_empty() {
            problems.push(
                Reason::NoWayIn.because("no username, address, number, provider or passkey is left".into()),
            );
            return None;
        }
        let factors = account.totp.is_some() || !keys.is_empty();
        if account.had_factors && !factors {
            problems.push(Reason::NoFactorLeft.because("its second factors cannot be taken".into()));
            if !self.lose_second_factors {
                return None;
            }
        }
        Some(Entry {
            account,
            id: wished.filter(|_| !taken).unwrap_or(0),
            emails,
            phone: phone.map(|(phone, verified)| (phone, verified, true)),
            providers: providers.into_iter().map(|one| (one, 0)).collect(),
            keys,
            problems: Vec::new(),
        })
    }

    fn free_providers(&self, account: &'a Ready, problems: &mut Vec<Problem>) -> Vec<&'a ReadyProvider> {
        let mut own = HashSet::new();
        let mut free = |one: &&ReadyProvider| {
            let key = (one.provider.clone(), one.uid.clone());
            let free = !self.providers.contains(&key) && own.insert(key);
            if !free {
                problems.push(
                    Reason::ProviderTaken.because(format!("{} account {}: in use", one.provider, one.uid)),
                );
            }
            free
        };
        account.providers.iter().filter(|one| free(one)).collect()
    }

    fn free_keys(&self, account: &'a Ready, problems: &mut Vec<Problem>) -> Vec<&'a ReadyKey> {
        let mut own = HashSet::new();
        let mut free = |key: &&'a ReadyKey| {
            let id = key.credential.id.as_bytes();
            let free = !self.credentials.contains(id) && own.insert(id);
            if !free {
                problems.push(Reason::PasskeyTaken.because(format!("passkey {:?}: in use", key.name)));
            }
            free
        };
        account.keys.iter().filter(|key| free(key)).collect()
    }

    fn hold_email(&mut self, email: &str, holder: Holder) {
        let Some(former) = self.emails.insert(email.to_owned(), holder) else { return };
        match former.entry.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => {
                for (_, claim) in entry.emails.iter_mut().filter(|(row, _)| row.email == email) {
                    *claim = false;
                }
            }
            None => self.released_emails.push(email.to_owned()),
        }
    }

    fn hold_phone(&mut self, phone: &str, holder: Holder) {
        let Some(former) = self.phones.insert(phone.to_owned(), holder) else { return };
        match former.entry.and_then(|at| self.entries.get_mut(at)) {
            Some(Entry { phone: Some((_, _, claim)), .. }) => *claim = false,
            _ => self.released_phones.push(phone.to_owned()),
        }
    }
}

/// Whether somebody may claim what `holder` claims, as after a verification: who has proved it, from who has not.
fn may_hold(holder: Option<&Holder>, verified: bool) -> bool {
    holder.is_none_or(|holder| verified && !holder.verified)
}

fn ints(values: Vec<Val>) -> HashSet<i64> {
    values.into_iter().filter_map(|value| if let Val::Int(found) = value { found } else { None }).collect()
}

fn texts(values: Vec<Val>) -> HashSet<String> {
    values.into_iter().filter_map(|value| if let Val::Text(found) = value { found } else { None }).collect()
}

fn bytes(values: Vec<Val>) -> HashSet<Vec<u8>> {
    values.into_iter().filter_map(|value| if let Val::Bytes(found) = value { found } else { None }).collect()
}
