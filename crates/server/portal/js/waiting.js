// What pages of pending steps share. Seam: abandonButton() gives the login up; resendButton(path, allowed, body) has a code
// sent again; lost(answer) has people begin anew where nothing is awaited any more (409), and gives whether that was so.

import { call } from "./api.js";
import { h, replace } from "./dom.js";
import { describe } from "./failures.js";
import { t } from "./i18n.js";
import { button, message } from "./layout.js";
import { notify } from "./notice.js";
import { navigate } from "./router.js";

/** Ends the login that is pending, and goes back to its beginning. */
export async function abandon(path = "/account/login", carry = null) {
    await call("DELETE", "auth/session", undefined, { quiet: true });
    navigate(path, { replace: true, carry });
}

/** A button that gives up the login that is pending. */
export function abandonButton(label = t("action.start_over")) {
    return button(label, () => abandon(), "quiet");
}

/** A button that has a code sent once more, where the settings allow it. */
export function resendButton(path, allowed, body) {
    if (!allowed) return null;
    const said = h("div", { class: "said", "aria-live": "polite" });
    const resend = async () => {
        replace(said);
        const answer = await call("POST", path, body);
        if (answer.ok) notify(t("waiting.resent"));
        else replace(said, message(answer.status === 409 ? t("waiting.resent_enough") : describe(answer), "bad"));
    };
    return h("div", { class: "stack tight" }, button(t("waiting.resend"), resend, "quiet"), said);
}

/** Where the API awaits nothing any more, as a code was tried too often or is too old, says so at the beginning. */
export async function lost(answer, path = "/account/login") {
    if (answer.status !== 409) return false;
    await abandon(path, { notice: t("waiting.over"), bad: true });
    return true;
}
