//! What is compiled into what, by `cargo tree`.

use crate::workspace;

/// The names of all packages that a package is built of, with its default features.
fn built_of(package: &str) -> Vec<String> {
    let arguments = ["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package"];
    let output = workspace::cargo().args(arguments).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert_eq!(names.first().map(String::as_str), Some(package));
    names
}

#[track_caller]
fn assert_without(package: &str, others: &[&str]) {
    let names = built_of(package);
    for other in others {
        assert!(!names.iter().any(|name| name == other), "{other} is in {package}");
    }
}

#[test]
fn the_use_cases_do_not_know_rust_s3() {
    assert_without("object-store-service", &["rust-s3", "s3s", "object-store-s3-provider"]);
}

#[test]
fn media_does_no_io() {
    assert_without("object-store-media", &["tokio", "diesel", "diesel-async", "rust-s3", "futures"]);
}

#[test]
fn a_default_build_has_no_s3_server() {
    assert_without("object-store-public", &["s3s", "s3s-fs", "object-store-embedded-s3", "object-store-devkit"]);
}

#[test]
fn the_tree_shows_what_is_there() {
    // Or else the tests above would hold whatever the manifests say.
    assert!(built_of("object-store-s3-provider").iter().any(|name| name == "rust-s3"));
    assert!(built_of("xtask").iter().any(|name| name == "s3s"));
}
