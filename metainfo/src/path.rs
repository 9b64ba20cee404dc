//! Paths that a stranger chose, made safe to create on disk and to print.

/// A relative path of safe elements: never empty, absolute or with `.`, `..` or separators inside an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    elements: Vec<String>,
}

impl SafePath {
    /// The elements, at least one.
    #[must_use]
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// The path as this system writes it.
    #[must_use]
    pub fn to_path_buf(&self) -> std::path::PathBuf {
        self.elements.iter().collect()
    }
}

impl std::fmt::Display for SafePath {
    /// The elements joined by `/`, not escaped for a terminal: see [`display_safe`].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.elements.join("/"))
    }
}

/// The text with control characters, escapes and direction overrides shown as `\u{..}`, so that it can be printed
/// on a terminal and stays on one line.
#[must_use]
pub fn display_safe(text: &str) -> String {
    let _ = text;
    todo!()
}
