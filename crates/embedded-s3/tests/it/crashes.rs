use std::process::{Child, Command, Stdio};
use std::time::Duration;

use object_store_embedded_s3::connect_or_start;
use reqwest::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{Client, Request, object, started};

/// Tells the test binary that it is run again, as a process that serves this directory.
const SERVED_DIRECTORY: &str = "EMBEDDED_S3_TEST_DIRECTORY";

fn is_empty(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

/// Sends the head of a signed PUT and a part of its body, over a connection that is handed back.
async fn half_a_put(client: &Client, key: &str, framing: &str, body: &[u8]) -> TcpStream {
    let url = client.sign("PUT", &object(key), &[], &[], 60);
    let host = client.endpoint.trim_start_matches("http://");
    let target = url.strip_prefix(&client.endpoint).unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("PUT {target} HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    client.put("kept", b"earlier").await;
    let half = vec![1; 500_000];
    for key in ["a", "kept"] {
        let stream = half_a_put(&client, key, "Content-Length: 1000000", &half).await;
        sleep(Duration::from_millis(200)).await;
        assert!(!is_empty(&directory.path().join("tmp")), "the put is under way");
        drop(stream);
        let gone = async {
            while !is_empty(&directory.path().join("tmp")) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.expect("what was being written goes");
    }
    drop(half_a_put(&client, "chunked", "Transfer-Encoding: chunked", b"5\r\nbytes\r\n").await);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(client.list(&[]).await, ["kept"]);
    assert_eq!(client.get("kept").await.body, b"earlier");
}

#[tokio::test]
async fn foreign_and_damaged_files_are_no_objects() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client) = started(directory.path()).await;
    client.put("a", b"bytes").await;
    let bucket = directory.path().join("buckets/media");
    std::fs::write(bucket.join(".DS_Store"), "x").unwrap();
    std::fs::write(bucket.join("notes"), "somebody's file").unwrap();
    std::fs::create_dir(bucket.join("folder")).unwrap();
    assert_eq!(client.list(&[]).await, ["a"]);
    assert_eq!(client.get("notes").await.status, 500);
    std::fs::remove_file(bucket.join("a")).unwrap();
    assert_eq!(client.get("a").await.status, 404);
}

/// Not a test of its own: the process that [`a_killed_server_leaves_whole_objects`] kills.
#[tokio::test]
#[ignore = "run by a_killed_server_leaves_whole_objects, as another process"]
async fn serve_for_another_process() {
    let directory = std::env::var_os(SERVED_DIRECTORY).expect("another test names the directory");
    let embedded = connect_or_start(directory.as_ref()).await.unwrap();
    assert!(embedded.is_serving());
    std::fs::write(std::path::Path::new(&directory).join("ready"), "").unwrap();
    sleep(Duration::from_mins(1)).await;
}

struct Serving(Child);

impl Serving {
    async fn start(directory: &std::path::Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crashes::serve_for_another_process"])
            .env(SERVED_DIRECTORY, directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let serving = Self(child);
        let ready = async {
            while !directory.join("ready").exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), ready).await.unwrap();
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // SIGKILL on Unix. It fails when the process is dead, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_killed_server_leaves_whole_objects() {
    let directory = tempfile::tempdir().unwrap();
    let other = Serving::start(directory.path()).await;
    let ours = connect_or_start(directory.path()).await.unwrap();
    assert!(!ours.is_serving(), "the other process serves");
    let client = Client::of(&ours);
    assert_eq!(client.create_bucket().await, 200);
    for number in 0..20 {
        client.put(&format!("whole/{number:02}"), &vec![number; 100_000]).await;
    }
    let query = [("uploads", "")];
    let begun = client.send(Method::POST, &object("begun"), Request { query: &query, ..Request::default() }).await;
    let _cut = half_a_put(&client, "cut", "Content-Length: 1000000", &vec![1; 500_000]).await;
    sleep(Duration::from_millis(200)).await;
    drop(other);

    let taken_over = async {
        while !ours.is_serving() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), taken_over).await.expect("this process takes over");
    let keys = client.list(&[]).await;
    assert_eq!(keys.len(), 20, "{keys:?}");
    for number in 0..20 {
        assert_eq!(client.get(&format!("whole/{number:02}")).await.body, vec![number; 100_000]);
    }
    assert!(is_empty(&directory.path().join("tmp")), "the next server cleans up");
    let query = [("uploadId", begun.one("UploadId"))];
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let aborted = client.send(Method::DELETE, &object("begun"), Request { query: &query, ..Request::default() }).await;
    assert_eq!(aborted.status, 204, "an upload that was begun can still be aborted");
}
