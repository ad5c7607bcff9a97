//! Whether an answer that was verified is meant for us, now, and answers what we asked; and whom it names. Pure: the time comes in.

use jiff::{SignedDuration, Timestamp};

use super::names::*;
use super::refused::Refused;
use super::shape::Shape;
use crate::config::markup::{self, Comments, Element};
use crate::config::settings::Saml;
use crate::smtp::address::{Address, Charset};

/// How much two clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Values of an attribute that are kept.
const MOST_GROUPS: usize = 512;

/// Somebody whom the identity provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vouched {
    /// In normal form.
    pub address: String,
    /// As the identity provider calls them, and this sign-in of theirs.
    pub name: String,
    pub format: Option<String>,
    pub index: Option<String>,
    pub groups: Vec<String>,
    /// When the identity provider ends it.
    pub ends: Option<Timestamp>,
    /// Of the assertion, and until when it could be sent again.
    pub id: String,
    pub good_until: Timestamp,
}

/// The request that a Response says it answers. Looked up before anything is verified, and compared with what is signed after.
pub(super) fn request_of<'a>(shape: &Shape<'a>) -> Result<&'a str, Refused> {
    shape.response.attribute("InResponseTo").filter(|id| !id.is_empty()).ok_or(Refused::Unasked)
}

/// Reads what was verified, and nothing else of the assertion. `request` is ours, outstanding, and of this browser.
pub(super) fn accept(saml: &Saml, shape: &Shape<'_>, verified: &str, request: &str, now: Timestamp) -> Result<Vouched, Refused> {
    let root = markup::read(verified.as_bytes(), Comments::Refuse)?;
    if root.attribute("ID") != Some(shape.signed) {
        return Err(Refused::Other);
    }
    let assertion = if root.is(PROTOCOL, "Response") { root.only(ASSERTION, "Assertion").ok_or(Refused::Other)? } else { &root };
    let id = shape.assertion.attribute("ID").unwrap_or_default();
    if !assertion.is(ASSERTION, "Assertion") || assertion.attribute("ID") != Some(id) || assertion.attribute("Version") != Some("2.0") {
        return Err(Refused::Other);
    }
    // Of a Response that is not signed itself these add nothing, and are held to it all the same.
    let response = if root.is(PROTOCOL, "Response") { &root } else { shape.response };
    let issued_by = |e: &Element| e.only(ASSERTION, "Issuer").map(|i| i.text.trim() == saml.provider.entity);
    if issued_by(assertion) != Some(true) || (response.all(ASSERTION, "Issuer").next().is_some() && issued_by(response) != Some(true)) {
        return Err(Refused::Issuer);
    }
    if response.attribute("Destination") != Some(&saml.acs) {
        return Err(Refused::Destination);
    }
    if response.attribute("InResponseTo") != Some(request) {
        return Err(Refused::Unasked);
    }
    for issued in [response, assertion] {
        if instant(issued, "IssueInstant")?.ok_or(Refused::Early)? > now + SKEW {
            return Err(Refused::Early);
        }
    }
    let subject = assertion.only(ASSERTION, "Subject").ok_or(Refused::Name)?;
    let name = subject.only(ASSERTION, "NameID").filter(|n| n.children.is_empty()).ok_or(Refused::Name)?;
    let confirmed = confirmed(subject, &saml.acs, request, now)?;
    let good_until = conditions(assertion, &saml.entity, now)?.max(confirmed);
    let (index, ends) = statement(assertion, now)?;
    Ok(Vouched {
        address: address(saml, assertion, name)?,
        name: short(&name.text).ok_or(Refused::Name)?,
        format: name.attribute("Format").and_then(short),
        index,
        groups: groups(saml, assertion),
        ends,
        id: id.to_owned(),
        good_until: good_until + SKEW,
    })
}

/// Until when. One confirmation must hold in all that it says (SAML 2.0 Profiles §4.1.4.3).
fn confirmed(subject: &Element, acs: &str, request: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    let mut why = Refused::Confirmation;
    for confirmation in subject.all(ASSERTION, "SubjectConfirmation").filter(|c| c.attribute("Method") == Some(BEARER)) {
        let Some(data) = confirmation.only(ASSERTION, "SubjectConfirmationData") else { continue };
        if data.attribute("InResponseTo") != Some(request) || data.attribute("Recipient") != Some(acs) {
            continue;
        }
        match in_time(data, now) {
            Ok(until) => return Ok(until),
            Err(other) => why = other,
        }
    }
    Err(why)
}

/// Until when the conditions hold; each must be known (SAML 2.0 Core §2.5.1).
fn conditions(assertion: &Element, entity: &str, now: Timestamp) -> Result<Timestamp, Refused> {
    let conditions = assertion.only(ASSERTION, "Conditions").ok_or(Refused::Conditions)?;
    let known =
        |c: &Element| c.namespace == ASSERTION && matches!(c.name.as_str(), "AudienceRestriction" | "OneTimeUse" | "ProxyRestriction");
    if !conditions.children.iter().all(known) {
        return Err(Refused::Conditions);
    }
    let until = in_time(conditions, now)?;
    let ours = |r: &Element| r.all(ASSERTION, "Audience").any(|a| a.children.is_empty() && a.text.trim() == entity);
    let mut audiences = conditions.all(ASSERTION, "AudienceRestriction").peekable();
    if audiences.peek().is_none() || !audiences.all(ours) {
        return Err(Refused::Audience);
    }
    Ok(until)
}

/// Somebody signed in, and how long that is good.
fn statement(assertion: &Element, now: Timestamp) -> Result<(Option<String>, Option<Timestamp>), Refused> {
    let mut ends: Option<Timestamp> = None;
    let statements: Vec<_> = assertion.all(ASSERTION, "AuthnStatement").collect();
    let first = statements.first().ok_or(Refused::Statement)?;
    for statement in &statements {
        if let Some(end) = instant(statement, "SessionNotOnOrAfter")? {
            ends = Some(ends.map_or(end, |e| e.min(end)));
        }
    }
    if ends.is_some_and(|end| end <= now) {
        return Err(Refused::Late);
    }
    Ok((first.attribute("SessionIndex").and_then(short), ends))
}

fn in_time(element: &Element, now: Timestamp) -> Result<Timestamp, Refused> {
    let until = instant(element, "NotOnOrAfter")?.ok_or(Refused::Late)?;
    if instant(element, "NotBefore")?.is_some_and(|from| from > now + SKEW) {
        return Err(Refused::Early);
    }
    if until <= now - SKEW { Err(Refused::Late) } else { Ok(until) }
}

/// A moment that an attribute names. One that cannot be read is none that has come.
pub(super) fn instant(element: &Element, name: &str) -> Result<Option<Timestamp>, Refused> {
    // Room for the skew on both sides.
    let fits = |t: &Timestamp| *t < Timestamp::MAX - SKEW - SKEW && *t > Timestamp::MIN + SKEW + SKEW;
    element.attribute(name).map(|text| text.parse().ok().filter(fits).ok_or(Refused::Late)).transpose()
}

fn values<'a>(assertion: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    assertion
        .all(ASSERTION, "AttributeStatement")
        .flat_map(|s| s.all(ASSERTION, "Attribute"))
        .filter(move |a| a.attribute("Name") == Some(name))
        .flat_map(|a| a.all(ASSERTION, "AttributeValue"))
}

/// Their address: one, whole.
fn address(saml: &Saml, assertion: &Element, name: &Element) -> Result<String, Refused> {
    let found: Vec<&Element> = match &saml.address_attribute {
        Some(attribute) => values(assertion, attribute).collect(),
        None if name.attribute("Format") == Some(EMAIL) => vec![name],
        None => {
            ADDRESSES.iter().map(|attribute| values(assertion, attribute).collect()).find(|v: &Vec<_>| !v.is_empty()).unwrap_or_default()
        }
    };
    match found[..] {
        [one] if one.children.is_empty() => {
            Address::parse(one.text.trim(), Charset::Utf8).map(|a| a.normal()).map_err(|_| Refused::Address)
        }
        _ => Err(Refused::Address),
    }
}

fn groups(saml: &Saml, assertion: &Element) -> Vec<String> {
    let usual: &[&str] = &GROUPS;
    let attributes: Vec<&str> = saml.groups_attribute.as_deref().map_or_else(|| usual.to_vec(), |one| vec![one]);
    let mut groups: Vec<String> = Vec::new();
    for value in attributes.into_iter().flat_map(|a| values(assertion, a)).filter(|v| v.children.is_empty()) {
        if let Some(group) = short(&value.text).filter(|g| !groups.contains(g))
            && groups.len() < MOST_GROUPS
        {
            groups.push(group);
        }
    }
    groups
}

/// A name of a length that is kept.
pub(super) fn short(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= 512).then(|| text.to_owned())
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
