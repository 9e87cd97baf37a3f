//! The instructions that name Python functions: what each would have made, made without it.

use protocol::{Result, text};

use super::machine::{Machine, malformed};
use super::refused;
use super::value::{Callable, Object, StorageRef, TensorRef, Value};

/// More dimensions than any tensor has.
const MAX_DIMENSIONS: usize = 64;

impl Machine<'_> {
    pub(super) fn global(&mut self) -> Result<()> {
        let module = self.line()?;
        let name = self.line()?;
        self.push_callable(module, name)
    }

    pub(super) fn stack_global(&mut self) -> Result<()> {
        let name = self.pop()?;
        let module = self.pop()?;
        match (self.text(module), self.text(name)) {
            (Some(module), Some(name)) => self.push_callable(module, name),
            _ => Err(malformed("a name is no text")),
        }
    }

    fn push_callable(&mut self, module: &str, name: &str) -> Result<()> {
        let Some(callable) = Callable::named(module, name) else {
            let name: String = format!("{module}.{name}").chars().take(200).collect();
            return Err(refused(text!(
                "it wants to use {name}, which no checkpoint needs; nothing was executed",
                "它试图使用检查点不需要的 {name}；未执行任何代码"
            ))
            .at_item(name));
        };
        self.push(Value::Callable(callable))
    }

    pub(super) fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let arguments = self.items(arguments).ok_or_else(|| malformed("a call has no arguments"))?.to_vec();
        match self.pop()? {
            // `OrderedDict()`, filled by SETITEMS; its other forms take items that no state_dict has.
            Value::Callable(Callable::OrderedDict) if arguments.is_empty() => {
                self.make(Object::Dict(Vec::new()))
            }
            Value::Callable(Callable::RebuildTensor) => {
                let tensor = self.tensor(&arguments).ok_or_else(|| malformed("a tensor's description"))?;
                self.make(Object::Tensor(tensor))
            }
            Value::Callable(Callable::RebuildParameter) => match arguments[..] {
                // (data, requires_grad, backward_hooks)
                [tensor @ Value::Object(id), Value::Bool(_), _]
                    if matches!(self.object(id), Object::Tensor(_)) =>
                {
                    self.push(tensor)
                }
                _ => Err(malformed("a parameter's description")),
            },
            _ => Err(malformed("it calls something that is no function of the allow-list")),
        }
    }

    /// `OrderedDict` has attributes (`_metadata` of a state_dict); nothing else may be given any.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let is_dict = |object: &Object| matches!(object, Object::Dict(_));
        let state_fits = matches!(state, Value::Object(id) if is_dict(self.object(id)));
        if state_fits && is_dict(self.top_object()?) {
            return Ok(());
        }
        Err(malformed("it sets the state of something that is no dictionary"))
    }

    pub(super) fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = self.storage(id).ok_or_else(|| malformed("a storage's description"))?;
        self.make(Object::Storage(storage))
    }

    /// The items of a tuple.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Object(id) => match self.object(id) {
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// `('storage', class, key, location, elements[, None or (view key, offset, elements)])`
    fn storage(&self, id: Value) -> Option<StorageRef> {
        let (&[tag, class, key, _location, elements], view) = self.items(id)?.split_first_chunk::<5>()?;
        let Value::Callable(Callable::Storage(dtype)) = class else { return None };
        if self.text(tag) != Some("storage") {
            return None;
        }
        let view = match view {
            [] | [Value::None] => None,
            [view] => match self.items(*view)? {
                [_, offset, elements] => Some((length(*offset)?, length(*elements)?)),
                _ => return None,
            },
            _ => return None,
        };
        Some(StorageRef { dtype, key: self.text(key)?.to_owned(), elements: length(elements)?, view })
    }

    /// `(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`
    fn tensor(&self, arguments: &[Value]) -> Option<TensorRef> {
        let (&[storage, offset, shape, strides, _grad, _hooks], rest) = arguments.split_first_chunk::<6>()?;
        let Value::Object(storage) = storage else { return None };
        if rest.len() > 1 || !matches!(self.object(storage), Object::Storage(_)) {
            return None;
        }
        let lengths = |value| {
            let items = self.items(value).filter(|items| items.len() <= MAX_DIMENSIONS)?;
            items.iter().map(|&item| length(item)).collect::<Option<Vec<_>>>()
        };
        Some(TensorRef {
            storage,
            offset: length(offset)?,
            shape: lengths(shape)?,
            strides: lengths(strides)?,
        })
    }
}

/// A count, offset or stride: never negative.
fn length(value: Value) -> Option<usize> {
    match value {
        Value::Int(value) => usize::try_from(value).ok(),
        _ => None,
    }
}
