//! Rules about the sources that no compiler knows.

use std::fs;

use crate::workspace;

#[test]
fn every_crate_says_what_it_is_and_what_it_never_does() {
    for member in workspace::members() {
        let root = ["src/lib.rs", "src/main.rs"].map(|file| member.folder.join(file));
        let root = root.iter().find(|file| file.exists()).expect("a root");
        let text = fs::read_to_string(root).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with what it is", root.display());
        let docs: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(docs.contains("**Architecture invariant:**"), "{} has no architecture invariant", root.display());
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    for member in workspace::members() {
        let manifest = fs::read_to_string(member.folder.join("Cargo.toml")).unwrap();
        let lints = manifest.split_once("\n[lints]\n").map(|(_, rest)| rest.lines().next());
        assert_eq!(lints, Some(Some("workspace = true")), "{}", member.name);
    }
}

#[test]
fn no_exception_from_a_lint_is_without_a_reason() {
    // In pieces, or this file would be found itself.
    let allow = ["#[al", "low("].concat();
    let expect = ["[exp", "ect("].concat();
    for (file, text) in sources() {
        assert!(!text.contains(&allow) && !text.contains(&allow.replace('[', "![")), "{file} allows a lint");
        for attribute in text.split(&expect).skip(1) {
            let attribute = attribute.split(")]").next().unwrap_or_default();
            assert!(attribute.contains("reason = "), "{file} expects a lint without a reason: {attribute}");
        }
    }
}

#[test]
fn no_file_names_somebodys_home() {
    // In pieces, or this file would be found itself.
    let homes = [["/ho", "me/"], ["/Us", "ers/"], ["/ro", "ot/"], ["C:\\Us", "ers\\"]].map(|pieces| pieces.concat());
    for file in workspace::files() {
        // Not every file is text.
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        for home in &homes {
            assert!(!text.contains(home), "{} contains {home}", file.display());
        }
    }
}

#[test]
fn every_test_binary_is_one() {
    for member in workspace::members() {
        let tests = member.folder.join("tests");
        if tests.exists() {
            let mut names: Vec<_> = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            // The mutants are built with a feature that nothing else is built with.
            names.retain(|name| name != "mutants");
            assert_eq!(names, ["it"], "{}", member.name);
        }
    }
}

/// The Rust files, and their text.
fn sources() -> impl Iterator<Item = (String, String)> {
    workspace::files()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap()))
}
