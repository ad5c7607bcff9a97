//! Why an answer of the identity provider's is not believed. The words go to the log; they hold nothing of what came.

use crate::config::markup;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the form is none, or larger than an answer may be")]
    Form,
    #[error("it is not base64")]
    Base64,
    #[error("it is larger than an answer may be")]
    Large,
    #[error("it cannot be read: {0}")]
    Markup(#[from] markup::Fault),
    #[error("it is no Response of SAML 2.0")]
    NoResponse,
    #[error("the identity provider says that it did not work")]
    Status,
    #[error("the assertion is encrypted, which this gateway does not take: turn token encryption off")]
    Encrypted,
    #[error("it does not hold exactly one assertion, directly in the Response")]
    Assertions,
    #[error("nothing is signed")]
    Unsigned,
    #[error("a signature stands where none belongs, or one too many does")]
    Signatures,
    #[error("a signature is not of the plain form that identity providers use")]
    SignatureForm,
    #[error("a signature or a digest uses an algorithm that is not allowed (SHA-256 or stronger is)")]
    Algorithm,
    #[error("a signature does not refer to the element that it stands in")]
    Reference,
    #[error("two elements bear the same identifier, or one is no identifier")]
    Identifiers,
    #[error("no key of the identity provider's metadata made the signature")]
    Signature,
    #[error("what was verified is not what is to be read")]
    Other,
    #[error("the verifier did not answer")]
    Verifier,
    #[error("too many answers are being verified")]
    Busy,
    #[error("this client tried too often")]
    TooOften,
    #[error("the issuer is another, or none is named")]
    Issuer,
    #[error("its destination is elsewhere, or none is named")]
    Destination,
    #[error("it answers no request of this browser's")]
    Unasked,
    #[error("the subject is not confirmed as the bearer's, here and now")]
    Confirmation,
    #[error("its audience is another, or none is named")]
    Audience,
    #[error("it has no conditions, or one that is not known")]
    Conditions,
    #[error("its time has not come")]
    Early,
    #[error("its time is over, or has no end")]
    Late,
    #[error("it was used before")]
    Replayed,
    #[error("it names nobody, or more than one")]
    Name,
    #[error("it holds no single mail address of the person")]
    Address,
    #[error("it does not say that somebody signed in")]
    Statement,
    #[error("no session could be begun")]
    Session,
    #[error("it is no LogoutRequest of SAML 2.0")]
    NoLogout,
}
