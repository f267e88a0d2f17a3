//! Settings that have no place here, and why.

/// Why a setting is not taken over; `None` if nothing is known against it.
pub(super) fn of(name: &str) -> Option<&'static str> {
    REASONS.iter().find(|(names, _)| names.contains(&name)).map(|(_, reason)| *reason)
}

const REASONS: &[(&[&str], &str)] = &[
    (
        &[
            "ACCOUNT_ADAPTER",
            "SOCIALACCOUNT_ADAPTER",
            "MFA_ADAPTER",
            "HEADLESS_ADAPTER",
            "USERSESSIONS_ADAPTER",
        ],
        "an adapter is a program. What it does may be a setting here (account.is_open_for_signup, mail templates, \
         headless.frontend_urls), or a hook. If it encrypts second factors, those cannot be read: see the report of the import",
    ),
    (
        &["ACCOUNT_SIGNUP_FORM_CLASS"],
        "further fields of the signup are settings or hooks here, not a form class",
    ),
    (
        &["ACCOUNT_FORMS", "SOCIALACCOUNT_FORMS", "MFA_FORMS"],
        "there are no forms here; rules of your own are hooks",
    ),
    (
        &["ACCOUNT_USER_MODEL_USERNAME_FIELD"],
        "of the user model: give its column to `vestibule import django --username-column`",
    ),
    (
        &["ACCOUNT_USER_MODEL_EMAIL_FIELD"],
        "of the user model: give its column to `vestibule import django --email-column`",
    ),
    (
        &[
            "ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS",
            "ACCOUNT_CONFIRM_EMAIL_ON_GET",
            "ACCOUNT_EMAIL_CONFIRMATION_ANONYMOUS_REDIRECT_URL",
            "ACCOUNT_EMAIL_CONFIRMATION_AUTHENTICATED_REDIRECT_URL",
            "ACCOUNT_LOGOUT_ON_GET",
            "ACCOUNT_LOGOUT_REDIRECT_URL",
            "ACCOUNT_PASSWORD_INPUT_RENDER_VALUE",
            "ACCOUNT_SIGNUP_REDIRECT_URL",
            "ACCOUNT_TEMPLATE_EXTENSION",
            "SOCIALACCOUNT_LOGIN_ON_GET",
            "SOCIALACCOUNT_SOCIALACCOUNT_STR",
            "HEADLESS_SPECIFICATION_TEMPLATE_NAME",
        ],
        "of Django's own pages, which the front end or the account portal takes the place of",
    ),
    (&["ACCOUNT_DEFAULT_HTTP_PROTOCOL"], "links begin with server.public_url"),
    (
        &["ACCOUNT_SALT", "ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR", "ALLAUTH_DEFAULT_AUTO_FIELD"],
        "of the inside of Django",
    ),
    (&["ACCOUNT_PASSWORD_MIN_LENGTH"], "use MinimumLengthValidator in passwords.validators"),
    (
        &["ACCOUNT_USERNAME_VALIDATORS"],
        "user names consist of letters, digits and _@.+- here; other rules are hooks",
    ),
    (&["MFA_TOTP_INSECURE_BYPASS_CODE"], "there is no code that always works"),
    (
        &["SECRET_KEY", "SECRET_KEY_FALLBACKS"],
        "Vestibule has a key of its own (server.secret_key): nothing that is taken over depends on Django's",
    ),
    (
        &["PASSWORD_HASHERS"],
        "all of Django's hashes verify; each becomes Argon2id when its owner next logs in (passwords.argon2)",
    ),
    (
        &[
            "CORS_ALLOW_ALL_ORIGINS",
            "CORS_ORIGIN_ALLOW_ALL",
            "CORS_ALLOWED_ORIGIN_REGEXES",
            "CORS_ORIGIN_REGEX_WHITELIST",
        ],
        "origins are listed one by one here: server.cors_allowed_origins",
    ),
    (
        &[
            "CORS_ALLOW_CREDENTIALS",
            "CORS_ALLOW_HEADERS",
            "CORS_ALLOW_METHODS",
            "CORS_EXPOSE_HEADERS",
            "CORS_PREFLIGHT_MAX_AGE",
            "CORS_URLS_REGEX",
        ],
        "the listed origins may do what the API needs",
    ),
    (&["CSRF_COOKIE_HTTPONLY"], "scripts read the token from the cookie, as single-page applications do"),
    (
        &["CSRF_USE_SESSIONS", "CSRF_FAILURE_VIEW", "CSRF_COOKIE_MASKED"],
        "the token is in a cookie, and answers are JSON",
    ),
    (
        &["SESSION_ENGINE", "SESSION_CACHE_ALIAS", "SESSION_SERIALIZER", "SESSION_FILE_PATH"],
        "sessions are in Vestibule's database. Those of Django are not taken over: people log in again",
    ),
    (
        &["SESSION_EXPIRE_AT_BROWSER_CLOSE"],
        "account.session_remember = false makes cookies that end with the browser",
    ),
    (
        &["EMAIL_SUBJECT_PREFIX", "EMAIL_USE_LOCALTIME", "EMAIL_FILE_PATH"],
        "of mails that Django sends to administrators or into files",
    ),
    (&["EMAIL_SSL_CERTFILE", "EMAIL_SSL_KEYFILE"], "a certificate of the client is not used here"),
];
