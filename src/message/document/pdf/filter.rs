//! Filters of streams (ISO 32000-2 §7.4), each up to a limit; what was decoded before a fault is kept.

use super::object::{Dictionary, Object};
use crate::message::document::inflate::{self, End, Wrapper};

/// How decoding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    Limit,
    Damaged,
    /// A picture: its filter is not undone.
    Picture,
}

/// Undoes `filter` with its parameters.
pub fn decode(filter: &[u8], parameters: &Dictionary, input: &[u8], limit: usize) -> (Vec<u8>, Ended) {
    match filter {
        b"FlateDecode" | b"Fl" => {
            let (bytes, end) = flate(input, limit);
            (predicted(bytes, parameters), end)
        }
        b"LZWDecode" | b"LZW" => {
            let early = parameters.find("EarlyChange").and_then(Object::number) != Some(0.0);
            let (bytes, end) = lzw(input, early, limit);
            (predicted(bytes, parameters), end)
        }
        b"ASCII85Decode" | b"A85" => (ascii85(input), Ended::Well),
        b"ASCIIHexDecode" | b"AHx" => (ascii_hex(input), Ended::Well),
        b"RunLengthDecode" | b"RL" => run_length(input, limit),
        b"Crypt" => (input.to_vec(), Ended::Well),
        b"DCTDecode" | b"DCT" | b"JPXDecode" | b"CCITTFaxDecode" | b"CCF" | b"JBIG2Decode" => (Vec::new(), Ended::Picture),
        _ => (Vec::new(), Ended::Damaged),
    }
}

fn flate(input: &[u8], limit: usize) -> (Vec<u8>, Ended) {
    let ended = |end| match end {
        End::Whole => Ended::Well,
        End::Limit => Ended::Limit,
        End::Damaged => Ended::Damaged,
    };
    let (bytes, end) = inflate::inflate(input, Wrapper::Zlib, limit);
    if end != End::Damaged || !bytes.is_empty() {
        // A wrong checksum at the very end is common and harmless: readers do not look at it.
        return (bytes, ended(end));
    }
    // Without the two octets of zlib's header, or with broken ones.
    let (raw, end) = inflate::inflate(input.get(2..).unwrap_or_default(), Wrapper::Raw, limit);
    (raw, ended(end))
}

fn lzw(input: &[u8], early: bool, limit: usize) -> (Vec<u8>, Ended) {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut out: Vec<u8> = Vec::new();
    // Each entry is a stretch of what was put out: where it starts, and how long it is.
    let mut table: Vec<(usize, usize)> = Vec::with_capacity(4_096);
    let (mut width, mut bits, mut count) = (9u32, 0u32, 0u32);
    let mut last: Option<(usize, usize)> = None;
    for &octet in input {
        bits = bits << 8 | u32::from(octet);
        count += 8;
        if count < width {
            continue;
        }
        count -= width;
        let code = (bits >> count) as usize & ((1 << width) - 1);
        bits &= (1 << count) - 1;
        match code {
            CLEAR => {
                table.clear();
                (width, last) = (9, None);
                continue;
            }
            END => return (out, Ended::Well),
            _ => {}
        }
        let start = out.len();
        if code < 256 {
            out.push(code as u8);
        } else if let Some(&(from, length)) = table.get(code - 258) {
            out.extend_from_within(from..from + length);
        } else if let Some((from, length)) = last.filter(|_| code - 258 == table.len()) {
            out.extend_from_within(from..from + length);
            let first = out[from];
            out.push(first);
        } else {
            return (out, Ended::Damaged);
        }
        if out.len() > limit {
            out.truncate(limit);
            return (out, Ended::Limit);
        }
        // The last string and the first octet of this one stand side by side in the output.
        if let Some((from, length)) = last
            && table.len() < 4_096 - 258
        {
            table.push((from, length + 1));
        }
        last = Some((start, out.len() - start));
        let next = table.len() + 258 + usize::from(early);
        width = if next >= 2_048 {
            12
        } else if next >= 1_024 {
            11
        } else if next >= 512 {
            10
        } else {
            9
        };
    }
    (out, Ended::Well)
}

fn ascii85(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() / 5 * 4);
    let (mut group, mut count) = (0u32, 0u32);
    let input = input.trim_ascii_start();
    for &octet in input.strip_prefix(b"<~").unwrap_or(input) {
        match octet {
            b'~' => break,
            b'z' if count == 0 => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(octet - b'!'));
                count += 1;
                if count == 5 {
                    out.extend_from_slice(&group.to_be_bytes());
                    (group, count) = (0, 0);
                }
            }
            _ => {}
        }
    }
    if count > 1 {
        for _ in count..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        out.extend_from_slice(&group.to_be_bytes()[..count as usize - 1]);
    }
    out
}

fn ascii_hex(input: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = input.iter().take_while(|b| **b != b'>').filter_map(|b| char::from(*b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn run_length(input: &[u8], limit: usize) -> (Vec<u8>, Ended) {
    let mut out = Vec::new();
    let mut rest = input;
    while let [length, tail @ ..] = rest {
        match length {
            128 => break,
            0..=127 => {
                let count = (usize::from(*length) + 1).min(tail.len());
                out.extend_from_slice(&tail[..count]);
                rest = &tail[count..];
            }
            _ => {
                let Some((octet, after)) = tail.split_first() else { break };
                out.extend(std::iter::repeat_n(*octet, 257 - usize::from(*length)));
                rest = after;
            }
        }
        if out.len() > limit {
            return (out, Ended::Limit);
        }
    }
    (out, Ended::Well)
}

/// Undoes the predictor, where there is one (PNG's, or TIFF's for whole octets).
fn predicted(bytes: Vec<u8>, parameters: &Dictionary) -> Vec<u8> {
    let number = |key: &str, default: usize| parameters.find(key).and_then(Object::index).unwrap_or(default);
    let predictor = number("Predictor", 1);
    if predictor < 2 {
        return bytes;
    }
    let (colors, depth, columns) = (number("Colors", 1).min(64), number("BitsPerComponent", 8).min(32), number("Columns", 1).min(1 << 20));
    let pixel = (colors * depth).div_ceil(8).max(1);
    let row = (colors * depth * columns).div_ceil(8).max(1);
    let mut out = Vec::with_capacity(bytes.len());
    if predictor == 2 {
        for line in bytes.chunks(row) {
            let start = out.len();
            for (i, octet) in line.iter().enumerate() {
                let left = if i >= pixel && depth == 8 { out[start + i - pixel] } else { 0 };
                out.push(octet.wrapping_add(left));
            }
        }
        return out;
    }
    let mut above = vec![0u8; row];
    for line in bytes.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else { break };
        let start = out.len();
        for (i, octet) in line.iter().enumerate() {
            let left = if i >= pixel { out[start + i - pixel] } else { 0 };
            let corner = if i >= pixel { above[i - pixel] } else { 0 };
            let guess = match kind {
                1 => left,
                2 => above[i],
                3 => ((u16::from(left) + u16::from(above[i])) / 2) as u8,
                4 => paeth(left, above[i], corner),
                _ => 0,
            };
            out.push(octet.wrapping_add(guess));
        }
        above[..line.len()].copy_from_slice(&out[start..]);
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(up) - i16::from(corner);
    let distance = |v: u8| (estimate - i16::from(v)).abs();
    if distance(left) <= distance(up) && distance(left) <= distance(corner) {
        left
    } else if distance(up) <= distance(corner) {
        up
    } else {
        corner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_decode() {
        let none = Dictionary::default();
        let plain = |filter: &[u8], input: &[u8]| String::from_utf8(decode(filter, &none, input, 1_000).0).unwrap();
        assert_eq!(plain(b"ASCIIHexDecode", b"48 65 6c6C 6f>"), "Hello");
        assert_eq!(plain(b"ASCII85Decode", b"<~87cURD]i,\"Ebo80~>"), "Hello World!");
        assert_eq!(plain(b"RunLengthDecode", &[1, b'a', b'b', 254, b'c', 128, 9]), "abccc");
        // ISO 32000-2 §7.4.4.2, example 1.
        assert_eq!(
            decode(b"LZWDecode", &none, &[0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01], 99).0,
            [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]
        );
        assert_eq!(decode(b"DCTDecode", &none, b"x", 9).1, Ended::Picture);
        assert_eq!(decode(b"Nonsense", &none, b"x", 9).1, Ended::Damaged);
        assert_eq!(decode(b"RunLengthDecode", &none, &[129, b'a'].repeat(100), 99).1, Ended::Limit);
    }

    #[test]
    fn predictors_are_undone() {
        let with = |pairs: &[(&str, f64)]| Dictionary(pairs.iter().map(|(k, v)| (k.as_bytes().to_vec(), Object::Number(*v))).collect());
        let up = with(&[("Predictor", 12.0), ("Columns", 3.0)]);
        assert_eq!(predicted(vec![2, 1, 2, 3, 2, 1, 1, 1], &up), [1, 2, 3, 2, 3, 4]);
        let sub = with(&[("Predictor", 11.0), ("Columns", 3.0)]);
        assert_eq!(predicted(vec![1, 1, 1, 1], &sub), [1, 2, 3]);
        let tiff = with(&[("Predictor", 2.0), ("Columns", 3.0)]);
        assert_eq!(predicted(vec![1, 1, 1, 5, 1, 1], &tiff), [1, 2, 3, 5, 6, 7]);
        predicted(vec![4; 50], &with(&[("Predictor", 15.0), ("Columns", 1e9), ("Colors", 1e9), ("BitsPerComponent", 1e9)]));
    }
}
