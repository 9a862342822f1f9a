use std::net::TcpListener;
use std::time::Duration;

use object_store_embedded_s3::{Embedded, EmbeddedS3Error, connect_or_start};
use tokio::time::{sleep, timeout};

use crate::client::{Client, object};

async fn until_serving(embedded: &Embedded) {
    let serving = async {
        while !embedded.is_serving() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), serving).await.unwrap();
}

#[tokio::test]
async fn the_second_uses_the_first_and_takes_over_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let first = connect_or_start(directory.path()).await.unwrap();
    let second = connect_or_start(directory.path()).await.unwrap();
    assert!(first.is_serving() && !second.is_serving());
    assert_eq!((&first.endpoint, &first.secret_access_key), (&second.endpoint, &second.secret_access_key));

    let client = Client::of(&first);
    assert_eq!(client.create_bucket().await, 200);
    client.put("a", b"bytes").await;
    let url = client.sign("GET", &object("a"), &[], &[], 60);
    first.shutdown().await;

    until_serving(&second).await;
    assert_eq!(reqwest::get(&url).await.unwrap().bytes().await.unwrap(), "bytes");
    let third = connect_or_start(directory.path()).await.unwrap();
    assert!(!third.is_serving());
    assert_eq!(third.endpoint, second.endpoint);
    drop(second);
    until_serving(&third).await;
    assert_eq!(reqwest::get(&url).await.unwrap().bytes().await.unwrap(), "bytes");
}

#[tokio::test]
async fn a_later_run_has_the_same_port_and_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let first = connect_or_start(directory.path()).await.unwrap();
    let (endpoint, client) = (first.endpoint.clone(), Client::of(&first));
    assert_eq!(client.create_bucket().await, 200);
    client.put("a", b"bytes").await;
    first.shutdown().await;

    let second = connect_or_start(directory.path()).await.unwrap();
    assert_eq!(second.endpoint, endpoint);
    assert_eq!(client.get("a").await.body, b"bytes");
}

#[tokio::test]
async fn a_port_that_somebody_has_taken_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let first = connect_or_start(directory.path()).await.unwrap();
    let endpoint = first.endpoint.clone();
    first.shutdown().await;
    let _stranger = TcpListener::bind(endpoint.trim_start_matches("http://")).unwrap();

    let second = connect_or_start(directory.path()).await.unwrap();
    assert!(second.is_serving());
    assert_ne!(second.endpoint, endpoint);
    assert_eq!(Client::of(&second).create_bucket().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_serves() {
    let directory = tempfile::tempdir().unwrap();
    let all = futures::future::join_all((0..8).map(|_| connect_or_start(directory.path()))).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().filter(|embedded| embedded.is_serving()).count(), 1);
    assert!(all.iter().all(|embedded| embedded.endpoint == all[0].endpoint));
}

#[tokio::test]
async fn a_damaged_description_is_named_and_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("server.json"), "{\"port\": \"x\"}").unwrap();
    let result = connect_or_start(directory.path()).await;
    assert!(matches!(result, Err(EmbeddedS3Error::Description { .. })), "{result:?}");
    assert_eq!(std::fs::read(directory.path().join("server.json")).unwrap(), b"{\"port\": \"x\"}");
}

#[tokio::test]
async fn a_holder_that_does_not_answer_is_an_error_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let lock = std::fs::File::create(directory.path().join("server.lock")).unwrap();
    lock.lock().unwrap();
    let result = timeout(Duration::from_secs(25), connect_or_start(directory.path())).await.expect("in time");
    assert!(matches!(result, Err(EmbeddedS3Error::NotAnswering { .. })), "{result:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_secret_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let embedded = connect_or_start(directory.path()).await.unwrap();
    let file = directory.path().join("server.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&file).unwrap().contains(&embedded.secret_access_key));
    assert!(!format!("{embedded:?}").contains(&embedded.secret_access_key));
}
