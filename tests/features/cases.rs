//! "Cases that must come out right", those that need no custody, with the rules as they are shipped. The rules' own words on each
//! are in `tests/rules/field-cases.md`; here is what the provider and the sender really get.

use super::provider::{Behaviour, Provider};
use super::*;
use crate::support::base64;

fn residents() -> Vec<String> {
    let domains = ["gmail.com", "btinternet.com", "hotmail.co.uk", "sky.com"];
    (1..=17).map(|n| format!("resident{n}@{}", domains[n % 4])).collect()
}

fn refs(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

/// A fenced block of the cases' page: real enveloped data, ZIP files and the like.
fn block(name: &str) -> String {
    let page = include_str!("../rules/field-cases.md");
    let at = page.find(&format!("```{name}\n")).unwrap_or_else(|| panic!("no block {name}"));
    let rest = &page[at + name.len() + 4..];
    rest[..rest.find("```").expect("the block ends")].replace('\n', "\r\n")
}

fn confidential(id: &str, content_type: &str, encoded: &str) -> String {
    format!(
        "From: {CLERK}\r\nTo: solicitor@law.test\r\nSubject: Staffing\r\nSensitivity: Company-Confidential\r\nMessage-ID: <{id}@wragby.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
    )
}

fn with_attachment(id: &str, content_type: &str, name: &str, encoded: &str) -> String {
    format!(
        "From: {CLERK}\r\nTo: solicitor@law.test\r\nSubject: [CONFIDENTIAL] Tender\r\nMessage-ID: <{id}@wragby.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n--b1\r\n\
         Content-Type: {content_type}; name={name}\r\nContent-Disposition: attachment; filename={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {encoded}\r\n--b1--\r\n"
    )
}

#[test]
fn case_1_seventeen_residents_in_to_are_hidden() {
    let (sink, gateway) = council("case-1");
    let all = residents();
    let body = "Dear residents,\r\n\r\n  odd   spacing stays \t\r\n.\r\n..dots\r\n\r\nresident0@gmail.com is not one of you\r\n";
    let content = letter("consultation", &all.join(",\r\n "), "Playground consultation", body);
    let reply = send(&gateway, "in", CLERK, &refs(&all), &content);
    assert_eq!((reply.code, &reply.lines[0][..]), (250, "2.0.0 kept"));
    let (before, notice) = until_notice(&sink, CLERK);
    let [arrived] = &before[..] else { panic!("{} messages", before.len()) };
    let wanted: Vec<String> = all.iter().map(|r| format!("RCPT TO:<{r}>")).collect();
    assert_eq!(arrived.recipients, wanted, "17 recipients");
    let head = head(arrived);
    assert!(head.contains("\r\nMessage-ID: <consultation@wragby.test>\r\n"), "Message-ID unchanged: {head}");
    assert!(head.contains("\r\nDate: Thu, 14 May 2026 10:00:00 +0100\r\n"), "{head}");
    assert!(text(arrived).ends_with(&format!("\r\n\r\n{body}\r\n")), "body bytes identical");
    assert!(head.starts_with("\r\nReceived: "), "{head}");
    for address in &all {
        assert!(!head.contains(&address[..]), "{address} in an output header:\n{head}");
    }
    for word in ["resident", "gmail.com", "btinternet", "Bcc", " for <"] {
        assert!(!head.contains(word), "{word:?} in an output header:\n{head}");
    }
    assert!(text(&notice).contains("17 addresses"), "{}", text(&notice));
    assert!(!text(&notice).contains("resident1"), "{}", text(&notice));
}

#[test]
fn a_large_message_is_rewritten_in_the_same_way() {
    let (sink, gateway) = council("large");
    let all = residents();
    let body = "..dots, and a line of some length that is repeated until it is large\r\n".repeat(30_000);
    let content = letter("large", &all.join(", "), "Plans", &body);
    assert_eq!(send(&gateway, "in", CLERK, &refs(&all), &content).code, 250);
    let (before, _) = until_notice(&sink, CLERK);
    let head = head(&before[0]);
    assert!(!head.contains("resident") && head.contains("undisclosed-recipients:;"), "{head}");
    assert!(before[0].content.ends_with(format!("\r\n\r\n{body}\r\n").as_bytes()), "body bytes identical");
}

#[test]
fn rules_are_rolled_out_from_observe_over_warn_to_enforce() {
    let secret = letter("secret", "jo@outside.test", "[CONFIDENTIAL] Tender", "Prices");
    let all = residents();
    let agenda = letter("agenda", &all.join(", "), "Agenda", "Text");
    for (mode, notices) in [("off", 0), ("observe", 0), ("warn", 2), ("enforce", 2)] {
        let sink = Sink::start(&["PIPELINING"]);
        let gateway = site(mode, sink.address).mode(mode).start();
        let enforced = mode == "enforce";
        assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &secret).code, if enforced { 550 } else { 250 }, "{mode}");
        assert_eq!(send(&gateway, "in", CLERK, &refs(&all), &agenda).code, 250, "{mode}");
        let mut arrived = Vec::new();
        eventually(&format!("{mode}: all that was to come"), || {
            arrived.extend(sink.take());
            (arrived.len() >= if enforced { 1 } else { 2 } + notices).then_some(())
        });
        let (told, delivered): (Vec<_>, Vec<_>) = arrived.iter().partition(|c| is_notice(c));
        assert_eq!(told.len(), notices, "{mode}: {}", told.iter().map(|c| text(c)).collect::<String>());
        if enforced {
            assert!(!head(delivered[0]).contains("resident"));
        } else {
            untouched(delivered[0], &secret);
            untouched(delivered[1], &agenda);
        }
        if mode == "warn" {
            assert!(told.iter().all(|c| !text(c).contains("was not sent. Nobody")), "{}", told.iter().map(|c| text(c)).collect::<String>());
        }
    }
}

#[test]
fn the_senders_override_in_the_subject_shows_the_recipients_and_is_cut() {
    let (sink, gateway) = council("override");
    let to = ["a@gmail.com", "b@sky.com", "c@aol.com"];
    let content = letter("override", &to.join(",  "), "Re: [show-recipients: they asked to] Fete committee", "Text");
    assert_eq!(send(&gateway, "in", CLERK, &to, &content).code, 250);
    let (before, notice) = until_notice(&sink, CLERK);
    untouched(&before[0], &content.replace("[show-recipients: they asked to] ", ""));
    assert!(text(&notice).contains("overrode"), "{}", text(&notice));
    // Without a reason it is no override.
    let content = content.replace(": they asked to", ":").replace("<override@", "<no-reason@");
    assert_eq!(send(&gateway, "in", CLERK, &to, &content).code, 250);
    let hidden = eventually("the second", || sink.take().into_iter().find(|c| !is_notice(c)));
    assert!(!text(&hidden).contains("gmail"), "{}", text(&hidden));
}

#[test]
fn case_2_nine_councillors_and_four_county_officers_byte_for_byte() {
    let (sink, gateway) = council("case-2");
    let councillors: Vec<String> = (1..=9).map(|n| format!("cllr{n}@wragby.test")).collect();
    let officers = ["a@lincolnshire.gov.uk", "b@lincolnshire.gov.uk", "c@LINCOLNSHIRE.gov.uk", "d@lincs.police.uk"];
    let content = format!(
        "From: {CLERK}\r\nTo: {}\r\nCc: a@lincolnshire.gov.uk,   b@lincolnshire.gov.uk, \"C, Officer\" <c@LINCOLNSHIRE.gov.uk>,\r\n\td@lincs.police.uk\r\n\
         Subject:  Highways\r\nX-Odd:tight\r\nMessage-ID: <x@wragby.test>\r\n\r\nDear all,\r\n",
        councillors.join(", ")
    );
    let to: Vec<&str> = councillors.iter().map(String::as_str).chain(officers).collect();
    assert_eq!(send(&gateway, "in", CLERK, &to, &content).code, 250);
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert_eq!(arrived.len(), 1, "nobody is told anything");
    untouched(&arrived[0], &content);
    assert_eq!(arrived[0].recipients.len(), 13);
}

#[test]
fn case_3_a_meeting_request_to_five_residents_is_untouched_and_the_sender_told() {
    let (sink, gateway) = council("case-3");
    let to = ["a@gmail.com", "b@gmail.com", "c@sky.com", "d@aol.com", "e@gmail.com"];
    let content = format!(
        "From: {CLERK}\r\nTo: {}\r\nSubject: Allotment meeting\r\nMessage-ID: <i@wragby.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:a@gmail.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        to.join(", ")
    );
    assert_eq!(send(&gateway, "in", CLERK, &to, &content).code, 250);
    let (before, notice) = until_notice(&sink, CLERK);
    assert_eq!(before.len(), 1);
    untouched(&before[0], &content);
    assert!(text(&notice).contains("5 outside addresses"), "{}", text(&notice));
}

#[test]
fn case_4_the_same_message_in_three_split_transactions_has_the_same_header_fields() {
    let (sink, gateway) = council("case-4");
    let content = format!(
        "From: {CLERK}\r\nTo: a@gmail.com, b@sky.com, Ann Elm <cllr.elm@wragby.test>\r\nCc: d@aol.com\r\nSubject: Verge cutting\r\nMessage-ID: <one@wragby.test>\r\n\r\nText\r\n"
    );
    for to in [&["a@gmail.com"][..], &["b@sky.com", "d@aol.com"], &["cllr.elm@wragby.test"]] {
        assert_eq!(send(&gateway, "in", CLERK, to, &content).code, 250);
    }
    let arrived = all_until_marker(&gateway, &sink, "in");
    let (notices, parts): (Vec<_>, Vec<_>) = arrived.iter().partition(|c| is_notice(c));
    assert_eq!((parts.len(), notices.len()), (3, 1), "three parts, and one notice for all of them");
    let fields: Vec<&[u8]> = parts.iter().map(|c| below_received(&c.content).expect("one Received field").1).collect();
    assert!(fields.windows(2).all(|w| w[0] == w[1]), "{}", parts.iter().map(|c| head(c)).collect::<String>());
    let fields = String::from_utf8_lossy(fields[0]);
    assert!(
        fields.contains("\r\nTo: Ann Elm <cllr.elm@wragby.test>\r\n") && !fields.contains("gmail") && !fields.contains("aol"),
        "{fields}"
    );
}

#[test]
fn case_5_a_forged_already_processed_header_is_stripped_and_the_message_evaluated() {
    let sink = Sink::start(&["PIPELINING"]);
    let stamp = "stamp = { field = \"X-Council-Gate\", key-file = \"stamp.key\" }";
    let rule = "[[rule]]\nid = \"no-second-pass\"\ntitle = \"Judged here\"\nwhen.listener = \"back\"\nwhen.subject.words = [\"verges\"]\nthen.reject = \"Not sent: judged again.\"\n";
    let gateway = site("case-5", sink.address)
        .listener("stamped", "connector", "none", "out", stamp)
        .listener("back", "connector", "none", "out", stamp)
        .file("stamp.key", base64(&[7; 32]))
        .rules(rule)
        .start();
    let to = ["a@gmail.com", "b@sky.com", "c@aol.com"];
    let genuine = letter("verges", &to.join(", "), "Cutting verges", "Text");
    let stamps = |c: &Captured| head(c).split("\r\n").filter(|l| l.to_ascii_lowercase().starts_with("x-council-gate:")).count();

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let forged = format!("X-Council-Gate: v1 t={now} h={}\r\nx-council-gate: yes\r\n{genuine}", "0".repeat(64));
    assert_eq!(send(&gateway, "stamped", CLERK, &to, &forged).code, 250);
    let arrived = &until_notice(&sink, CLERK).0[0];
    assert!(!text(arrived).contains("gmail.com"), "evaluated: {}", text(arrived));
    assert!(!text(arrived).contains(&"0".repeat(64)) && !text(arrived).contains(": yes"), "stripped: {}", text(arrived));
    assert_eq!(stamps(arrived), 1, "{}", text(arrived));

    // The true one comes back, with what a provider puts above it, and is not judged again; without it, it is.
    let back = format!("Received: from provider.test by mail.provider.test; Thu, 14 May 2026 10:00:00 +0100\r\n{}", text(arrived));
    let unstamped: String = text(arrived).split_inclusive("\r\n").filter(|l| !l.starts_with("X-Council-Gate:")).collect();
    assert_eq!(send(&gateway, "back", CLERK, &to, &unstamped).code, 550, "without a stamp it is judged");
    assert_eq!(send(&gateway, "back", CLERK, &to, &forged).code, 550, "with a forged one too");
    assert_eq!(send(&gateway, "back", CLERK, &to, &back.replace("Text", "Test")).code, 550, "a true one does not fit another body");
    assert_eq!(send(&gateway, "back", "chair@wragby.test", &to, &back).code, 550, "nor another sender");
    assert_eq!(send(&gateway, "back", CLERK, &to, &back).code, 250, "{}", gateway.tail(5));
    let again = eventually("the second pass", || sink.take().into_iter().find(|c| !is_notice(c)));
    assert_eq!(stamps(&again), 1, "{}", text(&again));
}

#[test]
fn case_6_signed_confidential_is_refused_and_enveloped_data_passes() {
    let (sink, gateway) = council("case-6");
    let signed = format!(
        "From: {CLERK}\r\nTo: solicitor@law.test\r\nSubject: Staffing\r\nSensitivity: Company-Confidential\r\nMessage-ID: <s@wragby.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\n\
         The tender prices.\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b1--\r\n"
    );
    let refusal = send(&gateway, "in", CLERK, &["solicitor@law.test"], &signed);
    assert_eq!(refusal.code, 550);
    let words = &refusal.lines[0];
    assert!(words.starts_with("5.7.1 Not sent: marked confidential but not encrypted.") && words.contains(" Ref LG-"), "{words}");
    assert!(words.len() <= 220 && words.is_ascii(), "{words}");

    let smime = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";
    let lying = confidential("lying", smime, &block("signed"));
    assert_eq!(send(&gateway, "in", CLERK, &["solicitor@law.test"], &lying).code, 550, "signed data under a lying smime-type");
    let enveloped = confidential("enveloped", smime, &block("enveloped"));
    assert_eq!(send(&gateway, "in", CLERK, &["solicitor@law.test"], &enveloped).code, 250);
    let arrived = all_until_marker(&gateway, &sink, "in");
    let (notices, delivered): (Vec<_>, Vec<_>) = arrived.iter().partition(|c| is_notice(c));
    assert_eq!((delivered.len(), notices.len()), (1, 2));
    untouched(delivered[0], &enveloped);
    assert!(text(notices[0]).contains("not sent") && text(notices[0]).contains("LG-"), "{}", text(notices[0]));
}

#[test]
fn case_7_a_zip_with_one_clear_member_and_a_permissions_only_pdf_are_refused() {
    let (sink, gateway) = council("case-7");
    let pdf = |bytes: &[u8]| base64(bytes).as_bytes().chunks(76).map(|l| format!("{}\r\n", String::from_utf8_lossy(l))).collect::<String>();
    let cases = [
        (550, with_attachment("mixed", "application/zip", "tender.zip", &block("mixed"))),
        (250, with_attachment("locked", "application/zip", "tender.zip", &block("locked"))),
        (550, with_attachment("permissions", "application/pdf", "tender.pdf", &pdf(include_bytes!("permissions-only.pdf")))),
        (250, with_attachment("password", "application/pdf", "tender.pdf", &pdf(include_bytes!("needs-password.pdf")))),
    ];
    for (code, content) in &cases {
        let reply = send(&gateway, "in", CLERK, &["solicitor@law.test"], content);
        assert_eq!(reply.code, *code, "{reply:?}\n{content}");
    }
    let arrived = all_until_marker(&gateway, &sink, "in");
    let (notices, delivered): (Vec<_>, Vec<_>) = arrived.iter().partition(|c| is_notice(c));
    assert_eq!((delivered.len(), notices.len()), (2, 2));
    untouched(delivered[0], &cases[1].1);
    untouched(delivered[1], &cases[3].1);
    assert!(text(notices[0]).contains("tender.zip") && text(notices[1]).contains("tender.pdf"));
}

#[test]
fn case_8_confidential_in_the_footer_passes() {
    let (sink, gateway) = council("case-8");
    let footer = "The hedge is cut on Monday.\r\n\r\n--\r\nThis e-mail and its attachments are confidential and intended solely for the addressee.\r\n\
                  CONFIDENTIAL - if you have received it in error, delete it.";
    let content = letter("hedge", "resident@gmail.com", "Re: Hedge", footer);
    assert_eq!(send(&gateway, "in", CLERK, &["resident@gmail.com"], &content).code, 250);
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert_eq!(arrived.len(), 1);
    untouched(&arrived[0], &content);
}

#[test]
fn case_9_a_reply_to_a_resident_at_gmail_no_warning_and_fw_to_ones_own_gmail_a_warning() {
    let (sink, gateway) = council("case-9");
    let jane = "cllr.ashby@wragby.test";
    let quoted = "I have told the county.\r\n\r\n-----Original Message-----\r\nFrom: Tom Walker <tom.walker@gmail.com>\r\nSent: Monday\r\nTo: Jane Ashby\r\nSubject: Street lamp\r\n\r\nIt is dark.\r\n";
    let reply = format!(
        "From: Jane Ashby <{jane}>\r\nTo: Tom Walker <tom.walker@gmail.com>\r\nSubject: Re: Street lamp\r\nIn-Reply-To: <q@mail.gmail.com>\r\nMessage-ID: <r@wragby.test>\r\n\r\n{quoted}"
    );
    assert_eq!(send(&gateway, "in", jane, &["tom.walker@gmail.com"], &reply).code, 250);
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert_eq!(arrived.len(), 1, "no warning");
    untouched(&arrived[0], &reply);

    let forward = format!(
        "From: Jane Ashby <{jane}>\r\nTo: jane.ashby57@gmail.com\r\nSubject: FW: Budget\r\nMessage-ID: <f@wragby.test>\r\n\r\n---------- Forwarded message\r\n"
    );
    assert_eq!(send(&gateway, "in", jane, &["jane.ashby57@gmail.com"], &forward).code, 250);
    let (before, notice) = until_notice(&sink, jane);
    let delivered = before.iter().find(|c| !is_notice(c)).expect("it is delivered");
    untouched(delivered, &forward);
    assert!(text(&notice).contains("personal account"), "{}", text(&notice));
}

#[test]
fn case_10_a_label_of_another_tenant_is_ignored() {
    let sink = Sink::start(&["PIPELINING"]);
    let label = "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab";
    let ours = "11111111-2222-3333-4444-555555555555";
    let gateway = site("case-10", sink.address).table(&format!("[markings]\nlabels = [\"{label}\"]\nsite-id = \"{ours}\"")).start();
    let labelled = |tenant: &str| {
        format!(
            "msip_labels: MSIP_Label_{label}_Enabled=true;\r\n MSIP_Label_{label}_SiteId={tenant};\r\n{}",
            letter("grant", "resident@gmail.com", "Re: Grant", "Thanks.")
        )
    };
    let other = labelled("99999999-2222-3333-4444-555555555555");
    assert_eq!(send(&gateway, "in", CLERK, &["resident@gmail.com"], &other).code, 250);
    untouched(&sink.take()[0], &other);
    assert_eq!(send(&gateway, "in", CLERK, &["resident@gmail.com"], &labelled(ours)).code, 550);
}

#[test]
fn case_11_an_outbox_that_retries_five_times_gets_one_notice() {
    let (sink, gateway) = council("case-11");
    let content = letter("stuck", "solicitor@law.test", "[CONFIDENTIAL] Tender", "The prices.");
    let mut replies = Vec::new();
    for _ in 0..5 {
        let reply = send(&gateway, "in", CLERK, &["solicitor@law.test"], &content);
        assert_eq!(reply.code, 550);
        replies.push(reply.lines[0].rsplit_once("Ref ").expect("a reference").1.to_string());
    }
    replies.sort();
    replies.dedup();
    assert_eq!(replies.len(), 5, "each try has its own reference");
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert_eq!(arrived.len(), 1, "one notice");
    assert!(is_notice(&arrived[0]) && text(&arrived[0]).contains("<stuck@wragby.test>"));
}

#[test]
fn case_14_upstream_432_the_client_hears_4xx() {
    let said = "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded";
    for verb in ["MAIL", "RCPT", "DATA", "."] {
        let provider = Provider::start(Behaviour { says: vec![(verb, said.into())], ..Behaviour::default() });
        let gateway = site("case-14", provider.address).start();
        let reply = send(&gateway, "in", CLERK, &["jo@outside.test"], &letter("p", "jo@outside.test", "Paced", "x"));
        // Verbatim, but to DATA: the client's was answered before the verdict, so it hears the words after its content.
        assert_eq!((reply.code, &reply.lines[0][..]), (432, &said[4..]), "{verb}");
    }
    let provider = Provider::start(Behaviour { auth: Some("PLAIN"), says: vec![("AUTH", said.into())], ..Behaviour::default() });
    let gateway =
        Site::new("case-14").listener("in", "submission", "none", "out", "").upstream("out", provider.address, "none", "").start();
    let reply = greeted(&gateway, "in").command(&format!("AUTH PLAIN {}", base64(b"\0me\0secret"))).expect("an answer");
    assert_eq!((reply.code, &reply.lines[0][..]), (432, &said[4..]));
}

#[test]
fn case_16_xoauth2_passes_and_the_token_is_in_no_log() {
    const TOKEN: &str = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
    let provider =
        Provider::start(Behaviour { tls: true, auth: Some("XOAUTH2 OAUTHBEARER PLAIN"), login_required: true, ..Behaviour::default() });
    for level in ["debug", "trace"] {
        let gateway = Site::new("case-16")
            .listener("in", "submission", "starttls", "out", "")
            .upstream("out", provider.address, "starttls", "")
            .environment("LYCHGATE_LOG", level)
            .start();
        for mechanism in ["XOAUTH2", "OAUTHBEARER", "PLAIN"] {
            let secret = match mechanism {
                "XOAUTH2" => format!("user={CLERK}\x01auth=Bearer {TOKEN}\x01\x01"),
                "OAUTHBEARER" => format!("n,a={CLERK},\x01auth=Bearer {TOKEN}\x01\x01"),
                _ => format!("\0{CLERK}\0{TOKEN}"),
            };
            let mut client = greeted(&gateway, "in").start_tls().expect("TLS");
            assert!(client.command("EHLO client.example").expect("an answer").ok());
            // Once with an initial response, once after a challenge.
            let encoded = base64(secret.as_bytes());
            let reply = if level == "debug" {
                client.command(&format!("AUTH {mechanism} {encoded}"))
            } else {
                assert_eq!(client.command(&format!("AUTH {mechanism}")).expect("an answer").code, 334, "{mechanism}");
                client.command(&encoded)
            };
            assert_eq!(reply.expect("an answer").code, 235, "{mechanism}");
            assert_eq!(transact(&mut client, CLERK, &["jo@outside.test"], &letter("t", "jo@outside.test", "By token", "x")).code, 250);
            let heard = provider.heard().auth.last().expect("it was asked").clone();
            assert!(heard.contains(&encoded), "{mechanism} arrived as {heard}");
            let log = gateway.log();
            for secret in
                [TOKEN, &encoded, &encoded[40..80], &base64(TOKEN.as_bytes())[..40], &base64(format!(" {TOKEN}").as_bytes())[4..44]]
            {
                assert!(!log.contains(secret), "{mechanism}: {secret} is in the {level} log");
            }
        }
        assert!(gateway.log().lines().count() > 5, "the {level} log says something");
    }
    assert!(provider.heard().by.iter().all(|by| *by));
}
