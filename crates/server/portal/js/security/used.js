// When a factor was used last. Seam: used(authenticator).

import { t, time } from "../i18n.js";

/** In words. */
export function used({ last_used_at: at }) {
    return at ? t("security.used", { when: time(at) }) : t("security.unused");
}
