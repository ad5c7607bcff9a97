//! Names of glyphs and the encodings made of them (ISO 32000-2 annex D, Adobe Glyph List).

/// The letters of a glyph's name; none for a name that says nothing, such as `g37`.
pub fn text(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    // `a.sc` is another drawing of `a`; `f_i` a ligature.
    let stem = name.split('.').next().filter(|s| !s.is_empty())?;
    let mut out = String::new();
    for piece in stem.split('_').take(8) {
        out.push_str(&one(piece)?);
    }
    Some(out)
}

fn one(name: &str) -> Option<String> {
    if let [letter] = name.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        return Some(name.to_string());
    }
    if let Some(hex) =
        name.strip_prefix("uni").filter(|h| h.len() >= 4 && h.len().is_multiple_of(4) && h.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        let units: Vec<u16> = (0..hex.len()).step_by(4).filter_map(|i| u16::from_str_radix(&hex[i..i + 4], 16).ok()).collect();
        return Some(String::from_utf16_lossy(&units));
    }
    if let Some(hex) = name.strip_prefix('u').filter(|h| (4..=6).contains(&h.len()) && h.bytes().all(|b| b.is_ascii_hexdigit())) {
        return char::from_u32(u32::from_str_radix(hex, 16).ok()?).map(String::from);
    }
    if let Some((_, text)) = LIGATURES.iter().find(|(n, _)| *n == name) {
        return Some((*text).to_string());
    }
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, c)| c.to_string()).or_else(|| accented(name))
}

/// `eacute`, `Adieresis`: a letter and the name of what stands on it.
fn accented(name: &str) -> Option<String> {
    use unicode_normalization::UnicodeNormalization;
    let letter = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let (_, mark) = ACCENTS.iter().find(|(accent, _)| *accent == &name[1..])?;
    Some([letter, *mark].into_iter().nfc().collect())
}

const ACCENTS: [(&str, char); 13] = [
    ("grave", '\u{300}'),
    ("acute", '\u{301}'),
    ("circumflex", '\u{302}'),
    ("tilde", '\u{303}'),
    ("macron", '\u{304}'),
    ("breve", '\u{306}'),
    ("dotaccent", '\u{307}'),
    ("dieresis", '\u{308}'),
    ("ring", '\u{30a}'),
    ("hungarumlaut", '\u{30b}'),
    ("caron", '\u{30c}'),
    ("cedilla", '\u{327}'),
    ("ogonek", '\u{328}'),
];

const LIGATURES: [(&str, &str); 6] = [("fi", "fi"), ("fl", "fl"), ("ff", "ff"), ("ffi", "ffi"), ("ffl", "ffl"), ("IJ", "IJ")];

/// The character of each code in an encoding that fonts start from.
pub fn base(name: Option<&[u8]>, symbolic: bool) -> [Option<char>; 256] {
    let mut table = [None; 256];
    let decoded = |octet: u8, encoding: &'static encoding_rs::Encoding| encoding.decode_without_bom_handling(&[octet]).0.chars().next();
    for code in 32..=255u8 {
        table[usize::from(code)] = match name {
            Some(b"MacRomanEncoding") => decoded(code, encoding_rs::MACINTOSH),
            _ => decoded(code, encoding_rs::WINDOWS_1252),
        };
    }
    if name == Some(b"StandardEncoding") || name.is_none() && !symbolic {
        for (code, c) in STANDARD {
            table[usize::from(*code)] = Some(*c);
        }
    }
    // Blanks of other widths, and the hyphen at a line's end.
    if name != Some(b"MacRomanEncoding") {
        table[0xa0] = Some(' ');
        table[0xad] = Some('-');
    }
    table
}

/// Where StandardEncoding differs from windows-1252.
const STANDARD: &[(u8, char)] = &[
    (0x27, '’'),
    (0x60, '‘'),
    (0xa4, '⁄'),
    (0xa6, 'ƒ'),
    (0xa8, '¤'),
    (0xa9, '\''),
    (0xaa, '“'),
    (0xac, '‹'),
    (0xae, 'ﬁ'),
    (0xaf, 'ﬂ'),
    (0xb1, '–'),
    (0xb2, '†'),
    (0xb3, '‡'),
    (0xb4, '·'),
    (0xb7, '•'),
    (0xb8, '‚'),
    (0xb9, '„'),
    (0xba, '”'),
    (0xbc, '…'),
    (0xbd, '‰'),
    (0xc1, '`'),
    (0xc2, '´'),
    (0xd0, '—'),
    (0xe1, 'Æ'),
    (0xe8, 'Ł'),
    (0xe9, 'Ø'),
    (0xea, 'Œ'),
    (0xf1, 'æ'),
    (0xf8, 'ł'),
    (0xf9, 'ø'),
    (0xfa, 'œ'),
    (0xfb, 'ß'),
];

const NAMES: &[(&str, char)] = &[
    ("space", ' '),
    ("nbspace", ' '),
    ("zero", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
    ("exclam", '!'),
    ("quotedbl", '"'),
    ("numbersign", '#'),
    ("dollar", '$'),
    ("percent", '%'),
    ("ampersand", '&'),
    ("quotesingle", '\''),
    ("quoteright", '’'),
    ("quoteleft", '‘'),
    ("parenleft", '('),
    ("parenright", ')'),
    ("asterisk", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("minus", '−'),
    ("sfthyphen", '-'),
    ("period", '.'),
    ("slash", '/'),
    ("colon", ':'),
    ("semicolon", ';'),
    ("less", '<'),
    ("equal", '='),
    ("greater", '>'),
    ("question", '?'),
    ("at", '@'),
    ("bracketleft", '['),
    ("backslash", '\\'),
    ("bracketright", ']'),
    ("asciicircum", '^'),
    ("underscore", '_'),
    ("grave", '`'),
    ("braceleft", '{'),
    ("bar", '|'),
    ("braceright", '}'),
    ("asciitilde", '~'),
    ("exclamdown", '¡'),
    ("cent", '¢'),
    ("sterling", '£'),
    ("currency", '¤'),
    ("yen", '¥'),
    ("brokenbar", '¦'),
    ("section", '§'),
    ("copyright", '©'),
    ("ordfeminine", 'ª'),
    ("guillemotleft", '«'),
    ("logicalnot", '¬'),
    ("registered", '®'),
    ("degree", '°'),
    ("plusminus", '±'),
    ("acute", '´'),
    ("mu", 'µ'),
    ("paragraph", '¶'),
    ("periodcentered", '·'),
    ("onesuperior", '¹'),
    ("twosuperior", '²'),
    ("threesuperior", '³'),
    ("ordmasculine", 'º'),
    ("guillemotright", '»'),
    ("onequarter", '¼'),
    ("onehalf", '½'),
    ("threequarters", '¾'),
    ("questiondown", '¿'),
    ("AE", 'Æ'),
    ("ae", 'æ'),
    ("Eth", 'Ð'),
    ("eth", 'ð'),
    ("Thorn", 'Þ'),
    ("thorn", 'þ'),
    ("Oslash", 'Ø'),
    ("oslash", 'ø'),
    ("OE", 'Œ'),
    ("oe", 'œ'),
    ("germandbls", 'ß'),
    ("multiply", '×'),
    ("divide", '÷'),
    ("Lslash", 'Ł'),
    ("lslash", 'ł'),
    ("dotlessi", 'ı'),
    ("Euro", '€'),
    ("trademark", '™'),
    ("ellipsis", '…'),
    ("bullet", '•'),
    ("dagger", '†'),
    ("daggerdbl", '‡'),
    ("perthousand", '‰'),
    ("endash", '–'),
    ("emdash", '—'),
    ("quotedblleft", '“'),
    ("quotedblright", '”'),
    ("quotesinglbase", '‚'),
    ("quotedblbase", '„'),
    ("guilsinglleft", '‹'),
    ("guilsinglright", '›'),
    ("fraction", '⁄'),
    ("florin", 'ƒ'),
    ("dieresis", '¨'),
    ("cedilla", '¸'),
    ("macron", '¯'),
    ("circumflex", 'ˆ'),
    ("tilde", '˜'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_letters() {
        for (name, said) in [
            ("A", Some("A")),
            ("zero", Some("0")),
            ("eacute", Some("é")),
            ("Adieresis", Some("Ä")),
            ("scedilla", Some("ş")),
            ("uni0041", Some("A")),
            ("uni00410042", Some("AB")),
            ("u1F600", Some("😀")),
            ("f_i", Some("fi")),
            ("ffl", Some("ffl")),
            ("a.sc", Some("a")),
            ("g37", None),
            (".notdef", None),
            ("", None),
        ] {
            assert_eq!(text(name.as_bytes()).as_deref(), said, "{name}");
        }
        assert_eq!(base(None, false)[0x27], Some('’'));
        assert_eq!(base(Some(b"WinAnsiEncoding"), false)[0x80], Some('€'));
        assert_eq!(base(Some(b"MacRomanEncoding"), false)[0x8e], Some('é'));
    }
}
