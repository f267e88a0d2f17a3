// Recovery codes that were made along with a factor. Seam: freshCodes(before) gives them, if there were none before.

import { call } from "../api.js";
import { state } from "../state.js";

/** The codes to be shown now, as they are new; null if there are none, or if they were there already. */
export async function freshCodes(before) {
    const used = state.config.mfa.supported_types.includes("recovery_codes");
    if (!used || before.some((entry) => entry.type === "recovery_codes")) return null;
    const answer = await call("GET", "account/authenticators/recovery-codes", undefined, { quiet: true });
    return answer.ok ? answer.data : null;
}
