//! Do the tensors in the files fit the model that config.json describes?

use std::collections::BTreeSet;

use protocol::{Result, Text, UserError, text};

use super::checkpoint::Checkpoint;

/// A tensor that a model needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// Other names it may have in the files, tried in order after `name`.
    pub alternatives: Vec<String>,
    pub shape: Vec<usize>,
    /// Missing is fine (a tied head, a bias), a wrong shape is not.
    pub optional: bool,
}

impl Wanted {
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into(), ..Self::default() }
    }

    pub fn or(mut self, alternative: impl Into<String>) -> Self {
        self.alternatives.push(alternative.into());
        self
    }

    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The name under which the files hold it.
    pub fn stored_name<'a>(&'a self, checkpoint: &Checkpoint) -> Option<&'a str> {
        let mut names = std::iter::once(&self.name).chain(&self.alternatives);
        names.find(|name| checkpoint.contains(name)).map(String::as_str)
    }
}

impl Checkpoint {
    /// Holds the files against what a model needs: names, shapes, floats. Tensors that nobody wants are
    /// errors too, unless `ignorable` knows them (mask buffers and the like).
    ///
    /// # Errors
    /// *All* mismatches at once, one detail line each: name, wanted, got.
    pub fn check(&self, wanted: &[Wanted], ignorable: &dyn Fn(&str) -> bool) -> Result<()> {
        let mut missing = Vec::new();
        let mut wrong = Vec::new();
        let mut used = BTreeSet::new();
        for want in wanted {
            used.insert(want.name.as_str());
            used.extend(want.alternatives.iter().map(String::as_str));
            match want.stored_name(self) {
                Some(name) => wrong.extend(self.mismatch(name, &want.shape)),
                None if want.optional => {}
                None => missing.push(format!("{}: missing, wanted {:?}", want.name, want.shape)),
            }
        }
        let unknown: Vec<String> = self
            .names()
            .filter(|name| !used.contains(name) && !ignorable(name))
            .map(|name| format!("{name}: unknown to this model, got {:?}", self.shape_of(name)))
            .collect();
        if missing.is_empty() && wrong.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        let (n_missing, n_wrong, n_unknown) = (missing.len(), wrong.len(), unknown.len());
        let what = text!(
            "The weights do not fit config.json: {n_missing} missing, {n_wrong} of another form, {n_unknown} unknown",
            "权重与 config.json 不符：缺少 {n_missing} 个，形状不符 {n_wrong} 个，未知 {n_unknown} 个"
        );
        let error = UserError::bad_input(what).details(missing).details(wrong).details(unknown);
        let error = error.mend(Text::fixed(
            "check that config.json belongs to these weights",
            "请检查 config.json 是否属于这些权重",
        ));
        Err(match self.files().next().and_then(|file| file.parent()) {
            Some(folder) => error.in_file(folder),
            None => error,
        })
    }

    fn mismatch(&self, name: &str, shape: &[usize]) -> Option<String> {
        let info = self.info(name)?;
        if info.shape != shape {
            return Some(format!("{name}: wanted {shape:?}, got {:?}", info.shape));
        }
        (!info.dtype.is_float()).then(|| format!("{name}: wanted floats, got {}", info.dtype))
    }

    fn shape_of(&self, name: &str) -> &[usize] {
        self.info(name).map_or(&[], |info| info.shape)
    }
}
