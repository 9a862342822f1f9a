use std::time::Duration;

use object_store_storage::{
    Memory, ObjectKey, ObjectStorage, PresignGet, PresignPut, PutOptions, SignedRequestRefused, StorageError, collect,
};

const HOUR: Duration = Duration::from_hours(1);

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn png() -> PutOptions {
    PutOptions { content_type: "image/png".to_owned(), content_md5: None }
}

fn an_hour() -> PresignGet {
    PresignGet { expires_in: HOUR, ..PresignGet::default() }
}

#[tokio::test]
async fn clones_share_one_bucket() {
    let memory = Memory::new();
    memory.clone().put(&key("a"), "bytes".into(), &png()).await.unwrap();
    let download = memory.get(&key("a"), None).await.unwrap();
    assert_eq!(collect(download.stream).await.unwrap(), "bytes");
}

#[tokio::test]
async fn a_url_works_until_the_clock_passes_its_end() {
    let memory = Memory::new();
    memory.put(&key("a"), "bytes".into(), &png()).await.unwrap();
    let signed = memory.presign_get(&key("a"), &an_hour()).await.unwrap();

    memory.advance(Duration::from_mins(59));
    let fetched = memory.fetch(&signed.url).unwrap();
    assert_eq!(fetched.bytes, "bytes");
    assert_eq!(fetched.content_type.as_deref(), Some("image/png"));

    memory.advance(Duration::from_mins(1));
    assert!(matches!(memory.fetch(&signed.url), Err(SignedRequestRefused::Expired)));
}

#[tokio::test]
async fn a_url_of_another_instance_is_refused() {
    let (ours, theirs) = (Memory::new(), Memory::new());
    let signed = theirs.presign_get(&key("a"), &an_hour()).await.unwrap();
    assert!(matches!(ours.fetch(&signed.url), Err(SignedRequestRefused::Signature)));
}

#[tokio::test]
async fn a_refusal_names_what_differs() {
    let memory = Memory::new();
    let options =
        PresignPut { expires_in: HOUR, content_type: "image/png".to_owned(), content_length: 5, content_md5: None };
    let signed = memory.presign_put(&key("a"), &options).await.unwrap();

    let refused = memory.submit_put(&signed.url, &[], "bytes".into()).unwrap_err();
    assert_eq!(refused.to_string(), "content-type is not as signed");
    let refused = memory.submit_put(&signed.url, &signed.headers, "byte".into()).unwrap_err();
    assert_eq!(refused.to_string(), "content-length is not as signed");
    memory.submit_put(&signed.url, &signed.headers, "bytes".into()).unwrap();
    assert!(matches!(memory.fetch(&signed.url), Err(SignedRequestRefused::Method)));
}

#[test]
fn a_malformed_url_is_refused() {
    let memory = Memory::new();
    let urls = [
        "",
        "nonsense",
        "http://objects/a?signature=00",
        "memory://elsewhere/a",
        "memory://objects/a",
        "memory://objects/A?signature=00",
        "memory://objects/?signature=00",
    ];
    for url in urls {
        assert!(matches!(memory.fetch(url), Err(SignedRequestRefused::Malformed { .. })), "{url}");
    }
    for signature in ["", "0", "zz", "00", "é"] {
        let url = format!("memory://objects/a?method=GET&expires=9999999999999&signature={signature}");
        assert!(matches!(memory.fetch(&url), Err(SignedRequestRefused::Signature)), "{url}");
    }
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_object() {
    let memory = Memory::new();
    memory.put(&key("a"), "bytes".into(), &png()).await.unwrap();
    memory.set_bucket_missing(true);

    assert!(matches!(memory.head(&key("a")).await, Err(StorageError::BucketMissing)));
    assert!(matches!(memory.delete(&key("a")).await, Err(StorageError::BucketMissing)));
    assert!(matches!(memory.put(&key("b"), "b".into(), &png()).await, Err(StorageError::BucketMissing)));
    assert!(matches!(memory.list_page("", None, 1).await, Err(StorageError::BucketMissing)));
    assert!(matches!(memory.bucket_info().await, Err(StorageError::BucketMissing)));

    assert!(memory.ensure_bucket().await.unwrap());
    assert!(memory.head(&key("a")).await.is_ok());
}

#[tokio::test]
async fn calls_are_counted_by_operation() {
    let memory = Memory::new();
    memory.put(&key("a"), "bytes".into(), &png()).await.unwrap();
    let _ = memory.head(&key("b")).await;
    memory.presign_get(&key("a"), &an_hour()).await.unwrap();
    let calls = memory.calls();
    assert_eq!((calls.put, calls.head, calls.presign_get), (1, 1, 1));
    assert_eq!((calls.requests(), calls.total()), (2, 3));
}

#[tokio::test]
async fn multipart_uploads_are_listed_over_pages() {
    let memory = Memory::new();
    for number in 0..2_500 {
        memory.begin_multipart_upload(&key(&format!("image/{}", number % 700)));
    }
    let (mut marker, mut seen) = (None, std::collections::BTreeSet::new());
    loop {
        let page = memory.list_multipart_uploads("image/", marker.as_deref()).await.unwrap();
        seen.extend(page.uploads.into_iter().map(|upload| (upload.key, upload.upload_id)));
        marker = page.next;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 2_500);
    assert!(memory.list_multipart_uploads("audio/", None).await.unwrap().uploads.is_empty());
}

#[tokio::test]
async fn a_listing_shows_foreign_keys_too() {
    let memory = Memory::new();
    memory.insert_foreign("Über uns.html", "text/html", "x");
    memory.put(&key("a"), "bytes".into(), &png()).await.unwrap();
    let page = memory.list_page("", None, 10).await.unwrap();
    let keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a", "Über uns.html"]);
}

#[tokio::test]
async fn a_page_has_1_to_1000_objects() {
    for limit in [0, 1_001] {
        let result = Memory::new().list_page("", None, limit).await;
        assert!(matches!(result, Err(StorageError::InvalidRequest { .. })), "{limit}: {result:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", Memory::new()), "Memory { object_count: 0, .. }");
}
