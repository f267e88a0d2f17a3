// Keys and passkeys. Seam: create(data) and get(data, { conditional, signal }) take the `data` that the API gave and give
// the credential that it wants back; null if people have cancelled. isSupported(), isConditional(): what the browser can.

/** Whether this browser knows keys. */
export function isSupported() {
    return typeof PublicKeyCredential === "function" && Boolean(navigator.credentials);
}

/** Whether it can offer passkeys among what it fills in. */
export async function isConditional() {
    return isSupported() && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true;
}

/** Has a key made. */
export async function create({ creation_options: { publicKey } }) {
    const parse = PublicKeyCredential.parseCreationOptionsFromJSON?.bind(PublicKeyCredential) ?? parseCreation;
    return settle(navigator.credentials.create({ publicKey: parse(publicKey) }));
}

/** Has a key sign. `conditional` waits until one is picked from what the browser fills in. */
export async function get({ request_options: { publicKey } }, { conditional = false, signal } = {}) {
    const parse = PublicKeyCredential.parseRequestOptionsFromJSON?.bind(PublicKeyCredential) ?? parseRequest;
    const mediation = conditional ? "conditional" : undefined;
    return settle(navigator.credentials.get({ publicKey: parse(publicKey), mediation, signal }));
}

/** Why a key could not be made: a key of this account is in this authenticator already. */
export function isKnown(error) {
    return error instanceof DOMException && error.name === "InvalidStateError";
}

async function settle(asked) {
    let credential;
    try {
        credential = await asked;
    } catch (error) {
        if (error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name)) return null;
        throw error;
    }
    return credential && (credential.toJSON?.() ?? toJSON(credential));
}

// For browsers of before 2025, whose credentials speak no JSON.

function parseCreation(options) {
    return {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: (options.excludeCredentials ?? []).map((key) => ({ ...key, id: bytes(key.id) })),
    };
}

function parseRequest(options) {
    return {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: (options.allowCredentials ?? []).map((key) => ({ ...key, id: bytes(key.id) })),
    };
}

function toJSON(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
        if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return {
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        response,
        clientExtensionResults: credential.getClientExtensionResults(),
    };
}

function bytes(base64url) {
    const base64 = base64url.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
    const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
    return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
