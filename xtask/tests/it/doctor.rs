//! `doctor`, as somebody whose store does not work runs it.

use crate::shell::{Answer, Shell};

/// A line of the doctor's, with the word that it begins with.
fn assert_line(answer: &Answer, status: &str, name: &str) {
    let is_there = answer.text().lines().any(|line| line.starts_with(status) && line.contains(&format!(" {name} ")));
    assert!(is_there, "{status} {name}: {answer:?}");
}

#[test]
fn a_store_without_configuration_is_well() {
    let shell = Shell::new();
    let answer = shell.run(&["doctor"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for name in ["endpoint", "credentials", "bucket", "read_write", "post_policy", "database", "migrations"] {
        assert_line(&answer, "ok", name);
    }
    assert!(answer.text().ends_with("0 errors, 0 warnings\n"), "{answer:?}");
    assert_eq!(shell.objects(), 0);
    assert_eq!(shell.json(&["doctor", "--json", "--origin", "http://localhost:3000"])["errors"], 0);
}

#[test]
fn what_is_wrong_is_named_and_is_exit_status_1() {
    let shell = Shell::new();
    for (variable, value, name) in [
        ("OBJECT_STORE_S3_ENDPOINT", "http://127.0.0.1:1", "endpoint"),
        ("OBJECT_STORE_S3_ENDPOINT", "not a url", "configuration"),
        ("OBJECT_STORE_DATABASE_URL", "postgres://app:hunter2@127.0.0.1:1/app", "database"),
        ("OBJECT_STORE_MAX_PAGE", "many", "configuration"),
    ] {
        let mut command = shell.command(&["doctor"]);
        if name == "endpoint" {
            command
                .env("OBJECT_STORE_S3_BUCKET", "media")
                .env("AWS_ACCESS_KEY_ID", "a")
                .env("AWS_SECRET_ACCESS_KEY", "b");
        }
        let answer = Answer::from(command.env(variable, value).output().unwrap());
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert_line(&answer, "error", name);
        assert!(!answer.text().contains("hunter2"), "{answer:?}");
    }
    assert_eq!(shell.run(&["doctor", "--origin", "app.example.org"]).code, Some(2));
    assert_eq!(shell.run(&["doctor", "--yes"]).code, Some(2));
}
