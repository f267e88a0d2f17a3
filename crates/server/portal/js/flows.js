// From the flow that the API says is pending to the page of that step. Seam: pendingFlow(flows) and pageOf(flow);
// proceed(answer) of router.js goes there.

/** The pages of the steps that a login or signup may wait for, in the order in which they matter. */
const PAGES = {
    login_by_code: "/account/login/code",
    verify_phone: "/account/verify-phone",
    verify_email: "/account/verify-email",
    mfa_authenticate: "/account/2fa",
    mfa_trust: "/account/2fa/trust",
    mfa_signup_webauthn: "/account/signup/passkey",
    provider_signup: "/account/provider/signup",
};

/** The step that a login or signup waits for, if there is one under way. */
export function pendingFlow(flows) {
    return Object.keys(PAGES).find((id) => flows.some((flow) => flow.id === id && flow.is_pending));
}

/** The page of a step. */
export function pageOf(flow) {
    return PAGES[flow];
}
