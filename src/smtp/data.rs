//! Message content on its way in: end of data only on CRLF.CRLF (RFC 5321 §4.1.1.4), dot-stuffing undone (§4.5.2), bare CR, bare
//! LF and NUL found (§2.3.8), and dot-stuffing done again on the way out.
//!
//! The scan is one pass that the compiler turns into vector code, then one search for a line that begins with a dot.

use memchr::memmem;

/// Takes content after 354 until the line with the lone dot, or BDAT chunks (RFC 3030).
#[derive(Debug)]
pub struct Content {
    kept: Vec<u8>,
    seen: Seen,
    limit: usize,
    drained: Option<Drain>,
    framing: Framing,
}

/// How the content is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Until CRLF.CRLF; where in a line the next octet stands.
    Dot(Place),
    /// So many octets still belong to this chunk.
    Chunk(usize),
}

/// What the octets before the next one decide about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    /// After a CR.
    Cr,
    /// After CRLF, or at the start of the content.
    LineStart,
    /// After the first dot of a line, which is dropped (RFC 5321 §4.5.2).
    Dot,
    /// After that dot and a CR, which is not kept yet.
    DotCr,
}

/// What was noticed on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub bare: bool,
    pub nul: bool,
    pub eight_bit: bool,
}

/// Why content is read but no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Larger than the limit.
    TooLarge,
    /// The memory for all messages together is used up.
    NoMemory,
}

/// What one feeding came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Fed {
    /// All of the input is content, and more is to come.
    More,
    /// The content ended; so many octets of the input were part of it (its end included).
    End(usize),
}

/// The whole content, judged as octets.
#[derive(Debug, PartialEq, Eq)]
pub enum Finished {
    /// Well formed, dot-stuffing undone.
    Message {
        bytes: Vec<u8>,
        eight_bit: bool,
    },
    TooLarge,
    NoMemory,
    /// A bare CR or LF.
    BareLineEnd,
    Nul,
}

/// What becomes of line ends that RFC 5321 §2.3.8 forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnds {
    Refuse,
    /// CR CR LF, the trace of a conversion done twice, is made CRLF; everything else is refused. For connectors: their provider
    /// has taken the mail already, and where the line ends is in no doubt.
    MendDoubled,
    /// Every bare CR and LF is made CRLF.
    Normalise,
}

impl Content {
    /// `limit` in octets.
    pub fn new(limit: usize) -> Content {
        Content { kept: Vec::new(), seen: Seen::default(), limit, drained: None, framing: Framing::Dot(Place::LineStart) }
    }

    /// BDAT content: dots mean nothing, each chunk ends by count.
    pub fn chunked(limit: usize) -> Content {
        Content { framing: Framing::Chunk(0), ..Content::new(limit) }
    }

    /// The next BDAT chunk of `size` octets.
    pub fn begin_chunk(&mut self, size: usize) {
        self.framing = Framing::Chunk(size);
    }

    /// Octets held in memory.
    pub fn held(&self) -> usize {
        self.kept.len()
    }

    /// Takes a buffer to fill, if nothing was kept yet; else gives it back.
    pub fn lend(&mut self, mut buffer: Vec<u8>) -> Option<Vec<u8>> {
        if self.kept.capacity() > 0 || self.drained.is_some() {
            return Some(buffer);
        }
        buffer.clear();
        self.kept = buffer;
        None
    }

    /// From here on content is read but not kept.
    pub fn drain(&mut self, why: Drain) {
        self.drained.get_or_insert(why);
        self.kept = Vec::new();
    }

    pub fn feed(&mut self, input: &[u8]) -> Fed {
        let fed = match self.framing {
            Framing::Dot(place) => self.feed_dotted(input, place),
            Framing::Chunk(left) => self.feed_chunk(input, left),
        };
        if self.kept.len() > self.limit {
            self.drain(Drain::TooLarge);
        }
        fed
    }

    fn feed_chunk(&mut self, input: &[u8], left: usize) -> Fed {
        let take = left.min(input.len());
        let (seen, _) = inspect(self.kept.last().copied(), &input[..take]);
        self.note(seen, &input[..take]);
        self.framing = Framing::Chunk(left - take);
        if take == left { Fed::End(take) } else { Fed::More }
    }

    /// Linear in the input: whole stretches are copied up to the next line that begins with a dot.
    fn feed_dotted(&mut self, input: &[u8], mut place: Place) -> Fed {
        let mut i = 0;
        // Where lines begin with dots, looking far ahead would be done over again for each of them.
        let mut reach = STRETCH;
        while i < input.len() {
            let octet = input[i];
            place = match (place, octet) {
                (Place::LineStart, b'.') => {
                    i += 1;
                    Place::Dot
                }
                (Place::Dot, b'\r') => {
                    i += 1;
                    Place::DotCr
                }
                (Place::DotCr, b'\n') => {
                    self.framing = Framing::Dot(Place::LineStart);
                    return Fed::End(i + 1);
                }
                (Place::DotCr, _) => {
                    self.note(Seen::default(), b"\r");
                    Place::Cr
                }
                (Place::Cr, b'\n') => {
                    let (seen, _) = inspect(self.kept.last().copied(), b"\n");
                    self.note(seen, b"\n");
                    i += 1;
                    Place::LineStart
                }
                (Place::Text | Place::Cr | Place::LineStart | Place::Dot, _) => {
                    let rest = &input[i..];
                    let stretch = &rest[..rest.len().min(reach)];
                    let (taken, next) = self.keep_lines(stretch);
                    reach = if taken < stretch.len() { NEAR } else { (2 * reach).min(STRETCH) };
                    i += taken;
                    next
                }
            };
        }
        self.framing = Framing::Dot(place);
        Fed::More
    }

    /// Keeps a stretch, or what comes before the first line in it that begins with a dot.
    fn keep_lines(&mut self, stretch: &[u8]) -> (usize, Place) {
        let (mut seen, dots) = inspect(self.kept.last().copied(), stretch);
        let mut kept = stretch;
        let mut next = place_after(stretch);
        if dots == Dots::Some
            && let Some(at) = memmem::find(stretch, b"\r\n.")
        {
            kept = &stretch[..at + 2];
            next = Place::LineStart;
            seen = inspect(self.kept.last().copied(), kept).0;
        }
        // Else the dot follows a bare LF: nothing to us, and refused at the end.
        self.note(seen, kept);
        (kept.len(), next)
    }

    fn note(&mut self, seen: Seen, octets: &[u8]) {
        if self.drained.is_none() {
            self.seen.merge(seen);
            if self.kept.len() + octets.len() > self.kept.capacity() && self.kept.len() >= ALL_AT_ONCE {
                // Room for the largest message is only an address range until it is written to: asked for once, nothing is copied
                // again, and no message ever takes twice its size.
                self.kept.reserve_exact((self.limit + 2 * STRETCH).saturating_sub(self.kept.len()).max(octets.len()));
            }
            self.kept.extend_from_slice(octets);
        }
    }

    /// To be called when the content has ended.
    pub fn finish(mut self, line_ends: LineEnds) -> Finished {
        match self.drained {
            Some(Drain::TooLarge) => return Finished::TooLarge,
            Some(Drain::NoMemory) => return Finished::NoMemory,
            None => {}
        }
        if self.kept.last() == Some(&b'\r') {
            self.seen.bare = true;
        }
        if self.seen.nul {
            return Finished::Nul;
        }
        if self.seen.bare {
            match normalise(self.kept, line_ends) {
                Some(mended) if mended.len() > self.limit => return Finished::TooLarge,
                Some(mended) => self.kept = mended,
                None => return Finished::BareLineEnd,
            }
        }
        if matches!(self.framing, Framing::Chunk(_)) && !self.kept.is_empty() && !self.kept.ends_with(b"\r\n") {
            // BDAT content need not end with CRLF, but it leaves by DATA, which can only carry whole lines.
            self.kept.extend_from_slice(b"\r\n");
        }
        Finished::Message { bytes: self.kept, eight_bit: self.seen.eight_bit }
    }
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.bare |= other.bare;
        self.nul |= other.nul;
        self.eight_bit |= other.eight_bit;
    }
}

/// From this size on a buffer grows to the limit at once.
const ALL_AT_ONCE: usize = 4 * 1024 * 1024;

/// Octets that are looked at and kept in one go: they are in the nearest cache still when they are copied, and the last of them, with
/// the end of data, is the only one that is looked at twice.
const STRETCH: usize = 2048;
/// As few as that where a line has just begun with a dot; twice as many each time that none does.
const NEAR: usize = 64;

/// Whether a line may begin with a dot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    None,
    Some,
}

fn place_after(octets: &[u8]) -> Place {
    if octets.ends_with(b"\r\n") {
        Place::LineStart
    } else if octets.ends_with(b"\r") {
        Place::Cr
    } else {
        Place::Text
    }
}

/// Looks for bare CR and LF (a CR that is not followed by LF, an LF that does not follow CR), NUL, octets above 127, and dots after
/// LF. `before` is the octet in front of `octets`; a CR at the very end is judged when the next octet comes.
///
/// Two views of the same octets, one shifted by one, in blocks without a branch: the compiler makes vector code of it.
fn inspect(before: Option<u8>, octets: &[u8]) -> (Seen, Dots) {
    const BLOCK: usize = 32;
    let Some(&first) = octets.first() else { return (Seen::default(), Dots::None) };
    let (mut bare, mut nul, mut high, mut dots) = ([0u8; BLOCK], [0u8; BLOCK], [0u8; BLOCK], [0u8; BLOCK]);
    let mut look = |j: usize, before: u8, octet: u8| {
        bare[j] |= u8::from(octet == b'\n') ^ u8::from(before == b'\r');
        dots[j] |= u8::from(octet == b'.') & u8::from(before == b'\n');
        nul[j] |= u8::from(octet == 0);
        high[j] |= octet;
    };
    look(0, before.unwrap_or(b'x'), first);
    let (befores, before_rest) = octets[..octets.len() - 1].as_chunks::<BLOCK>();
    let (blocks, rest) = octets[1..].as_chunks::<BLOCK>();
    for (befores, block) in befores.iter().zip(blocks) {
        for j in 0..BLOCK {
            look(j, befores[j], block[j]);
        }
    }
    for (before, octet) in before_rest.iter().zip(rest) {
        look(0, *before, *octet);
    }
    let any = |lanes: [u8; BLOCK]| lanes.iter().fold(0, |a, b| a | b);
    let seen = Seen { bare: any(bare) != 0, nul: any(nul) != 0, eight_bit: any(high) >= 128 };
    (seen, if any(dots) != 0 { Dots::Some } else { Dots::None })
}

/// Mends the line ends that `line_ends` lets be mended; none if there are others. CRs before a line end belong to it.
fn normalise(bytes: Vec<u8>, line_ends: LineEnds) -> Option<Vec<u8>> {
    match line_ends {
        LineEnds::Refuse => None,
        LineEnds::MendDoubled => mend_doubled(bytes),
        LineEnds::Normalise => Some(normalise_all(&bytes)),
    }
}

/// Takes the CRs out that stand before a CR, in place: a large message is not held twice.
fn mend_doubled(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let doubled = memmem::Finder::new(b"\r\r");
    let mut read = doubled.find(&bytes)?;
    let mut write = read;
    while read < bytes.len() {
        let run = bytes[read..].iter().take_while(|&&b| b == b'\r').count();
        bytes[write] = b'\r';
        write += 1;
        read += run;
        let next = doubled.find(&bytes[read..]).map_or(bytes.len(), |at| read + at);
        bytes.copy_within(read..next, write);
        write += next - read;
        read = next;
    }
    bytes.truncate(write);
    let clean = !inspect(None, &bytes).0.bare && bytes.last() != Some(&b'\r');
    clean.then_some(bytes)
}

fn normalise_all(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 16);
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', &bytes[from..]).map(|at| from + at) {
        out.extend_from_slice(&bytes[from..at]);
        // A run of CRs is looked at once, however long it is.
        let end = at + bytes[at..].iter().take_while(|&&b| b == b'\r').count();
        if bytes.get(end) == Some(&b'\n') {
            out.extend_from_slice(b"\r\n");
            from = end + 1;
        } else {
            (at..end).for_each(|_| out.extend_from_slice(b"\r\n"));
            from = end;
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// The pieces that go on the wire for `slices` (one stream: a line may begin in one and go on in the next): every line that begins
/// with a dot is given another (RFC 5321 §4.5.2), and the end of data follows. Nothing is copied or gathered.
pub struct Stuffed<'a, 's> {
    slices: std::slice::Iter<'s, &'a [u8]>,
    rest: &'a [u8],
    place: OutPlace,
    /// The dot before the rest has been given out.
    dotted: bool,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OutPlace {
    LineStart,
    Cr,
    Text,
}

impl<'a, 's> Stuffed<'a, 's> {
    pub fn new(slices: &'s [&'a [u8]]) -> Stuffed<'a, 's> {
        Stuffed { slices: slices.iter(), rest: &[], place: OutPlace::LineStart, dotted: false, ended: false }
    }

    fn take(&mut self, length: usize, place: OutPlace) -> Option<&'a [u8]> {
        let (piece, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.place = place;
        self.dotted = false;
        Some(piece)
    }
}

impl<'a> Iterator for Stuffed<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.rest.is_empty() {
            match self.slices.next() {
                Some(slice) => self.rest = slice,
                None if self.ended => return None,
                None => {
                    self.ended = true;
                    return Some(if self.place == OutPlace::LineStart { b".\r\n" } else { b"\r\n.\r\n" });
                }
            }
        }
        match (self.place, self.rest[0]) {
            (OutPlace::LineStart, b'.') if !self.dotted => {
                self.dotted = true;
                Some(b".")
            }
            // CR ended the slice before: this LF completes the line.
            (OutPlace::Cr, b'\n') => self.take(1, OutPlace::LineStart),
            _ => match memmem::find(self.rest, b"\r\n.") {
                Some(at) => self.take(at + 2, OutPlace::LineStart),
                None if self.rest.ends_with(b"\r\n") => self.take(self.rest.len(), OutPlace::LineStart),
                None if self.rest.ends_with(b"\r") => self.take(self.rest.len(), OutPlace::Cr),
                None => self.take(self.rest.len(), OutPlace::Text),
            },
        }
    }
}

/// Whether any line of `bytes` begins with a dot, so that it must be stuffed.
pub fn needs_stuffing(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'.') || memmem::find(bytes, b"\r\n.").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `wire` in pieces of `step`; returns what was finished and what was left over.
    fn run(wire: &[u8], step: usize, limit: usize) -> Option<(Finished, Vec<u8>)> {
        let mut content = Content::new(limit);
        let mut at = 0;
        while at < wire.len() {
            let piece = &wire[at..(at + step).min(wire.len())];
            match content.feed(piece) {
                Fed::More => at += piece.len(),
                Fed::End(used) => return Some((content.finish(LineEnds::Refuse), wire[at + used..].to_vec())),
            }
        }
        None
    }

    #[test]
    fn ends_only_on_crlf_dot_crlf() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"a\r\n.\r\n", Some(b"a\r\n")),
            (b".\r\n", Some(b"")),
            (b"..a\r\n.\r\nQUIT\r\n", Some(b".a\r\n")),
            (b"a\r\n...\r\n.\r\n", Some(b"a\r\n..\r\n")),
            (b".x\r\n.\r\n", Some(b"x\r\n")),
            (b"a\n.\n", None),
            (b"a\r\n.\n", None),
        ];
        for (wire, message) in cases {
            for step in [1, 2, 3, 100] {
                match (run(wire, step, 1000), message) {
                    (Some((Finished::Message { bytes, .. }, _)), Some(m)) => assert_eq!(bytes, m, "{wire:?} by {step}"),
                    (None, None) => {}
                    (got, want) => panic!("{wire:?} by {step}: {got:?}, not {want:?}"),
                }
            }
        }
    }

    #[test]
    fn smuggling_sequences_are_refused_not_obeyed() {
        for bad in [&b"\n.\n"[..], b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"] {
            let wire = [b"a", bad, b"MAIL FROM:<x@x>\r\n.\r\nrest"].concat();
            for step in [1, 2, 7, 500] {
                let (finished, rest) = run(&wire, step, 1000).expect("the true end");
                assert_eq!((finished, &rest[..]), (Finished::BareLineEnd, &b"rest"[..]), "{bad:?} by {step}");
            }
        }
        assert_eq!(run(b"a\0\r\n.\r\n", 1, 1000).unwrap().0, Finished::Nul);
    }

    #[test]
    fn too_large_is_drained_to_its_true_end() {
        let wire = [b"x".repeat(100).as_slice(), b"\r\n..\r\n.\r\n\r\n.\r\nrest"].concat();
        for step in [1, 3, 50, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 500] {
            let (finished, rest) = run(&wire, step, 20).expect("the true end");
            assert_eq!((finished, String::from_utf8(rest).unwrap()), (Finished::TooLarge, "\r\n.\r\nrest".into()), "by {step}");
        }
    }

    #[test]
    fn line_ends_are_mended_as_set() {
        let cases: [(&[u8], Option<&[u8]>, &[u8]); 5] = [
            (b"a\r\r\nb\r\n", Some(b"a\r\nb\r\n"), b"a\r\nb\r\n"),
            (b"a\nb\r\n", None, b"a\r\nb\r\n"),
            (b"a\rb\r\n", None, b"a\r\nb\r\n"),
            (b"a\r\rb\r\n", None, b"a\r\n\r\nb\r\n"),
            (b"a\r\n\r\r\r\n", Some(b"a\r\n\r\n"), b"a\r\n\r\n"),
        ];
        for (bytes, doubled, all) in cases {
            assert_eq!(normalise(bytes.to_vec(), LineEnds::Refuse), None);
            assert_eq!(normalise(bytes.to_vec(), LineEnds::MendDoubled).as_deref(), doubled, "{bytes:?}");
            assert_eq!(normalise(bytes.to_vec(), LineEnds::Normalise).as_deref(), Some(all), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_goes_out_comes_in(lines in proptest::collection::vec("[.a\u{e9} ]{0,6}", 0..20), step in 1usize..40, cuts in proptest::collection::vec(0usize..200, 0..4)) {
            let message: Vec<u8> = lines.iter().flat_map(|l| [l.as_bytes(), b"\r\n"].concat()).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(message.len())).chain([0, message.len()]).collect();
            cuts.sort_unstable();
            let slices: Vec<&[u8]> = cuts.windows(2).map(|w| &message[w[0]..w[1]]).collect();
            let wire = Stuffed::new(&slices).collect::<Vec<_>>().concat();
            let (finished, rest) = run(&wire, step, 10_000).expect("an end");
            prop_assert!(rest.is_empty());
            match finished {
                Finished::Message { bytes, .. } => prop_assert_eq!(bytes, message),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn whole_or_in_pieces_is_the_same(wire in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), Just(0u8)], 0..60), step in 1usize..9, limit in 0usize..40) {
            let wire = [&wire[..], b"\r\n.\r\nrest"].concat();
            prop_assert_eq!(run(&wire, step, limit), run(&wire, wire.len(), limit));
        }
    }
}
