// Where providers send people back to: goes on, or says what went wrong.

import { ofProvider } from "../failures.js";
import { pageOf, pendingFlow } from "../flows.js";
import { t } from "../i18n.js";
import { entrance, link, message } from "../layout.js";
import { leave, navigate } from "../router.js";
import { state } from "../state.js";

export const title = "provider_callback.title";

export function render({ query }) {
    const error = query.get("error");
    if (!error) {
        const pending = pendingFlow(state.flows);
        if (state.session) leave();
        else navigate(pending ? pageOf(pending) : "/account/login", { replace: true });
        return null;
    }
    const connecting = query.get("error_process") === "connect" && state.session;
    return entrance(
        t("provider_callback.title"),
        {},
        message(ofProvider(error), error === "cancelled" ? "info" : "bad"),
        connecting
            ? link(t("action.back"), "/account/providers", { class: "button primary" })
            : link(t(state.session ? "action.to_account" : "action.to_login"), state.session ? "/account" : "/account/login", { class: "button primary" }),
    );
}
