//! The tables as they are, for those who carry rows from one database to another without knowing what is in them.

use super::{Row, Statements, Value};
use crate::records::StoreError;

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub table: String,
    pub columns: Vec<(String, Type)>,
    /// The columns of its primary key, by their places; none where it has none.
    pub key: Vec<usize>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Type {
    Integer,
    Octets,
    Text,
}

/// One value of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Integer(i64),
    Octets(Vec<u8>),
    Text(String),
}

impl Type {
    /// Either engine's word.
    fn of(word: &str) -> Option<Type> {
        match word.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Some(Type::Integer),
            "blob" | "bytea" => Some(Type::Octets),
            "text" => Some(Type::Text),
            _ => None,
        }
    }
}

impl Cell {
    pub fn read(row: &dyn Row, column: usize, of: Type) -> Result<Cell, StoreError> {
        Ok(match of {
            Type::Integer => row.optional(column)?.map_or(Cell::Null, Cell::Integer),
            Type::Octets => Cell::Octets(row.octets(column)?.to_vec()),
            Type::Text => Cell::Text(row.text(column)?.to_owned()),
        })
    }

    /// Whether a column of this kind can hold it.
    pub fn fits(&self, of: Type) -> bool {
        matches!(
            (self, of),
            (Cell::Null, _) | (Cell::Integer(_), Type::Integer) | (Cell::Octets(_), Type::Octets) | (Cell::Text(_), Type::Text)
        )
    }

    /// The room that it takes.
    pub fn octets(&self) -> usize {
        match self {
            Cell::Null | Cell::Integer(_) => 8,
            Cell::Octets(octets) => octets.len(),
            Cell::Text(text) => text.len(),
        }
    }

    pub fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::Integer(n) => Value::Integer(*n),
            Cell::Octets(octets) => Value::Octets(octets),
            Cell::Text(text) => Value::Text(text),
        }
    }
}

impl Shape {
    /// From an answer of table, column, type and place in the primary key (from 1; 0 where it is no part of it), in order.
    pub(super) fn gather(tx: &mut (dyn Statements + '_), columns: &str) -> Result<Vec<Shape>, StoreError> {
        let mut shapes: Vec<Shape> = Vec::new();
        let mut keys: Vec<Vec<(i64, usize)>> = Vec::new();
        tx.each(columns, &[], &mut |row| {
            let (table, column) = (row.text(0)?, row.text(1)?.to_owned());
            let of = Type::of(row.text(2)?).ok_or(StoreError::Damaged)?;
            if shapes.last().is_none_or(|s| s.table != table) {
                shapes.push(Shape { table: table.to_owned(), columns: Vec::new(), key: Vec::new() });
                keys.push(Vec::new());
            }
            if let (Some(shape), Some(key)) = (shapes.last_mut(), keys.last_mut()) {
                if row.integer(3)? > 0 {
                    key.push((row.integer(3)?, shape.columns.len()));
                }
                shape.columns.push((column, of));
            }
            Ok(())
        })?;
        for (shape, mut key) in shapes.iter_mut().zip(keys) {
            key.sort_unstable();
            shape.key = key.into_iter().map(|(_, column)| column).collect();
        }
        Ok(shapes)
    }

    /// The columns, quoted, with commas.
    pub fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }

    /// Shows every row, in the order of the primary key, in pages of so many: no statement lasts long, and one row is in memory at a time.
    /// A table without a key is read at once.
    pub fn each_row(
        &self,
        tx: &mut (dyn Statements + '_),
        page: i64,
        show: &mut dyn FnMut(&[Cell]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let keys: Vec<String> = self.key.iter().map(|&k| format!("\"{}\"", self.columns[k].0)).collect();
        let mut last: Vec<Cell> = Vec::new();
        loop {
            let mut sql = format!("SELECT {} FROM \"{}\"", self.names(), self.table);
            if !last.is_empty() {
                let places: Vec<String> = (1..=keys.len()).map(|n| format!("?{n}")).collect();
                sql.push_str(&format!(" WHERE ({}) > ({})", keys.join(", "), places.join(", ")));
            }
            if !keys.is_empty() {
                sql.push_str(&format!(" ORDER BY {} LIMIT {page}", keys.join(", ")));
            }
            let after = std::mem::take(&mut last);
            let values: Vec<Value<'_>> = after.iter().map(Cell::value).collect();
            let mut rows = 0;
            tx.each(&sql, &values, &mut |row| {
                let mut cells = Vec::with_capacity(self.columns.len());
                for (i, (_, of)) in self.columns.iter().enumerate() {
                    cells.push(Cell::read(row, i, *of)?);
                }
                show(&cells)?;
                last = self.key.iter().map(|&k| cells[k].clone()).collect();
                rows += 1;
                Ok(())
            })?;
            if keys.is_empty() || rows < page {
                return Ok(());
            }
        }
    }
}
