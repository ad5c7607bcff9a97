use super::super::shape::shape;
use super::super::tests::saml;
use super::*;

const NOW: &str = "2026-11-26T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An answer that is right; the signature is for a verifier to look at.
fn answer() -> String {
    let signature = format!(
        "<Signature xmlns='{DS}'><SignedInfo><CanonicalizationMethod Algorithm='{EXCLUSIVE}'/><SignatureMethod Algorithm='{}'/>\
         <Reference URI='#a'><Transforms><Transform Algorithm='{ENVELOPED}'/><Transform Algorithm='{EXCLUSIVE}'/></Transforms>\
         <DigestMethod Algorithm='{}'/><DigestValue>AA==</DigestValue></Reference></SignedInfo><SignatureValue>AA==</SignatureValue></Signature>",
        SIGNATURES[0], DIGESTS[0]
    );
    format!(
        "<p:Response xmlns:p='{PROTOCOL}' ID='r' Version='2.0' IssueInstant='{NOW}' Destination='https://gate.x.uk/saml/acs' InResponseTo='_q'>\
         <a:Issuer xmlns:a='{ASSERTION}'>https://idp.example/</a:Issuer><p:Status><p:StatusCode Value='{SUCCESS}'/></p:Status>{}</p:Response>",
        assertion().replace("</a:Issuer>", &format!("</a:Issuer>{signature}"))
    )
}

fn assertion() -> String {
    format!(
        "<a:Assertion xmlns:a='{ASSERTION}' ID='a' Version='2.0' IssueInstant='{NOW}'><a:Issuer>https://idp.example/</a:Issuer>\
         <a:Subject><a:NameID Format='{EMAIL}'>Clerk@x.uk</a:NameID><a:SubjectConfirmation Method='{BEARER}'>\
         <a:SubjectConfirmationData InResponseTo='_q' Recipient='https://gate.x.uk/saml/acs' NotOnOrAfter='2026-11-26T12:05:00Z'/>\
         </a:SubjectConfirmation></a:Subject><a:Conditions NotBefore='2026-11-26T11:59:00Z' NotOnOrAfter='2026-11-26T13:00:00Z'>\
         <a:AudienceRestriction><a:Audience>https://gate.x.uk/saml/metadata</a:Audience></a:AudienceRestriction></a:Conditions>\
         <a:AuthnStatement SessionIndex='_s' SessionNotOnOrAfter='2026-11-26T18:00:00Z'/><a:AttributeStatement>\
         <a:Attribute Name='groups'><a:AttributeValue>Clerks</a:AttributeValue><a:AttributeValue>All</a:AttributeValue></a:Attribute>\
         <a:Attribute Name='mail'><a:AttributeValue>post@x.uk</a:AttributeValue></a:Attribute></a:AttributeStatement></a:Assertion>"
    )
}

/// As if a verifier had given this back.
fn given(saml: &Saml, answer: &str, verified: &str) -> Result<Vouched, Refused> {
    let root = markup::read(answer.as_bytes(), Comments::Refuse)?;
    let shape = shape(&root)?;
    let request = request_of(&shape)?;
    accept(saml, &shape, verified, request, now())
}

#[test]
fn whom_it_names_and_for_how_long() {
    let vouched = given(&saml(), &answer(), &assertion()).unwrap();
    assert_eq!((vouched.address.as_str(), vouched.name.as_str()), ("clerk@x.uk", "Clerk@x.uk"));
    assert_eq!((vouched.index.as_deref(), vouched.id.as_str()), (Some("_s"), "a"));
    assert_eq!(vouched.groups, ["Clerks", "All"]);
    assert_eq!(vouched.ends, Some("2026-11-26T18:00:00Z".parse().unwrap()));
    assert_eq!(vouched.good_until, "2026-11-26T13:01:00Z".parse().unwrap());
    // What the site file says of attributes holds.
    let told = Saml { address_attribute: Some("mail".into()), groups_attribute: Some("other".into()), ..saml() };
    let vouched = given(&told, &answer(), &assertion()).unwrap();
    assert!(vouched.address == "post@x.uk" && vouched.groups.is_empty());
    // A name that is no address: the usual attributes.
    let opaque = |text: String| text.replace(EMAIL, "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent").replace("Clerk@x.uk", "7f3a");
    assert_eq!(given(&saml(), &opaque(answer()), &opaque(assertion())).unwrap().address, "post@x.uk");
}

#[test]
fn each_guard_refuses() {
    for (from, to, why) in [
        ("Issuer>https://idp.example/<", "Issuer>https://other.example/<", Refused::Issuer),
        ("<a:Issuer>https://idp.example/</a:Issuer>", "", Refused::Issuer),
        ("Recipient='https://gate.x.uk/saml/acs'", "Recipient='https://other.x.uk/saml/acs'", Refused::Confirmation),
        (" Recipient='https://gate.x.uk/saml/acs'", "", Refused::Confirmation),
        ("InResponseTo='_q' R", "InResponseTo='_z' R", Refused::Confirmation),
        ("InResponseTo='_q' R", "R", Refused::Confirmation),
        (BEARER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", Refused::Confirmation),
        ("NotOnOrAfter='2026-11-26T12:05:00Z'", "NotOnOrAfter='2026-11-26T11:58:59Z'", Refused::Late),
        ("NotOnOrAfter='2026-11-26T12:05:00Z'", "", Refused::Late),
        ("NotOnOrAfter='2026-11-26T12:05:00Z'", "NotOnOrAfter='tomorrow'", Refused::Late),
        ("NotOnOrAfter='2026-11-26T13:00:00Z'", "NotOnOrAfter='2026-11-26T11:59:00Z'", Refused::Late),
        ("NotOnOrAfter='2026-11-26T13:00:00Z'", "", Refused::Late),
        ("NotOnOrAfter='2026-11-26T13:00:00Z'", "NotOnOrAfter='9999-12-30T22:00:00Z'", Refused::Late),
        ("NotBefore='2026-11-26T11:59:00Z'", "NotBefore='2026-11-26T12:01:01Z'", Refused::Early),
        ("ID='a' Version='2.0' IssueInstant='2026-11-26T12", "ID='a' Version='2.0' IssueInstant='2026-11-26T13", Refused::Early),
        ("Audience>https://gate.x.uk/saml/metadata<", "Audience>https://other.x.uk<", Refused::Audience),
        ("<a:AudienceRestriction><a:Audience>https://gate.x.uk/saml/metadata</a:Audience></a:AudienceRestriction>", "", Refused::Audience),
        ("<a:AudienceRestriction>", "<a:Condition/><a:AudienceRestriction>", Refused::Conditions),
        ("</a:Conditions>", "</a:Conditions><a:Conditions/>", Refused::Conditions),
        ("SessionNotOnOrAfter='2026-11-26T18:00:00Z'", "SessionNotOnOrAfter='2026-11-26T12:00:00Z'", Refused::Late),
        ("<a:AuthnStatement SessionIndex='_s' SessionNotOnOrAfter='2026-11-26T18:00:00Z'/>", "", Refused::Statement),
        ("Clerk@x.uk", "Clerk", Refused::Address),
        ("Clerk@x.uk", "Clerk<b/>@x.uk", Refused::Name),
        ("</a:NameID>", "</a:NameID><a:NameID>x@x.uk</a:NameID>", Refused::Name),
        ("ID='a'", "ID='b'", Refused::Other),
        ("Version='2.0'", "Version='1.1'", Refused::Other),
    ] {
        let verified = assertion();
        assert!(verified.contains(from), "{from}");
        assert_eq!(given(&saml(), &answer(), &verified.replacen(from, to, 1)), Err(why), "{from} → {to}");
    }
    for (from, to, why) in [
        (" Destination='https://gate.x.uk/saml/acs'", "", Refused::Destination),
        ("Destination='https://gate.x.uk/saml/acs'", "Destination='https://gate.x.uk/saml/acs/'", Refused::Destination),
        (" InResponseTo='_q'>", ">", Refused::Unasked),
        ("InResponseTo='_q'>", "InResponseTo='_z'>", Refused::Confirmation),
        ("'>https://idp.example/<", "'>https://other.example/<", Refused::Issuer),
        (" IssueInstant='2026-11-26T12:00:00Z' D", " D", Refused::Early),
        (SUCCESS, "urn:oasis:names:tc:SAML:2.0:status:Requester", Refused::Status),
    ] {
        assert!(answer().contains(from), "{from}");
        assert_eq!(given(&saml(), &answer().replacen(from, to, 1), &assertion()), Err(why), "{from} → {to}");
    }
    // A verifier that gives back something else is not believed either.
    assert_eq!(given(&saml(), &answer(), "<x ID='a'/>"), Err(Refused::Other));
    assert_eq!(given(&saml(), &answer(), &answer()), Err(Refused::Other));
    assert!(matches!(given(&saml(), &answer(), ""), Err(Refused::Markup(_))));
}

proptest::proptest! {
    /// Whatever is cut out, doubled or changed in an answer: nothing panics, and nobody else is let in by it.
    #[test]
    fn mangled_answers_upset_nothing(at in 0usize..3000, length in 0usize..400, mode in 0u8..4, with in "[<>a-z\"'/&#!\\[\\]:= -]{0,12}") {
        let mangle = |text: String| {
            let mut text = text;
            let start = at % text.len();
            let end = (start + length).min(text.len());
            match mode {
                0 => text.replace_range(start..end, ""),
                1 => { let piece = text[start..end].to_string(); text.insert_str(start, &piece); }
                2 => text.insert_str(start, &with),
                _ => text.replace_range(start..end, &with),
            }
            text
        };
        if let Ok(vouched) = given(&saml(), &mangle(answer()), &assertion()) {
            proptest::prop_assert_eq!(vouched.address, "clerk@x.uk");
        }
        let _ = given(&saml(), &answer(), &mangle(assertion()));
    }
}
