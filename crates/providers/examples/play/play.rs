//! Plays one case through the engine.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use url::{Url, form_urlencoded};
use vestibule_base::outbound::Outbound;
use vestibule_base::security::TestClock;
use vestibule_providers::{
    Arrival, Callback, Departure, Presented, Provider, ProviderError, Providers, Start, World, played,
};

use crate::app;
use crate::case::{Authorize, Case, Flow};
use crate::difference::{self, Difference};
use crate::expectation::{Expectation, Shown};
use crate::keys::Keys;
use crate::rule::{self, Rule, Used};
use crate::script::Script;

/// 2026-11-24T00:00:00Z. ID tokens of the cases hold from 2023 to 2100.
const NOW: i64 = 1_795_478_400;
pub(crate) const STATE: &str = "c3RhdGUtb2YtdGhlLXBsYXk";
const SITE: &str = "http://auth.example.com";
/// Where the dummy provider works.
const HOME: &str = "http://localhost:8000";

/// What came of a case.
#[derive(Debug)]
pub(crate) enum Verdict {
    Passed,
    /// Not played, for this reason.
    LeftOut(&'static str),
    Failed(Vec<Difference>),
}

/// Plays a case, and says by which departures it was judged.
pub(crate) async fn play(
    provider: &str,
    case: &Arc<Case>,
    others: &[Arc<Case>],
    keys: &Arc<Keys>,
    outbound: &Outbound,
) -> (Verdict, Used) {
    if case.flow == Flow::Mapping && provider == "saml" {
        return (Verdict::LeftOut("SAML is not built"), Used::default());
    }
    let mut used = case.mended.clone();
    match judged(provider, case, others, keys, outbound, &mut used).await {
        Ok(differences) if differences.is_empty() => (Verdict::Passed, used),
        Ok(differences) => (Verdict::Failed(differences), used),
        Err(why) => (Verdict::Failed(vec![Difference::surplus("the case", why)]), used),
    }
}

async fn judged(
    provider: &str,
    case: &Arc<Case>,
    others: &[Arc<Case>],
    keys: &Arc<Keys>,
    outbound: &Outbound,
    used: &mut Used,
) -> Result<Vec<Difference>, String> {
    let (expectation, departure) = Expectation::of(provider, case, others)?;
    if let Some(rule) = departure {
        used.insert(rule);
    }
    let (app, issuer_named) = app::of(provider, case)?;
    if issuer_named {
        used.insert(Rule::Issuer);
    }
    let moment = moment(case);
    if moment.is_some() {
        used.insert(Rule::Moment);
    }
    let now = moment.unwrap_or(NOW);
    let script = Arc::new(Script::new(case.clone(), keys.clone(), STATE, now));
    let site = if provider == "dummy" { HOME } else { SITE };
    if provider == "dummy" {
        used.insert(Rule::AtHome);
    }
    let world = World {
        outbound: outbound.clone().staged(script.clone()),
        clock: Arc::new(TestClock::at(now * 1000)),
        site: Url::parse(site).map_err(|error| error.to_string())?,
        patience: Duration::from_secs(5),
        query_email: case.config.query_email,
        store_tokens: case.config.store_tokens,
        oidc_prefix: "oidc".to_owned(),
    };
    let unsigned = app.secret.is_none() && provider == "telegram";
    let providers = match Providers::new(&[app], None, world.clone()) {
        Err(lines) if unsigned && lines == ["telegram: secret is needed"] => {
            used.insert(Rule::Secret);
            return Ok(Vec::new());
        }
        built => built.map_err(|lines| lines.join("; "))?,
    };
    let provider = providers.all().first().ok_or("the engine has no provider")?;
    let mut run = Run {
        case,
        script: &script,
        world: &world,
        providers: &providers,
        provider,
        used,
        differences: Vec::new(),
    };
    let arrival = match case.flow {
        Flow::Redirect | Flow::Classic => run.redirect().await?,
        Flow::Token => run.token().await?,
        Flow::Mapping => run.mapping().await?,
    };
    let mut differences = std::mem::take(&mut run.differences);
    let came = arrival.map(|arrival| {
        let (data, uid) = (&arrival.identity.extra_data, arrival.identity.uid.as_str());
        let shown = Shown {
            provider: provider.id().to_owned(),
            display: provider.display(data, uid),
            avatar_url: provider.avatar_url(data, uid),
            profile_url: provider.profile_url(data, uid),
        };
        (arrival, shown)
    });
    let review = script.review(expectation.wants_error());
    used.extend(&review.used);
    let known = script.known();
    differences.extend(expectation.check(&came, &review, &known, used));
    // What went over the wire comes first, as the rest follows from it.
    differences.splice(0..0, review.differences);
    Ok(differences)
}

/// A case while it is played.
struct Run<'a> {
    case: &'a Case,
    script: &'a Script,
    world: &'a World,
    providers: &'a Providers,
    provider: &'a Provider,
    used: &'a mut Used,
    differences: Vec<Difference>,
}

type Came = Result<Arrival, ProviderError>;

impl Run<'_> {
    async fn redirect(&mut self) -> Result<Came, String> {
        let (Some(authorize), Some(back)) = (&self.case.authorize, &self.case.callback) else {
            return Err("a redirect needs `authorize` and `callback`".to_owned());
        };
        let query: Vec<_> = authorize.redirect_endpoint_query.clone().into_iter().collect();
        let start = Start { state: STATE, query: &query };
        let departure = match self.providers.begin(self.provider, start).await {
            Ok(departure) if authorize.status == 302 => departure,
            Ok(departure) => {
                let what = "the redirect, where none must be";
                self.differences.push(Difference::surplus(what, departure.url));
                return Ok(Err(ProviderError::answer("not completed")));
            }
            // Whether an error is right is judged by the outcome.
            Err(error) => return Ok(Err(error)),
        };
        self.departure(authorize, &departure)?;
        let path = back.path.split('?').next().unwrap_or_default();
        let ours = self.provider.callback_path(self.world);
        self.differences.extend(difference::text("the callback's path", path, &ours));
        let in_path = back.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let in_path = form_urlencoded::parse(in_path.as_bytes()).into_owned();
        let given = back.params.clone().into_iter().chain(back.form.clone());
        let mut params: Vec<_> = in_path
            .chain(given)
            .map(|(name, value)| (name, self.script.brought(&value.replace("$state", STATE))))
            .collect();
        let named = params.iter().any(|(name, _)| name == "oauth_token");
        if let (Some(token), false) = (&departure.known_by, named) {
            self.used.insert(Rule::CallbackNames);
            params.push(("oauth_token".to_owned(), token.clone()));
        }
        Ok(self.providers.complete(self.provider, &departure.memory, &Callback { params }).await)
    }

    /// Compares the redirect, and tells the stage what it bore.
    fn departure(&mut self, authorize: &Authorize, departure: &Departure) -> Result<(), String> {
        let url = Url::parse(&departure.url).map_err(|error| format!("the redirect's URL: {error}"))?;
        let mut got: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let find = |name: &str| got.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        self.script.departed(find("code_challenge"), find("nonce"));
        let known = self.script.known();

        let mut expected = difference::parameters(&authorize.params);
        let mut bare = Url::parse(&authorize.url).map_err(|error| format!("authorize.url: {error}"))?;
        expected.extend(bare.query_pairs().into_owned());
        bare.set_query(None);
        let mut ours = url.clone();
        ours.set_query(None);
        self.differences.extend(difference::text("the redirect's URL", bare.as_str(), ours.as_str()));
        if let Some(scopes) = &authorize.scope {
            let at = got.iter().position(|(name, _)| name == "scope");
            let scope = at.map(|at| got.remove(at).1);
            self.scope(scopes, authorize.scope_delimiter.as_deref().unwrap_or(" "), scope);
        }
        let used = &mut *self.used;
        let kind = self.provider.kind();
        self.differences.extend(difference::pairs(
            "the redirect's",
            &expected,
            &got,
            &known,
            |name, value| {
                let rule = rule::authorize_parameter(kind, name, value);
                if let Some(rule) = rule {
                    used.insert(rule);
                }
                rule.is_some()
            },
        ));
        Ok(())
    }

    /// Scopes are a set: their order tells nothing.
    fn scope(&mut self, expected: &[String], delimiter: &str, got: Option<String>) {
        let Some(got) = got else {
            self.differences.push(Difference::missing("the redirect's `scope`", expected.join(delimiter)));
            return;
        };
        let mut expected = expected.to_vec();
        expected.sort();
        let mut parts: Vec<_> = got.split(delimiter).collect();
        parts.sort_unstable();
        let (expected, parts) = (expected.join(delimiter), parts.join(delimiter));
        self.differences.extend(difference::text("the redirect's `scope`", &expected, &parts));
    }

    async fn token(&self) -> Result<Came, String> {
        let request = self.case.token_request.as_ref().ok_or("a token flow needs `token_request`")?;
        let presented = Presented {
            id_token: request.token.id_token.clone().map(Into::into),
            access_token: request.token.access_token.clone().map(Into::into),
        };
        if !self.provider.supports_token() {
            return Ok(Err(ProviderError::brought("the provider does not do tokens")));
        }
        Ok(self.providers.verify_token(self.provider, &presented).await)
    }

    async fn mapping(&self) -> Result<Came, String> {
        let assertion = self.case.assertion.as_ref().ok_or("a mapping needs `assertion`")?;
        let texts = |name: &str| {
            let object = assertion.get(name).and_then(Value::as_object).into_iter().flatten();
            object.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let identity_url = assertion.get("identity_url").and_then(Value::as_str);
        let identity_url = identity_url.ok_or("an assertion without `identity_url`")?;
        let (sreg, ax) = (texts("sreg"), texts("ax"));
        let identity = played::assertion(self.world, self.provider, identity_url, &sreg, &ax).await;
        Ok(identity.map(|identity| Arrival { identity, tokens: None, replay: None }))
    }
}

/// The moment that a signed result names, which is good for moments only.
fn moment(case: &Case) -> Option<i64> {
    let result = case.callback.as_ref()?.form.get("tgAuthResult")?;
    let result = BASE64_URL_SAFE_NO_PAD.decode(result.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Value>(&result).ok()?.get("auth_date")?.as_i64()
}
