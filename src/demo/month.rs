//! A month of mail that never was, in the record: the samples, judged at other times, so that the Clerk's desk has something to show.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::sample::{self, Sample};
use crate::config::Settings;
use crate::message::RawMessage;
use crate::policy::{self, Case, Disposition, Envelope, Facts, Login, Recipient, Role, Session};
use crate::records::entry::Stage;
use crate::records::{self, Entry, Outcome, Recorder, StoreError};
use crate::smtp::address::Charset;
use crate::smtp::{Address, Reply, ReversePath};

/// Days before today.
const DAYS: i64 = 27;
/// How often each sample comes, of a hundred messages; what is left goes to the last.
const OFTEN: [u64; 7] = [10, 4, 5, 5, 6, 12, 8];

/// Writes it; says how many messages it is. The store must be there, and the gateway not yet.
pub(super) fn write(settings: &Settings) -> Result<usize, StoreError> {
    let recorder = Recorder::start(&records::Options::of(settings))?;
    let rules = crate::gateway::classes(&settings.policy);
    let now = Timestamp::now();
    // The same month each time.
    let mut dice = Dice(0x5eed);
    let mut count = 0;
    for back in 1..=DAYS {
        let day = now.to_zoned(settings.time_zone.clone()).saturating_sub(jiff::Span::new().days(back));
        let Ok(morning) = day.start_of_day() else { continue };
        let rest = matches!(day.weekday(), jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday);
        for _ in 0..if rest { dice.below(3) } else { 3 + dice.below(8) } {
            let time = morning.timestamp() + SignedDuration::from_mins(8 * 60 + i64::try_from(dice.below(600)).unwrap_or(0));
            if let Some(entry) = entry(settings, &rules, some_sample(&mut dice), time, &mut dice) {
                count += usize::from(recorder.record(entry).is_ok());
            }
        }
    }
    recorder.stop();
    Ok(count)
}

fn some_sample(dice: &mut Dice) -> &'static Sample {
    let mut throw = dice.below(100);
    for (sample, often) in sample::ALL.iter().zip(OFTEN) {
        if throw < often {
            return sample;
        }
        throw -= often;
    }
    &sample::ALL[sample::ALL.len() - 1]
}

fn entry(settings: &Settings, rules: &Arc<dyn records::Classes>, sample: &Sample, time: Timestamp, dice: &mut Dice) -> Option<Entry> {
    let policy = &settings.policy;
    let octets = sample.octets();
    let recipients = sample.recipients(&octets);
    let address = |text: &str| Address::parse(text, Charset::Utf8).ok();
    let envelope = Envelope {
        reverse_path: ReversePath::Address(address(sample.sender)?),
        recipients: recipients.iter().filter_map(|r| address(r)).map(|address| Recipient { address, reply_code: 250 }).collect(),
    };
    let message = RawMessage::new(octets);
    let session = Session { role: Role::Submission, listener: "submission".into(), login: Login::Known(sample.sender.into()), tls: false };
    let case = Case {
        message: &message,
        envelope: &envelope,
        session: &session,
        now: time.to_zoned(settings.time_zone.clone()),
        outside: policy::Outside::unasked(),
    };
    let facts = Facts::new(&case, policy);
    let verdict = policy::evaluate(policy, &facts);
    let outcome = match verdict.disposition {
        Disposition::Deliver => Outcome::relayed(&Reply::line(250, "2.0.0", "Ok: queued")),
        Disposition::Hold { .. } => Outcome::own(250),
        Disposition::Defer { .. } => Outcome::own(451),
        Disposition::Reject { .. } | Disposition::Malformed { .. } => Outcome::own(550),
    };
    let message_id = facts.view().message_id().map(str::to_string);
    let size = message.as_bytes().len() as u64;
    drop(facts);
    Some(Entry {
        time,
        reference: dice.reference(),
        listener: "submission".into(),
        role: Role::Submission,
        envelope,
        rules: rules.clone(),
        message_id,
        subject: None,
        size,
        disposition: verdict.disposition,
        matches: verdict.matches,
        facts: verdict.facts,
        level: verdict.record,
        personal: verdict.personal,
        automatic: verdict.automatic,
        imprint: None,
        vector: None,
        detectors: Vec::new(),
        outcome: Some(outcome),
        stage: Stage::Judged,
    })
}

/// Chance that is the same each time (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn reference(&mut self) -> String {
        const LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let letters: String = (0..8).map(|_| char::from(LETTERS[self.below(32) as usize])).collect();
        format!("LG-{letters}")
    }
}
