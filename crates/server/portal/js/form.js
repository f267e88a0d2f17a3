// Forms. Seam: form({ fields, submit, action }) with fields of field(), passwordField(), codeField(), selectField(),
// checkbox(), and usernameNote() before a password whose owner is not asked for. `action` gets the values by name; if it gives an Answer
// back, its errors are shown at their fields, and the rest above the form.

import { h, replace, unique } from "./dom.js";
import { describe } from "./failures.js";
import { t } from "./i18n.js";
import { busy } from "./layout.js";

/** A labelled field. `hint` is read with it; further properties go to the input. */
export function field({ name, label, hint, type = "text", required = true, value = "", ...properties }) {
    const id = unique(name);
    const input = h("input", { id, name, type, required, value, ...properties });
    return labelled(input, { name, label, hint, required });
}

/** A field for a password, which can be shown. `autocomplete`: "current-password" or "new-password". */
export function passwordField({ name = "password", label = t("field.password"), hint, required = true, ...properties }) {
    const id = unique(name);
    const input = h("input", { id, name, type: "password", required, ...properties });
    const toggle = h("button", { type: "button", class: "quiet", "aria-controls": id }, t("action.show"));
    toggle.setAttribute("aria-label", t("field.show_password"));
    toggle.addEventListener("click", () => {
        const hidden = input.type === "password";
        input.type = hidden ? "text" : "password";
        toggle.textContent = t(hidden ? "action.hide" : "action.show");
        toggle.setAttribute("aria-label", t(hidden ? "field.hide_password" : "field.show_password"));
    });
    const made = labelled(input, { name, label, hint, required }, h("div", { class: "joined" }, input, toggle));
    made.hide = () => {
        if (input.type === "text") toggle.click();
    };
    return made;
}

/** A field for a one-time code. `numeric` ones get a keyboard of digits. */
export function codeField({ name = "code", label = t("field.code"), numeric = false, ...properties } = {}) {
    return field({
        name,
        label,
        class: "code",
        autocomplete: "one-time-code",
        inputmode: numeric ? "numeric" : "text",
        autocapitalize: "characters",
        autocorrect: "off",
        spellcheck: "false",
        ...properties,
    });
}

/** Whose password a form is about, for password managers; nobody sees it. */
export function usernameNote(user) {
    const value = user.email ?? user.username ?? user.display;
    const element = h("input", { type: "text", class: "trap", autocomplete: "username", value, readonly: true, tabindex: "-1", "aria-hidden": "true" });
    return { name: null, element, required: false, complain() {} };
}

/** A choice of one; nothing is chosen at first. */
export function selectField({ name, label, hint, choices, required = true }) {
    const id = unique(name);
    const options = ["", ...choices].map((choice) => h("option", { value: choice }, choice));
    return labelled(h("select", { id, name, required }, options), { name, label, hint, required });
}

/** A box to tick. A `required` one must be ticked. */
export function checkbox({ name, label, hint, checked = false, required = false }) {
    const id = unique(name);
    const note = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
    const input = h("input", { id, name, type: "checkbox", checked, required });
    const wrong = h("p", { class: "wrong", id: `${id}-error`, hidden: true });
    const complain = complainer(input, wrong, note);
    const element = h("div", { class: "tick" }, input, h("label", { for: id }, label), note, wrong);
    return { name, element, input, required, get value() { return input.checked; }, complain };
}

/** A phone number without what is only for the eye: the API takes one spelling alone. */
export function plainNumber(text) {
    return text.replace(/[\s()./-]/g, "");
}

/** A form. `extra` stands between the fields and the button, `second` beside the button. */
export function form({ fields, submit, action, extra, second, kind = "primary", label }) {
    const alert = h("div", { class: "message bad", role: "alert", tabindex: "-1", hidden: true });
    const send = h("button", { type: "submit", class: kind }, submit);
    const element = h(
        "form",
        { novalidate: true, "aria-label": label },
        alert,
        fields.map((field) => field.element),
        extra,
        h("div", { class: "actions" }, send, second),
    );
    element.addEventListener("submit", (event) => {
        event.preventDefault();
        busy(send, async () => {
            clear(fields, alert);
            if (!complete(fields)) return;
            fields.forEach((field) => field.hide?.());
            const values = Object.fromEntries(fields.filter((field) => field.name).map((field) => [field.name, field.value]));
            const answer = await action(values);
            if (answer && !answer.cancelled) showErrors(answer, fields, alert);
        });
    });
    return element;
}

/** Shows what was wrong with an answer: at its fields, and above the form what belongs to none. */
export function showErrors(answer, fields, alert) {
    const general = [];
    let first = null;
    for (const error of answer.errors) {
        const field = fields.find((field) => field.name === error.param || field.takes?.includes(error.param));
        if (!field) general.push(error.message);
        else {
            field.complain(error.message);
            first ??= field;
        }
    }
    if (answer.errors.length === 0) general.push(describe(answer));
    if (general.length > 0) {
        replace(alert, general.map((text) => h("p", {}, text)));
        alert.hidden = false;
    }
    if (first) first.input.focus();
    else alert.focus();
}

function clear(fields, alert) {
    fields.forEach((field) => field.complain(null));
    alert.hidden = true;
    replace(alert);
}

/** Whether all that is needed is there; if not, says so at the fields. */
function complete(fields) {
    const empty = fields.filter((field) => field.required && !field.value);
    empty.forEach((field) => field.complain(t("error.required")));
    empty[0]?.input.focus();
    return empty.length === 0;
}

function labelled(input, { name, label, hint, required }, control = input) {
    const { id } = input;
    const note = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
    const wrong = h("p", { class: "wrong", id: `${id}-error`, hidden: true });
    const optional = !required && h("span", { class: "optional" }, t("field.optional"));
    const complain = complainer(input, wrong, note);
    return {
        name,
        input,
        required,
        element: h("div", { class: "field" }, h("label", { for: id }, label, optional), control, wrong, note),
        get value() {
            if (input.type === "tel") return plainNumber(input.value);
            return input.type === "password" || input.autocomplete.endsWith("password") ? input.value : input.value.trim();
        },
        complain,
    };
}

/** Says what is wrong with an input, in `wrong`; null if nothing is. */
function complainer(input, wrong, note) {
    const complain = (text) => {
        wrong.textContent = text ?? "";
        wrong.hidden = !text;
        if (text) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
        const ids = [text && wrong.id, note && note.id].filter(Boolean).join(" ");
        if (ids) input.setAttribute("aria-describedby", ids);
        else input.removeAttribute("aria-describedby");
    };
    complain(null);
    return complain;
}
