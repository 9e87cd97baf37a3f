//! How the columns of a file are put together to rows: structs, lists and maps, as the format's rules for logical
//! types have them (and as they were written before there were any).

use std::ops::Range;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::schema::types::Type;
use protocol::Result;

use super::column::Column;
use super::leaf;
use super::thrift::nonsense;

pub struct Node {
    /// From which level of definition on it is there (else it is null).
    there: i16,
    /// Its columns; those of no node are empty.
    columns: Range<usize>,
    kind: Kind,
}

enum Kind {
    Leaf {
        /// Whether JSON writes its values in quotes.
        text: bool,
    },
    /// Names as JSON writes them, with what stands before their values.
    Struct(Vec<(String, Node)>),
    List(Level, Box<Node>),
    Map(Level, Box<[Node; 2]>),
}

/// Where elements repeat.
#[derive(Clone, Copy)]
struct Level {
    repetition: i16,
    /// From which level of definition on there is an element.
    definition: i16,
}

/// Where in the schema a type stands: the levels above it.
#[derive(Clone, Copy)]
struct Above {
    definition: i16,
    repetition: i16,
}

impl Node {
    /// The whole row, from a file's schema.
    ///
    /// # Errors
    /// When a map has no keys and values, or a group no columns.
    pub fn of_schema(schema: &Type) -> Result<Self> {
        let mut column = 0;
        let above = Above { definition: 0, repetition: 0 };
        let kind = fields(schema, above, &mut column)?;
        Ok(Self { there: 0, columns: 0..column, kind })
    }

    /// A field with whatever its repetition says.
    fn of_field(field: &Type, above: Above, column: &mut usize) -> Result<Self> {
        match repetition(field) {
            Repetition::REQUIRED => Self::of(field, above, column),
            Repetition::OPTIONAL => {
                let above = Above { definition: above.definition + 1, ..above };
                Self::of(field, above, column)
            }
            // Repeated without being called a list.
            Repetition::REPEATED => {
                let start = *column;
                let inside = repeated(above);
                let item = Self::of(field, inside, column)?;
                let kind = Kind::List(inside.level(), Box::new(item));
                Ok(Self { there: above.definition, columns: start..*column, kind })
            }
        }
    }

    /// A type that is there from `above` on.
    fn of(field: &Type, above: Above, column: &mut usize) -> Result<Self> {
        let start = *column;
        let kind = if field.is_primitive() {
            *column += 1;
            Kind::Leaf { text: field.get_physical_type() == PhysicalType::BYTE_ARRAY }
        } else if is_list(field) {
            list(field, above, column)?
        } else if is_map(field) {
            map(field, above, column)?
        } else {
            fields(field, above, column)?
        };
        if start == *column {
            return Err(nonsense().detail(format!("`{}` has no columns", field.name())));
        }
        Ok(Self { there: above.definition, columns: start..*column, kind })
    }

    /// Writes the value that the columns stand at, and leaves them behind it.
    ///
    /// # Errors
    /// When the columns do not agree with each other.
    pub fn write(&self, columns: &mut [Column], out: &mut Line) -> Result<()> {
        let first = columns.get(self.columns.start).ok_or_else(nonsense)?;
        if matches!(self.kind, Kind::Leaf { .. }) {
            return out.put(|out| columns[self.columns.start].write(out));
        }
        let defined = first.definition()?;
        if defined < self.there {
            out.raw(b"null");
            return self.pass(columns);
        }
        match &self.kind {
            Kind::Leaf { .. } => Ok(()),
            Kind::Struct(fields) => {
                for (before, field) in fields {
                    out.raw(before.as_bytes());
                    field.write(columns, out)?;
                }
                out.raw(b"}");
                Ok(())
            }
            Kind::List(level, item) => {
                self.elements(*level, *b"[]", columns, out, &mut |columns, out| item.write(columns, out))
            }
            Kind::Map(level, entry) => {
                let [key, value] = entry.as_ref();
                let brackets = if key.is_text() { *b"{}" } else { *b"[]" };
                self.elements(*level, brackets, columns, out, &mut |columns, out| {
                    key.write_entry(value, columns, out)
                })
            }
        }
    }

    fn elements(
        &self,
        level: Level,
        [open, close]: [u8; 2],
        columns: &mut [Column],
        out: &mut Line,
        element: &mut dyn FnMut(&mut [Column], &mut Line) -> Result<()>,
    ) -> Result<()> {
        out.raw(&[open]);
        if columns[self.columns.start].definition()? < level.definition {
            self.pass(columns)?;
        } else {
            loop {
                element(columns, out)?;
                let goes_on = columns[self.columns.start].repetition() >= level.repetition;
                let agree = |column: &Column| (column.repetition() >= level.repetition) == goes_on;
                if !columns[self.columns.clone()].iter().all(agree) {
                    return Err(nonsense().detail("the columns of a list do not agree"));
                }
                if !goes_on {
                    break;
                }
                out.raw(b",");
            }
        }
        out.raw(&[close]);
        Ok(())
    }

    /// A map's entry: a field where keys are texts, else a pair.
    fn write_entry(&self, value: &Self, columns: &mut [Column], out: &mut Line) -> Result<()> {
        let (open, between, close): (&[u8], &[u8], &[u8]) =
            if self.is_text() { (b"", b":", b"") } else { (b"[", b",", b"]") };
        out.raw(open);
        self.write(columns, out)?;
        out.raw(between);
        value.write(columns, out)?;
        out.raw(close);
        Ok(())
    }

    fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Leaf { text: true })
    }

    fn pass(&self, columns: &mut [Column]) -> Result<()> {
        columns[self.columns.clone()].iter_mut().try_for_each(Column::pass)
    }
}

fn fields(group: &Type, above: Above, column: &mut usize) -> Result<Kind> {
    let mut fields = Vec::new();
    for field in group.get_fields() {
        let mut before = vec![if fields.is_empty() { b'{' } else { b',' }];
        leaf::text(&mut before, field.name());
        before.push(b':');
        let node = Node::of_field(field, above, column)?;
        fields.push((String::from_utf8_lossy(&before).into_owned(), node));
    }
    if fields.is_empty() { Err(nonsense().detail("it has no columns")) } else { Ok(Kind::Struct(fields)) }
}

fn list(field: &Type, above: Above, column: &mut usize) -> Result<Kind> {
    let Some(inner) = only_child(field).filter(|inner| repetition(inner) == Repetition::REPEATED) else {
        return fields(field, above, column);
    };
    let inside = repeated(above);
    let old_names = ["array".to_owned(), format!("{}_tuple", field.name())];
    let wrapped = only_child(inner).filter(|_| !old_names.contains(&inner.name().to_owned()));
    let item = match wrapped {
        Some(element) => Node::of_field(element, inside, column)?,
        None => Node::of(inner, inside, column)?,
    };
    Ok(Kind::List(inside.level(), Box::new(item)))
}

fn map(field: &Type, above: Above, column: &mut usize) -> Result<Kind> {
    let entry = only_child(field).filter(|entry| repetition(entry) == Repetition::REPEATED);
    let Some([key, value]) = entry.filter(|entry| entry.is_group()).map(Type::get_fields) else {
        return fields(field, above, column);
    };
    let inside = repeated(above);
    let key = Node::of_field(key, inside, column)?;
    let value = Node::of_field(value, inside, column)?;
    Ok(Kind::Map(inside.level(), Box::new([key, value])))
}

fn only_child(group: &Type) -> Option<&Type> {
    match group.is_group().then(|| group.get_fields())? {
        [child] => Some(child),
        _ => None,
    }
}

fn repetition(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

fn repeated(above: Above) -> Above {
    Above { definition: above.definition + 1, repetition: above.repetition + 1 }
}

impl Above {
    fn level(self) -> Level {
        Level { repetition: self.repetition, definition: self.definition }
    }
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::List)) || info.converted_type() == ConvertedType::LIST
}

fn is_map(field: &Type) -> bool {
    let info = field.get_basic_info();
    let old = [ConvertedType::MAP, ConvertedType::MAP_KEY_VALUE];
    matches!(info.logical_type_ref(), Some(LogicalType::Map)) || old.contains(&info.converted_type())
}

/// A row as it is written: what is beyond the longest row is left out, so that whoever reads it is told.
#[derive(Default)]
pub struct Line {
    bytes: Vec<u8>,
}

impl Line {
    const LIMIT: usize = super::super::MAX_ROW_BYTES as usize + 1;

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The line with its end.
    pub fn finish(&mut self) -> &[u8] {
        self.bytes.truncate(Self::LIMIT);
        self.bytes.push(b'\n');
        &self.bytes
    }

    fn raw(&mut self, bytes: &[u8]) {
        if self.bytes.len() < Self::LIMIT {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        write(&mut self.bytes)?;
        self.bytes.truncate(Self::LIMIT);
        Ok(())
    }
}
