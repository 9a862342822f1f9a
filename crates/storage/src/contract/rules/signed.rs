use std::time::{Duration, SystemTime};

use bytes::Bytes;
use md5::{Digest, Md5};
use tokio::time::sleep;

use crate::contract::client::Response;
use crate::contract::harness::{Harness, MINUTE, OrBroken, ensure, ensure_error, get_for, sample};
use crate::contract::{RuleResult, Violation};
use crate::error::StorageError;
use crate::key::ObjectKey;
use crate::port::PutOptions;
use crate::presign::{MAX_PRESIGN_SECONDS, PresignGet, PresignPost, PresignPut, PresignedPost, PresignedUrl};

/// The shortest life, and a wait that outlasts it on a server that counts whole seconds.
const SHORT_LIFE: Duration = Duration::from_secs(1);
const UNTIL_EXPIRED: Duration = Duration::from_millis(3_100);

const PNG: &str = "image/png";

pub(super) async fn a_signed_get_answers_the_object(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let signed = harness.sign_get(&key).await?;
    let answer = harness.send_signed("GET", &signed, Bytes::new()).await?;
    ensure(answer.status == 200 && answer.body == bytes, || {
        format!("a signed GET answers 200 and the object; it answers {} and {} bytes", answer.status, answer.body.len())
    })?;
    has_header(&answer, "content-type", PNG)
}

pub(super) async fn a_signed_get_answers_ranges(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let signed = harness.sign_get(&key).await?;
    let range = [("range".to_owned(), "bytes=100-199".to_owned())];
    let answer = harness.send("GET", &signed.url, &range, Bytes::new()).await?;
    ensure(answer.status == 206 && answer.body == bytes.slice(100..200), || {
        format!("a signed GET of a range answers 206 and it; it answers {} and {}", answer.status, answer.body.len())
    })
}

pub(super) async fn a_signed_get_answers_the_chosen_headers(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let dispositions = [
        "inline",
        "attachment; filename=\"a  b.png\"",
        // RFC 6266: a quoted name with escapes, and the real name (é, emoji, CJK, Hebrew) in UTF-8.
        "attachment; filename=\"q\\\"uote\\\\ +&=;%23.png\"; \
         filename*=UTF-8''%C3%A9%20%F0%9F%8E%B5%20%E7%94%BB%20%D7%A9%27%28%29.png",
    ];
    for disposition in dispositions {
        let options = PresignGet {
            expires_in: MINUTE,
            content_type: Some("image/webp".to_owned()),
            content_disposition: Some(disposition.to_owned()),
            cache_control: Some("max-age=600, immutable".to_owned()),
            ..PresignGet::default()
        };
        let signed = harness.storage.presign_get(&key, &options).await.or_broken("presign_get succeeds")?;
        let answer = harness.send_signed("GET", &signed, Bytes::new()).await?;
        ensure(answer.status == 200 && answer.body == bytes, || {
            format!("a signed GET with {disposition:?} answers the object; it answers {}", answer.status)
        })?;
        has_header(&answer, "content-disposition", disposition)?;
        has_header(&answer, "content-type", "image/webp")?;
        has_header(&answer, "cache-control", "max-age=600, immutable")?;
    }
    Ok(())
}

pub(super) async fn a_reusable_signed_get_is_the_same_for_a_while(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let least = Duration::from_hours(24);
    let options = PresignGet { expires_in: least, is_reusable: true, ..PresignGet::default() };
    let sign = async || harness.storage.presign_get(&key, &options).await.or_broken("presign_get succeeds");
    let first = sign().await?;
    sleep(Duration::from_millis(1_100)).await;
    let mut second = sign().await?;
    if first.url != second.url {
        // Once a day, a window ends in between.
        let third = sign().await?;
        ensure(second.url == third.url, || "a reusable URL is the same a moment later".to_owned())?;
        second = third;
    }
    let left = second.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    ensure(left + MINUTE > least, || format!("a reusable URL works for at least {least:?}; it works for {left:?}"))?;
    let answer = harness.send_signed("GET", &second, Bytes::new()).await?;
    ensure(answer.status == 200 && answer.body == bytes, || {
        format!("a reusable signed GET answers the object; it answers {}", answer.status)
    })?;
    for life in [Duration::ZERO, Duration::from_secs(u64::from(MAX_PRESIGN_SECONDS / 2)) + Duration::from_secs(1)] {
        let options = PresignGet { expires_in: life, ..options.clone() };
        let signed = harness.storage.presign_get(&key, &options).await.map(drop);
        ensure_error(signed, &format!("a reusable GET for {life:?} is InvalidRequest"), is_invalid)?;
    }
    Ok(())
}

pub(super) async fn a_signed_get_of_what_is_missing_is_404(harness: &Harness<'_>) -> RuleResult {
    let signed = harness.sign_get(&harness.key("missing")?).await?;
    let answer = harness.send_signed("GET", &signed, Bytes::new()).await?;
    ensure(answer.status == 404, || format!("a signed GET of nothing answers 404; it answers {}", answer.status))
}

pub(super) async fn a_signed_put_stores_the_object(harness: &Harness<'_>) -> RuleResult {
    let bytes = sample(100_000, 1);
    for (name, content_md5) in [("plain", None), ("md5", Some(Md5::digest(&bytes).into()))] {
        let key = harness.key(name)?;
        let options = PresignPut { content_md5, ..put_of(&bytes) };
        let signed = harness.storage.presign_put(&key, &options).await.or_broken("presign_put succeeds")?;
        let answer = harness.send_signed("PUT", &signed, bytes.clone()).await?;
        ensure(answer.is_success(), || format!("a signed PUT ({name}) is accepted; it answers {}", answer.status))?;
        harness.holds(&key, &bytes).await?;
        has_type(harness, &key, PNG).await?;
    }
    Ok(())
}

pub(super) async fn signed_urls_live_1_second_to_7_days(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("signed")?;
    let most = Duration::from_secs(u64::from(MAX_PRESIGN_SECONDS));
    for life in [Duration::ZERO, Duration::from_millis(999), most + Duration::from_secs(1)] {
        let results = [
            ("GET", harness.storage.presign_get(&key, &get_for(life)).await.map(|_| ())),
            (
                "PUT",
                harness.storage.presign_put(&key, &PresignPut { expires_in: life, ..put_of(b"a") }).await.map(|_| ()),
            ),
        ];
        for (method, result) in results {
            ensure_error(result, &format!("a {method} signed for {life:?} is InvalidRequest"), is_invalid)?;
        }
        // Where there are no forms, that is the better answer.
        let form = harness.storage.presign_post(&key, &PresignPost { expires_in: life, ..form_of(10, 20) }).await;
        ensure_error(form, &format!("a form signed for {life:?} is InvalidRequest"), |error| {
            is_invalid(error) || matches!(error, StorageError::Unsupported { .. })
        })?;
    }
    harness.storage.presign_get(&key, &get_for(most)).await.or_broken("a GET can be signed for 7 days")?;
    Ok(())
}

pub(super) async fn a_tampered_signed_get_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, _) = png(harness).await?;
    let other = harness.key("other")?;
    harness.put(&other, sample(10, 2)).await?;
    let signed = harness.sign_get(&key).await?.url;
    let tampered = [
        ("another key", signed.replacen(key.as_str(), other.as_str(), 1)),
        ("another signature", with_other_signature(&signed)),
        ("one more parameter", format!("{signed}&response-content-type=text%2Fhtml")),
        ("no signature", signed.split('?').next().unwrap_or_default().to_owned()),
    ];
    for (what, url) in tampered {
        ensure(url != signed, || format!("the rule can make a URL with {what}"))?;
        is_refused(&harness.send("GET", &url, &[], Bytes::new()).await?, what)?;
    }
    Ok(())
}

pub(super) async fn a_signed_url_is_for_one_method(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let get = harness.sign_get(&key).await?;
    is_refused(&harness.send_signed("PUT", &get, sample(10, 2)).await?, "a PUT with the URL of a GET")?;
    is_refused(&harness.send_signed("DELETE", &get, Bytes::new()).await?, "a DELETE with the URL of a GET")?;
    let put = harness.storage.presign_put(&key, &put_of(&bytes)).await.or_broken("presign_put succeeds")?;
    is_refused(&harness.send("GET", &put.url, &[], Bytes::new()).await?, "a GET with the URL of a PUT")?;
    harness.holds(&key, &bytes).await
}

pub(super) async fn expired_signed_urls_are_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, bytes) = png(harness).await?;
    let written = harness.key("written")?;
    let put = PresignPut { expires_in: SHORT_LIFE, ..put_of(&bytes) };
    let get = harness.storage.presign_get(&key, &get_for(SHORT_LIFE)).await.or_broken("presign_get succeeds")?;
    let put = harness.storage.presign_put(&written, &put).await.or_broken("presign_put succeeds")?;
    sleep(UNTIL_EXPIRED).await;
    is_refused(&harness.send_signed("GET", &get, Bytes::new()).await?, "an expired GET")?;
    is_refused(&harness.send_signed("PUT", &put, bytes).await?, "an expired PUT")?;
    harness.is_absent(&written).await
}

pub(super) async fn a_signed_put_of_another_type_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, signed) = signed_put(harness, 1_000).await?;
    let other = with_header(&signed, "content-type", Some("text/html"));
    is_refused(&harness.send_signed("PUT", &other, sample(1_000, 1)).await?, "a PUT of another type")?;
    let none = with_header(&signed, "content-type", None);
    is_refused(&harness.send_signed("PUT", &none, sample(1_000, 1)).await?, "a PUT without a type")?;
    harness.is_absent(&key).await
}

pub(super) async fn a_signed_put_of_another_length_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, signed) = signed_put(harness, 1_000).await?;
    for size in [0, 999, 1_001, 100_000] {
        let what = format!("a PUT of {size} bytes in place of 1000");
        is_refused(&harness.send_signed("PUT", &signed, sample(size, 1)).await?, &what)?;
    }
    harness.is_absent(&key).await
}

pub(super) async fn a_signed_put_of_another_md5_is_refused(harness: &Harness<'_>) -> RuleResult {
    let key = harness.key("digest")?;
    let bytes = sample(1_000, 1);
    let options = PresignPut { content_md5: Some(Md5::digest(&bytes).into()), ..put_of(&bytes) };
    let signed = harness.storage.presign_put(&key, &options).await.or_broken("presign_put succeeds")?;
    is_refused(&harness.send_signed("PUT", &signed, sample(1_000, 2)).await?, "a PUT of another MD5")?;
    harness.is_absent(&key).await
}

pub(super) async fn a_signed_form_stores_the_object(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &form_of(1, 1_000_000)).await?;
    let answer = harness.post(&form, sample(300_000, 1)).await?;
    ensure(answer.is_success(), || format!("a signed form is accepted; it answers {}", answer.status))?;
    harness.holds(&key, &sample(300_000, 1)).await?;
    has_type(harness, &key, PNG).await
}

pub(super) async fn a_signed_form_takes_its_least_and_most_bytes(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &form_of(10, 20)).await?;
    for size in [10, 20] {
        let answer = harness.post(&form, sample(size, 1)).await?;
        ensure(answer.is_success(), || {
            format!("a form for 10 to 20 bytes takes {size}; it answers {}", answer.status)
        })?;
        harness.holds(&key, &sample(size, 1)).await?;
    }
    Ok(())
}

pub(super) async fn a_signed_form_of_another_size_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &form_of(10, 20)).await?;
    for size in [0, 9, 21, 300_000] {
        is_refused(&harness.post(&form, sample(size, 1)).await?, &format!("a form of {size} bytes for 10 to 20"))?;
        harness.is_absent(&key).await?;
    }
    Ok(())
}

pub(super) async fn a_signed_form_of_another_type_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &form_of(1, 1_000)).await?;
    let other = with_field(&form, "content-type", "text/html");
    is_refused(&harness.post(&other, sample(10, 1)).await?, "a form of another type")?;
    harness.is_absent(&key).await
}

pub(super) async fn a_signed_form_for_another_key_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &form_of(1, 1_000)).await?;
    let foreign = harness.key("foreign")?;
    // The field holds the whole key of the bucket, of which ours may be the end only.
    let field = form.fields.iter().find(|(name, _)| name == "key").map(|(_, value)| value.as_str());
    let field = field.ok_or_else(|| Violation::new("a signed form has a field key"))?;
    let other = with_field(&form, "key", &field.replacen(key.as_str(), foreign.as_str(), 1));
    ensure(other != form, || format!("the field key holds the key; it holds {field:?}"))?;
    is_refused(&harness.post(&other, sample(10, 1)).await?, "a form for another key")?;
    harness.is_absent(&foreign).await?;
    harness.is_absent(&key).await
}

pub(super) async fn an_expired_signed_form_is_refused(harness: &Harness<'_>) -> RuleResult {
    let (key, form) = signed_form(harness, &PresignPost { expires_in: SHORT_LIFE, ..form_of(1, 1_000) }).await?;
    sleep(UNTIL_EXPIRED).await;
    is_refused(&harness.post(&form, sample(10, 1)).await?, "an expired form")?;
    harness.is_absent(&key).await
}

async fn png(harness: &Harness<'_>) -> Result<(ObjectKey, Bytes), Violation> {
    let key = harness.key("image")?;
    let options = PutOptions { content_type: PNG.to_owned(), content_md5: None };
    harness.storage.put(&key, sample(1_000, 1).into(), &options).await.or_broken("put succeeds")?;
    Ok((key, sample(1_000, 1)))
}

async fn signed_put(harness: &Harness<'_>, size: usize) -> Result<(ObjectKey, PresignedUrl), Violation> {
    let key = harness.key("uploaded")?;
    let signed = harness.storage.presign_put(&key, &put_of(&sample(size, 1))).await;
    Ok((key, signed.or_broken("presign_put succeeds")?))
}

async fn signed_form(harness: &Harness<'_>, options: &PresignPost) -> Result<(ObjectKey, PresignedPost), Violation> {
    let key = harness.key("uploaded")?;
    let form = harness.storage.presign_post(&key, options).await;
    Ok((key, form.or_broken("presign_post succeeds")?))
}

fn put_of(bytes: &[u8]) -> PresignPut {
    PresignPut {
        expires_in: MINUTE,
        content_type: PNG.to_owned(),
        content_length: bytes.len() as u64,
        content_md5: None,
    }
}

fn form_of(min_bytes: u64, max_bytes: u64) -> PresignPost {
    PresignPost { expires_in: MINUTE, content_type: PNG.to_owned(), min_bytes, max_bytes }
}

fn with_header(signed: &PresignedUrl, name: &str, value: Option<&str>) -> PresignedUrl {
    let mut changed = signed.clone();
    changed.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
    changed.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    changed
}

fn with_field(form: &PresignedPost, name: &str, value: &str) -> PresignedPost {
    let mut changed = form.clone();
    for field in &mut changed.fields {
        if field.0.eq_ignore_ascii_case(name) {
            value.clone_into(&mut field.1);
        }
    }
    changed
}

/// Changes the last digit of the parameter whose name ends in `signature`; the same URL if there is none.
fn with_other_signature(url: &str) -> String {
    let lower = url.to_ascii_lowercase();
    let Some(start) = lower.find("signature=").map(|position| position + "signature=".len()) else {
        return url.to_owned();
    };
    let (before, signature) = url.split_at(start);
    let changed = if signature.starts_with('0') { "1" } else { "0" };
    format!("{before}{changed}{}", signature.get(1..).unwrap_or_default())
}

fn is_refused(answer: &Response, what: &str) -> RuleResult {
    ensure(answer.is_refusal(), || format!("{what} is refused; it answers {}", answer.status))
}

fn is_invalid(error: &StorageError) -> bool {
    matches!(error, StorageError::InvalidRequest { .. })
}

fn has_header(answer: &Response, name: &str, value: &str) -> RuleResult {
    let found = answer.header(name);
    ensure(found == Some(value), || format!("the answer has {name} {value:?}; it has {found:?}"))
}

async fn has_type(harness: &Harness<'_>, key: &ObjectKey, content_type: &str) -> RuleResult {
    let found = harness.storage.head(key).await.or_broken("head succeeds")?.content_type;
    ensure(found.as_deref() == Some(content_type), || {
        format!("the object has the content type {content_type:?}; it has {found:?}")
    })
}
