//! Rows in a file, as either engine can give and take them.
//!
//! A line that says what it is; then for each table `T`, its shape as JSON (length in four octets, big end first, as all numbers are),
//! for each row `R` and its cells, and `E` with the number of rows; at the end `Z`. A cell is `0` for NULL, `1` and eight octets for an
//! integer, `2` or `3`, a length in four octets and as many octets or as much UTF-8.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::records::database::{Cell, Shape, Type};

const FIRST: &[u8] = b"lychgate rows 1\n";
/// No cell is longer: the largest message and what sealing adds, many times over. A shape is far shorter.
const LONGEST: u32 = 1 << 30;

/// A table, as the file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub table: String,
    pub columns: Vec<(String, Type)>,
}

/// Writes, counts and digests.
pub(super) struct Writer<W: Write> {
    to: BufWriter<W>,
    digest: Context,
    octets: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(to: W) -> io::Result<Writer<W>> {
        let mut writer = Writer { to: BufWriter::with_capacity(1 << 16, to), digest: Context::new(&SHA256), octets: 0 };
        writer.put(FIRST)?;
        Ok(writer)
    }

    pub fn table(&mut self, shape: &Shape) -> io::Result<()> {
        let head = Head { table: shape.table.clone(), columns: shape.columns.clone() };
        let head = serde_json::to_vec(&head)?;
        self.put(b"T")?;
        self.long(&head)
    }

    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        self.put(b"R")?;
        for cell in cells {
            match cell {
                Cell::Null => self.put(b"0")?,
                Cell::Integer(n) => {
                    self.put(b"1")?;
                    self.put(&n.to_be_bytes())?;
                }
                Cell::Octets(octets) => {
                    self.put(b"2")?;
                    self.long(octets)?;
                }
                Cell::Text(text) => {
                    self.put(b"3")?;
                    self.long(text.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    pub fn end_table(&mut self, rows: u64) -> io::Result<()> {
        self.put(b"E")?;
        self.put(&rows.to_be_bytes())
    }

    /// The file, octets written and their SHA-256.
    pub fn finish(mut self) -> io::Result<(W, u64, Vec<u8>)> {
        self.put(b"Z")?;
        let to = self.to.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((to, self.octets, self.digest.finish().as_ref().to_vec()))
    }

    fn long(&mut self, octets: &[u8]) -> io::Result<()> {
        let length = u32::try_from(octets.len()).ok().filter(|n| *n <= LONGEST).ok_or_else(|| bad("a cell is too long"))?;
        self.put(&length.to_be_bytes())?;
        self.put(octets)
    }

    fn put(&mut self, octets: &[u8]) -> io::Result<()> {
        self.digest.update(octets);
        self.octets += octets.len() as u64;
        self.to.write_all(octets)
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Table(Head),
    /// Of the table that was last begun.
    Row(Vec<Cell>),
    /// So many rows there were.
    EndTable(u64),
}

/// Reads what [`Writer`] wrote; memory holds one row.
pub(super) struct Reader<R: Read> {
    from: BufReader<R>,
    columns: usize,
    rows: Option<u64>,
}

impl<R: Read> Reader<R> {
    pub fn new(from: R) -> io::Result<Reader<R>> {
        let mut reader = Reader { from: BufReader::with_capacity(1 << 16, from), columns: 0, rows: None };
        let mut first = [0; FIRST.len()];
        reader.from.read_exact(&mut first)?;
        if first == FIRST { Ok(reader) } else { Err(bad("it does not begin as such a file does")) }
    }

    /// None at the end.
    pub fn next(&mut self) -> io::Result<Option<Item>> {
        let [tag] = self.fixed()?;
        match (tag, self.rows) {
            (b'T', None) => {
                let head: Head = serde_json::from_slice(&self.long()?)?;
                (self.columns, self.rows) = (head.columns.len(), Some(0));
                Ok(Some(Item::Table(head)))
            }
            (b'R', Some(rows)) => {
                self.rows = Some(rows + 1);
                (0..self.columns).map(|_| self.cell()).collect::<io::Result<Vec<Cell>>>().map(|cells| Some(Item::Row(cells)))
            }
            (b'E', Some(rows)) => {
                self.rows = None;
                let said = u64::from_be_bytes(self.fixed()?);
                if said == rows { Ok(Some(Item::EndTable(rows))) } else { Err(bad("rows are missing")) }
            }
            (b'Z', None) if self.from.fill_buf()?.is_empty() => Ok(None),
            _ => Err(bad("it is damaged")),
        }
    }

    fn cell(&mut self) -> io::Result<Cell> {
        let [tag] = self.fixed()?;
        match tag {
            b'0' => Ok(Cell::Null),
            b'1' => Ok(Cell::Integer(i64::from_be_bytes(self.fixed()?))),
            b'2' => Ok(Cell::Octets(self.long()?)),
            b'3' => String::from_utf8(self.long()?).map(Cell::Text).map_err(|_| bad("a text is not UTF-8")),
            _ => Err(bad("it is damaged")),
        }
    }

    fn long(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_be_bytes(self.fixed()?);
        if length > LONGEST {
            return Err(bad("it is damaged"));
        }
        // No more room than there are octets, whatever the length says.
        let mut octets = Vec::new();
        (&mut self.from).take(length.into()).read_to_end(&mut octets)?;
        if octets.len() == length as usize { Ok(octets) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn fixed<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut octets = [0; N];
        self.from.read_exact(&mut octets)?;
        Ok(octets)
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape() -> Shape {
        let columns = [("id", Type::Integer), ("sealed", Type::Octets), ("body", Type::Text)];
        Shape { table: "t".into(), columns: columns.map(|(n, t)| (n.to_string(), t)).to_vec(), key: vec![0] }
    }

    fn written(rows: &[Vec<Cell>]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.table(&shape()).unwrap();
        rows.iter().for_each(|row| writer.row(row).unwrap());
        writer.end_table(rows.len() as u64).unwrap();
        let (octets, counted, digest) = writer.finish().unwrap();
        assert_eq!(counted, octets.len() as u64);
        assert_eq!(digest, aws_lc_rs::digest::digest(&SHA256, &octets).as_ref());
        octets
    }

    fn read(octets: &[u8]) -> io::Result<Vec<Item>> {
        let mut reader = Reader::new(octets)?;
        let mut items = Vec::new();
        while let Some(item) = reader.next()? {
            items.push(item);
        }
        Ok(items)
    }

    fn rows() -> impl Strategy<Value = Vec<Vec<Cell>>> {
        let row = (prop::option::of(any::<i64>()), prop::collection::vec(any::<u8>(), 0..40), ".{0,9}");
        prop::collection::vec(row, 0..8).prop_map(|rows| {
            rows.into_iter().map(|(n, o, t)| vec![n.map_or(Cell::Null, Cell::Integer), Cell::Octets(o), Cell::Text(t)]).collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in rows()) {
            let items = read(&written(&rows)).unwrap();
            let read: Vec<_> = items.iter().filter_map(|i| if let Item::Row(cells) = i { Some(cells.clone()) } else { None }).collect();
            prop_assert_eq!(&read, &rows);
            prop_assert_eq!(items.last(), Some(&Item::EndTable(rows.len() as u64)));
        }

        #[test]
        fn what_was_cut_is_never_taken_for_whole(rows in rows(), at in any::<prop::sample::Index>()) {
            let whole = written(&rows);
            prop_assert!(read(&whole[..at.index(whole.len())]).is_err());
            let mut longer = whole.clone();
            longer.push(b'Z');
            prop_assert!(read(&longer).is_err());
        }

        #[test]
        fn octets_of_any_kind_end_in_an_error_or_in_rows(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[FIRST, &octets].concat());
        }
    }
}
