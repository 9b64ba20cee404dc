//! Colour, where it is wanted.
//!
//! Widths are measured before colour is put on.

/// Puts colour on text, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    on: bool,
}

macro_rules! styles {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $name(self, text: &str) -> String {
                if self.on && !text.is_empty() { format!(concat!("\x1b[", $code, "m{}\x1b[0m"), text) } else { text.to_owned() }
            }
        )*
    };
}

impl Style {
    /// Colour, or none.
    pub(crate) const fn new(on: bool) -> Self {
        Self { on }
    }

    styles! {
        /// What the eye is to find first.
        bold = "1";
        /// What is less important.
        dim = "2";
        /// Errors.
        red = "1;31";
        /// Done.
        green = "32";
        /// Warnings, and why nothing moves.
        yellow = "33";
        /// What goes on.
        cyan = "36";
    }
}

/// The text as it would be without colour.
pub(crate) fn without_styles(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_same_without_its_colours() {
        let style = Style::new(true);
        let text = format!("{} and {}m", style.bold("big"), style.yellow("[0m"));
        assert_eq!(without_styles(&text), "big and [0mm");
    }
}
