//! What is judged: a message, or what the record kept of one. The judge asks both the same questions.
//!
//! A message answers everything but what had to come from outside. A record also has to say of some things that they were not kept
//! ([`Truth::Open`]); what it does tell must be what the message would have said.

use super::case::Role;
use super::condition::{
    Ambiguous, AttachmentTest, Automatic, Direction, Disclosure, Forwarding, Identifier, Impersonated, Link, Marking, Number, PatternUse,
    PersonalAccount,
};
use super::detect::impersonation::How;
use super::evaluate::Rulings;
use super::outside::{Authentication, Outer};
use super::people::Who;
use super::route::Route;
use super::rule::{Policy, Rule};
use super::say::Template;
use super::truth::{Known, Truth};
use super::verdict::{Alternatives, FactSummary, FieldEdit};
use crate::message::{EditPlan, ProtectionLevel};

/// Whether somebody logged in, and whether that says who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedIn {
    No,
    AsNamed,
    /// The mechanism hid the name.
    Hidden,
}

/// Names that the message bears and has no right to: one of somebody else's, and one that may be the sender's own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    pub others: Option<How>,
    pub own: Option<How>,
}

/// What the editing rules come to.
pub enum Edited {
    Made {
        plan: EditPlan,
        edits: Vec<FieldEdit>,
    },
    /// Who was to be hidden is still shown to some reader.
    StillShown,
}

/// Something that can be judged.
pub trait Subject {
    /// The other readings of an oddly written message.
    type Others;

    // The session.
    fn role(&self) -> Role;
    fn listener(&self) -> &str;
    /// The time of judging, in the council's time zone.
    fn now(&self) -> &jiff::Zoned;
    fn logged_in(&self) -> LoggedIn;

    // Who.
    fn direction(&self) -> Known<Direction>;
    fn author_count(&self) -> Known<usize>;
    /// There is one author, and it is one of these.
    fn only_author_is(&self, who: &Who) -> Known<bool>;
    /// The account that logged in is the only author's; none where no name is known.
    fn login_is_author(&self) -> Known<Option<bool>>;
    fn reverse_path_is(&self, who: &Who) -> Known<bool>;
    /// The reverse path's domain is the only author's, or of the same organisation.
    fn reverse_path_is_aligned(&self) -> Known<bool>;
    fn any_recipient_is(&self, who: &Who) -> Known<bool>;
    fn every_recipient_is(&self, who: &Who) -> Known<bool>;
    fn every_outsider_is(&self, who: &Who) -> Known<bool>;
    fn uses_personal_account(&self, which: PersonalAccount) -> Known<bool>;
    fn claims(&self, whom: &Impersonated) -> Known<Claimed>;
    /// An author's domain looks like one that a list of these names.
    fn passes_for_listed(&self, whom: &Impersonated) -> Known<bool>;

    // What.
    fn number(&self, number: Number) -> Known<u64>;
    fn has_words(&self, used: &PatternUse) -> Known<bool>;
    fn has_field(&self, name: &str) -> Known<bool>;
    fn is_marked(&self, marking: Marking) -> Known<bool>;
    fn protection(&self) -> Known<ProtectionLevel>;
    fn was_forwarded(&self, way: Forwarding) -> Known<bool>;
    fn is_calendar(&self) -> Known<bool>;
    fn is_list_mail(&self) -> Known<bool>;
    fn automatic(&self) -> Known<Option<Automatic>>;
    fn is_reply(&self) -> Known<bool>;
    /// Some file fits, whether or not that is what the test wants.
    fn has_attachment(&self, test: &AttachmentTest) -> Known<bool>;
    fn is_ambiguous(&self) -> Known<bool>;
    fn is_ambiguous_in(&self, kinds: &[Ambiguous]) -> Known<bool>;
    fn identifiers(&self, kinds: &[Identifier]) -> Known<u64>;
    fn has_link(&self, kinds: &[Link]) -> Known<bool>;
    /// Of `Later` only that a password stands there which may be of an earlier document.
    fn discloses(&self, which: Disclosure) -> Known<bool>;
    /// What text could not be read, masked; none if all could.
    fn unreadable(&self) -> Known<Option<String>>;

    // From outside.
    fn virus(&self) -> Known<bool>;
    fn spf(&self) -> Known<Authentication>;
    fn dkim(&self) -> Known<Authentication>;
    fn dmarc(&self) -> Known<Authentication>;
    fn seen_together(&self) -> Known<bool>;
    fn first_contact(&self) -> Known<bool>;
    fn near_name(&self) -> Known<bool>;
    fn protected_before(&self) -> Known<bool>;
    /// Of the policy's rate of that number, this message counted.
    fn rate(&self, rate: usize) -> Known<u64>;
    /// Whether a fact from outside could not be had.
    fn is_unknown(&self, outer: Outer) -> Truth;

    // What is done about it.
    fn is_council_sender(&self) -> Known<bool>;
    /// The reason, where the sender is the council's and wrote this override into the subject.
    fn override_reason(&self, name: &str) -> Known<Option<String>>;
    /// Where a notice for the sender goes, if there may be one.
    fn sender_to_tell(&self) -> Option<String>;
    /// Why a rule matched, in plain words.
    fn because(&self, rule: &Rule) -> Vec<String>;
    fn fill(&self, rule: &Rule, template: &Template) -> String;
    fn others(&self) -> Self::Others;
    /// Holds every rule against each other reading.
    fn judge_others<'p>(&self, policy: &'p Policy, others: &Self::Others, each: &mut dyn FnMut(Rulings<'p>));
    /// What the client hears and why, where the message is refused since nobody can say what it holds.
    fn why_malformed(&self, policy: &Policy, others: &Self::Others) -> Option<(String, Vec<String>)>;
    fn edit(&self, policy: &Policy, editing: &[&Rule], others: &Self::Others) -> Edited;
    /// Other plans for the message, for a split or a sender who is to choose.
    fn alternatives(&self, editing: &[&Rule], others: &Self::Others) -> Alternatives;
    fn route(&self, editing: &[&Rule]) -> Route;
    fn summary(&self) -> FactSummary;
}
