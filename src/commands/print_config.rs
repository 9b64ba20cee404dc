//! `shoal tracker --print-config`: a configuration file to begin with.
//!
//! Invariant: it is made from the options themselves, so that no key is left out, and reads back to the defaults.

use std::fmt::Write as _;

use clap::{Arg, ArgAction};

use crate::cli;
use crate::config::is_settable;

/// Every key of a tracker's configuration, with what it is for and its default; keys without one are notes.
pub(super) fn tracker() -> String {
    let command = cli::command();
    let mut text = "# The configuration of a tracker: save it as tracker.toml and run\n\
        #   shoal tracker --config tracker.toml\n\
        # An option goes before its variable, that before this file. Keys that are notes have no default.\n"
        .to_owned();
    text.push_str("\n[tracker]\n");
    for part in command.get_subcommands().filter(|part| part.get_name() == "tracker") {
        part.get_arguments().for_each(|arg| write_key(&mut text, arg));
    }
    text.push_str("\n[output]\n");
    command.get_arguments().for_each(|arg| write_key(&mut text, arg));
    text
}

fn write_key(text: &mut String, arg: &Arg) {
    let Some(key) = arg.get_long().filter(|_| is_settable(arg)) else { return };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let value = match (arg.get_action(), arg.get_default_values().first()) {
        (ArgAction::SetTrue, _) => Some("false".to_owned()),
        (ArgAction::Count, _) => Some("0".to_owned()),
        (_, default) => default.map(|value| literal(&value.to_string_lossy())),
    };
    // Writing to a String cannot fail.
    let _ = match value {
        Some(value) => writeln!(text, "\n# {help}\n{key} = {value}"),
        None => {
            let name =
                arg.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
            let example = match arg.get_action() {
                ArgAction::Append => format!("[\"{name}\"]"),
                _ => format!("\"{name}\""),
            };
            writeln!(text, "\n# {help}\n# {key} = {example}")
        }
    };
}

/// A number as such, all else as text.
fn literal(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => toml::Value::String(value.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::config::{ConfigFile, apply};

    fn parsed(file: &ConfigFile, args: &[&str]) -> String {
        let command = apply(cli::command(), Some(file)).unwrap();
        let matches = command.try_get_matches_from(args).unwrap();
        format!("{:?}", cli::Cli::from_arg_matches(&matches).unwrap())
    }

    fn file(text: &str) -> ConfigFile {
        ConfigFile { path: "tracker.toml".into(), table: text.parse().unwrap() }
    }

    #[test]
    fn the_printed_file_parses_back_to_the_defaults() {
        let args = ["shoal", "tracker"];
        assert_eq!(parsed(&file(&tracker()), &args), parsed(&file(""), &args));
    }

    #[test]
    fn every_key_stands_in_the_printed_file_after_what_it_is_for() {
        let (text, command) = (tracker(), cli::command());
        let part = command.find_subcommand("tracker").unwrap();
        let lines: Vec<_> = text.lines().collect();
        for arg in part.get_arguments().chain(command.get_arguments()).filter(|arg| is_settable(arg)) {
            let key = arg.get_long().unwrap();
            let at = lines.iter().position(|line| {
                line.strip_prefix("# ").unwrap_or(line).split_once(" = ").is_some_and(|(name, _)| name == key)
            });
            let before = lines[at.unwrap_or_else(|| panic!("{key} is not in {text}")) - 1];
            assert!(before.len() > 10 && before.starts_with("# "), "{key}: {before}");
        }
    }

    #[test]
    fn a_value_that_is_changed_in_the_printed_file_holds() {
        let text = tracker()
            .replace("interval = \"30m\"", "interval = \"15m\"")
            .replace("# trust = [\"NETWORK\"]", "trust = [\"10.0.0.0/8\", \"::1\"]")
            .replace("proxy-protocol = false", "proxy-protocol = true");
        let args = ["shoal", "tracker", "--interval", "15m", "--trust", "10.0.0.0/8", "--trust", "::1"];
        let expected = parsed(&file(""), &[&args[..], &["--proxy-protocol"]].concat());
        assert_eq!(parsed(&file(&text), &["shoal", "tracker"]), expected);
    }
}
