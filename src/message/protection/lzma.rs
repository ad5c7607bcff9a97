//! LZMA, only for the packed header of a 7z archive: without it nobody can see whether what it lists is encrypted.

/// Decodes `size` octets; none if the stream is broken.
pub fn decode(properties: &[u8; 5], input: &[u8], size: usize) -> Option<Vec<u8>> {
    let first = properties[0];
    if first >= 225 {
        return None;
    }
    let (lc, rest) = (u32::from(first % 9), first / 9);
    let (lp, pb) = (u32::from(rest % 5), u32::from(rest / 5));
    let mut decoder = Decoder {
        range: Range::new(input)?,
        out: Vec::with_capacity(size.min(1 << 20)),
        size,
        lc,
        lp_mask: (1 << lp) - 1,
        pb_mask: (1 << pb) - 1,
    };
    decoder.run(lp)?;
    Some(decoder.out)
}

/// The first chunk of LZMA2: it must start everything anew. For a small file it is all there is.
pub fn decode_first_chunk(input: &[u8]) -> Option<Vec<u8>> {
    let &[control, a, b, ref rest @ ..] = input else { return None };
    let low = usize::from(a) << 8 | usize::from(b);
    if control == 1 {
        return rest.get(..low + 1).map(<[u8]>::to_vec);
    }
    let &[c, d, properties, ref packed @ ..] = rest else { return None };
    if control < 0xe0 {
        return None;
    }
    let size = (usize::from(control & 0x1f) << 16 | low) + 1;
    let packed_size = (usize::from(c) << 8 | usize::from(d)) + 1;
    decode(&[properties, 0, 0, 0, 0], packed.get(..packed_size)?, size)
}

const HALF: u16 = 1 << 10;

struct Range<'a> {
    input: &'a [u8],
    at: usize,
    range: u32,
    code: u32,
}

impl<'a> Range<'a> {
    fn new(input: &'a [u8]) -> Option<Range<'a>> {
        let code = u32::from_be_bytes(input.get(1..5)?.try_into().ok()?);
        Some(Range { input, at: 5, range: u32::MAX, code })
    }

    fn normalise(&mut self) -> Option<()> {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(*self.input.get(self.at)?);
            self.at += 1;
        }
        Some(())
    }

    fn bit(&mut self, prob: &mut u16) -> Option<u32> {
        self.normalise()?;
        let bound = (self.range >> 11) * u32::from(*prob);
        if self.code < bound {
            self.range = bound;
            *prob += (2048 - *prob) >> 5;
            Some(0)
        } else {
            self.range -= bound;
            self.code -= bound;
            *prob -= *prob >> 5;
            Some(1)
        }
    }

    fn direct(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            self.normalise()?;
            self.range >>= 1;
            let bit = u32::from(self.code >= self.range);
            if bit == 1 {
                self.code -= self.range;
            }
            value = value << 1 | bit;
        }
        Some(value)
    }

    fn tree(&mut self, probs: &mut [u16], bits: u32) -> Option<u32> {
        let mut symbol = 1;
        for _ in 0..bits {
            symbol = symbol << 1 | self.bit(&mut probs[symbol as usize])?;
        }
        Some(symbol - (1 << bits))
    }

    fn reverse_tree(&mut self, probs: &mut [u16], bits: u32) -> Option<u32> {
        let (mut symbol, mut value) = (1u32, 0);
        for i in 0..bits {
            let bit = self.bit(&mut probs[symbol as usize])?;
            symbol = symbol << 1 | bit;
            value |= bit << i;
        }
        Some(value)
    }
}

struct Lengths {
    choice: [u16; 2],
    low: [[u16; 8]; 16],
    mid: [[u16; 8]; 16],
    high: [u16; 256],
}

impl Lengths {
    fn new() -> Lengths {
        Lengths { choice: [HALF; 2], low: [[HALF; 8]; 16], mid: [[HALF; 8]; 16], high: [HALF; 256] }
    }

    fn read(&mut self, range: &mut Range<'_>, position: usize) -> Option<u32> {
        if range.bit(&mut self.choice[0])? == 0 {
            return range.tree(&mut self.low[position], 3);
        }
        if range.bit(&mut self.choice[1])? == 0 {
            return Some(8 + range.tree(&mut self.mid[position], 3)?);
        }
        Some(16 + range.tree(&mut self.high, 8)?)
    }
}

struct Decoder<'a> {
    range: Range<'a>,
    out: Vec<u8>,
    size: usize,
    lc: u32,
    lp_mask: usize,
    pb_mask: usize,
}

impl Decoder<'_> {
    fn run(&mut self, lp: u32) -> Option<()> {
        let mut literals = vec![HALF; 0x300 << (self.lc + lp)];
        let mut is_match = [[HALF; 16]; 12];
        let (mut is_rep, mut is_rep0, mut is_rep1, mut is_rep2) = ([HALF; 12], [HALF; 12], [HALF; 12], [HALF; 12]);
        let mut is_rep0_long = [[HALF; 16]; 12];
        let mut slots = [[HALF; 64]; 4];
        let mut specials = [HALF; 128];
        let mut align = [HALF; 16];
        let (mut lengths, mut rep_lengths) = (Lengths::new(), Lengths::new());
        let mut reps = [0usize; 4];
        let mut state = 0usize;
        while self.out.len() < self.size {
            let position = self.out.len() & self.pb_mask;
            if self.range.bit(&mut is_match[state][position])? == 0 {
                self.literal(&mut literals, state, reps[0])?;
                state = match state {
                    0..4 => 0,
                    4..10 => state - 3,
                    _ => state - 6,
                };
                continue;
            }
            let length;
            if self.range.bit(&mut is_rep[state])? != 0 {
                if self.range.bit(&mut is_rep0[state])? == 0 {
                    if self.range.bit(&mut is_rep0_long[state][position])? == 0 {
                        state = if state < 7 { 9 } else { 11 };
                        self.copy(reps[0], 1)?;
                        continue;
                    }
                } else if self.range.bit(&mut is_rep1[state])? == 0 {
                    reps.swap(0, 1);
                } else if self.range.bit(&mut is_rep2[state])? == 0 {
                    reps[..3].rotate_right(1);
                } else {
                    reps.rotate_right(1);
                }
                length = rep_lengths.read(&mut self.range, position)?;
                state = if state < 7 { 8 } else { 11 };
            } else {
                reps.rotate_right(1);
                length = lengths.read(&mut self.range, position)?;
                state = if state < 7 { 7 } else { 10 };
                let slot = self.range.tree(&mut slots[length.min(3) as usize], 6)?;
                let mut distance = slot;
                if slot >= 4 {
                    let bits = (slot >> 1) - 1;
                    distance = (2 | slot & 1) << bits;
                    if slot < 14 {
                        let base = (distance - slot) as usize;
                        distance += self.range.reverse_tree(&mut specials[base..], bits)?;
                    } else {
                        distance = distance.wrapping_add(self.range.direct(bits - 4)? << 4);
                        distance = distance.wrapping_add(self.range.reverse_tree(&mut align, 4)?);
                    }
                }
                if distance == u32::MAX {
                    return (self.out.len() == self.size).then_some(());
                }
                reps[0] = distance as usize;
            }
            self.copy(reps[0], length as usize + 2)?;
        }
        Some(())
    }

    fn literal(&mut self, probs: &mut [u16], state: usize, distance: usize) -> Option<()> {
        let last = self.out.last().copied().unwrap_or(0) as usize;
        let index = ((self.out.len() & self.lp_mask) << self.lc) + (last >> (8 - self.lc));
        let probs = &mut probs[0x300 * index..0x300 * (index + 1)];
        let mut symbol = 1usize;
        if state >= 7 {
            let mut matched = *self.out.get(self.out.len().checked_sub(distance + 1)?)? as usize;
            while symbol < 0x100 {
                let match_bit = matched >> 7 & 1;
                matched <<= 1;
                let bit = self.range.bit(&mut probs[((1 + match_bit) << 8) + symbol])? as usize;
                symbol = symbol << 1 | bit;
                if match_bit != bit {
                    break;
                }
            }
        }
        while symbol < 0x100 {
            symbol = symbol << 1 | self.range.bit(&mut probs[symbol])? as usize;
        }
        self.out.push(symbol as u8);
        Some(())
    }

    fn copy(&mut self, distance: usize, length: usize) -> Option<()> {
        let from = self.out.len().checked_sub(distance.checked_add(1)?)?;
        let length = length.min(self.size - self.out.len());
        // One by one: what is copied may be what was copied just now.
        for at in from..from + length {
            self.out.push(self.out[at]);
        }
        Some(())
    }
}
