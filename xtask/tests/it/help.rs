//! The help texts. `UPDATE_HELP=1 cargo test -p xtask --test it help` writes them anew.

use std::fmt::Write;
use std::{env, fs};

use crate::shell::xtask;

const COMMANDS: [&str; 18] = [
    "dev",
    "test",
    "migrate",
    "seed",
    "put",
    "ls",
    "show",
    "url",
    "get",
    "rm",
    "sweep",
    "verify",
    "explain",
    "erase-user",
    "usage",
    "recount-usage",
    "probe",
    "soak",
];

#[test]
fn the_help_is_as_written_down() {
    let mut shown = help(&["--help"]);
    for command in COMMANDS {
        write!(shown, "\n\n\n{}", help(&[command, "--help"])).unwrap();
    }
    shown.push('\n');
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/help.txt");
    if env::var_os("UPDATE_HELP").is_some() {
        fs::write(file, &shown).unwrap();
    }
    assert_eq!(shown, fs::read_to_string(file).unwrap_or_default());
}

#[test]
fn every_command_is_listed_with_one_line_and_has_an_example() {
    let overview = help(&["-h"]);
    for command in COMMANDS {
        let line = overview.lines().find(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(line.is_some_and(|line| line.len() > 20), "{command}: {overview}");
        assert!(help(&[command, "--help"]).contains("cargo xtask "), "{command}");
    }
}

fn help(arguments: &[&str]) -> String {
    let output = xtask().args(arguments).env("COLUMNS", "110").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(str::trim_end).collect();
    format!("$ cargo xtask {}\n{}", arguments.join(" "), lines.join("\n").trim_end())
}
