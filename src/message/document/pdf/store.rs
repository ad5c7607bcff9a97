//! A PDF file's objects, found by its cross-reference or, where that is broken, by looking for them (ISO 32000-2 §7.5). Nothing is
//! loaded before it is asked for.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::crypt::Key;
use super::filter::{self, Ended};
use super::object::{Dictionary, Lexer, Object, is_blank};
use crate::message::document::Why;
use crate::message::document::budget::{Budget, MAX_MEMBER};

pub struct Store<'a> {
    file: &'a [u8],
    places: HashMap<u32, Place>,
    /// What was found by looking; made when it is first needed.
    found: Option<HashMap<u32, Place>>,
    packed: HashMap<u32, Rc<Packed>>,
    packed_size: usize,
    pub trailer: Dictionary,
    key: Option<Key>,
    /// It is encrypted, and no key was found.
    pub locked: bool,
    /// Something that was referred to could not be had.
    pub broken: Option<Why>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    At(usize),
    /// Within an object stream.
    In(u32),
    Free,
}

/// An object stream, unpacked.
struct Packed {
    bytes: Vec<u8>,
    offsets: HashMap<u32, usize>,
}

/// An object with its stream, if it has one.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub number: u32,
    pub object: Object,
    generation: u16,
    stream: Option<(usize, usize)>,
}

impl Loaded {
    pub fn dictionary(&self) -> Option<&Dictionary> {
        match &self.object {
            Object::Dictionary(d) => Some(d),
            _ => None,
        }
    }

    pub fn has_stream(&self) -> bool {
        self.stream.is_some()
    }
}

const MAX_OBJECTS: usize = 500_000;
const MAX_SECTIONS: usize = 128;
/// Object streams that are kept unpacked.
const MAX_PACKED: usize = 16 << 20;

impl<'a> Store<'a> {
    pub fn open(file: &'a [u8], budget: &mut Budget) -> Option<Store<'a>> {
        let start = memchr::memmem::find(&file[..file.len().min(1_024)], b"%PDF-").unwrap_or(0);
        let mut store = Store {
            file: &file[start..],
            places: HashMap::new(),
            found: None,
            packed: HashMap::new(),
            packed_size: 0,
            trailer: Dictionary::default(),
            key: None,
            locked: false,
            broken: None,
        };
        store.cross_reference(budget);
        store.unlock(budget);
        if store.catalog(budget).is_none() {
            store.look(budget);
            store.trailer = store.any_trailer(budget)?;
            store.unlock(budget);
            // Small faults of the cross-reference are mended everywhere without a word; a file that breaks off is not whole.
            let tail = &store.file[store.file.len().saturating_sub(2_048)..];
            if memchr::memmem::find(tail, b"%%EOF").is_none() {
                store.note(Why::Damaged);
            }
        }
        Some(store)
    }

    /// Finds the key, where the file is encrypted; what was unpacked before is dropped.
    fn unlock(&mut self, budget: &mut Budget) {
        let trailer = self.trailer.clone();
        let Some(encrypt) = trailer.find("Encrypt").filter(|_| self.key.is_none()) else { return };
        let id = match self.value(&trailer, "ID", budget) {
            Object::Array(items) => match items.first() {
                Some(Object::Text(id)) => id.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        // To find a key takes thousands of hashes.
        budget.unpacked(1 << 16);
        // The dictionary's own strings are never encrypted.
        if let Object::Dictionary(encrypt) = self.resolve(encrypt, budget) {
            self.key = Key::of(&encrypt, &id);
        }
        self.locked = self.key.is_none();
        self.packed.clear();
        self.packed_size = 0;
        self.broken = None;
    }

    /// The catalogue; none if there is none with pages.
    pub fn catalog(&mut self, budget: &mut Budget) -> Option<Dictionary> {
        let root = self.value(&self.trailer.clone(), "Root", budget);
        match root {
            Object::Dictionary(d) if d.find("Pages").is_some() => Some(d),
            _ => None,
        }
    }

    /// A dictionary's value, references followed.
    pub fn value(&mut self, dictionary: &Dictionary, key: &str, budget: &mut Budget) -> Object {
        match dictionary.find(key) {
            Some(value) => self.resolve(value, budget),
            None => Object::Null,
        }
    }

    pub fn resolve(&mut self, object: &Object, budget: &mut Budget) -> Object {
        match object {
            Object::Reference(number) => self.load(*number, budget).map_or(Object::Null, |l| l.object),
            other => {
                // What is copied once more costs once more.
                budget.unpacked(2 * other.weight());
                other.clone()
            }
        }
    }

    /// As [`Store::resolve`], with its stream.
    pub fn loaded(&mut self, object: &Object, budget: &mut Budget) -> Option<Loaded> {
        match object {
            Object::Reference(number) => self.load(*number, budget),
            other => Some(Loaded { number: 0, object: other.clone(), generation: 0, stream: None }),
        }
    }

    /// The object of that number. A reference to a reference is followed a few times.
    pub fn load(&mut self, number: u32, budget: &mut Budget) -> Option<Loaded> {
        let mut number = number;
        for _ in 0..8 {
            let loaded = self.load_once(number, budget)?;
            match loaded.object {
                Object::Reference(next) => number = next,
                _ => return Some(loaded),
            }
        }
        None
    }

    fn load_once(&mut self, number: u32, budget: &mut Budget) -> Option<Loaded> {
        if budget.unpacked_left() == 0 {
            return None;
        }
        let place = self.places.get(&number).copied();
        if let Some(Place::Free) = place {
            return None;
        }
        if let Some(loaded) = place.and_then(|p| self.at(number, p, budget)) {
            return Some(loaded);
        }
        // A cross-reference that lies about one object may lie about more: then what is found counts.
        if self.found.is_none() && place.is_some() {
            self.look(budget);
        }
        let place = self.found.as_ref()?.get(&number).copied()?;
        self.at(number, place, budget)
    }

    fn at(&mut self, number: u32, place: Place, budget: &mut Budget) -> Option<Loaded> {
        match place {
            Place::Free => None,
            Place::At(offset) => {
                let mut lexer = Lexer::new(self.file, offset);
                let object = if lexer.indirect() == Some(number) { lexer.object() } else { None };
                // What is read once more costs once more, also where it comes to nothing.
                budget.unpacked(lexer.at.saturating_sub(offset) + 16);
                let mut object = object?;
                let stream = self.stream_at(&object, &mut lexer, budget);
                let generation = self.generation(offset);
                if let Some(key) = &self.key {
                    key.open_strings(&mut object, number, generation);
                }
                Some(Loaded { number, object, generation, stream })
            }
            Place::In(stream) => {
                let packed = self.packed(stream, budget)?;
                let offset = *packed.offsets.get(&number)?;
                let mut lexer = Lexer::new(&packed.bytes, offset);
                let object = lexer.object();
                budget.unpacked(lexer.at.saturating_sub(offset) + 16);
                let object = object?;
                Some(Loaded { number, object, generation: 0, stream: None })
            }
        }
    }

    /// The second number of `N G obj`.
    fn generation(&self, offset: usize) -> u16 {
        let mut lexer = Lexer::new(self.file, offset);
        lexer.object();
        match lexer.object() {
            Some(Object::Number(g)) => g as u16,
            _ => 0,
        }
    }

    /// Where the stream behind `object` lies.
    fn stream_at(&mut self, object: &Object, lexer: &mut Lexer<'_>, budget: &mut Budget) -> Option<(usize, usize)> {
        let Object::Dictionary(dictionary) = object else { return None };
        lexer.blanks();
        let rest = self.file.get(lexer.at..)?.strip_prefix(b"stream")?;
        let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).or_else(|| rest.strip_prefix(b"\r")).unwrap_or(rest);
        let start = self.file.len() - rest.len();
        let said = match dictionary.find("Length") {
            Some(Object::Reference(n)) => self.length(*n, budget),
            Some(other) => other.index(),
            None => None,
        };
        if let Some(end) = said.and_then(|l| start.checked_add(l)).filter(|e| *e <= self.file.len()) {
            let after = &self.file[end..];
            let skip = after.iter().take(4).take_while(|b| is_blank(**b)).count();
            if after[skip..].starts_with(b"endstream") {
                return Some((start, end));
            }
        }
        let end = memchr::memmem::find(rest, b"endstream").map_or(self.file.len(), |i| start + i);
        budget.unpacked((end - start) / 16);
        Some((start, end))
    }

    /// A length that stands in an object of its own: read without looking for it.
    fn length(&mut self, number: u32, budget: &mut Budget) -> Option<usize> {
        match self.places.get(&number).copied().or_else(|| self.found.as_ref()?.get(&number).copied())? {
            Place::At(offset) => {
                let mut lexer = Lexer::new(self.file, offset);
                let object = if lexer.indirect() == Some(number) { lexer.object() } else { None };
                budget.unpacked(lexer.at.saturating_sub(offset));
                object?.index()
            }
            Place::In(stream) => {
                // Object streams have direct lengths (§7.5.7), so that this cannot come back here.
                let packed = self.packed.get(&stream).cloned()?;
                let mut lexer = Lexer::new(&packed.bytes, *packed.offsets.get(&number)?);
                let from = lexer.at;
                let object = lexer.object();
                budget.unpacked(lexer.at.saturating_sub(from) + 16);
                object?.index()
            }
            Place::Free => None,
        }
    }

    /// A stream's content, decoded; what could not be had is noted.
    pub fn content(&mut self, loaded: &Loaded, budget: &mut Budget) -> Option<Vec<u8>> {
        let (bytes, ended) = self.decode(loaded, budget)?;
        match ended {
            Ended::Well => {}
            Ended::Limit if budget.unpacked_left() == 0 => self.broken = Some(Why::Bomb),
            Ended::Limit => self.note(Why::TooLarge),
            Ended::Damaged => self.note(Why::Damaged),
            Ended::Picture => return None,
        }
        Some(bytes)
    }

    pub fn note(&mut self, why: Why) {
        self.broken.get_or_insert(why);
    }

    fn decode(&mut self, loaded: &Loaded, budget: &mut Budget) -> Option<(Vec<u8>, Ended)> {
        let (start, end) = loaded.stream?;
        let dictionary = loaded.dictionary()?.clone();
        let filters = match self.value_or(&dictionary, "Filter", "F", budget) {
            Object::Array(list) => list.iter().map(|f| self.resolve(f, budget)).collect(),
            Object::Null => Vec::new(),
            one => vec![one],
        };
        let parameters = match self.value_or(&dictionary, "DecodeParms", "DP", budget) {
            Object::Array(list) => list.iter().map(|p| self.resolve(p, budget)).collect(),
            one => vec![one],
        };
        let mut bytes = std::borrow::Cow::Borrowed(&self.file[start..end]);
        let opens = !filters.iter().any(|f| f.is_name("Crypt")) && !dictionary.says("Type", "XRef");
        // Many references may lead to one stream, and a stream may decode to nothing.
        budget.unpacked(bytes.len() / 8);
        if let Some(key) = self.key.as_ref().filter(|_| opens) {
            budget.unpacked(bytes.len() / 8);
            bytes = std::borrow::Cow::Owned(key.open(&bytes, loaded.number, loaded.generation));
        }
        let mut worst = Ended::Well;
        if filters.len() > 8 {
            return Some((Vec::new(), Ended::Damaged));
        }
        for (i, filter) in filters.iter().enumerate() {
            let Object::Name(name) = filter else { return Some((Vec::new(), Ended::Damaged)) };
            let none = Dictionary::default();
            let parameters = match parameters.get(i) {
                Some(Object::Dictionary(d)) => d,
                _ => &none,
            };
            let (next, ended) = filter::decode(name, parameters, &bytes, MAX_MEMBER.min(budget.unpacked_left()));
            budget.unpacked(next.len().max(bytes.len() / 8));
            if ended == Ended::Picture {
                return Some((Vec::new(), ended));
            }
            if ended != Ended::Well {
                worst = ended;
            }
            bytes = std::borrow::Cow::Owned(next);
        }
        if filters.is_empty() {
            budget.unpacked(bytes.len());
        }
        Some((bytes.into_owned(), worst))
    }

    fn value_or(&mut self, dictionary: &Dictionary, key: &str, short: &str, budget: &mut Budget) -> Object {
        match self.value(dictionary, key, budget) {
            // A file specification, not a filter.
            Object::Null => match self.value(dictionary, short, budget) {
                found @ (Object::Name(_) | Object::Array(_) | Object::Dictionary(_)) => found,
                _ => Object::Null,
            },
            found => found,
        }
    }

    fn packed(&mut self, number: u32, budget: &mut Budget) -> Option<Rc<Packed>> {
        if let Some(packed) = self.packed.get(&number) {
            return Some(packed.clone());
        }
        // An object stream is never within another (§7.5.7): without this, two could hold each other.
        let place = self.places.get(&number).or_else(|| self.found.as_ref()?.get(&number)).copied();
        let Some(Place::At(_)) = place else { return None };
        let loaded = self.at(number, place?, budget)?;
        let dictionary = loaded.dictionary()?.clone();
        let (count, first) = (dictionary.find("N")?.index()?, dictionary.find("First")?.index()?);
        let bytes = self.content(&loaded, budget)?;
        let mut lexer = Lexer::new(&bytes, 0);
        let mut offsets = HashMap::new();
        for _ in 0..count.min(MAX_OBJECTS) {
            let (Some(Object::Number(n)), Some(Object::Number(offset))) = (lexer.token(), lexer.token()) else { break };
            offsets.entry(n as u32).or_insert(first.saturating_add(offset as usize));
        }
        if self.packed_size + bytes.len() > MAX_PACKED {
            self.packed.clear();
            self.packed_size = 0;
        }
        self.packed_size += bytes.len();
        let packed = Rc::new(Packed { bytes, offsets });
        self.packed.insert(number, packed.clone());
        Some(packed)
    }

    /// Follows the chain of cross-reference sections, newest first.
    fn cross_reference(&mut self, budget: &mut Budget) {
        let Some(at) = memchr::memmem::rfind(self.file, b"startxref") else { return };
        let Some(Object::Number(first)) = Lexer::new(self.file, at + 9).object() else { return };
        let mut todo = vec![first];
        let mut seen = HashSet::new();
        while let Some(offset) = todo.pop() {
            let offset = offset.max(0.0) as usize;
            if offset >= self.file.len() || !seen.insert(offset) || seen.len() > MAX_SECTIONS {
                continue;
            }
            let mut lexer = Lexer::new(self.file, offset);
            lexer.blanks();
            let section = if self.file[lexer.at..].starts_with(b"xref") {
                self.table(lexer.at + 4, budget)
            } else {
                self.xref_stream(lexer.at, budget)
            };
            let Some(dictionary) = section else { continue };
            // The hybrid part is looked at before what is older.
            todo.extend(dictionary.find("Prev").and_then(Object::number));
            todo.extend(dictionary.find("XRefStm").and_then(Object::number));
            if self.trailer.find("Root").is_none() {
                self.trailer = dictionary;
            }
        }
    }

    fn table(&mut self, at: usize, budget: &mut Budget) -> Option<Dictionary> {
        let mut lexer = Lexer::new(self.file, at);
        loop {
            if budget.unpacked_left() == 0 {
                return None;
            }
            let start = lexer.at;
            let first = match lexer.token()? {
                Object::Number(first) => first as u32,
                Object::Word(word) if word == b"trailer" => break,
                _ => return None,
            };
            let count = lexer.token()?.index()?;
            for i in 0..count.min(MAX_OBJECTS) {
                let (offset, _, kind) = (lexer.token()?, lexer.token()?, lexer.token()?);
                let place = match kind {
                    Object::Word(w) if w == b"n" => Place::At(offset.index()?),
                    _ => Place::Free,
                };
                self.add(first.wrapping_add(i as u32), place);
            }
            // Sections may overlap as they like.
            budget.unpacked((lexer.at - start) / 4);
        }
        match lexer.object()? {
            Object::Dictionary(d) => Some(d),
            _ => None,
        }
    }

    fn xref_stream(&mut self, at: usize, budget: &mut Budget) -> Option<Dictionary> {
        let mut lexer = Lexer::new(self.file, at);
        let number = lexer.indirect()?;
        let object = lexer.object()?;
        let stream = self.stream_at(&object, &mut lexer, budget);
        let loaded = Loaded { number, object, generation: 0, stream };
        let dictionary = loaded.dictionary()?.clone();
        let widths: Vec<usize> = match dictionary.find("W")? {
            Object::Array(list) => list.iter().map(|w| w.index().unwrap_or(0).min(8)).collect(),
            _ => return None,
        };
        let &[kind, second, third] = widths.first_chunk::<3>()?;
        let (bytes, _) = self.decode(&loaded, budget)?;
        let size = dictionary.find("Size").and_then(Object::index).unwrap_or(0);
        let index: Vec<usize> = match dictionary.find("Index") {
            Some(Object::Array(list)) => list.iter().filter_map(Object::index).collect(),
            _ => vec![0, size],
        };
        let number_in = |field: &[u8]| field.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let width = kind + second + third;
        if width == 0 {
            return None;
        }
        let mut rows = bytes.chunks_exact(width);
        for section in index.chunks_exact(2) {
            for i in 0..section[1].min(MAX_OBJECTS) {
                let Some(row) = rows.next() else { break };
                let type_ = if kind == 0 { 1 } else { number_in(&row[..kind]) };
                let value = number_in(&row[kind..kind + second]);
                let place = match type_ {
                    1 => Place::At(usize::try_from(value).ok()?),
                    2 => Place::In(u32::try_from(value).ok()?),
                    _ => Place::Free,
                };
                self.add((section[0] as u32).wrapping_add(i as u32), place);
            }
        }
        Some(dictionary)
    }

    /// Newer sections come first, and what they say stays.
    fn add(&mut self, number: u32, place: Place) {
        if self.places.len() < MAX_OBJECTS {
            self.places.entry(number).or_insert(place);
        }
    }

    /// Looks for every object in the file; of the same number the last counts.
    fn look(&mut self, budget: &mut Budget) {
        if self.found.is_some() {
            return;
        }
        budget.unpacked(self.file.len() / 4);
        let mut found = HashMap::new();
        let mut streams = Vec::new();
        for at in memchr::memmem::find_iter(self.file, b"obj").take(MAX_OBJECTS) {
            let Some((number, start)) = numbered(self.file, at) else { continue };
            found.insert(number, Place::At(start));
            let head = &self.file[at..self.file.len().min(at + 400)];
            if memchr::memmem::find(head, b"/ObjStm").is_some() {
                streams.push(number);
            }
        }
        self.found = Some(found);
        for stream in streams {
            let Some(packed) = self.packed(stream, budget) else { continue };
            let found = self.found.as_mut().expect("it was just made");
            for number in packed.offsets.keys() {
                found.entry(*number).or_insert(Place::In(stream));
            }
        }
    }

    /// A trailer, wherever one is; or else what a trailer would say.
    fn any_trailer(&mut self, budget: &mut Budget) -> Option<Dictionary> {
        let has_root = |object: Option<Object>| match object {
            Some(Object::Dictionary(d)) if d.find("Root").is_some() => Some(d),
            _ => None,
        };
        let written = memchr::memmem::rfind_iter(self.file, b"trailer")
            .take(16)
            .find_map(|at| has_root(Lexer::new(&self.file[..self.file.len().min(at + 8_192)], at + 7).object()));
        if let Some(trailer) = written {
            self.trailer = trailer;
            if self.catalog(budget).is_some() {
                return Some(self.trailer.clone());
            }
        }
        let numbers: Vec<u32> = self.found.as_ref()?.keys().copied().take(20_000).collect();
        let mut root = None;
        let mut encrypt = self.trailer.0.iter().filter(|(k, _)| k == b"Encrypt" || k == b"ID").cloned().collect::<Vec<_>>();
        for number in numbers {
            let Some(loaded) = self.load(number, budget) else { continue };
            let Some(dictionary) = loaded.dictionary() else { continue };
            if dictionary.says("Type", "Catalog") {
                root = root.max(Some(number));
            } else if dictionary.says("Type", "XRef") && encrypt.is_empty() {
                encrypt = dictionary.0.iter().filter(|(k, _)| k == b"Encrypt" || k == b"ID").cloned().collect();
            }
        }
        let mut members = vec![(b"Root".to_vec(), Object::Reference(root?))];
        members.extend(encrypt);
        Some(Dictionary(members))
    }

    /// Pages of a file whose tree of pages is lost.
    pub fn loose_pages(&mut self, budget: &mut Budget) -> Vec<u32> {
        self.look(budget);
        let mut numbers: Vec<u32> = self.found.iter().flat_map(|f| f.keys().copied()).collect();
        numbers.sort_unstable();
        numbers.retain(|n| self.load(*n, budget).is_some_and(|l| l.dictionary().is_some_and(|d| d.says("Type", "Page"))));
        numbers
    }
}

/// `N G obj`, read backwards from `obj` at `at`: the number, and where it starts.
fn numbered(file: &[u8], at: usize) -> Option<(u32, usize)> {
    let back = |end: usize| {
        let blanks = file[..end].iter().rev().take(8).take_while(|b| is_blank(**b)).count();
        let end = end - blanks;
        let digits = file[..end].iter().rev().take(10).take_while(|b| b.is_ascii_digit()).count();
        (blanks > 0 && digits > 0).then_some((end - digits, end))
    };
    let (generation, _) = back(at)?;
    let (start, end) = back(generation)?;
    Some((std::str::from_utf8(&file[start..end]).ok()?.parse().ok()?, start))
}
