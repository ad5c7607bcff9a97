//! What a record does not keep of a message, in the words of a report.

use super::outside::Outer;

/// Something that a rule asks for and that a record cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Missing {
    /// Words that no rule looked for then, or whose text no rule had read.
    Words,
    /// Whether a header field was there that no rule asked for then.
    Field,
    /// Who somebody outside is: their domain was not kept, or the message named too many.
    Names,
    /// A marking in the body.
    BodyMark,
    Protection,
    /// What the text quotes.
    Quotes,
    Attachments,
    Links,
    Identifiers,
    Passwords,
    /// Personal addresses in the text.
    AddressesInText,
    ClearText,
    /// Whether a recipient is a user's own account.
    OwnRecipient,
    /// For whom the message passes.
    Claims,
    /// Text inside files that could not be read.
    UnreadableText,
    /// A tag that the sender wrote in the subject to set a rule aside.
    Override,
    /// Nobody asked outside for it.
    Unasked(Outer),
    /// How another mail program reads a message that is written oddly.
    OtherReaders,
}

impl Missing {
    /// "needs … , which is not kept".
    pub fn words(self) -> String {
        match self {
            Missing::Words => "words in a subject, a body, a header field or a file's name".into(),
            Missing::Field => "whether a header field is there".into(),
            Missing::Names => "who somebody outside is".into(),
            Missing::BodyMark => "a marking in the body".into(),
            Missing::Protection => "whether it was protected".into(),
            Missing::Quotes => "what the text quotes".into(),
            Missing::Attachments => "what files it carried".into(),
            Missing::Links => "where its links lead".into(),
            Missing::Identifiers => "identifiers in the text".into(),
            Missing::Passwords => "passwords in the text".into(),
            Missing::AddressesInText => "personal addresses in the text".into(),
            Missing::ClearText => "how much could be read outside what is protected".into(),
            Missing::OwnRecipient => "whether a recipient is a user's own account".into(),
            Missing::Claims => "for whom the message passes".into(),
            Missing::UnreadableText => "whether the text of its files could be read".into(),
            Missing::Override => "a tag in the subject".into(),
            Missing::Unasked(outer) => format!("{}, which nobody asked for then", outer.name()),
            Missing::OtherReaders => "how another mail program reads it".into(),
        }
    }
}
