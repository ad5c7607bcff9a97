//! The Clerk's desk in a real browser: on a desk and on a telephone, with scripts and without.

use std::collections::BTreeSet;

use super::features::*;
use crate::support::browser::{Browser, Size};
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::{Captured, Sink};
use crate::support::{CLERK, loopback, port, say};

mod accessibility;
mod mine;
mod papers;
mod people;
mod rights;
mod rules;
#[cfg(feature = "saml")]
mod saml;
mod security;
mod tasks;
mod today;
mod tour;

const CHAIR: &str = "chair@wragby.test";
const ELM: &str = "cllr.elm@wragby.test";

const RULES: &str = r#"
[[rule]]
id = "fruit"
title = "Fruit is for the Clerk to see"
when.subject.words = ["apples"]
then.hold = { by = "clerk", for = "7d" }

[[rule]]
id = "mean-it"
title = "Many outsiders: did you mean this?"
when.direction = "outbound"
when.visible-external.at-least = 3
then.hold = { by = "sender", for = "1h" }

[[rule]]
id = "no-pears"
title = "No pears"
when.subject.words = ["pears"]
then.reject = "Not sent: it has pears."
"#;

struct Council {
    gateway: Gateway,
    sink: Sink,
    url: String,
}

/// Who there is beside the Clerk and the Chair.
const PEOPLE: &str = "[people]\ncouncillors = [\"Ann Elm <cllr.elm@wragby.test>\", \"Ben Oak <cllr.oak@wragby.test>\"]\nstaff = [\"Jo Deputy <deputy@wragby.test>\"]\n";

impl Council {
    fn start(name: &str) -> Council {
        Council::start_with(name, "", PEOPLE)
    }

    /// With further rules and tables.
    fn start_with(name: &str, rules: &str, tables: &str) -> Council {
        let bind = loopback(port());
        Council::made(name, &bind.to_string(), format!("http://{bind}"), "", |site| site.rules(rules).table(tables))
    }

    /// With more in its site file.
    fn with(name: &str, more: impl FnOnce(Site) -> Site) -> Council {
        let bind = loopback(port());
        Council::made(name, &bind.to_string(), format!("http://{bind}"), "", |site| more(site.table(PEOPLE)))
    }

    /// With the console there, further tables of its own, and files beside the site file.
    #[cfg(feature = "saml")]
    fn at(name: &str, bind: &str, url: String, tables: &str, files: &[(&str, &str)]) -> Council {
        let files = |site| files.iter().fold(site, |site: Site, (name, content)| site.file(name, *content));
        Council::made(name, bind, url, tables, |site| files(site).table(PEOPLE))
    }

    fn made(name: &str, bind: &str, url: String, tables: &str, more: impl FnOnce(Site) -> Site) -> Council {
        let sink = Sink::start(&["PIPELINING", "8BITMIME", "DSN"]);
        let site = Site::new(name)
            .rules(RULES)
            .listener("in", "connector", "none", "out", "")
            .upstream("out", sink.address, "none", "")
            .table(&format!("[console]\nbind = \"{bind}\"\nurl = \"{url}\"\n{tables}"));
        let gateway = more(site).start();
        Council { gateway, sink, url }
    }

    /// A message of a councillor's; its code.
    fn mail(&self, id: &str, to: &[&str], subject: &str, text: &str) -> u16 {
        self.mail_of(ELM, id, to, subject, text).code
    }

    /// The same of somebody else's; all that was answered.
    fn mail_of(&self, from: &str, id: &str, to: &[&str], subject: &str, text: &str) -> crate::support::client::Reply {
        let content = letter(id, &to.join(", "), subject, text).replace(&format!("Parish Clerk <{CLERK}>"), &format!("Somebody <{from}>"));
        send(&self.gateway, "in", from, to, &content)
    }

    /// The link in the latest letter to somebody, which starts so.
    fn link_for(&self, address: &str, starts: &str) -> String {
        let wanted = format!("{}{starts}", self.url);
        eventually("a letter with a link", || {
            let found = self.sink.take().into_iter().rev().find(|c: &Captured| {
                c.recipients == [format!("RCPT TO:<{address}>")] && String::from_utf8_lossy(&c.content).contains(&wanted)
            })?;
            let text = String::from_utf8_lossy(&found.content).replace("=\r\n", "").replace("=3D", "=");
            let at = text.find(&wanted)?;
            Some(text[at..].split_whitespace().next()?.to_string())
        })
    }

    /// Signs somebody in, as they would: by the link in their mail and the button behind it.
    fn sign_in(&self, browser: &Browser, address: &str) {
        browser.go(&format!("{}/sign-in", self.url));
        browser.write("#address", address);
        browser.press_what_says("Send me a link");
        assert!(browser.text().contains("Look at your mail"), "{}", browser.text());
        browser.go(&self.link_for(address, "/sign-in/link?key="));
        browser.press_what_says("Sign in");
        assert!(browser.text().contains("Sign out"), "{}", browser.text());
    }
}

/// Both sizes, with scripts and without.
const WAYS: [(Size, bool); 3] = [(Size::Desktop, true), (Size::Phone, true), (Size::Phone, false)];
