// Buttons of third parties. Seam: providerButtons(process, { next, connected }) with process "login" or "connect" gives
// forms that the browser itself sends, as it has to leave for the provider; null where there are none.

import { csrfToken, url } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { asked } from "./next.js";
import { state } from "./state.js";

/** More of them than this are shown by their names alone, side by side. */
const FEW = 3;

/** Providers that can be gone to, each with a button that goes there. */
export function providerButtons(process, { next = asked(), label = "provider.continue" } = {}) {
    const providers = (state.config.socialaccount?.providers ?? []).filter((provider) => provider.flows.includes("provider_redirect"));
    if (providers.length === 0) return null;
    const callback = new URL("/account/provider/callback", location.origin);
    if (next) callback.searchParams.set("next", next);
    const few = providers.length <= FEW;
    const hidden = (name, value) => h("input", { type: "hidden", name, value });
    const form = (provider) => {
        const text = t(label, { provider: provider.name });
        return h(
            "form",
            { method: "post", action: url("auth/provider/redirect") },
            hidden("provider", provider.id),
            hidden("process", process),
            hidden("callback_url", callback.pathname + callback.search),
            hidden("csrfmiddlewaretoken", csrfToken()),
            h(
                "button",
                { type: "submit", "aria-label": few ? null : text },
                h("span", { class: "initial", "aria-hidden": "true" }, initial(provider)),
                few ? text : provider.name,
            ),
        );
    };
    return h("div", { class: few ? "stack" : "providers" }, providers.map(form));
}

function initial(provider) {
    return [...provider.name][0]?.toUpperCase() ?? "";
}
