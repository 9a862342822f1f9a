//! A bucket's settings, which are documents with a list of rules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use object_store_storage::{StorageError, StorageResult};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::client::{Client, Payload, Request};
use crate::error::{Failure, Operation, Refusal};
use crate::put::SMALL_ANSWER_BYTES;
use crate::retry::{Repeat, attempts};
use crate::sign::value;
use crate::target::Resource;
use crate::xml::Element;

const READ: Operation = Operation::read("get bucket settings");
const WRITE: Operation = Operation::write("put bucket settings");

/// The most of a bucket's settings that is read: 1,000 rules, as many as there may be.
const SETTINGS_BYTES: usize = 2 << 20;

/// One kind of settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The parameter of the query.
    pub(super) query: &'static str,
    /// The name of the document.
    pub(super) root: &'static str,
    /// The word for "there are none".
    pub(super) none: &'static str,
}

/// What a bucket has of one kind.
#[derive(Debug)]
pub(super) enum Found {
    Rules(Bytes, Element),
    None,
    /// The server has no such settings, or does not tell.
    Unknown(String),
}

pub(super) async fn read(client: &Client, kind: Kind) -> StorageResult<Found> {
    let query = [(kind.query, "")];
    let query = &query;
    attempts(&client.patience, Repeat::Idempotent, READ, None, || async move {
        let request = Request { query, ..client.request(Method::GET, Resource::Contents) };
        match client.send(request).await {
            Ok(response) => {
                let document = client.read(response, SETTINGS_BYTES).await?;
                // Swift answers questions that it does not know with a listing.
                Ok(match Element::parse(&document).filter(|root| root.name == kind.root) {
                    Some(root) => Found::Rules(document, root),
                    None => Found::Unknown("the server answers with something else".to_owned()),
                })
            }
            Err(Failure::Refused(refusal)) if refusal.code.as_deref() == Some(kind.none) => Ok(Found::None),
            Err(Failure::Refused(refusal)) if says_no(&refusal) => Ok(Found::Unknown(refusal.describe())),
            Err(failure) => Err(failure),
        }
    })
    .await
}

fn says_no(refusal: &Refusal) -> bool {
    matches!(refusal.status, 400..=428 | 430..=499 | 501)
}

/// Adds a rule to those that are there.
pub(super) async fn add(client: &Client, kind: Kind, rule: &str) -> StorageResult<()> {
    let document = match read(client, kind).await? {
        Found::Rules(document, _) => with_rule(&document, kind, rule).ok_or_else(|| StorageError::Other {
            reason: format!("the bucket's {} has a form that no rule can be added to", kind.root),
            source: None,
        })?,
        Found::None => format!("<{root}>{rule}</{root}>", root = kind.root),
        Found::Unknown(_) => return Err(StorageError::Unsupported { operation: WRITE.name }),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert("content-md5", value(&STANDARD.encode(Md5::digest(&document)))?);
    let (query, document, headers) = (&[(kind.query, "")], &document, &headers);
    attempts(&client.patience, Repeat::Idempotent, WRITE, None, || async move {
        let request = Request {
            query,
            headers: headers.clone(),
            payload: Payload::Document(document.clone()),
            ..client.request(Method::PUT, Resource::Contents)
        };
        let response = client.send(request).await?;
        client.read(response, SMALL_ANSWER_BYTES).await.map(drop)
    })
    .await
}

/// The document as the server wrote it, with one more rule at its end.
fn with_rule(document: &[u8], kind: Kind, rule: &str) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?;
    let end = text.rfind(&format!("</{}", kind.root))?;
    Some(format!("{}{rule}{}", &text[..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::{Kind, with_rule};

    #[test]
    fn a_rule_is_added_and_none_is_lost() {
        let kind = Kind { query: "cors", root: "CORSConfiguration", none: "NoSuchCORSConfiguration" };
        let document = b"<?xml version=\"1.0\"?><CORSConfiguration xmlns=\"x\"><CORSRule/></CORSConfiguration>\n";
        assert_eq!(
            with_rule(document, kind, "<CORSRule>new</CORSRule>").unwrap(),
            "<?xml version=\"1.0\"?><CORSConfiguration xmlns=\"x\"><CORSRule/><CORSRule>new</CORSRule></CORSConfiguration>\n"
        );
        assert_eq!(with_rule(b"<CORSConfiguration/>", kind, "<CORSRule/>"), None);
        assert_eq!(with_rule(b"\xff", kind, "<CORSRule/>"), None);
    }
}
