"""A backend that asks Vestibule about each token that it is handed. Needs no package.

    CLIENT_SECRET=... python3 introspect.py
    curl http://localhost:9001/ -H "Authorization: Bearer $TOKEN"
"""

import json
import os
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode
from urllib.request import Request, urlopen

VESTIBULE = os.environ.get("VESTIBULE", "http://localhost:8000")
CLIENT = b64encode(f"shop:{os.environ['CLIENT_SECRET']}".encode()).decode()


def user_of(token):
    """The id of the user whom a token stands for, or None. Raises OSError if Vestibule is out of reach."""
    form = urlencode({"token": token}).encode()
    request = Request(f"{VESTIBULE}/_allauth/introspect", form, {"Authorization": f"Basic {CLIENT}"})
    with urlopen(request, timeout=5) as response:
        answer = json.load(response)
    return answer["sub"] if answer["active"] else None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            user = user_of(token) if scheme.lower() == "bearer" else None
            status, text = (200, user) if user else (401, "log in first")
        except OSError:
            status, text = 503, "Vestibule is out of reach"
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())


ThreadingHTTPServer(("localhost", 9001), Handler).serve_forever()
