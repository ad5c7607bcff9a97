//! Reply and forward prefixes of subjects, in the languages that mail programs write them.

/// What a prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    Reply,
    Forward,
}

/// Lower case. `vs` is Finnish for a reply and Swedish for a forward; it is taken for a forward, which is only evidence.
const FORWARD: &[&str] = &["fw", "fwd", "wg", "tr", "rv", "vs", "vb", "i", "enc", "ymlaen", "doorst", "pd", "fs", "转发", "轉寄"];
const REPLY: &[&str] = &["re", "aw", "antw", "sv", "r", "ref", "réf", "odp", "res", "rif", "ateb", "ynt", "回复", "回覆", "答复"];

/// Takes one prefix off: `Re:`, `FW[2]:`, `AW (3) :`, `RE^2:`.
pub fn strip_one(subject: &str) -> Option<(Prefix, &str)> {
    let subject = subject.trim_start();
    // No prefix is longer than a word, a counter and a colon.
    let colon = subject.char_indices().take(16).find(|(_, c)| matches!(c, ':' | '\u{ff1a}')).map(|(i, c)| (i, i + c.len_utf8()))?;
    let word = subject[..colon.0].trim_end();
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '[' | ']' | '(' | ')' | '^' | '*')).trim_end();
    let rest = subject[colon.1..].trim_start();
    let is = |list: &[&str]| list.iter().any(|p| word.chars().flat_map(char::to_lowercase).eq(p.chars()));
    if is(FORWARD) {
        Some((Prefix::Forward, rest))
    } else if is(REPLY) {
        Some((Prefix::Reply, rest))
    } else {
        None
    }
}

/// The subject without any reply or forward prefixes.
pub fn strip(subject: &str) -> &str {
    let mut rest = subject.trim_start();
    while let Some((_, inner)) = strip_one(rest) {
        rest = inner;
    }
    rest
}

/// A tag in brackets at the start: `[list] rest`.
pub fn bracketed(subject: &str) -> Option<(&str, &str)> {
    let subject = subject.trim_start();
    let close = match subject.chars().next()? {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '\u{3010}' => '\u{3011}',
        _ => return None,
    };
    let open = subject.chars().next()?.len_utf8();
    let end = subject.find(close)?;
    Some((&subject[open..end], subject[end + close.len_utf8()..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips() {
        for (subject, rest) in [
            ("Re: x", "x"),
            ("RE: FW: Fwd: AW: x", "x"),
            ("Re[2]: x", "x"),
            ("Re (3) : x", "x"),
            ("WG: TR: RV: VS: VB: I: ENC: Ymlaen: x", "x"),
            ("SV：x", "x"),
            ("Report: x", "Report: x"),
            ("Regarding x", "Regarding x"),
            ("Re", "Re"),
            ("", ""),
            ("Reminder: Re: x", "Reminder: Re: x"),
        ] {
            assert_eq!(strip(subject), rest, "{subject:?}");
        }
        assert_eq!(bracketed("[x] y"), Some(("x", "y")));
        assert_eq!(bracketed("x [y]"), None);
    }
}
