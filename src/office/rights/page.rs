//! The export as a page to read and print: plain HTML, no script, nothing fetched from anywhere.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

/// The page of an export document that has been masked already.
pub(super) fn page(value: &Value, zone: &TimeZone) -> String {
    let text = |key: &str| escape(value[key].as_str().unwrap_or_default());
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>What is held of {person}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>What {council} holds of {person}</h1>\n<p>In the record of its mail gateway, as of {made}. This is a copy of your personal data under Article 15 of the UK GDPR. Other people are named by their role only.</p>\n",
        person = text("person"),
        council = text("council"),
        made = time(&value["made"], zone),
    );
    let messages = list(&value["messages"]);
    let _ = writeln!(out, "<h2>Messages ({})</h2>", messages.len());
    if messages.is_empty() {
        out.push_str("<p>None is in the record.</p>\n");
    }
    messages.iter().for_each(|m| message(&mut out, m, zone));
    let custody = list(&value["in_custody"]);
    let _ = writeln!(out, "<h2>Waiting or held at the gateway ({})</h2>", custody.len());
    if custody.is_empty() {
        out.push_str("<p>Nothing.</p>\n");
    }
    custody.iter().for_each(|p| parcel(&mut out, p, zone));
    let _ = writeln!(
        out,
        "<h2>Whom you had mail with</h2>\n<p>The index of past mail was asked for {} of the council. It remembers mail with: {}.</p>",
        value["past_mail"]["asked_for"],
        or_nobody(&words(&value["past_mail"]["remembered_with"])),
    );
    out.push_str("<h2>Who looked at your rows, and why</h2>\n<table>\n<tr><th>When</th><th>Who</th><th>Why</th></tr>\n");
    for look in list(&value["looked_at"]) {
        let _ =
            writeln!(out, "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", time(&look["time"], zone), cell(&look["who"]), cell(&look["why"]));
    }
    out.push_str("</table>\n<h2>Your requests</h2>\n<ul>\n");
    for request in list(&value["requests"]) {
        let closed = request["closed"]["on"].as_str().map_or("open".to_string(), |on| format!("closed on {}", escape(on)));
        let _ = writeln!(out, "<li>{}, received on {}, {closed}</li>", cell(&request["kind"]), cell(&request["received"]));
    }
    out.push_str("</ul>\n<h2>How long</h2>\n<ul>\n");
    for (what, long) in value["retention"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "<li>{}: {}</li>", escape(what), cell(long));
    }
    for case in list(&value["kept_longer"]) {
        let _ = writeln!(out, "<li>Kept longer for case {} until {}</li>", cell(&case["case"]), time(&case["until"], zone));
    }
    out.push_str("</ul>\n<h2>What is not held, or cannot be found</h2>\n<ul>\n");
    for line in list(&value["not_held"]) {
        let _ = writeln!(out, "<li>{}</li>", cell(line));
    }
    out.push_str("</ul>\n<h2>What you can do</h2>\n<p>If something here is wrong, or you want it erased, tell the Clerk. If you are not content with the answer, you can complain to the Information Commissioner (ico.org.uk).</p>\n</body>\n</html>\n");
    out
}

fn message(out: &mut String, m: &Value, zone: &TimeZone) {
    let _ = writeln!(out, "<section><h3>{} · {}</h3>\n<dl>", time(&m["time"], zone), cell(&m["reference"]));
    row(out, "Your part", &cell(&m["your_part"]));
    row(out, "From", &cell(&m["from"]));
    let count = |class: &str| m["recipients"][class].as_u64().unwrap_or(0);
    let to = format!(
        "{} at the council, {} at partners, {} at consumer providers, {} others",
        count("internal"),
        count("partner"),
        count("personal"),
        count("external")
    );
    row(out, "Recipients", &to);
    for (name, key) in [
        ("Subject", "subject"),
        ("Decision", "decision"),
        ("Answer given", "outcome"),
        ("Your copy", "your_copy"),
        ("The provider said", "provider_said"),
    ] {
        if !m[key].is_null() {
            row(out, name, &cell(&m[key]));
        }
    }
    for rule in list(&m["rules"]) {
        let mut said = format!("{} ({})", cell(&rule["id"]), cell(&rule["mode"]));
        for (before, more) in [("; clause ", words(&rule["clauses"])), ("; because ", words(&rule["because"]))] {
            if !more.is_empty() {
                let _ = write!(said, "{before}{more}");
            }
        }
        if let Some(reason) = rule["overridden"].as_str() {
            let _ = write!(said, "; you overrode it: {}", escape(reason));
        }
        row(out, "Rule", &said);
    }
    for note in list(&m["notes"]) {
        row(out, "Noted", &format!("{} ({})", cell(&note["text"]), time(&note["time"], zone)));
    }
    let cases = words(&m["kept_for_cases"]);
    if !cases.is_empty() {
        row(out, "Kept for", &format!("case {cases}"));
    }
    out.push_str("</dl></section>\n");
}

fn parcel(out: &mut String, p: &Value, zone: &TimeZone) {
    let _ = writeln!(out, "<section><h3>{} · {}</h3>\n<dl>", time(&p["taken"], zone), cell(&p["reference"]));
    for (name, key) in [
        ("What", "what"),
        ("State", "state"),
        ("Your part", "your_part"),
        ("From", "from"),
        ("Other recipients", "other_recipients"),
        ("Your copy", "your_copy"),
    ] {
        if !p[key].is_null() {
            row(out, name, &cell(&p[key]));
        }
    }
    row(out, "Until", &time(&p["until"], zone));
    let content = &p["content"];
    if !content.is_null() {
        row(out, "Subject", &cell(&content["subject"]));
        row(out, "Your words", &format!("<pre>{}</pre>", cell(&content["your_words"])));
        for file in list(&content["files"]) {
            row(out, "A file", &format!("{}, {} octets as sent", cell(&file["kind"]), file["size_as_sent"]));
        }
    }
    out.push_str("</dl></section>\n");
}

/// `html` is escaped already.
fn row(out: &mut String, name: &str, html: &str) {
    let _ = writeln!(out, "<dt>{name}</dt><dd>{html}</dd>");
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| escape(&value.to_string()), escape)
}

fn words(value: &Value) -> String {
    list(value).iter().map(cell).collect::<Vec<_>>().join(", ")
}

fn or_nobody(words: &str) -> &str {
    if words.is_empty() { "nobody" } else { words }
}

fn time(value: &Value, zone: &TimeZone) -> String {
    match value.as_str().and_then(|t| t.parse::<Timestamp>().ok()) {
        Some(time) => Zoned::new(time, zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string(),
        None => cell(value),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nothing that a terminal or a browser would obey.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "body{font:16px/1.5 Arial,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#0b0c0c}h1{font-size:1.6em}h2{margin-top:2em;border-bottom:2px solid}section{break-inside:avoid;border-top:1px solid #b1b4b6;margin-top:1em}h3{margin:.5em 0}dl{display:grid;grid-template-columns:12em 1fr;margin:0}dd{margin:0;overflow-wrap:anywhere}pre{white-space:pre-wrap;margin:0;font:inherit}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;border-top:1px solid #b1b4b6;padding:.3em}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_text_and_nothing_else() {
        let value = serde_json::json!({
            "person": "<b>a@x.uk</b>", "council": "Wragby & Wrentham", "made": "2026-09-03T10:00:00Z",
            "messages": [{ "time": "2026-09-03T10:00:00Z", "reference": "LG-1", "subject": "<script>alert('x')</script>\u{1b}[2J", "notes": [] }],
        });
        let page = page(&value, &TimeZone::UTC);
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; [2J") && !page.contains("<script") && !page.contains('\u{1b}')
        );
        assert!(page.contains("Wragby &amp; Wrentham") && page.contains("Thursday 3 September 2026, 10:00"));
        assert!(!page.contains("http"), "nothing is fetched");
    }
}
