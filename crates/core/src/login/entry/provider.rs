//! Coming in by a third party: back from a redirect, with a token, or with what a signup still lacked.

use vestibule_base::config::{Action, ClientKind, Presence, SignupField};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, emails, phones, social as rows};
use vestibule_providers::{Arrival, Callback, Identity, POSTED, Presented, Provider, ProviderError};

use super::provider_signup::{self, Entered, EnteredVerdict, Verdict};
use crate::account::{EmailAddress, by_email, verify_email};
use crate::consult::{self, Admitted};
use crate::context::Ctx;
use crate::event::Event;
use crate::login::pipeline::{self, Login, State};
use crate::refusal::{Outcome, Problem, Refusal};
use crate::session;
use crate::social::flow::{self, Returned};
use crate::social::pending::Pending;
use crate::social::{self, Failure, Process, ReturnUrl, connect, pending, tokens};
use crate::visit::{Change, Method, Record, Visit};

/// How often it is tried again when another request was faster with the same account.
const TRIES: u32 = 3;

/// Sends somebody to a provider, as a form of the front end asks; gives where the browser goes, which is the front end
/// again if it cannot be done.
pub async fn send_away(
    ctx: &Ctx,
    visit: &mut Visit,
    form: &[(String, String)],
    query: &[(String, String)],
) -> String {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let back = field("callback_url").and_then(|url| ReturnUrl::parse(&ctx.config, url));
    let process = field("process").and_then(Process::named);
    let provider = field("provider").and_then(|id| social::named(ctx, id, None));
    // An app has no cookies to come back with.
    let browser = visit.client == ClientKind::Browser;
    let (Some(back), Some(process), Some(provider), true) = (back, process, provider, browser) else {
        return ReturnUrl::fallback(&ctx.config).with_error("unknown", Process::Login.name());
    };
    if !provider.supports_redirect() {
        return back.with_error("unknown", process.name());
    }
    if let Err(refusal) = ctx.limit_request(visit, Action::Login, None).await {
        let failure = Failure::Refused(refusal);
        tell(ctx, visit, provider, &failure).await;
        return back.with_error(failure.code(), process.name());
    }
    match flow::start(ctx, visit, provider, process, &back, query).await {
        Ok(url) => url,
        Err(failure) => {
            tell(ctx, visit, provider, &failure).await;
            visit.change = Change::Kept;
            back.with_error(failure.code(), process.name())
        }
    }
}

/// Takes back somebody who was sent to a provider, whatever they bring; gives where the browser goes now. What went wrong
/// is told there.
pub async fn come_back(ctx: &Ctx, visit: &mut Visit, providers: &[&Provider], callback: Callback) -> String {
    let returned = match flow::take(ctx, visit, providers, callback).await {
        Ok(Some(returned)) => returned,
        Ok(None) => return ReturnUrl::fallback(&ctx.config).with_error("unknown", Process::Login.name()),
        Err(refusal) => {
            tracing::error!(error = %refusal, "a provider's callback failed");
            return ReturnUrl::fallback(&ctx.config).with_error("unknown", Process::Login.name());
        }
    };
    match complete(ctx, visit, &returned).await {
        Ok(()) => returned.back.as_str().to_owned(),
        Err(failure) => {
            tell(ctx, visit, returned.provider, &failure).await;
            let nobody = matches!(failure, Failure::Refused(Refusal::Unauthenticated));
            let code = match returned.process {
                Process::Connect if nobody => "permission_denied",
                _ => failure.code(),
            };
            returned.back.with_error(code, returned.process.name())
        }
    }
}

async fn complete(ctx: &Ctx, visit: &mut Visit, returned: &Returned<'_>) -> Result<(), Failure> {
    let completed = ctx.providers.complete(returned.provider, &returned.memory, &returned.callback);
    let arrival = social::in_time(ctx, completed).await?;
    Ok(arrive(ctx, visit, returned.provider, &arrival, returned.process).await?)
}

/// Takes in somebody who brings a provider's token.
///
/// # Errors
/// [`Refusal::Invalid`] if it proves nothing; else as for other ways in.
pub async fn by_token(
    ctx: &Ctx,
    visit: &mut Visit,
    provider: &Provider,
    presented: &Presented,
    process: Process,
) -> Outcome<()> {
    if process == Process::Connect {
        visit.current()?;
    }
    let verified = ctx.providers.verify_token(provider, presented);
    let arrival = match social::in_time(ctx, verified).await {
        Ok(arrival) => arrival,
        Err(error) => {
            let failure = Failure::Provider(error);
            tell(ctx, visit, provider, &failure).await;
            return Err(match failure {
                Failure::Provider(ProviderError::Outbound(error)) => Refusal::Fault(error.into()),
                _ => Refusal::from(Problem::invalid_token().on("token")),
            });
        }
    };
    arrive(ctx, visit, provider, &arrival, process).await
}

async fn tell(ctx: &Ctx, visit: &Visit, provider: &Provider, failure: &Failure) {
    let user = visit.session.user().map(|current| current.user.id);
    let detail = format!("{}: {failure}", provider.id());
    if let Err(fault) = ctx.record_alone(visit, Event::ProviderFailed, user, &detail).await {
        tracing::error!(error = %fault, "an event could not be written");
    }
    if let Failure::Refused(Refusal::Fault(fault)) = failure {
        tracing::error!(error = %fault, "a login by a provider failed");
    }
}

/// Does what somebody came for.
async fn arrive(
    ctx: &Ctx,
    visit: &mut Visit,
    provider: &Provider,
    arrival: &Arrival,
    process: Process,
) -> Outcome<()> {
    if process == Process::Connect {
        return connect::connect(ctx, visit, provider, arrival).await;
    }
    // Whoever is logged in leaves; if nothing comes of it, they have not.
    let before = std::mem::take(&mut visit.session);
    for _ in 0..TRIES {
        (visit.session, visit.change) = (session::same(&before), Change::Kept);
        match log_in(ctx, visit, provider, arrival).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(refusal) => {
                (visit.session, visit.change) = (before, Change::Kept);
                (visit.entered, visit.granting) = (false, None);
                return Err(refusal);
            }
        }
    }
    (visit.session, visit.change) = (before, Change::Kept);
    Err(Refusal::Conflict)
}

/// Logs in, or signs up; `false` if another request changed what this one relied on.
async fn log_in(ctx: &Ctx, visit: &mut Visit, provider: &Provider, arrival: &Arrival) -> Outcome<bool> {
    let mut conn = ctx.db.read().await?;
    let known = rows::find(&mut conn, provider.id(), &arrival.identity.uid).await?;
    let user_id = match &known {
        Some(account) => Some(account.user_id),
        None => by_address(ctx, &mut conn, provider, &arrival.identity).await?.map(|(user, _)| user.id),
    };
    let Some(user_id) = user_id else {
        drop(conn);
        return sign_up(ctx, visit, provider, arrival).await;
    };
    let user = users::find(&mut conn, user_id).await?.filter(|user| user.is_active);
    let user = user.ok_or(Refusal::Unauthenticated)?;
    drop(conn);
    let admitted = consult::before_login(ctx, visit, &user, Method::Socialaccount).await?;
    let mut tx = ctx.db.write().await?;
    users::lock(&mut tx, user_id).await?;
    let mut user = users::find(&mut tx, user_id).await?.filter(|user| user.is_active);
    let user = user.as_mut().ok_or(Refusal::Unauthenticated)?;
    social::spend(&mut tx, visit, arrival).await?;
    let account_id = match known {
        Some(account) => {
            let extra = arrival.identity.extra_data.to_string();
            if !rows::touch(&mut tx, account.id, &extra, visit.now).await? {
                return Ok(false);
            }
            Some(account.id)
        }
        None => {
            // Looked at again behind the lock.
            match by_address(ctx, &mut tx, provider, &arrival.identity).await? {
                Some((found, email)) if found.id == user_id => {
                    accept_address(ctx, &mut tx, visit, provider, arrival, user, &email).await?
                }
                _ => return Ok(false),
            }
        }
    };
    if let Some(account_id) = account_id {
        tokens::keep(ctx, &mut tx, account_id, arrival.tokens.as_ref()).await?;
    }
    let login = Login {
        user: Some(user.clone()),
        state: State {
            records: vec![record(visit, provider, &arrival.identity)],
            provider: true,
            ..State::default()
        },
        ..Login::default()
    };
    enter(ctx, &mut tx, visit, login, &admitted).await?;
    ctx.commit(tx).await?;
    Ok(true)
}

/// The account that a verified address of the provider stands for, where such addresses log in (H3): one that has proved it
/// too, or one that has proved nothing, no number either, and will be cleaned of whatever was set up there before (H1).
async fn by_address(
    ctx: &Ctx,
    conn: &mut Conn,
    provider: &Provider,
    identity: &Identity,
) -> Outcome<Option<(User, String)>> {
    if !provider.email_authentication().unwrap_or(ctx.config.socialaccount.email_authentication) {
        return Ok(None);
    }
    for address in identity.emails.iter().filter(|address| address.verified) {
        let Some(email) = EmailAddress::parse(&address.email, ctx.config.account.email_max_length as usize)
        else {
            continue;
        };
        let found = by_email(conn, &email).await?;
        let [user] = found.as_slice() else { continue };
        let own = emails::of_user(conn, user.id).await?;
        let proved = own.iter().any(|row| row.verified && row.email == email.as_str());
        let number = phones::of_user(conn, user.id).await?.is_some_and(|row| row.verified);
        if proved || (!number && own.iter().all(|row| !row.verified)) {
            return Ok(Some((user.clone(), email.as_str().to_owned())));
        }
    }
    Ok(None)
}

/// Takes a provider's word for an address as its owner's proof; connects the account where that is configured.
async fn accept_address(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &Visit,
    provider: &Provider,
    arrival: &Arrival,
    user: &mut User,
    email: &str,
) -> Outcome<Option<i64>> {
    verify_email::mark_verified_in_passing(ctx, tx, visit, user, email, true).await?;
    if !ctx.config.socialaccount.email_authentication_auto_connect {
        return Ok(None);
    }
    connect::insert(ctx, tx, visit, provider, &arrival.identity, user.id).await.map(Some)
}

/// Makes an account of what the provider said, asks for what is lacking, or pretends; `false` if another request was faster.
async fn sign_up(ctx: &Ctx, visit: &mut Visit, provider: &Provider, arrival: &Arrival) -> Outcome<bool> {
    if !ctx.config.account.is_open_for_signup {
        return Err(Refusal::Forbidden);
    }
    let identity = &arrival.identity;
    let mut conn = ctx.db.read().await?;
    let asks = matches!(judge(ctx, &mut conn, identity).await?, Verdict::Ask);
    drop(conn);
    let admitted = match asks {
        true => None,
        false => Some(admit_new(ctx, visit, provider, identity, &Entered::default()).await?),
    };
    let mut tx = ctx.db.write().await?;
    social::spend(&mut tx, visit, arrival).await?;
    let begun = sign_up_admitted(ctx, &mut tx, visit, provider, arrival, admitted.as_ref()).await?;
    if begun {
        ctx.commit(tx).await?;
    }
    Ok(begun)
}

/// What becomes of a signup without asking.
async fn judge(ctx: &Ctx, conn: &mut Conn, identity: &Identity) -> Outcome<Verdict> {
    match ctx.config.socialaccount.auto_signup {
        true => provider_signup::judge(ctx, conn, identity).await,
        false => Ok(Verdict::Ask),
    }
}

/// Asks whether somebody may sign up for whom a provider vouches.
async fn admit_new(
    ctx: &Ctx,
    visit: &Visit,
    provider: &Provider,
    identity: &Identity,
    entered: &Entered,
) -> Outcome<Admitted> {
    let attempt = |ctx: &Ctx| provider_signup::attempt(ctx, visit, provider, identity, entered);
    consult::before_signup(ctx, visit, attempt).await
}

async fn sign_up_admitted(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    provider: &Provider,
    arrival: &Arrival,
    admitted: Option<&Admitted>,
) -> Outcome<bool> {
    let identity = &arrival.identity;
    let verdict = judge(ctx, tx, identity).await?;
    // What is taken may be taken by the same person, who has come twice at once.
    if rows::find(tx, provider.id(), &identity.uid).await?.is_some() {
        return Ok(false);
    }
    let new = match (verdict, admitted) {
        (Verdict::Ask, _) => {
            step_out(ctx, tx, visit).await?;
            pending::forget(tx, visit).await?;
            pending::hold(ctx, tx, visit, provider, identity, arrival.tokens.as_ref()).await?;
            return Ok(true);
        }
        // Nothing could be made before, and now it could: the application has yet to be asked.
        (_, None) => return Ok(false),
        (Verdict::Pretend(email), Some(admitted)) => {
            enter(ctx, tx, visit, pretence(Some(email.as_str().to_owned()), None), admitted).await?;
            return Ok(true);
        }
        (Verdict::Make(new), Some(admitted)) => (new, admitted),
    };
    let person = Person { provider, identity, tokens: arrival.tokens.as_ref() };
    make(ctx, tx, visit, &person, &new.0, new.1).await
}

/// A login of nobody, for an address or a number that is another account's.
fn pretence(email: Option<String>, phone: Option<String>) -> Login {
    Login { user: None, state: State { signup: true, email, phone, ..State::default() }, ..Login::default() }
}

/// For whom a provider vouches.
struct Person<'a> {
    provider: &'a Provider,
    identity: &'a Identity,
    tokens: Option<&'a vestibule_providers::Tokens>,
}

async fn make(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    person: &Person<'_>,
    new: &provider_signup::NewUser,
    admitted: &Admitted,
) -> Outcome<bool> {
    let Person { provider, identity, tokens: held } = *person;
    let Some(user) = provider_signup::create(ctx, tx, visit, new).await? else { return Ok(false) };
    let extra = identity.extra_data.to_string();
    let account = rows::insert(tx, user.id, provider.id(), &identity.uid, &extra, visit.now).await?;
    let Some(account_id) = account else { return Ok(false) };
    tokens::keep(ctx, tx, account_id, held).await?;
    let state = State {
        signup: true,
        provider: true,
        records: vec![record(visit, provider, identity)],
        ..State::default()
    };
    enter(ctx, tx, visit, Login { user: Some(user), state, ..Login::default() }, admitted).await?;
    Ok(true)
}

/// Completes the signup that waits in this session with what its user has entered; `problems` are those of reading it.
///
/// # Errors
/// [`Refusal::Conflict`] if none waits, [`Refusal::Forbidden`] if signup is closed, [`Refusal::Invalid`],
/// [`Refusal::Barred`]: then it waits no longer (L3).
pub async fn finish_signup(
    ctx: &Ctx,
    visit: &mut Visit,
    entered: &Entered,
    mut problems: Vec<Problem>,
) -> Outcome<()> {
    let mut conn = ctx.db.read().await?;
    let waiting = pending::find(ctx, &mut conn, visit).await?.ok_or(Refusal::Conflict)?;
    if !ctx.config.account.is_open_for_signup {
        return Err(Refusal::Forbidden);
    }
    problems.extend(provider_signup::judge_entered(ctx, &mut conn, &waiting.identity, entered).await?.1);
    drop(conn);
    if !problems.is_empty() {
        return Err(Refusal::Invalid(problems));
    }
    let admitted = admit_new(ctx, visit, waiting.provider, &waiting.identity, entered).await;
    if let Err(Refusal::Barred) = admitted {
        let mut tx = ctx.db.write().await?;
        pending::take(&mut tx, &waiting).await?;
        tx.commit().await?;
    }
    let admitted = admitted?;
    for _ in 0..TRIES {
        let mut tx = ctx.db.write().await?;
        // It must still be the one that was asked about.
        let same = |now: &Pending<'_>| {
            now.provider.id() == waiting.provider.id() && now.identity.uid == waiting.identity.uid
        };
        let waiting = pending::find(ctx, &mut tx, visit).await?.filter(same).ok_or(Refusal::Conflict)?;
        let (verdict, problems) =
            provider_signup::judge_entered(ctx, &mut tx, &waiting.identity, entered).await?;
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        pending::take(&mut tx, &waiting).await?;
        let done = match verdict {
            EnteredVerdict::Pretend { email, phone } => {
                enter(ctx, &mut tx, visit, pretence(email, phone), &admitted).await?;
                true
            }
            EnteredVerdict::Make(new) => {
                let (provider, identity) = (waiting.provider, &waiting.identity);
                // Somebody may have come by the same account in another session, and be signed up.
                if rows::find(&mut tx, provider.id(), &identity.uid).await?.is_some() {
                    return Err(Refusal::Conflict);
                }
                let person = Person { provider, identity, tokens: waiting.tokens.as_ref() };
                make(ctx, &mut tx, visit, &person, &new, &admitted).await?
            }
        };
        if done {
            return ctx.commit(tx).await;
        }
    }
    Err(Refusal::Conflict)
}

/// Begins the login, in place of whoever was logged in. Redirects that the same user has under way go on.
async fn enter(
    ctx: &Ctx,
    tx: &mut Conn,
    visit: &mut Visit,
    login: Login,
    admitted: &Admitted,
) -> Outcome<()> {
    let coming = login.user.as_ref().map(|user| user.id);
    let leaving = visit.session.user().map(|current| (current.session_id, current.user.id));
    let carried = match leaving {
        Some((session_id, user_id)) if Some(user_id) == coming => flow::carry_out(tx, session_id).await?,
        _ => Vec::new(),
    };
    step_out(ctx, tx, visit).await?;
    pending::forget(tx, visit).await?;
    pipeline::enter(ctx, tx, visit, login, admitted).await?;
    match visit.session.id() {
        Some(session_id) => flow::carry_in(tx, session_id, carried).await,
        None => Ok(()),
    }
}

/// Ends the session of whoever is logged in.
async fn step_out(ctx: &Ctx, tx: &mut Conn, visit: &mut Visit) -> Outcome<()> {
    if visit.session.user().is_some() {
        session::end_within(ctx, tx, visit).await?;
    }
    Ok(())
}

fn record(visit: &Visit, provider: &Provider, identity: &Identity) -> Record {
    Record {
        provider: Some((provider.id().to_owned(), identity.uid.clone())),
        ..Record::new(Method::Socialaccount, visit.now)
    }
}

/// Whether people must give a number when they sign up.
pub(super) fn phone_required(ctx: &Ctx) -> bool {
    ctx.config.account.signup_fields.get(SignupField::Phone) == Some(Presence::Required)
}

/// Keeps what a page elsewhere has posted, and gives where the browser fetches it: with its session, which it does not send
/// along with such a form.
pub async fn fetch_answer(
    ctx: &Ctx,
    visit: &Visit,
    providers: &[&Provider],
    path: &str,
    callback: &Callback,
) -> String {
    match flow::keep_answer(ctx, visit, providers, callback).await {
        Ok(Some(name)) => {
            let query = [("state", name.as_str()), (POSTED, "1")];
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            return format!("{path}?{query}");
        }
        Ok(None) => {}
        Err(refusal) => tracing::error!(error = %refusal, "a provider's form could not be kept"),
    }
    ReturnUrl::fallback(&ctx.config).with_error("unknown", Process::Login.name())
}
