//! Files that stand within a text: uuencode (POSIX `uuencode`) and yEnc. Some programs show the lines, others a file.

use std::ops::Range;

use memchr::memmem;

/// A file within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    pub name: String,
    /// Its encoded lines, without the first and the last.
    pub content: Range<usize>,
    pub yenc: bool,
}

/// More than these are not taken out of one text.
const MAX_FILES: usize = 64;

/// Whether a file stands in `text`.
pub fn holds_file(text: &[u8]) -> bool {
    next(text, 0).is_some()
}

/// The files in `text`, in the order that they stand. Linear in the text.
pub fn find(text: &[u8]) -> Vec<Embedded> {
    let mut out = Vec::new();
    let mut at = 0;
    while out.len() < MAX_FILES
        && let Some(file) = next(text, at)
    {
        at = file.content.end;
        out.push(file);
    }
    out
}

fn next(text: &[u8], from: usize) -> Option<Embedded> {
    // Both first lines have this in them.
    memmem::find_iter(&text[from..], b"begin ").map(|i| from + i).find_map(|at| opening(text, at))
}

/// The file whose first line has "begin " at `at`.
fn opening(text: &[u8], at: usize) -> Option<Embedded> {
    let starts_line = |i: usize| i == 0 || text[i - 1] == b'\n';
    let yenc_line = at >= 2 && &text[at - 2..at] == b"=y" && starts_line(at - 2);
    // Nothing is looked for from within a line: one long line of such words would be gone through for each of them.
    if !starts_line(at) && !yenc_line {
        return None;
    }
    let end = line_end(text, at);
    let line = text[at..end].trim_ascii_end();
    let (name, yenc) = if starts_line(at) {
        // `begin 644 name`; the mode is three or four octal digits.
        // A line may be this word and a blank: a text that flows is full of blanks at the ends of lines.
        let rest = line.get(6..)?;
        let mode = rest.iter().take_while(|b| (b'0'..=b'7').contains(*b)).count();
        let name = rest[mode..].strip_prefix(b" ").filter(|n| matches!(mode, 3 | 4) && !n.trim_ascii().is_empty())?;
        // The next line must be encoded, or the word only began a sentence.
        if !is_uu_line(&text[end..line_end(text, end)]) {
            return None;
        }
        (name, false)
    } else {
        let name = memmem::find(line, b" name=").map(|i| &line[i + 6..])?;
        (name, true)
    };
    let last: &[&[u8]] = if yenc { &[b"\n=yend"] } else { &[b"\nend\r", b"\nend\n"] };
    // A file without its end goes on to the end of the text, as its readers have it.
    let close = last.iter().filter_map(|l| memmem::find(&text[end.saturating_sub(1)..], l)).min();
    let close = close.map_or(text.len(), |i| end.saturating_sub(1) + i + 1);
    let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
    Some(Embedded { name, content: end..close.max(end), yenc })
}

fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |i| from + i + 1)
}

/// The first octet says how many follow, four characters for three octets (the last group may be cut short).
fn is_uu_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((&first, rest)) = line.split_first() else { return false };
    if !(b' '..=b'`').contains(&first) {
        return false;
    }
    let octets = usize::from(first.wrapping_sub(b' ') & 63);
    let full = octets.div_ceil(3) * 4;
    let shortest = octets + octets.div_ceil(3);
    // Blanks at the end may have been cut off on the way.
    rest.len() <= full + 1 && (rest.len() >= shortest.min(full) || rest.len() + 8 >= full) && rest.iter().all(|b| (b' '..=b'`').contains(b))
}

/// Undoes uuencode.
pub fn uudecode(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() / 4 * 3);
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((&first, rest)) = line.split_first() else { continue };
        let mut left = usize::from(first.wrapping_sub(b' ') & 63);
        if left == 0 || !(b' '..=b'`').contains(&first) {
            continue;
        }
        for group in rest.chunks(4) {
            let at = |i: usize| u32::from(group.get(i).map_or(0, |b| b.wrapping_sub(b' ') & 63));
            let word = at(0) << 18 | at(1) << 12 | at(2) << 6 | at(3);
            let octets = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
            let take = left.min(3);
            out.extend_from_slice(&octets[..take]);
            left -= take;
            if left == 0 {
                break;
            }
        }
    }
    out
}

/// Undoes yEnc: 42 less, and 64 less again behind `=`.
pub fn ydecode(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"=ypart ") || line.starts_with(b"=yend") {
            continue;
        }
        let mut octets = line.iter();
        while let Some(&b) = octets.next() {
            match b {
                b'=' => out.extend(octets.next().map(|e| e.wrapping_sub(106))),
                _ => out.push(b.wrapping_sub(42)),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A second way to write what is read above.
    fn uuencode(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let digit = |v: u8| if v == 0 { b'`' } else { v + b' ' };
        for line in octets.chunks(45) {
            out.push(digit(line.len() as u8));
            for g in line.chunks(3) {
                let (a, b, c) = (g[0], g.get(1).copied().unwrap_or(0), g.get(2).copied().unwrap_or(0));
                out.extend([digit(a >> 2), digit((a & 3) << 4 | b >> 4), digit((b & 15) << 2 | c >> 6), digit(c & 63)]);
            }
            out.extend(b"\r\n");
        }
        out.extend(b"`\r\n");
        out
    }

    fn yencode(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in octets.chunks(128) {
            for b in line {
                match b.wrapping_add(42) {
                    e @ (0 | b'\n' | b'\r' | b'=') => out.extend([b'=', e.wrapping_add(64)]),
                    e => out.push(e),
                }
            }
            out.extend(b"\r\n");
        }
        out
    }

    proptest! {
        #[test]
        fn what_was_written_is_found(octets in proptest::collection::vec(any::<u8>(), 1..400), name in "[a-z]{1,8}\\.exe", before in "[a-z \r\n]{0,40}") {
            for (first, content, last, yenc) in [
                (format!("begin 644 {name}\r\n"), uuencode(&octets), "end\r\n", false),
                (format!("=ybegin line=128 size={} name={name}\r\n", octets.len()), yencode(&octets), "=yend size=1\r\n", true),
            ] {
                let text = [before.as_bytes(), b"\r\n", first.as_bytes(), &content, last.as_bytes(), b"after\r\n"].concat();
                let found = find(&text);
                prop_assert_eq!(found.len(), 1);
                prop_assert_eq!((&found[0].name, found[0].yenc), (&name, yenc));
                let lines = &text[found[0].content.clone()];
                prop_assert_eq!(if yenc { ydecode(lines) } else { uudecode(lines) }, octets.clone());
            }
        }

        #[test]
        fn any_text_is_borne(text in proptest::collection::vec(prop_oneof![Just(b"begin 644 x\r\n".to_vec()), Just(b"=ybegin name=y\r\n".to_vec()), Just(b"end\r\n".to_vec()), proptest::collection::vec(any::<u8>(), 0..9)], 0..30)) {
            let text = text.concat();
            for file in find(&text) {
                prop_assert!(file.content.end <= text.len());
                prop_assert!(uudecode(&text[file.content.clone()]).len() <= text.len());
                prop_assert!(ydecode(&text[file.content.clone()]).len() <= text.len());
            }
        }
    }

    #[test]
    fn sentences_are_no_files() {
        for text in [
            "begin 644 houses\r\nThe plan is to build them.\r\n",
            "We begin 644 x\r\n#0V%T\r\n",
            "begin with the agenda\r\n",
            "=ybegin\r\n",
            "begin 99 x\r\n",
        ] {
            assert!(!holds_file(text.as_bytes()), "{text:?}");
        }
        assert_eq!(uudecode(b"#0V%T\r\n`\r\n"), b"Cat");
    }

    #[test]
    fn the_word_alone_is_no_file() {
        for text in
            ["begin \r\n", "begin ", "so we\r\nbegin \r\nagain", "=ybegin \r\n", "=ybegin line=128", "begin 644 \r\n", "begin  \r\n"]
        {
            assert_eq!(find(text.as_bytes()), [], "{text:?}");
        }
        // One long line of it is gone through once.
        assert_eq!(find(&b"begin ".repeat(500_000)), []);
    }
}
