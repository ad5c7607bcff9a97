//! Transfer encodings, read leniently: what a reader would make of broken input, never an error (RFC 2045 §6.7, §6.8).

/// Base64. Octets outside the alphabet are skipped; padding in the middle ends a group and reading goes on.
pub fn base64(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0u32);
    let mut rest = input;
    while let [a, b, c, d, tail @ ..] = rest {
        let group = [BASE64[*a as usize], BASE64[*b as usize], BASE64[*c as usize], BASE64[*d as usize]];
        if count == 0 && group.iter().all(|&v| v < 64) {
            let word = u32::from(group[0]) << 18 | u32::from(group[1]) << 12 | u32::from(group[2]) << 6 | u32::from(group[3]);
            out.extend_from_slice(&[(word >> 16) as u8, (word >> 8) as u8, word as u8]);
            rest = tail;
        } else {
            base64_octet(*a, &mut bits, &mut count, &mut out);
            rest = &rest[1..];
        }
    }
    for &octet in rest {
        base64_octet(octet, &mut bits, &mut count, &mut out);
    }
    flush(&mut bits, &mut count, &mut out);
    out
}

/// At most `limit` octets of what [`base64`] would give; looks no further than it needs.
pub fn base64_prefix(input: &[u8], limit: usize) -> Vec<u8> {
    let mut out = base64(&input[..input.len().min(limit.saturating_mul(2))]);
    out.truncate(limit);
    out
}

fn base64_octet(octet: u8, bits: &mut u32, count: &mut u32, out: &mut Vec<u8>) {
    match BASE64[octet as usize] {
        value @ 0..64 => {
            *bits = *bits << 6 | u32::from(value);
            *count += 1;
            if *count == 4 {
                out.extend_from_slice(&[(*bits >> 16) as u8, (*bits >> 8) as u8, *bits as u8]);
                (*bits, *count) = (0, 0);
            }
        }
        PAD => flush(bits, count, out),
        _ => {}
    }
}

/// The octets of a group that is not full.
fn flush(bits: &mut u32, count: &mut u32, out: &mut Vec<u8>) {
    match *count {
        2 => out.push((*bits >> 4) as u8),
        3 => out.extend_from_slice(&[(*bits >> 10) as u8, (*bits >> 2) as u8]),
        _ => {}
    }
    (*bits, *count) = (0, 0);
}

const PAD: u8 = 64;

const BASE64: [u8; 256] = {
    let mut table = [65u8; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'=' as usize] = PAD;
    table
};

/// Quoted-printable. `=` before anything else than two hex digits or a line end stands for itself.
pub fn quoted_printable(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after {
            [a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex(*a) << 4 | hex(*b));
                tail
            }
            _ => match soft_break(after) {
                Some(tail) => tail,
                None => {
                    out.push(b'=');
                    after
                }
            },
        };
    }
    out.extend_from_slice(rest);
    out
}

/// What follows a soft line break (blanks before the line end are padding that a relay added); at the end of input too.
fn soft_break(after: &[u8]) -> Option<&[u8]> {
    let blanks = after.iter().take(80).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match &after[blanks..] {
        [] => Some(&[]),
        [b'\r', b'\n', tail @ ..] | [b'\n', tail @ ..] => Some(tail),
        _ => None,
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10) & 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_lenient() {
        for (input, output) in [
            ("", ""),
            ("QQ==", "A"),
            ("QUI=", "AB"),
            ("QUJD", "ABC"),
            ("QU\r\nJD\r\n", "ABC"),
            ("Q U*J-D", "ABC"),
            ("QQ==QUJD", "AABC"),
            ("QUJDRA", "ABCD"),
            ("Q", ""),
        ] {
            assert_eq!(base64(input.as_bytes()), output.as_bytes(), "{input:?}");
        }
        assert_eq!(base64_prefix(b"QUJDQUJDQUJD", 4), b"ABCA");
    }

    #[test]
    fn quoted_printable_is_lenient() {
        for (input, output) in
            [("a=3Db", "a=b"), ("a=\r\nb", "ab"), ("a= \t\r\nb", "ab"), ("a=zb", "a=zb"), ("a=", "a"), ("=e2=82=AC", "€"), ("=4", "=4")]
        {
            assert_eq!(quoted_printable(input.as_bytes()), output.as_bytes(), "{input:?}");
        }
    }
}
