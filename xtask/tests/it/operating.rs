//! What operators run to keep a store in order: `verify`, `explain`, `sweep` in its ways, `erase-user`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use object_store_devkit::samples;

use crate::shell::Shell;

const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn put(shell: &Shell) -> String {
    shell.write("a.png", &samples::png(2, 2));
    let put = shell.json(&["put", "--json", "--user", USER, "a.png"]);
    put["images"][0]["id"].as_str().unwrap().to_owned()
}

/// The files of the embedded server's objects.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { objects(&path) } else { vec![path] }).collect()
}

#[test]
fn a_lost_object_is_found_and_explained() {
    let shell = Shell::new();
    let id = put(&shell);
    let clean = shell.run(&["verify", "--rehash", "1000000000"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.text().starts_with("compared 1 objects, 1 rows and 0 intents"), "{}", clean.text());
    assert!(clean.text().ends_with("0 digests noted\nclean\n"), "{}", clean.text());
    let explained = shell.run(&["explain", &id]);
    assert!(explained.text().starts_with("row\n  kind"), "{}", explained.text());
    assert!(explained.text().contains("\nno intent\nobject named by the row\n  image/"), "{}", explained.text());

    for file in objects(&shell.path(".object-store/s3/buckets/object-store")) {
        fs::remove_file(file).unwrap();
    }
    let found = shell.run(&["verify", "--repair", "--json"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    let report: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&report["missing"], &report["repaired"]), (&1.into(), &0.into()));
    assert_eq!(
        (&report["findings"][0]["finding"], &report["findings"][0]["id"]),
        (&"missing".into(), &id.clone().into())
    );
    assert!(shell.run(&["verify"]).text().starts_with(&format!("missing         image {id}: no object image/{id}/")));
    assert!(shell.json(&["explain", &id, "--json"])["objects"][0]["object"].is_null());
    assert_eq!(shell.run(&["rm", &id]).code, Some(0));
    assert_eq!(shell.run(&["verify"]).code, Some(0));
}

#[test]
fn a_verify_that_cannot_run_is_exit_status_2() {
    let shell = Shell::new();
    let verify = || shell.command(&["verify"]);
    let answer = verify().env("OBJECT_STORE_S3_ENDPOINT", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(answer.status.code(), Some(2), "{answer:?}");
    assert!(String::from_utf8(answer.stderr).unwrap().starts_with("error[misconfigured]: "));
    let answer = verify().env("OBJECT_STORE_DATABASE_URL", "sqlite:own.db").output().unwrap();
    assert_eq!(answer.status.code(), Some(2), "{answer:?}");
    assert!(String::from_utf8(answer.stderr).unwrap().starts_with("error[database_migrations_pending]: "));
    assert_eq!(shell.run(&["verify", "--rehash", "0"]).code, Some(2));
    assert_eq!(shell.run(&["verify", "--max-orphans", "5"]).code, Some(2));
}

#[test]
fn what_is_unknown_is_explained_as_unknown() {
    let shell = Shell::new();
    let answer = shell.run(&["explain", USER]);
    assert_eq!((answer.code, answer.text()), (Some(1), "no row\nno intent\nno object\n"));
}

#[test]
fn a_user_is_erased_and_a_dry_run_tells_what_is_due() {
    let shell = Shell::new();
    let id = put(&shell);
    put(&shell);
    let refused = shell.run(&["erase-user", USER]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("say --yes"), "{}", refused.stderr);
    let erased = shell.json(&["erase-user", USER, "--yes", "--json"]);
    assert_eq!((&erased["images"], &erased["audios"], &erased["uploads"]), (&2.into(), &0.into(), &0.into()));
    assert_eq!(shell.run(&["show", &id]).code, Some(1));

    for _ in 0..2 {
        let due = shell.json(&["sweep", "--dry-run", "--json"]);
        assert_eq!((&due["due"], &due["intents"][0]["purpose"]), (&2.into(), &"purge".into()));
    }
    let due = shell.run(&["sweep", "--dry-run"]);
    assert!(due.text().starts_with("intent to purge\n  image/") && due.text().ends_with("\n2 due, nothing was done\n"));
    assert!(shell.run(&["explain", &id]).text().contains("\nobject named by an intent\n"));
    assert_eq!(shell.objects(), 2);
    assert_eq!(shell.json(&["sweep", "--json"])["purged"], 2);
    assert_eq!(shell.objects(), 0);
    let again = shell.run(&["erase-user", USER, "--yes"]);
    assert!(again.text().starts_with("deleted 0 images and 0 audio files, ended 0 uploads"), "{again:?}");
}

#[test]
fn a_watch_sweeps_until_it_is_told_to_stop() {
    let shell = Shell::new();
    put(&shell);
    let sweep = shell
        .command(&["sweep", "--watch", "1", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.json(&["erase-user", USER, "--yes", "--json"]);
    let began = Instant::now();
    while shell.objects() > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is swept");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Where there is `kill`, there is SIGTERM.
    assert!(Command::new("kill").arg(sweep.id().to_string()).status().unwrap().success());
    let output = sweep.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let totals: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&totals["purged"], &totals["failures"]), (&1.into(), &0.into()));
    assert_eq!(shell.run(&["sweep", "--watch", "1", "--dry-run"]).code, Some(2));
}
