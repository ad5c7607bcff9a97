//! Acts and regulations that councils' policies cite, by their proper titles, and citations that come near one without being it.

/// Titles as they are printed on the front.
const IN_FORCE: &[&str] = &[
    "Accounts and Audit Regulations 2015",
    "Bribery Act 2010",
    "Communications Act 2003",
    "Computer Misuse Act 1990",
    "Copyright, Designs and Patents Act 1988",
    "Counter-Terrorism and Security Act 2015",
    "Data (Use and Access) Act 2025",
    "Data Protection (Charges and Information) Regulations 2018",
    "Data Protection Act 2018",
    "Defamation Act 1952",
    "Defamation Act 1996",
    "Defamation Act 2013",
    "Electronic Commerce (EC Directive) Regulations 2002",
    "Electronic Communications Act 2000",
    "Employment Rights Act 1996",
    "Environmental Information Regulations 2004",
    "Equality Act 2010",
    "Fraud Act 2006",
    "Freedom of Information Act 2000",
    "Health and Safety (Display Screen Equipment) Regulations 1992",
    "Health and Safety at Work etc. Act 1974",
    "Human Rights Act 1998",
    "Investigatory Powers (Interception by Businesses etc. for Monitoring and Record-keeping Purposes) Regulations 2018",
    "Investigatory Powers Act 2016",
    "Local Audit and Accountability Act 2014",
    "Local Government (Transparency Requirements) (England) Regulations 2015",
    "Local Government Act 1972",
    "Local Government Act 2000",
    "Local Government Act 2003",
    "Local Government Finance Act 1988",
    "Local Government Finance Act 1992",
    "Localism Act 2011",
    "Malicious Communications Act 1988",
    "Obscene Publications Act 1959",
    "Obscene Publications Act 1964",
    "Online Safety Act 2023",
    "Openness of Local Government Bodies Regulations 2014",
    "Privacy and Electronic Communications (EC Directive) Regulations 2003",
    "Protection from Harassment Act 1997",
    "Protection of Children Act 1978",
    "Protection of Freedoms Act 2012",
    "Public Bodies (Admission to Meetings) Act 1960",
    "Public Interest Disclosure Act 1998",
    "Public Records Act 1958",
    "Public Sector Bodies (Websites and Mobile Applications) (No. 2) Accessibility Regulations 2018",
    "Re-use of Public Sector Information Regulations 2015",
    "Regulation of Investigatory Powers Act 2000",
    "Safeguarding Vulnerable Groups Act 2006",
    "Sexual Offences Act 2003",
    "Terrorism Act 2000",
    "Terrorism Act 2006",
    "Theft Act 1968",
    "Trade Marks Act 1994",
];

/// Titles that are no longer law, and what took their place.
const REPLACED: &[(&str, &str)] = &[
    ("Data Protection Act 1984", "Data Protection Act 2018"),
    ("Data Protection Act 1998", "Data Protection Act 2018"),
    ("Accounts and Audit Regulations 2011", "Accounts and Audit Regulations 2015"),
    ("Disability Discrimination Act 1995", "Equality Act 2010"),
    ("Race Relations Act 1976", "Equality Act 2010"),
    ("Sex Discrimination Act 1975", "Equality Act 2010"),
    ("Audit Commission Act 1998", "Local Audit and Accountability Act 2014"),
    (
        "Telecommunications (Lawful Business Practice) (Interception of Communications) Regulations 2000",
        "Investigatory Powers (Interception by Businesses etc. for Monitoring and Record-keeping Purposes) Regulations 2018",
    ),
];

/// What is wrong with a citation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It comes near this title.
    Misnamed(&'static str),
    /// The title is right, and the year is another.
    Misdated(&'static str),
    /// This took its place.
    Replaced(&'static str),
}

/// Every citation of the text that is wrong, as it stands there.
pub fn wrong(text: &str) -> Vec<(String, Wrong)> {
    citations(text).into_iter().filter_map(|c| judge(&c).map(|w| (c, w))).collect()
}

/// `… Act 2018`, `… Regulations 2018`, `… Order 2018`, with the words in front that belong to the title.
fn citations(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out = Vec::new();
    for (i, pair) in words.windows(2).enumerate() {
        let year: String = pair[1].chars().take_while(char::is_ascii_digit).collect();
        let is_year = year.len() == 4 && matches!(&year[..2], "18" | "19" | "20");
        if !is_year || !matches!(pair[0], "Act" | "Acts" | "Regulations" | "Order" | "Rules") {
            continue;
        }
        let mut first = i;
        let mut depth = 0_i32;
        while first > 0 {
            let word = words[first - 1];
            let closes = word.matches(')').count() as i32;
            let opens = word.matches('(').count() as i32;
            depth += closes - opens;
            let ends = depth <= 0 && word.ends_with(['.', ';', ':', '!', '?']) && !word.eq_ignore_ascii_case("etc.") && word != "No.";
            let belongs = depth > 0 || opens > 0 || word.starts_with(|c: char| c.is_uppercase()) || JOINING.contains(&word);
            // An opening bracket that nothing closed here stands around the whole citation.
            if depth < 0 || ends || !belongs || i - first > 40 {
                break;
            }
            first -= 1;
        }
        let mut title: Vec<&str> = words[first..=i].to_vec();
        while title.first().is_some_and(|w| JOINING.contains(w) || LEADING.contains(w)) {
            title.remove(0);
        }
        if title.len() > 1 {
            out.push(format!("{} {year}", title.join(" ").trim_start_matches(['"', '\u{201c}', '\u{2018}', '('])));
        }
    }
    out
}

const JOINING: &[&str] = &["of", "and", "the", "etc", "etc.", "for", "by", "at", "from", "to", "in", "on"];
const LEADING: &[&str] = &["The", "Under", "In", "See", "UK", "and", "By"];

fn judge(citation: &str) -> Option<Wrong> {
    let cited = words_of(citation);
    let ends_with = |title: &str| cited.ends_with(&words_of(title));
    if IN_FORCE.iter().any(|t| ends_with(t)) {
        return None;
    }
    if let Some((_, now)) = REPLACED.iter().find(|(t, _)| ends_with(t)) {
        return Some(Wrong::Replaced(now));
    }
    let (name, year) = cited.split_at(cited.len() - 1);
    // The same words, and another year than any law of that name bears.
    if let Some(title) = IN_FORCE.iter().rev().find(|t| {
        let known = words_of(t);
        name.ends_with(&known[..known.len() - 1])
    }) {
        return Some(Wrong::Misdated(title));
    }
    let best = IN_FORCE
        .iter()
        .filter(|t| words_of(t).last() == year.first())
        .map(|t| (likeness(&cited, &words_of(t)), t))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.7).then_some(Wrong::Misnamed(best.1))
}

/// Words alone: case, full stops, commas, brackets and hyphens are not what makes a title another.
fn words_of(title: &str) -> Vec<String> {
    title.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// How many words two titles share, from 0 to 1.
fn likeness(a: &[String], b: &[String]) -> f64 {
    let shared = a.iter().filter(|w| b.contains(w)).count() as f64;
    2.0 * shared / (a.len() + b.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_held_against_their_titles() {
        let misnamed = |title| Some(Wrong::Misnamed(title));
        let cases = [
            ("The Copyright, Designs and Patents Act 1988 set out the rules.", None),
            ("in line with the Health and Safety at Work etc. Act 1974", None),
            ("the UK Data Protection Act 2018.", None),
            ("under the Freedom of Information Act 2000, texts", None),
            (
                "in line with the Investigatory Powers (Interception by Businesses etc for Monitoring and Record-keeping Purposes) Regulations 2018.",
                None,
            ),
            (
                "in line with the Investigatory Powers (Interception by Councils etc for Monitoring and Record-keeping Purposes) Regulations 2018.",
                misnamed(
                    "Investigatory Powers (Interception by Businesses etc. for Monitoring and Record-keeping Purposes) Regulations 2018",
                ),
            ),
            (
                "statutory rights (under The Openness of Local Government Regulations 2014).",
                misnamed("Openness of Local Government Bodies Regulations 2014"),
            ),
            ("the Freedom of Informations Act 2000", misnamed("Freedom of Information Act 2000")),
            ("the Data Protection Act 2017 applies", Some(Wrong::Misdated("Data Protection Act 2018"))),
            ("the Data Protection Act 1998 applies", Some(Wrong::Replaced("Data Protection Act 2018"))),
            ("the Allotments Act 1925 applies", None),
            ("We Act 2018 times", None),
        ];
        for (text, expected) in cases {
            assert_eq!(wrong(text).into_iter().next().map(|(_, w)| w), expected, "{text}: {:?}", citations(text));
        }
    }

    #[test]
    fn every_title_is_right_by_itself() {
        for title in IN_FORCE {
            assert_eq!(wrong(&format!("as the {title} says")), [], "{title}");
        }
        for (title, now) in REPLACED {
            assert!(IN_FORCE.contains(now), "{now}");
            assert_eq!(wrong(&format!("as the {title} says")).len(), 1, "{title}");
        }
    }
}
