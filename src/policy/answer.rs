//! What a sender answers to "did you mean this?": the new text of a reply to a notice, read for one of the choices that it gave.
//!
//! Nothing is guessed. A number that begins a sentence ("1 of the residents moved") is no choice, two different choices are none, and
//! the words beside a choice may only be courtesy or the choice's own: whoever is not understood is asked again, and nothing leaves.

/// What a sender may choose. The number is what the notice prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// With the outsiders' addresses hidden from one another.
    Hidden = 1,
    /// One copy each.
    Separately = 2,
    /// As it was written, with a reason.
    AsItIs = 3,
    Cancel = 4,
}

/// An answer that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub choice: Choice,
    /// The sender's words, on one line; empty but for [`Choice::AsItIs`].
    pub reason: String,
}

/// Why an answer decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// No choice, or more words than a choice has.
    NotUnderstood,
    /// More than one.
    Several,
    /// 3 without saying why.
    NoReason,
    /// A choice that this message does not have.
    NotOffered,
}

/// Characters of a reason that are kept.
const MOST_REASON: usize = 300;
/// Lines that are read: an answer stands at the top.
const MOST_LINES: usize = 20;

const COURTESY: &[&str] = &["please", "thanks", "thank", "you", "many", "kind", "regards", "cheers", "yes", "ok", "okay"];
const GREETINGS: &[&str] = &["hi", "hello", "dear", "good", "morning", "afternoon", "evening", "lychgate", "gateway", "all", "there"];
const NAMES: &[&str] = &["option", "choice", "number", "no", "answer", "reply"];

impl Choice {
    const ALL: [Choice; 4] = [Choice::Hidden, Choice::Separately, Choice::AsItIs, Choice::Cancel];

    /// Words that may stand beside it, besides courtesy.
    fn words(self) -> &'static [&'static str] {
        match self {
            Choice::Hidden => &["send", "it", "with", "the", "addresses", "hidden", "hide"],
            Choice::Separately => &["send", "it", "one", "copy", "each", "separately", "separate", "copies", "to", "everybody"],
            Choice::AsItIs => &["send", "it", "as", "is"],
            Choice::Cancel => &["cancel", "it", "this", "the", "message"],
        }
    }

    fn of(word: &str) -> Option<Choice> {
        let spelled = ["one", "two", "three", "four"].iter().position(|w| *w == word);
        let digit = || word.parse::<usize>().ok().filter(|_| word.len() == 1)?.checked_sub(1);
        Choice::ALL.get(spelled.or_else(digit)?).copied()
    }
}

/// Reads the new text of a reply: quotes and footer are taken off already. `offered` is what its notice gave.
pub fn read(text: &str, offered: &[Choice]) -> Result<Answer, Unclear> {
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|l| !is_device_line(l)).take(MOST_LINES).collect();
    let first = lines.iter().position(|l| !l.is_empty() && !is_greeting(l)).ok_or(Unclear::NotUnderstood)?;
    let (choice, rest) = choice_in(lines[first]).ok_or(Unclear::NotUnderstood)?;
    if lines[first + 1..].iter().filter_map(|l| choice_in(l)).any(|(other, rest)| other != choice && only_its_words(other, rest)) {
        return Err(Unclear::Several);
    }
    if !offered.contains(&choice) {
        return Err(Unclear::NotOffered);
    }
    if choice != Choice::AsItIs {
        return if only_its_words(choice, rest) { Ok(Answer { choice, reason: String::new() }) } else { Err(Unclear::NotUnderstood) };
    }
    // The reason stands behind the number or goes on below it; what stands after an empty line is a name.
    let below = lines[first + 1..].iter().take_while(|l| !l.is_empty()).copied();
    let mut said: Vec<&str> = std::iter::once(rest).chain(below).filter(|part| !only_its_words(choice, part)).collect();
    if let Some(first) = said.first_mut() {
        // "3 send it as it is because …"
        *first = first.trim_start_matches(|c: char| !c.is_alphanumeric());
    }
    let reason: String = said.join(" ").chars().filter(|c| !c.is_control()).take(MOST_REASON).collect();
    let words = words_of(&reason);
    if words.is_empty() {
        return Err(Unclear::NoReason);
    }
    // "3 of them should not get it, cancel please"
    if words[0] == "of" || words.iter().any(|w| matches!(w.as_str(), "cancel" | "stop" | "don't" | "dont" | "not")) {
        return Err(Unclear::NotUnderstood);
    }
    Ok(Answer { choice, reason })
}

/// The choice that begins a line, and what stands behind it.
fn choice_in(line: &str) -> Option<(Choice, &str)> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '\'').unwrap_or(rest.len());
        let word = rest[..end].to_lowercase();
        let behind = &rest[end..];
        if let Some(choice) = Choice::of(&word) {
            // "1.5", "3-4", "2/3", "10:30": no choice is a part of a number.
            let mut next = behind.chars();
            let joins = matches!(next.next(), Some('.' | ',' | '-' | '/' | ':' | '–' | '£' | '%'))
                && next.next().is_some_and(|c| c.is_ascii_digit());
            return (!joins).then_some((choice, behind));
        }
        match word.as_str() {
            "cancel" => return Some((Choice::Cancel, behind)),
            "" => return None,
            word if NAMES.contains(&word) || COURTESY.contains(&word) => rest = behind,
            _ => return None,
        }
    }
}

fn words_of(text: &str) -> Vec<String> {
    let apart = |c: char| !c.is_alphanumeric() && c != '\'' && c != '\u{2019}';
    text.split(apart).filter(|w| !w.is_empty()).map(|w| w.to_lowercase().replace('\u{2019}', "'")).collect()
}

fn only_its_words(choice: Choice, rest: &str) -> bool {
    words_of(rest).iter().all(|w| COURTESY.contains(&w.as_str()) || choice.words().contains(&w.as_str()))
}

/// A salutation: its words, and at most two of a name after "Dear" or "Hi".
fn is_greeting(line: &str) -> bool {
    let words = words_of(line);
    let greets = words.first().is_some_and(|w| GREETINGS.contains(&w.as_str()));
    greets && words.iter().filter(|w| !GREETINGS.contains(&w.as_str())).count() <= 2 && !words.iter().any(|w| Choice::of(w).is_some())
}

/// What telephones add, and a signature's mark (RFC 3676 §4.3).
fn is_device_line(line: &str) -> bool {
    let lower = line.to_lowercase();
    line == "--" || ["sent from ", "get outlook for ", "sent via "].iter().any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::View;

    fn chosen(text: &str) -> Result<(u8, String), Unclear> {
        read(text, &Choice::ALL).map(|a| (a.choice as u8, a.reason))
    }

    #[test]
    fn what_people_write() {
        for (text, number) in [
            ("1", 1),
            ("1.", 1),
            (" (2) ", 2),
            ("[4]", 4),
            ("#1", 1),
            ("Option 1", 1),
            ("option two please", 2),
            ("Please send option 1", 0),
            ("No. 2", 2),
            ("1) send with addresses hidden", 1),
            ("Yes, 2 please.", 2),
            ("Four", 4),
            ("Cancel", 4),
            ("Please cancel it, thanks", 4),
            ("Hi,\n\n1\n\nJo Bloggs\nParish Clerk", 1),
            ("Good morning\n1 please\nThanks", 1),
            ("Dear Parish Gateway,\n2", 2),
            ("\u{a0}\n\n1\nSent from my iPhone\n4", 1),
            ("1\nGet Outlook for iOS", 1),
        ] {
            let expected = if number == 0 { Err(Unclear::NotUnderstood) } else { Ok((number, String::new())) };
            assert_eq!(chosen(text), expected, "{text:?}");
        }
    }

    #[test]
    fn reasons() {
        for (text, reason) in [
            ("3 because the residents asked for it", "because the residents asked for it"),
            ("3. They know one another", "They know one another"),
            ("Option 3: all of them are on the committee", "all of them are on the committee"),
            ("3\nThey asked\nfor it\n\nJo", "They asked for it"),
            ("3 - agreed by the Chair\r\nSent from my iPad", "agreed by the Chair"),
        ] {
            assert_eq!(chosen(text), Ok((3, reason.to_string())), "{text:?}");
        }
        for text in ["3", "3.", "3 please", "3 send it as it is", "3\n\nJo Bloggs"] {
            assert_eq!(chosen(text), Err(Unclear::NoReason), "{text:?}");
        }
        let long = chosen(&format!("3 because {}", "they asked ".repeat(100))).unwrap();
        assert_eq!(long.1.chars().count(), MOST_REASON);
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "",
            "  \n\n",
            "Yes",
            "OK",
            "What is this?",
            "1 of the residents has moved away",
            "2 of them, then cancel",
            "3 of them should not get this",
            "3 no, cancel that",
            "3 I did not mean to",
            "Don't cancel",
            "1.5",
            "3-4 people",
            "4pm is fine",
            "10",
            "5",
            "0",
            "1 cancel",
            "I am out of the office until 1 June",
            "Hello 1",
        ] {
            assert_eq!(chosen(text), Err(Unclear::NotUnderstood), "{text:?}");
        }
        assert_eq!(chosen("1\n2"), Err(Unclear::Several));
        assert_eq!(chosen("4\nno, 1"), Err(Unclear::Several));
        assert_eq!(read("2", &[Choice::AsItIs, Choice::Cancel]), Err(Unclear::NotOffered));
    }

    /// The bodies that mail programs make of an answer above the notice.
    #[test]
    fn from_any_client() {
        let notice = "Reply 1 to send it hidden, 2 to send separately, 3 with a reason, 4 to cancel.";
        let plain = |body: String| format!("Subject: Re: Did you mean this?\nContent-Type: text/plain; charset=utf-8\n\n{body}");
        let html = |body: String| format!("Subject: Re: Did you mean this?\nContent-Type: text/html; charset=utf-8\n\n{body}");
        let wrote = "On Thu, 14 May 2026 at 10:00, Gateway <gateway@wragby.uk> wrote:";
        for message in [
            plain(format!("2\n\n{wrote}\n> {notice}\n")),
            plain(format!("2\n\nSent from my iPhone\n\n> {wrote}\n>\n> {notice}\n")),
            plain(format!(
                "2\n\n________________________________\nFrom: Gateway <gateway@wragby.uk>\nSent: 14 May 2026 10:00\nTo: Clerk\nSubject: x\n\n{notice}\n"
            )),
            plain(format!(
                "2\n\n-----Original Message-----\nFrom: Gateway <gateway@wragby.uk>\nSent: 14 May 2026 10:00\nTo: Clerk\nSubject: x\n\n{notice}\n"
            )),
            html(format!(
                "<div dir=\"ltr\">2</div><br><div class=\"gmail_quote\"><div>{wrote}<br></div><blockquote class=\"gmail_quote\">{notice}</blockquote></div>\n"
            )),
            html(format!(
                "<html><body><div>2</div><div id=\"appendonsend\"></div><hr><div id=\"divRplyFwdMsg\"><b>From:</b> Gateway &lt;gateway@wragby.uk&gt;<br><b>Sent:</b> 14 May 2026 10:00<br><b>To:</b> Clerk<br><b>Subject:</b> x</div><div>{notice}</div></body></html>\n"
            )),
            html(format!(
                "<html><body>2<br><br><div>Sent from my iPhone</div><div><br><blockquote type=\"cite\">{wrote}<br><br></blockquote></div><blockquote type=\"cite\"><div>{notice}</div></blockquote></body></html>\n"
            )),
        ] {
            let raw = message.replace('\n', "\r\n");
            let view = View::new(raw.as_bytes());
            let new = &view.body_text().new;
            assert_eq!(chosen(new), Ok((2, String::new())), "{new:?} of {message}");
        }
    }
}
