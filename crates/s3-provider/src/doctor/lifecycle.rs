//! Whether the bucket gets rid of multipart uploads that nobody goes on with.

use object_store_storage::{Check, Fix, StorageResult};

use super::failed;
use super::settings::{Found, Kind, add, read};
use crate::client::Client;
use crate::xml::Element;

const LIFECYCLE: Kind =
    Kind { query: "lifecycle", root: "LifecycleConfiguration", none: "NoSuchLifecycleConfiguration" };

/// As long as a signature may live, which is as long as an upload in parts may take.
const DAYS: u16 = 7;

const NAME: &str = "multipart_cleanup";

pub(super) async fn look(client: &Client) -> Check {
    let missing = || {
        Check::warning(
            NAME,
            "no lifecycle rule aborts old multipart uploads",
            "`sweep` and `verify --repair` abort those of this module; a rule catches all others, which cost money unseen",
        )
        .with_fix(Fix::AbortOldUploads { days: DAYS })
    };
    match read(client, LIFECYCLE).await {
        Ok(Found::Rules(_, root)) => match days(&root, &client.target.full_key("")) {
            Some(days) => Check::ok(NAME, format!("a lifecycle rule aborts multipart uploads after {days} days")),
            None => missing(),
        },
        Ok(Found::None) => missing(),
        Ok(Found::Unknown(why)) => Check::skipped(NAME, format!("the server tells no lifecycle rules: {why}")),
        Err(error) => failed(NAME, &error),
    }
}

/// After how many days uploads below the prefix are aborted.
fn days(root: &Element, prefix: &str) -> Option<u32> {
    root.children_named("Rule")
        .filter(|rule| rule.text_of("Status") == Some("Enabled"))
        .filter(|rule| {
            let filter = rule.children_named("Filter").next();
            let of = filter.and_then(|filter| filter.text_of("Prefix")).or_else(|| rule.text_of("Prefix"));
            prefix.starts_with(of.unwrap_or_default())
        })
        .filter_map(|rule| {
            let abort = rule.children_named("AbortIncompleteMultipartUpload").next()?;
            abort.text_of("DaysAfterInitiation")?.trim().parse().ok()
        })
        .min()
}

pub(super) async fn abort_old_uploads(client: &Client, days: u16) -> StorageResult<()> {
    let prefix = client.target.full_key("");
    let rule = format!(
        "<Rule><ID>object-store-abort-old-uploads</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>{days}</DaysAfterInitiation>\
         </AbortIncompleteMultipartUpload></Rule>"
    );
    add(client, LIFECYCLE, &rule).await
}

#[cfg(test)]
mod tests {
    use super::days;
    use crate::xml::Element;

    #[test]
    fn only_a_rule_that_is_on_and_of_our_keys_counts() {
        let rule = |status: &str, prefix: &str, days: &str| {
            format!(
                "<Rule><Filter><Prefix>{prefix}</Prefix></Filter><Status>{status}</Status>\
                 <AbortIncompleteMultipartUpload><DaysAfterInitiation>{days}</DaysAfterInitiation>\
                 </AbortIncompleteMultipartUpload></Rule>"
            )
        };
        let found = |rules: &[String]| {
            let document = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.concat());
            days(&Element::parse(document.as_bytes()).unwrap(), "app/")
        };
        assert_eq!(found(&[rule("Enabled", "", "9"), rule("Enabled", "app/", "3")]), Some(3));
        assert_eq!(found(&[rule("Disabled", "", "9"), rule("Enabled", "other/", "3")]), None);
        assert_eq!(found(&["<Rule><Status>Enabled</Status><Prefix></Prefix></Rule>".to_owned()]), None);
    }
}
