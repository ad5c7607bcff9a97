//! Small changes to an input, the same in every run: what the suite tries where libFuzzer is not at hand.

use crate::support::Random;

/// Pieces that mean something to one parser or another.
const PIECES: [&[u8]; 44] = [
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\t",
    b" ",
    b"\0",
    b"--",
    b"--b",
    b"--b--",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"<",
    b">",
    b"@",
    b",",
    b";",
    b":",
    b"=",
    b"?=",
    b"=?utf-8?Q?",
    b"=?utf-8?B?",
    b"=40",
    b"=\r\n",
    b"a@x.uk",
    b"To: ",
    b"Content-Type: ",
    b"multipart/mixed; boundary=b",
    b"message/rfc822",
    b"Re: ",
    b"[",
    b"]",
    b"'",
    b"&",
    b"</",
    b"<!--",
    b"PK\x03\x04",
    b"\xff",
    b"\xc3\xa9",
    b"\x01",
    b"\xe2\x80\x93",
    b"9434765919",
];

/// One input made of `seed`, and of `other` now and then.
pub fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(out.len() as u64 + 1) as usize;
        let end = (at + 1 + random.below(24) as usize).min(out.len());
        match random.below(7) {
            0 => drop(out.splice(at..at, PIECES[random.below(PIECES.len() as u64) as usize].iter().copied())),
            1 => drop(out.splice(at..end, PIECES[random.below(PIECES.len() as u64) as usize].iter().copied())),
            2 => drop(out.drain(at..end)),
            3 => drop(out.splice(at..at, seed[at.min(seed.len())..end.min(seed.len()).max(at.min(seed.len()))].iter().copied())),
            4 if at < out.len() => out[at] ^= 1 << random.below(8),
            5 if at < out.len() => out[at] = random.below(256) as u8,
            _ => {
                let from = random.below(other.len() as u64 + 1) as usize;
                let to = (from + random.below(64) as usize).min(other.len());
                drop(out.splice(at..at, other[from..to].iter().copied()));
            }
        }
    }
    out
}
