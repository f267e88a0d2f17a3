// QR codes as SVG. Seam: qr(text, label) is the code of a text, and `label` what it is for those who cannot see it.

import { svg } from "./dom.js";
import { encode } from "../vendor/uqr/uqr.mjs";

/** In modules; the standard wants as much around a code. */
const MARGIN = 4;

/** The code, dark on light in any colour scheme, as many cameras want it so. */
export function qr(text, label) {
    const { data, size } = encode(text, { ecc: "M", border: MARGIN });
    let path = "";
    data.forEach((line, y) => line.forEach((dark, x) => dark && (path += `M${x} ${y}h1v1h-1z`)));
    return svg(
        "svg",
        { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
        svg("rect", { width: size, height: size, fill: "#ffffff" }),
        svg("path", { d: path, fill: "#000000" }),
    );
}
