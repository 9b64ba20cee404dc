//! Names and values under each other, for `show` and `create`.
//!
//! Values are taken as they are: whoever adds one has made it safe to print.

use super::size::{fit, width};
use super::style::Style;

/// Names and values, in order; an empty name goes on with the value before it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(String, String)>,
}

impl Table {
    /// Adds a row.
    pub(crate) fn row(&mut self, name: &str, value: impl Into<String>) {
        self.rows.push((name.to_owned(), value.into()));
    }

    /// Adds a row if there is a value.
    pub(crate) fn row_if(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }

    /// Lines for a terminal: names in a column of their own.
    pub(crate) fn aligned(&self, style: Style) -> Vec<String> {
        let column = self.rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        let line = |(name, value): &(String, String)| {
            let name = style.cyan(&fit(name, column));
            format!("{name}  {value}").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// Lines for a script: `name: value`, each with its name.
    pub(crate) fn plain(&self) -> Vec<String> {
        let mut last = "";
        let mut lines = Vec::with_capacity(self.rows.len());
        for (name, value) in &self.rows {
            if !name.is_empty() {
                last = name;
            }
            lines.push(format!("{}: {value}", last.to_lowercase().replace(' ', "-")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned_for_people_and_repeated_for_scripts() {
        let mut table = Table::default();
        table.row("Name", "photos");
        table.row("Created by", "shoal");
        table.row("", "and more");
        table.row_if("Comment", None::<String>);
        assert_eq!(
            table.aligned(Style::new(false)),
            ["Name        photos", "Created by  shoal", "            and more"]
        );
        assert_eq!(table.plain(), ["name: photos", "created-by: shoal", "created-by: and more"]);
    }
}
