//! The Clerk's desk in a real browser: on a desk and on a telephone, with scripts and without.

use std::collections::BTreeSet;

use super::features::*;
use crate::support::browser::{Browser, Size};
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::{Captured, Sink};
use crate::support::{CLERK, loopback, port, say};

mod accessibility;
#[cfg(feature = "saml")]
mod saml;
mod security;
mod tasks;

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

impl Council {
    fn start(name: &str) -> Council {
        let bind = loopback(port());
        Council::at(name, &bind.to_string(), format!("http://{bind}"), "", &[])
    }

    /// With the console there, further tables of the site file, and files beside it.
    fn at(name: &str, bind: &str, url: String, tables: &str, files: &[(&str, &str)]) -> Council {
        let sink = Sink::start(&["PIPELINING", "8BITMIME", "DSN"]);
        let site = files.iter().fold(Site::new(name), |site, (name, content)| site.file(name, *content));
        let gateway = site
            .rules(RULES)
            .listener("in", "connector", "none", "out", "")
            .upstream("out", sink.address, "none", "")
            .table(&format!("[console]\nbind = \"{bind}\"\nurl = \"{url}\"\n{tables}"))
            .start();
        Council { gateway, sink, url }
    }

    /// A message of a councillor's; its code.
    fn mail(&self, id: &str, to: &[&str], subject: &str, text: &str) -> u16 {
        let content = letter(id, &to.join(", "), subject, text).replace(&format!("Parish Clerk <{CLERK}>"), &format!("Cllr Elm <{ELM}>"));
        send(&self.gateway, "in", ELM, to, &content).code
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
