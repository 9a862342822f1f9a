//! `dev`, which serves until it is told to stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::shell::Shell;

#[test]
fn printed_urls_answer_until_it_is_told_to_stop() {
    let shell = Shell::new();
    let mut dev = shell
        .command(&["dev"])
        .env("DATABASE_URL", "mysql://elsewhere")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (mut gradient, mut settings) = (None, Vec::new());
    while let Some(line) = lines.next() {
        if line == "Gradient.png" {
            gradient = lines.next();
        } else if line.starts_with("  OBJECT_STORE_") {
            let is_last = line.contains("SECRET_ACCESS_KEY");
            settings.push(line.trim().to_owned());
            if is_last {
                break;
            }
        }
    }
    let (head, body) = get(gradient.expect("a URL").trim());
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.to_lowercase().contains("\r\ncontent-type: image/png\r\n"), "{head}");
    assert_eq!(body, object_store_devkit::samples::png(320, 200));

    // Another process finds the server, by the directory as by the settings.
    assert!(shell.run(&["ls"]).text().contains("Gradient.png"));
    let mut ls = shell.command(&["ls", "--json"]);
    for (name, value) in settings.iter().filter_map(|line| line.split_once('=')) {
        if !name.starts_with("OBJECT_STORE_S3_") {
            ls.env(name, value);
        }
    }
    assert!(ls.output().unwrap().status.success());

    // Where there is `kill`, there is SIGTERM.
    assert!(Command::new("kill").arg(dev.id().to_string()).status().unwrap().success());
    assert_eq!(lines.last().as_deref(), Some("stopped"));
    let output = dev.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("DATABASE_URL") && !stderr.contains("mysql"), "{stderr}");
}

/// A request by hand: the head and the body of its answer.
fn get(url: &str) -> (String, Vec<u8>) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap(), body)
}
