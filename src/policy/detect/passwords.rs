//! Does a message give away the password of what it carries, or any password at all?
//!
//! What may be a password is tried on the locked files, in memory, surest first, at a bounded cost. Of a password nothing is kept,
//! shown or logged: what is said is where it stands and what it opens.

mod phrases;

use phrases::{Candidate, Candidates, Place, Sureness};

use super::attachments;
use crate::message::View;
use crate::message::protection::lock::{self, Locked};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passwords {
    /// A locked file and its password are in the message.
    pub beside: Option<Evidence>,
    /// A value is said to be a password, of nothing in this message.
    pub alone: Option<Evidence>,
    /// A value is said to be a password or the code of a document, of nothing in this message: it may be of an earlier one's.
    pub for_another: Option<Evidence>,
}

/// A sentence for the Clerk that shows no password.
pub type Evidence = String;

/// Blocks that may be hashed for one message: a few seconds of one core at the very worst. Forty tries at a Word document.
const ROUNDS: u64 = 4_000_000;

/// Looks at a message; `attached` is the text of its attached files.
pub fn look(view: &View<'_>, attached: &str) -> Passwords {
    if !may_tell(view, attached) {
        return Passwords::default();
    }
    let candidates = candidates(view, attached);
    if candidates.is_empty() {
        return Passwords::default();
    }
    let said = |least: Sureness| candidates.iter().find(|c| c.sureness <= least);
    let locked = lock::locked(view);
    let tried = try_all(&candidates, &locked, ROUNDS);
    if let Some((candidate, file)) = tried.opened {
        return Passwords {
            beside: Some(format!("the password of {} stands {}", shown(file, candidate), candidate.place.words())),
            ..Passwords::default()
        };
    }
    // A file that could not be tried, and a value that is said to be a password: it is taken for what it says.
    if let (Some(candidate), Some((file, why))) = (said(Sureness::Code), tried.untried) {
        let beside =
            format!("{} stands {} beside {}, {}", article(candidate), candidate.place.words(), shown(file, candidate), why.words());
        return Passwords { beside: Some(beside), ..Passwords::default() };
    }
    let sentence = |c: &Candidate| {
        format!("{} stands {}{}", article(c), c.place.words(), if locked.is_empty() { "" } else { ", of none of the attached files" })
    };
    Passwords { beside: None, alone: said(Sureness::Password).map(sentence), for_another: said(Sureness::Code).map(sentence) }
}

/// One quick pass: where no word of a password stands anywhere and no file is there that one would open, there is nothing to find.
fn may_tell(view: &View<'_>, attached: &str) -> bool {
    let body = view.body_text();
    if [view.subject(), &body.all, &body.hidden, attached].iter().any(|text| phrases::is_telling(text)) {
        return true;
    }
    let has_file = |p: &crate::message::Part| p.is_leaf() && (p.is_attachment || !p.is_text());
    let told_by_name = || attachments::names(view).any(phrases::is_telling);
    view.parts().iter().any(has_file) && (told_by_name() || !lock::locked(view).is_empty())
}

fn candidates(view: &View<'_>, attached: &str) -> Vec<Candidate> {
    let mut all = Candidates::default();
    let body = view.body_text();
    all.read(Place::Subject, view.subject());
    for text in [&body.new, &body.footer, &body.hidden] {
        all.read(Place::Text, text);
    }
    all.read(Place::Quoted, &unquoted(&body.quoted));
    for name in attachments::names(view).take(64) {
        all.read_name(name);
    }
    all.read(Place::Attachment, attached);
    all.finish()
}

/// Quoted lines without their marks.
fn unquoted(quoted: &str) -> String {
    quoted.lines().map(|line| line.trim_start_matches(['>', ' ', '|'])).collect::<Vec<_>>().join("\n")
}

struct Tried<'c> {
    opened: Option<(&'c Candidate, &'c Locked)>,
    untried: Option<(&'c Locked, Untried)>,
}

/// Why a password was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Untried {
    /// The file has no check that is known here.
    NoCheck,
    /// The work was more than one message may cost.
    TooMuch,
}

impl Untried {
    fn words(self) -> &'static str {
        match self {
            Untried::NoCheck => "on which nobody can try it here",
            Untried::TooMuch => "on which not all could be tried in time",
        }
    }
}

/// Tries the surest candidate on every file, then the next: where the work must end, the likely ones were tried.
fn try_all<'c>(candidates: &'c [Candidate], locked: &'c [Locked], mut rounds: u64) -> Tried<'c> {
    let mut untried = locked.iter().find(|file| file.locks.is_empty()).map(|file| (file, Untried::NoCheck));
    for candidate in candidates {
        for file in locked {
            for lock in &file.locks {
                let Some(left) = rounds.checked_sub(lock.rounds(&candidate.value)) else {
                    // Only what is said to be a password is missed.
                    if candidate.sureness <= Sureness::Code {
                        untried = untried.or(Some((file, Untried::TooMuch)));
                    }
                    continue;
                };
                rounds = left;
                if lock.opens(&candidate.value) {
                    return Tried { opened: Some((candidate, file)), untried };
                }
            }
        }
    }
    Tried { opened: None, untried }
}

/// The file's name, unless the password may stand in it.
fn shown(file: &Locked, candidate: &Candidate) -> String {
    if candidate.place == Place::FileName || file.name.contains(candidate.value.as_str()) {
        "an attachment".into()
    } else {
        crate::policy::explain::clean(&file.name)
    }
}

fn article(candidate: &Candidate) -> &'static str {
    if candidate.sureness == Sureness::Password { "a password" } else { "a code that opens a document" }
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Place::Subject => "in the subject",
            Place::Text => "in the text",
            Place::Quoted => "in the quoted text",
            Place::FileName => "in the name of a file",
            Place::Attachment => "in another attachment",
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;

    use super::*;

    const ZIP: &[u8] = include_bytes!("../../message/protection/fixtures/password.zip");
    const OLD_ZIP: &[u8] = include_bytes!("../../message/protection/fixtures/password-old.zip");
    const SEVEN: &[u8] = include_bytes!("../../message/protection/fixtures/password.7z");
    const RAR: &[u8] = include_bytes!("../../message/protection/fixtures/password.rar");
    const PDF: &[u8] = include_bytes!("../../message/protection/fixtures/password-r6.pdf");
    const DOCX: &[u8] = include_bytes!("../../message/protection/fixtures/password.docx");
    const ODT: &[u8] = include_bytes!("../../message/protection/fixtures/password.odt");

    fn message(subject: &str, body: &str, files: &[(&str, &[u8])]) -> Passwords {
        let mut raw = format!(
            "Subject: {subject}\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
        );
        for (name, file) in files {
            raw.push_str(&format!(
                "--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"{name}\"\nContent-Transfer-Encoding: base64\n\n{}\n",
                BASE64_STANDARD.encode(file)
            ));
        }
        raw.push_str("--b--\n");
        let raw = raw.replace('\n', "\r\n").into_bytes();
        look(&View::new(&raw), "")
    }

    #[test]
    fn a_password_beside_its_document() {
        let of = |name: &str, place: &str| Some(format!("the password of {name} stands {place}"));
        for (name, file) in
            [("t.zip", ZIP), ("t.7z", SEVEN), ("t.rar", RAR), ("t.pdf", PDF), ("t.docx", DOCX), ("t.odt", ODT), ("old.zip", OLD_ZIP)]
        {
            let found = message("Tender", "Dear Jo,\n\nthe password is Sunny-Meadow7.\n\nRegards\n", &[(name, file)]);
            assert_eq!(found.beside, of(name, "in the text"), "{name}");
            assert_eq!((found.alone, found.for_another), (None, None));
            // Another password opens nothing.
            let found = message("Tender", "Dear Jo,\n\nthe password is Rainy-Meadow7.\n\nRegards\n", &[(name, file)]);
            assert_eq!(found.beside, None, "{name}");
            assert_eq!(found.alone.as_deref(), Some("a password stands in the text, of none of the attached files"), "{name}");
        }
        assert_eq!(message("Tender, pw Sunny-Meadow7", "See attached.", &[("t.zip", ZIP)]).beside, of("t.zip", "in the subject"));
        assert_eq!(message("Tender", "See attached.\n\nSunny-Meadow7\n", &[("t.pdf", PDF)]).beside, of("t.pdf", "in the text"));
        assert_eq!(
            message(
                "Re: Tender",
                "See attached.\n\nOn 3 May 2026, Jo wrote:\n> use Sunny-Meadow7 please\n> the password is Sunny-Meadow7\n",
                &[("t.pdf", PDF)]
            )
            .beside,
            of("t.pdf", "in the quoted text")
        );
        for name in ["tender (password Sunny-Meadow7).zip", "tender_pw_Sunny-Meadow7.zip", "tender Sunny-Meadow7.zip"] {
            assert_eq!(message("Tender", "See attached.", &[(name, ZIP)]).beside, of("an attachment", "in the name of a file"), "{name}");
        }
    }

    #[test]
    fn what_is_sent_rightly_is_let_alone() {
        for body in [
            "The tender is attached. I will send the password by text.",
            "The tender is attached; ring me on 01507 123456 for the password.",
            "The password is the one we agreed at the meeting on 3 May 2026.",
            "Password to follow separately.",
            "Topic: Parish Council\nJoin Zoom Meeting\nhttps://zoom.us/j/812345\nMeeting ID: 812 3456 7890\nPasscode: 482913\n",
        ] {
            assert_eq!(message("Tender", body, &[("t.zip", ZIP), ("t.docx", DOCX)]), Passwords::default(), "{body}");
        }
    }

    #[test]
    fn a_password_of_nothing_here() {
        let found = message("Log in", "my login password is Sunny123", &[]);
        assert_eq!((found.beside, found.alone.as_deref()), (None, Some("a password stands in the text")));
        let found = message("Tender", "The code to open the document is 482913.", &[]);
        assert_eq!((found.alone, found.for_another.as_deref()), (None, Some("a code that opens a document stands in the text")));
        assert_eq!(message("Hello", "Nothing of the kind.", &[("t.zip", ZIP)]), Passwords::default());
    }

    #[test]
    fn what_cannot_be_tried_is_taken_at_its_word() {
        // A message encrypted by a passphrase has no check that is known here.
        let pgp = [&[0x8c, 2, 4, 9, 0xd2, 60, 1][..], &[0x9a; 59]].concat();
        let found = message("Tender", "The password is Sunny7.", &[("t.gpg", &pgp)]);
        assert_eq!(found.beside.as_deref(), Some("a password stands in the text beside t.gpg, on which nobody can try it here"));
        assert_eq!(message("Tender", "The password follows by text.", &[("t.gpg", &pgp)]), Passwords::default());
        // To the holder of a key no password is of use.
        let to_key = [&[0x84, 12, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0xd2, 60, 1][..], &[0x9a; 59]].concat();
        let found = message("Tender", "The password is Sunny7.", &[("t.gpg", &to_key)]);
        assert_eq!((found.beside, found.alone.is_some()), (None, true));
        let both = [&to_key[..14], &pgp].concat();
        assert!(message("Tender", "The password is Sunny7.", &[("t.gpg", &both)]).beside.is_some());
        // Work ends: nothing is spent that is not allowed.
        let raw = format!(
            "Subject: x\r\nContent-Type: application/zip; name=a.zip\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            BASE64_STANDARD.encode(ZIP)
        );
        let locked = lock::locked(&View::new(raw.as_bytes()));
        let mut all = Candidates::default();
        all.read(Place::Text, "the password is Sunny-Meadow7");
        let all = all.finish();
        assert!(try_all(&all, &locked, 1_000_000).opened.is_some());
        let tried = try_all(&all, &locked, 100);
        assert!(tried.opened.is_none() && tried.untried.is_some_and(|(_, why)| why == Untried::TooMuch));
    }

    #[test]
    fn nothing_of_the_password_is_said() {
        for name in ["tender (password Sunny-Meadow7).zip", "t.zip"] {
            let found = message("pw: Sunny-Meadow7", "The password is Sunny-Meadow7", &[(name, ZIP)]);
            assert!(!format!("{found:?}").contains("Sunny"), "{found:?}");
        }
    }
}

#[cfg(test)]
mod given {
    #![expect(clippy::disallowed_methods, reason = "the test reads the given files")]

    use super::*;

    /// Real messages, most of them with nothing of the kind: every one that is said to give a password away is printed, to be read.
    #[test]
    fn few_given_messages_give_a_password_away() {
        let here = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/given");
        let folder = std::env::var_os("LYCHGATE_GIVEN").map_or(here, std::path::PathBuf::from);
        let Ok(table) = std::fs::read_to_string(folder.join("TRUTH.tsv")) else {
            eprintln!("SKIPPED: {} is not here; set LYCHGATE_GIVEN", folder.display());
            return;
        };
        // "Doc password is password", and it is.
        const GIVEN_AWAY: &str = "messages/spamassassin/t/data/spam/olevbmacro/encrypted.eml";
        let (mut all, mut alone) = (0, Vec::new());
        for path in
            table.lines().filter_map(|line| line.split_once('\t')).filter(|(_, rest)| rest.starts_with("message")).map(|(path, _)| path)
        {
            let raw = std::fs::read(folder.join(path)).unwrap();
            let found = look(&View::new(&raw), "");
            all += 1;
            assert_eq!(found.beside.is_some(), path == GIVEN_AWAY, "{path}");
            if found.alone.is_some() || found.for_another.is_some() {
                alone.push(path);
            }
        }
        eprintln!("passwords: {} of {all} given messages say one: {alone:?}", alone.len());
        assert!(alone.len() * 100 <= all, "{alone:?}");
    }
}
