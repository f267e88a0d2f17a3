// Whether to trust this browser, so that it need not be asked for the second factor each time.

import { call } from "../api.js";
import { h, replace } from "../dom.js";
import { describe } from "../failures.js";
import { t } from "../i18n.js";
import { button, entrance, message } from "../layout.js";
import { proceed } from "../router.js";
import { state } from "../state.js";
import { lost } from "../waiting.js";

export const title = "trust.title";

export function render() {
    const said = h("div", { class: "said", "aria-live": "polite" });
    const choose = (trust) => async () => {
        const answer = await call("POST", "auth/2fa/trust", { trust });
        if (await lost(answer)) return;
        if (!proceed(answer)) replace(said, message(describe(answer), "bad"));
    };
    return entrance(
        t("trust.title"),
        { lead: t("trust.lead", { count: state.settings.trusted_days }) },
        said,
        h("div", { class: "actions" }, button(t("trust.yes"), choose(true), "primary"), button(t("trust.no"), choose(false))),
    );
}
