//! All patterns of all rules, compiled together: one pass over each kind of text, however many rules there are.
//!
//! A pass uses a *screen*: every pattern with its word boundaries taken out. That accepts more than the pattern does, and a lazy
//! DFA can run it over any text at one step an octet (Unicode word boundaries would throw it off at the first letter outside
//! ASCII). What the screen lets through is confirmed with the exact pattern. Patterns without word boundaries need no confirming.
//!
//! Time is linear in the text for any pattern; there is no backtracking. Sizes are bounded when rules are loaded.

use std::sync::Arc;

use regex_automata::meta::{BuildError, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet as Hits, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Hir, HirKind, Look};

/// Octets that one compiled pattern may take.
const PATTERN_SIZE: usize = 1 << 20;
/// Octets that the patterns of one screen may take together; more are spread over several screens.
const SCREEN_SIZE: usize = 8 << 20;
/// Octets of lazily built states for each screen and thread.
const SCREEN_CACHE: usize = 1 << 20;
const EXACT_CACHE: usize = 256 << 10;

/// Which text a pattern is held against.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Subject,
    BodyNew,
    BodyQuoted,
    BodyAll,
    /// Subject, body and the text inside attachments.
    Text,
    /// A header field, its name in lower case.
    Header(Arc<str>),
    AttachmentName,
}

impl Kind {
    /// For evidence: "the subject has …".
    pub fn words(&self) -> String {
        match self {
            Kind::Subject => "the subject".into(),
            Kind::BodyNew => "the text".into(),
            Kind::BodyQuoted => "the quoted text".into(),
            Kind::BodyAll => "the body".into(),
            Kind::Text => "the message or an attachment".into(),
            Kind::Header(name) => format!("the header field {name}"),
            Kind::AttachmentName => "an attachment's name".into(),
        }
    }
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// What the parser says, and the octets of the pattern that it points at.
    Syntax {
        message: String,
        at: std::ops::Range<usize>,
    },
    TooLarge,
    /// It matches the empty text, and so everything.
    MatchesEverything,
    Other(String),
}

/// A pattern that was parsed and found of bearable size.
#[derive(Clone, Debug)]
pub struct Pattern {
    exact: Hir,
    screen: Hir,
    /// The words as they were written; none for a regular expression, which nobody reads.
    words: Option<Arc<str>>,
}

impl Pattern {
    /// A whole word or phrase, any case. Blanks in it stand for any blanks, line ends too; a straight apostrophe also for a curly
    /// one, and a hyphen for any dash that mail programs make of it.
    pub fn words(text: &str) -> Result<Pattern, PatternError> {
        let mut regex = String::with_capacity(text.len() + 32);
        regex.push_str(r"\b{start-half}");
        let mut blank = false;
        for c in text.trim().chars() {
            if c.is_whitespace() {
                blank = true;
                continue;
            }
            if std::mem::take(&mut blank) {
                regex.push_str(r"\s+");
            }
            match c {
                '\'' | '\u{2019}' => regex.push_str("['\u{2019}]"),
                '-' => regex.push_str("[-\u{2010}\u{2011}\u{2012}\u{2013}]"),
                _ => regex.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push_str(r"\b{end-half}");
        if text.trim().is_empty() {
            return Err(PatternError::MatchesEverything);
        }
        Ok(Pattern { words: Some(text.trim().into()), ..Pattern::parse(&regex)? })
    }

    /// A Rust regular expression, any case.
    pub fn regex(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text)
    }

    fn parse(text: &str) -> Result<Pattern, PatternError> {
        let config = syntax::Config::new().case_insensitive(true).nest_limit(60);
        let exact = syntax::parse_with(text, &config).map_err(|e| match &e {
            regex_syntax::Error::Parse(e) => {
                PatternError::Syntax { message: e.kind().to_string(), at: e.span().start.offset..e.span().end.offset }
            }
            regex_syntax::Error::Translate(e) => {
                PatternError::Syntax { message: e.kind().to_string(), at: e.span().start.offset..e.span().end.offset }
            }
            other => PatternError::Other(other.to_string()),
        })?;
        let pattern = Pattern { screen: without_word_boundaries(&exact), exact, words: None };
        // Compiled once on its own, so that a pattern that is too large is named, and not the set that it broke.
        compile_exact(&pattern.exact)?;
        Ok(pattern)
    }

    /// Whether the empty text matches: then every text does.
    pub fn matches_everything(&self) -> bool {
        self.exact.properties().minimum_len() == Some(0) && self.exact.properties().look_set().is_empty()
    }
}

fn compile_exact(hir: &Hir) -> Result<Regex, PatternError> {
    let config = Regex::config()
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(Some(PATTERN_SIZE))
        .onepass(false)
        .hybrid_cache_capacity(EXACT_CACHE);
    Regex::builder().configure(config).build_from_hir(hir).map_err(|e| fault(&e))
}

fn fault(e: &BuildError) -> PatternError {
    if e.size_limit().is_some() { PatternError::TooLarge } else { PatternError::Other(e.to_string()) }
}

/// The same pattern with every word boundary replaced by nothing: it matches wherever the pattern does, and elsewhere too.
fn without_word_boundaries(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF) => hir.clone(),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Repetition(r) => Hir::repetition(r.with(without_word_boundaries(&r.sub))),
        HirKind::Capture(c) => without_word_boundaries(&c.sub),
        HirKind::Concat(each) => Hir::concat(each.iter().map(without_word_boundaries).collect()),
        HirKind::Alternation(each) => Hir::alternation(each.iter().map(without_word_boundaries).collect()),
    }
}

/// The patterns of one kind of text.
#[derive(Debug)]
pub struct PatternSet {
    pub kind: Kind,
    screens: Vec<Screen>,
    words: Vec<Option<Arc<str>>>,
    /// What each pattern says, hashed: the same pattern has the same digest in any set.
    digests: Vec<[u8; 8]>,
}

#[derive(Debug)]
struct Screen {
    regex: Regex,
    /// For each pattern of the screen, its exact form where the screen is not exact already.
    confirm: Vec<Option<Regex>>,
    /// The number of its first pattern in the set.
    first: usize,
}

/// Which patterns of a set were found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    bits: Vec<u64>,
}

impl Found {
    pub fn has(&self, pattern: usize) -> bool {
        self.bits.get(pattern / 64).is_some_and(|word| word & (1 << (pattern % 64)) != 0)
    }

    fn add(&mut self, pattern: usize) {
        if let Some(word) = self.bits.get_mut(pattern / 64) {
            *word |= 1 << (pattern % 64);
        }
    }
}

impl PatternSet {
    pub fn compile(kind: Kind, patterns: &[Pattern]) -> Result<PatternSet, PatternError> {
        let mut screens = Vec::new();
        compile_screens(patterns, 0, &mut screens)?;
        let digest =
            |p: &Pattern| blake3::hash(p.exact.to_string().as_bytes()).as_bytes()[..8].try_into().expect("eight of thirty-two octets");
        Ok(PatternSet {
            kind,
            screens,
            words: patterns.iter().map(|p| p.words.clone()).collect(),
            digests: patterns.iter().map(digest).collect(),
        })
    }

    /// What these patterns of the set say, and where they are looked for: the same question has the same digest in any policy.
    pub fn digest(&self, patterns: &[usize]) -> u32 {
        let mut each: Vec<[u8; 8]> = patterns.iter().filter_map(|p| self.digests.get(*p).copied()).collect();
        each.sort_unstable();
        each.dedup();
        digest(&format!("{:?}", self.kind), each.as_flattened())
    }

    /// The words of a pattern, as they were written.
    pub fn words(&self, pattern: usize) -> Option<&str> {
        self.words.get(pattern)?.as_deref()
    }

    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// What is found in any of `texts`.
    pub fn search<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Found {
        let mut found = Found { bits: vec![0; self.words.len().div_ceil(64)] };
        for text in texts {
            for screen in &self.screens {
                screen.search(text, &mut found);
            }
        }
        found
    }
}

/// Four octets that stand for a question about `place`.
pub(super) fn digest(place: &str, what: &[u8]) -> u32 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(place.len() as u64).to_le_bytes());
    hasher.update(place.as_bytes());
    hasher.update(what);
    u32::from_le_bytes(hasher.finalize().as_bytes()[..4].try_into().expect("four of thirty-two octets"))
}

impl Screen {
    fn search(&self, text: &str, found: &mut Found) {
        // Most texts have none of the patterns, and saying that is twice as fast as saying which.
        if !self.regex.is_match(text) {
            return;
        }
        let input = Input::new(text);
        let mut hits = Hits::new(self.regex.pattern_len());
        self.regex.which_overlapping_matches(&input, &mut hits);
        for hit in hits.iter() {
            let pattern = self.first + hit.as_usize();
            if found.has(pattern) {
                continue;
            }
            if self.confirm[hit.as_usize()].as_ref().is_none_or(|exact| exact.is_match(text)) {
                found.add(pattern);
            }
        }
    }
}

/// Halves what is too large for one screen.
fn compile_screens(patterns: &[Pattern], first: usize, out: &mut Vec<Screen>) -> Result<(), PatternError> {
    if patterns.is_empty() {
        return Ok(());
    }
    let config = Regex::config()
        .match_kind(MatchKind::All)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(SCREEN_SIZE))
        .onepass(false)
        .backtrack(false)
        .auto_prefilter(false)
        .hybrid_cache_capacity(SCREEN_CACHE);
    let screens: Vec<&Hir> = patterns.iter().map(|p| &p.screen).collect();
    match Regex::builder().configure(config).build_many_from_hir(&screens) {
        Ok(regex) => {
            let confirm = patterns
                .iter()
                .map(|p| if has_word_boundary(&p.exact) { compile_exact(&p.exact).map(Some) } else { Ok(None) })
                .collect::<Result<_, _>>()?;
            out.push(Screen { regex, confirm, first });
            Ok(())
        }
        Err(e) if e.size_limit().is_some() && patterns.len() > 1 => {
            let half = patterns.len() / 2;
            compile_screens(&patterns[..half], first, out)?;
            compile_screens(&patterns[half..], first + half, out)
        }
        Err(e) => Err(fault(&e)),
    }
}

fn has_word_boundary(hir: &Hir) -> bool {
    let looks = hir.properties().look_set();
    looks.contains_word()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[Pattern], text: &str) -> Vec<usize> {
        let found = PatternSet::compile(Kind::BodyAll, patterns).unwrap().search([text]);
        (0..patterns.len()).filter(|&i| found.has(i)).collect()
    }

    #[test]
    fn words_are_whole_and_of_any_case() {
        let set = [
            Pattern::words("fee").unwrap(),
            Pattern::words("don't pay").unwrap(),
            Pattern::words("C++").unwrap(),
            Pattern::words("élan").unwrap(),
        ];
        assert_eq!(found(&set, "the FEE"), [0]);
        assert_eq!(found(&set, "coffee"), [0usize; 0]);
        assert_eq!(found(&set, "éfee"), [0usize; 0]);
        assert_eq!(found(&set, "Don\u{2019}t\r\n  pay"), [1]);
        assert_eq!(found(&set, "in C++."), [2]);
        assert_eq!(found(&set, "C++x"), [0usize; 0]);
        assert_eq!(found(&set, "ÉLAN vital"), [3]);
        assert_eq!(found(&set, "bélan"), [0usize; 0]);
        assert_eq!(found(&set, "coffee, fee; élan"), [0, 3]);
    }

    #[test]
    fn a_screen_says_what_each_pattern_alone_says() {
        let patterns = [r"\bact now\b", r"^start", r"end$", r"[^\x00-\x7f]{3}", r"\Bx\B", r"(?m)^line$", r"\$[0-9,]{4,}"];
        let parsed: Vec<Pattern> = patterns.iter().map(|p| Pattern::regex(p).unwrap()).collect();
        for text in ["act now", "fact nowhere", "é act now é", "start\nline\nend", "éééx", "axa x", "$1,000", "\u{212a}", ""] {
            let expected: Vec<usize> = (0..parsed.len()).filter(|&i| compile_exact(&parsed[i].exact).unwrap().is_match(text)).collect();
            assert_eq!(found(&parsed, text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(Pattern::regex(r"\w{1000}").unwrap_err(), PatternError::TooLarge);
        assert!(matches!(Pattern::regex("(").unwrap_err(), PatternError::Syntax { .. }));
        assert!(Pattern::regex("a*").unwrap().matches_everything());
        assert!(!Pattern::regex("^$").unwrap().matches_everything());
        assert!(Pattern::regex(&"(".repeat(10_000)).is_err());
        let many: Vec<Pattern> = (0..30).map(|i| Pattern::regex(&format!(r"\w{{20}}{i}")).unwrap()).collect();
        assert_eq!(found(&many, "abcdefghijklmnopqrstuvwxyz17"), [1, 7, 17]);
    }
}
