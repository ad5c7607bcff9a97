//! A policy as a council adopted it: plain text, told apart into headings, list items and paragraphs with their numbers.

/// One adopted policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// What its clause ids begin with: `wragby` of `wragby/scope`.
    pub name: std::sync::Arc<str>,
    /// The file it was read from, for whoever has to mend it.
    pub file: String,
    pub text: Text,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub paragraphs: Vec<Paragraph>,
}

/// One line of the text that is not empty: word processors write a paragraph as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    /// Counted from 1.
    pub line: usize,
    pub kind: Kind,
    /// `5.1.6` or `14.`, as its parts.
    pub number: Vec<u32>,
    /// Without its number and its bullet.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Heading,
    /// A line of a list.
    Item,
    Body,
}

/// Lines that are read of a text: a policy has some hundreds.
const MOST_LINES: usize = 20_000;
/// Words of the longest heading.
const HEADING: usize = 9;

impl Text {
    pub fn parse(text: &str) -> Text {
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().take(MOST_LINES).collect();
        let empty = |i: Option<usize>| i.and_then(|i| lines.get(i)).is_none_or(|l| l.trim().is_empty());
        let mut paragraphs = Vec::new();
        let mut in_list = false;
        for (i, line) in lines.iter().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let (bullet, rest) = without_bullet(line);
            let (number, words) = without_number(rest);
            let alone = empty(i.checked_sub(1)) && empty(Some(i + 1));
            let kind = if bullet || (in_list && !alone && !ends_sentence(words)) {
                Kind::Item
            } else if alone && is_heading(words) {
                Kind::Heading
            } else {
                Kind::Body
            };
            in_list = bullet || words.ends_with(':') || (in_list && kind == Kind::Item);
            paragraphs.push(Paragraph { line: i + 1, kind, number, words: words.to_string() });
        }
        Text { paragraphs }
    }

    /// What the council decided, without headings.
    pub fn sentences(&self) -> impl Iterator<Item = &Paragraph> {
        self.paragraphs.iter().filter(|p| p.kind != Kind::Heading)
    }
}

fn without_bullet(line: &str) -> (bool, &str) {
    for bullet in ['-', '–', '—', '•', '·', '▪', '*', 'o'] {
        if let Some(rest) = line.strip_prefix(bullet)
            && (rest.starts_with(char::is_whitespace) || (bullet != 'o' && bullet != '-' && bullet != '*' && !rest.is_empty()))
        {
            return (true, rest.trim_start());
        }
    }
    (false, line)
}

/// `5.1.6 Monitoring …` and `14. Misuse …`; `2018 was …` and `7 days` have no number of a clause.
fn without_number(line: &str) -> (Vec<u32>, &str) {
    let end = line.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(line.len());
    let (head, rest) = line.split_at(end);
    if !head.contains('.') || !rest.starts_with(char::is_whitespace) {
        return (Vec::new(), line);
    }
    let parts: Option<Vec<u32>> = head.trim_end_matches('.').split('.').map(|p| p.parse().ok().filter(|n| *n < 1_000)).collect();
    match parts {
        Some(parts) if !parts.is_empty() && parts.len() <= 6 => (parts, rest.trim_start()),
        _ => (Vec::new(), line),
    }
}

fn ends_sentence(words: &str) -> bool {
    words.trim_end_matches(['"', '\u{201d}', ')', '\'']).ends_with(['.', '!', '?', ':', ';'])
}

fn is_heading(words: &str) -> bool {
    !ends_sentence(words)
        && words.split_whitespace().count() <= HEADING
        && words.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase)
}

/// Words as they compare: straight quotes, plain hyphens, single blanks.
pub fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}'..='\u{2015}' => '-',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out.trim().to_string()
}

/// What clauses quote of the text, and what they leave out.
pub struct Quoted {
    /// Clauses whose words the text does not have, by number, with the piece that is missing.
    pub missing: Vec<(usize, String)>,
    /// Paragraphs of which no clause quotes anything, or not all.
    pub uncovered: Vec<(usize, String)>,
}

/// Holds the words of clauses against the text. `…` in a clause stands for what it leaves out.
pub fn quotations(text: &Text, clauses: &[&str]) -> Quoted {
    // One string of all paragraphs, and where each begins.
    let mut whole = String::new();
    let mut starts = Vec::new();
    for paragraph in text.sentences() {
        if !whole.is_empty() {
            whole.push(' ');
        }
        starts.push((whole.len(), paragraph.line));
        whole.push_str(&normal(&paragraph.words));
    }
    let mut covered = vec![false; whole.len()];
    let mut missing = Vec::new();
    for (i, words) in clauses.iter().enumerate() {
        for piece in words.split(['…']).flat_map(|w| w.split("...")) {
            let piece = normal(piece);
            let piece = piece.trim_matches([' ', ',', ';', '.']);
            if piece.is_empty() {
                continue;
            }
            let mut found = false;
            for (at, _) in whole.match_indices(piece) {
                covered[at..at + piece.len()].fill(true);
                found = true;
            }
            if !found {
                missing.push((i, piece.to_string()));
            }
        }
    }
    let mut uncovered = Vec::new();
    for (i, (start, line)) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(whole.len(), |(s, _)| *s);
        let left: String =
            whole[*start..end].char_indices().filter(|(k, c)| c.is_alphanumeric() && !covered[start + k]).map(|(_, c)| c).collect();
        if !left.is_empty() {
            uncovered.push((*line, whole[*start..end].trim().to_string()));
        }
    }
    Quoted { missing, uncovered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_items_and_paragraphs() {
        let text = "OUR COUNCIL\n\nScope\n\nThis applies to:\n\n- All staff\nGDPR Policy\n\n1.1 Hardware\n\n1.1.1 It must be locked.\n\n14. Misuse\n\n2018 was a good year.\n\nIt may be broken\n\nhere in two.\n";
        let parsed = Text::parse(text);
        let seen: Vec<_> = parsed.paragraphs.iter().map(|p| (p.line, p.kind, p.number.as_slice(), p.words.as_str())).collect();
        assert_eq!(
            seen,
            [
                (1, Kind::Heading, &[][..], "OUR COUNCIL"),
                (3, Kind::Heading, &[], "Scope"),
                (5, Kind::Body, &[], "This applies to:"),
                (7, Kind::Item, &[], "All staff"),
                (8, Kind::Item, &[], "GDPR Policy"),
                (10, Kind::Heading, &[1, 1], "Hardware"),
                (12, Kind::Body, &[1, 1, 1], "It must be locked."),
                (14, Kind::Heading, &[14], "Misuse"),
                (16, Kind::Body, &[], "2018 was a good year."),
                (18, Kind::Heading, &[], "It may be broken"),
                (20, Kind::Body, &[], "here in two."),
            ]
        );
    }

    #[test]
    fn clauses_quote_the_text() {
        let text = Text::parse("Scope\n\nDevices must be locked. They should not be “left” alone.\n\nPasswords are private.\n");
        let found = quotations(&text, &["Devices must be locked. … not be \"left\" alone.", "Passwords are public."]);
        assert_eq!(found.missing, [(1, "Passwords are public".to_string())]);
        assert_eq!(found.uncovered.iter().map(|(l, _)| *l).collect::<Vec<_>>(), [3, 5]);
        let found = quotations(&text, &["Devices must be locked. They should not be 'left' alone.", "Passwords are private."]);
        assert_eq!(found.missing.len(), 1, "quotation marks of another kind are other words");
        let found = quotations(&text, &["Devices must be locked. They should not be \"left\" alone. Passwords are private."]);
        assert!(found.missing.is_empty() && found.uncovered.is_empty());
    }
}
