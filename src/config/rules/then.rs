//! Actions as they are written, to [`Actions`].

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Reader, Value, in_order, kind};
use super::{Loading, RULE, words};
use crate::config::{spelling, units};
use crate::policy::rule::{Actions, Banner, HELD_FOR, Hiding, Hold};
use crate::policy::say::Template;
use crate::policy::{Person, RecordLevel};
use crate::smtp::Address;
use crate::smtp::address::Charset;

pub const RECORD: &[&str] = &["nothing", "count", "metadata", "evidence"];

/// Fields that a message cannot lose, or that say who sent it.
const KEPT: &[&str] = &[
    "from",
    "sender",
    "date",
    "message-id",
    "received",
    "to",
    "cc",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "return-path",
    "subject",
];

pub fn record_level(word: &str) -> Option<RecordLevel> {
    match word {
        "nothing" => Some(RecordLevel::Nothing),
        "count" => Some(RecordLevel::Count),
        "metadata" => Some(RecordLevel::Metadata),
        "evidence" => Some(RecordLevel::Evidence),
        _ => None,
    }
}

impl<'a> Loading<'a, '_> {
    /// A rule's `then`.
    pub(super) fn then(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>) -> Actions {
        let mut actions = Actions::default();
        let Some(value) = table.get("then") else { return actions };
        let DeValue::Table(then) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`then` takes actions, and this is {}", kind(value.get_ref())),
                "Write then.notify = [\"clerk\"].",
                self.d,
            );
            return actions;
        };
        for (key, value) in in_order(then) {
            self.action(reader, key, value, &mut actions);
        }
        actions
    }

    fn action(&mut self, reader: Reader<'a>, key: &Spanned<std::borrow::Cow<'a, str>>, value: &'a Value<'a>, actions: &mut Actions) {
        let word: &str = key.get_ref();
        match word {
            _ if !words::is_action(word) && RULE.contains(&word) => {
                reader.error(
                    key.span(),
                    format!("`{word}` stands under [rule.then] and belongs to the rule"),
                    format!("Move the line with `{word}` up, above [rule.then]."),
                    self.d,
                );
            }
            // The documented words are the door: what is not among them is read by no arm below.
            _ if !words::is_action(word) => {
                let help = match spelling::nearest(word, words::actions()) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("These are: {}.", words::actions().collect::<Vec<_>>().join(", ")),
                };
                reader.error(key.span(), format!("there is no action `{word}`"), help, self.d);
            }
            "reject" => actions.reject = self.reply(reader, value, word),
            "defer" => actions.defer = self.reply(reader, value, word),
            "hold" => actions.hold = self.hold(reader, value),
            "hide-recipients" => match reader.one_of(value, word, &["bcc", "split"], self.d).as_deref() {
                Some("bcc") => actions.hide_recipients = Some(Hiding::Bcc),
                Some(_) => actions.hide_recipients = Some(Hiding::Split),
                None => {}
            },
            "notify" => self.notify(reader, value, actions),
            "tag-subject" => {
                if let Some(tag) = reader.text_of(value, word, self.d) {
                    actions.tag_subject = self.tag(reader, &tag, "tag-subject");
                }
            }
            "add-header" => self.add_header(reader, value, actions),
            "remove-header" => {
                for name in reader.texts_of(value, word, self.d) {
                    let lower = name.get_ref().to_ascii_lowercase();
                    if !is_field_name(&lower) {
                        reader.error(
                            name.span(),
                            format!("\"{}\" is not the name of a header field", name.get_ref()),
                            "Write the name without the colon: [\"Reply-To\"].",
                            self.d,
                        );
                    } else if KEPT.contains(&lower.as_str()) || lower.starts_with("resent-") {
                        reader.error(
                            name.span(),
                            format!("the field {} cannot be removed", name.get_ref()),
                            "A message needs it. `hide-recipients` and `tag-subject` change To, Cc and Subject.",
                            self.d,
                        );
                    } else {
                        actions.remove_header.push(name.into_inner());
                    }
                }
            }
            "record" => actions.record = reader.one_of(value, word, RECORD, self.d).and_then(|w| record_level(&w)),
            "drop" => actions.drop = reader.boolean(value, word, self.d).unwrap_or(false),
            "copy-to" => actions.copy_to = self.receivers(reader, value, word),
            "redirect-to" => actions.redirect_to = self.receivers(reader, value, word),
            "redirect" => self.redirect(reader, value, actions),
            "banner" => actions.banner = self.banner(reader, value),
            "require-tls" => actions.require_tls = reader.one_of(value, word, &["verified"], self.d).is_some(),
            "sign" => {
                actions.sign = reader.one_of(value, word, &["dkim"], self.d).is_some();
                if actions.sign && !self.site.sources.signing {
                    let help = "Add [[dkim]] to the site file, with selector and key-file, or delete the line.";
                    reader.warning(key.span(), "nothing is signed: the site has no key to sign with", help, self.d);
                }
            }
            _ => {}
        }
    }

    fn tag(&mut self, reader: Reader<'a>, tag: &Spanned<String>, what: &str) -> Option<String> {
        let text = tag.get_ref().trim();
        let good = !text.is_empty() && !text.chars().any(char::is_control) && text.chars().count() <= 40;
        if !good {
            let help = format!("Write {what} = \"[External]\", at most 40 characters.");
            reader.error(tag.span(), "a tag is a short text on one line", help, self.d);
        }
        good.then(|| text.to_string())
    }

    /// `"text"`, or `{ text = "…", tag = "[External]" }`: the tag is for the subject of mail whose body cannot be changed.
    fn banner(&mut self, reader: Reader<'a>, value: &'a Value<'a>) -> Option<Banner> {
        let (text, tag) = match value.get_ref() {
            DeValue::Table(table) => {
                reader.only(table, &["text", "tag"], "banner", self.d);
                let tag = reader.text(table, "tag", self.d);
                if table.get("text").is_none() {
                    reader.error(
                        value.span(),
                        "`banner` has no text",
                        "Write then.banner = \"This came from outside the council.\".",
                        self.d,
                    );
                }
                (reader.text(table, "text", self.d)?, tag.and_then(|t| self.tag(reader, &t, "tag")))
            }
            _ => (reader.text_of(value, "banner", self.d)?, None),
        };
        if text.get_ref().trim().is_empty() || text.get_ref().chars().count() > 500 {
            reader.error(
                text.span(),
                "a banner is a paragraph of at most 500 characters",
                "Say in a sentence what the reader should do.",
                self.d,
            );
            return None;
        }
        Some(Banner { text: self.template(reader, &text)?, tag: tag.unwrap_or_else(|| "[External]".to_string()) })
    }

    /// Whole addresses, `@clerk` or `@chair`: who gets a message must be as certain as its envelope.
    fn receivers(&mut self, reader: Reader<'a>, value: &Value<'a>, what: &str) -> Vec<Address> {
        let texts = reader.texts_of(value, what, self.d);
        texts.iter().filter_map(|text| self.receiver(reader, text, what)).collect()
    }

    fn receiver(&mut self, reader: Reader<'a>, text: &Spanned<String>, what: &str) -> Option<Address> {
        let written = text.get_ref().trim();
        let (address, place) = match written {
            "@clerk" => (self.site.council.clerk.as_deref(), "clerk"),
            "@chair" => (self.site.council.chair.as_deref(), "chair"),
            other => (Some(other), ""),
        };
        let Some(address) = address else {
            let help = format!("Add {place} = \"…\" under [council] in the site file.");
            reader.error(text.span(), format!("the site file does not say who the {place} is"), help, self.d);
            return None;
        };
        let parsed = Address::parse(address, Charset::Ascii).ok().filter(|a| !a.domain().is_empty());
        if parsed.is_none() {
            let help = format!("Write {what} = [\"clerk@x.gov.uk\"], or \"@clerk\" or \"@chair\".");
            reader.error(text.span(), format!("\"{written}\" is not one whole address"), help, self.d);
        }
        parsed
    }

    /// `{ "cllr.elm@x.uk" = "@clerk" }`.
    fn redirect(&mut self, reader: Reader<'a>, value: &'a Value<'a>, actions: &mut Actions) {
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`redirect` takes who and to whom, and this is {}", kind(value.get_ref())),
                "Write then.redirect = { \"cllr.elm@x.gov.uk\" = \"@clerk\" }; for everybody use redirect-to.",
                self.d,
            );
            return;
        };
        for (from, to) in in_order(table) {
            let from = Spanned::new(from.span(), from.get_ref().to_string());
            let who = self.lists.who(reader, &[from], self.d);
            let Some(to) = reader.text_of(to, "redirect", self.d) else { continue };
            if let Some(to) = self.receiver(reader, &to, "redirect") {
                actions.redirect.push((who, to));
            }
        }
    }

    /// The text that a client hears.
    fn reply(&mut self, reader: Reader<'a>, value: &Value<'a>, what: &str) -> Option<Template> {
        let text = reader.text_of(value, what, self.d)?;
        let written = text.get_ref().trim();
        if written.is_empty() {
            reader.error(text.span(), "the sender must hear why", format!("Write {what} = \"Not sent: … Do this, then resend.\"."), self.d);
            return None;
        }
        if let Some(c) = written.chars().find(|c| !matches!(c, ' '..='~')) {
            let message = match c {
                '\u{2018}'..='\u{201f}' => format!("a client would show ? for the curly quote {c}"),
                c if c.is_control() => "this text has a control character in it".to_string(),
                c => format!("a client would show ? for {c}"),
            };
            reader.warning(text.span(), message, "Use plain letters, straight quotes and hyphens: replies are ASCII.", self.d);
        }
        if written.chars().count() > 200 {
            reader.warning(
                text.span(),
                "this text is longer than 200 characters, and many clients cut it",
                "Say first what to do; the rest can stand in `say`.",
                self.d,
            );
        }
        self.template(reader, &Spanned::new(text.span(), written.to_string()))
    }

    fn hold(&mut self, reader: Reader<'a>, value: &'a Value<'a>) -> Option<Hold> {
        let example = "Write then.hold = { by = \"clerk\", for = \"7d\" }.";
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`hold` takes who decides and for how long, and this is {}", kind(value.get_ref())),
                example,
                self.d,
            );
            return None;
        };
        reader.only(table, &["by", "for", "then"], "hold", self.d);
        let by = match reader.word(table, "by", &["clerk", "chair", "sender"], self.d).as_deref() {
            Some("chair") => Person::Chair,
            Some("sender") => Person::Sender,
            Some(_) => Person::Clerk,
            None => {
                if table.get("by").is_none() {
                    reader.error(value.span(), "`hold` does not say who decides", example, self.d);
                }
                return None;
            }
        };
        let within = match reader.text(table, "for", self.d) {
            Some(text) => match units::duration(text.get_ref()) {
                Ok(duration) => duration.as_secs(),
                Err(fault) => {
                    reader.error(text.span(), fault.message, fault.help, self.d);
                    return None;
                }
            },
            None => HELD_FOR,
        };
        let release = reader.word(table, "then", &["return", "release"], self.d).as_deref() == Some("release");
        Some(Hold { by, within, release })
    }

    fn notify(&mut self, reader: Reader<'a>, value: &'a Value<'a>, actions: &mut Actions) {
        let to = match value.get_ref() {
            DeValue::Table(table) => {
                reader.only(table, &["to", "every"], "notify", self.d);
                if let Some(every) = reader.text(table, "every", self.d) {
                    match units::duration(every.get_ref()) {
                        Ok(duration) if duration > crate::config::rules::LONGEST_EVERY => reader.error(
                            every.span(),
                            "it is not remembered for so long who was told",
                            "Write at most every = \"7d\".",
                            self.d,
                        ),
                        Ok(duration) => actions.notify_every = Some(duration.as_secs()),
                        Err(fault) => reader.error(every.span(), fault.message, fault.help, self.d),
                    }
                }
                match table.get("to") {
                    Some(to) => to,
                    None => {
                        reader.error(
                            value.span(),
                            "`notify` does not say whom",
                            "Write notify = { to = [\"clerk\"], every = \"1d\" }.",
                            self.d,
                        );
                        return;
                    }
                }
            }
            _ => value,
        };
        for word in reader.several(to, "notify", &["sender", "clerk", "chair"], self.d) {
            let person = match word.as_str() {
                "sender" => Person::Sender,
                "clerk" => Person::Clerk,
                _ => Person::Chair,
            };
            let missing = match person {
                Person::Sender => false,
                Person::Clerk => self.site.council.clerk.is_none(),
                Person::Chair => self.site.council.chair.is_none(),
            };
            if missing {
                reader.warning(
                    to.span(),
                    format!("the {word} is to be told, and the site file does not say who that is"),
                    format!("Add {word} = \"…\" under [council] in the site file."),
                    self.d,
                );
            }
            if !actions.notify.contains(&person) {
                actions.notify.push(person);
            }
        }
    }

    fn add_header(&mut self, reader: Reader<'a>, value: &'a Value<'a>, actions: &mut Actions) {
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`add-header` takes names and values, and this is {}", kind(value.get_ref())),
                "Write then.add-header = { X-Council = \"yes\" }.",
                self.d,
            );
            return;
        };
        for (name, value) in in_order(table) {
            let Some(text) = reader.text_of(value, name.get_ref(), self.d) else { continue };
            let lower = name.get_ref().to_ascii_lowercase();
            if !is_field_name(&lower) {
                reader.error(
                    name.span(),
                    format!("\"{}\" is not the name of a header field", name.get_ref()),
                    "Write the name without the colon: X-Council.",
                    self.d,
                );
            } else if !lower.starts_with("x-")
                && (KEPT.contains(&lower.as_str())
                    || crate::policy::detect::recipients::VISIBLE.iter().any(|v| v.eq_ignore_ascii_case(&lower))
                    || lower.starts_with("resent-")
                    || lower == "dkim-signature")
            {
                reader.error(
                    name.span(),
                    format!("the field {} cannot be added", name.get_ref()),
                    "Add fields of your own, such as X-Council.",
                    self.d,
                );
            } else if text.get_ref().len() > 500 || !text.get_ref().bytes().all(|b| matches!(b, b' '..=b'~')) {
                reader.error(
                    text.span(),
                    "the value of a header field is plain ASCII on one line, at most 500 characters",
                    "Write letters, digits and ordinary marks.",
                    self.d,
                );
            } else {
                actions.add_header.push((name.get_ref().to_string(), text.into_inner()));
            }
        }
    }
}

/// RFC 5322 §3.6.8.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 76 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}
