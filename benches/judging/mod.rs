//! What judging costs: one benchmark for the documented example of every condition, and for many rules beside few, all on one letter
//! of ten KiB as councils send them.

use lychgate::config::rules::words::{self, Word};
use lychgate::demo::shipped;
use lychgate::message::RawMessage;
use lychgate::policy::Policy;

use super::{compiled, judged, loaded};

/// The benchmarks by name.
pub fn names() -> impl Iterator<Item = String> {
    const MANY: [&str; 5] = ["judge-10", "judge-100", "judge-wragby", "judge-wragby-100", "judge-wrentham"];
    MANY.iter().map(|n| n.to_string()).chain(conditions().map(|(name, _)| name))
}

/// What one iteration of the benchmark of that name does.
pub fn set(name: &str) -> Option<Box<dyn FnMut()>> {
    let own = |count| vec![("rules.toml".to_string(), rules(count))];
    let shipped = || shipped::RULES.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect::<Vec<_>>();
    let files = match name {
        "judge-10" => own(10),
        "judge-100" => own(100),
        "judge-wragby" => shipped(),
        "judge-wragby-100" => {
            let count = compiled(shipped::RULES).rules().len();
            [shipped(), own(100 - count)].concat()
        }
        "judge-wrentham" => vec![("10-rules.toml".into(), include_str!("../../rules/wrentham/10-rules.toml").into())],
        _ => {
            let (_, word) = conditions().find(|(n, _)| n == name)?;
            vec![("example.toml".into(), words::file_of(word, word.example))]
        }
    };
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let policy = compiled(&files);
    assert!(!name.ends_with("100") || policy.rules().len() == 100);
    Some(judging(policy))
}

/// Every condition whose example stands for itself.
fn conditions() -> impl Iterator<Item = (String, &'static Word)> {
    let alone = |word: &&Word| loaded(&[("example.toml", &words::file_of(word, word.example))]).is_ok();
    let name = |word: &'static Word| {
        let plain: String = word.word.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        (format!("word-{}", plain.trim_matches('-')), word)
    };
    words::all().filter(|w| w.section.is_condition()).filter(alone).map(name)
}

fn judging(policy: Policy) -> Box<dyn FnMut()> {
    judged(policy, letter(), None)
}

/// Rules as councils write them, ten kinds by turns, none of which fits the letter: each asks to the end.
fn rules(count: usize) -> String {
    let mut out = String::new();
    for i in 0..count {
        let when = match i % 10 {
            0 => format!("when.direction = \"outbound\"\nwhen.visible-external.at-least = {}", 20 + i),
            1 => "when.marked = \"confidential\"\nwhen.protected = false".into(),
            2 => format!("when.subject.words = [\"grievance {i}\", \"tender {i}\", \"quotation for plot {i}\"]"),
            3 => format!("when.body.words = [\"without prejudice {i}\", \"exempt item {i}\", \"salary band {i}\", \"disciplinary\"]"),
            4 => format!("when.body.matches = ['\\bcase {i}-[0-9]{{4}}\\b', '\\bminute {i}/20[0-9]{{2}}\\b.{{0,40}}\\bconfidential\\b']"),
            5 => format!("when.identifiers = {{ kinds = [\"nhs\", \"national-insurance\", \"payment-card\"], at-least = {} }}", 1 + i / 10),
            6 => format!("when.attachment-name.matches = ['^payroll-{i}.*\\.xlsx?$']\nwhen.attachment.kinds = [\"archive\", \"macro\"]"),
            7 => "when.direction = \"outbound\"\nwhen.forwarded = \"by-hand\"\nwhen.personal-account = \"own-recipient\"".into(),
            8 => format!("when.recipient = [\"press{i}@news.example\", \".solicitors{i}.example\"]\nunless = [{{ sender = \"@clerk\" }}]"),
            _ => format!("when.header.X-Campaign.matches = ['^spring-{i}']\nwhen.links = [\"numeric\", \"shortened\"]"),
        };
        out.push_str(&format!("[[rule]]\nid = \"rule-{i}\"\n{when}\nthen.notify = [\"clerk\"]\n\n"));
    }
    out
}

/// An answer to a resident, with what mail programs put around it: two alternatives, quotes, a signature, a legal footer, a document.
fn letter() -> RawMessage {
    let paragraph = "The council met on Tuesday and looked at the hedge along Mill Lane, the drain by the hall and the two benches on the green. \
                     The contractor has quoted £340 for the first and can begin in the second week of June.";
    let footer = "This email and any attachments are confidential and intended solely for the addressee. If you have received it in error please \
                  notify the sender and delete it. The views expressed are not necessarily those of the council.";
    let mut plain = String::from("Dear Mrs Ashby,\r\n\r\n");
    let mut html = String::from("<html><head><style>p { margin: 0 }</style></head><body><p>Dear Mrs Ashby,</p>");
    for _ in 0..5 {
        plain.push_str(&format!("{paragraph}\r\n\r\n"));
        html.push_str(&format!(
            "<p class=\"MsoNormal\"><span style=\"font-size:11pt\">{}</span></p>\r\n",
            paragraph.replace('£', "&pound;")
        ));
    }
    plain.push_str("Kind regards,\r\nThe Clerk\r\n01507 555 012\r\n\r\n");
    plain.push_str(&format!(
        "{footer}\r\n\r\nOn 3 May 2026, Jane Ashby <jane.ashby@village.example> wrote:\r\n> Has anybody looked at the hedge?\r\n> Jane\r\n"
    ));
    html.push_str(&format!("<p>Kind regards,<br>The Clerk</p><p><a href=\"https://www.council.example/news\">www.council.example/news</a></p><p>{footer}</p><blockquote>Has anybody looked at the hedge?</blockquote></body></html>\r\n"));
    let mut text = format!(
        "Received: from laptop ([192.0.2.7]) by mail.example; Thu, 14 May 2026 10:11:12 +0100\r\nFrom: The Clerk <clerk@council.example>\r\n\
         To: Jane Ashby <jane.ashby@village.example>\r\nCc: Cllr Ann Elm <cllr.elm@council.example>\r\nSubject: Re: =?utf-8?Q?The_hedge_=E2=80=93_again?=\r\n\
         Date: Thu, 14 May 2026 10:11:12 +0100\r\nMessage-ID: <1.bench@council.example>\r\nIn-Reply-To: <2@village.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"mixed\"\r\n\r\n--mixed\r\nContent-Type: multipart/alternative; boundary=\"alternative\"\r\n\r\n\
         --alternative\r\nContent-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{plain}\r\n\
         --alternative\r\nContent-Type: text/html; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{html}\r\n--alternative--\r\n\r\n\
         --mixed\r\nContent-Type: application/pdf; name=\"quotation.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"quotation.pdf\"\r\n\r\n"
    );
    let page = b"%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n2 0 obj << /Type /Pages /Kids [] /Count 0 >> endobj\n";
    let document = page.iter().copied().chain(std::iter::repeat_n(b'%', 8_192)).collect::<Vec<u8>>();
    let rest = 10_240 - 40 - text.len();
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&document[..rest / 4 * 3])
    };
    for line in encoded.as_bytes().chunks(76) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push_str("\r\n");
    }
    text.push_str("--mixed--\r\n");
    assert!((9_700..10_700).contains(&text.len()), "{} octets", text.len());
    RawMessage::new(text.into_bytes())
}
