// What is known: settings (settings.json), config (the API's), session ({ user, methods } or null) and flows.
// Seam: read `state`; listen with onChange(f), which is called whenever somebody logs in or out.

export const state = { settings: null, config: null, session: null, flows: [] };

const changes = new EventTarget();

/** Calls `listener` when who is logged in has changed. */
export function onChange(listener) {
    changes.addEventListener("change", listener);
}

/** Takes note of what an answer of the API says about the session. For api.js. */
export function note(answer) {
    const { status, data, meta } = answer;
    const before = state.session?.user;
    if (meta?.is_authenticated && data?.user) {
        state.session = { user: data.user, methods: data.methods ?? [] };
        state.flows = [];
    } else if (meta?.is_authenticated === false || status === 410) {
        state.session = null;
        state.flows = data?.flows ?? [];
    }
    if (JSON.stringify(before) !== JSON.stringify(state.session?.user)) {
        changes.dispatchEvent(new Event("change"));
    }
}

/** The flow of that id, if the API offers it to whoever is here. */
export function flow(id) {
    return state.flows.find((flow) => flow.id === id);
}

/** Whether a login or signup waits for that step. */
export function isPending(id) {
    return flow(id)?.is_pending === true;
}
