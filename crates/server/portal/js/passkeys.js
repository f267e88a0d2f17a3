// Logging in with a passkey. Seam: hasPasskeys(), passkeyButton(), and offerPasskeys(signal), by which the browser lists
// passkeys where it fills in the user name, until `signal` ends.

import { call } from "./api.js";
import { h, replace } from "./dom.js";
import { describe } from "./failures.js";
import { t } from "./i18n.js";
import { button, message } from "./layout.js";
import { proceed } from "./router.js";
import { flow } from "./state.js";
import { get, isConditional, isSupported } from "./webauthn.js";

let offer = null;

/** Whether passkeys can be used to log in here. */
export function hasPasskeys() {
    return Boolean(flow("mfa_login_webauthn")) && isSupported();
}

/** A button that asks for a passkey. */
export function passkeyButton() {
    const said = h("div", { class: "said", "aria-live": "polite" });
    const enter = async () => {
        replace(said);
        // A browser does one thing with passkeys at a time.
        offer?.abort();
        const options = await call("GET", "auth/webauthn/login");
        const credential = options.ok && (await get(options.data));
        if (options.ok && !credential) return replace(said, message(t("passkey.cancelled")));
        const answer = options.ok ? await call("POST", "auth/webauthn/login", { credential }) : options;
        return proceed(answer) || replace(said, message(answer.errors[0]?.message ?? describe(answer), "bad"));
    };
    return h("div", { class: "stack tight" }, button(t("login.by_passkey"), enter), said);
}

/** Lets the browser offer passkeys among the user names that it fills in. */
export async function offerPasskeys(signal) {
    if (!(await isConditional()) || signal.aborted) return;
    const options = await call("GET", "auth/webauthn/login");
    if (!options.ok || signal.aborted) return;
    offer = new AbortController();
    signal.addEventListener("abort", () => offer.abort());
    const credential = await get(options.data, { conditional: true, signal: offer.signal }).catch(() => null);
    if (credential && !signal.aborted) proceed(await call("POST", "auth/webauthn/login", { credential }));
}
