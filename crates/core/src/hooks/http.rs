//! The application at the other end of HTTP: each question is a signed POST with a deadline.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vestibule_base::config::{self, HookCall};
use vestibule_base::outbound::{Endpoint, Outbound, OutboundError};
use vestibule_base::security::token::unique_id;
use vestibule_base::security::{Clock, NoWebhookKey, SignedHeaders, WebhookKey};

use super::{HookError, HookFuture, Hooks, LoginAttempt, Problem, SignupAttempt, UserView, Verdict, answer};

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// The most problems, and the most characters of a code, a field's name and a message.
const MOST_PROBLEMS: usize = 20;
const LONGEST_WORD: usize = 100;
const LONGEST_MESSAGE: usize = 1000;
/// The code of a problem that has none.
const REFUSED: &str = "refused";

/// A service of the operator that is asked.
#[derive(Debug)]
pub struct HttpHooks {
    endpoint: Endpoint,
    keys: Vec<WebhookKey>,
    calls: Vec<HookCall>,
    clock: Arc<dyn Clock>,
}

/// Why `[hooks]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HookSettingError {
    /// A key.
    #[error("hooks.secrets: {0}")]
    Key(#[from] NoWebhookKey),
    /// The service's address.
    #[error("hooks.url: {0}")]
    Url(#[from] OutboundError),
}

impl HttpHooks {
    /// Those of the settings, if anything is to be asked.
    ///
    /// # Errors
    /// [`HookSettingError`].
    pub fn new(
        settings: &config::Hooks,
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, HookSettingError> {
        let Some(url) = settings.url.as_ref().filter(|_| !settings.calls.is_empty()) else { return Ok(None) };
        let keys = settings.secrets.iter().map(|secret| WebhookKey::parse(secret.expose_secret()));
        let patience = Duration::from_secs(u64::try_from(settings.timeout).unwrap_or_default());
        Ok(Some(Self {
            endpoint: outbound.configured(url)?.within(patience),
            keys: keys.collect::<Result<_, _>>()?,
            calls: settings.calls.clone(),
            clock,
        }))
    }

    fn asks(&self, call: HookCall) -> bool {
        self.calls.contains(&call)
    }

    /// Asks. Neither question nor answer appears in an error.
    async fn ask<T: DeserializeOwned>(&self, call: HookCall, data: &impl Serialize) -> Result<T, HookError> {
        let failed =
            |reason: &dyn std::fmt::Display| HookError::new(format_args!("{}: {reason}", call.name()));
        let body = serde_json::to_string(&Question { hook: call, data }).map_err(|error| failed(&error))?;
        let id = unique_id().map_err(|error| failed(&error))?;
        let headers = SignedHeaders::new(&self.keys, &id, self.clock.now(), &body);
        let answered = self.endpoint.post_json(body, &headers.pairs()).await;
        let answered = answered.map_err(|error| failed(&error))?;
        if answered.status != 200 {
            return Err(failed(&format_args!("answered with status {}", answered.status)));
        }
        if answered.text.len() > LARGEST {
            return Err(failed(&"the answer is larger than 64 KiB"));
        }
        serde_json::from_str(&answered.text).map_err(|_| failed(&"the answer is not of the form agreed upon"))
    }

    async fn judge(&self, call: HookCall, data: &impl Serialize) -> Result<Verdict, HookError> {
        match self.ask(call, data).await? {
            VerdictAnswer::Allow => Ok(Verdict::Allow),
            VerdictAnswer::Refuse { errors } if errors.len() <= MOST_PROBLEMS => {
                let problems = errors.into_iter().map(ErrorAnswer::into_problem).collect::<Option<_>>();
                problems
                    .map(Verdict::Refuse)
                    .ok_or_else(|| HookError::new("an error of a refusal is too long"))
            }
            VerdictAnswer::Refuse { .. } => Err(HookError::new("a refusal has too many errors")),
        }
    }
}

#[derive(Serialize)]
struct Question<'a, T> {
    hook: HookCall,
    data: &'a T,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum VerdictAnswer {
    Allow,
    Refuse {
        #[serde(default)]
        errors: Vec<ErrorAnswer>,
    },
}

#[derive(Deserialize)]
struct ErrorAnswer {
    message: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    param: Option<String>,
}

impl ErrorAnswer {
    fn into_problem(self) -> Option<Problem> {
        let code = self.code.unwrap_or_else(|| REFUSED.to_owned());
        let words = [Some(&code), self.param.as_ref()];
        let fits = self.message.chars().count() <= LONGEST_MESSAGE
            && words.into_iter().flatten().all(|word| word.chars().count() <= LONGEST_WORD);
        let problem = Problem::given(code, self.message);
        fits.then(|| match self.param {
            Some(param) => problem.on(param),
            None => problem,
        })
    }
}

#[derive(Deserialize)]
struct FieldsAnswer {
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct ClaimsAnswer {
    claims: Map<String, Value>,
}

#[derive(Serialize)]
struct UserQuestion<'a> {
    user: &'a UserView,
}

impl Hooks for HttpHooks {
    fn before_signup<'a>(&'a self, attempt: &'a SignupAttempt) -> HookFuture<'a, Verdict> {
        if !self.asks(HookCall::BeforeSignup) {
            return answer(Verdict::Allow);
        }
        Box::pin(self.judge(HookCall::BeforeSignup, attempt))
    }

    fn before_login<'a>(&'a self, attempt: &'a LoginAttempt) -> HookFuture<'a, Verdict> {
        if !self.asks(HookCall::BeforeLogin) {
            return answer(Verdict::Allow);
        }
        Box::pin(self.judge(HookCall::BeforeLogin, attempt))
    }

    fn user_fields<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        if !self.asks(HookCall::User) {
            return answer(Map::new());
        }
        Box::pin(async move {
            let FieldsAnswer { fields } = self.ask(HookCall::User, &UserQuestion { user }).await?;
            Ok(fields)
        })
    }

    fn access_token_claims<'a>(&'a self, user: &'a UserView) -> HookFuture<'a, Map<String, Value>> {
        if !self.asks(HookCall::Claims) {
            return answer(Map::new());
        }
        Box::pin(async move {
            let ClaimsAnswer { claims } = self.ask(HookCall::Claims, &UserQuestion { user }).await?;
            Ok(claims)
        })
    }
}
