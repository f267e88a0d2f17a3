"""A backend that lets in whoever brings an access token of Vestibule. It asks Vestibule for nothing but its public keys.

    ISSUER=https://auth.example.org python3 verify.py
    curl http://localhost:9000/ -H "Authorization: Bearer $ACCESS_TOKEN"
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = os.environ.get("ISSUER", "http://localhost:8000")
AUDIENCE = os.environ.get("AUDIENCE", ISSUER)
# Decided here, never by the token. Name the one that you have set, and two only while you go from one to the other.
ALGORITHMS = ["EdDSA", "ES256", "RS256"]

# Fetched at the first token, and again after five minutes or for a key that is not known yet.
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", cache_jwk_set=True, lifespan=300, timeout=5)


def user_of(token):
    """The id of the user whom an access token stands for. Raises jwt.PyJWTError if it is not good."""
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=ALGORITHMS,
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=5,  # seconds by which the clocks of two machines may differ
        options={"require": ["exp", "iat", "sub"]},
    )
    # A refresh token is signed by the same key, and opens nothing.
    if claims.get("token_use") != "access":
        raise jwt.InvalidTokenError("no access token")
    return claims["sub"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise jwt.InvalidTokenError("no token")
            status, text = 200, user_of(token)
        except jwt.PyJWKClientConnectionError:
            status, text = 503, "the keys are out of reach"
        except jwt.PyJWTError:
            status, text = 401, "log in first"
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("localhost", int(os.environ.get("PORT", "9000"))), Handler).serve_forever()
