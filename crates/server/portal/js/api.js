// The only module that talks to the API. Seam: call(method, path, body, { headers }) gives an Answer and never throws.
// Where the API asks for a fresh proof, reauthenticate.js has people give it, and the request is sent again.

import { chosen } from "./i18n.js";
import { note, state } from "./state.js";

let prove = null;

/** What the API said. Status 0: nothing, as the server could not be reached. */
export class Answer {
    constructor(status, body) {
        this.status = status;
        this.data = body?.data ?? null;
        this.meta = body?.meta ?? {};
        this.errors = body?.errors ?? [];
        /** Whether people were asked for a fresh proof and did not give it. */
        this.cancelled = false;
    }

    /** Whether what was asked for was done, without anything else to be done. */
    get ok() {
        return this.status >= 200 && this.status < 300;
    }

    get flows() {
        return this.data?.flows ?? [];
    }

    /** The code of the first error: of the field `param`, if one is named. */
    error(param) {
        return this.errors.find((error) => param === undefined || error.param === param)?.code;
    }
}

/** Has `handler(flows)`, which gives true once people have proved who they are, called where the API asks for it. */
export function onReauthentication(handler) {
    prove = handler;
}

/** Calls the API. `path` is below the version, without a slash before it: `auth/session`. */
export async function call(method, path, body, { headers = {}, quiet = false } = {}) {
    const answer = await send(method, path, body, headers);
    if (quiet || !prove || !wantsProof(answer)) return answer;
    if (await prove(answer.flows)) return call(method, path, body, { headers, quiet: true });
    answer.cancelled = true;
    return answer;
}

/** The CSRF token, for forms that the browser sends. */
export function csrfToken() {
    const name = `${state.settings.csrf.cookie}=`;
    const cookie = document.cookie.split("; ").find((cookie) => cookie.startsWith(name));
    return cookie ? decodeURIComponent(cookie.slice(name.length)) : "";
}

/** The URL of an operation, for forms that the browser sends. */
export function url(path) {
    return `${state.settings.api}/${path}`;
}

async function send(method, path, body, more) {
    const headers = { Accept: "application/json", "Accept-Language": chosen(), ...more };
    if (method !== "GET") {
        if (!csrfToken()) await fetch(url("config"));
        headers[state.settings.csrf.header] = csrfToken();
    }
    if (body !== undefined) {
        headers["Content-Type"] = "application/json";
        body = JSON.stringify(body);
    }
    let answer;
    try {
        const response = await fetch(url(path), { method, headers, body, credentials: "same-origin", cache: "no-store" });
        const text = await response.text();
        answer = new Answer(response.status, parse(text));
    } catch {
        return new Answer(0, null);
    }
    note(answer);
    return answer;
}

function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

function wantsProof(answer) {
    const proofs = ["reauthenticate", "mfa_reauthenticate"];
    return answer.status === 401 && answer.meta.is_authenticated && answer.flows.some((flow) => proofs.includes(flow.id));
}
