//! Links: pages that were built, with where each link leads and what it shows.

use lychgate::message::View;
use lychgate::policy::condition::Link;
use lychgate::policy::detect::links::has_any;

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "links",
    run,
    seeds: || super::texts(&["a", "bcdefghijklmnopqrstuvwxyz", "\u{1}<a href=\"http://192.0.2.1/\">x</a>", "\u{1}<a href='https://bit.ly/x'>https://bank.co.uk</a>", "\u{1}<a href=\"ht\n\ntp://192.0.2.1/\">-</a>"]),
    given: Given::Nothing,
};

const ALL: [Link; 4] = [Link::TextDiffers, Link::LookAlike, Link::Numeric, Link::Shortened];

fn page(html: &str) -> Vec<u8> {
    format!("Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n").into_bytes()
}

fn run(octets: &[u8]) {
    if let [1, html @ ..] = octets {
        let raw = page(&String::from_utf8_lossy(html));
        let view = View::new(&raw);
        let each = ALL.map(|k| has_any(&view, &[k], &[]));
        assert_eq!(has_any(&view, &ALL, &[]), each.contains(&true));
        // No link, no finding.
        // Browsers pass over line ends within an address.
        let text: String = String::from_utf8_lossy(html).to_lowercase().split_whitespace().collect();
        assert!(text.contains("http") || text.contains('&') || !each.contains(&true), "{text}");
        return;
    }
    let mut input = Input::new(octets);
    let mut html = String::from("<html><body>");
    let mut truth = [false; 4];
    for _ in 0..1 + input.below(5) {
        let (one, two) = (input.letters(10), input.letters(10));
        let path = input.pick(&["", "/", "/login?x=1&amp;y=2", "/a#b"]);
        let attribute = input.pick(&["", "class=x ", "title=\"a\" ", "target='_blank' "]);
        let (href, text) = match input.below(8) {
            0 if one != two => {
                truth[0] = true;
                (format!("https://{one}.example.com{path}").replace(".example.com", ".com"), format!("https://www.{two}.co.uk"))
            }
            1 => (format!("https://mail.{one}.co.uk{path}"), format!("www.{one}.co.uk")),
            2 => {
                truth[2] = true;
                (format!("http://192.0.2.{}{path}", input.byte()), input.words(3))
            }
            3 => {
                truth[3] = true;
                (format!("https://bit.ly/{one}"), input.words(3))
            }
            4 => {
                truth[1] = true;
                // Cyrillic а in a Latin name, as IDNA writes it.
                ("https://xn--wrgby-3ve.gov.uk/".to_string(), input.words(3))
            }
            _ => (format!("https://{one}.org.uk{path}"), input.words(3)),
        };
        html.push_str(&format!("<p>{} <a {attribute}href=\"{href}\"><b>{text}</b></a></p>", input.words(3)));
    }
    html.push_str("</body></html>");
    let raw = page(&html);
    let view = View::new(&raw);
    for (kind, expected) in ALL.iter().zip(truth) {
        assert_eq!(has_any(&view, &[*kind], &[]), expected, "{kind:?} in {html}");
    }
}
