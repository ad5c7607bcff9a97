//! What an answer may look like before a verifier sees it: one Response, one assertion in it, and signatures nowhere but in these two,
//! each over the very element it stands in. Whatever is wrapped, moved or doubled is none of that.

use std::collections::HashSet;

use super::names::*;
use super::refused::Refused;
use crate::config::markup::Element;

/// What was found where it belongs.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    pub response: &'a Element,
    pub assertion: &'a Element,
    /// The identifier of the outermost element that is signed.
    pub signed: &'a str,
}

pub(super) fn shape(root: &Element) -> Result<Shape<'_>, Refused> {
    if !root.is(PROTOCOL, "Response") || root.attribute("Version") != Some("2.0") {
        return Err(Refused::NoResponse);
    }
    // Before anything else, so that a refusal of the provider's own is told as such.
    let status = root.only(PROTOCOL, "Status").and_then(|s| s.only(PROTOCOL, "StatusCode")).and_then(|c| c.attribute("Value"));
    if status != Some(SUCCESS) {
        return Err(Refused::Status);
    }
    identifiers(root)?;
    if root.walk().any(|e| matches!(e.name.as_str(), "EncryptedAssertion" | "EncryptedData" | "EncryptedID" | "EncryptedKey")) {
        return Err(Refused::Encrypted);
    }
    // By the name alone: what another reader might take for one counts as one.
    let named = |name: &'static str| root.walk().filter(move |e| e.name.eq_ignore_ascii_case(name)).count();
    let assertion =
        root.only(ASSERTION, "Assertion").filter(|_| named("Assertion") == 1 && named("Response") == 1).ok_or(Refused::Assertions)?;
    let mut signed = None;
    let mut count = 0;
    for bearer in [assertion, root] {
        for signature in bearer.all(DS, "Signature") {
            if signed == Some(id(bearer)?) {
                return Err(Refused::Signatures);
            }
            refers(signature, id(bearer)?)?;
            signed = Some(id(bearer)?);
            count += 1;
        }
    }
    if named("Signature") != count {
        return Err(Refused::Signatures);
    }
    Ok(Shape { response: root, assertion, signed: signed.ok_or(Refused::Unsigned)? })
}

fn id(element: &Element) -> Result<&str, Refused> {
    element.attribute("ID").ok_or(Refused::Identifiers)
}

/// Each identifier is one (an NCName of ASCII), and stands once, whatever its attribute is called.
fn identifiers(root: &Element) -> Result<(), Refused> {
    let mut seen = HashSet::new();
    for (name, value) in root.walk().flat_map(|e| &e.attributes) {
        let local = name.rsplit(':').next().unwrap_or(name);
        if !local.eq_ignore_ascii_case("id") {
            continue;
        }
        let plain = value.len() <= 256
            && value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && value.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
        if !plain || !seen.insert(value) {
            return Err(Refused::Identifiers);
        }
    }
    Ok(())
}

/// A signature of the plain form, over the element with this identifier (SAML 2.0 Core §5.4).
fn refers(signature: &Element, id: &str) -> Result<(), Refused> {
    let known = |e: &Element| matches!(e.name.as_str(), "SignedInfo" | "SignatureValue" | "KeyInfo") && e.namespace == DS;
    let info = signature.only(DS, "SignedInfo").filter(|_| signature.children.iter().all(known)).ok_or(Refused::SignatureForm)?;
    let key = signature.all(DS, "KeyInfo").flat_map(Element::walk);
    if signature.only(DS, "SignatureValue").is_none() || key.into_iter().any(|e| e.name == "RetrievalMethod" || e.namespace != DS) {
        return Err(Refused::SignatureForm);
    }
    let reference = info.only(DS, "Reference").ok_or(Refused::Reference)?;
    if info.children.len() != 3 || reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(Refused::Reference);
    }
    let algorithm = |parent: &Element, name: &str| parent.only(DS, name).and_then(|e| e.attribute("Algorithm")).map(str::to_owned);
    let method = algorithm(info, "SignatureMethod").ok_or(Refused::SignatureForm)?;
    let digest = algorithm(reference, "DigestMethod").ok_or(Refused::SignatureForm)?;
    if !SIGNATURES.contains(&method.as_str()) || !DIGESTS.contains(&digest.as_str()) {
        return Err(Refused::Algorithm);
    }
    let transforms: Vec<&str> = reference
        .only(DS, "Transforms")
        .map(|t| t.children.iter().map(|c| c.attribute("Algorithm").unwrap_or_default()).collect())
        .unwrap_or_default();
    // Without comments: what is digested is what is read.
    let plain = transforms == [ENVELOPED, EXCLUSIVE] && algorithm(info, "CanonicalizationMethod").as_deref() == Some(EXCLUSIVE);
    if plain { Ok(()) } else { Err(Refused::SignatureForm) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::markup::{Comments, read};

    fn signature(id: &str) -> String {
        format!(
            "<Signature xmlns='{DS}'><SignedInfo><CanonicalizationMethod Algorithm='{EXCLUSIVE}'/><SignatureMethod Algorithm='{}'/>\
             <Reference URI='#{id}'><Transforms><Transform Algorithm='{ENVELOPED}'/><Transform Algorithm='{EXCLUSIVE}'/></Transforms>\
             <DigestMethod Algorithm='{}'/><DigestValue>AA==</DigestValue></Reference></SignedInfo><SignatureValue>AA==</SignatureValue></Signature>",
            SIGNATURES[0], DIGESTS[0]
        )
    }

    fn response(outer: &str, assertions: &str) -> String {
        format!(
            "<p:Response xmlns:p='{PROTOCOL}' xmlns:a='{ASSERTION}' ID='r' Version='2.0'>{outer}\
             <p:Status><p:StatusCode Value='{SUCCESS}'/></p:Status>{assertions}</p:Response>"
        )
    }

    fn fault(text: &str) -> Refused {
        shape(&read(text.as_bytes(), Comments::Refuse).unwrap()).unwrap_err()
    }

    #[test]
    fn signed_where_it_belongs() {
        let assertion = format!("<a:Assertion ID='a'>{}</a:Assertion>", signature("a"));
        for (text, signed) in [
            (response("", &assertion), "a"),
            (response(&signature("r"), &assertion), "r"),
            (response(&signature("r"), "<a:Assertion ID='a'/>"), "r"),
        ] {
            assert_eq!(shape(&read(text.as_bytes(), Comments::Refuse).unwrap()).unwrap().signed, signed);
        }
    }

    #[test]
    fn and_nowhere_else() {
        let assertion = format!("<a:Assertion ID='a'>{}</a:Assertion>", signature("a"));
        let object = signature("a").replace("</Signature>", "<Object><a:Assertion ID='b'/></Object></Signature>");
        for (text, why) in [
            (response("", "<a:Assertion ID='a'/>"), Refused::Unsigned),
            (response("", &format!("{assertion}<a:Assertion ID='b'/>")), Refused::Assertions),
            (response("", &format!("<x>{assertion}</x>")), Refused::Assertions),
            (response("", &format!("<a:Assertion ID='a'>{object}</a:Assertion>")), Refused::Assertions),
            (response("", &format!("<a:Assertion ID='b'>{}</a:Assertion>", signature("a"))), Refused::Reference),
            (response("", &format!("<a:Assertion ID='a'>{0}{0}</a:Assertion>", signature("a"))), Refused::Signatures),
            (response("", &format!("<a:Assertion ID='a'><x>{}</x></a:Assertion>", signature("a"))), Refused::Signatures),
            (response("", &format!("<a:Assertion ID='r'>{}</a:Assertion>", signature("r"))), Refused::Identifiers),
            (response("", &assertion.replace(SIGNATURES[0], "http://www.w3.org/2000/09/xmldsig#rsa-sha1")), Refused::Algorithm),
            (response("", &assertion.replace(SIGNATURES[0], "http://www.w3.org/2000/09/xmldsig#hmac-sha1")), Refused::Algorithm),
            (response("", &assertion.replace(DIGESTS[0], "http://www.w3.org/2000/09/xmldsig#sha1")), Refused::Algorithm),
            (response("", &assertion.replace(ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116")), Refused::SignatureForm),
            (response("", &assertion.replace("URI='#a'", "URI=''")), Refused::Reference),
            (response("", "<a:EncryptedAssertion/>"), Refused::Encrypted),
            (response("", &assertion).replace(SUCCESS, "urn:oasis:names:tc:SAML:2.0:status:Responder"), Refused::Status),
        ] {
            assert_eq!(fault(&text), why, "{text}");
        }
        assert_eq!(fault("<x/>"), Refused::NoResponse);
    }
}
