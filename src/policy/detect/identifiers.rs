//! UK identifiers in text, each with the check or the context that tells it from a reference number of the same shape.

use std::collections::HashSet;

use crate::policy::condition::Identifier;

/// The most octets in front of an identifier's first digit: a driving licence's five letters, each with a blank behind it.
const LETTERS_FIRST: usize = 10;

/// How many distinct identifiers of these kinds stand in `text`. Linear in the text.
pub fn count(text: &str, kinds: &[Identifier]) -> usize {
    let bytes = text.as_bytes();
    let mut found: HashSet<(Identifier, String)> = HashSet::new();
    let mut at = 0;
    let mut digit = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        // No identifier is without digits, and most text is: where none is near, nothing begins.
        if digit < at || !bytes[digit].is_ascii_digit() {
            match bytes[at..].iter().position(u8::is_ascii_digit) {
                Some(ahead) => digit = at + ahead,
                None => break,
            }
        }
        if digit > at + LETTERS_FIRST {
            at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            continue;
        }
        let token = Token::at(bytes, at);
        for kind in kinds {
            if let Some(value) = token.identifier(*kind) {
                found.insert((*kind, value));
            }
        }
        // On by one run of letters and digits: an identifier written in groups may start at any of them.
        at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    }
    found.len()
}

/// Text from a place where a word begins.
struct Token<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Token<'a> {
    fn at(text: &'a [u8], at: usize) -> Token<'a> {
        Token { text, at }
    }

    fn identifier(&self, kind: Identifier) -> Option<String> {
        match kind {
            Identifier::NationalInsurance => self.national_insurance(),
            Identifier::Nhs => self.nhs(),
            Identifier::BankAccount => self.bank_account(),
            Identifier::TaxReference => {
                self.digits(10, 10).filter(|_| self.near(&["utr", "unique taxpayer", "tax reference", "self assessment"], 60))
            }
            Identifier::Passport => self.digits(9, 9).filter(|_| self.near(&["passport"], 60)),
            Identifier::DrivingLicence => self.driving_licence(),
            Identifier::PaymentCard => self.digits(13, 19).filter(|d| is_card(d)),
        }
    }

    /// The next `n` letters and digits with at most one blank, hyphen or dot between any two; a letter or digit must not follow.
    fn grouped(&self, n: usize) -> Option<String> {
        let mut out = String::with_capacity(n);
        let mut gap = false;
        for (i, &b) in self.text[self.at..].iter().enumerate() {
            if b.is_ascii_alphanumeric() {
                if out.len() == n {
                    return if gap { Some(out) } else { None };
                }
                out.push(b.to_ascii_uppercase() as char);
                gap = false;
            } else if !gap && matches!(b, b' ' | b'-' | b'.') && out.len() < n {
                gap = true;
            } else {
                let _ = i;
                break;
            }
        }
        (out.len() == n).then_some(out)
    }

    /// Between `least` and `most` digits in groups, nothing but digits.
    fn digits(&self, least: usize, most: usize) -> Option<String> {
        let mut out = String::new();
        let mut gap = false;
        for &b in &self.text[self.at..] {
            match b {
                b'0'..=b'9' => {
                    if out.len() == most {
                        return None;
                    }
                    out.push(b as char);
                    gap = false;
                }
                b' ' | b'-' if !gap && !out.is_empty() => gap = true,
                b if b.is_ascii_alphabetic() && !gap => return None,
                _ => break,
            }
        }
        // A digit before means that this is the tail of a longer number.
        let before = self.text[..self.at].iter().rev().take(2).collect::<Vec<_>>();
        let tail = matches!(before.as_slice(), [b' ' | b'-', b'0'..=b'9', ..]);
        (out.len() >= least && !tail).then_some(out)
    }

    /// Whether one of `words` stands within `distance` octets on either side.
    fn near(&self, words: &[&str], distance: usize) -> bool {
        let from = self.at.saturating_sub(distance);
        let to = (self.at + distance + 20).min(self.text.len());
        let around = self.text[from..to].to_ascii_lowercase();
        words.iter().any(|w| memchr::memmem::find(&around, w.as_bytes()).is_some())
    }

    /// Two letters (no D F I Q U V, the second no O; seven pairs are never given), six digits, A to D.
    fn national_insurance(&self) -> Option<String> {
        let value = self.grouped(9)?;
        let b = value.as_bytes();
        let letters = b[..2].iter().all(|c| c.is_ascii_alphabetic() && !b"DFIQUV".contains(c)) && b[1] != b'O';
        let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&&value[..2]);
        let shape = letters && !never && b[2..8].iter().all(u8::is_ascii_digit) && matches!(b[8], b'A'..=b'D');
        shape.then_some(value)
    }

    /// Ten digits, weights 10 to 2, modulus 11, and the word NHS near: mobile numbers pass the sum too often.
    fn nhs(&self) -> Option<String> {
        let value = self.digits(10, 10)?;
        let d: Vec<u32> = value.bytes().map(|b| u32::from(b - b'0')).collect();
        let sum: u32 = d[..9].iter().zip((2..=10).rev()).map(|(d, w)| d * w).sum();
        let check = match 11 - sum % 11 {
            11 => 0,
            10 => return None,
            c => c,
        };
        (check == d[9] && self.near(&["nhs"], 40)).then_some(value)
    }

    /// `dd-dd-dd` (or blanks) and eight digits within sixty characters.
    fn bank_account(&self) -> Option<String> {
        let t = self.text.get(self.at..self.at + 8)?;
        let shape = [0, 1, 3, 4, 6, 7].iter().all(|&i| t[i].is_ascii_digit()) && t[2] == t[5] && matches!(t[2], b'-' | b' ' | b'\xe2');
        let open = self.at == 0 || !matches!(self.text[self.at - 1], b'-' | b'/' | b'.' | b'0'..=b'9');
        if !shape || !open || self.text.get(self.at + 8).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return None;
        }
        let from = self.at.saturating_sub(60);
        let to = (self.at + 68).min(self.text.len());
        let account = [&self.text[from..self.at], &self.text[self.at + 8..to]]
            .into_iter()
            .find_map(|side| side.split(|b| !b.is_ascii_alphanumeric()).find(|w| w.len() == 8 && w.iter().all(u8::is_ascii_digit)))?;
        Some(format!("{}{}", String::from_utf8_lossy(t), String::from_utf8_lossy(account)))
    }

    /// Sixteen characters: five of the surname (9 fills), decade, month (50 more for women), day, year, two initials, three more.
    fn driving_licence(&self) -> Option<String> {
        let value = self.grouped(16)?;
        let b = value.as_bytes();
        let name = b[..5].iter().all(|c| c.is_ascii_alphabetic() || *c == b'9') && b[0].is_ascii_alphabetic();
        let digits = b[5..11].iter().all(u8::is_ascii_digit);
        let tail = b[11].is_ascii_alphabetic() && (b[12].is_ascii_alphabetic() || b[12] == b'9');
        if !name || !digits || !tail {
            return None;
        }
        let month = u32::from(b[6] - b'0') * 10 + u32::from(b[7] - b'0');
        let day = u32::from(b[8] - b'0') * 10 + u32::from(b[9] - b'0');
        (((1..=12).contains(&month) || (51..=62).contains(&month)) && (1..=31).contains(&day)).then_some(value)
    }
}

/// Luhn's sum and an issuer's range.
fn is_card(digits: &str) -> bool {
    let b = digits.as_bytes();
    let issuer = match b.len() {
        15 => digits.starts_with("34") || digits.starts_with("37"),
        13 | 16 | 19 => {
            b[0] == b'4'
                || (b.len() == 16
                    && (matches!(&b[..2], b"51" | b"52" | b"53" | b"54" | b"55" | b"65")
                        || digits[..4].parse().is_ok_and(|p: u32| (2221..=2720).contains(&p) || p == 6011)))
                || (b.len() != 13 && (matches!(&b[..2], b"50" | b"56" | b"57" | b"58" | b"67")))
        }
        _ => false,
    };
    let sum: u32 = b
        .iter()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let d = u32::from(c - b'0') << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    issuer && sum.is_multiple_of(10) && b.iter().any(|c| *c != b[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        let is = |kind, text: &str| count(text, &[kind]);
        assert_eq!(is(Identifier::NationalInsurance, "NI: AB 12 34 56 C."), 1);
        assert_eq!(is(Identifier::NationalInsurance, "ab123456c and AB-12-34-56-C"), 1);
        assert_eq!(is(Identifier::NationalInsurance, "BG123456C QQ123456C AO123456C AB123456E XAB123456C AB123456CD"), 0);
        assert_eq!(is(Identifier::Nhs, "NHS number 943 476 5919"), 1);
        assert_eq!(is(Identifier::Nhs, "call 943 476 5919"), 0);
        assert_eq!(is(Identifier::Nhs, "NHS 943 476 5918"), 0);
        assert_eq!(is(Identifier::BankAccount, "sort code 20-00-00 account 12345678"), 1);
        assert_eq!(is(Identifier::BankAccount, "meeting 20-00-00"), 0);
        assert_eq!(is(Identifier::BankAccount, "on 2026-10-12-12 12345678"), 0);
        assert_eq!(is(Identifier::PaymentCard, "4111 1111 1111 1111"), 1);
        assert_eq!(is(Identifier::PaymentCard, "4111 1111 1111 1112"), 0);
        assert_eq!(is(Identifier::TaxReference, "UTR 1234567890"), 1);
        assert_eq!(is(Identifier::TaxReference, "order 1234567890"), 0);
        assert_eq!(is(Identifier::Passport, "passport no. 123456789"), 1);
        assert_eq!(is(Identifier::DrivingLicence, "MORGA657054SM9IJ"), 1);
        assert_eq!(is(Identifier::DrivingLicence, "M O R G A 657054 SM9IJ"), 1);
        assert_eq!(is(Identifier::DrivingLicence, "ABCDEF7890123456"), 0);
        assert_eq!(is(Identifier::NationalInsurance, "Without any number for a long while, then A B 12 34 56 C, then none."), 1);
    }
}
