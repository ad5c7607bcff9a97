//! Defects of a policy's text that a council would not want to have adopted: a statute misnamed, another council's name, gaps in
//! the numbers, sentences that end in the air.

use std::collections::{BTreeMap, BTreeSet};

use super::statutes::{self, Wrong};
use super::text::{Kind, Paragraph, Text};

/// One defect, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Counted from 1.
    pub line: usize,
    /// A name for scripts.
    pub what: &'static str,
    pub message: String,
}

/// All defects, in the order of the text. `council` and `domains` are the site's own.
pub fn find(text: &Text, council: &str, domains: &[String]) -> Vec<Defect> {
    let mut out = Vec::new();
    for paragraph in &text.paragraphs {
        statutes_of(paragraph, &mut out);
        unfinished(paragraph, &mut out);
        placeholders(paragraph, &mut out);
        doubled(paragraph, &mut out);
    }
    broken(text, &mut out);
    brackets(text, &mut out);
    other_councils(text, council, &mut out);
    other_domains(text, domains, &mut out);
    numbers(text, &mut out);
    out.sort_by_key(|d| d.line);
    out
}

fn defect(out: &mut Vec<Defect>, line: usize, what: &'static str, message: String) {
    out.push(Defect { line, what, message });
}

fn statutes_of(p: &Paragraph, out: &mut Vec<Defect>) {
    for (cited, wrong) in statutes::wrong(&p.words) {
        let message = match wrong {
            Wrong::Misnamed(title) => format!("the statute is misnamed: \"{cited}\" should be \"{title}\""),
            Wrong::Misdated(title) => format!("there is no \"{cited}\": it is the \"{title}\""),
            Wrong::Replaced(title) => format!("the \"{cited}\" is no longer law: see the \"{title}\""),
        };
        defect(out, p.line, "statute", message);
    }
}

/// A sentence that stops before it is done: "systems change and ."
fn unfinished(p: &Paragraph, out: &mut Vec<Defect>) {
    const OPEN: &[&str] = &["and", "or", "the", "a", "an", "and/or", "but", "which"];
    let words: Vec<&str> = p.words.split_whitespace().collect();
    for (i, word) in words.iter().enumerate() {
        let bare = word.trim_end_matches(['.', '!', '?']);
        let ends = bare.len() < word.len() && !word.ends_with("...");
        let last = if bare.is_empty() { i.checked_sub(1).map(|i| words[i]).unwrap_or_default() } else { bare };
        if ends && (bare.is_empty() || OPEN.contains(&last.to_lowercase().as_str())) {
            let from = i.saturating_sub(4);
            defect(out, p.line, "unfinished", format!("a sentence is not finished: \"… {}\"", words[from..=i].join(" ")));
        }
    }
    if let Some(last) = words.last()
        && p.kind != Kind::Heading
        && [",", "-", "–"].iter().any(|e| last.ends_with(e))
    {
        defect(out, p.line, "unfinished", format!("the paragraph ends with \"{last}\""));
    }
}

/// What a template left to be filled in.
fn placeholders(p: &Paragraph, out: &mut Vec<Defect>) {
    let lower = p.words.to_lowercase();
    let found = [
        "[insert",
        "<insert",
        "[name",
        "<name",
        "[council",
        "<council",
        "[date",
        "[clerk",
        "xxxx",
        "____",
        "lorem ipsum",
        "to be confirmed",
        "[tbc",
        "(tbc",
    ]
    .iter()
    .find(|w| lower.contains(**w));
    if let Some(found) = found {
        defect(out, p.line, "placeholder", format!("something was to be filled in here: \"{found}\""));
    }
}

/// Paragraphs that an empty line tore in two count as one.
fn brackets(text: &Text, out: &mut Vec<Defect>) {
    let mut open = 0_usize;
    for (i, p) in text.paragraphs.iter().enumerate() {
        let mut stray = false;
        for (at, c) in p.words.char_indices() {
            match c {
                '(' => open += 1,
                // `a)` and `1)` number the items of a list.
                ')' if open == 0 && at > 3 => stray = true,
                ')' => open = open.saturating_sub(1),
                _ => {}
            }
        }
        if stray {
            defect(out, p.line, "bracket", "a bracket is closed that was not opened".into());
        }
        if text.paragraphs.get(i + 1).is_some_and(|next| is_torn(p, next)) {
            continue;
        }
        if std::mem::take(&mut open) > 0 {
            defect(out, p.line, "bracket", "a bracket is opened and not closed".into());
        }
    }
}

fn doubled(p: &Paragraph, out: &mut Vec<Defect>) {
    let words: Vec<&str> = p.words.split_whitespace().collect();
    for pair in words.windows(2) {
        let plain = pair[0].chars().all(char::is_alphabetic) && pair[0].eq_ignore_ascii_case(pair[1]);
        if plain && !matches!(pair[0].to_lowercase().as_str(), "that" | "had") {
            defect(out, p.line, "doubled", format!("a word stands twice: \"{} {}\"", pair[0], pair[1]));
        }
    }
}

/// A paragraph that an empty line tore in two.
fn broken(text: &Text, out: &mut Vec<Defect>) {
    for pair in text.paragraphs.windows(2) {
        let [first, second] = pair else { continue };
        if is_torn(first, second) {
            let tail: Vec<&str> = first.words.split_whitespace().rev().take(3).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            defect(out, first.line, "broken", format!("an empty line breaks a sentence in two after \"{}\"", tail.join(" ")));
        }
    }
}

/// The second goes on where the first stops in the midst of a sentence.
fn is_torn(first: &Paragraph, second: &Paragraph) -> bool {
    let goes_on = second.words.starts_with(|c: char| c.is_lowercase()) && second.kind == Kind::Body && second.number.is_empty();
    // A short line without its end looks like a heading.
    let runs_on = first.kind == Kind::Body || first.words.split_whitespace().last().is_some_and(|w| w.starts_with(char::is_lowercase));
    let open = first.kind != Kind::Item && runs_on && first.words.ends_with(|c: char| c.is_alphanumeric());
    goes_on && open && second.line > first.line + 1
}

/// `Immingham Town Council` in the policy of another council. County, district and borough councils are neighbours, not slips.
fn other_councils(text: &Text, council: &str, out: &mut Vec<Defect>) {
    const KINDS: &[&str] = &["town", "parish", "community", "village", "neighbourhood", "city"];
    let own = plain_name(council);
    let mut seen: BTreeMap<String, (String, usize, usize)> = BTreeMap::new();
    for p in &text.paragraphs {
        let words: Vec<&str> = p.words.split_whitespace().collect();
        for (i, pair) in words.windows(2).enumerate() {
            let (kind, noun) = (letters(pair[0]), letters(pair[1]));
            if noun != "council" && noun != "councils" || !KINDS.contains(&kind.as_str()) {
                continue;
            }
            // The names in front: capitals, and the small words between them.
            let mut first = i;
            while first > 0 {
                let word = words[first - 1];
                let is_name = word.starts_with(char::is_uppercase) && word.ends_with(char::is_alphabetic) && !LEADING.contains(&word);
                let joins = first > 1
                    && JOINING.contains(&word)
                    && words[first - 2].starts_with(char::is_uppercase)
                    && !LEADING.contains(&words[first - 2])
                    && words[first].starts_with(char::is_uppercase);
                if !is_name && !joins {
                    break;
                }
                first -= 1;
            }
            if first == i {
                continue;
            }
            let name = format!("{} {} Council", words[first..i].join(" "), pair[0]);
            let plain = plain_name(&name);
            // "IT Policy Wragby Parish Council": the name may have capitals in front that are not its own.
            if own.is_empty() || plain == own || plain.ends_with(&format!(" {own}")) {
                continue;
            }
            seen.entry(plain).or_insert((name, p.line, 0)).2 += 1;
        }
    }
    for (name, line, times) in seen.into_values() {
        let times = if times == 1 { "once".to_string() } else { format!("{times} times") };
        defect(out, line, "council", format!("another council is named, {times}: \"{name}\" (this is the policy of {council})"));
    }
}

const LEADING: &[&str] = &["The", "This", "A", "An", "All", "Our", "By", "For", "And"];
const JOINING: &[&str] = &["and", "with", "on", "the", "in", "upon", "le", "under", "cum", "of", "by"];

fn letters(word: &str) -> String {
    word.split(['\'', '\u{2019}']).next().unwrap_or_default().chars().filter(|c| c.is_alphabetic()).collect::<String>().to_lowercase()
}

fn plain_name(name: &str) -> String {
    name.split_whitespace().map(letters).filter(|w| !w.is_empty() && w != "the").collect::<Vec<_>>().join(" ")
}

/// A mail or web domain of a council that is not this one's.
fn other_domains(text: &Text, domains: &[String], out: &mut Vec<Defect>) {
    let mut told = BTreeSet::new();
    for p in &text.paragraphs {
        for word in p.words.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '@'))) {
            let word = word.trim_matches(['.', '-', '@']).to_lowercase();
            let domain = word.rsplit_once('@').map_or(word.as_str(), |(_, d)| d).trim_start_matches("www.").to_string();
            let council = domain.ends_with(".gov.uk") || (domain.contains("council") && domain.contains('.'));
            let own = domains.iter().any(|d| domain == *d || domain.ends_with(&format!(".{d}")));
            if council && !own && !domains.is_empty() && told.insert(domain.clone()) {
                defect(out, p.line, "domain", format!("{domain} is not a domain of the council ({})", domains.join(", ")));
            }
        }
    }
}

/// Numbers that are left out, doubled, or stand alone.
fn numbers(text: &Text, out: &mut Vec<Defect>) {
    let numbered: Vec<&Paragraph> = text.paragraphs.iter().filter(|p| !p.number.is_empty()).collect();
    let [first, ..] = numbered.as_slice() else { return };
    if numbered.len() == 1 {
        let shown = shown(&first.number);
        defect(
            out,
            first.line,
            "number",
            format!("{shown} is the only number in the text: the other sections have none, or this one should have none"),
        );
        return;
    }
    // The numbers below each number, in the order in which they first stand there, those of sections from their clauses.
    let mut below: BTreeMap<Vec<u32>, Vec<(u32, usize)>> = BTreeMap::new();
    let mut seen: BTreeMap<&[u32], usize> = BTreeMap::new();
    for p in &numbered {
        if let Some(line) = seen.insert(&p.number, p.line) {
            defect(out, p.line, "number", format!("{} stands twice: also in line {line}", shown(&p.number)));
        }
        for depth in 0..p.number.len() {
            let siblings = below.entry(p.number[..depth].to_vec()).or_default();
            if siblings.last().is_none_or(|(n, _)| *n != p.number[depth]) {
                siblings.push((p.number[depth], p.line));
            }
        }
    }
    for (parent, siblings) in &below {
        let name = |n: u32| shown(&[parent.as_slice(), &[n]].concat());
        let mut expected = 1;
        for (n, line) in siblings {
            if *n > expected {
                let missing = if *n - expected == 1 {
                    format!("{} is", name(expected))
                } else {
                    format!("{} to {} are", name(expected), name(n - 1))
                };
                defect(out, *line, "number", format!("a gap in the numbers: {missing} missing before {}", name(*n)));
            } else if *n < expected && siblings.iter().filter(|(m, _)| m == n).count() == 1 {
                defect(out, *line, "number", format!("the numbers go back: {} stands after {}", name(*n), name(expected - 1)));
            }
            expected = expected.max(n + 1);
        }
    }
}

fn shown(number: &[u32]) -> String {
    number.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<(usize, &'static str)> {
        find(&Text::parse(text), "Oakham Parish Council", &["oakham-pc.gov.uk".into()]).into_iter().map(|d| (d.line, d.what)).collect()
    }

    #[test]
    fn each_defect_and_its_near_miss() {
        let cases: &[(&str, &[(usize, &str)])] = &[
            ("It is reviewed when systems change and .\n", &[(1, "unfinished")]),
            ("It is reviewed when systems change and improve.\n", &[]),
            ("Users must log in.\n", &[]),
            ("Files, papers etc.\n", &[]),
            ("Staff must lock the.\n", &[(1, "unfinished")]),
            ("Use (reasonable as in the opinion of the Council.\n", &[(1, "bracket")]),
            ("Use (reasonable, as the Council sees it) is allowed.\n", &[]),
            ("a) Lock it.\n", &[]),
            ("Tell the the Clerk.\n", &[(1, "doubled")]),
            ("It is the policy that that device follows.\n", &[]),
            ("This is the policy of [insert council name].\n", &[(1, "placeholder")]),
            ("Systems of Immingham Town Council's clerk.\n", &[(1, "council")]),
            ("By this Oakham Parish Council and OAKHAM PARISH COUNCIL's staff.\n", &[]),
            ("Lincolnshire County Council and East Lindsey District Council help.\n", &[]),
            ("The Parish Council decides. A town council might.\n", &[]),
            ("Write to clerk@immingham-tc.gov.uk.\n", &[(1, "domain")]),
            ("Write to clerk@oakham-pc.gov.uk or see www.oakham-pc.gov.uk.\n", &[]),
            ("It is shared with advisers for the\n\npurposes of advice.\n", &[(1, "broken")]),
            ("It is shared.\n\npurposes of advice.\n", &[]),
            ("1. One\n\n2. Two\n\n4. Four\n", &[(5, "number")]),
            ("4.1.1 A b c.\n\n4.1.3 D e f.\n", &[(1, "number"), (3, "number")]),
            ("1.1 A b.\n\n1.1.1 C d.\n\n1.2 E f.\n\n2.1 G h.\n", &[]),
            ("1.1 A b.\n\n1.1 C d.\n", &[(3, "number")]),
            ("14. Misuse\n", &[(1, "number")]),
        ];
        for (text, expected) in cases {
            assert_eq!(
                &told(text),
                expected,
                "{text}: {:?}",
                find(&Text::parse(text), "Oakham Parish Council", &["oakham-pc.gov.uk".into()])
            );
        }
    }

    proptest! {
        /// Whatever the text: lines are lines of it, nothing is told twice in the same words, and what holds of it once holds again.
        #[test]
        fn lines_are_lines_of_the_text(text in "([A-Za-z .,()\n0-9\u{2019}-]|and |Council |Town |1\\.1 ){0,400}") {
            let lines = text.lines().count();
            let found = find(&Text::parse(&text), "Oakham Parish Council", &[]);
            for d in &found {
                prop_assert!((1..=lines).contains(&d.line));
            }
            prop_assert_eq!(&found, &find(&Text::parse(&text), "Oakham Parish Council", &[]));
        }

        /// A list that is numbered 1, 2, 3 has no gap; without one of its middle numbers it has exactly that one.
        #[test]
        fn a_gap_is_told_exactly(n in 3u32..30, left_out in 0u32..30) {
            let text = |skip: u32| (1..=n).filter(|i| *i != skip).map(|i| format!("{i}. The matter of paragraph {i} is settled.\n\n")).collect::<String>();
            prop_assert!(told(&text(0)).is_empty());
            let skip = 2 + left_out % (n - 2);
            let found = find(&Text::parse(&text(skip)), "Oakham Parish Council", &[]);
            prop_assert_eq!(found.len(), 1);
            prop_assert!(found[0].message.contains(&format!("{skip} is missing before {}", skip + 1)), "{:?}", found);
        }
    }
}
