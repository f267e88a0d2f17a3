// What went wrong, in words. Seam: describe(answer) for what belongs to no field; ofProvider(code) for a provider's error.
// The API's own messages come in the language that api.js asks for, and are shown as they are.

import { has, t } from "./i18n.js";

/** What to tell about an answer that is neither success nor an error of a field. */
export function describe(answer) {
    const general = answer.errors.filter((error) => !error.param).map((error) => error.message);
    if (general.length > 0) return general.join(" ");
    switch (answer.status) {
        case 0:
            return t("failure.network");
        case 403:
            return t("failure.forbidden");
        case 404:
            return t("failure.missing");
        case 409:
            return t("failure.conflict");
        case 429:
            return t("failure.limited");
        case 503:
            return t("failure.busy");
        default:
            return t("failure.unknown");
    }
}

/** What to tell about the `error` that a provider's redirect came back with. */
export function ofProvider(code) {
    const key = `provider.error.${code}`;
    return t(has(key) ? key : "provider.error.unknown");
}
