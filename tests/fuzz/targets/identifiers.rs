//! Identifiers: a valid one that was put in is counted, and with its check broken it is not.

use lychgate::policy::condition::Identifier;
use lychgate::policy::detect::identifiers::count;

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "identifiers",
    run,
    seeds: || super::texts(&["NHS number 943 476 5919", "\u{0}5555512345", "\u{1}123456789012", "\u{2}401288888888", "\u{3}AB123456C", "AB 12 34 56 C, 20-00-00 12345678"]),
    given: Given::Nothing,
};

const ALL: [Identifier; 7] = [
    Identifier::NationalInsurance,
    Identifier::Nhs,
    Identifier::BankAccount,
    Identifier::TaxReference,
    Identifier::Passport,
    Identifier::DrivingLicence,
    Identifier::PaymentCard,
];

fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let each: Vec<usize> = ALL.iter().map(|k| count(&text, &[*k])).collect();
    // What two kinds share is one of them, and what is nowhere near a digit counts for nothing.
    let (together, apart) = (count(&text, &ALL), each.iter().sum::<usize>());
    assert!(together <= apart && (together > 0) == (apart > 0), "{together} of {apart}");
    assert!(text.chars().any(char::is_numeric) || apart == 0);

    let mut input = Input::new(octets);
    let grouping = input.below(3);
    let (before, after) = (input.words(3), input.words(3));
    let within = |value: &str| format!("{before}. {value}. {after}.");

    // NHS: weights 10 to 2, modulus 11.
    let nine = input.digits(9);
    let sum: usize = nine.bytes().enumerate().map(|(i, b)| usize::from(b - b'0') * (10 - i)).sum();
    let check = (11 - sum % 11) % 11;
    for last in 0..10 {
        let number = format!("{nine}{last}");
        let shown = match grouping {
            0 => number.clone(),
            1 => format!("{} {} {}", &number[..3], &number[3..6], &number[6..]),
            _ => format!("{}-{}-{}", &number[..3], &number[3..6], &number[6..]),
        };
        let trivial = nine.bytes().all(|b| b == nine.as_bytes()[0]);
        let expected = usize::from(last == check);
        let got = count(&within(&format!("NHS number {shown}")), &[Identifier::Nhs]);
        // A number of one digit only may be taken for a placeholder.
        assert!(got == expected || trivial && got == 0, "{shown}: {got}");
        assert_eq!(count(&within(&format!("Call {shown}")), &[Identifier::Nhs]), 0, "{shown} without context");
    }

    // Cards: Luhn's sum, added up from the right in its own way.
    let fifteen = format!("4{}", input.digits(14));
    let doubled: u32 = fifteen.bytes().rev().enumerate().map(|(i, b)| [(b - b'0') as u32, [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][(b - b'0') as usize]][(i + 1) % 2]).sum();
    let check = (10 - doubled % 10) % 10;
    for last in 0..10 {
        let number = format!("{fifteen}{last}");
        let shown = match grouping {
            0 => number.clone(),
            _ => number.as_bytes().chunks(4).map(|c| std::str::from_utf8(c).expect("digits")).collect::<Vec<_>>().join([" ", "-"][grouping - 1]),
        };
        assert_eq!(count(&within(&format!("Card number: {shown}")), &[Identifier::PaymentCard]), usize::from(last == check), "{shown}");
    }

    // National Insurance: letters that are never given.
    let letters = |i: &mut Input<'_>| char::from(b'A' + i.byte() % 26);
    let (one, two, last, digits) = (letters(&mut input), letters(&mut input), letters(&mut input), input.digits(6));
    let never = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&format!("{one}{two}").as_str());
    let valid = !"DFIQUV".contains(one) && !"DFIQUVO".contains(two) && !never && ('A'..='D').contains(&last);
    let shown = match grouping {
        0 => format!("{one}{two}{digits}{last}"),
        _ => format!("{one}{two} {} {} {} {last}", &digits[..2], &digits[2..4], &digits[4..]),
    };
    let said = format!("Her National Insurance number is {shown}");
    assert_eq!(count(&within(&said), &[Identifier::NationalInsurance]), usize::from(valid), "{shown}");
}
