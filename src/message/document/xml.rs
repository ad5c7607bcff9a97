//! XML of documents, event by event. Nothing outside the file is ever fetched, and no entity but the built-in ones is known: there
//! is nothing to expand.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};

use super::Why;
use crate::message::words;

/// What a document's reader is told.
pub enum Piece<'a> {
    /// An element begins; its local name. `empty` elements have no end of their own.
    Start {
        name: &'a str,
        element: &'a BytesStart<'a>,
        empty: bool,
    },
    End {
        name: &'a str,
    },
    Text(&'a str),
}

/// Hands every piece of `xml` to `on`, until the end or the first fault.
pub fn each(xml: &[u8], mut on: impl FnMut(Piece<'_>)) -> Result<(), Why> {
    let text = text_of(xml);
    let mut reader = quick_xml::Reader::from_str(&text);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    reader.config_mut().allow_dangling_amp = true;
    let mut open = 0usize;
    loop {
        match reader.read_event().map_err(|_| Why::Damaged)? {
            Event::Start(element) => {
                open += 1;
                on(Piece::Start { name: element.local_name().as_ref(), element: &element, empty: false });
            }
            Event::Empty(element) => on(Piece::Start { name: element.local_name().as_ref(), element: &element, empty: true }),
            Event::End(element) => {
                open = open.saturating_sub(1);
                on(Piece::End { name: element.local_name().as_ref() });
            }
            Event::Text(text) => on(Piece::Text(&text.into_inner())),
            Event::CData(text) => on(Piece::Text(&text.into_inner())),
            Event::GeneralRef(reference) => {
                let name = reference.into_inner();
                if let Some(c) = entity(&name) {
                    on(Piece::Text(c.encode_utf8(&mut [0; 4])));
                }
            }
            // An end that comes too early is a document that was cut off.
            Event::Eof => return if open == 0 { Ok(()) } else { Err(Why::Damaged) },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The value of an attribute by its local name.
pub fn attribute<'a>(element: &'a BytesStart<'_>, name: &str) -> Option<Cow<'a, str>> {
    // Without the check for doubles, which is quadratic.
    let mut all = element.attributes();
    all.with_checks(false);
    all.flatten().find(|a| a.key.local_name().as_ref() == name).map(|a| a.value)
}

/// Whether a switch such as `w:vanish` is on: there, and not off.
pub fn is_on(element: &BytesStart<'_>) -> bool {
    !attribute(element, "val").is_some_and(|v| matches!(&*v, "0" | "false" | "off" | "none"))
}

/// The local name of the first element, and the element's text up to there.
pub fn root(xml: &[u8]) -> Option<String> {
    let text = text_of(&xml[..xml.len().min(64 << 10)]);
    let mut reader = quick_xml::Reader::from_str(&text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => return Some(element.local_name().as_ref().to_string()),
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// UTF-8 unless a mark, the zeros of UTF-16 or the declaration say otherwise (XML 1.0 appendix F).
fn text_of(xml: &[u8]) -> Cow<'_, str> {
    match xml {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => return encoding_rs::UTF_16LE.decode_with_bom_removal(xml).0,
        [0xfe, 0xff, ..] | [0, b'<', ..] => return encoding_rs::UTF_16BE.decode_with_bom_removal(xml).0,
        _ => {}
    }
    let head = &xml[..xml.len().min(200)];
    let declared = memchr::memmem::find(head, b"encoding=").and_then(|at| {
        let rest = &head[at + 9..];
        let end = rest.iter().skip(1).position(|b| matches!(b, b'"' | b'\''))?;
        std::str::from_utf8(&rest[1..=end]).ok()
    });
    words::charset_text(declared.or(Some("utf-8")), xml)
}
