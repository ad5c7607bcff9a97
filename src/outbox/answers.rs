//! What people answer to a notice of a held message: its sender decides, or asks the holder to let it go.
//!
//! Whoever calls this has made sure who answers. What comes of it is one transaction: the decision, and the letter that says so.

use super::held::{Decider, Released, how_to_decide, named, offered, release, to, to_sender, token_digest, which};
use super::{Kept, Options, Outbox};
use crate::policy::Person;
use crate::policy::answer::{self, Choice, Unclear};
use crate::records::StoreError;
use crate::records::custody::{Becomes, Custody, Decided, Decision, Kind, NewParcel, Parcel, State, Which};

/// Answers that could not be understood, to which the gateway still replies.
const MISREAD: u32 = 5;

/// An answer, and who gave it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What stood in the address that it went to.
    pub token: String,
    /// In normal form: whose it was proven to be.
    pub by: String,
    /// The new text of the reply.
    pub text: String,
    /// What was chosen on the page behind the notice's link, and why, instead of a text.
    pub chosen: Option<(Choice, String)>,
}

/// What a held message asks of its sender.
#[derive(Clone, Debug)]
pub struct Question {
    pub reference: String,
    /// In normal form.
    pub sender: String,
    /// Decoded; empty if there is none.
    pub subject: String,
    pub recipients: usize,
    /// The titles of the rules that hold it.
    pub why: Vec<String>,
    pub until: jiff::Timestamp,
    pub release_at_end: bool,
    pub offered: Vec<Choice>,
}

/// What came of an answer, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nothing waits under this token: it was decided, or its time is over.
    Over,
    /// Somebody else's.
    NotYours,
    Unclear,
    Asked,
    Cancelled,
    Leaves,
    WaitsForOthers,
}

impl Outbox {
    /// What the message asks that waits for its sender under a token; none if nothing does.
    pub async fn question(&self, token: String) -> Result<Option<Question>, StoreError> {
        self.custody(move |custody, _| Ok(found(custody, &token)?.and_then(|parcel| asks(&parcel)))).await
    }

    /// Does what an answer says; durable when this returns.
    pub async fn answer(&self, answered: Answered) -> Result<(Came, Kept), StoreError> {
        let options = self.inner.options.borrow().options.clone();
        let came = self.custody(move |custody, now| decide(custody, &answered, &options, now)).await?;
        tracing::info!(event = "answer", came = ?came, "an answer to a held message");
        Ok((came, Kept { _taken: () }))
    }
}

fn found(custody: &mut dyn Custody, token: &str) -> Result<Option<Parcel>, StoreError> {
    let digest = token_digest(token);
    let held = custody.list(Which { kind: Kind::Mail, state: State::Held, most: usize::MAX >> 1, due: None })?;
    Ok(held.into_iter().find(|p| p.sheet.hold.as_ref().is_some_and(|h| h.token == digest)))
}

fn asks(parcel: &Parcel) -> Option<Question> {
    let sheet = &parcel.sheet;
    let hold = sheet.hold.as_ref().filter(|hold| hold.by.iter().any(|b| b == Person::Sender.word()))?;
    Some(Question {
        reference: sheet.reference.clone(),
        sender: sheet.origin.sender.clone(),
        subject: sheet.origin.subject.clone().unwrap_or_default(),
        recipients: sheet.recipients.len(),
        why: sheet.origin.rules.iter().map(|r| r.title.clone()).collect(),
        until: jiff::Timestamp::from_millisecond(parcel.ends).unwrap_or_default(),
        release_at_end: hold.release_at_end,
        offered: offered(sheet),
    })
}

/// A text is read; what was chosen on the page is that, if it is offered.
fn read(answered: &Answered, offered: &[Choice]) -> Result<answer::Answer, Unclear> {
    match &answered.chosen {
        None => answer::read(&answered.text, offered),
        Some((choice, _)) if !offered.contains(choice) => Err(Unclear::NotOffered),
        Some((Choice::AsItIs, reason)) if reason.is_empty() => Err(Unclear::NoReason),
        Some((choice, reason)) => Ok(answer::Answer { choice: *choice, reason: reason.chars().take(300).collect() }),
    }
}

fn decide(custody: &mut dyn Custody, answered: &Answered, options: &Options, now: i64) -> Result<Came, StoreError> {
    let Some(found) = found(custody, &answered.token)? else {
        let paragraphs = ["Your answer came too late, or twice: that message waits no longer. Nothing was changed.".to_string()];
        if let Some(letter) = to(&answered.by, "", "Nothing was changed", &paragraphs, options, now) {
            custody.accept(&[letter], now)?;
        }
        return Ok(Came::Over);
    };
    let mut came = Came::Over;
    let decided = custody.decide(found.id, now, &mut |parcel| {
        let (decision, what) = act(parcel, answered, options, now);
        came = what;
        Ok(decision)
    })?;
    Ok(if matches!(decided, Decided::Done(_)) { came } else { Came::Over })
}

/// Pure: what a held parcel becomes under an answer.
fn act(parcel: &Parcel, answered: &Answered, options: &Options, now: i64) -> (Decision, Came) {
    let unchanged = || Decision::of(Becomes::Same);
    let sheet = &parcel.sheet;
    let Some(hold) = sheet.hold.as_ref().filter(|_| parcel.state == State::Held) else { return (unchanged(), Came::Over) };
    if sheet.origin.sender != answered.by {
        return (unchanged(), Came::NotYours);
    }
    if !hold.by.iter().any(|b| b == Person::Sender.word()) {
        return ask(parcel, answered, options, now);
    }
    let by = Decider { roles: vec![Person::Sender], name: Some(answered.by.clone()), address: Some(answered.by.clone()) };
    let choice = match read(answered, &offered(sheet)) {
        Ok(choice) => choice,
        Err(unclear) => return (misread(parcel, unclear, options, now), Came::Unclear),
    };
    let title = which(sheet);
    if choice.choice == Choice::Cancel {
        return (cancel(parcel, options, now), Came::Cancelled);
    }
    match release(parcel, &by, choice.choice, &choice.reason, now, options.pace.gives_up) {
        Ok((mut decision, released)) => {
            let (text, came) = match released {
                Released::Leaves => ("goes out now", Came::Leaves),
                Released::WaitsForOthers => ("goes out as soon as the others who hold it agree", Came::WaitsForOthers),
            };
            let way = match choice.choice {
                Choice::Hidden => ", with the outside addresses hidden from one another",
                Choice::Separately => ", one copy to each outside address",
                Choice::AsItIs | Choice::Cancel => ", as it is",
            };
            let paragraphs = [format!("Your message{} {text}{way}.", named(sheet)), quote(&sheet.reference)];
            decision.also.extend(to_sender(sheet, &format!("Answer taken: {title}"), &paragraphs, options, now));
            (decision, came)
        }
        Err(_) => (misread(parcel, Unclear::NotOffered, options, now), Came::Unclear),
    }
}

fn cancel(parcel: &Parcel, options: &Options, now: i64) -> Decision {
    let sheet = &parcel.sheet;
    let paragraphs = [format!("Your message{} was cancelled. Nobody received it.", named(sheet)), quote(&sheet.reference)];
    let also = to_sender(sheet, &format!("Cancelled: {}", which(sheet)), &paragraphs, options, now).into_iter().collect();
    Decision { becomes: Becomes::Nothing, also, tally: None }
}

/// What the sender of a held message may choose: where it waits for others alone, only to take it back.
pub fn choices(parcel: &Parcel) -> Vec<Choice> {
    asks(parcel).map_or_else(|| vec![Choice::Cancel], |question| question.offered)
}

/// Pure: what a held parcel becomes by a choice of its sender's, who is `by` (normal form) and signed in. Nothing, where it is no message
/// of theirs or they do not have that choice.
pub fn chosen(parcel: &Parcel, by: &str, choice: Choice, reason: &str, options: &Options, now: i64) -> (Decision, Came) {
    if parcel.state != State::Held {
        return (Decision::of(Becomes::Same), Came::Over);
    }
    if parcel.sheet.origin.sender != by {
        return (Decision::of(Becomes::Same), Came::NotYours);
    }
    if !choices(parcel).contains(&choice) || choice == Choice::AsItIs && reason.is_empty() {
        return (Decision::of(Becomes::Same), Came::Unclear);
    }
    if choice == Choice::Cancel {
        return (cancel(parcel, options, now), Came::Cancelled);
    }
    let answered = Answered { token: String::new(), by: by.into(), text: String::new(), chosen: Some((choice, reason.into())) };
    act(parcel, &answered, options, now)
}

/// Its sender asks those who hold it to let it go: they hear of it once.
fn ask(parcel: &Parcel, answered: &Answered, options: &Options, now: i64) -> (Decision, Came) {
    let mut sheet = parcel.sheet.clone();
    let wants = answered.text.lines().take(20).any(|l| l.split(|c: char| !c.is_alphanumeric()).any(|w| w.eq_ignore_ascii_case("release")));
    let Some(hold) = sheet.hold.as_mut().filter(|_| wants) else {
        return (misread(parcel, Unclear::NotUnderstood, options, now), Came::Unclear);
    };
    if std::mem::replace(&mut hold.asked, true) {
        return (Decision::of(Becomes::Same), Came::Asked);
    }
    let holders = hold.by.clone();
    let reference = sheet.reference.clone();
    let mut paragraphs = vec![format!("{} asks that the message {reference} be sent, which waits for you.", sheet.origin.sender)];
    paragraphs.extend(how_to_decide(&reference, options));
    let also = holders
        .iter()
        .filter_map(|role| options.address_of(role))
        .filter_map(|address| to(&address, &reference, &format!("Please decide: {reference}"), &paragraphs, options, now))
        .collect();
    (Decision { becomes: stays(parcel, sheet), also, tally: None }, Came::Asked)
}

fn misread(parcel: &Parcel, unclear: Unclear, options: &Options, now: i64) -> Decision {
    let mut sheet = parcel.sheet.clone();
    let offered = offered(&sheet);
    let asks_sender = sheet.hold.as_ref().is_some_and(|h| h.by.iter().any(|b| b == Person::Sender.word()));
    let Some(hold) = sheet.hold.as_mut() else { return Decision::of(Becomes::Same) };
    hold.misread += 1;
    if hold.misread > MISREAD {
        // Two programs that answer each other must come to an end.
        return Decision::of(stays(parcel, sheet));
    }
    let why = match unclear {
        Unclear::NotUnderstood => "Your answer was not understood.",
        Unclear::Several => "Your answer names more than one choice.",
        Unclear::NoReason => "To send it as it is, please say why: \"3 they all know one another\".",
        Unclear::NotOffered => "That choice is not possible for this message.",
    };
    let mut paragraphs = vec![format!("{why} Your message{} still waits; nothing was changed.", named(&sheet))];
    if asks_sender {
        paragraphs.push("Please answer the earlier notice again, with one number in the first line:".into());
        paragraphs.extend(offered.iter().map(|choice| {
            match choice {
                Choice::Hidden => "1  send it, with the outside addresses hidden from one another",
                Choice::Separately => "2  send it, one copy to each outside address",
                Choice::AsItIs => "3  send it as it is, and why",
                Choice::Cancel => "4  do not send it",
            }
            .to_string()
        }));
    } else {
        paragraphs.push("To ask for it to be sent, answer the earlier notice again with the word: release".into());
    }
    paragraphs.push(quote(&sheet.reference));
    let also = to_sender(&sheet, &format!("Please answer again: {}", which(&sheet)), &paragraphs, options, now).into_iter().collect();
    Decision { becomes: stays(parcel, sheet), also, tally: None }
}

fn stays(parcel: &Parcel, sheet: crate::records::custody::Sheet) -> Becomes {
    Becomes::This(Box::new(NewParcel { id: None, state: State::Held, due: parcel.due, ends: parcel.ends, sheet }))
}

fn quote(reference: &str) -> String {
    format!("Reference: {reference}. Please quote it if you ask about this.")
}
