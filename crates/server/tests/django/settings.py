"""Settings of a project as people write them, for the tests of `vestibule import django-settings`."""

import os
from datetime import timedelta
from pathlib import Path

import environ

from .base import *  # noqa: F403

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = env("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)

ALLOWED_HOSTS = [".shop.example", "*"]
SITE_ID = 1
AUTH_USER_MODEL = "people.Person"
LANGUAGE_CODE = "de-at"
LANGUAGES = [("de", _("German")), ("en", _("English")), ("tlh", "Klingon")]

INSTALLED_APPS = [
    "django.contrib.auth",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.openid_connect",
    "people",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": os.environ["PGPASSWORD"],
        "HOST": "db.internal",
        "PORT": 5433,
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "people.validators.NoEmojiValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]

# Accounts
ACCOUNT_ADAPTER = "people.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FORM_CLASS = "people.forms.SignupForm"
ACCOUNT_RATE_LIMITS = {"login_failed": "5/5m/key", "signup": None}
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 2 * 60
ACCOUNT_LOGIN_BY_CODE_FORMAT = {"numeric": True, "length": 6}
ACCOUNT_USERNAME_BLACKLIST = ["admin", "root"] + ["postmaster"]
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Shop] "
ACCOUNT_LOGOUT_ON_GET = True
ACCOUNT_FANCY = 1

MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TRUST_ENABLED = not DEBUG
MFA_TRUST_COOKIE_AGE = timedelta(days=30)
MFA_TOTP_ISSUER = "Shop"

SOCIALACCOUNT_EMAIL_AUTHENTICATION = True
SOCIALACCOUNT_PROVIDERS = {
    "github": {
        "APP": {"client_id": "abc", "secret": os.environ["GITHUB_SECRET"], "key": ""},
        "SCOPE": ["user:email"],
        "VERIFIED_EMAIL": True,
        "FAVOURITE_COLOUR": "mauve",
    },
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "work",
                "name": "Work",
                "client_id": env("WORK_ID"),
                "secret": "a secret",
                "settings": {"server_url": "https://sso.work.example/.well-known/openid-configuration"},
            }
        ],
    },
    "saml": {"APPS": [{"provider_id": "old", "client_id": "old", "settings": {"idp": {"entity_id": "x"}}}]},
}

HEADLESS_ONLY = True
HEADLESS_FRONTEND_URLS = {
    "account_confirm_email": "/account/verify-email/{key}",
    "account_reset_password": "/account/password/reset",
    "account_reset_password_from_key": "/account/password/reset/key/{key}",
    "account_signup": "https://app.shop.example/signup",
    "socialaccount_login_error": "/account/provider/callback",
}
HEADLESS_TOKEN_STRATEGY = "allauth.headless.tokens.strategies.jwt.JWTTokenStrategy"
HEADLESS_JWT_ALGORITHM = "HS256"

SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_DOMAIN = ".shop.example"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CSRF_COOKIE_SECURE = True
CSRF_TRUSTED_ORIGINS = ["https://app.shop.example"]
CORS_ALLOWED_ORIGINS = ["https://app.shop.example"]
CORS_ALLOW_CREDENTIALS = True

EMAIL_HOST = "smtp.shop.example"
EMAIL_PORT = 587
EMAIL_USE_TLS = True
EMAIL_HOST_USER = "shop"
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD")
DEFAULT_FROM_EMAIL = "Shop <hello@shop.example>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

if DEBUG:
    EMAIL_HOST = "localhost"
    ACCOUNT_EMAIL_VERIFICATION = "none"
