//! `soak`: processes that are killed lose nothing and leave nothing, and what is broken on purpose is found.

use serde_json::{Value, json};

use crate::shell::Shell;

/// Runs a soak and returns its exit status and its document.
#[track_caller]
fn soak(arguments: &[&str]) -> (Option<i32>, Value) {
    let answer = Shell::new().run(&[&["soak", "--json"], arguments].concat());
    let document = serde_json::from_slice(&answer.stdout);
    (answer.code, document.unwrap_or_else(|error| panic!("{arguments:?}: {error}; {answer:?}")))
}

/// The faults that a soak counts, with those that are not 0.
fn faults(counted: &[(&str, u64)]) -> Value {
    let mut faults = json!({
        "lost": 0, "dangling": 0, "orphans": 0, "duplicates": 0, "resurrected": 0, "other": 0,
    });
    for (fault, count) in counted {
        faults[*fault] = json!(count);
    }
    faults
}

#[track_caller]
fn assert_both_are_well(document: &Value) -> &Vec<Value> {
    let databases = document["databases"].as_array().unwrap();
    let names: Vec<&str> = databases.iter().map(|entry| entry["database"].as_str().unwrap()).collect();
    assert!(names[0].starts_with("SQLite ") && names[1].starts_with("PostgreSQL "), "{names:?}");
    for entry in databases {
        assert_eq!(entry["faults"], faults(&[]), "{document:#}");
        assert!(entry["acknowledged"].as_u64().unwrap() > 20, "{document:#}");
    }
    databases
}

#[test]
fn nothing_is_lost_or_left_by_processes_that_are_killed() {
    let (code, document) = soak(&["--minutes", "5", "--kills", "5", "--seed", "11"]);
    for entry in assert_both_are_well(&document) {
        assert_eq!(entry["kills"], 5);
    }
    assert_eq!((code, &document["seed"]), (Some(0), &json!(11)));
}

#[test]
fn two_processes_sweep_while_four_upload() {
    let (code, document) = soak(&["--crowd", "--minutes", "0.1"]);
    for entry in assert_both_are_well(&document) {
        assert!(entry["verifies"].as_u64().unwrap() >= 1);
    }
    assert_eq!(code, Some(0));
}

#[test]
fn a_big_file_takes_little_memory_and_leaves_nothing_when_it_is_cut_off() {
    let (code, document) = soak(&["--big", "192", "--database", "sqlite"]);
    let uploads = document["databases"][0]["uploads"].as_array().unwrap();
    for (upload, way) in uploads.iter().zip(["one request", "parts"]) {
        assert_eq!((&upload["way"], &upload["bytes"]), (&json!(way), &json!(192 << 20)));
        let above_idle = upload["peak_kib"].as_u64().unwrap() - upload["idle_kib"].as_u64().unwrap();
        assert!(above_idle < 64 << 10, "{document:#}");
        assert!(upload["killed_at"].as_u64().unwrap() >= 96 << 20, "{document:#}");
        assert_eq!((&upload["wrong"], &upload["left"]), (&json!([]), &json!(0)), "{document:#}");
    }
    assert_eq!((code, uploads.len()), (Some(0), 2));
}

#[track_caller]
fn planted(database: &str, what: &str, counted: &[(&str, u64)]) {
    let (code, document) = soak(&["--minutes", "5", "--kills", "1", "--database", database, "--plant", what]);
    assert_eq!(document["databases"][0]["faults"], faults(counted), "{what}: {document:#}");
    assert_eq!((code, &document["is_well"]), (Some(1), &json!(false)));
}

#[test]
fn a_planted_loss_is_found() {
    planted("sqlite", "lost", &[("lost", 1)]);
}

#[test]
fn planted_bytes_are_found() {
    planted("sqlite", "changed", &[("lost", 1)]);
}

#[test]
fn a_planted_row_without_object_is_found() {
    planted("sqlite", "dangling", &[("dangling", 1)]);
}

#[test]
fn a_planted_orphan_is_found() {
    planted("sqlite", "orphan", &[("orphans", 1)]);
}

#[test]
fn a_planted_duplicate_is_found() {
    planted("sqlite", "duplicate", &[("duplicates", 1)]);
    planted("postgres", "duplicate", &[("duplicates", 1)]);
}

#[test]
fn a_planted_resurrection_is_found() {
    planted("sqlite", "resurrected", &[("resurrected", 1)]);
    planted("postgres", "resurrected", &[("resurrected", 1)]);
}

#[test]
fn a_soak_does_not_touch_a_database_that_is_there() {
    let shell = Shell::new();
    shell.write("there.sqlite3", b"");
    let answer = shell.run(&["soak", "--database", "sqlite:there.sqlite3", "--minutes", "0.1"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("makes a fresh database, and there is a file there.sqlite3"), "{answer:?}");
    for wrong in [&["--minutes", "0"], &["--minutes", "soon"], &["--database", "mysql://nowhere"]] {
        let answer = shell.run(&[&["soak"], &wrong[..]].concat());
        assert_ne!(answer.code, Some(0), "{answer:?}");
        assert!(!answer.stderr.is_empty(), "{answer:?}");
    }
}
