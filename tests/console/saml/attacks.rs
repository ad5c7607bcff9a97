//! What a forger sends to the running gateway, and that each of it is refused: with a line in the log that says why, and nothing to the
//! browser but that.

use super::answers::{ASSERTION, RSA_SHA256, SHA256};
use super::*;

/// An attack: what it is called, what is sent, and the words of the log.
type Attack = (&'static str, fn(&Forge, &Answer) -> Vec<u8>, &'static str);

fn is_in(reply: &Reply) -> bool {
    reply.code == 303 && reply.head.contains("set-cookie: lychgate=") && reply.head.contains("location: /\r\n")
}

fn refused(forge: &Forge, what: &str, why: &str, before: usize, reply: &Reply) {
    assert_eq!(reply.code, 403, "{what}: {}", reply.head);
    assert!(!reply.head.contains("lychgate="), "{what}: {}", reply.head);
    assert!(reply.body.contains("You are not signed in") && !reply.body.contains(why), "{what}: {}", reply.body);
    let log = forge.council.gateway.log();
    let line = log[before..].lines().find(|l| l.contains("saml_refused")).unwrap_or_else(|| panic!("{what}: nothing in the log"));
    assert!(line.contains(why), "{what}: {line}");
    assert!(!log[before..].contains("panicked"), "{what}: {log}");
}

fn all_refused(forge: &Forge, attacks: &[Attack]) {
    for (what, make, why) in attacks {
        let (cookie, answer) = forge.ask();
        let document = make(forge, &answer);
        let before = forge.council.gateway.log().len();
        refused(forge, what, why, before, &forge.send(&cookie, document));
    }
    // And what is right is taken after all that.
    let (cookie, answer) = forge.ask();
    let document = forge.response(&answer, &forge.signed(&answer));
    let reply = forge.send(&cookie, document);
    assert!(is_in(&reply), "{}\n{}", reply.head, forge.council.gateway.tail(10));
}

/// A right answer in which the first of something is another, after it was signed.
fn tampered(forge: &Forge, a: &Answer, from: &str, to: &str) -> Vec<u8> {
    let whole = forge.response(a, &forge.signed(a));
    assert!(whole.contains(from), "{from}");
    whole.replacen(from, to, 1).into_bytes()
}

fn edited(forge: &Forge, a: &Answer, edit: fn(String) -> String) -> Vec<u8> {
    let a = Answer { edit, ..a.clone() };
    forge.response(&a, &forge.signed(&a)).into_bytes()
}

#[test]
fn what_is_right_is_taken_once() {
    let Some(forge) = Forge::start("saml-right", "") else { return };
    let ways: [fn(&Forge, &Answer) -> String; 4] = [
        |f, a| f.response(a, &f.signed(a)),
        |f, a| f.signed_response(a, &f.unsigned(a)),
        |f, a| f.signed_response(a, &f.signed(a)),
        |f, a| format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", f.response(a, &f.signed(a))),
    ];
    for make in ways {
        let (cookie, answer) = forge.ask();
        let document = make(&forge, &answer);
        let reply = forge.send(&cookie, &document);
        assert!(is_in(&reply), "{}\n{}", reply.head, forge.council.gateway.tail(10));
        assert!(!reply.head.contains("evil.example"), "where it goes on is not the sender's to say: {}", reply.head);
        let session = reply.head.split("set-cookie: ").find(|c| c.starts_with("lychgate=")).expect("a session");
        assert!(session.contains("HttpOnly; SameSite=Lax"), "{session}");
        let page = get(&forge.council, "/", session.split(';').next().expect("a value"));
        assert!(page.code == 200 && page.body.contains(CLERK), "{}", page.body);
        // The same again, with the cookie and without.
        let before = forge.council.gateway.log().len();
        refused(&forge, "replay", "answers no request", before, &forge.send(&cookie, &document));
    }
    // Their address, in another case, is theirs.
    let (cookie, answer) = forge.ask();
    let answer = Answer { name: "Clerk@WRAGBY.test".into(), ..answer };
    assert!(is_in(&forge.send(&cookie, forge.response(&answer, &forge.signed(&answer)))));
}

#[test]
fn signatures_that_are_missing_wrong_or_elsewhere() {
    let Some(forge) = Forge::start("saml-signatures", "") else { return };
    all_refused(
        &forge,
        &[
            ("unsigned", |f, a| f.response(a, &f.unsigned(a)).into_bytes(), "nothing is signed"),
            ("another key", |f, a| f.response(a, &f.signed_by("evil", a, RSA_SHA256, SHA256)).into_bytes(), "no key of"),
            ("tampered", |f, a| tampered(f, a, CLERK, "chair@wragby.test"), "no key of"),
            ("tampered after the signature", |f, a| tampered(f, a, ">Clerks<", ">Admins<"), "no key of"),
            (
                "SHA-1",
                |f, a| {
                    let sha1 = "http://www.w3.org/2000/09/xmldsig#";
                    f.response(a, &f.signed_by("idp", a, &format!("{sha1}rsa-sha1"), &format!("{sha1}sha1"))).into_bytes()
                },
                "algorithm",
            ),
            (
                "SHA-1 digest",
                |f, a| f.response(a, &f.signed_by("idp", a, RSA_SHA256, "http://www.w3.org/2000/09/xmldsig#sha1")).into_bytes(),
                "algorithm",
            ),
            ("signature taken out", |f, a| without_signature(&f.response(a, &f.signed(a))).into_bytes(), "nothing is signed"),
            // Wrapping, as Somorovsky and others named it (USENIX Security 2012): 1 and 2 of a signed Response, 3 to 8 of an assertion.
            (
                "XSW1",
                |f, a| {
                    let s = f.signed_response(a, &f.unsigned(a));
                    wrap_response(f, a, &s, true).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW2",
                |f, a| {
                    let s = f.signed_response(a, &f.unsigned(a));
                    wrap_response(f, a, &s, false).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW3",
                |f, a| {
                    let s = f.signed(a);
                    f.response(a, &format!("{}{s}", forged(f, a))).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW4",
                |f, a| {
                    let s = f.signed(a);
                    f.response(a, &forged(f, a).replace("</saml:Assertion>", &format!("{s}</saml:Assertion>"))).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW5",
                |f, a| {
                    let s = f.signed(a);
                    let evil = forged(f, a).replacen("</saml:Issuer>", &format!("</saml:Issuer>{}", signature(&s)), 1);
                    f.response(a, &format!("{evil}{}", without_signature(&s))).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW6",
                |f, a| {
                    let s = f.signed(a);
                    let wrapped = signature(&s).replace("</ds:Signature>", &format!("{}</ds:Signature>", without_signature(&s)));
                    f.response(a, &forged(f, a).replacen("</saml:Issuer>", &format!("</saml:Issuer>{wrapped}"), 1)).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW7",
                |f, a| {
                    let s = f.signed(a);
                    f.response(a, &format!("<samlp:Extensions>{s}</samlp:Extensions>{}", forged(f, a))).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "XSW8",
                |f, a| {
                    let s = f.signed(a);
                    let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", without_signature(&s));
                    let wrapped = signature(&s).replace("</ds:Signature>", &object);
                    f.response(a, &forged(f, a).replacen("</saml:Issuer>", &format!("</saml:Issuer>{wrapped}"), 1)).into_bytes()
                },
                "exactly one assertion",
            ),
            (
                "the signed one under another name",
                |f, a| {
                    let s = f.signed(a);
                    let evil = forged(f, a).replacen("</saml:Issuer>", &format!("</saml:Issuer>{}", signature(&s)), 1);
                    let hidden = without_signature(&s).replace("saml:Assertion", "saml:Advice");
                    f.response(a, &format!("{evil}{hidden}")).into_bytes()
                },
                "does not refer",
            ),
            (
                "the same identifier twice",
                |f, a| {
                    let s = f.signed(a);
                    f.response(a, &format!("<samlp:Extensions><x ID=\"{}\"/></samlp:Extensions>{s}", a.id)).into_bytes()
                },
                "same identifier",
            ),
            (
                "two assertions, both signed",
                |f, a| {
                    let other = Answer { id: format!("{}b", a.id), ..a.clone() };
                    f.response(a, &format!("{}{}", f.signed(a), f.signed(&other))).into_bytes()
                },
                "exactly one assertion",
            ),
            ("a reference to nothing", |f, a| tampered(f, a, &format!("URI=\"#{}\"", a.id), "URI=\"\""), "does not refer"),
            ("a transform of its own", |f, a| tampered(f, a, "xmldsig#enveloped-signature", "xmldsig#base64"), "plain form"),
            (
                "encrypted",
                |f, a| f.response(a, &format!("<saml:EncryptedAssertion xmlns:saml=\"{ASSERTION}\"/>")).into_bytes(),
                "encrypted",
            ),
        ],
    );
    // What the verifier says to nobody is in the log, in one line.
    let log = forge.council.gateway.log();
    assert!(log.lines().any(|l| l.contains("event=\"saml_verifier\"") && l.contains("data do not match")), "{log}");
}

/// The forger's own assertion, for somebody else.
fn forged(forge: &Forge, a: &Answer) -> String {
    forge.unsigned(&Answer { id: format!("{}evil", a.id), name: "chair@wragby.test".into(), ..a.clone() })
}

fn signature(document: &str) -> &str {
    let (start, end) = (document.find("<ds:Signature ").expect("one"), document.find("</ds:Signature>").expect("its end"));
    &document[start..end + "</ds:Signature>".len()]
}

fn without_signature(document: &str) -> String {
    document.replacen(signature(document), "", 1)
}

/// A forged Response with the signed one in its signature, or beside it.
fn wrap_response(forge: &Forge, a: &Answer, signed: &str, inside: bool) -> String {
    let evil = forge.response(&Answer { id: format!("{}e", a.id), ..a.clone() }, &forged(forge, a));
    let original = without_signature(signed);
    let signature = signature(signed);
    let wrapped = if inside {
        signature.replace("</ds:Signature>", &format!("<ds:Object>{original}</ds:Object></ds:Signature>"))
    } else {
        format!("{original}{signature}")
    };
    evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{wrapped}"), 1)
}

#[test]
fn answers_that_are_not_for_us_or_not_now() {
    let Some(forge) = Forge::start("saml-meant", "") else { return };
    all_refused(
        &forge,
        &[
            (
                "another issuer",
                |f, a| {
                    let a = Answer { issuer: "https://other.example/".into(), ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "issuer",
            ),
            (
                "another destination",
                |f, a| {
                    let a = Answer { destination: "https://other.example/saml/acs".into(), ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "destination",
            ),
            ("no destination", |f, a| tampered(f, a, &format!(" Destination=\"{}\"", a.destination), ""), "destination"),
            ("another recipient", |f, a| edited(f, a, |t| t.replace("/saml/acs\"", "/other\"")), "not confirmed"),
            ("no recipient", |f, a| edited(f, a, |t| t.replace("Recipient=", "Address=")), "not confirmed"),
            ("not the bearer's", |f, a| edited(f, a, |t| t.replace("cm:bearer", "cm:holder-of-key")), "not confirmed"),
            ("another audience", |f, a| edited(f, a, |t| t.replace("/saml/metadata<", "/other<")), "audience"),
            (
                "no audience",
                |f, a| {
                    edited(f, a, |t| {
                        let (start, end) =
                            (t.find("<saml:AudienceRestriction>").expect("it"), t.find("</saml:Conditions>").expect("its end"));
                        format!("{}{}", &t[..start], &t[end..])
                    })
                },
                "audience",
            ),
            (
                "expired",
                |f, a| {
                    let a = Answer { from: -600, until: -120, ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "over",
            ),
            (
                "not yet valid",
                |f, a| {
                    let a = Answer { from: 120, ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "has not come",
            ),
            ("without an end", |f, a| edited(f, a, |t| t.replace("NotOnOrAfter", "Until")), "over"),
            ("unsolicited", |f, a| tampered(f, a, &format!(" InResponseTo=\"{}\"", a.request), ""), "answers no request"),
            (
                "a request that nobody made",
                |f, a| {
                    let a = Answer { request: "_zzz".into(), ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "answers no request",
            ),
            (
                "signed for another request",
                |f, a| {
                    let (_, other) = f.ask();
                    f.response(a, &f.signed(&Answer { request: other.request, ..a.clone() })).into_bytes()
                },
                "not confirmed",
            ),
            ("a refusal", |f, a| tampered(f, a, "status:Success", "status:Responder"), "did not work"),
            ("nobody signed in", |f, a| edited(f, a, |t| t.replace("saml:AuthnStatement", "saml:Statement")), "does not say"),
            (
                "a condition that is not known",
                |f, a| edited(f, a, |t| t.replace("<saml:AudienceRestriction>", "<saml:Condition/><saml:AudienceRestriction>")),
                "conditions",
            ),
            (
                "no address",
                |f, a| {
                    let a = Answer { name: "the clerk".into(), ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "mail address",
            ),
        ],
    );
    // Another browser's request: its answer is right, but this is not the browser that asked. And that browser can still use it.
    let ((mine, _), (theirs, answer)) = (forge.ask(), forge.ask());
    let document = forge.response(&answer, &forge.signed(&answer));
    for cookie in [mine.as_str(), "", "lychgate-saml=", &format!("{mine}; {theirs}")] {
        let before = forge.council.gateway.log().len();
        refused(&forge, "another browser", "answers no request", before, &forge.send(cookie, &document));
    }
    assert!(is_in(&forge.send(&theirs, &document)));
}

#[test]
fn documents_that_mean_harm_to_their_reader() {
    let Some(forge) = Forge::start("saml-documents", "") else { return };
    all_refused(
        &forge,
        &[
            (
                "a comment in the name",
                |f, a| {
                    let whole = f.response(a, &f.signed(&Answer { name: "clerk@wragby.test.evil.example".into(), ..a.clone() }));
                    whole.replace("clerk@wragby.test.evil", "clerk@wragby.test<!-- -->.evil").into_bytes()
                },
                "comment",
            ),
            (
                "a longer name",
                |f, a| {
                    let a = Answer { name: "clerk@wragby.test.evil.example@x".into(), ..a.clone() };
                    f.response(&a, &f.signed(&a)).into_bytes()
                },
                "mail address",
            ),
            ("a document type", |f, a| format!("<!DOCTYPE x>{}", f.response(a, &f.signed(a))).into_bytes(), "document type"),
            (
                "an outside entity",
                |f, a| {
                    let whole = tampered(f, a, CLERK, "&a;");
                    [b"<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>".to_vec(), whole].concat()
                },
                "document type",
            ),
            (
                "a billion laughs",
                |f, a| {
                    let entities: String = (1..10).map(|n| format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10))).collect();
                    let whole = tampered(f, a, CLERK, "&a9;");
                    [format!("<!DOCTYPE x [<!ENTITY a0 \"ha\">{entities}]>").into_bytes(), whole].concat()
                },
                "document type",
            ),
            ("an entity that nobody declared", |f, a| tampered(f, a, CLERK, "&clerk;"), "entity"),
            (
                "UTF-16",
                |f, a| {
                    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?><!DOCTYPE x>{}", f.response(a, &f.signed(a)));
                    [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat()
                },
                "UTF-8",
            ),
            (
                "another encoding",
                |f, a| format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}", f.response(a, &f.signed(a))).into_bytes(),
                "UTF-8",
            ),
            ("octets of no text", |_, _| vec![0xff; 1000], "UTF-8"),
            (
                "deep",
                |f, a| tampered(f, a, "<samlp:Status>", &format!("{}{}<samlp:Status>", "<x>".repeat(20_000), "</x>".repeat(20_000))),
                "deep",
            ),
            (
                "many attributes",
                |f, a| {
                    let many: String = (0..10_000).map(|n| format!(" a{n}=\"\"")).collect();
                    tampered(f, a, "<samlp:Status>", &format!("<samlp:Status{many}>"))
                },
                "attributes",
            ),
            (
                "many namespaces",
                |f, a| {
                    let many: String = (0..200).map(|n| format!(" xmlns:a{n}=\"urn:a\"")).collect();
                    tampered(f, a, "<samlp:Status>", &format!("<samlp:Status{many}>"))
                },
                "cannot be read",
            ),
            (
                "many elements",
                |f, a| tampered(f, a, "<samlp:Status>", &format!("{}<samlp:Status>", "<x/>".repeat(20_000))),
                "too many elements",
            ),
            ("larger than an answer", |f, a| tampered(f, a, "<samlp:Status>", &format!("{}<samlp:Status>", " ".repeat(300_000))), "larger"),
            (
                "a processing instruction",
                |f, a| tampered(f, a, "<samlp:Status>", "<?xml-stylesheet href=\"x\"?><samlp:Status>"),
                "processing",
            ),
            ("CDATA", |f, a| tampered(f, a, CLERK, &format!("<![CDATA[{CLERK}]]>")), "CDATA"),
            ("something else", |_, _| b"<html><body>Hello</body></html>".to_vec(), "no Response"),
            ("half of it", |f, a| f.response(a, &f.signed(a)).into_bytes()[..600].to_vec(), "well-formed"),
            ("nothing", |_, _| Vec::new(), "well-formed"),
        ],
    );
    let (cookie, _) = forge.ask();
    for (text, why) in
        [("%%%", "base64"), ("not!base64", "base64"), (&"A".repeat(500_000), "larger"), (&"A".repeat(2_000_000), "form is none")]
    {
        let before = forge.council.gateway.log().len();
        refused(&forge, &text[..text.len().min(20)], why, before, &forge.send_text(&cookie, text));
    }
}

#[test]
fn that_path_alone_is_open_across_sites_and_not_for_ever() {
    let Some(forge) = Forge::start("saml-paths", "") else { return };
    let across = "Origin: https://idp.example\r\nSec-Fetch-Site: cross-site\r\n";
    for path in
        ["/saml/acs/", "/saml/acs/x", "/saml/logout", "/saml/metadata", "/sign-in", "/sign-in/link", "/sign-out", "//saml/acs", "/SAML/acs"]
    {
        assert_eq!(post(&forge.council, path, across, "x=y").code, 403, "{path}");
    }
    assert_eq!(get(&forge.council, "/saml/acs", "").code, 405);
    let metadata = get(&forge.council, "/saml/metadata", "");
    assert!(metadata.code == 200 && metadata.body.contains(&format!("{}/saml/acs", forge.council.url)), "{}", metadata.body);
    // A session's cookie is worth nothing there, and a wrong try ends no session.
    let (cookie, answer) = forge.ask();
    let reply = forge.send(&cookie, forge.response(&answer, &forge.signed(&answer)));
    let session = reply
        .head
        .split("set-cookie: ")
        .find_map(|c| c.starts_with("lychgate=").then(|| c.split(';').next()))
        .flatten()
        .expect("one")
        .to_string();
    assert_eq!(forge.send(&session, "<x/>").code, 403);
    assert_eq!(get(&forge.council, "/", &session).code, 200);
    // Requests to sign out need the provider's signature; an unsigned one ends nothing.
    let before = forge.council.gateway.log().len();
    let reply = get(&forge.council, "/saml/logout?SAMLRequest=fZ", "");
    refused(&forge, "unsigned", "nothing is signed", before, &reply);
    let reply = get(
        &forge.council,
        "/saml/logout?SAMLRequest=fZ&SigAlg=http%3A%2F%2Fwww.w3.org%2F2000%2F09%2Fxmldsig%23rsa-sha1&Signature=AAAA",
        "",
    );
    assert_eq!(reply.code, 403);
    let reply = get(
        &forge.council,
        "/saml/logout?SAMLRequest=fZ&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature=AAAA",
        "",
    );
    assert_eq!(reply.code, 403);
    assert_eq!(get(&forge.council, "/", &session).code, 200);
    for _ in 0..120 {
        forge.send("", "<x/>");
    }
    let before = forge.council.gateway.log().len();
    refused(&forge, "for ever", "too often", before, &forge.send("", "<x/>"));
    assert_eq!(get(&forge.council, "/saml/sign-in", "").code, 403);
    assert!(!forge.council.gateway.log().contains(CLERK), "the log names nobody");
}

#[test]
fn groups_give_roles_where_the_site_file_says_so() {
    let mapped = "[console.saml.roles]\n\"Clerks\" = [\"auditor\"]\n\"Everybody\" = \"member\"\n\"Deputies\" = [\"clerk\"]\n";
    let Some(forge) = Forge::start("saml-groups", mapped) else { return };
    let enter = |name: &str, group: &str| {
        let (cookie, answer) = forge.ask();
        let answer = Answer { name: name.into(), group: group.into(), ..answer };
        let reply = forge.send(&cookie, forge.response(&answer, &forge.signed(&answer)));
        let session = reply
            .head
            .split("set-cookie: ")
            .find_map(|c| c.strip_prefix("lychgate=").map(|v| v.split(';').next().expect("a value").to_string()));
        (reply, session)
    };
    // Somebody whom the site file does not know, by their group.
    let (reply, session) = enter("new@wragby.test", "Clerks");
    let page = get(&forge.council, "/", &format!("lychgate={}", session.unwrap_or_else(|| panic!("{}", reply.head)))).body;
    assert!(page.contains("Access log") && !page.contains("/held\""), "an auditor's menu: {page}");
    // Such a role is told of, and is not lent on.
    let (_, session) = enter("new@wragby.test", "Deputies");
    let cookie = format!("lychgate={}", session.expect("a session"));
    let page = get(&forge.council, "/people", &cookie).body;
    assert!(page.contains("roles of their groups at the identity provider"), "{page}");
    let page = get(&forge.council, "/people/acting", &cookie).body;
    assert!(page.contains("Your role comes from a group") && !page.contains("lend-who"), "{page}");
    // The Clerk of the site file: the groups alone decide.
    let (_, session) = enter(CLERK, "Everybody");
    let page = get(&forge.council, "/", &format!("lychgate={}", session.expect("a session"))).body;
    assert!(!page.contains("Access log") && !page.contains("/held\""), "a member's menu: {page}");
    for (name, group) in [(CLERK, "Others"), ("new@wragby.test", "clerks"), ("guest@elsewhere.test", "Clerks"), (CLERK, "")] {
        let (reply, session) = enter(name, group);
        assert!(reply.code == 403 && session.is_none() && reply.body.contains("You have no role here"), "{name} {group}: {}", reply.head);
    }
    assert!(forge.council.gateway.log().contains("saml_no_role"));
}

#[test]
fn without_a_certificate_nothing_runs() {
    let Some(forge) = Forge::start("saml-no-key", "") else { return };
    let path = forge.council.gateway.scratch.path().join("idp.xml");
    let text = std::fs::read_to_string(&path).expect("the metadata");
    let (start, end) = (text.find("<KeyDescriptor").expect("a key"), text.find("</KeyDescriptor>").expect("its end"));
    std::fs::write(&path, format!("{}{}", &text[..start], &text[end + "</KeyDescriptor>".len()..])).expect("a file");
    let check = forge.council.gateway.command(&["check"]);
    let said = String::from_utf8_lossy(&check.stderr).into_owned() + &String::from_utf8_lossy(&check.stdout);
    assert!(!check.status.success() && said.contains("no certificate that the identity provider signs with"), "{said}");
    // Nor is it taken by a reload: the old settings stay, with the key.
    forge.council.gateway.signal("HUP");
    eventually("the reload", || forge.council.gateway.log().contains("reload_refused").then_some(()));
    let (cookie, answer) = forge.ask();
    assert_eq!(forge.send(&cookie, forge.response(&answer, &forge.unsigned(&answer))).code, 403);
}
