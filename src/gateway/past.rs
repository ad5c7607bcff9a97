//! What the journey asks of past mail, and what a delivered message leaves there. What to ask and what to remember is decided in
//! `policy::past`; here it is carried to the store and back.

use std::sync::Arc;
use std::time::Duration;

use super::session::Session;
use crate::policy::outside::{Fact, Source};
use crate::policy::past::{self, Answer, Imprint, Question, Tally};
use crate::policy::{Facts, Outer, Outside, Verdict, Wants};
use crate::records::{Reserved, StoreError};

/// One message and past mail.
#[derive(Default)]
pub(super) struct PastMail {
    /// None where the verdict hangs on nothing of it.
    question: Option<Question>,
    /// What the message adds to the policy's rates, in their order.
    tallies: Vec<Tally>,
    message_id: Option<String>,
    /// Counted as on its way until the message is done with.
    pub reserved: Vec<Reserved>,
    pub imprint: Option<Box<Imprint>>,
}

impl PastMail {
    /// What is to be asked before the message can be judged.
    pub fn new(facts: &Facts<'_>, wants: Wants, has_rates: bool) -> PastMail {
        PastMail {
            question: wants.any_of(Source::Past).then(|| past::question(facts, wants)),
            tallies: if has_rates { past::tallies(facts) } else { Vec::new() },
            message_id: if has_rates { facts.view().message_id().map(str::to_string) } else { None },
            ..PastMail::default()
        }
    }

    /// What it leaves behind, and nothing else of it.
    pub fn take_imprint(&mut self) -> PastMail {
        PastMail { imprint: self.imprint.take(), ..PastMail::default() }
    }

    /// What the message leaves behind once it is delivered.
    pub fn leaving(&mut self, facts: &Facts<'_>, verdict: &Verdict, password_within: Duration) {
        self.imprint = past::imprint(facts, verdict, self.tallies.clone(), password_within).map(Box::new);
    }
}

impl Session {
    /// Asks the index of past mail, for at most the time that the store allows itself.
    pub(super) async fn ask_past(&self, mail: &PastMail) -> Option<Result<Answer, Arc<str>>> {
        let answer = self.worker.shared.recorder.past(mail.question.clone()?).await;
        Some(answer.map_err(|error| why(&error)))
    }

    /// How much was sent of late, with this message, which counts as on its way from here on.
    pub(super) async fn count_rates(&self, mail: &PastMail, wants: Wants, now: i64) -> (Vec<Fact<u64>>, Vec<Reserved>) {
        let mut facts = vec![Fact::Unasked; mail.tallies.len()];
        let mut reserved = Vec::new();
        if !wants.has(Outer::Rate) {
            return (facts, reserved);
        }
        let recorder = &self.worker.shared.recorder;
        let rates = recorder.rates();
        for (tally, fact) in mail.tallies.iter().zip(&mut facts) {
            let missing = rates.missing(tally, self.keeps_past(), now);
            if !missing.is_empty() {
                match recorder.counted(missing.clone()).await {
                    Ok(stored) => missing.iter().zip(&stored).for_each(|(key, counts)| rates.load(key, counts)),
                    Err(error) => {
                        *fact = Fact::Unknown(why(&error));
                        continue;
                    }
                }
            }
            let (n, held) = rates.reserve(tally, mail.message_id.as_deref(), now);
            *fact = Fact::Known(n);
            reserved.push(held);
        }
        (facts, reserved)
    }

    /// Another part of the same message may have been counted while this one was judged.
    pub(super) fn settle_rates(&self, mail: &mut PastMail) {
        if !mail.tallies.is_empty() {
            self.worker.shared.recorder.rates().without_repeats(&mut mail.tallies, mail.message_id.as_deref());
            if let Some(imprint) = &mut mail.imprint {
                imprint.tallies.clone_from(&mail.tallies);
            }
        }
    }

    /// The message was delivered, and counts.
    pub(super) fn add_rates(&self, mail: &PastMail, now: i64) {
        if !mail.tallies.is_empty() {
            self.worker.shared.recorder.rates().add(&mail.tallies, mail.message_id.as_deref(), self.keeps_past(), now);
        }
    }

    fn keeps_past(&self) -> bool {
        self.site.settings.policy.sources().past
    }
}

/// Puts what the index said where the judge looks for it.
pub(super) fn tell(answer: Option<Result<Answer, Arc<str>>>, outside: &mut Outside) {
    match answer {
        Some(Ok(answer)) => answer.tell(outside),
        Some(Err(why)) => {
            for fact in outside.of_past() {
                *fact = Fact::Unknown(why.clone());
            }
        }
        None => {}
    }
}

fn why(error: &StoreError) -> Arc<str> {
    tracing::error!(event = "past_mail_unknown", %error, "the index of past mail could not be asked");
    match error {
        StoreError::Slow => "the index of past mail did not answer in time".into(),
        // Paths and the database's own words are the operator's, in the log.
        _ => "the index of past mail does not answer".into(),
    }
}
