//! `copy-store`, between two stores on this machine.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use object_store_devkit::samples;

use crate::shell::{Answer, Shell};

#[test]
fn a_store_moves_to_another_server() {
    let (from, to) = (Shell::new(), Shell::new());
    from.write("a.png", &samples::png(3, 2));
    from.write("b.wav", &samples::wav(8_000, 1, 16, 200));
    let put = from.json(&["put", "--json", "a.png", "b.wav"]);
    let id = put["images"][0]["id"].as_str().unwrap();

    let mut serving = to.command(&["s3", "embedded"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(serving.stdout.take().unwrap()).lines().map(Result::unwrap);
    let settings: HashMap<String, String> = lines
        .filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("OBJECT_STORE_S3_")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .take(5)
        .collect();
    let text = |name: &str| settings[name].clone();
    let copy = |bucket: &str| {
        let endpoint = text("ENDPOINT");
        let mut command = from.command(&["copy-store", "--to", bucket, "--to-endpoint", &endpoint, "--json"]);
        command.env("OBJECT_STORE_TO_S3_ACCESS_KEY_ID", text("ACCESS_KEY_ID"));
        command.env("OBJECT_STORE_TO_S3_SECRET_ACCESS_KEY", text("SECRET_ACCESS_KEY"));
        Answer::from(command.output().unwrap())
    };
    let missing = copy("no-such-bucket");
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("storage_bucket_missing"), "{missing:?}");
    for (copied, present) in [(2, 0), (0, 2)] {
        let answer = copy("object-store");
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let report: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert_eq!((&report["copied"], &report["present"]), (&copied.into(), &present.into()), "{answer:?}");
    }

    // The rows of the one and the objects of the other are a store.
    let mut get = from.command(&["get", id, "-o", "copy.png"]);
    get.env("OBJECT_STORE_S3_ENDPOINT", text("ENDPOINT")).env("OBJECT_STORE_S3_BUCKET", "object-store");
    get.env("OBJECT_STORE_S3_ACCESS_KEY_ID", text("ACCESS_KEY_ID"));
    get.env("OBJECT_STORE_S3_SECRET_ACCESS_KEY", text("SECRET_ACCESS_KEY"));
    let got = Answer::from(get.output().unwrap());
    assert_eq!(got.code, Some(0), "{got:?}");
    assert_eq!(std::fs::read(from.path("copy.png")).unwrap(), samples::png(3, 2));
    // Asked to end, it removes what it has stored.
    assert!(Command::new("kill").arg(serving.id().to_string()).status().unwrap().success());
    assert!(serving.wait().unwrap().success());
}

#[test]
fn a_store_is_not_copied_to_itself() {
    let shell = Shell::new();
    shell.write("a.png", &samples::png(3, 2));
    shell.json(&["put", "--json", "a.png"]);
    let half =
        shell.command(&["copy-store", "--to", "b"]).env("OBJECT_STORE_TO_S3_ACCESS_KEY_ID", "a").output().unwrap();
    assert_eq!(half.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&half.stderr).contains("OBJECT_STORE_TO_S3_SECRET_ACCESS_KEY is missing"));
}
