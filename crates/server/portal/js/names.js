// Fields by which accounts are named. Seam: nameField(methods) is one field for any of "email", "username", "phone", and
// named(text, methods) is what was typed, as a member of a request; signupFields(settings, { password }) those of a new account,
// with what the settings ask for besides.

import { extraFields } from "./extra-fields.js";
import { field, passwordField, plainNumber } from "./form.js";
import { t } from "./i18n.js";
import { state } from "./state.js";

/** In the order of preference. */
const ORDER = ["email", "username", "phone"];
const TYPES = { email: "email", phone: "tel", username: "text" };

/** A field that takes any of the names. */
export function nameField(methods, { autocomplete = "username" } = {}) {
    const known = ORDER.filter((method) => methods.includes(method));
    const made = field({
        name: "login",
        label: t(`name.${known.join("_")}`),
        type: known.length === 1 ? TYPES[known[0]] : "text",
        autocomplete,
        autocapitalize: "none",
        spellcheck: "false",
    });
    made.takes = known;
    return made;
}

/** The name that somebody has typed, as the member of a request that it is. */
export function named(text, methods) {
    if (methods.includes("email") && text.includes("@")) return { email: text };
    if (methods.includes("phone") && /^\+?[\d\s()./-]{5,}$/.test(text)) return { phone: plainNumber(text) };
    return { [["username", "email", "phone"].find((method) => methods.includes(method))]: text };
}

/** The fields of a signup in their order; `given` fills some of them in. */
export function signupFields(fields, { password = true, given = {} } = {}) {
    const made = fields.map(({ name, required }) => {
        const common = { name, required, value: given[name] ?? "", label: t(`field.${name}`) };
        switch (name) {
            case "email":
                return field({ ...common, type: "email", autocomplete: "email" });
            case "email2":
                return field({ ...common, type: "email", autocomplete: "off" });
            case "username":
                return field({ ...common, autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
            case "phone":
                return field({ ...common, type: "tel", autocomplete: "tel", hint: t("field.phone_hint") });
            case "password1":
                return password && passwordField({ autocomplete: "new-password", required });
            default:
                // The password once more: it can be shown instead.
                return null;
        }
    });
    return [...made.filter(Boolean), ...extraFields(state.config.account.extra_signup_fields)];
}

/** The values that were filled in: what is left empty is not sent. */
export function filled(values) {
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}
