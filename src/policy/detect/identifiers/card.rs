//! Payment cards: an issuer's range, its length, and Luhn's sum (ISO/IEC 7812-1), in the groups that cards print.

/// How numbers stand on cards; a single group is any length that issuers give.
const SHAPES: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4], &[16], &[15], &[14], &[13], &[17], &[18], &[19]];

/// The card number that these groups of letters and digits begin with, and where it ends.
pub(super) fn find(groups: &[&[u8]], joints: &[u8], ends: &[usize]) -> Option<(String, usize)> {
    SHAPES.iter().find_map(|shape| {
        let last = shape.len() - 1;
        let fits = groups.len() >= shape.len() && shape.iter().zip(groups).all(|(n, g)| g.len() == *n && g.iter().all(u8::is_ascii_digit));
        if !fits || joints[..last].windows(2).any(|pair| pair[0] != pair[1]) {
            return None;
        }
        // Part of a longer run of the same kind is no card.
        if let Some(next) = groups.get(shape.len())
            && next.iter().all(u8::is_ascii_digit)
            && (joints[last] == b'-' || shape.len() > 1 && joints[last] == joints[0] && next.len() <= 4)
        {
            return None;
        }
        let value: String = groups[..=last].iter().flat_map(|g| g.iter()).map(|b| *b as char).collect();
        is_card(&value).then_some((value, ends[last]))
    })
}

fn is_card(digits: &str) -> bool {
    let b = digits.as_bytes();
    let starts = |n: usize| digits[..n].parse::<u32>().unwrap_or(0);
    let (two, three, four) = (starts(2), starts(3), starts(4));
    let issuer = match b.len() {
        13 => b[0] == b'4',
        14 => (300..=305).contains(&three) || four == 3095 || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        length @ 16..=19 => {
            let visa = b[0] == b'4' && matches!(length, 16 | 19);
            let mastercard = length == 16 && (matches!(two, 51..=55) || (2221..=2720).contains(&four));
            let discover = four == 6011 || (644..=649).contains(&three) || matches!(two, 62 | 65);
            let maestro = matches!(two, 50 | 56..=58 | 67) || matches!(four, 6304);
            let jcb = (3528..=3589).contains(&four);
            visa || mastercard || discover || maestro || jcb
        }
        _ => false,
    };
    issuer && luhn(b) && b.iter().any(|c| *c != b[0])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, c)| {
            let d = u32::from(c - b'0') << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}
