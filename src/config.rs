//! The configuration file: one TOML file, a table a part, a key an option's long name.
//!
//! Invariant: the file only moves defaults. Its values become the defaults of the options they name, checked by
//! the options' own parsers, so that flag, variable, file, default is the order without further code, and an
//! option that exists can be set here without being listed here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ArgAction;
use clap::builder::Resettable;
use metainfo::display_safe;
use toml::{Table, Value};

use crate::exit::{Exit, failure, reason};
use crate::io::Io;

/// Tables and the commands whose options they hold; an empty list is the options of every command.
const TABLES: [(&str, &[&str]); 5] = [
    ("peer", &["seed", "download", "share"]),
    ("tracker", &["tracker"]),
    ("create", &["create"]),
    ("verify", &["verify"]),
    ("output", &[]),
];

/// The largest file that is read: a configuration is a page or two.
const MAX_BYTES: u64 = 1 << 20;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    pub(crate) table: Table,
}

/// Reads the file named on the command line or by `SHOAL_CONFIG`, else the one at the usual place if it is there.
///
/// # Errors
/// If a named file cannot be read, or a file is no TOML.
pub(crate) fn load(named: Option<&Path>, io: &Io) -> Result<Option<ConfigFile>> {
    let path = match named {
        Some(path) => io.cwd.join(path),
        None => match usual_place(io).filter(|path| path.is_file()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let shown = display_safe(&path.to_string_lossy());
    let length = std::fs::metadata(&path).map_err(|error| anyhow!("{shown}: {}", reason(&error)))?.len();
    if length > MAX_BYTES {
        bail!("{shown}: a configuration file of {length} bytes is more than the {MAX_BYTES} allowed");
    }
    let text = std::fs::read_to_string(&path).map_err(|error| anyhow!("{shown}: {}", reason(&error)))?;
    let table = text.parse::<Table>().map_err(|error| {
        let line =
            error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        failure(Exit::Usage, format!("{shown}: line {line}: {}", error.message().replace('\n', ", ")))
    })?;
    Ok(Some(ConfigFile { path, table }))
}

/// `$XDG_CONFIG_HOME/shoal/config.toml`, or that below `~/.config`.
fn usual_place(io: &Io) -> Option<PathBuf> {
    let set = |name: &str| (io.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG_CONFIG_HOME is to be ignored, says its specification.
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("shoal").join("config.toml"))
}

/// Makes what the file says the defaults of the options it names.
///
/// # Errors
/// If a table or key is unknown, or a value is not one that its option takes.
pub(crate) fn apply(command: clap::Command, file: Option<&ConfigFile>) -> Result<clap::Command> {
    let Some(file) = file else { return Ok(command) };
    apply_tables(command, &file.table)
        .with_context(|| display_safe(&file.path.to_string_lossy()))
        // One line: the file, then what is wrong in it.
        .map_err(|error| failure(Exit::Usage, format!("{error:#}")))
}

fn apply_tables(mut command: clap::Command, tables: &Table) -> Result<clap::Command> {
    for (name, value) in tables {
        let safe = display_safe(name);
        let Some((_, holders)) = TABLES.iter().find(|(table, _)| table == name) else {
            if let Some((home, _)) = TABLES.iter().find(|(_, holders)| has_option(&command, holders, name)) {
                bail!("'{safe}' belongs into [{home}]");
            }
            let known = TABLES.map(|(table, _)| format!("[{table}]")).join(", ");
            bail!("unknown key '{safe}' (there are {known})");
        };
        let Value::Table(keys) = value else { bail!("'{safe}' must be a table: [{safe}]") };
        for (key, value) in keys {
            command = apply_key(command, name, holders, key, value)?;
        }
    }
    Ok(command)
}

/// Sets one option's default in each of the commands that have it.
fn apply_key(
    mut command: clap::Command,
    table: &str,
    holders: &[&str],
    key: &str,
    value: &Value,
) -> Result<clap::Command> {
    if holders.is_empty() {
        let (changed, found) = set_default(command, table, key, value)?;
        return if found { Ok(changed) } else { Err(unknown_key(&changed, table, holders, key)) };
    }
    let mut found_any = false;
    for holder in holders {
        let Some(part) = command.find_subcommand(holder).cloned() else { continue };
        let (part, found) = set_default(part, table, key, value)?;
        found_any |= found;
        command = command.mut_subcommand(holder, |_| part);
    }
    if found_any { Ok(command) } else { Err(unknown_key(&command, table, holders, key)) }
}

/// Whether an option can stand in the file at all: not the file's own name, nor what is said once.
pub(crate) fn is_settable(arg: &clap::Arg) -> bool {
    arg.get_long().is_some_and(|long| !matches!(long, "config" | "print-config"))
        && matches!(
            arg.get_action(),
            ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::Count
        )
}

fn unknown_key(command: &clap::Command, table: &str, holders: &[&str], key: &str) -> anyhow::Error {
    let mut known: Vec<&str> = match holders {
        [] => options_of(command),
        _ => {
            holders.iter().filter_map(|holder| command.find_subcommand(holder)).flat_map(options_of).collect()
        }
    };
    known.sort_unstable();
    known.dedup();
    anyhow!("unknown key '{}' in [{table}] (there are {})", display_safe(key), known.join(", "))
}

/// Whether one of these commands, or with none of them every command, has this option.
fn has_option(command: &clap::Command, holders: &[&str], key: &str) -> bool {
    match holders {
        [] => options_of(command).contains(&key),
        _ => holders
            .iter()
            .filter_map(|holder| command.find_subcommand(holder))
            .any(|part| options_of(part).contains(&key)),
    }
}

fn options_of(command: &clap::Command) -> Vec<&str> {
    command.get_arguments().filter(|arg| is_settable(arg)).filter_map(clap::Arg::get_long).collect()
}

fn set_default(
    command: clap::Command,
    table: &str,
    key: &str,
    value: &Value,
) -> Result<(clap::Command, bool)> {
    let found = command.get_arguments().find(|arg| arg.get_long() == Some(key) && is_settable(arg));
    let Some(arg) = found else { return Ok((command, false)) };
    let texts = texts(value, matches!(arg.get_action(), ArgAction::Append))
        .ok_or_else(|| anyhow!("[{table}] {key}: a value of this type is not taken"))?;
    check(arg, &texts).map_err(|reason| anyhow!("[{table}] {key}: {reason}"))?;
    let id = arg.get_id().clone();
    let command = command.mut_arg(id, |arg| arg.default_values(texts));
    Ok((command, true))
}

/// The value as it would stand on the command line.
fn texts(value: &Value, many: bool) -> Option<Vec<OsString>> {
    match value {
        Value::String(text) => Some(vec![text.into()]),
        Value::Integer(number) => Some(vec![number.to_string().into()]),
        Value::Float(number) => Some(vec![number.to_string().into()]),
        Value::Boolean(flag) => Some(vec![flag.to_string().into()]),
        Value::Array(values) if many => {
            let each = values.iter().map(|value| texts(value, false)).collect::<Option<Vec<_>>>()?;
            Some(each.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// Lets the option's own parser judge the values.
fn check(arg: &clap::Arg, texts: &[OsString]) -> Result<(), String> {
    let probe = clap::Command::new("probe").no_binary_name(true).disable_help_flag(true);
    let alone = arg.clone().env(None::<&str>).global(false).overrides_with(Resettable::Reset);
    let probe = probe.arg(alone.default_values(texts.to_vec()));
    match probe.try_get_matches_from(std::iter::empty::<OsString>()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or("the value is not taken");
            Err(line.strip_prefix("error: ").unwrap_or(line).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, args: &[&str]) -> Result<clap::ArgMatches, String> {
        let file = ConfigFile { path: "config.toml".into(), table: text.parse().unwrap() };
        let command = apply(crate::cli::command(), Some(&file)).map_err(|error| format!("{error:#}"))?;
        command.try_get_matches_from(args).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_moves_defaults_and_a_flag_goes_before_it() {
        let text = "[peer]\nport = 7000\n[output]\nprogress = \"plain\"\nquiet = true\n";
        let matches = applied(text, &["shoal", "seed", "x"]).unwrap();
        let seed = matches.subcommand_matches("seed").unwrap();
        assert_eq!(seed.get_one::<u16>("port"), Some(&7000));
        assert!(seed.get_flag("quiet"));
        let matches = applied(text, &["shoal", "download", "x", "--port", "1"]).unwrap();
        assert_eq!(matches.subcommand_matches("download").unwrap().get_one::<u16>("port"), Some(&1));
    }

    #[test]
    fn of_a_pair_the_file_may_name_either_and_the_last_flag_goes_before_it() {
        use clap::FromArgMatches;

        let pex = |text: &str, args: &[&str]| {
            let matches = applied(text, &[&["shoal", "seed", "x"], args].concat()).unwrap();
            match crate::cli::Cli::from_arg_matches(&matches).unwrap().command {
                crate::cli::Command::Seed(seed) => seed.network.pex.on,
                other => panic!("{other:?}"),
            }
        };
        assert!(pex("", &[]) && pex("", &["--pex"]) && pex("", &["--no-pex", "--pex"]));
        assert!(!pex("", &["--no-pex"]) && !pex("", &["--pex", "--no-pex"]));
        for off in ["[peer]\npex = false\n", "[peer]\nno-pex = true\n"] {
            assert!(!pex(off, &[]) && pex(off, &["--pex"]), "{off}");
        }
        assert!(!pex("[peer]\npex = true\n", &["--no-pex"]));
    }

    #[test]
    fn the_example_in_the_readme_is_taken() {
        let readme = include_str!("../README.md");
        let (_, from) = readme.split_once("```toml\n").unwrap();
        let (example, _) = from.split_once("```").unwrap();
        let matches = applied(example, &["shoal", "seed", "x"]).unwrap();
        assert_eq!(matches.subcommand_matches("seed").unwrap().get_one::<u16>("port"), Some(&6881));
    }

    #[test]
    fn every_option_of_every_command_has_a_key() {
        let mut command = crate::cli::command();
        command.build();
        let everywhere = options_of(&command);
        for part in command.get_subcommands() {
            for option in options_of(part).into_iter().filter(|option| !everywhere.contains(option)) {
                let is_held = TABLES.iter().any(|(_, holders)| holders.contains(&part.get_name()));
                assert!(is_held, "{} --{option} is in no table", part.get_name());
            }
        }
        let matches = applied("[verify]\nthreads = 3\n", &["shoal", "verify", "x"]).unwrap();
        assert_eq!(matches.subcommand_matches("verify").unwrap().get_one::<u16>("threads"), Some(&3));
    }

    #[test]
    fn a_list_is_an_option_given_several_times() {
        let text = "[create]\nannounce = [\"http://a/announce\", \"http://b/announce\"]\n";
        let matches = applied(text, &["shoal", "create", "x"]).unwrap();
        let create = matches.subcommand_matches("create").unwrap();
        assert_eq!(create.get_many::<String>("announce").unwrap().count(), 2);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_table() {
        let error = applied("[peer]\nprot = 1\n", &["shoal", "seed", "x"]).unwrap_err();
        assert!(error.starts_with("config.toml: unknown key 'prot' in [peer] (there are "), "{error}");
        let error = applied("[pear]\nport = 1\n", &["shoal", "seed", "x"]).unwrap_err();
        assert!(error.starts_with("config.toml: unknown key 'pear'"), "{error}");
        assert!(applied("[output]\nconfig = \"x\"\n", &["shoal", "seed", "x"]).is_err());
    }

    #[test]
    fn a_value_is_judged_by_the_options_own_parser() {
        let error = applied("[peer]\nport = 70000\n", &["shoal", "seed", "x"]).unwrap_err();
        assert!(error.starts_with("config.toml: [peer] port: invalid value '70000'"), "{error}");
        assert!(applied("[peer]\nport = [1]\n", &["shoal", "seed", "x"]).is_err());
        assert!(applied("[create]\npiece-length = \"1MB\"\n", &["shoal", "create", "x"]).is_err());
    }
}
