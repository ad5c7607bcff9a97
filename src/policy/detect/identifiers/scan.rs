//! One place in a text, held against every kind of identifier.

use std::ops::Range;

use super::{Hit, card};
use crate::policy::condition::Identifier;

/// Text from a place where a word begins.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

/// Runs of letters and digits, with what joins each to the next.
struct Groups<'a> {
    groups: Vec<&'a [u8]>,
    ends: Vec<usize>,
    /// The separators between them.
    joints: Vec<u8>,
}

/// A driving licence letter by letter has sixteen.
const MAX_GROUPS: usize = 18;

const TAX: &[&str] = &["utr", "unique taxpayer", "tax reference", "taxpayer ref", "self assessment", "self-assessment"];
const INSURANCE: &[&str] = &[
    "national insurance",
    "nino",
    "ni",
    "n.i.",
    "insurance number",
    "insurance no",
    "payroll",
    "hmrc",
    "paye",
    "p45",
    "p60",
    "starter",
    "date of birth",
    "dob",
    "yswiriant gwladol",
];
const BANK: &[&str] =
    &["sort", "account", "acc", "acct", "a/c", "bank", "bacs", "payee", "iban", "transfer", "building society", "cyfrif", "didoli"];

/// In Welsh *cod didoli*.
const SORT: &[&str] = &["sort", "sortcode", "s/c", "didoli"];

impl<'a> Scan<'a> {
    pub fn at(text: &'a [u8], at: usize) -> Scan<'a> {
        Scan { text, at }
    }

    pub fn identifiers(&self, hits: &mut Vec<Hit>) {
        let groups = self.groups();
        self.national_insurance(&groups, hits);
        self.driving_licence(&groups, hits);
        self.passport(&groups, hits);
        self.iban(&groups, hits);
        if self.text[self.at].is_ascii_digit() && !self.follows_a_number() {
            self.ten_digits(&groups, hits);
            self.card(&groups, hits);
            self.bank_account(&groups, hits);
        }
    }

    /// The groups from here on, at most as many as any identifier has.
    fn groups(&self) -> Groups<'a> {
        let mut out = Groups { groups: Vec::with_capacity(6), ends: Vec::with_capacity(6), joints: Vec::with_capacity(6) };
        let mut at = self.at;
        loop {
            let length = self.text[at..].iter().take(64).take_while(|b| b.is_ascii_alphanumeric()).count();
            if length == 0 {
                return out;
            }
            out.groups.push(&self.text[at..at + length]);
            at += length;
            out.ends.push(at);
            match self.text.get(at) {
                Some(&joint @ (b' ' | b'-' | b'.')) if out.groups.len() < MAX_GROUPS => {
                    out.joints.push(joint);
                    at += 1;
                }
                _ => return out,
            }
        }
    }

    /// A digit before, joined by a blank or a mark: this is the tail of a longer number.
    fn follows_a_number(&self) -> bool {
        let mut before = self.text[..self.at].iter().rev();
        match before.next() {
            Some(b' ') => before.next().is_some_and(u8::is_ascii_digit) && !self.begins_anew(),
            Some(b'-' | b'/' | b'_' | b'.' | b'+' | b',' | b'\\') => before.next().is_some_and(u8::is_ascii_alphanumeric),
            _ => false,
        }
    }

    /// A number of one full group beside another number of one full group: two numbers in a row, not one.
    fn begins_anew(&self) -> bool {
        let before = self.text[..self.at - 1].iter().rev().take_while(|b| b.is_ascii_digit()).count();
        before >= 8
    }

    /// Marks that join it to a longer reference on either side.
    fn is_joined(&self, end: usize) -> bool {
        let joins = |b: Option<&u8>| matches!(b, Some(b'/' | b'_' | b'-' | b'\\' | b'@' | b'='));
        let before = self.at.checked_sub(1).map(|i| &self.text[i]);
        let after = self.text.get(end);
        joins(before) && self.at >= 2 && self.text[self.at - 2].is_ascii_alphanumeric()
            || joins(after) && self.text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric)
    }

    /// Whether one of `words` stands, as a word, within `distance` octets on either side of `span`.
    fn near(&self, words: &[&str], span: &Range<usize>, distance: usize) -> bool {
        let before = self.text[span.start.saturating_sub(distance)..span.start].to_ascii_lowercase();
        let after = self.text[span.end..(span.end + distance).min(self.text.len())].to_ascii_lowercase();
        [before, after].iter().any(|side| words.iter().any(|word| has_word(side, word)))
    }

    fn push(&self, hits: &mut Vec<Hit>, kind: Identifier, value: String, end: usize, weak: bool) {
        hits.push(Hit { kind, value, span: self.at..end, weak });
    }

    /// Two letters (no D F I Q U V, the second no O; seven pairs are never given), six digits, A to D. Written in pairs it is one;
    /// in one run it is the shape of any reference, and needs a word beside it, or others.
    fn national_insurance(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let Some((value, end, count)) = groups.joined(9) else { return };
        let b = value.as_bytes();
        let letters = b[..2].iter().all(|c| c.is_ascii_alphabetic() && !b"DFIQUV".contains(c)) && b[1] != b'O';
        let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&&value[..2]);
        let shape = letters && !never && b[2..8].iter().all(u8::is_ascii_digit) && matches!(b[8], b'A'..=b'D');
        if !shape || self.is_joined(end) {
            return;
        }
        let pairs = count >= 4;
        let alone = self.text.trim_ascii().len() == end - self.at;
        let sure = pairs || alone || self.near(INSURANCE, &(self.at..end), 60);
        self.push(hits, Identifier::NationalInsurance, value, end, !sure);
    }

    /// Ten digits: an NHS number (weights 10 to 2, modulus 11, and the word NHS near, since mobile numbers pass the sum too often)
    /// or a taxpayer's reference (weights 6 7 8 9 10 5 4 3 2 from the second digit on, modulus 11, and its name near).
    fn ten_digits(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        if let Some((value, end)) = groups.digits(&[&[10], &[3, 3, 4]])
            && !self.is_joined(end)
            && is_nhs(value.as_bytes())
            && self.near(&["nhs"], &(self.at..end), 40)
            && !self.is_telephone()
        {
            self.push(hits, Identifier::Nhs, value, end, false);
        }
        // HMRC writes a K behind some.
        if let Some((value, end)) =
            groups.digits(&[&[10], &[5, 5], &[3, 3, 4], &[2, 2, 2, 2, 2], &[4, 6], &[3, 7]]).or_else(|| groups.with_k())
            && !self.is_joined(end)
            && is_taxpayer(value.as_bytes())
            && self.near(TAX, &(self.at..end), 60)
        {
            self.push(hits, Identifier::TaxReference, value, end, false);
        }
    }

    /// The words just before say that it is a telephone number.
    fn is_telephone(&self) -> bool {
        let before = self.text[self.at.saturating_sub(16)..self.at].to_ascii_lowercase();
        ["tel", "telephone", "phone", "mobile", "mob", "call", "fax", "ring", "ffon"].iter().any(|w| has_word(&before, w))
    }

    /// Nine digits, or two letters and seven digits, with the word near.
    fn passport(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let Some(&first) = groups.groups.first() else { return };
        let digits = first.len() == 9 && first.iter().all(u8::is_ascii_digit) && !self.follows_a_number();
        let letters = first.len() == 9 && first[..2].iter().all(u8::is_ascii_alphabetic) && first[2..].iter().all(u8::is_ascii_digit);
        // Three groups of three are how some write it; a telephone number never is.
        let grouped = groups.digits(&[&[3, 3, 3]]).filter(|_| !self.follows_a_number());
        let end = if digits || letters { groups.ends[0] } else { grouped.as_ref().map_or(0, |g| g.1) };
        if end == 0 || self.is_joined(end) || !self.near(&["passport", "passports", "pasbort"], &(self.at..end), 60) {
            return;
        }
        let value: String =
            self.text[self.at..end].iter().filter(|b| b.is_ascii_alphanumeric()).map(|b| b.to_ascii_uppercase() as char).collect();
        self.push(hits, Identifier::Passport, value, end, false);
    }

    /// Sixteen characters: five of the surname (9 fills), decade, month (50 more for women), day, year, two initials (9 fills), a
    /// digit, two letters.
    fn driving_licence(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let Some((value, end, _)) = groups.joined(16) else { return };
        let b = value.as_bytes();
        let name = b[..5].iter().take_while(|c| c.is_ascii_alphabetic()).count();
        let surname = name >= 1 && b[name..5].iter().all(|c| *c == b'9');
        let digits = b[5..11].iter().all(u8::is_ascii_digit) && b[13].is_ascii_digit();
        let initials = (b[11].is_ascii_alphabetic() || b[11] == b'9' && b[12] == b'9') && (b[12].is_ascii_alphabetic() || b[12] == b'9');
        if !surname || !digits || !initials || !b[14..].iter().all(u8::is_ascii_alphabetic) || self.is_joined(end) {
            return;
        }
        let number = |i: usize| u32::from(b[i] - b'0') * 10 + u32::from(b[i + 1] - b'0');
        let month = number(6) % 50;
        let year = u32::from(b[5] - b'0') * 10 + u32::from(b[10] - b'0');
        if number(6) <= 62 && is_day(number(8), month, year) {
            self.push(hits, Identifier::DrivingLicence, value, end, false);
        }
    }

    fn card(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let Some((value, end)) = card::find(&groups.groups, &groups.joints, &groups.ends) else { return };
        if self.is_joined(end) {
            return;
        }
        // Thirteen digits were a card once and are a barcode now.
        let named =
            || self.near(&["card", "visa", "cvv", "cvc", "expiry", "expires", "mastercard", "debit", "credit"], &(self.at..end), 60);
        if value.len() != 13 || named() {
            self.push(hits, Identifier::PaymentCard, value, end, false);
        }
    }

    /// A sort code in pairs (in one run only where it is named) and eight digits within sixty characters. What may be a date needs a
    /// word about banks.
    fn bank_account(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let paired = groups.digits(&[&[2, 2, 2]]).filter(|_| groups.joints[0] == groups.joints[1] && groups.joints[0] != b'.');
        let run = || groups.digits(&[&[6]]).filter(|(_, end)| self.near(&["sort"], &(self.at..*end), 20));
        let Some((sort, end)) = paired.or_else(run) else { return };
        if self.text.get(end).is_some_and(|b| matches!(b, b'-' | b'/') && self.text.get(end + 1).is_some_and(u8::is_ascii_digit)) {
            return;
        }
        let Some((account, span)) = self.account_near(self.at..end) else { return };
        let whole = self.at.min(span.start)..end.max(span.end);
        // A date beside any number would do: only what is called a sort code is one then.
        if may_be_date(&sort) && !self.near(SORT, &(self.at..end), 30) {
            return;
        }
        if may_be_long_date(&account) && !self.near(BANK, &whole, 30) && !between_has(&self.text[whole.clone()], BANK) {
            return;
        }
        hits.push(Hit { kind: Identifier::BankAccount, value: format!("{sort}{account}"), span: whole, weak: false });
    }

    /// Eight digits, in one run or two of four: behind the sort code, else before it.
    fn account_near(&self, sort: Range<usize>) -> Option<(String, Range<usize>)> {
        let after = sort.end..(sort.end + 60).min(self.text.len());
        let before = sort.start.saturating_sub(60)..sort.start;
        [after, before].into_iter().find_map(|range| self.eight_digits(range))
    }

    fn eight_digits(&self, range: Range<usize>) -> Option<(String, Range<usize>)> {
        let mut at = range.start;
        while at < range.end {
            let start = at;
            while at < self.text.len() && self.text[at].is_ascii_alphanumeric() && at - start < 64 {
                at += 1;
            }
            let run = &self.text[start..at];
            let opens = start == 0 || !self.text[start - 1].is_ascii_alphanumeric();
            let digits = |r: &[u8]| r.iter().all(u8::is_ascii_digit);
            if opens && run.len() == 8 && digits(run) && !is_marked(self.text, start, at) {
                return Some((String::from_utf8_lossy(run).into_owned(), start..at));
            }
            if opens
                && run.len() == 4
                && digits(run)
                && self.text.get(at) == Some(&b' ')
                && let Some(next) = self.text.get(at + 1..at + 5).filter(|n| digits(n))
                && !self.text.get(at + 5).is_some_and(|b| b.is_ascii_alphanumeric())
                && !self.text.get(at + 5..at + 7).is_some_and(|n| n[0] == b' ' && n[1].is_ascii_digit())
                && !(start >= 2 && self.text[start - 1] == b' ' && self.text[start - 2].is_ascii_digit())
            {
                return Some((format!("{}{}", String::from_utf8_lossy(run), String::from_utf8_lossy(next)), start..at + 5));
            }
            at = at.max(start + 1);
        }
        None
    }

    /// A British IBAN: GB, two check digits, four letters, sort code and account; modulus 97 over all (ISO 13616).
    fn iban(&self, groups: &Groups<'_>, hits: &mut Vec<Hit>) {
        let Some((value, end, _)) = groups.joined(22) else { return };
        let b = value.as_bytes();
        let shape = &b[..2] == b"GB" && b[2..4].iter().all(u8::is_ascii_digit) && b[4..8].iter().all(u8::is_ascii_alphabetic);
        if !shape || !b[8..].iter().all(u8::is_ascii_digit) {
            return;
        }
        let remainder = b[4..].iter().chain(&b[..4]).fold(0u32, |rest, c| match c {
            b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
            c => (rest * 100 + u32::from(c - b'A') + 10) % 97,
        });
        if remainder == 1 {
            // The same account as its sort code and number.
            self.push(hits, Identifier::BankAccount, value[8..].to_string(), end, false);
        }
    }
}

impl Groups<'_> {
    /// The first `n` letters and digits in capitals, if they end with a group: with where they end and in how many groups.
    fn joined(&self, n: usize) -> Option<(String, usize, usize)> {
        let mut length = 0;
        for (i, group) in self.groups.iter().enumerate() {
            length += group.len();
            if length == n {
                let value = self.groups[..=i].iter().flat_map(|g| g.iter()).map(|b| b.to_ascii_uppercase() as char).collect();
                return Some((value, self.ends[i], i + 1));
            }
            if length > n {
                return None;
            }
        }
        None
    }

    /// The first groups, if they are digits of one of these lengths, and no further digits are joined to them.
    fn digits(&self, shapes: &[&[usize]]) -> Option<(String, usize)> {
        shapes.iter().find_map(|shape| {
            let fits = self.groups.len() >= shape.len()
                && shape.iter().zip(&self.groups).all(|(n, g)| g.len() == *n && g.iter().all(u8::is_ascii_digit));
            let last = shape.len() - 1;
            // A blank may part two numbers in a table; short groups behind one another are one number.
            let goes_on = self.groups.get(shape.len()).is_some_and(|next| {
                next.iter().all(u8::is_ascii_digit)
                    && (self.joints[last] == b'-' || next.len() < 6 && shape.len() != 1 && shape != &[2, 2, 2])
            });
            let value = || self.groups[..=last].iter().flat_map(|g| g.iter()).map(|b| *b as char).collect();
            (fits && !goes_on).then(|| (value(), self.ends[last]))
        })
    }

    /// Ten digits with a K behind them.
    fn with_k(&self) -> Option<(String, usize)> {
        let first = self.groups.first()?;
        let digits = first.strip_suffix(b"K").or(first.strip_suffix(b"k"))?;
        (digits.len() == 10 && digits.iter().all(u8::is_ascii_digit)).then(|| (String::from_utf8_lossy(digits).into_owned(), self.ends[0]))
    }
}

/// A word that is not part of a longer one, nor of a domain.
fn has_word(text: &[u8], word: &str) -> bool {
    memchr::memmem::find_iter(text, word.as_bytes()).any(|at| {
        let before = at.checked_sub(1).map(|i| text[i]);
        let after = text.get(at + word.len());
        let opens = before.is_none_or(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'@'));
        let closes = after.is_none_or(|b| !b.is_ascii_alphanumeric())
            && !(after == Some(&b'.') && text.get(at + word.len() + 1).is_some_and(u8::is_ascii_alphabetic));
        opens && closes
    })
}

fn between_has(text: &[u8], words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|w| has_word(&text, w))
}

/// Joined to something that makes it a reference, or money.
fn is_marked(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|i| text[i]);
    let after = text.get(end);
    matches!(before, Some(b'/' | b'-' | b'_' | b'.' | b'+' | b'#' | b'@'))
        || matches!(after, Some(b'/' | b'-' | b'_' | b'@'))
        || after == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_digit)
}

fn is_nhs(b: &[u8]) -> bool {
    let sum: u32 = b[..9].iter().zip((2..=10).rev()).map(|(c, w)| u32::from(c - b'0') * w).sum();
    let check = 11 - sum % 11;
    check != 10 && u32::from(b[9] - b'0') == check % 11 && b.iter().any(|c| *c != b[0])
}

fn is_taxpayer(b: &[u8]) -> bool {
    let sum: u32 = b[1..].iter().zip([6, 7, 8, 9, 10, 5, 4, 3, 2]).map(|(c, w)| u32::from(c - b'0') * w).sum();
    b[0] == b"21987654321"[(sum % 11) as usize]
}

fn is_day(day: u32, month: u32, year: u32) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `12-05-26`, or `26-05-12`.
fn may_be_date(sort: &str) -> bool {
    let n = |i: usize| sort[i..i + 2].parse::<u32>().unwrap_or(0);
    let day_month = |d: u32, m: u32| (1..=31).contains(&d) && (1..=12).contains(&m);
    day_month(n(0), n(2)) || day_month(n(4), n(2)) || day_month(n(2), n(0))
}

/// `20260512` or `12052026`.
fn may_be_long_date(account: &str) -> bool {
    let n = |range: Range<usize>| account[range].parse::<u32>().unwrap_or(0);
    (1900..2100).contains(&n(0..4)) && (1..=12).contains(&n(4..6)) && (1..=31).contains(&n(6..8))
        || (1900..2100).contains(&n(4..8)) && (1..=31).contains(&n(0..2)) && (1..=12).contains(&n(2..4))
}
