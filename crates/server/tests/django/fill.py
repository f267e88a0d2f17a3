"""Fills a database by django-allauth itself, and writes down what people know: passwords, secrets, keys.

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python fill.py sqlite:///tmp/source.sqlite3 people.json
    venv/bin/python fill.py postgresql://USER@HOST/NAME people.json
    venv/bin/python fill.py --own-model sqlite:///tmp/own.sqlite3 people.json

Everybody comes in through django-allauth's headless API, as an app would; what that API has no way for (a hash of an
older hasher, codes taken over from another package, accounts that are switched off) is done with its models. `dumps.sh`
runs it for the dumps in this folder, which the tests load.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import time
from urllib.parse import urlsplit

import django
from django.conf import settings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
OWN_MODEL = "--own-model" in sys.argv
SOURCE, KNOWLEDGE = [arg for arg in sys.argv[1:] if not arg.startswith("--")]


def database(url):
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite://")}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


HASHERS = {
    "pbkdf2": "PBKDF2PasswordHasher",
    "pbkdf2-sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher",
    "bcrypt-sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher",
    "scrypt": "ScryptPasswordHasher",
    "md5": "MD5PasswordHasher",
}
OPENID = {
    "provider_id": "idp",
    "name": "The idp",
    "client_id": "client",
    "secret": "secret",
    "settings": {"server_url": "https://idp.example"},
}

settings.configure(
    SECRET_KEY="a key of tests, known to all the world",
    DATABASES={"default": database(SOURCE)},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    AUTH_USER_MODEL="people.Person" if OWN_MODEL else "auth.User",
    PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in HASHERS.values()],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        *(["people"] if OWN_MODEL else []),
        "allauth",
        "allauth.account",
        "allauth.headless",
        "allauth.mfa",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
    ],
    ACCOUNT_LOGIN_METHODS={"email"} if OWN_MODEL else {"email", "username"},
    ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"] if OWN_MODEL else ["username*", "email*", "password1*"],
    ACCOUNT_USER_MODEL_USERNAME_FIELD=None if OWN_MODEL else "username",
    ACCOUNT_USER_MODEL_EMAIL_FIELD="mail" if OWN_MODEL else "email",
    ACCOUNT_EMAIL_VERIFICATION="mandatory",
    ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED=True,
    ACCOUNT_RATE_LIMITS=False,
    HEADLESS_ONLY=True,
    MFA_SUPPORTED_TYPES=["totp", "recovery_codes", "webauthn"],
    MFA_PASSKEY_LOGIN_ENABLED=True,
    MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN=True,
    SOCIALACCOUNT_STORE_TOKENS=True,
    SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [OPENID]}},
)
django.setup()

from allauth.account.models import EmailAddress  # noqa: E402
from allauth.mfa.models import Authenticator  # noqa: E402
from allauth.socialaccount.models import SocialToken  # noqa: E402
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider  # noqa: E402
from cryptography.fernet import Fernet  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth import hashers  # noqa: E402
from django.core import mail, management  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402

from authenticator import register  # noqa: E402

# Django's hashers, with less work: whoever runs the tests waits for each of them.
hashers.PBKDF2PasswordHasher.iterations = hashers.PBKDF2SHA1PasswordHasher.iterations = 10_000
hashers.BCryptSHA256PasswordHasher.rounds = 6
hashers.Argon2PasswordHasher.memory_cost = 8 * 1024
hashers.ScryptPasswordHasher.work_factor = 2**10

urlpatterns = [path("_allauth/", include("allauth.headless.urls"))]
ORIGIN = "http://localhost:8000"
ADDRESS = "mail" if OWN_MODEL else "email"


def vouched(provider, request, token):
    """In place of asking the provider: the claims are in the token. What becomes of them is django-allauth's affair."""
    claims = json.loads(token["id_token"])
    login = provider.sociallogin_from_response(request, {"id_token": claims, "userinfo": claims})
    login.token = SocialToken(
        token=f"access of {claims['sub']}",
        token_secret=f"refresh of {claims['sub']}",
        expires_at=timezone.now() + timezone.timedelta(hours=1),
    )
    return login


OpenIDConnectProvider.verify_token = vouched


class App:
    """A client of the headless API."""

    def __init__(self):
        self.client = Client(headers={"host": "localhost"})
        self.token = None

    def call(self, method, where, body=None, expect=200):
        headers = {"X-Session-Token": self.token} if self.token else {}
        body = json.dumps(body) if body is not None else None
        reply = self.client.generic(
            method, f"/_allauth/app/v1/{where}", body or "", "application/json", headers=headers
        )
        answer = reply.json()
        assert reply.status_code == expect, f"{method} {where}: {answer}"
        self.token = answer.get("meta", {}).get("session_token") or self.token
        return answer

    def get(self, where, expect=200):
        return self.call("GET", where, None, expect)

    def post(self, where, body, expect=200):
        return self.call("POST", where, body, expect)


def code_for(address):
    """The code in the newest mail to an address."""
    message = [message for message in mail.outbox if message.to == [address]][-1]
    return re.search(r"^([0-9A-Z]{4}-[0-9A-Z]{4}|[0-9A-Z]{6,9})$", message.body, re.MULTILINE)[1]


def totp(secret):
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at:at + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


def sign_up(name, email, password, verify=True):
    """Somebody who has signed up with a password, and shown that the address is theirs."""
    app = App()
    username = {} if OWN_MODEL else {"username": name}
    app.post("auth/signup", {**username, "email": email, "password": password}, 401)
    if verify:
        app.post("auth/email/verify", {"key": code_for(email)})
        # Whoever has just verified an address has shown no password yet, and may not set up second factors.
        app.post("auth/reauthenticate", {"password": password})
    return app


def user(email):
    return get_user_model().objects.get(**{ADDRESS: email})


def password(name):
    return f"{name} has a long password"


def fill():
    known = {}

    def person(name, email=None, verify=True):
        email = email or f"{name}@example.org"
        app = sign_up(name, email, password(name), verify)
        known[name] = {"email": email, "password": password(name), "id": str(user(email).pk)}
        return app

    # Addresses: several, verified and not; one that is not proved at all.
    app = person("alice")
    app.post("account/email", {"email": "alice@work.example"})
    app.post("auth/email/verify", {"key": code_for("alice@work.example")})
    # By code, an address is kept once it is proved; by link, before.
    EmailAddress.objects.create(user=user("alice@example.org"), email="alice@later.example")
    person("bob", verify=False)

    # Codes: an app, and recovery codes of which one is used; codes taken over from another package.
    app = person("tina")
    secret = app.get("account/authenticators/totp", 404)["meta"]["secret"]
    app.post("account/authenticators/totp", {"code": totp(secret)})
    codes = app.get("account/authenticators/recovery-codes")["data"]["unused_codes"]
    other = App()
    other.post("auth/login", {"email": "tina@example.org", "password": password("tina")}, 401)
    other.post("auth/2fa/authenticate", {"code": codes[1]})
    known["tina"] |= {"totp": secret, "used": codes[1], "unused": [code for code in codes if code != codes[1]]}

    person("mira")
    secret = base64.b32encode(b"twenty bytes of Mira").decode()
    codes = ["abcd-efgh", "ijkl-mnop"]
    for kind, data in [("totp", {"secret": secret}), ("recovery_codes", {"migrated_codes": codes})]:
        Authenticator.objects.create(user=user("mira@example.org"), type=kind, data=data)
    known["mira"] |= {"totp": secret, "unused": codes}

    # A secret that the project's own adapter has encrypted, in the usual way.
    person("cora")
    secret = Fernet(Fernet.generate_key()).encrypt(base64.b32encode(b"twenty bytes of Cora")).decode()
    Authenticator.objects.create(user=user("cora@example.org"), type="totp", data={"secret": secret})

    # Hashes of every hasher, and of none.
    for name, hasher in HASHERS.items():
        person(name)
        algorithm = getattr(hashers, hasher).algorithm
        someone = user(f"{name}@example.org")
        someone.password = hashers.make_password(password(name), hasher=algorithm)
        someone.save()
    person("nopass")
    someone = user("nopass@example.org")
    someone.set_unusable_password()
    someone.save()
    del known["nopass"]["password"]

    if not OWN_MODEL:
        person("gone")
        get_user_model().objects.filter(username="gone").update(is_active=False)

    # What Vestibule cannot take as it is: a name that differs from another in case alone (the models of Django take it), and
    # a local part beyond ASCII.
    if not OWN_MODEL:
        get_user_model().objects.create_user("ALICE", "second-alice@example.org", password("ALICE"))
        known["ALICE"] = {"email": "second-alice@example.org", "password": password("ALICE")}
    someone = get_user_model()(**{ADDRESS: "jürgen@example.org"}, **({} if OWN_MODEL else {"username": "juergen"}))
    someone.set_password(password("juergen"))
    someone.save()
    EmailAddress.objects.create(user=someone, email="jürgen@example.org", verified=True, primary=True)
    known["juergen"] = {"email": "jürgen@example.org", "password": password("juergen")}

    # Somebody whom django-allauth has never seen, made by `createsuperuser`.
    someone = get_user_model()(
        **{ADDRESS: "Root@Example.org"}, **({} if OWN_MODEL else {"username": "root", "is_superuser": True})
    )
    someone.set_password(password("root"))
    someone.save()
    known["root"] = {"email": "root@example.org", "password": password("root")}

    # Keys: a passkey that logs in alone, and a security key beside it.
    app = person("wanda")
    known["wanda"]["keys"] = []
    for name, query in [("Telephone", "?passwordless"), ("Key ring", "")]:
        options = app.get(f"account/authenticators/webauthn{query}")["data"]["creation_options"]
        credential, held = register(options, ORIGIN)
        app.post("account/authenticators/webauthn", {"name": name, "credential": credential})
        known["wanda"]["keys"].append({"name": name, **held})

    # Third parties: one that made the account, one that was connected to it later.
    def bring(app, sub, email, process):
        claims = {"sub": sub, "email": email, "email_verified": True, "preferred_username": sub}
        token = {"client_id": "client", "id_token": json.dumps(claims)}
        app.post("auth/provider/token", {"provider": "idp", "process": process, "token": token})

    bring(App(), "greta-1", "greta@example.org", "login")
    known["greta"] = {"email": "greta@example.org", "uid": "greta-1", "id": str(user("greta@example.org").pk)}
    app = person("conny")
    bring(app, "conny-1", "conny@example.org", "connect")
    known["conny"]["uid"] = "conny-1"

    if OWN_MODEL:
        get_user_model().objects.filter(mail="alice@example.org").update(mobile="+31612345678", mobile_ok=True)
        get_user_model().objects.filter(mail="bob@example.org").update(mobile="06 - 12 34", mobile_ok=False)
    return known


management.call_command("migrate", run_syncdb=True, verbosity=0)
with open(KNOWLEDGE, "w") as file:
    json.dump(fill(), file, indent=1, ensure_ascii=False)
    file.write("\n")
