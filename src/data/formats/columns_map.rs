//! From a format's fields to a row's columns: by default names, by the names of `data.columns`, or by
//! its minijinja expressions such as `"title:{{title}},abstract:{{abstract}}"`.

use std::collections::BTreeMap;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use protocol::config::nearest;
use protocol::{Result, Text, UserError, text};
use serde_json::Value;

use super::{Field, Format};
use crate::sources::{MAX_ROW_BYTES, Row, kind_of};

/// Instructions an expression may take for one row: far beyond any honest one.
const FUEL: u64 = 200_000;
const RECURSION: usize = 64;

/// What formats know beside the row: the run file's column map.
pub struct FormatContext {
    columns: BTreeMap<String, Column>,
    environment: Environment<'static>,
    prefix: String,
}

enum Column {
    Name(String),
    /// A template of the environment, under the field's name.
    Expression,
}

impl FormatContext {
    /// # Errors
    /// When `columns` has a key that the format does not read, or an expression with a syntax error.
    pub fn new(columns: &BTreeMap<String, String>, format: &Format) -> Result<Self> {
        match columns.keys().find(|key| !format.fields.iter().any(|field| field.key == **key)) {
            Some(key) => Err(unknown_field(key, format)),
            None => Self::of_names(columns),
        }
    }

    /// Columns and expressions under names of one's own, which no format reads.
    ///
    /// # Errors
    /// When an expression has a syntax error.
    pub fn of_names(columns: &BTreeMap<String, String>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        environment.set_syntax(
            SyntaxConfig::builder()
                .keep_trailing_newline(true)
                .build()
                .map_err(|err| bad_expression("", &err))?,
        );
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        let mut map = BTreeMap::new();
        for (key, given) in columns {
            let column = if given.contains("{{") || given.contains("{%") {
                environment
                    .add_template_owned(key.clone(), given.clone())
                    .map_err(|err| bad_expression(key, &err))?;
                Column::Expression
            } else {
                Column::Name(given.clone())
            };
            map.insert(key.clone(), column);
        }
        Ok(Self { columns: map, environment, prefix: String::new() })
    }

    /// The same, with a text in front of the first question of every row.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    /// A question with what stands in front of all of them.
    pub(super) fn prefixed(&self, question: String) -> String {
        if self.prefix.is_empty() { question } else { format!("{}{question}", self.prefix) }
    }

    /// The field's value in this row; none where the row has no such column, or null in it.
    ///
    /// # Errors
    /// When the run file names a column that the row lacks, or its expression fails.
    pub fn value(&self, row: &Row, field: &Field) -> Result<Option<Value>> {
        let Some(fields) = row.fields() else { return Err(plain_text(row)) };
        let found = match self.columns.get(field.key) {
            None => field.columns.iter().find_map(|name| fields.get(*name)).cloned(),
            Some(Column::Expression) => Some(Value::String(self.render(row, field.key)?)),
            Some(Column::Name(name)) => match fields.get(name) {
                Some(value) => Some(value.clone()),
                None => return Err(missing_column(row, field.key, name)),
            },
        };
        Ok(found.filter(|value| !value.is_null()))
    }

    /// The value of a column or expression by its own name ([`of_names`](Self::of_names)); null where there is none.
    ///
    /// # Errors
    /// When the row has no such column, or the expression fails.
    pub fn named(&self, row: &Row, key: &str) -> Result<Value> {
        match self.columns.get(key) {
            None => Ok(Value::Null),
            Some(Column::Expression) => Ok(Value::String(self.render(row, key)?)),
            Some(Column::Name(name)) => {
                let found = row.fields().and_then(|fields| fields.get(name)).cloned();
                found.ok_or_else(|| missing_column(row, key, name))
            }
        }
    }

    /// The field's value as text: numbers and truth values are written out.
    ///
    /// # Errors
    /// As [`FormatContext::value`], and when the value is a list or an object.
    pub fn text(&self, row: &Row, field: &Field) -> Result<Option<String>> {
        match self.value(row, field)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(value) => {
                let (key, kind) = (field.key, kind_of(&value));
                Err(row
                    .error(text!("`{key}` must be text, and is {kind}", "`{key}` 应为文本，实际为 {kind}")))
            }
        }
    }

    /// # Errors
    /// As [`FormatContext::text`], and when the row has no such value.
    pub fn required(&self, row: &Row, field: &Field) -> Result<String> {
        self.text(row, field)?.ok_or_else(|| missing(row, field))
    }

    fn render(&self, row: &Row, key: &str) -> Result<String> {
        let failed = |err: &minijinja::Error| row.place(bad_expression(key, err));
        let template = self.environment.get_template(key).map_err(|err| failed(&err))?;
        let mut output = Capped(Vec::new());
        let fields = row.fields().cloned().unwrap_or_default();
        // `row` reaches columns whose names are no identifiers: {{ row["Best Answer"] }}.
        let mut names = fields.clone();
        names.entry("row").or_insert(Value::Object(fields));
        template
            .render_captured_to(minijinja::value::Serde(&names), &mut output)
            .map_err(|err| failed(&err))?;
        String::from_utf8(output.0)
            .map_err(|_| row.error(Text::fixed("The text made is not UTF-8", "生成的文本不是 UTF-8")))
    }
}

/// Refuses to grow beyond the longest row.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MAX_ROW_BYTES {
            return Err(io::Error::other("the text made is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The names of a row's columns, for messages.
pub(super) fn names_of(row: &Row) -> String {
    const SHOWN: usize = 24;
    let Some(fields) = row.fields() else { return String::new() };
    let mut names: Vec<_> = fields.keys().take(SHOWN).map(|key| format!("`{key}`")).collect();
    if fields.len() > SHOWN {
        names.push("…".into());
    }
    names.join(", ")
}

fn missing(row: &Row, field: &Field) -> UserError {
    let (key, names) = (field.key, names_of(row));
    row.error(text!("The row has no `{key}`; it has {names}", "该行没有 `{key}`；现有字段：{names}")).mend(
        text!(
            "map it in the run file: data.columns.{key} = \"…\"",
            "可在运行文件中映射：data.columns.{key} = \"…\""
        ),
    )
}

fn missing_column(row: &Row, key: &str, name: &str) -> UserError {
    let names = names_of(row);
    let error = row
        .error(text!(
            "The row has no column `{name}`; it has {names}",
            "该行没有列 `{name}`；现有字段：{names}"
        ))
        .at_item(format!("data.columns.{key}"));
    let known = row.fields().into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    match nearest(name, known) {
        Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
        None => error,
    }
}

fn plain_text(row: &Row) -> UserError {
    row.error(Text::fixed("A plain text file has no columns", "纯文本文件没有列"))
        .mend(Text::fixed("use data.format = \"text\"", "请使用 data.format = \"text\""))
}

fn unknown_field(key: &str, format: &Format) -> UserError {
    let id = format.id;
    let keys: Vec<_> = format.fields.iter().map(|field| field.key).collect();
    let list = keys.join(", ");
    let error = UserError::bad_input(text!(
        "The format `{id}` has no field `{key}`; it has {list}",
        "格式 `{id}` 没有字段 `{key}`；可用字段：{list}"
    ))
    .at_item(format!("data.columns.{key}"));
    match nearest(key, keys) {
        Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
        None => error,
    }
}

fn bad_expression(key: &str, err: &minijinja::Error) -> UserError {
    let reason = err.to_string();
    UserError::bad_input(text!(
        "The expression for `{key}` failed: {reason}",
        "`{key}` 的表达式出错：{reason}"
    ))
    .at_item(format!("data.columns.{key}"))
    .mend(Text::fixed(
        "columns stand by name in {{ }}, those with other characters as {{ row[\"name\"] }}",
        "在 {{ }} 中按名称引用列；含特殊字符的列写作 {{ row[\"列名\"] }}",
    ))
}
