// What the settings ask new accounts for beyond what a login needs. Seam: extraFields(announced) are fields for form().

import { checkbox, field, selectField } from "./form.js";

/** Attributes of the inputs that take each type. */
const INPUTS = {
    text: () => ({}),
    email: () => ({ type: "email" }),
    url: () => ({ type: "url", inputmode: "url" }),
    date: () => ({ type: "date" }),
    integer: ({ min, max }) => ({ type: "number", step: "1", min, max }),
    number: ({ min, max }) => ({ type: "number", step: "any", min, max }),
};

/** The fields that `config` announces, in their order. */
export function extraFields(announced = []) {
    return announced.map((asked) => {
        const { name, type, required, min_length: minlength, max_length: maxlength } = asked;
        const label = asked.label ?? name;
        if (type === "boolean") return checkbox({ name, label, required });
        if (type === "choice") return selectField({ name, label, required, choices: asked.choices });
        return field({ name, label, required, minlength, maxlength, autocomplete: "off", ...INPUTS[type](asked) });
    });
}
