use object_store_storage::{ListPage, ListedObject, StorageError, StorageResult};
use reqwest::Method;

use crate::answer::{plain_etag, timestamp};
use crate::client::{Client, Request};
use crate::error::{Failure, Operation};
use crate::retry::{Repeat, attempts};
use crate::target::{Resource, Target};
use crate::xml::Element;

/// The most that is read of a listing: 1,000 keys of 1,024 bytes, each byte escaped to six, and as much again.
pub(crate) const LISTING_BYTES: usize = 16 << 20;

/// How many answers without any object are followed before the caller is told that there is more.
const EMPTY_ANSWERS: usize = 10;

const LIST: Operation = Operation::read("list objects");

/// One page of objects, in the order of their keys.
///
/// Each page is asked for by the key to start after, never by a token of an earlier page: what a server says about the
/// end of its listing cannot make us start over. Only answers without any object are followed by their token.
pub(crate) async fn page(client: &Client, prefix: &str, after: Option<&str>, limit: u16) -> StorageResult<ListPage> {
    if !(1..=1000).contains(&limit) {
        return Err(StorageError::InvalidRequest { reason: format!("a page has 1 to 1000 objects, not {limit}") });
    }
    let full_prefix = client.target.full_key(prefix);
    let full_after = after.map(|key| client.target.full_key(key));
    let wanted = Wanted { prefix: &full_prefix, after: full_after.as_deref(), limit };
    let mut token: Option<String> = None;
    for _ in 0..EMPTY_ANSWERS {
        let answer = fetch(client, &wanted, token.as_deref()).await?;
        let may_go_on = answer.page.has_more && answer.token.is_some() && answer.token != token;
        if !answer.page.objects.is_empty() || !may_go_on {
            return Ok(answer.page);
        }
        token = answer.token;
    }
    Ok(ListPage { objects: Vec::new(), has_more: true })
}

/// Whether an answer says that there is more.
pub(crate) fn is_truncated(root: &Element) -> bool {
    root.text_of("IsTruncated").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

struct Wanted<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: u16,
}

struct Answer {
    page: ListPage,
    token: Option<String>,
}

async fn fetch(client: &Client, wanted: &Wanted<'_>, token: Option<&str>) -> StorageResult<Answer> {
    let limit = wanted.limit.to_string();
    let limit = limit.as_str();
    attempts(&client.patience, Repeat::Idempotent, LIST, None, || async move {
        let mut query = vec![("list-type", "2"), ("max-keys", limit), ("prefix", wanted.prefix)];
        query.extend(wanted.after.map(|after| ("start-after", after)));
        query.extend(token.map(|token| ("continuation-token", token)));
        let request = Request { query: &query, ..client.request(Method::GET, Resource::Contents) };
        let response = client.send(request).await?;
        read_page(&client.read(response, LISTING_BYTES).await?, &client.target, wanted)
    })
    .await
}

fn read_page(answer: &[u8], target: &Target, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    let root = Element::parse(answer).filter(|root| root.name == "ListBucketResult");
    let root = root.ok_or(Failure::Garbled("the answer is not a listing"))?;
    let mut objects: Vec<ListedObject> = Vec::new();
    for entry in root.children_named("Contents") {
        let full_key = entry.text_of("Key").ok_or(Failure::Garbled("a listed object has no key"))?;
        // Servers that do not know `start-after`, or take a prefix for a hint, list what nobody asked for.
        if !full_key.starts_with(wanted.prefix) || wanted.after.is_some_and(|after| full_key <= after) {
            continue;
        }
        let Some(key) = target.own_key(full_key) else { continue };
        if objects.last().is_some_and(|last| last.key.as_str() >= key) {
            return Err(Failure::Garbled("the listing is not in the order of the keys"));
        }
        objects.push(listed(key, entry)?);
    }
    let cut = objects.len() > usize::from(wanted.limit);
    objects.truncate(usize::from(wanted.limit));
    let token = root.text_of("NextContinuationToken").filter(|token| !token.is_empty()).map(ToOwned::to_owned);
    Ok(Answer { page: ListPage { objects, has_more: cut || is_truncated(&root) }, token })
}

fn listed(key: &str, entry: &Element) -> Result<ListedObject, Failure> {
    let size = entry.text_of("Size").and_then(|size| size.trim().parse().ok());
    Ok(ListedObject {
        key: key.to_owned(),
        size_bytes: size.ok_or(Failure::Garbled("a listed object has no size"))?,
        etag: entry.text_of("ETag").map(plain_etag).unwrap_or_default(),
        last_modified: entry.text_of("LastModified").and_then(timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::{Answer, Wanted, read_page};
    use crate::config::{S3Config, S3Credentials};
    use crate::error::Failure;
    use crate::target::Target;

    fn read(keys: &[&str], truncated: &str, after: Option<&str>, limit: u16) -> Result<Answer, Failure> {
        let config = S3Config::new(Some("http://localhost:1".into()), "us-east-1", "media", S3Credentials::Default);
        let target = Target::new(&S3Config { prefix: "app/".into(), ..config }).unwrap();
        let contents = keys
            .iter()
            .map(|key| format!("<Contents><Key>{key}</Key><Size>3</Size><ETag>&quot;e&quot;</ETag></Contents>"));
        let contents: Vec<String> = contents.collect();
        let answer = format!("<ListBucketResult>{truncated}{}</ListBucketResult>", contents.concat());
        read_page(answer.as_bytes(), &target, &Wanted { prefix: "app/i", after, limit })
    }

    fn keys(answer: &Answer) -> Vec<&str> {
        answer.page.objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn keys_lose_the_prefix_and_nothing_else() {
        let answer = read(&["app/i A/ü&amp;", "app/image/a"], "", None, 10).unwrap();
        assert_eq!(keys(&answer), ["i A/ü&", "image/a"]);
        assert_eq!((answer.page.objects[0].etag.as_str(), answer.page.objects[0].size_bytes), ("e", 3));
        assert!(!answer.page.has_more);
    }

    #[test]
    fn what_nobody_asked_for_is_left_out() {
        let answer = read(&["app/a", "app/i1", "app/i2", "app/i3", "zoo"], "", Some("app/i1"), 10).unwrap();
        assert_eq!(keys(&answer), ["i2", "i3"]);
    }

    #[test]
    fn more_than_asked_for_means_that_there_is_more() {
        let answer = read(&["app/i1", "app/i2", "app/i3"], "<IsTruncated>false</IsTruncated>", None, 2).unwrap();
        assert_eq!(keys(&answer), ["i1", "i2"]);
        assert!(answer.page.has_more);
    }

    #[test]
    fn an_empty_page_may_have_more_to_come() {
        let answer = read(&[], "<IsTruncated>true</IsTruncated>", None, 2).unwrap();
        assert!(answer.page.has_more && answer.page.objects.is_empty() && answer.token.is_none());
    }

    #[test]
    fn disorder_and_gaps_are_no_listing() {
        for keys in [&["app/i2", "app/i1"][..], &["app/i1", "app/i1"]] {
            assert!(matches!(read(keys, "", None, 10), Err(Failure::Garbled(_))));
        }
    }
}
