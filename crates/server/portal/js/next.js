// Where people go once they are through. Seam: safe(text) is a place that may be gone to, or null; asked() is the one of
// `?next=`, and wanted() that or the operator's home page; leave() of router.js goes there.

import { match } from "./routes.js";
import { state } from "./state.js";

const LONGEST = 2048;

/** `text` if it is a path of this site, or a URL of an origin that the settings list; else null. */
export function safe(text) {
    if (!text || text.length > LONGEST || /[\\\s\u0000-\u0020\u007f-\u009f]/.test(text)) return null;
    if (text.startsWith("/")) return text.startsWith("//") ? null : text;
    if (!/^https?:\/\//i.test(text)) return null;
    let url;
    try {
        url = new URL(text);
    } catch {
        return null;
    }
    const plain = !url.username && !url.password;
    const sealed = url.protocol === "https:" || location.protocol === "http:";
    return plain && sealed && state.settings.return_origins.includes(url.origin) ? url.href : null;
}

/** What `?next=` asks for, if it may. Pages for who is not logged in are nowhere to go to after that. */
export function asked() {
    const next = safe(new URLSearchParams(location.search).get("next"));
    if (!next) return null;
    const url = new URL(next, location.href);
    const route = url.origin === location.origin && match(url.pathname)?.route;
    return route?.access === "guest" ? null : next;
}

/** Where to go once somebody is logged in. */
export function wanted() {
    return asked() ?? safe(state.settings.home_url) ?? "/account";
}
