//! The Jinja environment of chat templates, as transformers sets it up, and its limits.

use std::fmt;
use std::io;

use chrono::NaiveDateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, StringInput, Tuple, Value, from_args};
use minijinja::{Environment, Error, ErrorKind, Output, State, Template, filters};

use protocol::{UserError, text};

use super::python;
use super::rewrite;
use super::spans::{GENERATION_BEGINS, GENERATION_ENDS};
use crate::deep;

pub(super) const MAX_SOURCE_BYTES: usize = 1 << 20;
/// Steps that a rendering may take. The longest published templates take about a thousand for a
/// conversation of five messages with tools.
const FUEL: u64 = 500_000;
const MAX_RECURSION: usize = 200;
/// Width of an indentation, and parts of a list.
const MAX_WIDTH: usize = 1024;
const MAX_OUTPUT_BYTES: usize = 64 << 20;
/// Set while generation tags leave marks.
pub(super) const MARK_VARIABLE: &str = "__mark_generation__";

pub(super) fn new(now: Option<NaiveDateTime>) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_RECURSION);
    environment.set_formatter(print);
    environment.set_unknown_method_callback(python_method);
    environment.add_filter("tojson", |value: &Value, rest: Rest<Value>, kwargs: Kwargs| {
        python::tojson(value, rest, kwargs)
    });
    environment.add_filter("string", |value: &Value| python::str_of(value));
    environment.add_filter("int", |value: &Value, default: Option<Value>| {
        python::int_of(value).map_or_else(|| default.unwrap_or(Value::from(0)), Value::from)
    });
    environment.add_filter("float", |value: &Value, default: Option<Value>| {
        python::float_of(value).map_or_else(|| default.unwrap_or(Value::from(0.0)), Value::from)
    });
    environment.add_filter("indent", indent);
    environment.add_filter("slice", slice);
    environment.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, "raise_exception")
            .with_source(Refusal(message.to_string())))
    });
    environment.add_function("strftime_now", move |format: String| {
        python::strftime(now.unwrap_or_else(|| chrono::Local::now().naive_local()), &format)
    });
    environment.add_function(rewrite::FUNCTION, generation);
    environment
}

/// Runs a rendering where neither deep recursion nor a panic of the template engine can do harm.
pub(super) fn guarded<T: Send>(work: impl FnOnce() -> Result<T, UserError> + Send) -> Result<T, UserError> {
    deep::on_deep_stack(work).unwrap_or_else(|why| {
        Err(UserError::failure(text!("The chat template could not be run: {why}", "无法执行聊天模板：{why}")))
    })
}

/// Renders into memory, up to a limit.
pub(super) fn render(template: &Template<'_, '_>, context: Value) -> Result<String, Error> {
    let mut output = Capped { bytes: Vec::new() };
    template.render_captured_to(context, &mut output)?;
    String::from_utf8(output.bytes)
        .map_err(|_| Error::new(ErrorKind::WriteFailure, "the template wrote broken text"))
}

struct Capped {
    bytes: Vec<u8>,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_OUTPUT_BYTES - self.bytes.len() {
            return Err(io::Error::other("the template writes more than 64 MiB"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{{ value }}` as Python's `str` has it.
fn print(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text).map_err(Error::from),
        None => out.write_str(&python::str_of(value)?).map_err(Error::from),
    }
}

/// Refuses a width or count that would take memory without end: each unit of it costs no step.
fn bounded(count: usize) -> Result<usize, Error> {
    if count <= MAX_WIDTH {
        return Ok(count);
    }
    let message = format!("{count} is more than any template needs; {MAX_WIDTH} are allowed");
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Jinja's filter `indent`, up to a width.
fn indent(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let width = match width {
        Some(width) => width,
        None => kwargs.get::<Option<usize>>("width")?.unwrap_or(4),
    };
    filters::indent(text, Some(bounded(width)?), first, blank, kwargs)
}

/// Jinja's filter `slice`, up to a count.
fn slice(state: &State<'_, '_>, list: Value, count: usize, fill_with: Option<Value>) -> Result<Value, Error> {
    filters::slice(state, list, bounded(count)?, fill_with)
}

/// What stands between generation tags, with marks around it where they are wanted.
fn generation(state: &mut State<'_, '_>, kwargs: Kwargs) -> Result<Value, Error> {
    let caller: Value = kwargs.get("caller")?;
    let body = caller.call(state, &[])?;
    if !state.lookup(MARK_VARIABLE).is_some_and(|mark| mark.is_true()) {
        return Ok(body);
    }
    let body = python::str_of(&body)?;
    Ok(Value::from_safe_string(format!("{GENERATION_BEGINS}{body}{GENERATION_ENDS}")))
}

/// Python's methods on strings, dicts and lists: those of minijinja-contrib and those it lacks.
fn python_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match (value.as_str(), method) {
        (Some(text), "removeprefix") => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(text.strip_prefix(prefix).unwrap_or(text).into())
        }
        (Some(text), "removesuffix") => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(text.strip_suffix(suffix).unwrap_or(text).into())
        }
        (Some(text), "partition") => {
            let (by,): (&str,) = from_args(args)?;
            let parts = text.split_once(by).map_or([text, "", ""], |(before, after)| [before, by, after]);
            Ok(Value::from(Tuple::from(parts.map(Value::from).to_vec())))
        }
        (Some(text), "rpartition") => {
            let (by,): (&str,) = from_args(args)?;
            let parts = text.rsplit_once(by).map_or(["", "", text], |(before, after)| [before, by, after]);
            Ok(Value::from(Tuple::from(parts.map(Value::from).to_vec())))
        }
        (Some(text), "rsplit") => {
            let (by, limit): (&str, Option<usize>) = from_args(args)?;
            let mut parts: Vec<&str> =
                text.rsplitn(limit.map_or(usize::MAX, |limit| limit.saturating_add(1)), by).collect();
            parts.reverse();
            Ok(parts.into_iter().map(Value::from).collect())
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// `raise_exception` was called.
#[derive(Debug)]
pub(super) struct Refusal(String);

impl Refusal {
    /// The template's own words, if that is why it failed.
    pub fn of(err: &Error) -> Option<String> {
        let first: &(dyn std::error::Error + 'static) = err;
        std::iter::successors(Some(first), |err| err.source())
            .find_map(|err| err.downcast_ref::<Self>())
            .map(|refusal| refusal.0.clone())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}
