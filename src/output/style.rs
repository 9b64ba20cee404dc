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
