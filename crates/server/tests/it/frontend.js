// What a front end does in its page: it calls the API with its cookies, and has the browser make keys and use them.
globalThis.frontend = {
    async call(method, path, body) {
        const headers = { "Content-Type": "application/json" };
        const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
        if (csrf && method !== "GET") headers["X-CSRFToken"] = csrf[1];
        if (body !== null) body = JSON.stringify(body);
        const response = await fetch(`/_allauth/browser/v1/${path}`, { method, headers, body });
        return { ...(await response.json()), status: response.status };
    },

    async create(options) {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
        const signal = AbortSignal.timeout(8000);
        return (await navigator.credentials.create({ publicKey, signal })).toJSON();
    },

    async get(options) {
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
        const signal = AbortSignal.timeout(8000);
        return (await navigator.credentials.get({ publicKey, signal })).toJSON();
    },

    // The code in the newest mail to an address.
    async code(address) {
        for (let tries = 0; tries < 250; tries++) {
            const mails = await (await fetch("/_dev/mail.json")).json();
            const found = mails.find((mail) => mail.to === address && mail.code);
            if (found) return found.code;
            await new Promise((then) => setTimeout(then, 20));
        }
        throw new Error(`no code came to ${address}`);
    },
};
