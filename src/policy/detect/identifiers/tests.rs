#![expect(clippy::disallowed_methods, reason = "the tests read the given table")]
use proptest::prelude::*;

use super::*;

fn count(text: &str, kind: Identifier) -> usize {
    super::count(text, &[kind])
}

#[test]
fn identifiers() {
    use Identifier::*;
    for (kind, n, text) in [
        (NationalInsurance, 1, "NI: AB 12 34 56 C."),
        (NationalInsurance, 1, "ab123456c and AB-12-34-56-C"),
        (NationalInsurance, 1, "Her National Insurance number is AB123456C"),
        (NationalInsurance, 1, "AB\u{a0}12\u{a0}34\u{a0}56\u{a0}C"),
        (NationalInsurance, 1, "NINO: A\u{200b}B123456C"),
        (NationalInsurance, 2, "Elm AB123456C\nAsh CE234567A\n"),
        (NationalInsurance, 0, "Our reference AB123456C"),
        (NationalInsurance, 0, "planning 2026/AB123456C/FUL, NI"),
        (NationalInsurance, 0, "NI BG123456C QQ123456C AO123456C AB123456E XAB123456C AB123456CD"),
        (NationalInsurance, 1, "Without any number for a long while, then A B 12 34 56 C, then none."),
        (Nhs, 1, "NHS number 943 476 5919"),
        (Nhs, 1, "NHS No: 9434765919"),
        (Nhs, 1, "943-476-5919 (NHS)"),
        (Nhs, 0, "call 943 476 5919"),
        (Nhs, 0, "NHS 943 476 5918"),
        (Nhs, 0, "jo@nhs.net 943 476 5919"),
        (Nhs, 0, "NHS Lincolnshire, tel. 943 476 5919"),
        (Nhs, 0, "NHS 1943 476 5919"),
        (Nhs, 0, "NHS 000 000 0000"),
        (BankAccount, 1, "sort code 20-00-00 account 12345678"),
        (BankAccount, 1, "Sort code: 204567 Account: 41234567"),
        (BankAccount, 1, "Sort 20–45–67, a/c 4123 4567"),
        (BankAccount, 1, "Account 41234567\nSort code 20 45 67"),
        (BankAccount, 1, "GB29 NWBK 6016 1331 9268 19"),
        (BankAccount, 1, "GB29NWBK60161331926819 is 60-16-13 31926819"),
        (BankAccount, 0, "GB29 NWBK 6016 1331 9268 10"),
        (BankAccount, 0, "DE89 3704 0044 0532 0130 00"),
        (BankAccount, 0, "meeting 20-00-00"),
        (BankAccount, 0, "on 2026-10-12-12 12345678"),
        (BankAccount, 0, "The meeting of 12-05-26 (file 20260512)"),
        (BankAccount, 0, "Received 12-05-26, meter reading 12345678"),
        (BankAccount, 0, "Invoice of 12-05-26. Account number 41234567"),
        (BankAccount, 0, "Hire on 12-05-26 and 19-05-26: order 20260512. Please pay by BACS"),
        (BankAccount, 1, "Cod didoli 12-05-26 cyfrif 41234567"),
        (BankAccount, 1, "Account opened 12-05-26? No: sort code 12-05-26, account 12345678"),
        (PaymentCard, 1, "4111 1111 1111 1111"),
        (PaymentCard, 1, "3714 496353 98431"),
        (PaymentCard, 1, "30569309025904"),
        (PaymentCard, 1, "4012888888881881 4012-8888-8888-1881 4012 8888 8888 1881"),
        (PaymentCard, 0, "4111 1111 1111 1112"),
        (PaymentCard, 0, "4111 1111 1111 1111 1111"),
        (PaymentCard, 0, "94111111111111111"),
        (PaymentCard, 0, "order 4111111111111111-22"),
        (PaymentCard, 0, "barcode 4222222222222"),
        (PaymentCard, 1, "card 4222222222222"),
        (TaxReference, 1, "UTR 1955839661"),
        (TaxReference, 1, "Unique Taxpayer Reference: 19558 39661"),
        (TaxReference, 1, "UTR 1955839661K"),
        (TaxReference, 0, "UTR 1955839662"),
        (TaxReference, 0, "order 1955839661"),
        (TaxReference, 0, "neutral 1955839661"),
        (Passport, 1, "passport no. 123456789"),
        (Passport, 1, "Passport AB1234567"),
        (Passport, 0, "123456789"),
        (Passport, 0, "passport photographs: order 1234567890"),
        (DrivingLicence, 1, "MORGA657054SM9IJ"),
        (DrivingLicence, 1, "M O R G A 657054 SM9IJ"),
        (DrivingLicence, 1, "MORGA 657054 SM9IJ 35"),
        (DrivingLicence, 0, "ABCDEF7890123456"),
        (DrivingLicence, 0, "MORGA657324SM9IJ MORGA613054SM9IJ SMITH802301AB1CD M9RGA657054SM9IJ MORGA657054SM9I1"),
    ] {
        assert_eq!(count(text, kind), n, "{kind:?} {text:?}");
    }
}

#[test]
fn the_councils_own_account_never_counts() {
    let own = ["20456741234567".to_string()];
    let n = |text: &str| distinct(&[find(text)], &[Identifier::BankAccount], &own).len();
    assert_eq!(n("Please pay: sort code 20-45-67, account 41234567"), 0);
    assert_eq!(n("Sort code 204567 account number 4123 4567"), 0);
    assert_eq!(n("Please pay: sort code 20-45-67, account 41234568"), 1);
}

#[test]
fn overlaps_and_repetitions_count_once() {
    let all: Vec<Identifier> = Identifier::WORDS.iter().map(|(_, k)| *k).collect();
    let text = "NHS 943 476 5919";
    let n = distinct(&[find(text), find(text), find("NHS 9434765919")], &all, &[]);
    assert_eq!(n, [(Identifier::Nhs, 1)]);
    // Ten digits that are both are one.
    let both = (0..2_000_000_000u64).map(|i| (1_000_000_000 + i * 7919) % 10_000_000_000).map(|n| format!("{n:010}"));
    let both =
        both.into_iter().find(|t| count(&format!("NHS {t}"), Identifier::Nhs) + count(&format!("UTR {t}"), Identifier::TaxReference) == 2);
    let both = both.expect("one in a hundred numbers is both");
    let n: usize = distinct(&[find(&format!("NHS or UTR {both}"))], &all, &[]).iter().map(|(_, n)| n).sum();
    assert_eq!(n, 1);
}

/// What the given table says, and where we differ on purpose.
#[test]
fn given_identifiers() {
    let given = std::env::var_os("LYCHGATE_GIVEN")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/given"), Into::into);
    let Ok(table) = std::fs::read_to_string(given.join("identifiers.tsv")) else {
        eprintln!("skipped: there are no given identifiers at {}", given.display());
        return;
    };
    let mut tally = std::collections::BTreeMap::<&str, (usize, usize, usize, usize)>::new();
    let mut wrong = Vec::new();
    for line in table.lines().skip(1) {
        let mut fields = line.split('\t');
        let (Some(name), Some(valid), Some(text)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (kind, context) = match name {
            "uk_driving_licence" => (Identifier::DrivingLicence, ""),
            "uk_nhs" => (Identifier::Nhs, "NHS number "),
            "uk_nino" => (Identifier::NationalInsurance, ""),
            "uk_passport" => (Identifier::Passport, "passport "),
            "credit_card" => (Identifier::PaymentCard, ""),
            "iban" => (Identifier::BankAccount, ""),
            // Not among the identifiers of the contract: they stand in every signature and every car park.
            _ => continue,
        };
        let valid: usize = valid.parse().expect("a number");
        let got = count(&format!("{context}{text}"), kind);
        let entry = tally.entry(name).or_default();
        let expected = match text {
            // One value three times: what stands twice counts once.
            t if t.matches("8881881").count() + t.matches("8888-1881").count() + t.matches("8888 1881").count() > 1 => 1,
            // An airline's account (1…, fifteen digits) is nobody's card, and one in ten references would pass.
            t if t.ends_with("122000000000003") => 0,
            // Foreign accounts are no UK identifier.
            _ if name == "iban" && !text.contains("GB29 NWBK") && !text.contains("GB29NWBK") => 0,
            // Passports of the United Kingdom have nine digits; the source knows only letters and digits.
            "123456789" => 1,
            _ => valid,
        };
        match (expected > 0, got == expected) {
            (true, true) => entry.0 += 1,
            (true, false) => entry.1 += 1,
            (false, true) => entry.2 += 1,
            (false, false) => entry.3 += 1,
        }
        if got != expected {
            wrong.push(format!("{name} {text:?}: {got}, not {expected}"));
        }
    }
    for (name, (hit, missed, quiet, false_alarm)) in &tally {
        println!("given identifiers, {name}: {hit} of {} found, {false_alarm} of {} false alarms", hit + missed, quiet + false_alarm);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tally.len() == 6, "{tally:?}");
}

/// Naive second implementations, written from the official descriptions.
mod naive {
    pub fn nhs(d: &[u32]) -> bool {
        let mut total = 0;
        for (weight, digit) in (2..=10).rev().zip(d) {
            total += weight * digit;
        }
        let check = (11 - total % 11) % 11;
        check != 10 && check == d[9] && d.iter().any(|x| *x != d[0])
    }

    pub fn luhn(d: &[u32]) -> bool {
        let mut total = 0;
        let mut double = false;
        for x in d.iter().rev() {
            let mut x = *x;
            if double {
                x *= 2;
                if x >= 10 {
                    x = x / 10 + x % 10;
                }
            }
            total += x;
            double = !double;
        }
        total % 10 == 0
    }

    pub fn utr(d: &[u32]) -> bool {
        let weights = [6, 7, 8, 9, 10, 5, 4, 3, 2];
        let mut total = 0;
        for (weight, digit) in weights.iter().zip(&d[1..]) {
            total += weight * digit;
        }
        // HMRC's check characters, for remainders 0 to 10.
        let expected = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1][(total % 11) as usize];
        d[0] == expected
    }
}

fn text_of(d: &[u32]) -> String {
    d.iter().map(|x| char::from_digit(*x, 10).expect("a digit")).collect()
}

proptest! {
    #[test]
    fn ten_digits_are_found_by_their_checks(d in proptest::collection::vec(0u32..10, 10), fix in any::<bool>(), before in "[a-z ]{0,30}", after in "[a-z ]{0,30}") {
        let mut d = d;
        if fix {
            // The last digit that makes the sum right, if there is one.
            d[9] = (0..10).find(|x| { let mut e = d.clone(); e[9] = *x; naive::nhs(&e) }).unwrap_or(d[9]);
        }
        let t = text_of(&d);
        prop_assert_eq!(count(&format!("{before} NHS {t} {after}"), Identifier::Nhs), usize::from(naive::nhs(&d)));
        prop_assert_eq!(count(&format!("{before} NHS {} {} {}, {after}", &t[..3], &t[3..6], &t[6..]), Identifier::Nhs), usize::from(naive::nhs(&d)));
        prop_assert_eq!(count(&format!("{before} UTR {t} {after}"), Identifier::TaxReference), usize::from(naive::utr(&d)));
        prop_assert_eq!(count(&format!("order {t} now"), Identifier::TaxReference) + count(&format!("order {t} now"), Identifier::Nhs), 0);
    }

    #[test]
    fn cards_are_found_by_luhn(d in proptest::collection::vec(0u32..10, 15), first in prop_oneof![Just(4u32), Just(5), Just(9), Just(1)], hyphen in any::<bool>()) {
        let mut d = [vec![first], d].concat();
        for last in 0..10 {
            d[15] = last;
            let t = text_of(&d);
            let joint = if hyphen { "-" } else { " " };
            let printed = format!("{}{joint}{}{joint}{}{joint}{}", &t[..4], &t[4..8], &t[8..12], &t[12..]);
            let issuer = first == 4 || first == 5 && ((1..=5).contains(&d[1]) || d[1] == 0 || (6..=8).contains(&d[1]));
            let expected = usize::from(issuer && naive::luhn(&d) && d.iter().any(|x| *x != d[0]));
            prop_assert_eq!(count(&format!("paid {printed} today"), Identifier::PaymentCard), expected, "{}", printed);
            prop_assert_eq!(count(&format!("paid {t} today"), Identifier::PaymentCard), expected, "{}", t);
            prop_assert_eq!(count(&format!("paid 7{t} today"), Identifier::PaymentCard), 0);
        }
    }

    #[test]
    fn national_insurance_numbers_are_found_wherever_they_stand(a in "[A-Z]{2}", d in "[0-9]{6}", z in "[A-Z]", words in "[a-z]{0,12}( [a-z]{1,9}){0,6}", lower in any::<bool>()) {
        let written = format!("{a} {} {} {} {z}", &d[..2], &d[2..4], &d[4..]);
        let written = if lower { written.to_lowercase() } else { written };
        let bytes = a.as_bytes();
        let valid = !"DFIQUV".contains(bytes[0] as char) && !"DFIQUVO".contains(bytes[1] as char)
            && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].contains(&a.as_str()) && "ABCD".contains(&z);
        prop_assert_eq!(count(&format!("{words}: {written}. {words}"), Identifier::NationalInsurance), usize::from(valid), "{}", written);
        let run = format!("{a}{d}{z}");
        prop_assert_eq!(count(&format!("{words}; national insurance {run}."), Identifier::NationalInsurance), usize::from(valid));
        prop_assert_eq!(count(&format!("ref 12/{run}/3 national insurance"), Identifier::NationalInsurance), 0);
    }

    #[test]
    fn any_text_is_borne(text in "[A-Z0-9 \\-./:é–]{0,200}") {
        let all: Vec<Identifier> = Identifier::WORDS.iter().map(|(_, k)| *k).collect();
        let n: usize = distinct(&[find(&text)], &all, &[]).iter().map(|(_, n)| n).sum();
        // None is shorter than nine octets.
        prop_assert!(n <= text.len() / 9);
    }
}
