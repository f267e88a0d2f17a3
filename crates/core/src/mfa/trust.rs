//! Trusted browsers: where somebody proved themselves once and said so, they are not asked again for a while.

use vestibule_base::config::ClientKind;
use vestibule_base::security::clock::SECOND;
use vestibule_base::security::{Purpose, Token};
use vestibule_base::storage::users::User;
use vestibule_base::storage::{Conn, authenticators, trust as rows};

use crate::context::Ctx;
use crate::event::Event;
use crate::refusal::Outcome;
use crate::visit::Visit;

/// Whether this browser was trusted by `user`, lately, and under the credentials that they have now (M5).
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn is_trusted(ctx: &Ctx, conn: &mut Conn, visit: &Visit, user: &User) -> Outcome<bool> {
    // Apps carry no cookies: whatever sends one for them could send a stolen one.
    let Some(token) = visit.trust.as_ref().filter(|_| visit.client == ClientKind::Browser) else {
        return Ok(false);
    };
    let Some(mark) = rows::mark(conn, &token.digest(), user.id, visit.now).await? else { return Ok(false) };
    Ok(ctx.keyring.verify(Purpose::Trust, &credentials(conn, user).await?, &mark))
}

/// Trusts this browser; gives the token that it is to show. Always a new one: one that somebody put there before would
/// be known to them.
///
/// # Errors
/// [`Refusal::Fault`](crate::Refusal::Fault).
pub async fn issue(ctx: &Ctx, tx: &mut Conn, visit: &Visit, user: &User) -> Outcome<Token> {
    let token = Token::generate()?;
    if let Some(old) = &visit.trust {
        rows::rename(tx, &old.digest(), &token.digest()).await?;
    }
    let mark = ctx.keyring.mac(Purpose::Trust, &credentials(tx, user).await?);
    let lifetime = ctx.config.mfa.trust_cookie_age.saturating_mul(SECOND);
    rows::put(tx, &token.digest(), user.id, &mark, visit.now.saturating_add(lifetime)).await?;
    ctx.record(tx, visit, Event::BrowserTrusted, Some(user.id), "").await?;
    Ok(token)
}

/// What trust depends on: the password, and which authenticators there are. Ids are never given twice, so that one that
/// was set up anew is another one.
async fn credentials(conn: &mut Conn, user: &User) -> Outcome<Vec<u8>> {
    let password = user.password.as_ref().map_or("", |hash| hash.as_str());
    let mut all = format!("{}:{password}", user.id);
    for row in authenticators::of_user(conn, user.id).await? {
        all.push_str(&format!(":{}={}", row.id, row.kind.name()));
    }
    Ok(all.into_bytes())
}
