//! Address lists of header fields with the byte range of every mailbox, for surgery (RFC 5322 §3.4, §4.4).
//!
//! It reads what mail programs read, not only what the grammar allows: what a reader would show as an address must be found, or
//! it would leak. Every byte is looked at a bounded number of times.

use std::ops::Range;

use super::words;
use crate::smtp::address;

/// One member of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Mailbox(Mailbox),
    /// `name: member, member;`. `range` covers all of it, the semicolon too.
    Group {
        name: String,
        range: Range<usize>,
        members: Vec<Mailbox>,
    },
    /// Text that is no address.
    Unparsed {
        range: Range<usize>,
    },
}

/// Somebody's address as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Where it stands in the message, without the separators.
    pub range: Range<usize>,
    /// The name beside the address, decoded.
    pub display: Option<String>,
    pub local: String,
    pub domain: String,
}

impl Mailbox {
    /// The form that two spellings of one mailbox share.
    pub fn normal(&self) -> String {
        address::normal(&self.local, &self.domain)
    }
}

impl Entry {
    /// The mailboxes in it: itself, a group's members, or none.
    pub fn mailboxes(&self) -> &[Mailbox] {
        match self {
            Entry::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Entry::Group { members, .. } => members,
            Entry::Unparsed { .. } => &[],
        }
    }

    pub fn range(&self) -> Range<usize> {
        match self {
            Entry::Mailbox(mailbox) => mailbox.range.clone(),
            Entry::Group { range, .. } | Entry::Unparsed { range } => range.clone(),
        }
    }
}

/// Members beyond this are left as one stretch of text.
pub const MAX_ENTRIES: usize = 20_000;
/// A member of more tokens is cut.
const MAX_TOKENS: usize = 2_000;

/// Reads the address list in `bytes[range]`. Ranges in the answer are offsets in `bytes`.
pub fn parse(bytes: &[u8], range: Range<usize>) -> Vec<Entry> {
    let mut list = List { bytes, entries: Vec::new(), group: None, item: Vec::new() };
    let mut lexer = Lexer { bytes, at: range.start, end: range.end, comments: true, quotes: true, angles: true, literals: true };
    while let Some(token) = lexer.next_token() {
        if list.entries.len() >= MAX_ENTRIES {
            list.close_item();
            let rest = token.range.start..range.start + bytes[range.clone()].trim_ascii_end().len();
            list.close_group(token.range.start);
            list.entries.push(Entry::Unparsed { range: rest });
            return list.entries;
        }
        if list.item.len() >= MAX_TOKENS {
            list.close_item();
        }
        match token.kind {
            Kind::Comma => list.close_item(),
            Kind::Semicolon => {
                list.close_item();
                list.close_group(token.range.end);
            }
            // A colon after an address, or inside a group, opens nothing.
            Kind::Colon if list.group.is_none() && !list.item.iter().any(|t| matches!(t.kind, Kind::At | Kind::Angle)) => list.open_group(),
            Kind::Colon => list.close_item(),
            _ => list.item.push(token),
        }
    }
    list.close_item();
    let end = list.entries.last().map_or(range.start, |e| e.range().end);
    list.close_group(end);
    list.entries
}

/// Addresses that a reader of plain text would see in it, as (local, domain).
pub fn in_text(text: &str) -> Vec<(String, String)> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    // An octet belongs to one candidate only, so that "@@@…" costs nothing.
    let mut floor = 0;
    for at in memchr::memchr_iter(b'@', bytes) {
        let start = floor + bytes[floor..at].iter().rposition(|&b| !is_address_octet(b)).map_or(0, |i| i + 1);
        let end = at
            + 1
            + bytes[at + 1..]
                .iter()
                .position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | 128..)))
                .unwrap_or(bytes.len() - at - 1);
        floor = at + 1;
        let local = String::from_utf8_lossy(&bytes[start..at]);
        let domain = String::from_utf8_lossy(&bytes[at + 1..end]);
        let (local, domain) = (local.trim_matches(['.', '\'']), domain.trim_matches(['.', '-', '_']));
        if !local.is_empty() && domain.contains('.') && address::domain_is_valid(domain.as_bytes()) {
            out.push((local.to_string(), domain.to_string()));
            floor = end;
        }
    }
    out
}

/// Whatever looks like an address in `bytes[range]`, encoded words decoded, as a program takes it that knows no grammar. Each covers
/// the whole range.
pub fn alike(bytes: &[u8], range: Range<usize>) -> Vec<Mailbox> {
    let text = words::decode(&bytes[range.clone()]);
    // A folded address is one to some.
    let found = in_text(&text);
    found.into_iter().map(|(local, domain)| Mailbox { range: range.clone(), display: None, local, domain }).collect()
}

/// Whether a program without the grammar would find other people in `bytes[range]` than [`parse`] does. The grammar's own are
/// compared only where an `@` stands at a place that could mislead, so that plain lists cost one look at each octet.
pub fn is_doubtful(bytes: &[u8], range: Range<usize>) -> bool {
    if !may_mislead(&bytes[range.clone()]) {
        return false;
    }
    let set = |found: Vec<Mailbox>| found.iter().map(Mailbox::normal).collect::<std::collections::BTreeSet<_>>();
    let ours = set(parse(bytes, range.clone()).iter().flat_map(|e| e.mailboxes().to_vec()).collect());
    set(alike(bytes, range)) != ours
}

/// Whether an `@` stands within quotes, a comment or an encoded word, begins a route, or shares its item with another.
fn may_mislead(text: &[u8]) -> bool {
    let (mut quoted, mut comment, mut ats) = (false, 0usize, 0usize);
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'"' if comment == 0 => quoted = !quoted,
            b'(' if !quoted => comment += 1,
            b')' if !quoted => comment = comment.saturating_sub(1),
            b',' | b';' if !quoted && comment == 0 => ats = 0,
            b'@' => {
                ats += 1;
                if quoted || comment > 0 || ats > 1 || at > 0 && text[at - 1] == b'<' {
                    return true;
                }
            }
            b'=' if text[at..].starts_with(b"=?") => {
                let end = text[at..].iter().take(128).position(|b| b.is_ascii_whitespace()).unwrap_or(text.len().min(at + 128) - at);
                if words::decode(&text[at..at + end]).contains('@') {
                    return true;
                }
                at += end.max(1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    false
}

fn is_address_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'.' | b'-'
                | b'_'
                | b'+'
                | b'\''
                | b'%'
                | b'&'
                | b'#'
                | b'/'
                | b'!'
                | b'$'
                | b'*'
                | b'='
                | b'~'
                | b'{'
                | b'}'
                | b'^'
                | b'|'
                | b'`'
                | b'?'
                | 128..
        )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Comment,
    /// `<…>` whole.
    Angle,
    /// `[…]` whole.
    Literal,
    At,
    Comma,
    Semicolon,
    Colon,
    /// A special octet out of place.
    Stray,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    range: Range<usize>,
}

/// Cuts tokens. A bracket that is never closed is a stray octet, and so are all its kind after it: looking for the end again and
/// again would be quadratic.
struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    comments: bool,
    quotes: bool,
    angles: bool,
    literals: bool,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Option<Token> {
        while self.at < self.end && matches!(self.bytes[self.at], b' ' | b'\t' | b'\r' | b'\n' | 0) {
            self.at += 1;
        }
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let (kind, end) = match self.bytes[start] {
            b',' => (Kind::Comma, start + 1),
            b';' => (Kind::Semicolon, start + 1),
            b':' => (Kind::Colon, start + 1),
            b'@' => (Kind::At, start + 1),
            b'(' => self.comments.then(|| self.comment(start)).flatten().map_or((Kind::Stray, start + 1), |end| (Kind::Comment, end)),
            b'"' => self.quotes.then(|| self.quoted(start)).flatten().map_or((Kind::Stray, start + 1), |end| (Kind::Quoted, end)),
            b'<' => self.angles.then(|| self.angle(start)).flatten().map_or((Kind::Stray, start + 1), |end| (Kind::Angle, end)),
            b'[' => self.literals.then(|| self.literal(start)).flatten().map_or((Kind::Stray, start + 1), |end| (Kind::Literal, end)),
            b')' | b'>' | b']' | b'\\' => (Kind::Stray, start + 1),
            _ => (Kind::Word, self.word(start)),
        };
        self.at = end;
        Some(Token { kind, range: start..end })
    }

    /// Comments nest (RFC 5322 §3.2.2).
    fn comment(&mut self, start: usize) -> Option<usize> {
        let (mut depth, mut at) = (0usize, start);
        while at < self.end {
            match self.bytes[at] {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        self.comments = false;
        None
    }

    fn quoted(&mut self, start: usize) -> Option<usize> {
        let end = quoted_end(self.bytes, start, self.end);
        self.quotes = end.is_some();
        end
    }

    /// `<…>` up to its closing bracket. A comma outside a source route means that it was never closed.
    fn angle(&mut self, start: usize) -> Option<usize> {
        let mut at = start + 1;
        let route = self.bytes[at..self.end].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'@');
        while at < self.end {
            match self.bytes[at] {
                b'>' => return Some(at + 1),
                b'"' => match self.quotes.then(|| quoted_end(self.bytes, at, self.end)).flatten() {
                    Some(end) => {
                        at = end;
                        continue;
                    }
                    None => self.quotes = false,
                },
                b'<' | b';' => return None,
                b',' if !route => return None,
                _ => {}
            }
            at += 1;
        }
        self.angles = false;
        None
    }

    fn literal(&mut self, start: usize) -> Option<usize> {
        let at = memchr::memchr3(b']', b',', b'<', &self.bytes[start..self.end]);
        self.literals = at.is_some();
        at.filter(|&i| self.bytes[start + i] == b']').map(|i| start + i + 1)
    }

    /// A run of octets that mean nothing. An encoded word is one, whatever stands in it (RFC 2047 forbids specials there, mail
    /// programs write them).
    fn word(&self, start: usize) -> usize {
        let text = &self.bytes[start..self.end];
        if text.starts_with(b"=?") {
            let blank = text.iter().take(512).position(|b| b.is_ascii_whitespace()).unwrap_or(text.len().min(512));
            let mut marks = memchr::memchr_iter(b'?', &text[..blank]).skip(1);
            if let (Some(encoding), Some(content)) = (marks.next(), marks.next())
                && content == encoding + 2
                && let Some(end) = memchr::memmem::find(&text[content + 1..blank], b"?=")
            {
                return start + content + 1 + end + 2;
            }
        }
        start
            + text
                .iter()
                .position(|&b| {
                    matches!(
                        b,
                        b'(' | b')'
                            | b'<'
                            | b'>'
                            | b'['
                            | b']'
                            | b':'
                            | b';'
                            | b','
                            | b'"'
                            | b'@'
                            | b'\\'
                            | 0
                            | b' '
                            | b'\t'
                            | b'\r'
                            | b'\n'
                    )
                })
                .unwrap_or(text.len())
    }
}

/// The end of the quoted string at `start`, which is its quotation mark.
fn quoted_end(bytes: &[u8], start: usize, limit: usize) -> Option<usize> {
    let mut at = start + 1;
    while at < limit {
        match bytes[at] {
            b'\\' => at += 1,
            b'"' => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The list as it grows.
struct List<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
    group: Option<Group>,
    item: Vec<Token>,
}

struct Group {
    name: String,
    start: usize,
    /// Where its entries begin in `entries`.
    first: usize,
    end: usize,
}

impl List<'_> {
    fn open_group(&mut self) {
        let tokens = std::mem::take(&mut self.item);
        let Some(first) = tokens.first() else { return };
        let end = tokens.last().map_or(first.range.end, |t| t.range.end) + 1;
        self.group =
            Some(Group { name: self.phrase(&tokens).unwrap_or_default(), start: first.range.start, first: self.entries.len(), end });
    }

    /// `end` is where the group's text ends.
    fn close_group(&mut self, end: usize) {
        let Some(group) = self.group.take() else { return };
        let members = self.entries.drain(group.first..).flat_map(|e| e.mailboxes().to_vec()).collect();
        self.entries.push(Entry::Group { name: group.name, range: group.start..end.max(group.end), members });
    }

    /// Makes entries of the tokens since the last separator.
    fn close_item(&mut self) {
        let tokens = std::mem::take(&mut self.item);
        let mut rest = &tokens[..];
        // After an angle address another mailbox may begin without a comma.
        while let Some(angle) = rest.iter().position(|t| t.kind == Kind::Angle) {
            let tail = rest[angle + 1..].iter().take_while(|t| t.kind == Kind::Comment).count();
            let (mailbox, after) = rest.split_at(angle + 1 + tail);
            self.angle_item(mailbox, angle);
            rest = after;
        }
        if !rest.is_empty() {
            self.bare_item(rest, rest.len() == tokens.len());
        }
    }

    /// `phrase <address> (comment)`; `tokens[angle]` is the angle address.
    fn angle_item(&mut self, tokens: &[Token], angle: usize) {
        let whole = cover(tokens);
        let inside = tokens[angle].range.start + 1..tokens[angle].range.end - 1;
        let before = &tokens[..angle];
        // `a@x.uk <b@y.uk>`: the first is only a display name; a second address of its own is one too.
        match self.angle_address(inside) {
            Some((local, domain)) => {
                let display = self.phrase(before).or_else(|| self.comment_text(tokens));
                self.entries.push(Entry::Mailbox(Mailbox { range: whole, display, local, domain }));
            }
            None if before.iter().any(|t| t.kind == Kind::At) => self.bare_item(tokens, true),
            None => self.text_item(whole),
        }
    }

    /// What stands between angle brackets, a source route cut off (RFC 5322 §4.4).
    fn angle_address(&self, inside: Range<usize>) -> Option<(String, String)> {
        let mut lexer =
            Lexer { bytes: self.bytes, at: inside.start, end: inside.end, comments: true, quotes: true, angles: false, literals: true };
        let mut tokens: Vec<Token> = Vec::new();
        while let Some(token) = lexer.next_token() {
            match token.kind {
                Kind::Comment => {}
                // The colon ends a route (or `mailto`).
                Kind::Colon => tokens.clear(),
                _ => tokens.push(token),
            }
        }
        let at = tokens.iter().rposition(|t| t.kind == Kind::At)?;
        let (local, domain) = (&tokens[..at], &tokens[at + 1..]);
        if local.is_empty() || domain.is_empty() {
            return None;
        }
        Some((self.joined(local), self.joined(domain)))
    }

    /// An item without angle brackets: `local@domain`, several of them, words before or after.
    fn bare_item(&mut self, tokens: &[Token], whole_item: bool) {
        let mut found = Vec::new();
        let mut from = 0;
        for at in (0..tokens.len()).filter(|&i| tokens[i].kind == Kind::At) {
            if at < from {
                continue;
            }
            let Some(local) = self.local_start(tokens, from, at) else { continue };
            let Some(domain) = self.domain_end(tokens, at) else { continue };
            found.push((from, local, at, domain));
            // A comment behind an address is its own, and not the next one's too.
            from = domain + comments_behind(tokens, domain);
        }
        let Some(&(_, _, _, last)) = found.last() else {
            self.text_item(cover(tokens));
            return;
        };
        // Words after the last address belong to it, unless the item has an address in brackets before.
        let trailing = tokens.len() > last && whole_item;
        let count = found.len();
        for (i, (from, local, at, domain)) in found.into_iter().enumerate() {
            let to = if i + 1 == count && trailing { tokens.len() } else { domain + comments_behind(tokens, domain) };
            let own = &tokens[from..to.max(domain)];
            let display = self
                .phrase(&tokens[from..local])
                .or_else(|| self.comment_text(own))
                .or_else(|| self.phrase(&tokens[domain..to.max(domain)]));
            let address = (self.joined(&tokens[local..at]), self.joined(&tokens[at + 1..domain]));
            self.entries.push(Entry::Mailbox(Mailbox { range: cover(own), display, local: address.0, domain: address.1 }));
        }
    }

    /// Where the local part that ends before `at` starts: one word, and what dots join to it (RFC 5322 §4.4 `obs-local-part`).
    fn local_start(&self, tokens: &[Token], from: usize, at: usize) -> Option<usize> {
        let mut start = None;
        for i in (from..at).rev() {
            match tokens[i].kind {
                Kind::Comment => continue,
                Kind::Word | Kind::Quoted if start.is_none_or(|s: usize| self.dot_joins(&tokens[i], &tokens[s])) => start = Some(i),
                _ => break,
            }
        }
        start
    }

    fn domain_end(&self, tokens: &[Token], at: usize) -> Option<usize> {
        let mut last = None;
        for (i, token) in tokens.iter().enumerate().skip(at + 1) {
            match token.kind {
                Kind::Comment => continue,
                Kind::Literal if last.is_none() => return Some(i + 1),
                Kind::Word if last.is_none_or(|l: usize| self.dot_joins(&tokens[l], token)) => last = Some(i),
                _ => break,
            }
        }
        last.map(|l| l + 1)
    }

    fn dot_joins(&self, left: &Token, right: &Token) -> bool {
        self.bytes[left.range.end - 1] == b'.' || self.bytes[right.range.start] == b'.'
    }

    /// Text without an address of its own; encoded words may hide some.
    fn text_item(&mut self, range: Range<usize>) {
        let raw = &self.bytes[range.clone()];
        let mut addresses = Vec::new();
        if words::has_encoded_word(raw) || memchr::memchr(b'@', raw).is_some() {
            addresses = in_text(&words::decode(raw));
        }
        if addresses.is_empty() {
            // Brackets around nothing and stray marks are not worth a word.
            if raw.iter().any(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || *b == b'@') {
                self.entries.push(Entry::Unparsed { range });
            }
            return;
        }
        for (local, domain) in addresses {
            self.entries.push(Entry::Mailbox(Mailbox { range: range.clone(), display: None, local, domain }));
        }
    }

    /// Words as a name, decoded; none if there are no words.
    fn phrase(&self, tokens: &[Token]) -> Option<String> {
        let mut raw = Vec::new();
        for token in tokens {
            let text = &self.bytes[token.range.clone()];
            match token.kind {
                Kind::Quoted => {
                    space(&mut raw);
                    unquote_into(&text[1..text.len() - 1], &mut raw);
                }
                Kind::Comment => {}
                Kind::At => raw.push(b'@'),
                Kind::Stray => {}
                _ => {
                    if raw.last() != Some(&b'@') {
                        space(&mut raw);
                    }
                    raw.extend_from_slice(text);
                }
            }
        }
        let name = words::decode(&raw);
        let name = name.trim().trim_matches(['"', '\'']).trim();
        (!name.is_empty()).then(|| name.to_string())
    }

    /// `jo@x.uk (Jo Smith)`: the old way to give a name.
    fn comment_text(&self, tokens: &[Token]) -> Option<String> {
        let comment = tokens.iter().rfind(|t| t.kind == Kind::Comment)?;
        let mut raw = Vec::new();
        unquote_into(&self.bytes[comment.range.start + 1..comment.range.end - 1], &mut raw);
        let name = words::decode(&raw);
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_string())
    }

    /// A local part or domain without comments and blanks.
    fn joined(&self, tokens: &[Token]) -> String {
        if let [only] = tokens
            && let Ok(text) = std::str::from_utf8(&self.bytes[only.range.clone()])
            && !text.contains("=?")
            && !text.contains(['\r', '\n'])
        {
            return text.to_string();
        }
        let mut octets = Vec::new();
        for token in tokens.iter().filter(|t| t.kind != Kind::Comment) {
            octets.extend_from_slice(&self.bytes[token.range.clone()]);
        }
        match words::has_encoded_word(&octets) {
            true => words::decode(&octets).into_owned(),
            false => words::eight_bit(&octets).replace(['\r', '\n'], ""),
        }
    }
}

fn comments_behind(tokens: &[Token], at: usize) -> usize {
    tokens[at..].iter().take_while(|t| t.kind == Kind::Comment).count()
}

fn cover(tokens: &[Token]) -> Range<usize> {
    match tokens {
        [first, .., last] => first.range.start..last.range.end,
        [only] => only.range.clone(),
        [] => 0..0,
    }
}

fn space(raw: &mut Vec<u8>) {
    if !raw.is_empty() {
        raw.push(b' ');
    }
}

fn unquote_into(text: &[u8], out: &mut Vec<u8>) {
    let mut escaped = false;
    for &b in text {
        if b == b'\\' && !escaped {
            escaped = true;
        } else {
            out.push(b);
            escaped = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each entry as `display|local|domain`, groups as `name:[…]`, text as `?text`.
    fn shown(text: &str) -> Vec<String> {
        let mailbox = |m: &Mailbox| format!("{}|{}|{}", m.display.as_deref().unwrap_or(""), m.local, m.domain);
        parse(text.as_bytes(), 0..text.len())
            .iter()
            .map(|e| match e {
                Entry::Mailbox(m) => mailbox(m),
                Entry::Group { name, members, .. } => format!("{name}:[{}]", members.iter().map(mailbox).collect::<Vec<_>>().join(" ")),
                Entry::Unparsed { range } => format!("?{}", &text[range.clone()]),
            })
            .collect()
    }

    #[test]
    fn reads_what_readers_read() {
        let cases: &[(&str, &[&str])] = &[
            ("jo@x.uk", &["|jo|x.uk"]),
            (" Jo Smith <jo@x.uk>, al@y.uk ", &["Jo Smith|jo|x.uk", "|al|y.uk"]),
            ("\"Smith, Jo\" <jo@x.uk>,,", &["Smith, Jo|jo|x.uk"]),
            ("\"jo@home\" <jo@x.uk>", &["jo@home|jo|x.uk"]),
            ("\"a,b@c\"@x.uk", &["|\"a,b@c\"|x.uk"]),
            ("jo@x.uk (Jo (the) Smith)", &["Jo (the) Smith|jo|x.uk"]),
            ("(a@b.uk, c@d.uk) jo@x.uk", &["a@b.uk, c@d.uk|jo|x.uk"]),
            ("jo(c)@(d)x.uk", &["d|jo|x.uk"]),
            ("jo . smith @ x . uk", &["|jo.smith|x.uk"]),
            ("<@a.uk,@b.uk:jo@x.uk>", &["|jo|x.uk"]),
            ("=?utf-8?Q?Smith,_Jo?= <jo@x.uk>", &["Smith, Jo|jo|x.uk"]),
            ("=?utf-8?Q?Smith,Jo?= <jo@x.uk>", &["Smith,Jo|jo|x.uk"]),
            ("=?utf-8?B?Sm8gPGpvQHgudWs+?=", &["|jo|x.uk"]),
            ("Parish: jo@x.uk, Al <al@y.uk>;, z@z.uk", &["Parish:[|jo|x.uk Al|al|y.uk]", "|z|z.uk"]),
            ("undisclosed-recipients:;", &["undisclosed-recipients:[]"]),
            ("Friends: jo@x.uk, al@y.uk", &["Friends:[|jo|x.uk |al|y.uk]"]),
            ("jo@x.uk; al@y.uk", &["|jo|x.uk", "|al|y.uk"]),
            ("jo@x.uk al@y.uk", &["|jo|x.uk", "|al|y.uk"]),
            ("Jo <jo@x.uk> Al <al@y.uk>", &["Jo|jo|x.uk", "Al|al|y.uk"]),
            ("Jo <jo@x.uk, Al <al@y.uk>", &["Jo|jo|x.uk", "Al|al|y.uk"]),
            ("Jo Smith jo@x.uk", &["Jo Smith|jo|x.uk"]),
            ("jo@x.uk Jo Smith", &["Jo Smith|jo|x.uk"]),
            ("mailto:jo@x.uk", &["mailto:[|jo|x.uk]"]),
            ("Jo <mailto:jo@x.uk>", &["Jo|jo|x.uk"]),
            ("\"Jo <jo@x.uk>, al@y.uk", &["Jo|jo|x.uk", "|al|y.uk"]),
            ("(jo@x.uk, al@y.uk", &["|jo|x.uk", "|al|y.uk"]),
            ("jo@[192.0.2.1]", &["|jo|[192.0.2.1]"]),
            ("jö@bücher.example", &["|jö|bücher.example"]),
            ("Jo\r\n Smith\r\n <jo@x.uk>,\r\n\tal@y.uk", &["Jo Smith|jo|x.uk", "|al|y.uk"]),
            ("Clerk", &["?Clerk"]),
            ("Clerk <>", &["?Clerk <>"]),
            ("jo@", &["?jo@"]),
            ("jo@x.uk@y.uk", &["@y.uk|jo|x.uk"]),
            ("'jo@x.uk'", &["|'jo|x.uk'"]),
            ("a@b.uk <c@d.uk>", &["a@b.uk|c|d.uk"]),
            ("", &[]),
            (",, ;", &[]),
        ];
        for (text, entries) in cases {
            assert_eq!(shown(text), *entries, "{text:?}");
        }
    }

    #[test]
    fn ranges_are_where_the_text_is() {
        let text = "X Jo <jo@x.uk> (c), \"Al\" <al@y.uk>;";
        let entries = parse(text.as_bytes(), 1..text.len());
        let raw: Vec<&str> = entries.iter().map(|e| &text[e.range()]).collect();
        assert_eq!(raw, ["Jo <jo@x.uk> (c)", "\"Al\" <al@y.uk>"]);
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let text = "a@x.uk,".repeat(MAX_ENTRIES + 9);
        let entries = parse(text.as_bytes(), 0..text.len());
        assert_eq!(entries.len(), MAX_ENTRIES + 1);
        assert_eq!(entries.last(), Some(&Entry::Unparsed { range: MAX_ENTRIES * 7..text.len() }));
    }

    #[test]
    fn hostile_lists_take_linear_time() {
        for piece in ["(", "\"", "<", "[", "@", "a@b.uk <", "(\"<", ":", "a:", "=?a?q?", "\\", "<@a,", "a.@", ". a", "=?"] {
            let text = piece.repeat(400_000 / piece.len());
            parse(text.as_bytes(), 0..text.len());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_ranges_in_bounds(bytes in proptest::collection::vec(prop_oneof![proptest::sample::select(b"()<>[]\"\\,;:@ .=?qb\r\n\tax".to_vec()), any::<u8>()], 0..200)) {
            let mut last = 0;
            for entry in parse(&bytes, 0..bytes.len()) {
                prop_assert!(entry.range().end <= bytes.len() && entry.range().start <= entry.range().end);
                prop_assert!(entry.range().end >= last);
                last = entry.range().end;
            }
        }
    }
}
