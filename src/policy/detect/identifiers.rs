//! UK identifiers in text, each with the check or the context that tells it from a reference number of the same shape.
//!
//! One in ten random numbers passes a check digit, dates look like sort codes, and every council document is full of references:
//! so each kind has a shape, a check where there is one, and a guard. Only counts leave this file.

mod card;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use self::scan::Scan;
use crate::policy::condition::Identifier;

/// One identifier in a text. Its value is compared and never shown.
pub struct Hit {
    pub kind: Identifier,
    value: String,
    span: Range<usize>,
    /// Counts only beside others of its kind: the shape alone says too little.
    weak: bool,
}

/// The most octets in front of an identifier's first digit: a driving licence's five letters, each with a blank behind it.
const LETTERS_FIRST: usize = 10;
/// Nobody needs to know of more in one text.
const MAX_HITS: usize = 10_000;

/// Every identifier in `text`, of every kind. Linear in the text.
pub fn find(text: &str) -> Vec<Hit> {
    let text = plain(text);
    let bytes = text.as_bytes();
    let mut hits = Vec::new();
    let mut at = 0;
    let mut digit = 0;
    while at < bytes.len() && hits.len() < MAX_HITS {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        // No identifier is without digits, and most text is: where none is near, nothing begins.
        if digit < at || !bytes[digit].is_ascii_digit() {
            match bytes[at..].iter().position(u8::is_ascii_digit) {
                Some(ahead) => digit = at + ahead,
                None => break,
            }
        }
        if digit <= at + LETTERS_FIRST {
            Scan::at(bytes, at).identifiers(&mut hits);
        }
        // On by one run of letters and digits: an identifier written in groups may start at any of them.
        at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    }
    hits
}

/// How many distinct identifiers of `kinds` there are, for each kind that is there. What stands twice counts once, and so do two
/// identifiers that overlap. `own` are the council's own accounts.
pub fn distinct(texts: &[Vec<Hit>], kinds: &[Identifier], own: &[String]) -> Vec<(Identifier, usize)> {
    let mut seen: HashSet<(Identifier, &str)> = HashSet::new();
    let mut weak: HashSet<(Identifier, &str)> = HashSet::new();
    for hits in texts {
        let mut hits: Vec<&Hit> =
            hits.iter().filter(|h| kinds.contains(&h.kind) && !(h.kind == Identifier::BankAccount && own.contains(&h.value))).collect();
        // Of two that overlap the surer, then the longer.
        hits.sort_by_key(|h| (h.span.start, h.weak, std::cmp::Reverse(h.span.end)));
        let mut end = 0;
        for hit in hits {
            if hit.span.start < end {
                continue;
            }
            end = hit.span.end;
            if hit.weak { &mut weak } else { &mut seen }.insert((hit.kind, &hit.value));
        }
    }
    let mut out = Vec::new();
    for kind in kinds {
        let sure = seen.iter().filter(|(k, _)| k == kind).count();
        let unsure = weak.iter().filter(|w| w.0 == *kind && !seen.contains(*w)).count();
        // Two of one shape are a list of them, and one beside a sure one is another.
        let n = if sure + unsure >= 2 { sure + unsure } else { sure };
        if n > 0 && !out.iter().any(|(k, _)| k == kind) {
            out.push((*kind, n));
        }
    }
    out
}

/// Whether identifiers of two kinds overlap somewhere: then what is found of some kinds is not the sum of what is found of each.
pub fn overlap(texts: &[Vec<Hit>]) -> bool {
    texts.iter().any(|hits| {
        hits.iter()
            .enumerate()
            .any(|(i, a)| hits[i + 1..].iter().any(|b| a.kind != b.kind && a.span.start < b.span.end && b.span.start < a.span.end))
    })
}

/// How many distinct identifiers of `kinds` stand in one text.
pub fn count(text: &str, kinds: &[Identifier]) -> usize {
    distinct(&[find(text)], kinds, &[]).iter().map(|(_, n)| n).sum()
}

/// Typographer's dashes and blanks as a keyboard has them, digits of other widths as digits, and what no reader sees left out.
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}'))
            .map(|c| match c {
                '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
                '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
                '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
                c => c,
            })
            .collect(),
    )
}
