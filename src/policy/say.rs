//! The texts of rules, with a few facts to fill in: `"{count} addresses were hidden from one another."`

/// A text with places for facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fill(Fill),
}

/// What may stand in `{…}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// How many: addresses hidden, or the first number that the rule bounds.
    Count,
    Subject,
    /// Names of attachments that are not protected.
    Files,
    /// Domains of the outsiders that are visible.
    Domains,
    Direction,
}

impl Fill {
    pub const WORDS: &[(&str, Fill)] = &[
        ("count", Fill::Count),
        ("subject", Fill::Subject),
        ("files", Fill::Files),
        ("domains", Fill::Domains),
        ("direction", Fill::Direction),
    ];
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFault {
    /// `{name}` that nothing fills.
    UnknownFill(String),
    /// `{` without `}`.
    Open,
}

impl Template {
    /// `{{` and `}}` are braces.
    pub fn parse(text: &str) -> Result<Template, TemplateFault> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '{' if chars.peek() == Some(&'{') => plain.extend(chars.next()),
                '}' if chars.peek() == Some(&'}') => plain.extend(chars.next()),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err(TemplateFault::Open),
                        }
                    }
                    let Some((_, fill)) = Fill::WORDS.iter().find(|(w, _)| *w == name.trim()) else {
                        return Err(TemplateFault::UnknownFill(name));
                    };
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Fill(*fill));
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template { pieces })
    }

    pub fn plain(text: &str) -> Template {
        Template { pieces: vec![Piece::Text(text.to_string())] }
    }

    /// The text with its places filled; nothing that is filled in is longer than 200 characters or has a control character.
    pub fn fill(&self, fill: impl Fn(Fill) -> String) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Fill(what) => out.extend(fill(*what).chars().filter(|c| !c.is_control()).take(200)),
            }
        }
        out
    }
}

/// "a", "a and b", "a, b and 3 more".
pub fn list(items: &[String], most: usize) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        _ if items.len() <= most => format!("{} and {}", items[..items.len() - 1].join(", "), items[items.len() - 1]),
        _ => format!("{} and {} more", items[..most].join(", "), items.len() - most),
    }
}

/// Seconds as people say them: "1 hour", "7 days".
pub fn duration(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (n, word) =
        units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit)).map_or((0, "second"), |(u, w)| (seconds / u, *w));
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills() {
        let t = Template::parse("{count} of {{x}} in {subject}").unwrap();
        assert_eq!(t.fill(|f| if f == Fill::Count { "3".into() } else { "a\r\nb".into() }), "3 of {x} in ab");
        assert_eq!(Template::parse("{cuont}"), Err(TemplateFault::UnknownFill("cuont".into())));
        assert_eq!(Template::parse("{count"), Err(TemplateFault::Open));
        assert_eq!(list(&["a".into(), "b".into(), "c".into()], 2), "a, b and 1 more");
    }
}
