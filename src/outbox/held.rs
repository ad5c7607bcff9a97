//! What becomes of a held message: whoever holds it lets it go, as it is or as its sender chose; or it goes back.
//!
//! Everything here takes a parcel as it stands and says what it becomes: deciding is a transaction of the store's, and a decision that
//! comes twice finds nothing the second time. What is released is delivered as it came, with the edits that were frozen when it was
//! held, and is not judged again.

use std::time::Duration;

use super::desk::notice_to;
use super::{Options, memo};
use crate::policy::Person;
use crate::policy::answer::Choice;
use crate::records::StoreError;
use crate::records::custody::{
    Asked, Becomes, Copy, Decision, Deposit, Fate, NewParcel, Parcel, Recipient, Sheet, SplitCopy, State, new_id,
};

/// Who decides.
#[derive(Clone, Debug)]
pub struct Decider {
    /// What they are; each lets a message go on behalf of one role.
    pub roles: Vec<Person>,
    /// The entry of the site file that they are, or their address; none for whoever is at the machine.
    pub name: Option<String>,
    /// In normal form where it is known: nobody lets their own message go for somebody else.
    pub address: Option<String>,
}

/// Why a decision is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotYours {
    #[error("it is not held")]
    NotHeld,
    #[error("it does not wait for you")]
    NotAsked,
    #[error("it is your own message: somebody else must let it go")]
    Own,
    #[error("you have let it go already: somebody else must, too")]
    Again,
    #[error("its sender is not the council's, or a program: the gateway does not write to them")]
    NoSender,
    #[error("its sender was asked {MOST_QUESTIONS} times; speak to them")]
    AskedOften,
    #[error("it cannot leave that way")]
    NotOffered,
}

/// Questions about one message.
const MOST_QUESTIONS: usize = 5;

/// What a release came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    Leaves,
    /// Others must let it go too.
    WaitsForOthers,
}

/// What is kept of the token in a notice's reply address.
pub fn token_digest(token: &str) -> Vec<u8> {
    blake3::derive_key("lychgate answer token v1", token.as_bytes()).to_vec()
}

/// The token of answers by mail, out of the key of the notice's link: whoever sees where answers go does not have the link.
pub fn answer_token(key: &str) -> String {
    blake3::derive_key("lychgate link to answer v1", key.as_bytes())[..16].iter().map(|b| format!("{b:02x}")).collect()
}

/// `gateway+TOKEN@wragby.uk` for `gateway@wragby.uk`.
pub fn answer_address(base: &str, token: &str) -> String {
    base.rsplit_once('@').map_or_else(String::new, |(local, domain)| format!("{local}+{token}@{domain}"))
}

/// The token, if an address is where answers go. Case is nobody's to keep in an address that people's programs repeat.
pub fn token_in(base: &str, address: &crate::smtp::Address) -> Option<String> {
    let (local, domain) = base.rsplit_once('@')?;
    if !address.domain().eq_ignore_ascii_case(domain) {
        return None;
    }
    let given = address.local().to_ascii_lowercase();
    let token = given.strip_prefix(&local.to_ascii_lowercase())?.strip_prefix('+')?;
    (token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit())).then(|| token.to_string())
}

/// The choices that the sender of a held message has.
pub fn offered(sheet: &Sheet) -> Vec<Choice> {
    let Some(hold) = &sheet.hold else { return Vec::new() };
    let mut all = Vec::new();
    if hold.hidden.is_some() {
        all.push(Choice::Hidden);
    }
    if hold.copies.len() > 1 {
        all.push(Choice::Separately);
    }
    all.extend([Choice::AsItIs, Choice::Cancel]);
    all
}

/// Lets a message go on behalf of `by`; all who hold it must. `choice` is how it is to leave: other than as it is only for its sender.
pub fn release(
    parcel: &Parcel,
    by: &Decider,
    choice: Choice,
    reason: &str,
    now: i64,
    gives_up: Duration,
) -> Result<(Decision, Released), NotYours> {
    let mut sheet = parcel.sheet.clone();
    let Some(hold) = sheet.hold.as_mut().filter(|_| parcel.state == State::Held) else { return Err(NotYours::NotHeld) };
    // The role that is still missing, if they have it.
    let asked = |role: &&Person| hold.by.iter().any(|b| b == role.word());
    let missing = |role: &&Person| !hold.released.iter().any(|r| r == role.word());
    let theirs: Vec<&Person> = by.roles.iter().filter(asked).collect();
    let Some(role) = theirs.iter().copied().find(missing).or(theirs.first().copied()) else { return Err(NotYours::NotAsked) };
    if *role != Person::Sender && by.address.as_ref().is_some_and(|a| *a == sheet.origin.sender) {
        return Err(NotYours::Own);
    }
    if by.name.as_ref().is_some_and(|name| hold.released_by.contains(name)) {
        return Err(NotYours::Again);
    }
    match choice {
        Choice::Hidden if hold.hidden.is_some() => hold.leave = "hidden".into(),
        Choice::Separately if hold.copies.len() > 1 => hold.leave = "separately".into(),
        Choice::AsItIs => {
            if *role == Person::Sender {
                hold.leave.clear();
                hold.reason = reason.to_string();
            }
        }
        _ => return Err(NotYours::NotOffered),
    }
    if !hold.released.iter().any(|r| r == role.word()) {
        hold.released.push(role.word().to_string());
    }
    hold.released_by.extend(by.name.clone());
    if !hold.by.iter().all(|b| hold.released.contains(b)) {
        let stays = NewParcel { id: None, state: State::Held, due: parcel.due, ends: parcel.ends, sheet };
        return Ok((Decision::of(Becomes::This(Box::new(stays))), Released::WaitsForOthers));
    }
    Ok((Decision::of(leaves(sheet, now, gives_up)), Released::Leaves))
}

/// The message leaves, in the way that was chosen.
pub fn leaves(mut sheet: Sheet, now: i64, gives_up: Duration) -> Becomes {
    let hold = sheet.hold.take().unwrap_or_default();
    match hold.leave.as_str() {
        "separately" => Becomes::These(split(&sheet, hold.copies, now, gives_up)),
        way => {
            if let Some(hidden) = hold.hidden.filter(|_| way == "hidden") {
                sheet.plan = hidden;
                sheet.sign |= hold.sign;
            }
            Becomes::This(Box::new(waiting(sheet, now, gives_up)))
        }
    }
}

fn waiting(sheet: Sheet, now: i64, gives_up: Duration) -> NewParcel {
    NewParcel { id: None, state: State::Waiting, due: now, ends: later(now, gives_up), sheet }
}

fn later(now: i64, wait: Duration) -> i64 {
    now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4))
}

/// One parcel for each copy, and the list of what becomes of them. The sheet says all that they share.
pub fn split(shared: &Sheet, copies: Vec<SplitCopy>, now: i64, gives_up: Duration) -> Vec<NewParcel> {
    // Without a number of its own for the list the copies go all the same: only nobody is told of their end.
    let tally = new_id().ok();
    let of = u32::try_from(copies.len()).unwrap_or(u32::MAX);
    let recipient = |(address, parameters): &(String, String)| Recipient {
        address: address.clone(),
        parameters: parameters.clone(),
        state: Fate::Waiting,
    };
    let mut parcels = Vec::with_capacity(copies.len() + 1);
    if let Some(id) = tally {
        let recipients = copies.iter().flat_map(|c| &c.recipients).map(recipient).collect();
        let sheet = Sheet { recipients, hold: None, plan: Default::default(), ..shared.clone() };
        // It outlives the last of them.
        let ends = later(now, gives_up * 2);
        parcels.push(NewParcel { id: Some(id), state: State::Tally, due: ends, ends, sheet });
    }
    for (number, copy) in (1..).zip(copies) {
        let recipients = copy.recipients.iter().map(recipient).collect();
        let sheet =
            Sheet { recipients, plan: copy.plan, copy: Some(Copy { number, of }), tally, hold: None, sign: copy.sign, ..shared.clone() };
        parcels.push(waiting(sheet, now, gives_up));
    }
    parcels
}

/// It goes back to its sender, who hears why: `reason` is a sentence, `by` who says so.
pub fn refuse(parcel: &Parcel, reason: &str, options: &Options, now: i64) -> Decision {
    let sheet = &parcel.sheet;
    let paragraphs = [
        format!("Your message{} was held and will not be sent. Nobody received it.", named(sheet)),
        reason.to_string(),
        format!("Reference: {}. Please quote it if you ask about this.", sheet.reference),
    ];
    let also = to_sender(sheet, &format!("Not sent: {}", which(sheet)), &paragraphs, options, now).into_iter().collect();
    Decision { becomes: Becomes::Nothing, also, tally: None }
}

/// Asks its sender about it, in a letter that says where the answer goes; it stays held.
pub fn ask_sender(parcel: &Parcel, question: Asked, options: &Options) -> Result<Decision, NotYours> {
    let mut sheet = parcel.sheet.clone();
    if !sheet.origin.tell_sender {
        return Err(NotYours::NoSender);
    }
    let Some(hold) = sheet.hold.as_mut().filter(|_| parcel.state == State::Held) else { return Err(NotYours::NotHeld) };
    if hold.questions.len() >= MOST_QUESTIONS {
        return Err(NotYours::AskedOften);
    }
    let (end, now) = (if hold.release_at_end { "it is sent" } else { "it comes back to you" }, question.time);
    hold.questions.push(question.clone());
    let paragraphs = [
        format!("Your message{} is held, and there is a question about it:", named(&sheet)),
        question.text.clone(),
        format!("Please answer to {}. If it need not be sent any more, say that.", question.by),
        format!("Without a decision {end} on {}.", super::bounce::date(parcel.ends, options)),
        format!("Reference: {}. Please quote it.", sheet.reference),
    ];
    let also = to_sender(&sheet, &format!("A question about: {}", which(&sheet)), &paragraphs, options, now).into_iter().collect();
    let stays = NewParcel { id: None, state: State::Held, due: parcel.due, ends: parcel.ends, sheet };
    Ok(Decision { becomes: Becomes::This(Box::new(stays)), also, tally: None })
}

/// A letter to the sender of a message in custody, if there may be one.
pub(super) fn to_sender(sheet: &Sheet, subject: &str, paragraphs: &[String], options: &Options, now: i64) -> Option<Deposit> {
    if !sheet.origin.tell_sender {
        return None;
    }
    let content = memo::compose(&sheet.origin.sender, sheet.origin.message_id.as_deref(), subject, paragraphs, options, now);
    letter(&sheet.origin.sender, &sheet.reference, content, options, now)
}

/// A letter about a message in custody, to somebody who need not know the message.
pub(super) fn to(address: &str, reference: &str, subject: &str, paragraphs: &[String], options: &Options, now: i64) -> Option<Deposit> {
    letter(address, reference, memo::compose(address, None, subject, paragraphs, options, now), options, now)
}

fn letter(address: &str, reference: &str, content: Result<Vec<u8>, StoreError>, options: &Options, now: i64) -> Option<Deposit> {
    match content {
        Ok(content) => Some(notice_to(address, content, Vec::new(), now, later(now, options.pace.gives_up), reference)),
        Err(error) => {
            tracing::error!(event = "notice_lost", %reference, %error, "a notice could not be written");
            None
        }
    }
}

/// What whoever holds a message is told to do: at the desk where there is one, otherwise by commands.
pub(super) fn how_to_decide(reference: &str, options: &Options) -> Vec<String> {
    match &options.console {
        Some(url) => vec![format!("To look and decide: {url}/held/{reference}")],
        None => vec![
            format!("To see what it is:  lychgate held show {reference}"),
            format!("To let it go:       lychgate held release {reference} --reason \"...\""),
            format!("To send it back:    lychgate held refuse {reference} --reason \"...\""),
        ],
    }
}

/// ` "Agenda"`, or nothing.
pub(super) fn named(sheet: &Sheet) -> String {
    sheet.origin.subject.as_deref().filter(|s| !s.is_empty()).map_or_else(String::new, |s| format!(" \"{s}\""))
}

pub(super) fn which(sheet: &Sheet) -> String {
    sheet.origin.subject.clone().filter(|s| !s.is_empty()).unwrap_or_else(|| sheet.reference.clone())
}

/// What the sender of a split hears when its last copy is settled.
pub(super) fn split_ended(sheet: &Sheet, options: &Options, now: i64) -> Vec<Deposit> {
    let failed: Vec<&str> =
        sheet.recipients.iter().filter(|r| !matches!(r.state, Fate::Delivered { .. })).map(|r| r.address.as_str()).collect();
    let delivered = sheet.recipients.len() - failed.len();
    let mut paragraphs = vec![format!("Your message{} went out one copy at a time. All copies are settled now.", named(sheet))];
    let subject = if failed.is_empty() {
        paragraphs.push(format!("All {delivered} people have it: the mail provider took every copy."));
        format!("All sent: {}", which(sheet))
    } else {
        paragraphs.push(format!(
            "{delivered} of {} copies were taken by the mail provider. {} were not, and a report of each went to you:",
            sheet.recipients.len(),
            failed.len()
        ));
        paragraphs.extend(failed.iter().take(200).map(|address| format!("- {address}")));
        format!("{} not sent: {}", failed.len(), which(sheet))
    };
    paragraphs.push(format!("Reference: {}. Please quote it if you ask about this.", sheet.reference));
    to_sender(sheet, &subject, &paragraphs, options, now).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::custody::{Hold, Kind, Origin, Plan};

    const DAY: Duration = Duration::from_secs(86_400);

    fn held(by: &[&str]) -> Parcel {
        let copy = |to: &str| SplitCopy {
            recipients: vec![(to.into(), " NOTIFY=FAILURE".into())],
            plan: Plan { prefix: to.into(), edits: vec![] },
            sign: true,
        };
        let hold = Hold {
            by: by.iter().map(|b| b.to_string()).collect(),
            hidden: Some(Plan { prefix: b"hidden".to_vec(), edits: vec![] }),
            copies: vec![copy("a@x.uk"), copy("b@x.uk")],
            ..Hold::default()
        };
        let origin = Origin { sender: "jo@wragby.uk".into(), ..Origin::default() };
        let sheet = Sheet { reference: "LG-1".into(), hold: Some(hold), origin, ..Sheet::default() };
        Parcel { id: 7, kind: Kind::Mail, state: State::Held, due: 0, ends: 100, attempts: 0, sheet }
    }

    fn decider(role: Person, address: &str) -> Decider {
        Decider { roles: vec![role], name: Some(address.into()), address: Some(address.into()) }
    }

    #[test]
    fn all_who_hold_it_must_let_it_go() {
        let parcel = held(&["clerk", "chair"]);
        let clerk = decider(Person::Clerk, "clerk@wragby.uk");
        let (first, released) = release(&parcel, &clerk, Choice::AsItIs, "", 5, DAY).unwrap();
        assert_eq!(released, Released::WaitsForOthers);
        let Becomes::This(stays) = first.becomes else { panic!() };
        assert_eq!((stays.state, stays.ends), (State::Held, 100));
        let parcel = Parcel { sheet: stays.sheet, ..parcel };
        let again = |by: &Decider| release(&parcel, by, Choice::AsItIs, "", 5, DAY).map(|r| r.1);
        assert_eq!(again(&clerk), Err(NotYours::Again));
        // Whoever is both is still one person.
        assert_eq!(again(&Decider { roles: vec![Person::Clerk, Person::Chair], ..clerk.clone() }), Err(NotYours::Again));
        let (second, released) = release(&parcel, &decider(Person::Chair, "chair@wragby.uk"), Choice::AsItIs, "", 5, DAY).unwrap();
        assert_eq!(released, Released::Leaves);
        let Becomes::This(leaves) = second.becomes else { panic!() };
        assert_eq!((leaves.state, leaves.due, leaves.ends), (State::Waiting, 5, 5 + 86_400_000));
        assert!(leaves.sheet.hold.is_none() && leaves.sheet.plan.prefix.is_empty());
    }

    #[test]
    fn nobody_decides_for_somebody_else_about_their_own() {
        let parcel = held(&["clerk"]);
        let refused = |by: Decider, choice| release(&parcel, &by, choice, "", 0, DAY).map(|r| r.1).unwrap_err();
        assert_eq!(refused(decider(Person::Clerk, "jo@wragby.uk"), Choice::AsItIs), NotYours::Own);
        assert_eq!(refused(decider(Person::Chair, "chair@wragby.uk"), Choice::AsItIs), NotYours::NotAsked);
        assert_eq!(refused(decider(Person::Sender, "jo@wragby.uk"), Choice::AsItIs), NotYours::NotAsked);
        assert_eq!(refused(decider(Person::Clerk, "clerk@wragby.uk"), Choice::Cancel), NotYours::NotOffered);
        let gone = Parcel { state: State::Waiting, ..parcel.clone() };
        assert_eq!(release(&gone, &decider(Person::Clerk, "c@x.uk"), Choice::AsItIs, "", 0, DAY).map(|r| r.1), Err(NotYours::NotHeld));
    }

    #[test]
    fn its_sender_is_asked_in_bounds() {
        let folder = crate::records::tests::Folder::new();
        let options = crate::outbox::tests::options(&folder, "127.0.0.1:9");
        let question = || Asked { time: 5, by: "clerk@wragby.uk".into(), text: "Is the rent in it right?".into() };
        let mut parcel = held(&["clerk"]);
        assert_eq!(ask_sender(&parcel, question(), &options).map(drop), Err(NotYours::NoSender));
        parcel.sheet.origin.tell_sender = true;
        for n in 1..=MOST_QUESTIONS {
            let asked = ask_sender(&parcel, question(), &options).unwrap();
            assert_eq!(asked.also.len(), 1);
            let Becomes::This(stays) = asked.becomes else { panic!() };
            assert_eq!((stays.state, stays.ends, stays.sheet.hold.as_ref().unwrap().questions.len()), (State::Held, 100, n));
            parcel.sheet = stays.sheet;
        }
        assert_eq!(ask_sender(&parcel, question(), &options).map(drop), Err(NotYours::AskedOften));
        parcel.state = State::Waiting;
        assert_eq!(ask_sender(&parcel, question(), &options).map(drop), Err(NotYours::NotHeld));
    }

    #[test]
    fn its_sender_chooses_how_it_leaves() {
        let parcel = held(&["sender"]);
        let sender = decider(Person::Sender, "jo@wragby.uk");
        let hidden = release(&parcel, &sender, Choice::Hidden, "", 0, DAY).unwrap().0;
        assert!(matches!(&hidden.becomes, Becomes::This(p) if p.sheet.plan.prefix == b"hidden"));
        let Becomes::These(parcels) = release(&parcel, &sender, Choice::Separately, "", 0, DAY).unwrap().0.becomes else { panic!() };
        assert_eq!(parcels.iter().map(|p| p.state).collect::<Vec<_>>(), [State::Tally, State::Waiting, State::Waiting]);
        assert_eq!(parcels[0].sheet.recipients.len(), 2);
        let copy = &parcels[2].sheet;
        assert_eq!((copy.recipients[0].address.as_str(), copy.recipients[0].parameters.as_str()), ("b@x.uk", " NOTIFY=FAILURE"));
        assert_eq!((copy.copy, copy.tally, copy.plan.prefix.as_slice()), (Some(Copy { number: 2, of: 2 }), parcels[0].id, &b"b@x.uk"[..]));
        assert_eq!(offered(&parcel.sheet), [Choice::Hidden, Choice::Separately, Choice::AsItIs, Choice::Cancel]);
    }
}
