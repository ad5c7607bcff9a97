//! Is the message flagged confidential or personal? Only marks that somebody set on purpose count; the word "confidential" in a
//! body stands in nearly every legal footer and never does.

use super::prefixes;
use crate::message::View;
use crate::message::document::Label;
use crate::policy::explain::clean;

/// What the council configured: `[marking]` in a rule file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkingSettings {
    /// Identifiers of the Microsoft sensitivity labels that mean confidential, in lower case.
    pub labels: Vec<String>,
    /// The council's own tenant, in lower case. Labels of others are ignored: they travel in replies.
    pub site_id: Option<String>,
    /// Header fields whose presence means confidential.
    pub headers: Vec<String>,
}

impl MarkingSettings {
    /// Labels count only with the tenant that may set them.
    pub fn has_labels(&self) -> bool {
        !self.labels.is_empty() && self.site_id.is_some()
    }
}

/// What was found, with the evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub confidential: Option<&'static str>,
    pub personal: Option<&'static str>,
}

/// Marks in the header.
pub fn in_header(view: &View<'_>, settings: &MarkingSettings) -> Marks {
    let mut marks = Marks::default();
    for field in view.named("Sensitivity") {
        // RFC 4021 §2.1.55; programs write a blank, another dash or nothing for the hyphen, and comments (RFC 5322 §3.2.2).
        match sensitivity(&view.text(field)).as_str() {
            "companyconfidential" | "confidential" => marks.confidential = Some("its Sensitivity is Company-Confidential"),
            "personal" | "private" => marks.personal = Some("its Sensitivity is Personal or Private"),
            _ => {}
        }
    }
    if marks.confidential.is_none()
        && !settings.labels.is_empty()
        && view.named("msip_labels").any(|f| our_label(&view.unfolded(f), settings))
    {
        marks.confidential = Some("it bears the council's confidential label");
    }
    if marks.confidential.is_none() && settings.headers.iter().any(|name| view.named(name).next().is_some()) {
        marks.confidential = Some("it bears the council's confidential header");
    }
    if marks.confidential.is_none() {
        marks.confidential = in_subject(view.subject());
    }
    marks
}

/// Letters only, in lower case, comments left out.
fn sensitivity(value: &str) -> String {
    let mut depth = 0usize;
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 && c.is_alphabetic() => out.extend(c.to_lowercase()),
            _ => {}
        }
    }
    out
}

/// What mail systems put above a text that came from outside; the text begins below.
const BANNERS: &[&str] = &[
    "caution",
    "warning",
    "[external",
    "external email",
    "external e-mail",
    "external sender",
    "external message",
    "this email originated",
    "this message originated",
    "this email was sent from outside",
    "this message was sent from outside",
    "this email has come from",
    "you don't often get email from",
    "you do not often get email from",
    "some people who received this message",
    "think before you click",
    "do not click",
    "learn why this is important",
];
/// What may stand before a marking and a colon.
const MARK_LABELS: &[&str] =
    &["classification", "security classification", "document classification", "protective marking", "marking", "sensitivity"];
/// A banner has no more lines.
const MAX_BANNER: usize = 6;

/// A government marking as the first line of what the sender wrote, below a mail system's banner if there is one. `text` is without
/// quotes and footers: a marking there is not about this message.
pub fn in_body(text: &str) -> Option<&'static str> {
    let is_banner = |line: &&str| {
        let bare = line.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '[');
        BANNERS.iter().any(|b| bare.get(..b.len()).is_some_and(|head| head.eq_ignore_ascii_case(b)))
    };
    // A line of dashes is a frame.
    let mut lines =
        text.lines().map(|l| l.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))).filter(|l| l.chars().any(char::is_alphanumeric));
    let mut first = lines.next()?;
    let mut banner = 0;
    while is_banner(&first) || banner > 0 && banner < MAX_BANNER && is_sentence(first) && !is_official_sensitive(first) {
        banner += 1;
        if banner > MAX_BANNER {
            return None;
        }
        first = lines.next()?;
    }
    let framed = |c: char| matches!(c, '*' | '#' | '_' | '=' | '~' | '|' | '<' | '>' | '!' | ' ') || DASHES.contains(&c);
    let bare = prefixes::bracketed(first).map_or(first, |(inner, _)| inner).trim_matches(framed);
    let bare = MARK_LABELS
        .iter()
        .find_map(|l| bare.get(..l.len()).filter(|head| head.eq_ignore_ascii_case(l)).map(|_| &bare[l.len()..]))
        .and_then(|rest| rest.trim_start().strip_prefix(':'))
        .map_or(bare, |rest| rest.trim_start_matches(framed));
    (first.chars().count() <= 80 && is_official_sensitive(bare)).then_some("its first line is marked OFFICIAL-SENSITIVE")
}

/// The council's own label in the properties of an attached document. Other tenants' labels, and labels taken off, are ignored.
pub fn in_documents(labels: &[Label], settings: &MarkingSettings) -> Option<String> {
    let site_id = settings.site_id.as_ref()?;
    let ours = labels.iter().find(|l| l.enabled && l.site_id == *site_id && settings.labels.contains(&l.id))?;
    Some(format!("{} bears the council's confidential label", clean(&ours.file)))
}

/// The rest of a banner that was folded into lines: small letters, and no greeting.
fn is_sentence(line: &str) -> bool {
    line.split_whitespace().count() >= 5 && line.ends_with(['.', '!']) && line.chars().any(char::is_lowercase)
}

/// What takes no place on a screen.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// `MSIP_Label_<GUID>_Enabled=true; MSIP_Label_<GUID>_SiteId=<tenant>; …`, several labels of several tenants in one field.
fn our_label(value: &[u8], settings: &MarkingSettings) -> bool {
    let Some(site_id) = &settings.site_id else { return false };
    let value = String::from_utf8_lossy(value);
    // Folding may leave blanks anywhere.
    let compact: String = value.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    let pairs: Vec<(&str, &str)> = compact.split(';').filter_map(|p| p.split_once('=')).collect();
    settings.labels.iter().any(|guid| {
        let says = |key: &str, wanted: &str| {
            pairs.iter().any(|(k, v)| {
                k.strip_prefix("msip_label_").and_then(|k| k.strip_suffix(key)) == Some(guid) && v.trim_matches('"') == wanted
            })
        };
        says("_enabled", "true") && says("_siteid", site_id)
    })
}

/// Marks at the start of a subject, under any stack of reply and forward prefixes and other people's tags.
pub fn in_subject(subject: &str) -> Option<&'static str> {
    const TAG: &str = "its subject is marked confidential";
    const OFFICIAL: &str = "its subject is marked OFFICIAL-SENSITIVE";
    let seen: String;
    let subject = if subject.is_ascii() {
        subject
    } else {
        seen = subject.chars().filter(|c| !is_unseen(*c)).map(narrow).collect();
        &seen
    };
    if !could_mark(subject) {
        return None;
    }
    let mut rest = past_prefixes(subject);
    // A tag at the end is as deliberate as one at the start.
    if let Some(open) = rest.trim_end().strip_suffix(']').and_then(|r| r.rfind('[')) {
        let inner = &rest[open + 1..rest.trim_end().len() - 1];
        if is_confidential_phrase(&simple(inner)) {
            return Some(TAG);
        }
        if is_official_sensitive(inner) {
            return Some(OFFICIAL);
        }
    }
    if ends_with_confidential(rest) {
        return Some(TAG);
    }
    while let Some((inner, after)) = prefixes::bracketed(rest) {
        // "[CONFIDENTIAL: staffing]" says what it is about within.
        if starts_with_confidential(inner) {
            return Some(TAG);
        }
        if is_official_sensitive(inner) {
            return Some(OFFICIAL);
        }
        rest = past_prefixes(after);
    }
    let starred = rest.trim_start_matches(['*', '#', '!', ' ']);
    if is_official_sensitive(starred) {
        return Some(OFFICIAL);
    }
    starts_with_confidential(starred).then_some(TAG)
}

/// The letters and brackets of East Asian width are letters and brackets.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    }
}

/// Past all prefixes, and past what a mail system puts before the subject of mail from outside: `EXT:`, `*EXTERNAL*`, `EXTERNAL -`.
fn past_prefixes(subject: &str) -> &str {
    let mut rest = prefixes::strip(subject);
    loop {
        let bare = rest.trim_start_matches(['*', '#', '<', ' ']);
        let after = ["external sender", "external email", "external", "extern", "ext"]
            .iter()
            .find_map(|w| bare.get(..w.len()).filter(|head| head.eq_ignore_ascii_case(w)).map(|_| bare[w.len()..].trim_start()))
            .filter(|after| after.starts_with([':', '*', '#', '>', '|']) || after.starts_with(DASHES) && after[1..].starts_with(' '));
        let Some(after) = after else { return rest };
        let framed = |c: char| matches!(c, ':' | '*' | '#' | '>' | '|' | ' ') || DASHES.contains(&c);
        rest = prefixes::strip(after.trim_start_matches(framed));
    }
}

/// A mark in capitals at the end, in brackets or after a free dash: "Pay review - CONFIDENTIAL".
fn ends_with_confidential(subject: &str) -> bool {
    let subject = subject.trim_end();
    let inner = match subject.strip_suffix(')') {
        Some(open) => open.rsplit_once('(').map(|(_, inner)| inner),
        None => subject
            .char_indices()
            .rev()
            .find(|(i, c)| DASHES.contains(c) && is_free_dash(subject, *i))
            .map(|(i, c)| &subject[i + c.len_utf8()..]),
    };
    inner.is_some_and(|inner| !inner.chars().any(char::is_lowercase) && is_confidential_phrase(&simple(inner)))
}

/// Whether a text has what every marking has, in any case. Nearly none does, and the rest of the work is spared.
fn could_mark(text: &str) -> bool {
    let has = |word: &[u8]| {
        let (lower, upper) = (word[0], word[0].to_ascii_uppercase());
        memchr::memchr2_iter(lower, upper, text.as_bytes())
            .any(|at| text.as_bytes()[at..].get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word)))
    };
    has(b"fidenc") || has(b"fident") || has(b"sensitiv") || has(b"yfrinach")
}

const DASHES: [char; 8] = ['-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];

/// Longest first.
const PHRASES: &[&str] = &[
    "strictly private and confidential",
    "private and strictly confidential",
    "private confidential and privileged",
    "confidential and privileged",
    "commercial in confidence",
    "commercially confidential",
    "strictly in confidence",
    "in strict confidence",
    "in the strictest confidence",
    "staff in confidence",
    "preifat a chyfrinachol",
    "hollol gyfrinachol",
    "cyfrinachol",
    "strictly private confidential",
    "private and confidential",
    "confidential and private",
    "private confidential",
    "company confidential",
    "council confidential",
    "strictly confidential",
    "in confidence",
    "confidential",
];

/// Lower case, `&` and `+` as "and", other marks as blanks, one blank between words.
fn simple(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '+' => out.push_str(" and "),
            c if c.is_alphanumeric() => out.extend(c.to_lowercase()),
            _ => out.push(' '),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_confidential_phrase(simple: &str) -> bool {
    PHRASES.contains(&simple)
}

/// `Confidential: …`, `Private & Confidential - …`, or the phrase alone. "Confidential item at next meeting" is a sentence.
fn starts_with_confidential(subject: &str) -> bool {
    // What stands before a separator must be a phrase, whole; a separator may stand within it ("Private/Confidential").
    let is_separator = |i: usize, c: char| {
        matches!(c, ':' | ';' | '|' | '/' | '*' | '#' | '~' | '>' | '!' | '\u{ff1a}') || (DASHES.contains(&c) && is_free_dash(subject, i))
    };
    let mut ends = subject.char_indices().filter(|(i, c)| is_separator(*i, *c)).map(|(i, _)| i).chain([subject.len()]);
    if ends.by_ref().take_while(|end| *end <= 60).any(|end| is_confidential_phrase(&simple(&subject[..end]))) {
        return true;
    }
    // PRIVATE AND CONFIDENTIAL in capitals, before words that are not: a mark without its separator.
    let words: Vec<&str> = subject.split_whitespace().collect();
    (2..=4.min(words.len())).any(|n| {
        let capitals = words[..n].iter().all(|w| !w.chars().any(char::is_lowercase));
        let phrase = simple(&words[..n].join(" "));
        capitals
            && phrase.contains("confidential")
            && phrase.contains(' ')
            && is_confidential_phrase(&phrase)
            && words.get(n).is_none_or(|w| w.chars().any(char::is_lowercase))
    })
}

/// A dash with a blank (or the end) on one side; `Confidential-item` is a compound.
fn is_free_dash(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..].chars().nth(1);
    before.is_none_or(char::is_whitespace) || after.is_none_or(|c| c.is_whitespace() || DASHES.contains(&c))
}

/// `OFFICIAL-SENSITIVE` with hyphen, blanks, colon or any dash, at the start. Descriptors may follow. Written small it counts
/// only where a separator or nothing follows, since "official sensitive…" may start a sentence.
fn is_official_sensitive(text: &str) -> bool {
    let text = text.trim_start();
    // The international form names the nation first.
    let text = text.strip_prefix("UK ").or(text.strip_prefix("UK-")).unwrap_or(text);
    let Some(head) = text.get(..8).filter(|h| h.eq_ignore_ascii_case("official")) else { return false };
    let middle = &text[8..];
    let rest =
        middle.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '_' | '/' | '(') || DASHES.contains(&c) || is_unseen(c));
    if rest.len() == middle.len() {
        return false;
    }
    let Some(word) = rest.get(..9).filter(|w| w.eq_ignore_ascii_case("sensitive")) else { return false };
    let after = &rest[9..];
    if after.chars().next().is_some_and(char::is_alphanumeric) {
        return false;
    }
    let capitals = !head.chars().chain(word.chars()).any(|c| c.is_ascii_lowercase());
    let closed =
        after.trim_start().chars().next().is_none_or(|c| matches!(c, ':' | ']' | ')' | '|' | '/' | '[' | '(' | '*') || DASHES.contains(&c));
    capitals || closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_flag() {
        for subject in [
            "[CONFIDENTIAL] Staffing",
            "[Confidential]",
            "Confidential",
            "Private & Confidential: pay",
            "PRIVATE AND CONFIDENTIAL - pay",
            "PRIVATE AND CONFIDENTIAL Pay review",
            "Confidential - pay",
            "Confidential – pay",
            "CONFIDENTIAL: pay",
            "Strictly confidential: pay",
            "(Confidential) pay",
            "*CONFIDENTIAL* pay",
            "Re: Confidential - pay",
            "RE: FW: AW: [confidential] pay",
            "Fwd: WG: TR: RV: VS: VB: I: ENC: Ymlaen: Confidential: pay",
            "[EXTERNAL] Re: [Private & Confidential] pay",
            "Pay review [CONFIDENTIAL]",
            "OFFICIAL-SENSITIVE",
            "OFFICIAL SENSITIVE tender",
            "OFFICIAL: SENSITIVE tender",
            "OFFICIAL–SENSITIVE COMMERCIAL tender",
            "OFFICIAL - SENSITIVE: tender",
            "Official-Sensitive: tender",
            "[OFFICIAL-SENSITIVE PERSONAL] tender",
            "Re: OFFICIAL-SENSITIVE tender",
            "Re[2]: [Confidential] pay",
            "RE : TR : Confidential : pay",
            "[Councillors] Re: [planning] [CONFIDENTIAL] pay",
            "Re: [Councillors] Fwd: Private & Confidential: pay",
            "SV: VS: Odp: Antw: Ynt: confidential: pay",
            "回复: [CONFIDENTIAL] pay",
            "{Confidential} pay",
            "【CONFIDENTIAL】 pay",
            "!!CONFIDENTIAL!! ",
            "CONFIDENTIAL | pay",
            "CONFIDENTIAL; pay",
            "Confidential — pay",
            "Confidential- pay",
            "CONF\u{ad}IDENTIAL: pay",
            "[CONFID\u{200b}ENTIAL] pay",
            "Commercial in confidence: tender",
            "[Commercial-in-Confidence] tender",
            "Staff in Confidence - absence",
            "Strictly private & confidential – absence",
            "Private and Confidential",
            "Preifat a Chyfrinachol: cyflog",
            "[CYFRINACHOL] cyflog",
            "OFFICIAL\u{2011}SENSITIVE tender",
            "OFFICIAL—SENSITIVE tender",
            "OFFICIAL\u{a0}SENSITIVE tender",
            "OFFICIAL : SENSITIVE tender",
            "OFFICIAL_SENSITIVE tender",
            "OFFICIAL/SENSITIVE tender",
            "OFFICIAL (SENSITIVE) tender",
            "UK OFFICIAL-SENSITIVE tender",
            "OFFICIAL-SENSITIVE [PERSONAL] absence",
            "[OFFICIAL-SENSITIVE: PERSONAL] absence",
            "OFFICIAL-SENSITIVE – LOCSEN: raid",
            "Tender [OFFICIAL-SENSITIVE]",
            "official–sensitive: tender",
            "FW: [list] OFFICIAL-SENSITIVE COMMERCIAL tender",
            "Private/Confidential: pay",
            "!! CONFIDENTIAL !! pay",
            "［CONFIDENTIAL］ pay",
            "[CONFIDENTIAL – NOT FOR PUBLICATION] pay",
            "[Confidential: staffing] pay",
            "EXT: Re: [CONFIDENTIAL] pay",
            "*EXTERNAL* Re: Confidential - pay",
            "RE: EXTERNAL - FW: Confidential: pay",
            "Pay review (CONFIDENTIAL)",
            "Pay review - PRIVATE & CONFIDENTIAL",
        ] {
            assert!(in_subject(subject).is_some(), "{subject:?}");
        }
    }

    #[test]
    fn subjects_that_do_not() {
        for subject in [
            "",
            "Confidential item at next meeting",
            "Confidentiality policy review",
            "Official opening of playground",
            "Official sensitive plants day",
            "OFFICIAL opening",
            "Non-confidential minutes",
            "Re: Confidential waste collection",
            "Confidential-waste bins",
            "Is this confidential?",
            "Agenda: confidential session",
            "[secure] tender",
            "The official: sensitive topics",
            "Confidential items and the press",
            "Agenda item 7 (confidential)",
            "Part two - confidential",
            "[Confidential waste] bins",
            "External auditor: confidential line",
            "Extension: confidential interview room",
            "Is it private/confidential? A guide",
            "Re: Confidential item for Tuesday",
            "Confidential reporting line: new number",
            "Confidentiality: our policy",
            "Training: confidential conversations",
            "Private road: resurfacing",
            "Private and confidential documents found in a skip",
            "Strictly confidential waste collection",
            "Official Sensitive Plants Society",
            "Officially sensitive",
            "OFFICIAL",
            "OFFICIAL: agenda",
            "Official-looking letters",
            "OFFICIAL SENSITIVELY",
            "Unofficial-sensitive: x",
            "In confidence we trust",
            "Self-confident speaking: a course",
            "Secret Santa lunch",
            "TOP SECRET recipe book",
            "Sensitive: handle the cake with care",
            "[Re-official] x",
        ] {
            assert_eq!(in_subject(subject), None, "{subject:?}");
        }
    }

    #[test]
    fn first_lines() {
        assert!(in_body("\n  OFFICIAL-SENSITIVE\n\nDear all").is_some());
        assert!(in_body("**OFFICIAL: SENSITIVE**").is_some());
        assert!(in_body("[OFFICIAL-SENSITIVE] staffing").is_some());
        assert!(in_body("[OFFICIAL-SENSITIVE: PERSONAL]\n\nDear all").is_some());
        assert!(in_body("\u{feff}OFFICIAL\u{2011}SENSITIVE\nDear all").is_some());
        assert!(in_body("CAUTION: This email originated from outside. Do not click links.\n\nOFFICIAL-SENSITIVE\nDear all").is_some());
        assert!(in_body("[EXTERNAL EMAIL]\nPlease take care with links in this message.\nOFFICIAL-SENSITIVE\nDear all").is_some());
        assert_eq!(in_body("CAUTION: This email originated from outside.\nDear all,\nOFFICIAL-SENSITIVE"), None);
        for framed in
            ["----\nOFFICIAL-SENSITIVE\n----\nDear all", "=== OFFICIAL-SENSITIVE ===", "Classification: OFFICIAL-SENSITIVE\nDear all"]
        {
            assert!(in_body(framed).is_some(), "{framed}");
        }
        assert_eq!(in_body("Classification: OFFICIAL\nOFFICIAL-SENSITIVE"), None);
        assert_eq!(in_body("CONFIDENTIALITY NOTICE: this email is confidential.\nOFFICIAL-SENSITIVE"), None);
        assert_eq!(in_body("CONFIDENTIAL\n\nDear all"), None);
        assert_eq!(in_body("Private & Confidential\n\nDear Mrs Elm"), None);
        assert_eq!(in_body(&"CAUTION: x\n".repeat(50)), None);
        assert_eq!(in_body("Dear all\nOFFICIAL-SENSITIVE"), None);
        assert_eq!(in_body("This email is confidential and may be privileged."), None);
        assert_eq!(in_body("Official opening of the playground"), None);
        assert_eq!(in_body(""), None);
    }

    #[test]
    fn labels_count_only_from_the_councils_own_tenant() {
        let settings = MarkingSettings { labels: vec!["aa-bb".into()], site_id: Some("cc-dd".into()), headers: vec![] };
        let ours = b"MSIP_Label_AA-BB_Enabled=true; MSIP_Label_aa-bb_Site\r\n Id=CC-DD; MSIP_Label_ff-ff_Enabled=true";
        assert!(our_label(&ours.iter().copied().filter(|b| !b"\r\n".contains(b)).collect::<Vec<_>>(), &settings));
        for other in [
            "MSIP_Label_aa-bb_Enabled=true; MSIP_Label_aa-bb_SiteId=other",
            "MSIP_Label_ee-ee_Enabled=true; MSIP_Label_ee-ee_SiteId=cc-dd",
            "MSIP_Label_aa-bb_Enabled=false; MSIP_Label_aa-bb_SiteId=cc-dd",
            "MSIP_Label_aa-bb_Enabled=true",
        ] {
            assert!(!our_label(other.as_bytes(), &settings), "{other}");
        }
    }

    #[test]
    fn documents_bear_labels() {
        let settings = MarkingSettings { labels: vec!["aa-bb".into()], site_id: Some("cc-dd".into()), headers: vec![] };
        let label = |id: &str, site_id: &str, enabled| Label {
            file: "pay for jo@x.uk.docx".into(),
            id: id.into(),
            site_id: site_id.into(),
            enabled,
        };
        let ours = [label("ff-ff", "cc-dd", true), label("aa-bb", "cc-dd", true)];
        assert_eq!(in_documents(&ours, &settings).as_deref(), Some("pay for … bears the council's confidential label"));
        for other in
            [label("aa-bb", "ee-ee", true), label("ee-ee", "cc-dd", true), label("aa-bb", "cc-dd", false), label("aa-bb", "", true)]
        {
            assert_eq!(in_documents(&[other], &settings), None);
        }
        assert_eq!(in_documents(&ours, &MarkingSettings { site_id: None, ..settings }), None);
    }

    #[test]
    fn headers() {
        let marks = |header: &str| in_header(&View::new(format!("{header}\r\n\r\n").as_bytes()), &MarkingSettings::default());
        assert!(marks("Sensitivity: Company-Confidential").confidential.is_some());
        for written in [
            "Company-Confidential (see policy)",
            "COMPANY-CONFIDENTIAL",
            "company confidential",
            "Company_Confidential",
            "CompanyConfidential",
            "Company-\r\n Confidential",
            " (x) Company-Confidential ",
            "=?utf-8?q?Company-Confidential?=",
            "\"Company-Confidential\"",
            "Company‑Confidential",
        ] {
            assert!(marks(&format!("Sensitivity: {written}")).confidential.is_some(), "{written}");
        }
        for written in ["Normal", "", "(Company-Confidential)", "not company-confidential", "None"] {
            assert_eq!(marks(&format!("Sensitivity: {written}")), Marks::default(), "{written}");
        }
        assert!(marks("Sensitivity: Personal").personal.is_some());
        assert!(marks("Sensitivity: Private").personal.is_some());
        assert_eq!(marks("Sensitivity: Normal"), Marks::default());
        assert_eq!(marks("Importance: high\r\nX-Priority: 1\r\nX-Protective-Marking: SEC=OFFICIAL:Sensitive"), Marks::default());
    }

    proptest::proptest! {
        /// A mark is found under any stack of prefixes and lists' tags, and words that are no mark stay none, whatever stands above
        /// them.
        #[test]
        fn prefixes_change_nothing(
            stack in proptest::collection::vec(proptest::sample::select(vec![
                "Re: ", "RE:", "Re[2]: ", "AW: ", "SV: ", "Antw: ", "FW: ", "Fwd: ", "WG: ", "TR : ", "RV: ", "VS: ", "VB: ", "I: ", "ENC: ",
                "Ymlaen: ", "[list] ", "[External] ", "(ext) ",
            ]), 0..7),
            mark in proptest::sample::select(vec!["[CONFIDENTIAL] pay", "Confidential: pay", "Private & Confidential - pay", "OFFICIAL\u{2013}SENSITIVE pay"]),
            none in proptest::sample::select(vec!["Confidential item at next meeting", "Official opening", "Confidentiality policy", "minutes"]),
        ) {
            let stack = stack.concat();
            let text = format!("{stack}{mark}");
            proptest::prop_assert!(in_subject(&text).is_some(), "{}", text);
            let text = format!("{stack}{none}");
            proptest::prop_assert_eq!(in_subject(&text), None, "{}", text);
        }

        /// Whether a text is a UK marking does not hang on which dash or blank joins its words.
        #[test]
        fn every_dash_is_one(joint in "[-\u{2010}-\u{2015}\u{2212} \u{a0}:_/]{1,3}", tail in "( [A-Z]{3,9})?") {
            let text = format!("OFFICIAL{joint}SENSITIVE{tail}");
            proptest::prop_assert!(in_subject(&text).is_some(), "{}", text);
            proptest::prop_assert!(in_body(&text).is_some(), "{}", text);
        }
    }
}
