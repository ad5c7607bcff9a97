//! Boundaries as programs follow them that do not look closely: in any case, with blanks beside them, by their beginning alone, or
//! guessed where none is named (RFC 2046 §5.1.1 asks for none of it).

use std::ops::Range;

use super::parts::delimiter_rest;

/// More boundaries than these are not compared with every line.
const MAX_KNOWN: usize = 64;
/// More lines than these, all beginning with two hyphens, are not looked at.
const MAX_LINES: usize = 20_000;

/// Whether a line of `body` is a delimiter for one of the `known` boundaries only if it is looked at loosely.
pub(super) fn is_loose(body: &[u8], known: &[&str]) -> bool {
    if known.is_empty() || known.len() > MAX_KNOWN {
        return false;
    }
    let strict =
        |line: &[u8]| known.iter().any(|b| line.strip_prefix(b.as_bytes()).is_some_and(|_| delimiter_rest(line, b.len()).is_some()));
    hyphen_lines(body).take(MAX_LINES).any(|(start, end)| {
        let line = &body[start + 2..end];
        !strict(&body[start + 2..(end + 1).min(body.len())]) && known.iter().any(|b| follows(line, b.as_bytes()).is_some())
    })
}

/// The parts between the delimiters of `boundary`, loosely followed, or of a boundary that is guessed.
pub(super) fn loose_children(body: &[u8], boundary: Option<&str>, most: usize) -> Vec<Range<usize>> {
    let named = boundary.map(|b| b.trim().as_bytes()).filter(|b| !b.is_empty());
    let is_used = |b: &&[u8]| hyphen_lines(body).take(MAX_LINES).any(|(start, end)| follows(&body[start + 2..end], b).is_some());
    let guessed;
    let boundary = match named.filter(is_used) {
        Some(named) => named,
        None => {
            guessed = guess(body);
            match guessed {
                Some(b) => b,
                None => return Vec::new(),
            }
        }
    };
    let mut children: Vec<Range<usize>> = Vec::new();
    let mut open: Option<usize> = None;
    for (start, end) in hyphen_lines(body) {
        let Some(closing) = follows(&body[start + 2..end], boundary) else { continue };
        if let Some(from) = open.take() {
            let mut to = start.saturating_sub(1);
            if to > from && body[to - 1] == b'\r' {
                to -= 1;
            }
            children.push(from..to.max(from));
        }
        // Behind the end a new delimiter opens another part.
        if !closing {
            open = Some((end + 1).min(body.len()));
        }
        if children.len() >= most {
            return children;
        }
    }
    children.extend(open.map(|from| from..body.len()));
    children
}

/// Whether `line` (behind its two hyphens) is a delimiter of `boundary` to somebody, and then whether the last.
fn follows(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let boundary = boundary.trim_ascii();
    let line = line.trim_ascii();
    let head = line.get(..boundary.len()).filter(|h| h.eq_ignore_ascii_case(boundary))?;
    Some(line[head.len()..].starts_with(b"--"))
}

/// The first line that looks like a delimiter and is met again.
fn guess(body: &[u8]) -> Option<&[u8]> {
    let candidates = hyphen_lines(body).map(|(start, end)| body[start + 2..end].trim_ascii());
    let mut candidates = candidates.filter(|line| line.iter().any(u8::is_ascii_alphanumeric)).take(MAX_LINES);
    let first = candidates.next()?;
    candidates.any(|line| line == first || line.strip_suffix(b"--") == Some(first)).then_some(first)
}

/// The lines that begin with two hyphens: where they start and where they end, the line end not counted.
fn hyphen_lines(body: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let first = body.starts_with(b"--").then_some(0);
    let later = memchr::memmem::find_iter(body, b"\n--").map(|at| at + 1);
    first.into_iter().chain(later).map(|start| {
        let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |i| start + i);
        (start, end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(body: &str, boundary: Option<&str>) -> Vec<String> {
        let body = body.replace('\n', "\r\n");
        loose_children(body.as_bytes(), boundary, 100).into_iter().map(|r| body[r].to_string()).collect()
    }

    #[test]
    fn loosely_followed() {
        for (body, boundary, parts) in [
            ("--B\n\none\n--b\n\ntwo\n--b--\n", Some("b"), vec!["\r\none", "\r\ntwo"]),
            ("--bc\n\none\n--b--\n", Some("b"), vec!["\r\none"]),
            ("--b\n\none\n--b--\n\n--b\n\ntwo\n", Some("b"), vec!["\r\none", "\r\ntwo\r\n"]),
            ("--b\n\none\n--b--\n", Some("b "), vec!["\r\none"]),
            ("--xyz\n\none\n--xyz\n\ntwo\n--xyz--\n", None, vec!["\r\none", "\r\ntwo"]),
            ("--xyz\n\none\n--xyz--\n", Some("never"), vec!["\r\none"]),
            ("-- \nJo\n", None, vec![]),
            ("--once\n", None, vec![]),
        ] {
            assert_eq!(children(body, boundary), parts, "{body:?} {boundary:?}");
        }
    }

    #[test]
    fn loose_lines_are_told_from_others() {
        let loose = |body: &str, known: &[&str]| is_loose(body.as_bytes(), known);
        assert!(loose("--B\r\n", &["b"]));
        assert!(loose("--bc\r\n", &["b"]));
        assert!(!loose("--b\r\n--b--\r\n--b  \r\n", &["b"]));
        assert!(!loose("--b\r\n--b1\r\n--b1--\r\n", &["b", "b1"]));
        assert!(!loose("-- \r\n-----\r\n", &["b"]));
    }
}
