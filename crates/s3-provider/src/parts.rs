use object_store_storage::{MAX_PARTS, ObjectKey, PartPage, StorageError, StorageResult, UploadedPart};
use reqwest::Method;

use crate::answer::plain_etag;
use crate::client::{Client, Request};
use crate::error::{Failure, Operation};
use crate::list::{LISTING_BYTES, is_truncated};
use crate::retry::{Repeat, attempts};
use crate::target::Resource;
use crate::xml::Element;

const LIST: Operation = Operation::read("list parts");

/// One page of the parts of an upload, in the order of their numbers.
///
/// Each page is asked for by the number to start after, never by what the server says about the end of its listing.
pub(crate) async fn page(
    client: &Client,
    key: &ObjectKey,
    upload_id: &str,
    after: Option<u16>,
    limit: u16,
) -> StorageResult<PartPage> {
    if !(1..=1000).contains(&limit) {
        return Err(StorageError::InvalidRequest { reason: format!("a page has 1 to 1000 parts, not {limit}") });
    }
    let (limit_text, after_text) = (limit.to_string(), after.unwrap_or_default().to_string());
    let (limit_text, after_text) = (limit_text.as_str(), after_text.as_str());
    attempts(&client.patience, Repeat::Idempotent, LIST, Some(key), || async move {
        let mut query = vec![("max-parts", limit_text), ("uploadId", upload_id)];
        if after.is_some() {
            query.push(("part-number-marker", after_text));
        }
        let request = Request { query: &query, ..client.request(Method::GET, Resource::Object(key)) };
        let response = client.send(request).await?;
        read_page(&client.read(response, LISTING_BYTES).await?, after, limit)
    })
    .await
    .map_err(no_upload)
}

/// Where there is no object under the key either, Ceph RGW misses that rather than the upload.
pub(crate) fn no_upload(error: StorageError) -> StorageError {
    match error {
        StorageError::NotFound { key } => StorageError::UploadMissing { key },
        other => other,
    }
}

fn read_page(answer: &[u8], after: Option<u16>, limit: u16) -> Result<PartPage, Failure> {
    // Servers do not agree on the end of the name.
    let root = Element::parse(answer).filter(|root| root.name.starts_with("ListParts"));
    let root = root.ok_or(Failure::Garbled("the answer is not a listing of parts"))?;
    let mut parts: Vec<UploadedPart> = Vec::new();
    for entry in root.children_named("Part") {
        let part = listed(entry)?;
        // Servers that do not know the marker list what nobody asked for.
        if after.is_some_and(|after| part.number <= after) {
            continue;
        }
        if parts.last().is_some_and(|last| last.number >= part.number) {
            return Err(Failure::Garbled("the parts are not in the order of their numbers"));
        }
        parts.push(part);
    }
    let cut = parts.len() > usize::from(limit);
    parts.truncate(usize::from(limit));
    let has_more = cut || is_truncated(&root);
    if has_more && parts.is_empty() {
        return Err(Failure::Garbled("the listing does not advance"));
    }
    Ok(PartPage { parts, has_more })
}

fn listed(entry: &Element) -> Result<UploadedPart, Failure> {
    let number = entry.text_of("PartNumber").and_then(|number| number.trim().parse().ok());
    let size = entry.text_of("Size").and_then(|size| size.trim().parse().ok());
    let etag = entry.text_of("ETag").map(plain_etag).filter(|etag| !etag.is_empty());
    Ok(UploadedPart {
        number: number
            .filter(|number| (1..=MAX_PARTS).contains(number))
            .ok_or(Failure::Garbled("a listed part has no number"))?,
        size_bytes: size.ok_or(Failure::Garbled("a listed part has no size"))?,
        etag: etag.ok_or(Failure::Garbled("a listed part has no ETag"))?,
    })
}

#[cfg(test)]
mod tests {
    use object_store_storage::PartPage;

    use super::read_page;
    use crate::error::Failure;

    fn read(numbers: &[u32], truncated: &str, after: Option<u16>, limit: u16) -> Result<PartPage, Failure> {
        let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>\"e\"</ETag><Size>7</Size></Part>");
        let parts: Vec<_> = numbers.iter().map(part).collect();
        let answer = format!("<ListPartsResult>{truncated}{}</ListPartsResult>", parts.concat());
        read_page(answer.as_bytes(), after, limit)
    }

    fn numbers(page: &PartPage) -> Vec<u16> {
        page.parts.iter().map(|part| part.number).collect()
    }

    #[test]
    fn parts_have_number_size_and_tag() {
        let page = read(&[1, 10_000], "<IsTruncated>false</IsTruncated>", None, 10).unwrap();
        assert_eq!((numbers(&page), page.has_more), (vec![1, 10_000], false));
        assert_eq!((page.parts[0].size_bytes, page.parts[0].etag.as_str()), (7, "e"));
    }

    #[test]
    fn what_nobody_asked_for_is_left_out_and_the_rest_comes_later() {
        let page = read(&[1, 2, 3, 4], "", Some(2), 1).unwrap();
        assert_eq!((numbers(&page), page.has_more), (vec![3], true));
        let page = read(&[3], "<IsTruncated>true</IsTruncated>", Some(2), 1).unwrap();
        assert!(page.has_more);
        assert!(read(&[1, 2], "<IsTruncated>true</IsTruncated>", Some(2), 1).is_err(), "no end in sight");
    }

    #[test]
    fn disorder_and_nonsense_are_no_listing() {
        for wrong in [&[2, 1][..], &[1, 1], &[0], &[10_001], &[70_000]] {
            assert!(matches!(read(wrong, "", None, 10), Err(Failure::Garbled(_))), "{wrong:?}");
        }
        for answer in ["", "<html/>", "<ListBucketResult/>", "<ListPartsResult><Part/></ListPartsResult>"] {
            assert!(read_page(answer.as_bytes(), None, 10).is_err(), "{answer}");
        }
    }
}
