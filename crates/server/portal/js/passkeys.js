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

/** The offer of the page: what ends it, and whether it has let somebody in, once that is known. */
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
        // A browser does one thing with passkeys at a time, and the server knows one challenge.
        offer?.controller.abort();
        // A passkey that was picked a moment ago is on its way.
        if (await offer?.entered) return;
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
    const controller = new AbortController();
    signal.addEventListener("abort", () => controller.abort());
    offer = { controller, entered: wait(signal, controller.signal) };
    await offer.entered;
}

/** Whether somebody has come in by what was offered: until then, or until `givenUp` ends it, or the page (`signal`). */
async function wait(signal, givenUp) {
    if (!(await isConditional()) || givenUp.aborted) return false;
    const options = await call("GET", "auth/webauthn/login");
    if (!options.ok || givenUp.aborted) return false;
    const credential = await get(options.data, { conditional: true, signal: givenUp }).catch(() => null);
    if (!credential || signal.aborted) return false;
    return proceed(await call("POST", "auth/webauthn/login", { credential }));
}
