//! `[portal]`: Vestibule's own pages, where people log in and look after their account.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::colour::Colour;
use super::settings::settings;

settings! {
    /// The account portal: pages at `/account` on which people log in, sign up and look after their account. It uses
    /// nothing but the API for browsers, so a front end of your own can take its place page by page.
    pub struct Portal {
        /// Whether it is served. It is not either with `headless.only`, or without the client `"browser"`.
        pub enabled: bool = true,

        /// What it calls itself, in the head of each page and in the title of the window.
        pub name: String = "Vestibule".to_owned(),

        /// A picture beside the name: the path of a file (SVG, PNG, WebP or JPEG), which is read at the start, or a URL with
        /// `https://`. Unset: Vestibule's own.
        pub logo: Option<String> = None,

        /// The colour of buttons and links, as `"#rrggbb"`. Where it would be hard to read, a darker or lighter shade of
        /// it is used. Unset: Vestibule's own.
        pub accent_color: Option<Colour> = None,

        /// Links at the foot of each page, such as imprint, terms and privacy: each `{ label = "…", url = "…" }`, in a list or
        /// as `[[portal.links]]`. A URL begins with `https://`, `http://` or `mailto:`, or is a path of this server.
        pub links: Vec<Link> = Vec::new(),

        /// Where people go who have logged in and were not on their way to some other page: a path, or a URL of an origin
        /// that they may be sent back to. Unset: their account.
        pub home_url: Option<String> = None,

        /// A folder whose files take the place of the ones in the program: `index.html`, `style.css`, `js/…`,
        /// `locales/de.json`. They are read at each request, so that a change needs only a reload.
        ///
        /// Danger: its scripts act for people who are logged in.
        pub directory: Option<PathBuf> = None,
    }
}

/// A link at the foot of each page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub url: String,
}
