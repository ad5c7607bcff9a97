//! Hiding recipients: nobody who was to be hidden can be read from the output by a search that knows no grammar; nothing else changes.

use std::collections::HashSet;
use std::sync::LazyLock;

use lychgate::message::rewrite::{WhatIfToEmpty, hide_recipients};
use lychgate::message::{EditPlan, Field, Mailbox, RawMessage, Splice, View, words};
use lychgate::smtp::address::normal;
use regex_automata::meta::Regex;

use super::mail::wire;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "hide",
    run,
    seeds: || {
        super::messages(&[
            "From: clerk@wragby.uk\nTo: a@x.uk, Clerk <clerk@wragby.uk>,\n b@y.uk (for c@z.uk)\nCc: \"d@x.uk\" <chair@wragby.uk>\nBcc: all: e@x.uk;\nSubject: x\n\nbody a@x.uk\n",
            "Delivered-To: a@x.uk\nFrom: clerk@wragby.uk\nReply-To: a@x.uk, b@y.uk\nTo: =?utf-8?Q?a=40x.uk?= <clerk@wragby.uk>\nTo: a@@b@ junk, clerk@wragby.uk\n\n",
            "From: clerk@wragby.uk\nTo: <@r.uk:a@x.uk>, \"a b\"@x.uk, a@[192.0.2.1]\n\n",
            "From: Jo <a@x.or<a@x.org.za>\nTo: b@y.uk\n\nThe name beside the author's address is an address too.\n",
            "From: clerk@wragby.uk\nTo: =?utFrom:om: c$lerk@wukf-8?Q?a=40x.uk?= <clerk@wragby.uk>\n\n",
            "Received: from a by b for <a@x.uk>; now\nX-Log: sent to a@x.uk\nReturn-Receipt-To: b@y.uk\nFrom: clerk@wragby.uk\nTo: a@x.uk, b@y.uk\n\n",
            "From: clerk@wragby.uk\nCc: <boss@nil.tek@wragby.uk>\n\n",
            "To: b@y.uk\nFrom: s@x.co.\0\0uk\u{16}(Sebastian)\n\n",
            "To: \"unclosed a@x.uk, clerk@wragby.uk\n\n",
        ])
    },
    given: Given::Messages,
};

/// Fields that must show nobody; Reply-To may keep one outsider, since that is where the sender wants answers.
const FIELDS: [&str; 8] = ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc", "Apparently-To", "Mail-Followup-To"];

static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}").expect("the expression is fixed"));

/// Fields in which programs note recipients, and what is no address list of the reader's.
const NOTED: [&str; 6] = ["Reply-To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Rcpt-To"];
/// Who wrote, what threads hang on, what reads or proves the body, and the hops.
const NEEDED: [&str; 16] = [
    "From",
    "Sender",
    "Resent-From",
    "Resent-Sender",
    "Return-Path",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "DKIM-Signature",
    "Authentication-Results",
    "Received-SPF",
    "Received",
    "Reply-To",
];

fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// It is no piece of something longer, which would be no address or another one.
fn stands_alone(text: &str, range: std::ops::Range<usize>) -> bool {
    let joins = |c: char| c.is_alphanumeric() || !c.is_ascii() || "!#$%&'*/=?^_`{|}~@".contains(c);
    !text[..range.start].chars().next_back().is_some_and(joins) && !text[range.end..].chars().next().is_some_and(joins)
}

fn run(octets: &[u8]) {
    let raw = wire(octets);
    let message = RawMessage::new(raw.clone());
    for if_empty in [WhatIfToEmpty::UndisclosedRecipients, WhatIfToEmpty::Sender] {
        let view = View::new(&raw);
        let keep = |m: &Mailbox| m.domain.eq_ignore_ascii_case("wragby.uk");
        let mut plan = EditPlan::new();
        let hidden = hide_recipients(&view, &keep, if_empty.clone(), &mut plan);
        let out = Splice::apply(&message, &plan).to_vec();
        let after = View::new(&out);
        assert_eq!(after.body(), view.body(), "the body changed");
        assert!(plan.edits().iter().all(|e| e.range.end <= view.header_end()));

        // Fields that can name nobody leave as they came, in their order.
        let nobody = |view: &View<'_>| -> Vec<Vec<u8>> {
            let named = |f: &&Field| view.raw_body(f).contains(&b'@') || view.text(f).contains('@');
            let other = |f: &&Field| !named(f) && !is_any(view.name(f), &FIELDS) && !is_any(view.name(f), &NOTED);
            view.fields().iter().filter(other).map(|f| view.raw()[f.whole.clone()].to_vec()).collect()
        };
        let mut left = nobody(&after).into_iter();
        for field in nobody(&view) {
            assert!(left.any(|f| f == field), "{} is gone", String::from_utf8_lossy(&field));
        }

        // Whom From shows may stay.
        let authors: HashSet<String> =
            view.named("From").flat_map(|f| view.addresses(f)).flat_map(|e| e.mailboxes().iter().map(Mailbox::normal).collect::<Vec<_>>()).collect();
        // Readers pass over blanks and control characters within an address.
        let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        let from_shows: String =
            view.named("From").map(|f| squeezed(&String::from_utf8_lossy(view.raw_body(f))) + "\n" + &squeezed(&view.text(f)) + "\n").collect();
        for name in FIELDS {
            for field in after.named(name) {
                for mailbox in after.addresses(field).iter().flat_map(|e| e.mailboxes().to_vec()) {
                    assert!(keep(&mailbox) || authors.contains(&mailbox.normal()), "{mailbox:?} is still read in {name}");
                }
                let raw_text = String::from_utf8_lossy(after.raw_body(field)).into_owned();
                for text in [raw_text.as_str(), &words::decode(after.raw_body(field))] {
                    for found in ADDRESS.find_iter(text) {
                        if !stands_alone(text, found.range()) {
                            continue;
                        }
                        let (local, domain) = text[found.range()].rsplit_once('@').expect("it has one");
                        let kept = domain.eq_ignore_ascii_case("wragby.uk") || authors.contains(&normal(local, domain));
                        let from = from_shows.contains(&text[found.range()]);
                        assert!(kept || from, "{:?} is still shown in {name}: {text:?}", &text[found.range()]);
                    }
                }
            }
        }

        // Nor does any other field name somebody who was hidden, but those that readers and servers need.
        let of = |name: &str, view: &View<'_>| -> Vec<Mailbox> {
            view.named(name).flat_map(|f| view.addresses(f)).flat_map(|e| e.mailboxes().to_vec()).collect()
        };
        let gone: HashSet<String> = FIELDS
            .iter()
            .flat_map(|name| of(name, &view))
            .filter(|m| !keep(m) && !authors.contains(&m.normal()))
            .map(|m| m.normal())
            .collect();
        let needed = |name: &str| {
            let name = name.to_ascii_lowercase();
            is_any(&name, &NEEDED) || ["content-", "arc-", "list-"].iter().any(|p| name.starts_with(p)) || name.contains("loop")
        };
        for field in after.fields().iter().filter(|f| !needed(after.name(f))) {
            let text = after.text(field);
            for found in ADDRESS.find_iter(text.as_bytes()).filter(|m| stands_alone(&text, m.range())) {
                let (local, domain) = text[found.range()].rsplit_once('@').expect("it has one");
                assert!(!gone.contains(&normal(local, domain)), "{:?} is still named in {}", &text[found.range()], after.name(field));
            }
        }

        // Once is enough.
        let again = RawMessage::new(out.clone());
        let mut plan = EditPlan::new();
        hide_recipients(&after, &keep, if_empty, &mut plan);
        assert_eq!(String::from_utf8_lossy(&Splice::apply(&again, &plan).to_vec()), String::from_utf8_lossy(&out), "a second time changes more");
        if hidden.fields.is_empty() {
            assert_eq!(out, raw);
        }
    }
}
