//! Rich text ([MS-RTF 1.9.1]), and the HTML-in-RTF of Outlook ([MS-OXRTFEX]). One pass; groups may nest without end, but only so
//! many are told apart.

use encoding_rs::Encoding;

use super::{Reader, Why};

impl Reader {
    pub(super) fn rtf(&mut self, rtf: &[u8]) -> Result<(), Why> {
        let mut reading = Reading::new(rtf);
        reading.run();
        self.seen(&reading.seen);
        if !reading.hidden.is_empty() {
            self.hidden(&reading.hidden);
            self.hidden("\n");
        }
        if reading.open > 0 { Err(Why::Damaged) } else { Ok(()) }
    }
}

/// What holds for a group and what it inherits.
#[derive(Clone)]
struct Group {
    destination: Destination,
    hidden: bool,
    /// Within what is only there for readers without HTML.
    not_html: bool,
    /// Characters that follow `\u` for readers without Unicode.
    substitutes: usize,
    charset: &'static Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Text,
    /// Known not to be text, or not known at all.
    Nothing,
    Fonts,
    /// What a field computes.
    Instruction,
}

const MAX_GROUPS: usize = 512;
/// Text beyond this is dropped; the message's budget is smaller.
const MAX_TEXT: usize = super::budget::MAX_TEXT + 4;

struct Reading<'a> {
    rtf: &'a [u8],
    at: usize,
    seen: String,
    hidden: String,
    octets: Vec<u8>,
    groups: Vec<Group>,
    group: Group,
    /// Groups that are open, those that are not told apart too.
    open: usize,
    /// `\*` was read.
    optional: bool,
    skip: usize,
    high: Option<u16>,
    fonts: Vec<(i32, &'static Encoding)>,
    font: i32,
}

impl<'a> Reading<'a> {
    fn new(rtf: &'a [u8]) -> Reading<'a> {
        let group =
            Group { destination: Destination::Text, hidden: false, not_html: false, substitutes: 1, charset: encoding_rs::WINDOWS_1252 };
        Reading {
            rtf,
            at: 0,
            seen: String::new(),
            hidden: String::new(),
            octets: Vec::new(),
            groups: Vec::new(),
            group,
            open: 0,
            optional: false,
            skip: 0,
            high: None,
            fonts: Vec::new(),
            font: 0,
        }
    }

    fn run(&mut self) {
        while let Some(&octet) = self.rtf.get(self.at) {
            self.at += 1;
            match octet {
                b'{' => self.begin(),
                b'}' => {
                    self.end();
                    if self.open == 0 {
                        break;
                    }
                }
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => {}
                _ => self.octet(octet),
            }
        }
        self.flush();
    }

    fn begin(&mut self) {
        self.flush();
        self.open += 1;
        self.skip = 0;
        if self.groups.len() < MAX_GROUPS {
            self.groups.push(self.group.clone());
        }
    }

    fn end(&mut self) {
        self.flush();
        if self.open == self.groups.len()
            && let Some(group) = self.groups.pop()
        {
            // Paragraphs of a destination of its own end with it.
            if group.destination == Destination::Text && self.group.destination == Destination::Instruction {
                self.hidden.push('\n');
            }
            self.group = group;
        }
        self.open = self.open.saturating_sub(1);
        self.optional = false;
        self.skip = 0;
    }

    fn control(&mut self) {
        let Some(&first) = self.rtf.get(self.at) else { return };
        if !first.is_ascii_alphabetic() {
            self.at += 1;
            return self.symbol(first);
        }
        let rest = &self.rtf[self.at..];
        let length = rest.iter().take(32).take_while(|b| b.is_ascii_alphabetic()).count();
        let word = &rest[..length];
        let mut end = length;
        let negative = rest.get(end) == Some(&b'-');
        end += usize::from(negative);
        let digits = rest[end..].iter().take(10).take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&rest[end..end + digits]).ok().and_then(|d| d.parse::<i64>().ok());
        let number = number.map(|n| if negative { -n } else { n }.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32);
        end += digits;
        end += usize::from(rest.get(end) == Some(&b' '));
        self.at += end;
        self.word(word, number);
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'\'' => {
                let digits = self.rtf.get(self.at..self.at + 2).unwrap_or_default();
                if let [a, b] = digits
                    && a.is_ascii_hexdigit()
                    && b.is_ascii_hexdigit()
                {
                    self.at += 2;
                    self.octet(crate::message::transfer::hex(*a) << 4 | crate::message::transfer::hex(*b));
                }
            }
            b'*' => self.optional = true,
            b'~' => self.put(" "),
            b'_' => self.put("-"),
            b'\r' | b'\n' => self.put("\n"),
            b'\\' | b'{' | b'}' => self.octet(symbol),
            _ => {}
        }
    }

    fn word(&mut self, word: &[u8], number: Option<i32>) {
        let on = number != Some(0);
        let optional = std::mem::take(&mut self.optional);
        match word {
            b"par" | b"line" | b"row" | b"nestrow" | b"sect" | b"page" | b"column" => self.put("\n"),
            b"tab" | b"cell" | b"nestcell" => self.put("\t"),
            b"emdash" => self.put("—"),
            b"endash" => self.put("–"),
            b"bullet" => self.put("•"),
            b"lquote" => self.put("‘"),
            b"rquote" => self.put("’"),
            b"ldblquote" => self.put("“"),
            b"rdblquote" => self.put("”"),
            b"emspace" | b"enspace" | b"qmspace" => self.put(" "),
            b"u" => self.unicode(number.unwrap_or(0) as u16),
            b"uc" => self.group.substitutes = number.unwrap_or(1).clamp(0, 64) as usize,
            b"bin" => self.at = self.at.saturating_add(number.unwrap_or(0).max(0) as usize).min(self.rtf.len()),
            b"v" | b"deleted" => {
                self.flush();
                self.group.hidden = on;
            }
            b"plain" => {
                self.flush();
                self.group.hidden = false;
            }
            b"htmlrtf" => {
                self.flush();
                self.group.not_html = on;
            }
            b"ansicpg" => self.group.charset = charset_of_page(number.unwrap_or(1252)),
            b"mac" => self.group.charset = encoding_rs::MACINTOSH,
            b"f" => {
                self.flush();
                self.font = number.unwrap_or(0);
                if self.group.destination != Destination::Fonts
                    && let Some((_, charset)) = self.fonts.iter().find(|(n, _)| *n == self.font)
                {
                    self.group.charset = charset;
                }
            }
            b"fcharset" => {
                if self.group.destination == Destination::Fonts
                    && self.fonts.len() < 1_000
                    && let Some(charset) = charset_of_font(number.unwrap_or(0))
                {
                    self.fonts.push((self.font, charset));
                }
            }
            b"fonttbl" => self.group.destination = Destination::Fonts,
            b"fldinst" => {
                self.flush();
                self.group.destination = Destination::Instruction;
            }
            _ if NO_TEXT.contains(&word) => {
                self.flush();
                self.group.destination = Destination::Nothing;
            }
            // What may be passed over by those who do not know it, but for the few that hold text.
            _ if optional && !HOLDS_TEXT.contains(&word) => {
                self.flush();
                self.group.destination = Destination::Nothing;
            }
            _ => {}
        }
    }

    fn octet(&mut self, octet: u8) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.high = None;
        if self.is_shown() && self.octets.len() < MAX_TEXT {
            self.octets.push(octet);
        }
    }

    fn unicode(&mut self, unit: u16) {
        self.flush();
        self.skip = self.group.substitutes;
        let units = match self.high.take() {
            Some(high) if (0xdc00..0xe000).contains(&unit) => vec![high, unit],
            _ if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return;
            }
            _ => vec![unit],
        };
        // Symbol fonts put their letters into a private area.
        let units: Vec<u16> = units.into_iter().map(|u| if (0xf020..0xf100).contains(&u) { u - 0xf000 } else { u }).collect();
        let text = String::from_utf16_lossy(&units);
        let skip = std::mem::take(&mut self.skip);
        self.put(&text);
        self.skip = skip;
    }

    fn is_shown(&self) -> bool {
        !self.group.not_html && matches!(self.group.destination, Destination::Text | Destination::Instruction)
    }

    fn put(&mut self, text: &str) {
        self.flush();
        self.skip = 0;
        if !self.is_shown() {
            return;
        }
        let out = if self.group.hidden || self.group.destination == Destination::Instruction { &mut self.hidden } else { &mut self.seen };
        // What is more is cut, not dropped: then the message's budget is cut too, which is said.
        let room = MAX_TEXT.saturating_sub(out.len());
        out.push_str(&text[..text.floor_char_boundary(room.min(text.len()))]);
    }

    fn flush(&mut self) {
        if self.octets.is_empty() {
            return;
        }
        let octets = std::mem::take(&mut self.octets);
        let text = self.group.charset.decode_without_bom_handling(&octets).0;
        let (skip, high) = (self.skip, self.high);
        self.put(&text);
        (self.skip, self.high) = (skip, high);
    }
}

/// Destinations that are no text though they are not marked as optional.
const NO_TEXT: &[&[u8]] = &[
    b"colortbl",
    b"stylesheet",
    b"info",
    b"pict",
    b"object",
    b"objdata",
    b"listtable",
    b"listoverridetable",
    b"revtbl",
    b"filetbl",
    b"themedata",
    b"nonshppict",
    b"xe",
    b"tc",
    b"private",
    b"bkmkstart",
    b"bkmkend",
    b"pntext",
    b"sp",
];

const HOLDS_TEXT: &[&[u8]] =
    &[b"annotation", b"shpinst", b"shptxt", b"footnote", b"ftnsep", b"fldrslt", b"nesttableprops", b"result", b"mhtmltag"];

fn charset_of_page(page: i32) -> &'static Encoding {
    match page {
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        10_000 => encoding_rs::MACINTOSH,
        65_001 => encoding_rs::UTF_8,
        page => Encoding::for_label(format!("windows-{page}").as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252),
    }
}

fn charset_of_font(charset: i32) -> Option<&'static Encoding> {
    Some(match charset {
        0 => encoding_rs::WINDOWS_1252,
        77 => encoding_rs::MACINTOSH,
        128 => encoding_rs::SHIFT_JIS,
        129 => encoding_rs::EUC_KR,
        134 => encoding_rs::GBK,
        136 => encoding_rs::BIG5,
        161 => encoding_rs::WINDOWS_1253,
        162 => encoding_rs::WINDOWS_1254,
        163 => encoding_rs::WINDOWS_1258,
        177 => encoding_rs::WINDOWS_1255,
        178 => encoding_rs::WINDOWS_1256,
        186 => encoding_rs::WINDOWS_1257,
        204 => encoding_rs::WINDOWS_1251,
        222 => encoding_rs::WINDOWS_874,
        238 => encoding_rs::WINDOWS_1250,
        _ => return None,
    })
}

/// Compressed RTF of Outlook ([MS-OXRTFCP]); none if it is none.
pub fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    const DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";
    let size = u32::from_le_bytes(packed.get(4..8)?.try_into().ok()?) as usize;
    let body = packed.get(16..)?;
    match packed.get(8..12)? {
        b"MELA" => return Some(body[..size.min(body.len())].to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut window = [b' '; 4_096];
    window[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
    let mut at = DICTIONARY.len();
    let mut out = Vec::with_capacity(size.min(body.len().saturating_mul(8)).min(super::budget::MAX_MEMBER));
    let mut input = body.iter().copied();
    'all: while let Some(flags) = input.next() {
        for bit in 0..8 {
            if flags >> bit & 1 == 0 {
                let Some(octet) = input.next() else { break 'all };
                window[at % 4_096] = octet;
                at += 1;
                out.push(octet);
            } else {
                let (Some(high), Some(low)) = (input.next(), input.next()) else { break 'all };
                let from = usize::from(high) << 4 | usize::from(low) >> 4;
                // A reference to where the next octet would go is the end.
                if from == at % 4_096 {
                    break 'all;
                }
                for i in 0..usize::from(low & 15) + 2 {
                    let octet = window[(from + i) % 4_096];
                    window[at % 4_096] = octet;
                    at += 1;
                    out.push(octet);
                }
            }
            if out.len() >= super::budget::MAX_MEMBER {
                break 'all;
            }
        }
    }
    out.truncate(size.max(1));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rtf: &[u8]) -> (String, String) {
        let mut reading = Reading::new(rtf);
        reading.run();
        (reading.seen, reading.hidden)
    }

    #[test]
    fn rich_text_is_read() {
        for (rtf, seen, hidden) in [
            (&br"{\rtf1\ansi Hello \b bold\b0  there\par Next}"[..], "Hello bold there\nNext", ""),
            (br"{\rtf1\ansi{\fonttbl{\f0\fswiss Arial;}}{\colortbl;\red0;}Text}", "Text", ""),
            (br"{\rtf1\ansi caf\'e9 \u8364?5 \u-10179?\u-8704?}", "café €5 😀", ""),
            (br"{\rtf1\ansi\ansicpg1251 \'cf\'f0}", "Пр", ""),
            (br"{\rtf1 a{\v secret}b\v1 c\v0 d}", "abd", "secretc"),
            (br"{\rtf1{\field{\*\fldinst HYPERLINK mailto:jo@x.uk}{\fldrslt write}}}", "write", "HYPERLINK mailto:jo@x.uk\n"),
            (br"{\rtf1{\*\unknown dropped{\b too}}kept}", "kept", ""),
            (br"{\rtf1 one\cell two\cell\row}", "one\ttwo\t\n", ""),
            (br"{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 shown\htmlrtf }\htmlrtf0 {\*\htmltag72 </p>}}", "shown", ""),
            (br"{\rtf1 a\{b\}\\c\~d}", "a{b}\\c d", ""),
            (b"{\\rtf1 a\\bin3 }}}b}", "ab", ""),
        ] {
            assert_eq!(read(rtf), (seen.to_string(), hidden.to_string()), "{}", String::from_utf8_lossy(rtf));
        }
    }

    #[test]
    fn compressed_rtf_is_unpacked() {
        // [MS-OXRTFCP] §4.1.1.
        let packed = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 3, 0, 0x0a, 0, 0x72, 0x63, 0x70, 0x67, 0x31,
            0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0, 0x20, 0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a,
            0x80, 0x0f, 0xa0,
        ];
        assert_eq!(decompress(&packed).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        assert_eq!(decompress(b"short"), None);
    }

    #[test]
    fn hostile_groups_are_harmless() {
        for piece in ["{", "}", "{\\*\\x", "\\u", "\\'", "\\bin9", "{\\v "] {
            read(format!("{{\\rtf1 {}", piece.repeat(300_000 / piece.len())).as_bytes());
        }
    }
}
