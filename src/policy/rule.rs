//! The compiled rules of one council: immutable, shared by all sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account_key::AccountKey;
use super::adopted::Adopted;
use super::condition::{Condition, Rate};
use super::detect::encryption::EncryptionSettings;
use super::detect::marking::MarkingSettings;
use super::outside::{Source, Sources, Wants};
use super::pattern::PatternSet;
use super::people::{AddressSet, Class, Who, domain_of};
use super::remembers::Remembers;
use super::say::Template;
use super::verdict::{Mode, Person, RecordLevel};
use crate::smtp::Address;

/// One council's rules. Made by `config::rules::load` only.
#[derive(Debug)]
pub struct Policy {
    pub(crate) council: CouncilFacts,
    pub(crate) rules: Vec<Rule>,
    pub(crate) exempts: Vec<Exempt>,
    pub(crate) patterns: Vec<PatternSet>,
    /// What rules count over time, each once.
    pub(crate) rates: Vec<Rate>,
    pub(crate) sources: Sources,
    /// Facts from outside that any rule may ask for.
    pub(crate) asked: Wants,
    pub(crate) partners: Arc<AddressSet>,
    pub(crate) consumer: Arc<AddressSet>,
    pub(crate) marking: MarkingSettings,
    pub(crate) encryption: EncryptionSettings,
    pub(crate) malformed: Malformed,
    /// The council's own bank accounts, fourteen digits each: they stand on every invoice and are nobody's secret.
    pub(crate) own_accounts: Vec<String>,
    pub(crate) clauses: BTreeMap<Arc<str>, Clause>,
    /// The policies that came with the loaded files.
    pub(crate) adopted: Vec<Adopted>,
    /// No rule does more than this.
    pub(crate) ceiling: Mode,
    /// The rule files, as they were named.
    pub(crate) files: Vec<String>,
    pub(crate) hash: String,
    /// What is remembered of messages for these rules and no others.
    pub(crate) remembers: Remembers,
}

/// What rules need to know of the council.
#[derive(Clone, Debug, Default)]
pub struct CouncilFacts {
    pub name: String,
    /// In normal form.
    pub domains: Vec<String>,
    pub clerk: Option<String>,
    pub chair: Option<String>,
    pub people: Vec<Member>,
    /// For accounts that are registered by their hash.
    pub account_key: Option<AccountKey>,
}

/// Somebody with a council address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The council address, in normal form.
    pub address: String,
    pub name: Option<String>,
    /// Accounts of their own that were registered: in normal form, or hashed.
    pub personal: Vec<String>,
}

/// A clause of an adopted policy, and what the gateway does about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub id: Arc<str>,
    pub words: String,
    pub reach: Reach,
    /// Where it stands among all clauses.
    pub order: usize,
}

/// How far a clause is within a gateway's reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By these rules.
    Enforced(Vec<String>),
    Assisted(Vec<String>),
    /// Why a gateway cannot help.
    Outside(String),
}

/// One rule. `mode` is the mode in force: its own under the site's ceiling.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: Arc<str>,
    /// `rules/wragby/10-recipients.toml:14`.
    pub place: Arc<str>,
    pub title: Arc<str>,
    pub clauses: Vec<Arc<str>>,
    pub mode: Mode,
    pub said: Said,
    pub say: Option<Template>,
    pub override_name: Option<Arc<str>>,
    pub if_unknown: IfUnknown,
    pub when: Condition,
    pub unless: Vec<Condition>,
    pub then: Actions,
    /// It reads what people wrote: mail that is marked personal is let alone.
    pub reads_content: bool,
    /// It guards against malware: nothing exempts from it.
    pub guards: bool,
}

/// Where a rule's mode was said, under the site's ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub by: SaidBy,
    pub mode: Mode,
    /// The mode that it has where the desk says nothing.
    pub without_desk: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaidBy {
    RuleFile,
    /// `[rules.tune.ID]`.
    SiteFile,
    Desk,
}

/// What becomes of a message where a fact that the rule needs could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfUnknown {
    Defer,
    Hold,
    Skip,
}

/// What becomes of mail that programs may read in several ways: `[rules] malformed` in the site file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Malformed {
    /// Every reading is judged, and the strictest verdict stands. What cannot be judged is refused.
    #[default]
    Judge,
    /// It is refused unseen.
    Reject,
}

/// What a rule does.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    pub reject: Option<Template>,
    pub defer: Option<Template>,
    pub hold: Option<Hold>,
    pub hide_recipients: Option<Hiding>,
    pub drop: bool,
    pub copy_to: Vec<Address>,
    /// Those recipients only, and who gets it in their place.
    pub redirect: Vec<(Who, Address)>,
    /// Instead of everybody.
    pub redirect_to: Vec<Address>,
    pub require_tls: bool,
    /// The message is signed with the council's key, after all changes.
    pub sign: bool,
    pub banner: Option<Banner>,
    pub tag_subject: Option<String>,
    pub add_header: Vec<(String, String)>,
    pub remove_header: Vec<String>,
    pub notify: Vec<Person>,
    /// Seconds within which a person hears of the rule once.
    pub notify_every: Option<u64>,
    pub record: Option<RecordLevel>,
}

/// Held if its facts cannot be had, or without `for`: seconds.
pub const HELD_FOR: u64 = 7 * 86_400;

/// Kept until somebody decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub by: Person,
    /// Seconds.
    pub within: u64,
    pub release: bool,
}

/// How addresses are hidden from one another; split beats bcc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hiding {
    Bcc,
    /// A copy for each outside recipient, who sees only their own address.
    Split,
}

/// A text in front of the body; `tag` in front of the subject where the body cannot take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    pub text: Template,
    pub tag: String,
}

impl Actions {
    /// The contract's words for what this does.
    pub fn words(&self) -> Vec<&'static str> {
        let mut out = Vec::new();
        let mut add = |yes: bool, word| {
            if yes {
                out.push(word);
            }
        };
        add(self.reject.is_some(), "reject");
        add(self.defer.is_some(), "defer");
        add(self.hold.is_some(), "hold");
        add(self.drop, "drop");
        add(self.hide_recipients.is_some(), "hide-recipients");
        add(!self.copy_to.is_empty(), "copy-to");
        add(!self.redirect.is_empty(), "redirect");
        add(!self.redirect_to.is_empty(), "redirect-to");
        add(self.require_tls, "require-tls");
        add(self.sign, "sign");
        add(self.banner.is_some(), "banner");
        add(self.tag_subject.is_some(), "tag-subject");
        add(!self.add_header.is_empty(), "add-header");
        add(!self.remove_header.is_empty(), "remove-header");
        add(!self.notify.is_empty(), "notify");
        add(self.record.is_some(), "record");
        out
    }

    pub fn stops(&self) -> bool {
        self.reject.is_some() || self.defer.is_some() || self.hold.is_some()
    }

    pub fn edits(&self) -> bool {
        self.hide_recipients.is_some()
            || self.banner.is_some()
            || self.tag_subject.is_some()
            || !self.add_header.is_empty()
            || !self.remove_header.is_empty()
    }

    /// It changes where the message goes, or how.
    pub fn routes(&self) -> bool {
        self.drop || self.require_tls || !self.copy_to.is_empty() || !self.redirect.is_empty() || !self.redirect_to.is_empty()
    }
}

/// Mail that rules let alone.
#[derive(Clone, Debug)]
pub struct Exempt {
    pub when: Condition,
    pub from: ExemptFrom,
    pub record: Option<RecordLevel>,
}

#[derive(Clone, Debug)]
pub enum ExemptFrom {
    Rules(Vec<Arc<str>>),
    /// Every rule that reads what people wrote.
    Content,
    /// Only the record is changed.
    Nothing,
}

impl Policy {
    /// Where `address` (in normal form) stands to the council.
    pub fn classify(&self, address: &str) -> Class {
        let domain = domain_of(address);
        // `"jo@gmail.com"@council.uk` is somebody at Gmail to a program that does not know quotes: a stranger in any reading is one.
        if let Some((quoted, _)) = address.rsplit_once('@')
            && let inner = quoted.trim_matches('"')
            && inner.contains('@')
            && inner.len() < address.len()
        {
            let class = self.classify(inner);
            if class.is_stranger() {
                return class;
            }
        }
        if self.is_council(domain) {
            Class::Internal
        } else if self.partners.contains(address) {
            Class::Partner
        } else if self.consumer.contains(address) {
            Class::Personal
        } else {
            Class::External
        }
    }

    /// The class of every address at `domain` (in normal form), where no list names single addresses.
    pub fn classify_domain(&self, domain: &str) -> Option<Class> {
        let single = self.partners.has_addresses() || self.consumer.has_addresses();
        (!single && !domain.is_empty()).then(|| self.classify(domain))
    }

    /// Whether `domain` (in normal form) is one of the council's.
    pub fn is_council(&self, domain: &str) -> bool {
        self.council.domains.iter().any(|d| d == domain)
    }

    /// The rules in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What rules count over time.
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// Rules that cannot be judged, since the site lacks this source. Rules that are off are not among them.
    pub fn unjudged(&self, source: Source) -> impl Iterator<Item = &str> {
        let lacks = move |c: &Condition| !self.sources.has(source) && c.needs(source);
        self.rules.iter().filter(move |r| r.mode != Mode::Off && r.when.requires(&lacks)).map(|r| &*r.id)
    }

    /// Facts from outside that any rule may ask for. What none asks for, nobody need remember.
    pub fn asked(&self) -> Wants {
        self.asked
    }

    /// Where facts from outside come from at this site.
    pub fn sources(&self) -> Sources {
        self.sources
    }

    /// The clauses that rules may name.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.values()
    }

    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.get(id)
    }

    /// The policies whose texts or clauses stand in the loaded files.
    pub fn adopted(&self) -> &[Adopted] {
        &self.adopted
    }

    /// No rule does more than this: the site file's `[rules] mode`.
    pub fn ceiling(&self) -> Mode {
        self.ceiling
    }

    /// The rule files, as they were named.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Changes whenever the rules or what they stand on change. For the record.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A policy without rules, for a council without domains.
impl Default for Policy {
    fn default() -> Policy {
        Policy {
            council: CouncilFacts::default(),
            rules: Vec::new(),
            exempts: Vec::new(),
            patterns: Vec::new(),
            rates: Vec::new(),
            sources: Sources::default(),
            asked: Wants::default(),
            partners: Arc::default(),
            consumer: Arc::default(),
            marking: MarkingSettings::default(),
            encryption: EncryptionSettings::default(),
            malformed: Malformed::default(),
            own_accounts: Vec::new(),
            clauses: BTreeMap::new(),
            adopted: Vec::new(),
            ceiling: Mode::Enforce,
            files: Vec::new(),
            hash: String::new(),
            remembers: Remembers::default(),
        }
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Policy>();
};
