// The second factors of the account: authenticator app, passkeys and security keys, recovery codes. Each has a module in
// security/; the page draws all of them anew after a change, as one may bring or take another.

import { call } from "../api.js";
import { focusOn, unavailable } from "../afterwards.js";
import { h, replace } from "../dom.js";
import { t } from "../i18n.js";
import { sheet } from "../layout.js";
import { notify } from "../notice.js";
import { appSection } from "../security/app.js";
import { codesSection } from "../security/codes.js";
import { keysSection } from "../security/keys.js";
import { state } from "../state.js";

export const title = "rooms.security";

export async function render() {
    const types = state.config.mfa?.supported_types ?? [];
    const answer = await call("GET", "account/authenticators");
    if (!answer.ok) return unavailable(t(title), answer);
    const content = h("div", { class: "sheet" });
    const draw = (authenticators, codes) => {
        const page = { authenticators, codes, changed };
        const sections = {
            app: types.includes("totp") && appSection(page),
            keys: types.includes("webauthn") && keysSection(page),
            codes: types.includes("recovery_codes") && codesSection(page),
        };
        replace(content, Object.values(sections));
        return sections;
    };
    /** Draws the page anew. `part`: what was changed; `codes`: recovery codes to be shown; `done`: what to say. */
    const changed = async (part, { codes = null, done } = {}) => {
        const answer = await call("GET", "account/authenticators");
        if (!answer.ok) return replace(content, unavailable(t(title), answer));
        const sections = draw(answer.data, codes);
        const shown = sections[codes ? "codes" : part] || sections[part];
        focusOn(shown?.querySelector("h2"));
        shown?.scrollIntoView({ block: "start" });
        if (done) notify(done);
        return content;
    };
    draw(answer.data, null);
    return sheet(t(title), { lead: t("security.lead") }, content);
}
