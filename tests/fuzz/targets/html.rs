//! HTML to text: pages that were built, against what was to be seen; any text, for marks that hold.

use lychgate::message::text::{Lines, render};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "html",
    run,
    seeds: || {
        super::texts(&[
            "<p>Hello <b>you</b>&nbsp;&amp; me<br>more</p><blockquote>old</blockquote>",
            "<div style='display:none'>x</div><!-- c --><script>a<b</script>y",
            "<a href=\"a>b\">c</a",
            "words and a vertical tab\u{b}",
            "\u{1}abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
        ])
    },
    given: Given::Nothing,
};

fn run(octets: &[u8]) {
    match octets {
        [1, choices @ ..] => built(&mut Input::new(choices)),
        _ => any(&String::from_utf8_lossy(octets)),
    }
}

fn any(html: &str) {
    for lines in [Lines::Collapse, Lines::Keep] {
        let rendered = render(html, lines);
        let mut before = 0;
        for (offset, _) in &rendered.marks {
            assert!(rendered.text.is_char_boundary(*offset) && *offset >= before);
            assert!(*offset == 0 || *offset == rendered.text.len() || rendered.text[..*offset].ends_with('\n'), "a mark within a line");
            before = *offset;
        }
        // Every letter that is seen was sent, or came from an entity.
        if !html.contains('&') {
            for c in rendered.text.chars().chain(rendered.hidden.chars()).filter(|c| !c.is_whitespace()) {
                assert!(html.contains(c), "{c:?} was not sent");
            }
        }
        // Text without markup is seen as it is, but for blanks (and characters that nobody sees, none of which is ASCII).
        if html.is_ascii() && !html.contains(['<', '&']) {
            assert!(rendered.text.split_whitespace().eq(html.split_whitespace()), "{:?}", rendered.text);
            assert!(rendered.hidden.is_empty());
        }
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split([' ', '\t', '\n', '\r', '\u{c}']).filter(|w| !w.is_empty()).collect()
}

/// A page of words in elements, some of them hidden.
fn built(input: &mut Input<'_>) {
    let mut page = Page { html: String::new(), seen: Vec::new(), hidden: Vec::new() };
    page.html.push_str(input.pick(&["", "<!DOCTYPE html><html><head><title>not seen</title><style>p { color: red }</style></head><body>"]));
    while !input.is_empty() && page.html.len() < 4_000 {
        page.element(input, 0, false);
    }
    let rendered = render(&page.html, Lines::Collapse);
    let text = |words: &[String]| words.join(" ");
    assert_eq!(words(&rendered.text).join(" "), text(&page.seen), "{}", page.html);
    assert_eq!(words(&rendered.hidden).concat(), page.hidden.concat(), "{}", page.html);
}

struct Page {
    html: String,
    seen: Vec<String>,
    hidden: Vec<String>,
}

impl Page {
    fn element(&mut self, input: &mut Input<'_>, depth: usize, hidden: bool) {
        match input.below(if depth < 5 { 9 } else { 3 }) {
            0 | 1 => self.word(input, hidden),
            2 => self.html.push_str(input.pick(&["<br>", "<br/>", "<!-- a <b> comment -->", "<script>if (a < b) { c() }</script>", "<hr>"])),
            kind @ 3..=7 => {
                let name = input.pick(&["p", "div", "span", "b", "td", "h1", "li", "a"]);
                // Regions close by name: one within another of its name is the renderer's business, not the reader's.
                let hides = kind == 7 && depth == 0 && !hidden;
                let attribute = match hides {
                    true => input.pick(&[" style=\"display:none\"", " style='color: red; display : none'", " hidden"]),
                    false => input.pick(&["", " class=\"x > y\"", " title='a \"b\" c'", " data-x=1"]),
                };
                self.html.push_str(&format!("<{name}{attribute}>"));
                for _ in 0..1 + input.below(3) {
                    self.element(input, depth + 1, hidden || hides);
                }
                self.html.push_str(&format!("</{name}>"));
                // Inline elements do not part words.
                self.html.push(' ');
            }
            _ => {
                self.html.push_str("&lt;&amp;&#163;&eacute; ");
                if hidden { &mut self.hidden } else { &mut self.seen }.push("<&£é".into());
            }
        }
    }

    fn word(&mut self, input: &mut Input<'_>, hidden: bool) {
        let word = input.word();
        self.html.push_str(&format!(" {word}{}", input.pick(&[" ", "\n", "\t ", " "])));
        if hidden { &mut self.hidden } else { &mut self.seen }.push(word.to_string());
    }
}
