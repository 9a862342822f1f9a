//! The commands on the embedded defaults, one process each.

use std::fs;

use object_store_devkit::samples;
use serde_json::Value;

use crate::shell::{Answer, Shell};

const NOBODYS_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[track_caller]
fn assert_fails(answer: &Answer, code: &str) {
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains(&format!("error[{code}]: ")), "{answer:?}");
    assert!(answer.stdout.is_empty(), "{answer:?}");
}

fn count(listing: &Value, kind: &str) -> usize {
    listing[kind].as_array().unwrap().len()
}

#[test]
fn seeding_twice_adds_nothing() {
    let shell = Shell::new();
    let first = shell.json(&["seed", "--json"]);
    let (images, audios) = (count(&first, "images"), count(&first, "audios"));
    assert!(images >= 4 && audios >= 4, "{images} images, {audios} audio files");
    assert_eq!(first["added"], images + audios);
    assert!(first["images"][0]["url"].as_str().unwrap().starts_with("http://"));
    assert!(first["audios"][0]["expires_at"].is_string());

    let again = shell.run(&["seed"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.text().starts_with(&format!("0 added, {} already there", images + audios)), "{}", again.text());
    for file in first["images"].as_array().unwrap().iter().chain(first["audios"].as_array().unwrap()) {
        assert!(again.text().contains(file["id"].as_str().unwrap()), "{}", again.text());
    }
    let all = shell.json(&["ls", "--all", "--json"]);
    assert_eq!((count(&all, "images"), count(&all, "audios")), (images, audios));
}

#[test]
fn a_file_is_put_shown_got_and_removed() {
    let shell = Shell::new();
    let png = samples::png(30, 20);
    shell.write("a.png", &png);
    let put = shell.json(&["put", "--json", "--user", NOBODYS_ID, "--type", "image/png", "a.png"]);
    assert_eq!(put["errors"], Value::Array(Vec::new()));
    let image = &put["images"][0];
    assert_eq!((&image["width"], &image["height"]), (&30.into(), &20.into()));
    assert_eq!((&image["kind"], &image["user_id"]), (&"image".into(), &NOBODYS_ID.into()));
    let id = image["id"].as_str().unwrap();

    let shown = shell.run(&["show", id]);
    assert!(shown.text().contains("\ndimensions    30 x 20\n"), "{}", shown.text());
    assert_eq!(shell.json(&["show", id, "--json"])["sha256"], image["sha256"]);
    assert_eq!(shell.run(&["get", id]).stdout, png);
    assert_eq!(shell.run(&["get", id, "-o", "b.png"]).code, Some(0));
    assert_eq!(fs::read(shell.path("b.png")).unwrap(), png);
    let url = shell.run(&["url", id, "--expires", "60", "--download"]);
    assert!(url.text().starts_with("http://") && url.text().lines().count() == 1, "{}", url.text());
    assert!(url.text().contains("attachment") && url.text().contains("X-Amz-Expires=60&"), "{}", url.text());

    assert_eq!(shell.objects(), 1);
    assert_eq!(shell.run(&["rm", id]).text(), format!("deleted image {id}\n"));
    let swept = shell.json(&["sweep", "--json"]);
    assert_eq!(swept["failed"], 0);
    assert_eq!(shell.objects(), 0);
    assert_fails(&shell.run(&["show", id]), "not_found");
    assert_fails(&shell.run(&["rm", id]), "not_found");
}

#[test]
fn an_existing_file_is_overwritten_only_by_force() {
    let shell = Shell::new();
    shell.write("a.wav", &samples::wav(8_000, 1, 16, 50));
    let put = shell.json(&["put", "--json", "a.wav"]);
    let id = put["audios"][0]["id"].as_str().unwrap();
    shell.write("b.wav", b"mine");
    assert_fails(&shell.run(&["get", id, "-o", "b.wav"]), "failed");
    assert_eq!(fs::read(shell.path("b.wav")).unwrap(), b"mine");
    assert_eq!(shell.run(&["get", id, "-o", "b.wav", "--force"]).code, Some(0));
    assert_eq!(fs::read(shell.path("b.wav")).unwrap(), fs::read(shell.path("a.wav")).unwrap());
    // Nothing temporary is left: the store, a.wav and b.wav.
    assert_eq!(fs::read_dir(shell.path(".")).unwrap().count(), 3);
}

#[test]
fn bad_files_are_named_and_the_others_are_put() {
    let shell = Shell::new();
    shell.write("empty.png", b"");
    shell.write("text.png", b"not a picture at all");
    shell.write("good.gif", &samples::gif(4, 3, 2));
    let answer = shell.run(&["put", "--json", "empty.png", "text.png", "missing.png", ".", "good.gif"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let document: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(document["images"][0]["frame_count"], 2);
    let errors: Vec<_> = document["errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect();
    assert_eq!(errors, ["empty", "unsupported_type", "body_unreadable", "body_unreadable"]);
    assert!(answer.stderr.contains("error[empty]: empty.png: the file is empty\n"), "{}", answer.stderr);
    assert!(answer.stderr.contains("error[body_unreadable]: missing.png: "), "{}", answer.stderr);
    assert_eq!(shell.objects(), 1);
}

#[test]
fn a_contradicted_type_leaves_nothing() {
    let shell = Shell::new();
    shell.write("a.png", &samples::png(2, 2));
    assert_fails(&shell.run(&["put", "--type", "audio/wav", "a.png"]), "type_mismatch");
    assert_eq!(shell.objects(), 0);
    let all = shell.json(&["ls", "--json"]);
    assert_eq!(count(&all, "images") + count(&all, "audios"), 0);
}

#[test]
fn a_listing_goes_on_where_it_ended() {
    let shell = Shell::new();
    let names = ["1.gif", "2.gif", "3.gif"];
    for name in names {
        shell.write(name, &samples::gif(3, 3, 1));
    }
    shell.json(&["put", "--json", names[0], names[1], names[2]]);
    let mut seen = Vec::new();
    let mut arguments = vec!["ls".to_owned(), "--json".into(), "--kind=image".into(), "--limit=2".into()];
    loop {
        let page = shell.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        seen.extend(page["images"].as_array().unwrap().iter().map(|image| image["filename"].clone()));
        let Some(next) = page["next"]["image"].as_str() else { break };
        arguments.truncate(4);
        arguments.push(format!("--after={next}"));
    }
    assert_eq!(seen, ["3.gif", "2.gif", "1.gif"]);
    let nobodys = shell.json(&["ls", "--json", "--user", NOBODYS_ID]);
    assert_eq!(count(&nobodys, "images"), 0);
    assert_eq!(count(&shell.json(&["ls", "--json", "--nobody"]), "images"), 3);
}

#[test]
fn wrong_usage_is_exit_status_2() {
    let shell = Shell::new();
    for arguments in [
        &["show", "1"][..],
        &["put"],
        &["ls", "--after", "i0"],
        &["ls", "--kind", "image", "--after", "nonsense"],
        &["ls", "--limit", "0"],
        &["put", "--user", "me", "a.png"],
        &["get", NOBODYS_ID, "--force"],
        &["migrate", "--yes"],
        &["paint"],
    ] {
        let answer = shell.run(arguments);
        assert_eq!(answer.code, Some(2), "{arguments:?}: {answer:?}");
    }
    assert!(shell.run(&["show", "1"]).stderr.contains("an id is a UUID"));
    assert!(!shell.path(".object-store").exists());
}

#[test]
fn what_is_not_there_is_not_found() {
    let shell = Shell::new();
    for command in ["show", "url", "get", "rm"] {
        assert_fails(&shell.run(&[command, NOBODYS_ID]), "not_found");
    }
}

#[test]
fn taking_back_without_a_terminal_has_to_be_confirmed() {
    let shell = Shell::new();
    let migrated = shell.run(&["migrate"]);
    assert!(migrated.text().contains("the tables are up to date\nbucket object-store at "), "{migrated:?}");
    let answer = shell.run(&["migrate", "--revert", "1"]);
    assert_fails(&answer, "failed");
    assert!(answer.stderr.contains("say --yes"), "{}", answer.stderr);
    assert!(shell.run(&["migrate", "--status"]).text().contains("\napplied  "));
    let reverted = shell.run(&["migrate", "--revert", "1", "--yes"]);
    assert!(reverted.text().starts_with("reverted "), "{reverted:?}");
}

#[test]
fn a_database_is_migrated_by_hand() {
    let shell = Shell::new();
    let run = |arguments: &[&str]| -> Answer {
        shell.command(arguments).env("OBJECT_STORE_DATABASE_URL", "sqlite:own.db").output().unwrap().into()
    };
    let answer = run(&["ls"]);
    assert_fails(&answer, "database_migrations_pending");
    assert!(answer.stderr.contains("help: `cargo xtask migrate`"), "{}", answer.stderr);
    assert!(run(&["migrate", "--status"]).text().contains("\npending  "));
    assert!(run(&["migrate"]).text().starts_with("applied "));
    assert_eq!(run(&["ls"]).text(), "nothing\n");
}

#[test]
fn half_a_configuration_is_named() {
    let shell = Shell::new();
    let command = || shell.command(&["ls"]);
    let answer = command().env("OBJECT_STORE_S3_ENDPOINT", "http://127.0.0.1:1").output().unwrap().into();
    assert_fails(&answer, "misconfigured");
    assert!(answer.stderr.contains("OBJECT_STORE_S3_BUCKET"), "{}", answer.stderr);
    assert_fails(
        &command().env("DATABASE_URL", "mysql://elsewhere").output().unwrap().into(),
        "database_misconfigured",
    );
}
