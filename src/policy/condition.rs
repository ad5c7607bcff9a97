//! What a rule may ask of a message: the contract's condition words as values.

use std::sync::Arc;

use super::case::Role;
use super::outside::{Authentication, Outer, Source, Wants};
use super::people::Who;
pub use crate::message::ambiguity::Kind as Ambiguous;

/// One question, or several joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Always,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// A `[[condition]]` of that name.
    Is(Arc<str>, Arc<Condition>),
    Direction(Vec<Direction>),
    Role(Vec<Role>),
    Listener(Vec<Arc<str>>),
    /// The From author as written.
    Sender(Who),
    ProvenSender(Who),
    EnvelopeSender(Who),
    Recipient(Who),
    EveryRecipient(Who),
    EveryOutsider(Who),
    Number(Number, Span),
    /// Any of these patterns of that set of the policy.
    Pattern(PatternUse),
    HeaderPresent(Arc<str>, bool),
    Marked(Vec<Marking>),
    Protected(Vec<Protected>),
    Forwarded(Vec<Forwarding>),
    NotForwarded,
    PersonalAccount(Vec<PersonalAccount>),
    Calendar(bool),
    ListMail(bool),
    Automatic(Vec<Automatic>),
    NotAutomatic,
    Reply(ReplyKind),
    Attachment(AttachmentTest),
    Ambiguous(bool),
    /// In one of these ways.
    AmbiguousIn(Vec<Ambiguous>),
    Identifiers {
        kinds: Vec<Identifier>,
        count: Span,
    },
    Links(Vec<Link>),
    SendsAsOther(bool),
    PasswordDisclosed(Vec<Disclosure>),
    NoPasswordDisclosed,
    /// First and last day, both included.
    Dates(jiff::civil::Date, jiff::civil::Date),
    /// From and to; past midnight where `to` is not after `from`.
    Hours(jiff::civil::Time, jiff::civil::Time),
    Weekdays(Vec<jiff::civil::Weekday>),
    Virus(bool),
    Spf(Vec<Authentication>),
    Dkim(Vec<Authentication>),
    Dmarc(Vec<Authentication>),
    SeenTogether(bool),
    FirstContact(bool),
    NearName,
    Rate(RateTest),
    /// Any of these facts could not be had.
    UnknownFact(Vec<Outer>),
    /// It passes for one of these, and has no right to.
    Impersonates(Impersonated),
    /// The same, but unknown where it found too little and a file could not be read.
    IfReadable(Box<Condition>),
    /// Some attached file that should have text could not be read.
    UnreadableText,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Outbound,
    Internal,
    Inbound,
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Direction::Outbound => "outbound",
            Direction::Internal => "internal",
            Direction::Inbound => "inbound",
        }
    }
}

/// Whom mail from outside may pass for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonated {
    pub council: bool,
    pub clerk: bool,
    pub chair: bool,
    /// Councillors, and members of lists: people by name, domains by look.
    pub people: Who,
    /// As in the file.
    pub written: Vec<String>,
}

/// A number that a condition may bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    RecipientCount,
    OutsiderCount,
    VisibleExternal,
    VisiblePersonal,
    InnerRecipients,
    ClearText,
    AddressesInText,
    Size,
}

impl Number {
    pub const ALL: &[Number] = &[
        Number::RecipientCount,
        Number::OutsiderCount,
        Number::VisibleExternal,
        Number::VisiblePersonal,
        Number::InnerRecipients,
        Number::ClearText,
        Number::AddressesInText,
        Number::Size,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Number::RecipientCount => "recipient-count",
            Number::OutsiderCount => "outsider-count",
            Number::VisibleExternal => "visible-external",
            Number::VisiblePersonal => "visible-personal",
            Number::InnerRecipients => "inner-recipients",
            Number::ClearText => "clear-text",
            Number::AddressesInText => "addresses-in-text",
            Number::Size => "size",
        }
    }

    /// "17 external addresses are visible".
    pub fn sentence(self, n: u64) -> String {
        let s = if n == 1 { "" } else { "s" };
        let es = if n == 1 { "" } else { "es" };
        let are = if n == 1 { "is" } else { "are" };
        match self {
            Number::RecipientCount => format!("{n} recipient{s}"),
            Number::OutsiderCount => format!("{n} recipient{s} outside the council"),
            // Partners are not counted, and "0 external addresses" would be news to whoever sees theirs.
            Number::VisibleExternal if n == 0 => "no address outside the council and its partners is visible".into(),
            Number::VisibleExternal => format!("{n} external address{es} {are} visible"),
            Number::VisiblePersonal => format!("{n} personal address{es} {are} visible"),
            Number::InnerRecipients => format!("{n} address{es} {are} visible inside the signed part"),
            Number::ClearText => format!("{n} character{s} can be read outside what is protected"),
            Number::AddressesInText => {
                format!("{n} personal address{es} {} in the text or an attachment", if n == 1 { "stands" } else { "stand" })
            }
            Number::Size => format!("{n} octets"),
        }
    }
}

/// `{ at-least = 3, at-most = 9 }`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub at_least: u64,
    pub at_most: u64,
}

impl Span {
    pub const fn at_least(n: u64) -> Span {
        Span { at_least: n, at_most: u64::MAX }
    }

    pub fn holds(self, n: u64) -> bool {
        self.at_least <= n && n <= self.at_most
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.at_least, self.at_most) {
            (a, b) if a == b => write!(f, "exactly {a}"),
            (a, u64::MAX) => write!(f, "at least {a}"),
            (0, b) => write!(f, "at most {b}"),
            (a, b) => write!(f, "{a} to {b}"),
        }
    }
}

/// Patterns of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternUse {
    /// Index into the policy's pattern sets.
    pub set: usize,
    /// Each with what the Clerk may be shown of it: the words, or nothing of a regular expression but its number.
    pub patterns: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Marking {
    Confidential,
    Personal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protected {
    Message,
    Attachments,
    Neither,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forwarding {
    ByHand,
    Automatic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PersonalAccount {
    Recipient,
    OwnRecipient,
    Sender,
    ReplyTo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Automatic {
    Reply,
    Bounce,
    Receipt,
    Generated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    Any,
    ToAll,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachmentKind {
    Executable,
    Script,
    Macro,
    Archive,
    EncryptedArchive,
    EncryptedDocument,
    DiskImage,
    DoubleExtension,
    Calendar,
    Video,
}

/// One file must fit all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentTest {
    /// Any of these; empty for any file.
    pub kinds: Vec<AttachmentKind>,
    /// Octets, decoded.
    pub size: Span,
    /// `attachment = false`: none such.
    pub absent: bool,
}

/// How often, of whom, within which time: kept once in the policy for all rules that ask for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    pub of: RateOf,
    pub by: RateBy,
    /// Seconds.
    pub per: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateOf {
    Messages,
    Recipients,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateBy {
    /// The account that logged in.
    Login,
    Sender,
    /// From this sender to one of these recipients.
    Pair,
}

/// This message and those before it within the time are at least so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateTest {
    /// Index into the policy's rates.
    pub rate: usize,
    pub at_least: u64,
}

/// Whose password stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disclosure {
    /// A protected document's of the same message.
    Beside,
    /// Maybe of one that went to the same recipient before.
    Later,
    /// Of nothing that the message carries.
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identifier {
    NationalInsurance,
    Nhs,
    BankAccount,
    TaxReference,
    Passport,
    DrivingLicence,
    PaymentCard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    TextDiffers,
    LookAlike,
    Numeric,
    Shortened,
}

/// The words of an enumeration, for reading and for showing.
macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        impl $type {
            pub const WORDS: &[(&str, $type)] = &[$(($word, $type::$variant)),+];

            pub fn name(self) -> &'static str {
                $type::WORDS.iter().find(|(_, v)| *v == self).map_or("", |(w, _)| w)
            }
        }
    )+};
}

words! {
    Direction { Outbound = "outbound", Internal = "internal", Inbound = "inbound" }
    Marking { Confidential = "confidential", Personal = "personal" }
    Forwarding { ByHand = "by-hand", Automatic = "automatic" }
    PersonalAccount { Recipient = "recipient", OwnRecipient = "own-recipient", Sender = "sender", ReplyTo = "reply-to" }
    Automatic { Reply = "reply", Bounce = "bounce", Receipt = "receipt", Generated = "generated" }
    AttachmentKind {
        Executable = "executable", Script = "script", Macro = "macro", Archive = "archive", EncryptedArchive = "encrypted-archive",
        EncryptedDocument = "encrypted-document", DiskImage = "disk-image", DoubleExtension = "double-extension", Calendar = "calendar",
        Video = "video",
    }
    Disclosure { Beside = "beside", Later = "later", Alone = "alone" }
    Identifier {
        NationalInsurance = "national-insurance", Nhs = "nhs", BankAccount = "bank-account", TaxReference = "tax-reference",
        Passport = "passport", DrivingLicence = "driving-licence", PaymentCard = "payment-card",
    }
    RateOf { Messages = "messages", Recipients = "recipients" }
    RateBy { Login = "login", Sender = "sender", Pair = "pair" }
    Ambiguous {
        DuplicateField = "duplicate-field", BrokenHeader = "broken-header", Characters = "characters", Author = "author",
        Address = "address", Boundary = "boundary", ContentType = "content-type", Encoding = "encoding", FileName = "file-name",
        EmbeddedFile = "embedded-file", Fragment = "fragment", Unreadable = "unreadable",
    }
    Link { TextDiffers = "text-differs", LookAlike = "look-alike", Numeric = "numeric", Shortened = "shortened" }
}

impl Condition {
    /// Roughly what it costs to know: joined conditions are asked in this order, so that the dear ones are rarely asked.
    pub fn cost(&self) -> u32 {
        use Condition::*;
        match self {
            Always | Role(_) | Listener(_) | Dates(..) | Hours(..) | Weekdays(_) | Number(self::Number::Size, _) => 0,
            EnvelopeSender(_) | Direction(_) | SendsAsOther(_) => 1,
            Sender(_) | HeaderPresent(..) | ListMail(_) => 2,
            Recipient(_) | EveryRecipient(_) | EveryOutsider(_) | Number(..) if !self.reads_body() => 3,
            PersonalAccount(_) | Reply(_) => 4,
            Impersonates(_) => 8,
            Automatic(_) | NotAutomatic => 6,
            Calendar(_) | Pattern(_) => 10,
            Marked(_) => 12,
            Forwarded(_) | NotForwarded | Condition::Ambiguous(_) | AmbiguousIn(_) => 20,
            All(each) | Any(each) => each.iter().map(Condition::cost).max().unwrap_or(0),
            Not(one) | IfReadable(one) => one.cost(),
            Is(_, one) => one.cost(),
            PasswordDisclosed(_) | NoPasswordDisclosed => 60,
            UnreadableText => 50,
            // Looks into every file, where the others look for words.
            Protected(_) => 45,
            Attachment(_) | Identifiers { .. } | Links(_) | Number(..) | Recipient(_) | EveryRecipient(_) | EveryOutsider(_) => 40,
            // Where no login proves it, this too is asked outside.
            ProvenSender(_) => 90,
            // Asked last: a rule that anything else settles costs no look-up.
            SeenTogether(_) | FirstContact(_) | NearName | Rate(_) | Virus(_) | Spf(_) | Dkim(_) | Dmarc(_) | UnknownFact(_) => 100,
        }
    }

    fn reads_body(&self) -> bool {
        matches!(
            self,
            Condition::Number(Number::ClearText | Number::AddressesInText | Number::InnerRecipients, _)
                | Condition::Identifiers { .. }
                | Condition::Links(_)
        )
    }

    /// Whether anything in it satisfies `test`.
    pub fn mentions(&self, test: &dyn Fn(&Condition) -> bool) -> bool {
        test(self)
            || match self {
                Condition::All(each) | Condition::Any(each) => each.iter().any(|c| c.mentions(test)),
                Condition::Not(one) | Condition::IfReadable(one) => one.mentions(test),
                Condition::Is(_, one) => one.mentions(test),
                _ => false,
            }
    }

    /// Whether it cannot hold without something that satisfies `test`: of alternatives, every one.
    pub fn requires(&self, test: &dyn Fn(&Condition) -> bool) -> bool {
        test(self)
            || match self {
                Condition::All(each) => each.iter().any(|c| c.requires(test)),
                Condition::Any(each) => !each.is_empty() && each.iter().all(|c| c.requires(test)),
                Condition::Not(one) => one.mentions(test),
                Condition::Is(_, one) => one.requires(test),
                Condition::IfReadable(one) => one.requires(test),
                _ => false,
            }
    }

    /// Whether this word, by itself, asks that source and no other.
    pub fn needs(&self, source: Source) -> bool {
        let (asked, all) = (self.asks(), Outer::WORDS.iter().map(|(_, o)| *o));
        // What stands in the message itself is found without any source.
        let settles_itself = match self {
            Condition::PasswordDisclosed(any) => any.iter().any(|d| *d != Disclosure::Later),
            Condition::NoPasswordDisclosed => true,
            _ => false,
        };
        !settles_itself && !asked.is_empty() && all.filter(|o| asked.has(*o)).all(|o| o.source() == source)
    }

    /// The facts from outside that this word, by itself, asks for.
    pub fn asks(&self) -> Wants {
        let one = |outer: Outer| Wants::default().with(outer);
        match self {
            Condition::Virus(_) => one(Outer::Virus),
            Condition::Spf(_) => one(Outer::Spf),
            Condition::Dkim(_) => one(Outer::Dkim),
            Condition::Dmarc(_) => one(Outer::Dmarc),
            Condition::SeenTogether(_) => one(Outer::SeenTogether),
            Condition::FirstContact(_) => one(Outer::FirstContact),
            Condition::NearName => one(Outer::NearName),
            Condition::Rate(_) => one(Outer::Rate),
            Condition::PasswordDisclosed(any) if any.contains(&Disclosure::Later) => one(Outer::ProtectedBefore),
            Condition::NoPasswordDisclosed => one(Outer::ProtectedBefore),
            Condition::UnknownFact(any) => any.iter().fold(Wants::default(), |all, o| all.with(*o)),
            _ => Wants::default(),
        }
    }

    /// The first bounded number in it, for `{count}`.
    pub fn first_number(&self) -> Option<Number> {
        match self {
            Condition::Number(n, _) => Some(*n),
            Condition::All(each) | Condition::Any(each) => each.iter().find_map(Condition::first_number),
            Condition::Is(_, one) => one.first_number(),
            Condition::IfReadable(one) => one.first_number(),
            _ => None,
        }
    }
}
