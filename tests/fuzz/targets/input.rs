//! Octets taken as choices: what a target builds from.

/// What is left of the octets. At their end every choice is the first.
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(octets: &'a [u8]) -> Input<'a> {
        Input { rest: octets }
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                *first
            }
            [] => 0,
        }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        let octet = usize::from(self.byte());
        if limit > 256 { (octet << 8 | usize::from(self.byte())) % limit } else { octet % limit.max(1) }
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// So many octets, or what is left.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.byte() % 10)).collect()
    }

    /// Small letters, between one and `most`.
    pub fn letters(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| char::from(b'a' + self.byte() % 26)).collect()
    }

    /// A plain word of a council's mail, none of which means anything to a detector.
    pub fn word(&mut self) -> &'static str {
        self.pick(&[
            "hedge",
            "drain",
            "footpath",
            "allotment",
            "bench",
            "agenda",
            "grant",
            "lamp",
            "verge",
            "hall",
            "minutes",
            "pond",
            "mower",
            "café",
            "Ŵyl",
            "£40",
            "signpost",
            "bulbs",
        ])
    }

    /// Between one and `most` words with a blank between them.
    pub fn words(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}
