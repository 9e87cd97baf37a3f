//! What of a row and its answer goes into the output, and in which order.

use protocol::config::nearest;
use protocol::{OutputColumn, Result, Text, UserError, text};
use serde_json::{Map, Value};

use crate::formats::FormatContext;
use crate::sources::{Row, RowValue};

/// The model's answer, and why there is none. A column of the input with one of these names goes by another.
const ANSWER: &str = "answer";
const ERROR: &str = "error";
const OWN: [(&str, &str); 2] = [(ANSWER, "input_answer"), (ERROR, "input_error")];
/// The answer's column where the input has an `answer` already.
const PREDICTION: &str = "prediction";

/// The columns of the output.
pub struct OutputColumns {
    columns: Vec<OutputColumn>,
    context: FormatContext,
}

impl OutputColumns {
    /// As wished; without a wish the input's columns and the answer.
    ///
    /// # Errors
    /// When a name comes twice, a column is not there, or an expression has a syntax error.
    pub fn new(wished: &[OutputColumn], input: &[String]) -> Result<Self> {
        let columns = if wished.is_empty() { all(input) } else { wished.to_vec() };
        for (index, OutputColumn { name, value }) in columns.iter().enumerate() {
            if name.is_empty() {
                return Err(refused(Text::fixed(
                    "A column of the output has no name",
                    "输出中有一列没有名称",
                )));
            }
            if columns[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(refused(text!(
                    "The output would have two columns `{name}`",
                    "输出中会有两列 `{name}`"
                )));
            }
            if !is_expression(value) && !names(input).any(|known| known == *value) {
                return Err(unknown(value, input));
            }
        }
        let map = columns.iter().map(|column| (column.name.clone(), column.value.clone())).collect();
        let context = FormatContext::of_names(&map).map_err(|err| err.at_item("--columns"))?;
        Ok(Self { columns, context })
    }

    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The place of the column that holds the answer as it is.
    pub fn answer(&self) -> Option<usize> {
        self.place_of(ANSWER)
    }

    /// The place of the column that holds this column of the input as it is.
    pub fn of_input(&self, name: &str) -> Option<usize> {
        let own = OWN.iter().find(|(taken, _)| *taken == name).map_or(name, |(_, own)| *own);
        self.place_of(own)
    }

    fn place_of(&self, value: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.value == value)
    }

    /// The output's row for a row of the input and its answer, or why it has none; and what is wrong with an expression,
    /// whose column stays empty.
    pub fn values(&self, row: &Row, answer: &str, error: &str) -> (Vec<Value>, Option<UserError>) {
        let mut fields = match &row.value {
            RowValue::Object(fields) => fields.clone(),
            RowValue::Text(text) => Map::from_iter([("text".to_owned(), text.clone().into())]),
        };
        for (name, own) in OWN {
            if let Some(value) = fields.shift_remove(name) {
                fields.insert(own.to_owned(), value);
            }
        }
        fields.insert(ANSWER.to_owned(), answer.into());
        fields.insert(ERROR.to_owned(), error.into());
        // Columns that only other rows have.
        for column in self.columns.iter().filter(|column| !is_expression(&column.value)) {
            fields.entry(column.value.clone()).or_insert(Value::Null);
        }
        let whole = Row { value: RowValue::Object(fields), ..row.clone() };
        let mut failure = None;
        let mut value = |column: &OutputColumn| {
            self.context.named(&whole, &column.name).unwrap_or_else(|err| {
                failure.get_or_insert(err.at_item(format!("--columns {}", column.name)));
                Value::Null
            })
        };
        let values = self.columns.iter().map(&mut value).collect();
        (values, failure)
    }
}

/// The input's columns and the answer.
fn all(input: &[String]) -> Vec<OutputColumn> {
    let own = |name: &String| OWN.iter().find(|(taken, _)| taken == name).map(|(_, own)| (*own).to_owned());
    let taken = input.iter().any(|name| name == ANSWER);
    let answer = if taken { PREDICTION } else { ANSWER };
    let column =
        |name: &String| OutputColumn { name: name.clone(), value: own(name).unwrap_or_else(|| name.clone()) };
    let answer = OutputColumn { name: answer.to_owned(), value: ANSWER.to_owned() };
    input.iter().map(column).chain([answer]).collect()
}

fn is_expression(value: &str) -> bool {
    value.contains("{{") || value.contains("{%")
}

/// What a column of the output may take.
fn names(input: &[String]) -> impl Iterator<Item = &str> {
    let own = |name: &str| OWN.iter().find(|(taken, _)| *taken == name).map(|(_, own)| *own);
    input.iter().map(move |name| own(name).unwrap_or(name)).chain([ANSWER, ERROR])
}

fn refused(what: Text) -> UserError {
    UserError::bad_input(what).at_item("--columns")
}

fn unknown(value: &str, input: &[String]) -> UserError {
    let known: Vec<String> = names(input).map(|name| format!("`{name}`")).collect();
    let list = known.join(", ");
    let error =
        refused(text!("There is no column `{value}`; there are {list}", "没有列 `{value}`；可用：{list}"));
    match nearest(value, names(input)) {
        Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
        None => error.mend(Text::fixed(
            "a text of your own is an expression: name={{ \"text\" }}",
            "自定义文本请写成表达式：名称={{ \"文本\" }}",
        )),
    }
}
