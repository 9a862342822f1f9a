//! Which keys are on a page of a listing.

/// One line of a listing: a key, or all keys up to a delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Key(String),
    Prefix(String),
}

impl Entry {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Prefix(text) => text,
        }
    }
}

/// The entries of `keys` (ascending, all of them starting with `prefix`) that come after a text, and whether there are
/// more than `limit`.
pub(super) fn page(
    keys: Vec<String>,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    limit: usize,
) -> (Vec<Entry>, bool) {
    let mut entries: Vec<Entry> = Vec::new();
    for key in keys {
        let entry = match delimiter.and_then(|delimiter| common_prefix(&key, prefix, delimiter)) {
            Some(common) => Entry::Prefix(common.to_owned()),
            None => Entry::Key(key),
        };
        if entry.text() <= after && !after.is_empty() || entries.last() == Some(&entry) {
            continue;
        }
        if entries.len() == limit {
            return (entries, limit > 0);
        }
        entries.push(entry);
    }
    (entries, false)
}

fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: &str) -> Option<&'k str> {
    let rest = key.get(prefix.len()..)?;
    let end = rest.find(delimiter).filter(|_| !delimiter.is_empty())? + delimiter.len();
    key.get(..prefix.len() + end)
}

#[cfg(test)]
mod tests {
    use super::{Entry, page};

    fn texts(prefix: &str, delimiter: Option<&str>, after: &str, limit: usize) -> (Vec<String>, bool) {
        let keys = ["a", "a/b", "a/c", "b/d/e", "c"];
        let keys = keys.iter().filter(|key| key.starts_with(prefix)).map(ToString::to_string).collect();
        let (entries, more) = page(keys, prefix, delimiter, after, limit);
        (entries.iter().map(|entry| entry.text().to_owned()).collect(), more)
    }

    #[test]
    fn a_page_says_whether_there_is_more() {
        assert_eq!(texts("", None, "", 2), (vec!["a".into(), "a/b".into()], true));
        assert_eq!(texts("", None, "a/c", 2), (vec!["b/d/e".into(), "c".into()], false));
        assert_eq!(texts("", None, "", 0), (vec![], false));
    }

    #[test]
    fn keys_are_joined_up_to_the_delimiter() {
        assert_eq!(texts("", Some("/"), "", 9).0, ["a", "a/", "b/", "c"]);
        assert_eq!(texts("", Some("/"), "a/", 1), (vec!["b/".into()], true));
        assert_eq!(texts("b/", Some("/"), "", 9).0, ["b/d/"]);
        let (entries, _) = page(vec!["b/d".into()], "b/", Some("/"), "", 9);
        assert_eq!(entries, [Entry::Key("b/d".into())]);
    }
}
