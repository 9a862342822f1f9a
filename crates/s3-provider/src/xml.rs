use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// How deep an answer nests at most. Those of S3 nest 5 deep.
const MAX_DEPTH: usize = 16;

/// How many elements an answer has at most. A page of 1,000 objects has about 12,000.
const MAX_ELEMENTS: usize = 100_000;

/// An XML element without its attributes and namespaces, which differ between servers and say nothing that we need.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a document to the end of its root; `None` when it is not XML, is cut, or is beyond all measure.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_reader(document);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<Self> = Vec::new();
        let mut elements = 0_usize;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => {
                    elements += 1;
                    if elements > MAX_ELEMENTS || open.len() >= MAX_DEPTH {
                        return None;
                    }
                    let name = std::str::from_utf8(start.local_name().into_inner()).ok()?.to_owned();
                    open.push(Self { name, text: String::new(), children: Vec::new() });
                }
                Event::End(_) => {
                    let closed = open.pop()?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(closed),
                        None => return Some(closed),
                    }
                }
                Event::Text(text) => append(&mut open, &text.decode().ok()?),
                Event::CData(text) => append(&mut open, &text.decode().ok()?),
                Event::GeneralRef(reference) => append(&mut open, resolve(&reference)?.encode_utf8(&mut [0; 4])),
                Event::Eof => return None,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) | Event::Empty(_) => {}
            }
        }
    }

    /// The text of the first child of this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.children_named(name).next().map(|child| child.text.as_str())
    }

    /// The children of this name.
    pub(crate) fn children_named(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    match &*reference.decode().ok()? {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn text_is_kept_to_the_letter() {
        let document = br#"<?xml version="1.0"?><a:R xmlns:a="x"><Key> a&amp;b &lt;&#233;&gt; </Key><Key><![CDATA[<c>]]></Key><E/></a:R>"#;
        let root = Element::parse(document).unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.children_named("Key").map(|key| key.text.as_str()).collect::<Vec<_>>(), [" a&b <é> ", "<c>"]);
        assert_eq!(root.text_of("E"), Some(""));
        assert_eq!(root.text_of("F"), None);
    }

    #[test]
    fn what_is_no_whole_document_is_nothing() {
        let deep = "<a>".repeat(1_000_000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(200_000));
        let documents: [&[u8]; 12] = [
            b"",
            b"garbage",
            b"{\"a\": 1}",
            b"<a>",
            b"<a><b></a>",
            b"</a>",
            b"<a>&unknown;</a>",
            b"<a>\xff</a>",
            b"<a>&#x110000;</a>",
            b"<!doctype html><html><head><meta charset=utf-8><title>x</head></html>",
            deep.as_bytes(),
            wide.as_bytes(),
        ];
        for document in documents {
            assert_eq!(
                Element::parse(document),
                None,
                "{:?}",
                String::from_utf8_lossy(&document[..document.len().min(60)])
            );
        }
    }

    #[test]
    fn entities_are_not_expanded() {
        let document = br#"<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>"#;
        assert_eq!(Element::parse(document), None);
    }
}
