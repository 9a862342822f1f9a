//! The manifests against the arrows of `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::workspace::{self, Dependency};

/// What tests and build scripts may depend on beyond the arrows.
const FOR_TESTS: [&str; 2] = ["devkit", "embedded-s3"];

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn normal_dependencies_are_the_arrows_and_no_others() {
    let real: Arrows = workspace::members()
        .into_iter()
        .map(|member| {
            (
                member.name,
                member.dependencies.iter().filter(|dependency| is_normal(dependency)).filter_map(arrow).collect(),
            )
        })
        .collect();
    assert_eq!(real, drawn(), "left: the manifests, right: docs/architecture.md");
}

#[test]
fn tests_know_no_more_than_the_arrows_and_what_is_made_for_tests() {
    let drawn = drawn();
    for member in workspace::members() {
        for dependency in member.dependencies.iter().filter(|dependency| !is_normal(dependency)) {
            let Some(name) = dependency.member() else { continue };
            let is_drawn = drawn[&member.name].iter().any(|arrow| arrow.trim_end_matches("(optional)") == name);
            assert!(is_drawn || FOR_TESTS.contains(&name), "the tests of {} depend on {name}", member.name);
        }
    }
}

#[test]
fn only_the_s3_provider_names_rust_s3() {
    let names: Vec<String> = workspace::members()
        .into_iter()
        .filter(|member| member.dependencies.iter().any(|dependency| dependency.package == "rust-s3"))
        .map(|member| member.name)
        .collect();
    assert_eq!(names, ["s3-provider"]);
}

fn is_normal(dependency: &Dependency) -> bool {
    dependency.kind.is_none()
}

fn arrow(dependency: &Dependency) -> Option<String> {
    let optional = if dependency.is_optional { "(optional)" } else { "" };
    dependency.member().map(|name| format!("{name}{optional}"))
}

/// The block of arrows: a line for each crate, `from -> to to`.
fn drawn() -> Arrows {
    let text = fs::read_to_string(workspace::root().join("docs/architecture.md")).unwrap();
    let (_, block) = text.split_once("\n```arrows\n").expect("a block of arrows");
    let (block, _) = block.split_once("\n```").expect("the end of the block");
    let mut arrows = Arrows::new();
    for line in block.lines() {
        let (from, to) = line.split_once(" ->").unwrap_or_else(|| panic!("no arrow in {line:?}"));
        let to = to.split_whitespace().map(str::to_owned).collect();
        assert!(arrows.insert(from.to_owned(), to).is_none(), "{from} is listed twice");
    }
    arrows
}
