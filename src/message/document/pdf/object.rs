//! Objects as they stand in a PDF file (ISO 32000-2 §7.3), and the tokens of content streams, which are the same. Bounded in depth
//! and number; what makes no sense is passed over, as readers do.

#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Null,
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dictionary(Dictionary),
    Reference(u32),
    /// A keyword or an operator.
    Word(Vec<u8>),
}

impl Object {
    pub fn number(&self) -> Option<f64> {
        match self {
            Object::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn index(&self) -> Option<usize> {
        self.number().filter(|n| (0.0..=4e15).contains(n)).map(|n| n as usize)
    }

    /// How many objects it holds, itself too; long strings and names weigh more.
    pub fn weight(&self) -> usize {
        match self {
            Object::Array(items) => 1 + items.iter().map(Object::weight).sum::<usize>(),
            Object::Dictionary(d) => 1 + d.0.iter().map(|(_, v)| v.weight()).sum::<usize>(),
            Object::Text(octets) | Object::Name(octets) | Object::Word(octets) => 1 + octets.len() / 16,
            Object::Null | Object::Number(_) | Object::Reference(_) => 1,
        }
    }

    pub fn is_name(&self, name: &str) -> bool {
        matches!(self, Object::Name(n) if n == name.as_bytes())
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary(pub Vec<(Vec<u8>, Object)>);

impl Dictionary {
    pub fn find(&self, key: &str) -> Option<&Object> {
        self.0.iter().rfind(|(k, _)| k == key.as_bytes()).map(|(_, v)| v)
    }

    pub fn says(&self, key: &str, name: &str) -> bool {
        self.find(key).is_some_and(|v| v.is_name(name))
    }
}

pub struct Lexer<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// Objects that one object may still hold.
    left: usize,
}

const MAX_NESTING: usize = 16;
/// Objects within one object.
const MAX_MEMBERS: usize = 200_000;
/// A string longer than this is cut.
const MAX_STRING: usize = 1 << 20;

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Lexer<'a> {
        Lexer { bytes, at: at.min(bytes.len()), left: MAX_MEMBERS }
    }

    /// The next object; none at the end.
    pub fn object(&mut self) -> Option<Object> {
        self.left = MAX_MEMBERS;
        loop {
            match self.read(0)? {
                Some(object) => return Some(object),
                // A bracket that closes nothing.
                None => continue,
            }
        }
    }

    /// As [`Lexer::object`], but `7 0 R` is three tokens: in content streams there are no references.
    pub fn token(&mut self) -> Option<Object> {
        self.left = MAX_MEMBERS;
        loop {
            self.blanks();
            let start = *self.bytes.get(self.at)?;
            if matches!(start, b'+' | b'-' | b'.' | b'0'..=b'9')
                && let Some(number) = self.number()
            {
                return Some(Object::Number(number));
            }
            if let Some(object) = self.read(0)? {
                return Some(object);
            }
        }
    }

    /// `N G obj` here: its number. Stands behind it then.
    pub fn indirect(&mut self) -> Option<u32> {
        self.blanks();
        let number = self.integer()?;
        self.blanks();
        self.integer()?;
        self.blanks();
        (self.word() == b"obj").then_some(number)
    }

    /// None at the end, `Some(None)` where a bracket closes or nothing sensible stands.
    fn read(&mut self, depth: usize) -> Option<Option<Object>> {
        self.blanks();
        let rest = self.bytes.get(self.at..).filter(|r| !r.is_empty())?;
        if depth > MAX_NESTING || self.left == 0 {
            self.at += 1;
            return Some(None);
        }
        self.left -= 1;
        Some(match rest {
            [b'<', b'<', ..] => {
                self.at += 2;
                Some(self.dictionary(depth))
            }
            [b'<', ..] => Some(self.hexadecimal()),
            [b'(', ..] => Some(self.literal()),
            [b'[', ..] => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.blanks();
                    match self.bytes.get(self.at) {
                        None => break,
                        Some(b']') => {
                            self.at += 1;
                            break;
                        }
                        Some(_) => match self.read(depth + 1) {
                            None => break,
                            Some(item) => items.extend(item),
                        },
                    }
                }
                Some(Object::Array(items))
            }
            [b'/', ..] => {
                self.at += 1;
                Some(Object::Name(unescaped(self.word())))
            }
            [b'+' | b'-' | b'.' | b'0'..=b'9', ..] => match self.number() {
                Some(number) => Some(self.reference(number).unwrap_or(Object::Number(number))),
                None => Some(Object::Word(self.word().to_vec())),
            },
            [b'>', b'>', ..] => {
                self.at += 2;
                None
            }
            _ => {
                let word = self.word();
                if word.is_empty() {
                    self.at += 1;
                    None
                } else if word == b"null" {
                    Some(Object::Null)
                } else {
                    Some(Object::Word(word.to_vec()))
                }
            }
        })
    }

    fn dictionary(&mut self, depth: usize) -> Object {
        let mut members = Vec::new();
        loop {
            self.blanks();
            match self.bytes.get(self.at..) {
                None | Some([]) => break,
                Some([b'>', b'>', ..]) => {
                    self.at += 2;
                    break;
                }
                Some([b'/', ..]) => {
                    self.at += 1;
                    let key = unescaped(self.word());
                    self.blanks();
                    if self.bytes[self.at..].starts_with(b">>") {
                        continue;
                    }
                    match self.read(depth + 1) {
                        None => break,
                        Some(value) => members.extend(value.map(|v| (key, v))),
                    }
                }
                // The dictionary was never closed.
                Some([b'e', b'n', b'd', ..] | [b's', b't', b'r', b'e', b'a', b'm', ..]) => break,
                Some(_) => {
                    if self.read(depth + 1).is_none() {
                        break;
                    }
                }
            }
        }
        Object::Dictionary(Dictionary(members))
    }

    /// The rest of `N G R`, where `number` was just read.
    fn reference(&mut self, number: f64) -> Option<Object> {
        if number < 0.0 || number.fract() != 0.0 || number > f64::from(u32::MAX) {
            return None;
        }
        let back = self.at;
        self.blanks();
        let found = self.integer().is_some() && {
            self.blanks();
            self.word() == b"R"
        };
        if !found {
            self.at = back;
            return None;
        }
        Some(Object::Reference(number as u32))
    }

    fn integer(&mut self) -> Option<u32> {
        let back = self.at;
        let number = std::str::from_utf8(self.word()).ok().and_then(|w| w.parse().ok());
        if number.is_none() {
            self.at = back;
        }
        number
    }

    fn number(&mut self) -> Option<f64> {
        let back = self.at;
        let word = self.word();
        let number = match std::str::from_utf8(word).ok().and_then(|w| w.parse::<f64>().ok()) {
            // Neither "infinity" nor "nan" begins like this, and neither must overflow become one.
            Some(n) if n.is_finite() => Some(n),
            _ => lenient(word),
        };
        if number.is_none() {
            self.at = back;
        }
        number
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(512).position(|b| is_blank(*b) || b"()<>[]{}/%".contains(b)).unwrap_or(rest.len().min(512));
        self.at += length;
        &rest[..length]
    }

    pub fn blanks(&mut self) {
        while let Some(&b) = self.bytes.get(self.at) {
            if b == b'%' {
                self.at += memchr::memchr2(b'\r', b'\n', &self.bytes[self.at..]).unwrap_or(self.bytes.len() - self.at);
            } else if is_blank(b) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn hexadecimal(&mut self) -> Object {
        let rest = &self.bytes[self.at + 1..];
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let digits: Vec<u8> =
            rest[..end].iter().filter_map(|b| char::from(*b).to_digit(16)).map(|d| d as u8).take(2 * MAX_STRING).collect();
        self.at = (self.at + 2 + end).min(self.bytes.len());
        Object::Text(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect())
    }

    fn literal(&mut self) -> Object {
        let mut out = Vec::new();
        let mut depth = 1u32;
        self.at += 1;
        while let Some(&b) = self.bytes.get(self.at) {
            self.at += 1;
            let octet = match b {
                b'(' => {
                    depth += 1;
                    b
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    b
                }
                // A line end in any form is one line feed.
                b'\r' => {
                    self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                    b'\n'
                }
                b'\\' => match self.escape() {
                    Some(octet) => octet,
                    None => continue,
                },
                _ => b,
            };
            if out.len() < MAX_STRING {
                out.push(octet);
            }
        }
        Object::Text(out)
    }

    fn escape(&mut self) -> Option<u8> {
        let escaped = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\r' => {
                self.at += usize::from(self.bytes.get(self.at) == Some(&b'\n'));
                return None;
            }
            b'\n' => return None,
            b'0'..=b'7' => {
                let mut value = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.bytes.get(self.at) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                value as u8
            }
            other => other,
        })
    }
}

/// "--5", "1.2.3", "4-": what programs write and readers bear.
fn lenient(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    let negative = text.starts_with('-');
    let mut seen_dot = false;
    let digits: String = text
        .trim_start_matches(['-', '+'])
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.' && !std::mem::replace(&mut seen_dot, true))
        .take(24)
        .collect();
    let number: f64 = if digits == "." { 0.0 } else { digits.parse().ok()? };
    Some(if negative { -number } else { number })
}

/// A name with its `#xx` read.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    loop {
        match rest {
            [b'#', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(crate::message::transfer::hex(*a) << 4 | crate::message::transfer::hex(*b));
                rest = tail;
            }
            [octet, tail @ ..] => {
                out.push(*octet);
                rest = tail;
            }
            [] => return out,
        }
    }
}

pub fn is_blank(octet: u8) -> bool {
    matches!(octet, b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}
