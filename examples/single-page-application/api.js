// Calls Vestibule. With Vestibule on the page's own domain, API is "/_allauth/browser/v1".
const API = "http://auth.example.localhost:8000/_allauth/browser/v1";

/** The answer of the API: `status`, and `data`, `meta` or `errors`. */
export async function call(method, path, body) {
  // Any answer brings the cookie with the token, so there is one after the first GET.
  const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  const response = await fetch(`${API}/${path}`, {
    method,
    credentials: "include", // the session's cookie, to another host too
    headers: { ...(csrf && { "X-CSRFToken": csrf }), ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  if (response.status >= 500) throw new Error(`the server answers ${response.status}`);
  return response.json();
}
