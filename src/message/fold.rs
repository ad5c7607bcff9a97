//! Characters that a reader does not see, taken out, and blanks of every width made plain ones, so that words match as they look.

use std::borrow::Cow;

/// `text` without what is invisible; borrowed where nothing was.
pub fn fold(text: &str) -> Cow<'_, str> {
    let Some(first) = first_odd(text) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    out.extend(text[first..].chars().filter_map(seen));
    Cow::Owned(out)
}

pub fn in_place(text: &mut String) {
    if let Cow::Owned(folded) = fold(text) {
        *text = folded;
    }
}

/// Where the first character stands that is not seen as it is.
fn first_odd(text: &str) -> Option<usize> {
    if text.is_ascii() {
        return None;
    }
    text.char_indices().find(|(_, c)| seen(*c) != Some(*c)).map(|(at, _)| at)
}

/// The character as it looks; none if it does not show.
fn seen(c: char) -> Option<char> {
    match c {
        '\0'..='\u{9f}' => Some(c),
        // No-break, en, em, thin, hair, figure, ideographic blanks, and lines that Unicode separates in its own way.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\u{2028}' | '\u{2029}' => Some('\n'),
        // Soft hyphen, joiners, direction marks, fillers, variation selectors, tags.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{e0000}'..='\u{e0fff}' => None,
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_as_they_look() {
        for (text, seen) in [
            ("plain", "plain"),
            ("café", "café"),
            ("con\u{ad}fi\u{200b}den\u{2060}tial", "confidential"),
            ("AB\u{a0}12\u{2009}34\u{3000}56\u{202f}C", "AB 12 34 56 C"),
            ("\u{feff}first", "first"),
            ("one\u{2028}two", "one\ntwo"),
            ("\u{202e}abc\u{202c}", "abc"),
        ] {
            assert_eq!(fold(text), seen);
        }
        assert!(matches!(fold("café – “x”"), Cow::Borrowed(_)));
    }

    proptest! {
        /// Nothing that shows is lost, and what was folded once stays.
        #[test]
        fn what_shows_stays(text in "\\PC{0,40}[\u{200b}\u{ad}\u{a0}]{0,3}\\PC{0,40}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once), once.as_str());
            let letters = |t: &str| t.chars().filter(|c| c.is_alphanumeric() && seen(*c).is_some()).collect::<String>();
            prop_assert_eq!(letters(&text), letters(&once));
        }
    }
}
