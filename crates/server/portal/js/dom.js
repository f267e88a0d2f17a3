// Makes elements. Seam: h(tag, properties, ...children) and svg(...) alike; replace(parent, ...children).
// Text stays text: nothing in the portal is made from markup, and no element gets a style attribute (CSP).

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` are listeners, `class` and `aria-…` attributes; false, null and undefined are left out. */
export function h(tag, properties, ...children) {
    return fill(document.createElement(tag), properties, children);
}

/** An element of SVG. */
export function svg(tag, properties, ...children) {
    return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Puts children in the place of all that an element has. */
export function replace(parent, ...children) {
    parent.replaceChildren(...nodes(children));
    return parent;
}

let count = 0;

/** An id that no other element has. */
export function unique(prefix) {
    count += 1;
    return `${prefix}-${count}`;
}

function fill(element, properties, children) {
    for (const [name, value] of Object.entries(properties ?? {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...nodes(children));
    return element;
}

function nodes(children) {
    return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
