//! `theme.css`: the operator's colour in shades that can be read on light and on dark (WCAG 2.2, 1.4.3 and 1.4.11).

use vestibule_base::config::Colour;

/// Vestibule's own.
const OWN: Colour = Colour([0x1f, 0x6f, 0x5c]);
const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);
/// The least favourable ground for dark and for light letters, as in `style.css`.
const LIGHT_GROUND: Colour = Colour([0xec, 0xf0, 0xec]);
const DARK_GROUND: Colour = Colour([0x2a, 0x31, 0x2f]);

/// The custom properties that `style.css` takes its colours of buttons and links from.
pub(super) fn css(accent: Option<Colour>) -> String {
    let accent = accent.unwrap_or(OWN);
    format!(
        ":root {{\n{}}}\n@media (prefers-color-scheme: dark) {{\n:root {{\n{}}}\n}}\n",
        shades(accent, LIGHT_GROUND, BLACK),
        shades(accent, DARK_GROUND, WHITE)
    )
}

fn shades(accent: Colour, ground: Colour, towards: Colour) -> String {
    // What a button says is what it is known by, so that its own colour need only be told from the ground.
    let fill = readable(accent, ground, towards, 1.35);
    let hover = mix(fill, if contrast(fill, WHITE) >= 4.5 { BLACK } else { WHITE }, 0.12);
    let text = readable(accent, ground, towards, 4.6);
    let on = if contrast(fill, WHITE) >= 4.5 { WHITE } else { BLACK };
    format!(
        "  --accent: {fill};\n  --accent-hover: {hover};\n  --on-accent: {on};\n  --accent-text: {text};\n"
    )
}

/// `colour`, mixed with as much of black or white as it takes to have that contrast to the ground. On the way to white it
/// is made to glow first, or it would go pale.
fn readable(colour: Colour, ground: Colour, towards: Colour, wanted: f64) -> Colour {
    let between = if towards == WHITE { mix(glowing(colour), WHITE, 0.5) } else { mix(colour, towards, 0.5) };
    let steps = |from, to| (0..=40).map(move |step| mix(from, to, f64::from(step) / 40.0));
    let mut shades = steps(colour, between).chain(steps(between, towards));
    shades.find(|shade| contrast(*shade, ground) >= wanted).unwrap_or(towards)
}

/// A colour as bright as its hue can be.
fn glowing(colour: Colour) -> Colour {
    match colour.0.iter().max() {
        None | Some(0) => WHITE,
        Some(&most) => Colour(colour.0.map(|part| byte(f64::from(part) * 255.0 / f64::from(most)))),
    }
}

fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    let mut mixed = from.0;
    for (mixed, to) in mixed.iter_mut().zip(to.0) {
        let value = f64::from(*mixed) + (f64::from(to) - f64::from(*mixed)) * share;
        *mixed = byte(value);
    }
    Colour(mixed)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// The contrast of two colours, from 1 to 21 (WCAG 2.2, contrast ratio).
fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Colour) -> f64 {
    let [r, g, b] = colour.0.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast(WHITE, BLACK) - 21.0).abs() < 0.001);
        assert!((contrast(WHITE, Colour([0x76; 3])) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_colour_can_be_read() {
        for text in ["#000", "#fff", "#ffff00", "#ff0000", "#00f", "#808080", "#767676", "#1f6f5c", "#fa8072"]
        {
            let accent: Colour = text.parse().unwrap();
            for (ground, towards) in [(LIGHT_GROUND, BLACK), (DARK_GROUND, WHITE)] {
                let css = shades(accent, ground, towards);
                let get = |name: &str| -> Colour {
                    let (_, rest) = css.split_once(&format!("{name}: ")).unwrap();
                    rest.split(';').next().unwrap().parse().unwrap()
                };
                let (fill, hover, on) = (get("--accent"), get("--accent-hover"), get("--on-accent"));
                assert!(contrast(fill, ground) >= 1.35, "{text}");
                assert!(contrast(get("--accent-text"), ground) >= 4.5, "{text}");
                assert!(contrast(on, fill) >= 4.5 && contrast(on, hover) >= 4.5, "{text}: {css}");
            }
        }
    }
}
