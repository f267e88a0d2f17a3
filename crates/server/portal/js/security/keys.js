// Passkeys and security keys: adding one, giving it a name, taking it away.

import { call } from "../api.js";
import { gone, teller } from "../afterwards.js";
import { confirm, open } from "../dialog.js";
import { h } from "../dom.js";
import { checkbox, field, form } from "../form.js";
import { day, t } from "../i18n.js";
import { button, message, section } from "../layout.js";
import { act, badge, row, rows } from "../rows.js";
import { state } from "../state.js";
import { create, isKnown, isSupported } from "../webauthn.js";
import { freshCodes } from "./made.js";
import { used } from "./used.js";

const PATH = "account/authenticators/webauthn";
const LONGEST_NAME = 100;

export function keysSection({ authenticators, changed }) {
    const keys = authenticators.filter((entry) => entry.type === "webauthn");
    const said = teller();
    const add = async () => {
        if (await adding()) await changed("keys", { done: t("keys.added"), codes: await freshCodes(authenticators) });
    };
    return section(
        t("keys.title"),
        { lead: t(state.config.mfa.passkey_login_enabled ? "keys.lead_passkeys" : "keys.lead") },
        said.element,
        keys.length > 0 && rows(keys.map((key) => entry(key, said, changed))),
        isSupported()
            ? h("div", { class: "actions" }, button(t("keys.add"), add, keys.length > 0 ? "secondary" : "primary"))
            : message(t("keys.unsupported")),
    );
}

function entry(key, said, changed) {
    const remove = async () => {
        const sure = await confirm({ title: t("keys.remove_title"), text: t("keys.remove_text", { name: key.name }), action: t("action.remove"), danger: true });
        if (sure && said.tell(await call("DELETE", PATH, { authenticators: [key.id] }))) await changed("keys", { done: t("keys.removed") });
    };
    const rename = async () => {
        if (await renaming(key)) await changed("keys", { done: t("keys.renamed") });
    };
    return row({
        name: key.name,
        badges: [key.is_passwordless !== undefined && badge(t(key.is_passwordless ? "keys.passkey" : "keys.key"), key.is_passwordless ? "accent" : "")],
        details: [t("security.added", { when: day(key.created_at) }), used(key)],
        actions: [act(t("keys.rename"), rename), act(t("action.remove"), remove, "danger")],
    });
}

/** The dialog for a new key. Gives true once it is added. */
function adding() {
    return open(t("keys.add"), (close) => {
        const name = field({ name: "name", label: t("keys.name"), hint: t("keys.name_hint"), required: false, autocomplete: "off", maxlength: LONGEST_NAME });
        const alone = checkbox({ name: "passwordless", label: t("keys.alone"), hint: t("keys.alone_hint"), checked: true });
        // What the browser says, not the API.
        const said = teller();
        const action = async ({ name, passwordless = false }) => {
            said.clear();
            const options = await call("GET", passwordless ? `${PATH}?passwordless` : PATH);
            if (!options.ok) return options.cancelled ? undefined : ended(options, close);
            const made = await create(options.data).catch((error) => ({ error }));
            if (!made) return void said.say(t("keys.cancelled"), "info");
            if (made.error) return void said.say(t(isKnown(made.error) ? "keys.known" : "keys.failed"));
            const answer = await call("POST", PATH, { name: name || undefined, passwordless, credential: made });
            return answer.ok ? void close(true) : ended(answer, close);
        };
        return [
            h("p", {}, t("keys.add_lead")),
            said.element,
            form({
                fields: [name, state.config.mfa.passkey_login_enabled && alone].filter(Boolean),
                submit: t("action.continue"),
                action,
                second: button(t("action.cancel"), () => close(false)),
            }),
        ];
    });
}

/** The dialog for another name. Gives true once the key has it. */
function renaming(key) {
    return open(t("keys.rename"), (close) => {
        const name = field({ name: "name", label: t("keys.name"), value: key.name, autocomplete: "off", maxlength: LONGEST_NAME });
        const action = async ({ name }) => {
            const answer = await call("PUT", PATH, { id: key.id, name });
            return answer.ok ? void close(true) : ended(answer, close);
        };
        return form({ fields: [name], submit: t("action.save"), action, second: button(t("action.cancel"), () => close(false)) });
    });
}

/** What a form has to show of an answer; its dialog is closed if people are on their way to the login. */
function ended(answer, close) {
    if (answer.cancelled || !gone(answer)) return answer;
    return void close(false);
}
