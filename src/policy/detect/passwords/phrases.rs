//! Which words of a text may be a password, and which are said to be one.
//!
//! Two answers for two uses. A *candidate* is tried on a locked file, so anything near a telling word may be one: a wrong one costs
//! some time. What is *said* to be a password counts by itself, so only a value in its place counts ("the password is Sunny7"),
//! never a word of prose ("the password is confidential", "will be sent separately", "reset your password").

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use zeroize::Zeroizing;

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Subject,
    Text,
    Quoted,
    FileName,
    Attachment,
}

/// How sure it is that this is a password; the surest are tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sureness {
    /// Said to be a password.
    Password,
    /// Said to be the code that opens a document.
    Code,
    /// In quotes, or made up like a password, near a telling word.
    Near,
    /// Any word near a telling one.
    Any,
    /// Made up like a password, with no telling word about.
    Alone,
}

/// Never shown, never logged, wiped when dropped.
pub struct Candidate {
    pub value: Zeroizing<String>,
    pub place: Place,
    pub sureness: Sureness,
}

/// More are not tried.
pub const MAX_CANDIDATES: usize = 64;
/// So many words of prose that look made up are tried; a text with more is full of references.
const MAX_PROSE: usize = 24;
/// Of each text so much is read.
const MAX_TEXT: usize = 256 << 10;
const MAX_VALUE: usize = 127;

/// Words for a password, in the languages of people who write to councils.
const PASSWORD: &[&str] = &[
    "password",
    "passwords",
    "pass word",
    "pass-word",
    "passcode",
    "pass code",
    "pass-code",
    "passphrase",
    "pass phrase",
    "pass-phrase",
    "passwd",
    "pword",
    "p/word",
    "pwd",
    "psw",
    "pw",
    "p/w",
    "passkey",
    "pass key",
    "passwort",
    "kennwort",
    "mot de passe",
    "contraseña",
    "cyfrinair",
    "wachtwoord",
    "hasło",
];
/// Words that mean one only where a document is opened.
const CODE: &[&str] = &[
    "code",
    "pin",
    "key",
    "open it with",
    "open with",
    "opens with",
    "unlock it with",
    "unlocks with",
    "unlock with",
    "to open it use",
    "to open use",
];

static TELLING: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(PASSWORD.iter().chain(CODE))
        .expect("the words are few and short")
});

/// Words that follow "the password is" or "password:" and are no password.
const NO_VALUE: &[&str] = &[
    "a",
    "about",
    "above",
    "absent",
    "access",
    "again",
    "all",
    "already",
    "also",
    "always",
    "an",
    "and",
    "any",
    "are",
    "as",
    "ask",
    "asked",
    "at",
    "attached",
    "automatically",
    "available",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "blank",
    "both",
    "but",
    "by",
    "call",
    "can",
    "cannot",
    "case",
    "case-sensitive",
    "change",
    "changed",
    "choose",
    "click",
    "coming",
    "compromised",
    "confidential",
    "contact",
    "correct",
    "current",
    "delivered",
    "different",
    "do",
    "does",
    "don't",
    "easy",
    "either",
    "email",
    "emailed",
    "empty",
    "enclosed",
    "encrypted",
    "enter",
    "expired",
    "expires",
    "expiring",
    "following",
    "follows",
    "for",
    "forgotten",
    "form",
    "forthcoming",
    "from",
    "given",
    "going",
    "gone",
    "good",
    "hard",
    "has",
    "have",
    "held",
    "here",
    "how",
    "i",
    "i'll",
    "if",
    "important",
    "in",
    "included",
    "incorrect",
    "invalid",
    "is",
    "issued",
    "it",
    "it's",
    "its",
    "just",
    "keep",
    "kept",
    "known",
    "later",
    "like",
    "link",
    "long",
    "lost",
    "made",
    "mandatory",
    "may",
    "me",
    "minimum",
    "missing",
    "must",
    "my",
    "n/a",
    "na",
    "need",
    "needed",
    "never",
    "new",
    "next",
    "no",
    "none",
    "not",
    "now",
    "of",
    "off",
    "ok",
    "old",
    "on",
    "one",
    "only",
    "optional",
    "or",
    "our",
    "out",
    "over",
    "own",
    "passcode",
    "password",
    "phone",
    "please",
    "policy",
    "poor",
    "private",
    "protected",
    "protection",
    "provided",
    "reminder",
    "removed",
    "required",
    "reset",
    "resetting",
    "right",
    "ring",
    "safe",
    "same",
    "secret",
    "secure",
    "see",
    "sensitive",
    "sent",
    "separate",
    "separately",
    "set",
    "shared",
    "short",
    "should",
    "shown",
    "simple",
    "simply",
    "so",
    "something",
    "soon",
    "still",
    "stored",
    "stolen",
    "strong",
    "subject",
    "such",
    "supplied",
    "tba",
    "tbc",
    "telephone",
    "temporary",
    "text",
    "texted",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "too",
    "unchanged",
    "under",
    "unique",
    "unknown",
    "up",
    "updated",
    "upon",
    "use",
    "used",
    "user",
    "username",
    "valid",
    "very",
    "via",
    "was",
    "we",
    "we'll",
    "weak",
    "what",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "within",
    "without",
    "would",
    "written",
    "wrong",
    "yes",
    "yet",
    "you",
    "you'll",
    "your",
    "yours",
    "i've",
    "we've",
];

/// In a sentence with one of these a value is an example, or no value at all.
const EXAMPLES: &[&str] = &[
    "example",
    "e.g.",
    "eg ",
    "such as",
    "for instance",
    "weak password",
    "strong password",
    "strong passwords",
    "weak passwords",
    "never use",
    "do not use",
    "don't use",
    "avoid ",
    "policy",
    "placeholder",
    "at least",
    "minimum",
    "characters",
    "forgot",
    "most common",
    "guess",
];
/// In the lines about one of these it opens a meeting.
const MEETINGS: &[&str] = &[
    "meeting id",
    "meeting number",
    "zoom.us",
    "zoom meeting",
    "teams.microsoft",
    "teams meeting",
    "microsoft teams",
    "webex",
    "dial-in",
    "dial in",
    "conference id",
    "join the meeting",
    "join meeting",
    "meet.google",
    "gotomeeting",
    "one tap mobile",
];
/// A code counts in a sentence that has one of these…
const OPENED: &[&str] = &[
    "open",
    "unlock",
    "document",
    "file",
    "attach",
    "pdf",
    "zip",
    "spreadsheet",
    "archive",
    "decrypt",
    "encrypt",
    "protect",
    "workbook",
    "folder",
];
/// …and none of these.
const DOORS: &[&str] = &[
    "gate",
    "door",
    "alarm",
    "safe",
    "barrier",
    "building",
    "entry",
    "locker",
    "padlock",
    "car park",
    "hall",
    "postcode",
    "post code",
    "dress code",
    "code of",
    "qr code",
    "source code",
];

/// Collects candidates over several texts.
#[derive(Default)]
pub struct Candidates {
    found: Vec<Candidate>,
    prose: usize,
}

/// Whether any word stands in it by which a password is given away.
pub fn is_telling(text: &str) -> bool {
    TELLING.is_match(&text[..text.floor_char_boundary(MAX_TEXT)])
}

impl Candidates {
    /// The surest first, each value once, no more than can be tried.
    pub fn finish(mut self) -> Vec<Candidate> {
        self.found.sort_by_key(|c| c.sureness);
        self.found.truncate(MAX_CANDIDATES);
        self.found
    }

    /// Reads one text.
    pub fn read(&mut self, place: Place, text: &str) {
        let text = &text[..text.floor_char_boundary(MAX_TEXT)];
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            self.line(place, &lines, i, line);
        }
    }

    /// Reads the name of a file: as it stands, and without underscores and extension.
    pub fn read_name(&mut self, name: &str) {
        let spaced = name.replace('_', " ");
        let stem = match spaced.rsplit_once('.') {
            Some((stem, extension)) if extension.len() <= 5 => stem,
            _ => &spaced,
        };
        for form in [name, stem] {
            self.read(Place::FileName, form);
        }
        // "tender-Blue-Heron-42": what stands before or after any joint.
        for (at, _) in stem.char_indices().filter(|(_, c)| matches!(c, ' ' | '-' | '.')).take(12) {
            for piece in [&stem[at + 1..], &stem[..at]] {
                if is_made_up(piece) {
                    self.add(Place::FileName, piece, Sureness::Alone);
                }
            }
        }
    }

    fn line(&mut self, place: Place, lines: &[&str], i: usize, line: &str) {
        let mut any = false;
        for found in TELLING.find_iter(line).take(16) {
            let (before, after) = (&line[..found.start()], &line[found.end()..]);
            if !stands_alone(before, after) {
                continue;
            }
            let sentence = sentence_around(before, &line[found.range()], after);
            let is_password = found.pattern().as_usize() < PASSWORD.len();
            if !is_password && (!has_any(&sentence, OPENED) || has_any(&sentence, DOORS)) {
                // "PIN 4829" of nothing that is named may yet be of the file.
                for token in after.split_whitespace().take(4).map(bare).filter(|t| is_made_up(t)) {
                    self.add(place, token, Sureness::Alone);
                }
                continue;
            }
            any = true;
            let about =
                lines[i.saturating_sub(4)..lines.len().min(i + 5)].iter().map(|l| clipped(l).to_lowercase()).collect::<Vec<_>>().join("\n");
            let counts = !has_any(&sentence, EXAMPLES) && !has_any(&about, MEETINGS);
            let said = if is_password { Sureness::Password } else { Sureness::Code };
            let below: Vec<&str> = lines[i + 1..].iter().take(4).filter(|l| !l.trim().is_empty()).take(2).copied().collect();
            // "the key 0x1F10 attached": a code without a mark or a verb is none.
            let counts = counts
                && (is_password || line[found.range()].contains(' ') || separated(after).is_some_and(|(s, _)| s != Separator::Nothing));
            for (value, is_said) in values(before, after, &below) {
                self.add(place, &value, if is_said && counts { said } else { Sureness::Near });
            }
            let tokens = after.split_whitespace().take(14).chain(before.split_whitespace().rev().take(5));
            for token in tokens.chain(below.iter().flat_map(|l| l.split_whitespace().take(4))) {
                self.token(place, token);
            }
            self.unquoted(place, after);
            let rest = after.trim_start_matches([':', '=', '-', ' ', '\t']).trim();
            if rest.contains(' ') && rest.split_whitespace().count() <= 8 {
                self.add(place, rest, Sureness::Any);
            }
        }
        // No telling word needs to be near: "use Blue-Heron-42 to get in".
        if matches!(place, Place::Text | Place::Quoted) {
            for token in line.split_whitespace() {
                if self.prose >= MAX_PROSE {
                    break;
                }
                // "Password......Sunny7"
                let value = bare(token.rsplit("..").next().unwrap_or(token));
                if is_made_up(value) && value.chars().any(char::is_alphabetic) && value.len() >= 5 && !is_address(token) {
                    self.prose += 1;
                    self.add(place, value, Sureness::Alone);
                }
            }
        }
        let mut words = line.split_whitespace();
        if !any && (matches!(place, Place::Subject | Place::FileName) || words.nth(1).is_none()) {
            // A line of its own, a subject, a name: whatever looks like a password.
            for token in line.split(|c: char| c.is_whitespace() || place == Place::FileName && "_()[]".contains(c)).take(12) {
                if is_made_up(bare(token)) && !is_address(token) {
                    self.add(place, bare(token), Sureness::Alone);
                }
            }
        }
    }

    /// What follows "is" or a mark, whatever word it is ("the password is secret"), and the first words of it together ("is correct
    /// horse battery", "your postcode LN8 5QA").
    fn unquoted(&mut self, place: Place, after: &str) {
        let Some((separator, rest)) = separated(after) else { return };
        let rest = past_fillers(&rest[..sentence_end(rest)]);
        let words: Vec<&str> = rest.split_whitespace().take(8).collect();
        if separator != Separator::Nothing
            && let Some(first) = words.first()
        {
            self.add(place, bare(first), Sureness::Any);
            for n in 2..=words.len().min(4) {
                self.add(place, bare(&words[..n].join(" ")), Sureness::Any);
            }
        }
        for pair in words.windows(2).filter(|pair| pair.iter().all(|w| w.chars().any(|c| c.is_ascii_digit()))) {
            self.add(place, bare(&pair.join(" ")), Sureness::Any);
        }
    }

    /// One word near a telling one, as it stands and without what may be punctuation.
    fn token(&mut self, place: Place, token: &str) {
        let value = bare(token);
        if is_stop_word(value) || is_address(value) {
            return;
        }
        let sureness = if is_made_up(value) || value.len() + 1 < token.len() { Sureness::Near } else { Sureness::Any };
        self.add(place, value, sureness);
        if token.trim() != value && value.len() + 4 > token.len() {
            self.add(place, token.trim_start_matches(['"', '\'', '(', '[']), Sureness::Any);
        }
        // "pw:Sunny7", "tender_Sunny7"
        for separator in [':', '=', '_'] {
            if let Some((_, tail)) = value.split_once(separator) {
                self.add(place, bare(tail), Sureness::Any);
            }
        }
    }

    fn add(&mut self, place: Place, value: &str, sureness: Sureness) {
        let length = value.chars().count();
        // A text made of nothing but values costs no more than one with a few.
        const MAX_KEPT: usize = 512;
        if !(3..=MAX_VALUE).contains(&length) || is_blank(value) || (self.found.len() >= MAX_KEPT && sureness > Sureness::Code) {
            return;
        }
        match self.found.iter().position(|c| *c.value == value) {
            Some(at) => {
                let known = &mut self.found[at];
                if known.sureness > sureness {
                    (known.sureness, known.place) = (sureness, place);
                }
            }
            None if self.found.len() < 2 * MAX_KEPT => {
                self.found.push(Candidate { value: Zeroizing::new(value.to_string()), place, sureness });
            }
            None => {}
        }
    }
}

/// Values in their place around a telling word, and whether they are said to be it.
fn values(before: &str, after: &str, below: &[&str]) -> Vec<(String, bool)> {
    let mut out = Vec::new();
    out.extend(value_after(after, below));
    // "Sunny7 is the password", "use Sunny7 as the password".
    let words: Vec<&str> = before.split_whitespace().collect();
    let link = words.iter().rposition(|w| matches!(w.to_ascii_lowercase().as_str(), "is" | "as" | "was"));
    if let Some(link) = link
        && words.len() - link <= 4
        && let Some(value) = link.checked_sub(1).and_then(|at| words.get(at))
    {
        let quoted = is_quoted(value);
        let value = bare(value);
        if (quoted || is_made_up(value)) && !is_address(value) && !is_stop_word(value) {
            out.push((value.to_string(), true));
        }
    }
    out
}

/// What separates a telling word from the value, and how much that says.
#[derive(Clone, Copy, PartialEq)]
enum Separator {
    /// `:` or `=`.
    Mark,
    /// "is" and its like.
    Is,
    /// Nothing, or a dash.
    Nothing,
}

fn value_after(after: &str, below: &[&str]) -> Option<(String, bool)> {
    let after = after.strip_prefix("'s").or_else(|| after.strip_prefix("s:").map(|_| &after[1..])).unwrap_or(after);
    let (separator, rest) = separated(after)?;
    let rest = past_fillers(rest);
    if rest.is_empty() {
        // The value stands below, alone on its line.
        let line = below.first().filter(|_| separator != Separator::Nothing)?.trim();
        let alone = !line.contains(char::is_whitespace) || is_quoted(line);
        let value = bare(line);
        return (alone && !is_stop_word(value) && !is_address(value) && !line.ends_with(':') && !is_blank(value) && value.len() >= 3)
            .then(|| (value.to_string(), true));
    }
    if let Some(value) = quoted(rest) {
        let is_prose = separator == Separator::Nothing && value.contains(' ');
        return (!is_prose && !is_blank(value) && !is_stop_word(value) && !is_address(value)).then(|| (value.to_string(), true));
    }
    let token = rest.split_whitespace().next()?;
    let value = bare(token);
    if is_stop_word(value) || is_address(token) || is_blank(value) {
        return None;
    }
    let alone = rest.trim_end().len() <= token.len() + 1;
    let ends = alone || token.ends_with(['.', ',', ';', '!', ')']);
    let is_said = match separator {
        _ if is_made_up(value) && separator != Separator::Nothing => true,
        Separator::Mark => alone && !token.ends_with(':'),
        // "The password is Sunflower."
        Separator::Is => ends && value.chars().next().is_some_and(char::is_uppercase) && value.chars().count() >= 4,
        // "my password Sunny7 does not work"
        Separator::Nothing => value.chars().any(|c| c.is_ascii_digit()) && value.chars().any(char::is_alphabetic),
    };
    Some((value.to_string(), is_said))
}

/// Finds the separator within the sentence, at most some words on: "for the attached document is".
fn separated(after: &str) -> Option<(Separator, &str)> {
    let end = sentence_end(after);
    let within = &after[..end];
    let mark =
        within.char_indices().take(110).find(|(at, c)| matches!(c, ':' | '=' | '→') && !is_in_link(within, *at) && !is_clock(within, *at));
    let mut at = 0;
    let mut words = 0;
    let is = loop {
        let Some(word) = within[at..].split_whitespace().next() else { break None };
        let start = at + within[at..].find(word).unwrap_or(0);
        at = start + word.len();
        words += 1;
        let plain = word.trim_end_matches([':', ',']).to_lowercase();
        if matches!(plain.as_str(), "is" | "was" | "be" | "ist" | "lautet" | "est" | "es" | "yw" | "reads" | "remains") {
            break Some(at);
        }
        if words > 12 {
            break None;
        }
    };
    match (mark, is) {
        (Some((mark, c)), is) if is.is_none_or(|is| mark < is + 12 && (mark <= is || within[is..mark].split_whitespace().count() <= 2)) => {
            Some((Separator::Mark, after[mark + c.len_utf8()..].trim_start()))
        }
        (_, Some(is)) => Some((Separator::Is, after[is..].trim_start())),
        _ => {
            let rest = after.trim_start().trim_start_matches(['-', '–', '—']).trim_start();
            // "Password (Sunny7)"
            let rest = rest.strip_prefix('(').unwrap_or(rest);
            (!after.is_empty()).then_some((Separator::Nothing, rest))
        }
    }
}

/// A mark in "https://example.com/reset?t=8f3a2" separates nothing.
fn is_in_link(text: &str, mark: usize) -> bool {
    let start = text[..mark].rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = text[start..].split_whitespace().next().unwrap_or_default();
    let before = &text[start..mark];
    text[mark..].starts_with("://") || is_address(word) && (before.contains("://") || before.to_ascii_lowercase().starts_with("www."))
}

/// "10:30" is a time.
fn is_clock(text: &str, colon: usize) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    digit(text[..colon].chars().next_back()) && digit(text[colon + 1..].chars().next())
}

/// "as follows:", "the following", "just".
fn past_fillers(mut rest: &str) -> &str {
    loop {
        rest = rest.trim_start().trim_start_matches([':', '=', '-', '–', '—', '>']).trim_start();
        let lower = rest.get(..16.min(rest.floor_char_boundary(16))).unwrap_or_default().to_ascii_lowercase();
        let filler = ["as follows", "the following", "simply ", "just ", "now ", "still ", "set to ", "the word ", "below"]
            .iter()
            .find(|f| lower.starts_with(**f));
        match filler {
            Some(filler) => rest = &rest[filler.len()..],
            None => return rest.trim_end(),
        }
    }
}

/// Where a sentence ends: a full stop that a blank follows, or a mark that always ends one.
fn sentence_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    (0..bytes.len())
        .find(|&i| match bytes[i] {
            b'?' | b'!' | b';' => bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace),
            b'.' => bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace) && i > 1,
            _ => false,
        })
        .unwrap_or(text.len())
}

/// A word of a text, not a piece of a link or of encoded data.
fn stands_alone(before: &str, after: &str) -> bool {
    let opens = before.chars().next_back().is_none_or(|c| c.is_whitespace() || "([{\"'“„‘«*_-/,;:>|".contains(c));
    let mut next = after.chars();
    let closes = match next.next() {
        None => true,
        Some('.' | '_' | '-') => next.next().is_none_or(|c| c.is_whitespace() || c == '*'),
        Some(c) => c.is_whitespace() || ":=,;)]}\"'”’»*?!/→".contains(c),
    };
    opens && closes
}

/// The sentence that a telling word stands in, in lower case.
fn sentence_around(before: &str, telling: &str, after: &str) -> String {
    let start = before.rfind(['.', '?', '!', ';']).filter(|at| before[at + 1..].starts_with(' ')).map_or(0, |at| at + 1);
    let start = before.floor_char_boundary(start.max(before.len().saturating_sub(300)));
    let end = after.floor_char_boundary(sentence_end(after).min(300));
    format!("{}{telling}{}", &before[start..], &after[..end]).to_lowercase()
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|w| text.contains(w))
}

fn clipped(line: &str) -> &str {
    &line[..line.floor_char_boundary(300)]
}

const QUOTES: &[(char, char)] = &[
    ('"', '"'),
    ('\'', '\''),
    ('“', '”'),
    ('„', '“'),
    ('‘', '’'),
    ('«', '»'),
    ('`', '`'),
    ('*', '*'),
    ('_', '_'),
    ('[', ']'),
    ('<', '>'),
    ('(', ')'),
];

/// What stands in quotes at the start.
fn quoted(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let (_, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
    let inner = &text[first.len_utf8()..];
    let end = inner.char_indices().take(MAX_VALUE).find(|(at, c)| c == close && *at > 0)?.0;
    let value = inner[..end].trim();
    // Emphasis may stand within quotes.
    Some(quoted(value).unwrap_or(value))
}

fn is_quoted(text: &str) -> bool {
    let trimmed = text.trim_end_matches(['.', ',', ';', '!', '?']);
    let (Some(first), Some(last)) = (trimmed.chars().next(), trimmed.chars().next_back()) else { return false };
    trimmed.chars().count() > 2 && QUOTES.iter().any(|(open, close)| *open == first && *close == last)
}

/// A word without quotes and punctuation around it.
fn bare(token: &str) -> &str {
    let token = token.trim();
    let inner = token.trim_end_matches(['.', ',', ';', ':', '?', '!']);
    let inner = if is_quoted(inner) {
        &inner[inner.chars().next().map_or(0, char::len_utf8)..inner.len() - inner.chars().next_back().map_or(0, char::len_utf8)]
    } else {
        inner
    };
    let inner = inner
        .trim_start_matches(['"', '\'', '“', '‘', '(', '[', '<', '«', '`'])
        .trim_end_matches(['"', '\'', '”', '’', ')', ']', '>', '»', '`', ',']);
    // "Sunny7!" may be one whole.
    if inner.is_empty() { token } else { inner }
}

fn is_stop_word(value: &str) -> bool {
    let lower = value.to_lowercase().replace('’', "'");
    NO_VALUE.contains(&lower.as_str()) || TELLING.find(&lower).is_some_and(|m| m.start() == 0 && m.end() == lower.len())
}

/// Only marks: a field to fill in, or a value that was taken out.
fn is_blank(value: &str) -> bool {
    value.chars().all(|c| !c.is_alphanumeric() || matches!(c, 'x' | 'X'))
}

/// A link or an address.
fn is_address(token: &str) -> bool {
    token.contains("://")
        || token.to_ascii_lowercase().starts_with("www.")
        || token.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.') && domain.len() > 3)
}

/// Digits, marks or capitals within: what people make up and do not write in prose.
fn is_made_up(value: &str) -> bool {
    let mut chars = value.chars();
    let first = chars.next();
    let count = value.chars().count();
    let digit = value.chars().any(|c| c.is_ascii_digit());
    let mark = value.chars().any(|c| "!£$%^&*+=~#@?|\\<>{}".contains(c)) && value.chars().any(char::is_alphanumeric);
    let capital_within = chars.any(char::is_uppercase) && value.chars().any(char::is_lowercase);
    (4..=64).contains(&count) && first.is_some() && (digit || mark || capital_within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(text: &str) -> Vec<Candidate> {
        let mut all = Candidates::default();
        all.read(Place::Text, text);
        all.finish()
    }

    fn said(text: &str) -> Option<String> {
        candidates(text).iter().find(|c| c.sureness <= Sureness::Code).map(|c| c.value.to_string())
    }

    #[test]
    fn what_is_said_to_be_a_password() {
        for (text, value) in [
            ("The password is Sunny7.", "Sunny7"),
            ("the password for the attached document is Sunny-Meadow7", "Sunny-Meadow7"),
            ("Password: sunflower", "sunflower"),
            ("Password:Sunny7", "Sunny7"),
            ("PW: Sunny7, please delete this", "Sunny7"),
            ("pwd=Sunny7", "Sunny7"),
            ("Password is \"correct horse battery\".", "correct horse battery"),
            ("Password is ‘sunflower’ all lower case", "sunflower"),
            ("The password is *sunflower*", "sunflower"),
            ("Password for tender.zip: Sunny7", "Sunny7"),
            ("The password will be Sunny7 until May", "Sunny7"),
            ("The password is as follows:\n\nsunflower\n", "sunflower"),
            ("Password:\r\nSunny7\r\n", "Sunny7"),
            ("The code to open it is 482913", "482913"),
            ("The PIN for the PDF is 4829.", "4829"),
            ("To open it use Sunny7", "Sunny7"),
            ("You can open the file: unlock it with Sunny7", "Sunny7"),
            ("Das Passwort lautet Sonne7", "Sonne7"),
            ("Le mot de passe est Soleil7", "Soleil7"),
            ("Y cyfrinair yw Heulwen7", "Heulwen7"),
            ("Sunny7 is the password", "Sunny7"),
            ("Please use 'sunflower' as the password", "sunflower"),
            ("my login password is Sunny123", "Sunny123"),
            ("Password - Sunny7", "Sunny7"),
            ("Password (Sunny7)", "Sunny7"),
            ("Username: jsmith Password: Sunny7", "Sunny7"),
            ("the password is Sunflower", "Sunflower"),
            ("The passphrase is: P@ssw0rd!", "P@ssw0rd"),
        ] {
            assert_eq!(said(text).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_only_about_passwords() {
        for text in [
            "Forgot your password?",
            "Forgotten your password? Reset it here: https://www.example.com/reset?t=12345",
            "Reset your password at https://example.com/r/8f3a2",
            "Reset your password at https://example.com/reset?t=Abc123x",
            "Reset your password at www.example.com/reset?t=Abc123x&u=Jo9",
            "The password will be sent separately.",
            "I will send the password by text.",
            "The password is being sent in a separate email",
            "Password: will follow by telephone",
            "Password: to follow",
            "Password to follow under separate cover",
            "Please ring me for the password.",
            "Our password policy is attached.",
            "Passwords must have at least 12 characters, e.g. Sunny-Meadow7.",
            "A strong password is for example Tr0ub4dor&3",
            "Never use a password such as Password123",
            "The password is confidential.",
            "The password is required.",
            "The password is the same as last time",
            "Your password expires in 5 days",
            "Your password has been changed. If this was not you, ring 01507 123456.",
            "Password: ********",
            "Password: ____________",
            "Password:\nUsername:\n",
            "Username and password: see the letter",
            "The document is password protected.",
            "Password-protected documents are attached",
            "Meeting ID: 812 3456 7890\nPasscode: 482913",
            "Join Zoom Meeting\nhttps://zoom.us/j/8123\nMeeting ID: 812\nPasscode: a1B2c3",
            "The gate code is 4829.",
            "The alarm code to open the hall is 4829",
            "Our new code of conduct is attached as a PDF",
            "Postcode: LN8 5QA, please open the attached file",
            "The key points in the attached file are 1. hedges",
            "Your verification code is 482913",
            "Please change the password as soon as possible.",
            "http://mydomain.register.com/change_password.cgi?00000000000",
            "Hey, the key 0x1F10171BFB881B1C (for jdoe@invalid) attached!",
            "M8W-!;&P=#?pw=A2VJ&PW2 EFPW:A2K$",
            "The password is jo@wragbyparishcouncil.gov.uk's birthday",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn candidates_come_surest_first_and_few() {
        let found = candidates(
            "The tender is attached; it opens with the password that we agreed, sunflower I think, or Daisy42. The password is Rose99.",
        );
        assert_eq!(*found[0].value, "Rose99");
        assert!(found.iter().any(|c| *c.value == "sunflower") && found.iter().any(|c| *c.value == "Daisy42"));
        let many: String = (0..5_000).map(|i| format!("password: Sunny{i}\n")).collect();
        assert_eq!(candidates(&many).len(), MAX_CANDIDATES);
        let long = "password ".repeat(200_000);
        assert!(candidates(&long).len() <= MAX_CANDIDATES);
        let mut names = Candidates::default();
        names.read_name("tender (password Sunny7).zip");
        names.read_name("minutes_Daisy42.pdf");
        let names = names.finish();
        assert!(names.iter().any(|c| *c.value == "Sunny7") && names.iter().any(|c| *c.value == "Daisy42"));
        let mut names = Candidates::default();
        names.read_name("tender-Blue-Heron-42.zip");
        assert!(names.finish().iter().any(|c| *c.value == "Blue-Heron-42"));
        for (text, value) in [
            ("Use Blue-Heron-42 to open the file", "Blue-Heron-42"),
            ("Blue-Heron-42 gets you in", "Blue-Heron-42"),
            ("Password......Blue-Heron-42", "Blue-Heron-42"),
            ("PIN 4829", "4829"),
            ("The password is correct horse battery", "correct horse battery"),
            ("The password is secret", "secret"),
            ("the password is your postcode LN8 5QA", "LN8 5QA"),
        ] {
            let found = candidates(text);
            assert!(found.iter().any(|c| *c.value == value), "{text}");
        }
        // Nothing of this says that there is a password.
        assert_eq!(said("Use Blue-Heron-42 to open the file"), None);
    }

    proptest! {
        /// Any value in a place where a value stands is found as it was put there; and in any text nothing panics.
        #[test]
        fn a_value_put_in_its_place_is_found(
            value in "[A-Za-z]{2,8}[0-9]{1,4}[A-Za-z!$%]{0,3}[A-Za-z]",
            phrase in proptest::sample::select(vec!["The password is {}.", "Password: {}", "pw: {}", "The password for the attached file is {}", "Passwort: {}", "Password:\n\n{}\n", "Please use {} as the password", "The code to open the document is {}"]),
            around in "[a-z \n]{0,60}",
        ) {
            let text = format!("{around}\n\n{}\n\n{around}", phrase.replace("{}", &value));
            prop_assert_eq!(said(&text), Some(value));
        }

        #[test]
        fn any_text_is_read(text in "(password|is|: |\"|“|’|\n|code|open|[a-zé.]{0,5}|\\PC){0,60}") {
            // But for the blanks between its words, which people do not type as they were sent.
            let even = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let text = even(&text);
            for candidate in candidates(&text) {
                prop_assert!(text.contains(&even(&candidate.value)));
            }
        }
    }
}
