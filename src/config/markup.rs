//! XML as a small tree, read strictly: what identity providers send and describe themselves in.
//!
//! It takes UTF-8 and nothing else, and refuses a document type, entities of a document's own, processing instructions, and whatever is
//! deeper or more than such a document ever is. Names are resolved to their namespaces. No step recurses into the input.

use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Elements inside one another, elements in all, attributes of one element, declared namespaces of one element.
const DEEPEST: usize = 24;
const MOST: usize = 8_000;
const MOST_ATTRIBUTES: usize = 24;

/// What is done with comments. A text with one inside it is two to some readers, of which they believe the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comments {
    Refuse,
    Skip,
}

/// Why it is not read. The words say nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it is not in UTF-8")]
    Encoding,
    #[error("it declares a document type")]
    DocumentType,
    #[error("it has an entity of its own")]
    Entity,
    #[error("it has a comment")]
    Comment,
    #[error("it has a processing instruction")]
    Instruction,
    #[error("it has a CDATA section")]
    Cdata,
    #[error("its elements are too deep in one another")]
    Deep,
    #[error("it has too many elements")]
    Many,
    #[error("an element has too many attributes")]
    Attributes,
    #[error("it is not well-formed XML")]
    Form,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Of its name; empty where it has none.
    pub namespace: String,
    pub name: String,
    /// Without declarations of namespaces; one with a prefix keeps it.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    /// All text directly in it.
    pub text: String,
}

impl Element {
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Children of this name.
    pub fn all<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.is(namespace, name))
    }

    /// The child of this name, if there is exactly one.
    pub fn only(&self, namespace: &str, name: &str) -> Option<&Element> {
        let mut found = self.children.iter().filter(|c| c.is(namespace, name));
        found.next().filter(|_| found.next().is_none())
    }

    /// This element and all below it, without recursion.
    pub fn walk(&self) -> impl Iterator<Item = &Element> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let next = left.pop()?;
            left.extend(next.children.iter().rev());
            Some(next)
        })
    }
}

/// Reads a whole document; the answer is its root.
pub fn read(bytes: &[u8], comments: Comments) -> Result<Element, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Encoding)?;
    // A byte order mark is no part of the document (RFC 3629 §6).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // UTF-16 of ASCII is UTF-8 as well, with a NUL in every second place.
    if text.contains('\0') {
        return Err(Fault::Encoding);
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut open, mut root, mut count): (Vec<Element>, Option<Element>, usize) = (Vec::new(), None, 0);
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|_| Fault::Form)?;
        let namespace = match namespace {
            ResolveResult::Bound(n) => n.into_inner().to_string(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return Err(Fault::Form),
        };
        match event {
            Event::Start(start) => {
                count += 1;
                if root.is_some() {
                    return Err(Fault::Form);
                }
                if open.len() == DEEPEST {
                    return Err(Fault::Deep);
                }
                if count > MOST {
                    return Err(Fault::Many);
                }
                open.push(element(namespace, &start)?);
            }
            Event::End(_) => {
                let done = open.pop().ok_or(Fault::Form)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => root = Some(done),
                }
            }
            Event::Text(piece) => add(&mut open, &piece.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|_| Fault::Form)? {
                    Some(character) => character,
                    None => match &*reference.xml10_content() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return Err(Fault::Entity),
                    },
                };
                add(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().transpose().map_err(|_| Fault::Form)?;
                if encoding.is_some_and(|e| !e.eq_ignore_ascii_case("utf-8")) {
                    return Err(Fault::Encoding);
                }
            }
            Event::Comment(_) if comments == Comments::Skip => {}
            Event::Comment(_) => return Err(Fault::Comment),
            Event::CData(_) => return Err(Fault::Cdata),
            Event::PI(_) => return Err(Fault::Instruction),
            Event::DocType(_) => return Err(Fault::DocumentType),
            Event::Eof => return root.filter(|_| open.is_empty()).ok_or(Fault::Form),
            Event::Empty(_) => return Err(Fault::Form),
        }
    }
}

fn element(namespace: String, start: &BytesStart<'_>) -> Result<Element, Fault> {
    let mut made = Element { namespace, name: start.local_name().into_inner().to_string(), ..Element::default() };
    let mut count = 0;
    // A name that stands twice is a fault of form.
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| Fault::Form)?;
        count += 1;
        if count > MOST_ATTRIBUTES {
            return Err(Fault::Attributes);
        }
        if attribute.value.contains('<') {
            return Err(Fault::Form);
        }
        let value = unescape(&attribute.value).map_err(|_| Fault::Entity)?;
        if attribute.key.as_namespace_binding().is_none() {
            made.attributes.push((attribute.key.into_inner().to_string(), value.into_owned()));
        }
    }
    Ok(made)
}

fn add(open: &mut [Element], piece: &str) -> Result<(), Fault> {
    match open.last_mut() {
        Some(element) => element.text.push_str(piece),
        // Around the root there is white space alone.
        None if piece.bytes().all(|c| matches!(c, b' ' | b'\t' | b'\r' | b'\n')) => {}
        None => return Err(Fault::Form),
    }
    Ok(())
}

/// A text as it stands in an element or in an attribute in double quotes.
pub fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: impl AsRef<[u8]>) -> Fault {
        read(text.as_ref(), Comments::Refuse).unwrap_err()
    }

    #[test]
    fn names_are_resolved_and_texts_whole() {
        let text = "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<a:x xmlns:a='urn:a' b=\"1 &amp; 2\">one <y xmlns='urn:y'>&#x41;&lt;</y>two</a:x>\n";
        let root = read(text.as_bytes(), Comments::Refuse).unwrap();
        assert!(root.is("urn:a", "x") && root.attribute("b") == Some("1 & 2") && root.text == "one two");
        assert_eq!(root.only("urn:y", "y").unwrap().text, "A<");
        assert_eq!(root.walk().count(), 2);
        let split = read(b"<n>clerk@x.uk<!-- -->.evil.example</n>", Comments::Skip).unwrap();
        assert_eq!(split.text, "clerk@x.uk.evil.example", "a comment shortens nothing");
    }

    #[test]
    fn whatever_is_more_than_plain_xml_is_refused() {
        let utf16: Vec<u8> = "<!DOCTYPE x><x/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (text, why) in [
            (utf16.as_slice(), Fault::Encoding),
            (b"\xff\xfe<x/>".as_slice(), Fault::Encoding),
            (b"<?xml version='1.0' encoding='utf-16'?><x/>", Fault::Encoding),
            (b"<?xml version='1.0' encoding='UTF-7'?><x/>", Fault::Encoding),
            (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", Fault::DocumentType),
            (b"<!doctype x><x/>", Fault::DocumentType),
            (b"<x>&a;</x>", Fault::Entity),
            (b"<x a='&a;'/>", Fault::Entity),
            (b"<x>a<!-- -->b</x>", Fault::Comment),
            (b"<x><![CDATA[a]]></x>", Fault::Cdata),
            (b"<?php x?><x/>", Fault::Instruction),
            (b"<x><y></x></y>", Fault::Form),
            (b"<x/><x/>", Fault::Form),
            (b"<x/>more", Fault::Form),
            (b"<x a='1' a='2'/>", Fault::Form),
            (b"<p:x/>", Fault::Form),
            (b"<x", Fault::Form),
            (b"", Fault::Form),
        ] {
            assert_eq!(fault(text), why, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(fault("<x>".repeat(30) + &"</x>".repeat(30)), Fault::Deep);
        assert_eq!(fault("<x>".repeat(1_000_000)), Fault::Deep);
        assert_eq!(fault(format!("<x>{}</x>", "<y/>".repeat(10_000))), Fault::Many);
        let attributes: String = (0..100).map(|n| format!(" a{n}='x'")).collect();
        assert_eq!(fault(format!("<x{attributes}/>")), Fault::Attributes);
        let declared: String = (0..100).map(|n| format!(" xmlns:a{n}='urn:x'")).collect();
        assert!(matches!(fault(format!("<x{declared}/>")), Fault::Attributes | Fault::Form));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_it(bytes: Vec<u8>) {
            let _ = read(&bytes, Comments::Refuse);
        }

        #[test]
        fn nor_pieces_of_xml(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<a>", "</a>", "<b x='1'", ">", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml version='1.0'?>", "&amp;", "&#0;", "&#x110000;", "&x;",
            "xmlns='u'", "xmlns:p='v'", "<p:c>", "</p:c>", "<!DOCTYPE", "\0", "é", "'", "\"", "=", " ",
        ]), 0..40)) {
            if let Ok(root) = read(pieces.concat().as_bytes(), Comments::Refuse) {
                proptest::prop_assert!(root.walk().count() <= MOST);
            }
        }
    }
}
