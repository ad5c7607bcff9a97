//! Whether an element's attributes keep its text from being seen: not displayed, no size, no colour of its own, off the page.
//!
//! Only what is written on the element itself is read, not style sheets: what is hidden by a class counts as seen, which is the
//! strict side. Inner elements may give back size and colour, as newsletters do; nothing gives back what is not displayed.

/// What an element's attributes say about how its text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Nothing within is shown.
    pub concealed: bool,
    /// Letters too small to see, or again large enough.
    pub tiny: Option<bool>,
    pub colour: Option<Colour>,
    pub background: Option<Colour>,
}

/// Red, green, blue; none for a colour that cannot be told, such as a picture.
pub type Colour = Option<[u8; 3]>;

pub const WHITE: Colour = Some([255; 3]);

impl Look {
    /// From the attributes of one tag, without its name.
    pub fn of(attributes: &str) -> Look {
        let mut look = Look::default();
        for (name, value) in (Attributes { rest: attributes }) {
            if name.eq_ignore_ascii_case("style") {
                look.style(value);
            } else if name.eq_ignore_ascii_case("hidden") {
                look.concealed = true;
            } else if name.eq_ignore_ascii_case("bgcolor") {
                look.background = Some(colour(value));
            } else if name.eq_ignore_ascii_case("background") {
                look.background = Some(None);
            } else if name.eq_ignore_ascii_case("color") {
                look.colour = Some(colour(value));
            }
        }
        look
    }

    pub fn says_nothing(&self) -> bool {
        *self == Look::default()
    }

    fn style(&mut self, style: &str) {
        let (mut no_room, mut cut, mut placed, mut away) = (false, false, false, false);
        for declaration in style.split(';').take(100) {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let (name, value) = (name.trim(), value.trim());
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            let says = |wanted: &str| value.get(..wanted.len()).is_some_and(|v| v.eq_ignore_ascii_case(wanted));
            if is("display") {
                self.concealed |= says("none");
            } else if is("visibility") {
                self.concealed |= says("hidden") || says("collapse");
            } else if is("mso-hide") {
                self.concealed |= says("all");
            } else if is("opacity") {
                self.concealed |= number(value).is_some_and(|(n, _)| n <= 0.01);
            } else if is("font-size") {
                self.tiny = Some(number(value).is_some_and(|(n, unit)| match unit {
                    "em" | "rem" => n <= 0.1,
                    "%" => n <= 5.0,
                    _ => n <= 1.0,
                }));
            } else if is("color") {
                self.colour = Some(colour(value));
            } else if is("background") || is("background-color") || is("background-image") {
                let transparent = ["transparent", "inherit", "none", "initial"].iter().any(|w| says(w));
                if !transparent {
                    self.background = Some(colour(value));
                }
            } else if is("height") || is("max-height") || is("width") || is("max-width") {
                no_room |= number(value).is_some_and(|(n, _)| n == 0.0);
            } else if is("overflow") {
                cut = says("hidden");
            } else if is("position") {
                placed = says("absolute") || says("fixed");
            } else if is("left") || is("top") || is("right") || is("bottom") {
                away |= number(value).is_some_and(|(n, _)| n <= -500.0);
            } else if is("text-indent") || is("margin-left") {
                self.concealed |= number(value).is_some_and(|(n, _)| n <= -500.0);
            } else if is("clip") {
                let edges: String = value.chars().filter(|c| c.is_ascii_digit()).collect();
                self.concealed |= says("rect") && !edges.is_empty() && edges.bytes().all(|b| matches!(b, b'0' | b'1'));
            }
        }
        self.concealed |= no_room && cut || placed && away;
    }
}

/// Whether letters of `colour` on `background` cannot be told from it.
pub fn same(colour: Colour, background: Colour) -> bool {
    match (colour, background) {
        (Some(a), Some(b)) => a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 8),
        _ => false,
    }
}

/// A number and its unit, in lower case where it matters.
fn number(value: &str) -> Option<(f32, &str)> {
    let end = value.bytes().position(|b| !(b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'))).unwrap_or(value.len());
    let unit = value[end..].trim_start();
    let length = unit.bytes().position(|b| !(b.is_ascii_alphabetic() || b == b'%')).unwrap_or(unit.len());
    Some((value[..end].parse().ok()?, &unit[..length]))
}

fn colour(value: &str) -> Colour {
    let value = value.trim();
    if value.contains("url(") || value.contains("gradient") {
        return None;
    }
    if let Some(hex) = value.strip_prefix('#').or_else(|| value.get(..6).filter(|v| v.bytes().all(|b| b.is_ascii_hexdigit()))) {
        let digits: Vec<u8> = hex.chars().take(6).map_while(|c| c.to_digit(16)).map(|d| d as u8).collect();
        return match digits[..] {
            [a, b, c, d, e, f] => Some([a << 4 | b, c << 4 | d, e << 4 | f]),
            [a, b, c, ..] => Some([a * 17, b * 17, c * 17]),
            _ => None,
        };
    }
    if let Some(inner) = value.split_once('(').filter(|(f, _)| f.to_ascii_lowercase().starts_with("rgb")).map(|(_, inner)| inner) {
        let mut parts = inner.split([',', ' ', '/', ')']).filter(|p| !p.trim().is_empty());
        let mut next = || parts.next().and_then(|p| p.trim().parse::<f32>().ok()).map(|n| n.clamp(0.0, 255.0) as u8);
        return Some([next()?, next()?, next()?]);
    }
    let name = value.split([' ', '!', ',']).next().unwrap_or_default();
    NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, c)| *c)
}

const NAMES: [(&str, [u8; 3]); 12] = [
    ("white", [255, 255, 255]),
    ("black", [0, 0, 0]),
    ("snow", [255, 250, 250]),
    ("ivory", [255, 255, 240]),
    ("whitesmoke", [245, 245, 245]),
    ("gray", [128, 128, 128]),
    ("grey", [128, 128, 128]),
    ("silver", [192, 192, 192]),
    ("red", [255, 0, 0]),
    ("blue", [0, 0, 255]),
    ("navy", [0, 0, 128]),
    ("green", [0, 128, 0]),
];

/// Names and values of a tag's attributes, in their order.
struct Attributes<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
        let end = rest.bytes().position(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'>' | b'/')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let value = after.trim_start();
        let Some(value) = value.strip_prefix('=') else {
            self.rest = after;
            // A lone equals sign would stand still.
            return if name.is_empty() { None } else { Some((name, "")) };
        };
        let value = value.trim_start();
        let quote = value.bytes().next().filter(|b| matches!(b, b'"' | b'\''));
        let (value, rest) = match quote {
            Some(quote) => {
                let inner = &value[1..];
                let end = memchr::memchr(quote, inner.as_bytes()).unwrap_or(inner.len());
                (&inner[..end], inner.get(end + 1..).unwrap_or_default())
            }
            None => value.split_at(value.bytes().position(|b| b.is_ascii_whitespace() || b == b'>').unwrap_or(value.len())),
        };
        self.rest = rest;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen() {
        for attributes in [
            " hidden",
            " style='DISPLAY : none'",
            " style=\"visibility:hidden\"",
            " style=mso-hide:all",
            " style='opacity:0'",
            " style='max-height:0;overflow:hidden'",
            " style='position:absolute;left:-9999px'",
            " style='text-indent:-9999px'",
            " style='clip:rect(0,0,0,0)'",
        ] {
            assert!(Look::of(attributes).concealed, "{attributes}");
        }
        for attributes in [
            "",
            " class='hidden'",
            " style='opacity:0.5'",
            " style='height:0'",
            " style='left:-9999px'",
            " title='display:none'",
            " style='display:block'",
            " style='text-indent:-18pt'",
            " =",
        ] {
            assert!(!Look::of(attributes).concealed, "{attributes}");
        }
    }

    #[test]
    fn size_and_colour() {
        for (size, tiny) in
            [("0", true), ("0px", true), ("1px", true), (".1em", true), ("13px", false), ("1em", false), ("100%", false), ("small", false)]
        {
            assert_eq!(Look::of(&format!(" style='font-size:{size}'")).tiny, Some(tiny), "{size}");
        }
        for (written, colour) in [
            ("#fff", WHITE),
            ("#FFFFFF", WHITE),
            ("white !important", WHITE),
            ("rgb(255, 255, 255)", WHITE),
            ("rgba(0,0,0,.5)", Some([0; 3])),
            ("#1a2B3c", Some([0x1a, 0x2b, 0x3c])),
            ("url(x.png)", None),
            ("chartreuse", None),
        ] {
            assert_eq!(super::colour(written), colour, "{written}");
        }
        assert!(same(WHITE, Some([250; 3])));
        assert!(!same(WHITE, None) && !same(WHITE, Some([0; 3])));
        assert_eq!(Look::of(" bgcolor=ffffff").background, Some(WHITE));
        assert_eq!(Look::of(" style='background:transparent'").background, None);
    }
}
