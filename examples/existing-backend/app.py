"""An application without any login of its own: the proxy before it says who is calling.

Nobody but the proxy may reach it, or people are whoever they say.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        user, email = self.headers["X-User-Id"], self.headers["X-User-Email"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path} for user {user}, {email}\n".encode())


ThreadingHTTPServer(("127.0.0.1", 3000), Handler).serve_forever()
