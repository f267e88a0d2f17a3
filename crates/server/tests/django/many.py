"""Makes a SQLite database of a Django project with many users: `python many.py PATH [COUNT]`. Needs nothing but Python.

For measuring: everybody has a password, an address and a user name; each tenth a code generator and recovery codes, each
twentieth an account at a third party. The tables are those of the dumps beside it.
"""

import base64
import json
import os
import sqlite3
import sys

path, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
here = os.path.dirname(os.path.abspath(__file__))
db = sqlite3.connect(path)
with open(os.path.join(here, "auth.sqlite.sql")) as dump:
    db.executescript(dump.read())
for table in ["mfa_authenticator", "socialaccount_socialtoken", "socialaccount_socialaccount", "account_emailaddress"]:
    db.execute(f"DELETE FROM {table}")
# The password of everybody is that of Alice.
((password,),) = db.execute("SELECT password FROM auth_user WHERE username = 'alice'").fetchall()
db.execute("DELETE FROM auth_user")
NOW = "2026-01-02 03:04:05.678901"
every = range(1, count + 1)
db.executemany(
    "INSERT INTO auth_user (id, password, last_login, is_superuser, username, last_name, email, is_staff, is_active,"
    " date_joined, first_name) VALUES (?, ?, ?, 0, ?, '', ?, 0, 1, ?, '')",
    ((n, password, NOW, f"user{n}", f"user{n}@example.org", NOW) for n in every),
)
db.executemany(
    'INSERT INTO account_emailaddress (verified, "primary", user_id, email) VALUES (1, 1, ?, ?)',
    ((n, f"user{n}@example.org") for n in every),
)
db.executemany(
    "INSERT INTO mfa_authenticator (type, data, user_id, created_at) VALUES (?, ?, ?, ?)",
    (
        (kind, json.dumps(data), n, NOW)
        for n in every[::10]
        for kind, data in [
            ("totp", {"secret": base64.b32encode(f"{n:020}".encode()).decode()}),
            ("recovery_codes", {"seed": f"{n:080x}", "used_mask": 5}),
        ]
    ),
)
db.executemany(
    "INSERT INTO socialaccount_socialaccount (provider, uid, last_login, date_joined, user_id, extra_data)"
    " VALUES ('github', ?, ?, ?, ?, '{}')",
    ((str(n), NOW, NOW, n) for n in every[::20]),
)
db.commit()
