//! What takes two people: one asks, a second one approves, and the one who asked does it, once.
//!
//! At the command line an address is only stated, and one person could state two. So whoever asks confirms with a code that is mailed
//! to them, and whoever approves answers with one that is mailed to them; somebody who signed in needs neither. Whether two are two
//! goes by the site file's tables of people, not by addresses. A person who reads both mailboxes can still do it alone: that is what
//! mailboxes of one's own are for.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::roles::{Right, insider, named, others, right_of};
use super::{Doer, Fault, address, moment};
use crate::config::Settings;
use crate::config::settings::{Insider, TwoPeople};
use crate::outbox;
use crate::records::access::Identity;
use crate::records::access::requests::{self, GOOD, Party, Refused, Request, State};
use crate::records::custody::{self, Deposit};
use crate::records::trace::Question;
use crate::records::{Options, StoreError};

/// Requests that one person may have open: others are mailed about each.
const OPEN: usize = 10;

/// Letters that go with a change, by the gateway that delivers them.
struct Post {
    options: outbox::Options,
    letters: Vec<Deposit>,
    now: Timestamp,
}

/// Asks for something. The answer is the request, which is good for 48 hours from now.
pub fn ask(settings: &Settings, options: &Options, act: TwoPeople, subject: &str, now: Timestamp, doer: &Doer) -> Result<Request, Fault> {
    let right = right_of(act);
    doer.may(right)?;
    let asker = party(doer, now)?;
    if others(settings, right, &asker.person, now).is_empty() {
        return Err(Fault::NobodyElse(right.words()));
    }
    let subject = subject_of(options, act, subject)?;
    let open = |r: &Request| r.asker.person == asker.person && !matches!(r.word(now), "expired" | "used" | "refused");
    if requests::all(options)?.iter().filter(|r| open(r)).count() >= OPEN {
        return Err(Fault::TooManyOpen(OPEN));
    }
    let mut post = Post::new(settings, now)?;
    doer.log(options, right, &format!("asked to {} ({subject})", right.words()), about(act, &subject))?;
    let signed = doer.who.is_signed();
    let request = requests::add(
        options,
        Request {
            id: 0,
            act: act.word().into(),
            subject,
            why: doer.purpose.trim().into(),
            asker,
            ends: now + SignedDuration::from_millis(GOOD),
            state: if signed { State::Asked } else { State::Unconfirmed },
            codes: Vec::new(),
        },
        now.as_millisecond(),
    )?;
    if signed {
        post.tell_others(settings, options, &request)?;
    } else {
        let asker = request.asker.person.clone();
        post.code(settings, options, &request, &asker)?;
    }
    post.send(options)?;
    Ok(request)
}

/// Whoever asked answers with the code that was mailed to them. Then the others hear of it, each with a code.
pub fn confirm(settings: &Settings, options: &Options, id: i64, code: &str, now: Timestamp, doer: &Doer) -> Result<Request, Fault> {
    let found = find(options, id)?;
    let by = party(doer, now)?;
    let signed = Party { identity: proven(settings, &by)?, ..by };
    let mut post = Post::new(settings, now)?;
    let done = changed(options, id, |request, hash| {
        if request.asker.person != signed.person {
            return Err(Refused::NotTheirs);
        }
        request.answered(&signed.person, code, now, hash)?;
        request.confirm(signed.clone(), now)?;
        Ok(request.clone())
    });
    let request = noted(options, doer, id, done)?;
    as_proven(doer, &request.asker, &found.why).log(
        options,
        right_of(act_of(&request)?),
        &format!("confirmed request {id}"),
        about(act_of(&request)?, &request.subject),
    )?;
    post.tell_others(settings, options, &request)?;
    post.send(options)?;
    Ok(request)
}

/// Mails a new code to whoever asked and has yet to confirm, or to somebody who could approve.
pub fn send_code(settings: &Settings, options: &Options, id: i64, now: Timestamp, doer: &Doer) -> Result<Request, Fault> {
    let request = find(options, id)?;
    let by = party(doer, now)?;
    let right = right_of(act_of(&request)?);
    doer.may(right)?;
    if request.asker.person != by.person || request.state != State::Unconfirmed {
        request.awaits(&by.person, now).map_err(|why| Fault::TwoPeople(id, why))?;
    }
    let mut post = Post::new(settings, now)?;
    doer.log(options, right, &format!("had a code mailed for request {id}"), Question::default())?;
    post.code(settings, options, &request, &by.person)?;
    post.send(options)?;
    Ok(request)
}

/// A second person approves: signed in, or with the code that was mailed to them.
pub fn approve(settings: &Settings, options: &Options, id: i64, code: Option<&str>, now: Timestamp, doer: &Doer) -> Result<Request, Fault> {
    let found = find(options, id)?;
    let act = act_of(&found)?;
    doer.may(right_of(act))?;
    let by = party(doer, now)?;
    // Nobody makes their own second person by lending them the right.
    let asker = &found.asker.person;
    if by.person != *asker && !others(settings, right_of(act), asker, now).iter().any(|i| i.name == by.person) {
        return Err(Fault::LentByAsker);
    }
    let signed = Party { identity: proven(settings, &by)?, ..by.clone() };
    let mut post = Post::new(settings, now)?;
    let done = changed(options, id, |request, hash| {
        request.awaits(&by.person, now)?;
        if !by.identity.is_signed() {
            request.answered(&by.person, code.unwrap_or_default(), now, hash)?;
        }
        request.approve(signed.clone(), now)?;
        Ok(request.clone())
    });
    let request = noted(options, doer, id, done)?;
    as_proven(doer, &signed, &found.why).log(options, right_of(act), &format!("approved request {id}"), about(act, &request.subject))?;
    let text = format!(
        "{} approved your request {id} ({}). It can be used once, until {}.",
        signed.identity.name(),
        what(&request),
        moment(request.ends, &settings.time_zone)
    );
    if let Some(asker) = named(settings, &request.asker.person) {
        post.letter(&asker.addresses[0], &format!("Request {id} is approved"), &[text])?;
    }
    post.send(options)?;
    Ok(request)
}

/// Somebody who could approve says no, or whoever asked takes it back. The one who asked hears of it.
pub fn refuse(settings: &Settings, options: &Options, id: i64, now: Timestamp, doer: &Doer) -> Result<Request, Fault> {
    let found = find(options, id)?;
    let act = act_of(&found)?;
    doer.may(right_of(act))?;
    let by = party(doer, now)?;
    doer.log(options, right_of(act), &format!("refused request {id}"), about(act, &found.subject))?;
    let request = changed(options, id, |request, _| {
        request.refuse(by.clone(), now)?;
        Ok(request.clone())
    })?;
    if let (Some(asker), Ok(mut post)) = (named(settings, &request.asker.person), Post::new(settings, now)) {
        let text = format!("{} refused your request {id} ({}): {}", by.identity.name(), what(&request), doer.purpose.trim());
        post.letter(&asker.addresses[0], &format!("Request {id} is refused"), &[text])?;
        post.send(options)?;
    }
    Ok(request)
}

/// The requests that are kept, the latest first. That somebody looked is logged.
pub fn list(options: &Options, doer: &Doer) -> Result<Vec<Request>, Fault> {
    doer.log(options, Right::Held, "listed requests of two people", Question::default())?;
    Ok(requests::all(options)?)
}

/// Uses an approved request up, for whoever asked it. Says who approved it.
pub(super) fn spend(options: &Options, id: i64, act: TwoPeople, subject: &str, now: Timestamp, doer: &Doer) -> Result<Party, Fault> {
    find(options, id)?;
    let by = party(doer, now)?;
    changed(options, id, |request, _| request.spend(&by.person, act.word(), subject, now))
}

/// One line for people.
pub fn line(request: &Request, now: Timestamp, zone: &TimeZone) -> String {
    let by = match &request.state {
        State::Approved(by) | State::Refused(by) => format!(" by {}", by.identity.name()),
        _ => String::new(),
    };
    let line = format!(
        "{}  {}  {}{by}  asked by {} on {}, good until {}: {}\n",
        request.id,
        what(request),
        request.word(now),
        request.asker.identity.name(),
        moment(request.asker.at, zone),
        moment(request.ends, zone),
        request.why.replace('\n', " ")
    );
    super::held::escaped(line.as_bytes())
}

fn find(options: &Options, id: i64) -> Result<Request, Fault> {
    requests::all(options)?.into_iter().find(|r| r.id == id).ok_or(Fault::NoTwoPeople(id))
}

fn changed<T>(options: &Options, id: i64, act: impl FnOnce(&mut Request, &requests::Hash<'_>) -> Result<T, Refused>) -> Result<T, Fault> {
    match requests::change(options, id, |request, hash| Ok(act(request, hash)))? {
        Some(done) => done.map_err(|why| Fault::TwoPeople(id, why)),
        None => Err(Fault::NoTwoPeople(id)),
    }
}

/// Whoever tries codes that are not theirs is in the log.
fn noted(options: &Options, doer: &Doer, id: i64, done: Result<Request, Fault>) -> Result<Request, Fault> {
    if let Err(Fault::TwoPeople(_, Refused::WrongCode(_))) = &done {
        doer.note(options, &format!("tried a wrong code for request {id}"), Question::default())?;
    }
    done
}

fn party(doer: &Doer, now: Timestamp) -> Result<Party, Fault> {
    let person = doer.person.clone().ok_or(Fault::WhoAreYou)?;
    Ok(Party { person, identity: doer.who.clone(), at: now })
}

/// The identity once its code is answered: codes go to the person's first address, so that is what was proven.
fn proven(settings: &Settings, party: &Party) -> Result<Identity, Fault> {
    match &party.identity {
        signed @ Identity::Signed(_) => Ok(signed.clone()),
        Identity::Terminal { .. } => {
            let insider = named(settings, &party.person).ok_or(Fault::WhoAreYou)?;
            Ok(Identity::Signed(insider.addresses[0].clone()))
        }
    }
}

fn as_proven(doer: &Doer, party: &Party, why: &str) -> Doer {
    Doer { who: party.identity.clone(), purpose: why.into(), ..doer.clone() }
}

fn act_of(request: &Request) -> Result<TwoPeople, Fault> {
    let known = TwoPeople::WORDS.iter().find(|(word, _)| *word == request.act);
    known.map(|(_, act)| *act).ok_or(Fault::Store(StoreError::Damaged))
}

/// What a request is about, in the form in which it is held against what is done later.
fn subject_of(options: &Options, act: TwoPeople, subject: &str) -> Result<String, Fault> {
    match act {
        TwoPeople::Content => super::held::reference_of(options, subject),
        TwoPeople::Holds if crate::records::holds::is_case_number(subject.trim()) => Ok(subject.trim().into()),
        TwoPeople::Holds => Err(Fault::Case(subject.into())),
        TwoPeople::Reports => address(subject),
    }
}

fn about(act: TwoPeople, subject: &str) -> Question {
    match act {
        TwoPeople::Content => Question { reference: Some(subject.into()), ..Question::default() },
        TwoPeople::Holds => Question::default(),
        TwoPeople::Reports => super::about(subject),
    }
}

/// "to read held mail LG-7F3K".
fn what(request: &Request) -> String {
    let subject = &request.subject;
    match request.act.as_str() {
        "content" => format!("to read the held message {subject}"),
        "holds" => format!("to place, prolong or lift a hold for case {subject}"),
        _ => format!("to look up what {subject} sent and received"),
    }
}

impl Post {
    fn new(settings: &Settings, now: Timestamp) -> Result<Post, Fault> {
        let options = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
        if options.is_blocked() {
            // A code that waits is no code.
            return Err(Fault::NoPost);
        }
        Ok(Post { options, letters: Vec::new(), now })
    }

    fn letter(&mut self, to: &str, subject: &str, paragraphs: &[String]) -> Result<(), Fault> {
        self.letters.push(outbox::letter_to(to, subject, paragraphs, &self.options, self.now.as_millisecond())?);
        Ok(())
    }

    /// A code for somebody, in a letter.
    fn code(&mut self, settings: &Settings, options: &Options, request: &Request, person: &str) -> Result<(), Fault> {
        let Some(to) = named(settings, person).map(|i| i.addresses[0].clone()) else { return Err(Fault::WhoAreYou) };
        let (id, now) = (request.id, self.now);
        let digits = match requests::change(options, id, |request, hash| request.code_for(person, now, hash))? {
            Some(made) => made.map_err(|why| Fault::TwoPeople(id, why))?,
            None => return Err(Fault::NoTwoPeople(id)),
        };
        let own = request.asker.person == person;
        let mut paragraphs = if own {
            vec![
                format!(
                    "Somebody at the gateway's command line says that they are you, and asks {}. The reason: {}",
                    what(request),
                    request.why
                ),
                "If that was you, confirm it with this code:".into(),
            ]
        } else {
            vec![
                format!(
                    "{} asks {}. The reason: {} It takes a second person, who may be you.",
                    request.asker.identity.name(),
                    what(request),
                    sentence(&request.why)
                ),
                "First ask them what it is for. If you approve, give this code to whoever is at the gateway's command line; nothing is opened without it:".into(),
            ]
        };
        paragraphs.push(format!("{} {}", &digits[..4], &digits[4..]));
        let verb = if own { "confirm" } else { "approve" };
        paragraphs.push(format!("It is good for 30 minutes, for: lychgate requests {verb} {id} --as {to}"));
        if let Some(url) = settings.console.as_ref().and_then(|console| console.url.as_ref()) {
            paragraphs.push(format!("Whoever signs in at the desk needs no code: {url}/access"));
        }
        paragraphs.push(format!(
            "If you do not know of this, give the code to nobody, and: lychgate requests refuse {id} --as {to} --reason TEXT"
        ));
        let subject = if own { format!("Your code for request {id}") } else { format!("Request {id} needs a second person") };
        self.letter(&to, &subject, &paragraphs)
    }

    fn tell_others(&mut self, settings: &Settings, options: &Options, request: &Request) -> Result<(), Fault> {
        let right = right_of(act_of(request)?);
        let names: Vec<String> = others(settings, right, &request.asker.person, self.now).into_iter().map(|i| i.name).collect();
        names.iter().try_for_each(|name| self.code(settings, options, request, name))
    }

    fn send(self, options: &Options) -> Result<(), Fault> {
        if !self.letters.is_empty() {
            custody::open_beside(options)?.accept(&self.letters, self.now.as_millisecond())?;
        }
        Ok(())
    }
}

/// With its full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.into() } else { format!("{text}.") }
}

impl Doer {
    /// What the site file says takes two people is done only with a request that a second one approved. Says how to log that, where it was so.
    pub(super) fn together(&self, options: &Options, act: TwoPeople, subject: &str, now: Timestamp) -> Result<String, Fault> {
        if !self.two_people.contains(&act) {
            return Ok(String::new());
        }
        let id = self.request.ok_or(Fault::TakesTwo(act.word()))?;
        let by = spend(options, id, act, subject, now, self)?;
        Ok(format!(" (request {id}, approved by {})", by.identity.name()))
    }

    /// Who this is, of the site file's people.
    pub(super) fn known(settings: &Settings, who: &Identity) -> Result<Option<Insider>, Fault> {
        match who.address() {
            None => Ok(None),
            Some(given) => {
                let normal = address(given)?;
                insider(settings, &normal, Timestamp::now()).map(Some).ok_or_else(|| Fault::Nobody(given.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
