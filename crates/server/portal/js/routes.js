// Every page: its path, its module below pages/, and for whom it is. Seam: add a line, and export title and render there.
// `access`: "guest" is for people who are not logged in, "user" for those who are, "any" for both; `flow` names the step
// that has to be pending. `rooms` shows the navigation of the account.

export const routes = [
    { path: "/account/login", page: "login", access: "guest" },
    { path: "/account/login/code", page: "login-code", access: "guest" },
    { path: "/account/signup", page: "signup", access: "guest" },
    { path: "/account/signup/passkey", page: "signup-passkey", access: "guest" },
    { path: "/account/verify-email", page: "verify-email", access: "any" },
    { path: "/account/verify-email/:key", page: "verify-email-key", access: "any" },
    { path: "/account/verify-phone", page: "verify-phone", access: "any" },
    { path: "/account/password/reset", page: "reset", access: "any" },
    { path: "/account/password/reset/code", page: "reset-code", access: "any" },
    { path: "/account/password/reset/key/:key", page: "reset-key", access: "any" },
    { path: "/account/2fa", page: "second-factor", access: "guest", flow: "mfa_authenticate" },
    { path: "/account/2fa/trust", page: "trust", access: "guest", flow: "mfa_trust" },
    { path: "/account/provider/signup", page: "provider-signup", access: "guest", flow: "provider_signup" },
    { path: "/account/provider/callback", page: "provider-callback", access: "any" },
    { path: "/account/logout", page: "logout", access: "any" },

    { path: "/account", page: "overview", access: "user", rooms: true },
    { path: "/account/emails", page: "emails", access: "user", rooms: true },
    { path: "/account/phone", page: "phone", access: "user", rooms: true },
    { path: "/account/password", page: "password", access: "user", rooms: true },
    { path: "/account/providers", page: "providers", access: "user", rooms: true },
    { path: "/account/security", page: "security", access: "user", rooms: true },
    { path: "/account/sessions", page: "sessions", access: "user", rooms: true },
    { path: "/account/data", page: "data", access: "user", rooms: true },
];

/** The route of a path, with what its `:names` stand for; null if there is none. */
export function match(path) {
    const parts = path.replace(/\/+$/, "").split("/");
    for (const route of routes) {
        const wanted = route.path.split("/");
        if (wanted.length !== parts.length) continue;
        const params = {};
        const fits = wanted.every((part, index) => {
            if (!part.startsWith(":")) return part === parts[index];
            params[part.slice(1)] = decode(parts[index]);
            return parts[index] !== "";
        });
        if (fits) return { route, params };
    }
    return null;
}

function decode(part) {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}
