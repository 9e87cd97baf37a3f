//! What the subjects of an examination are called, and to which groups they belong: by `mapping.json` beside the
//! questions, else by the lists of the publications.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protocol::{Result, UserError, text};
use serde_json::Value;

use crate::suites::load::read;

/// Where subjects are described: LLaMA-Factory's name for the file, and C-Eval's.
const FILES: [&str; 2] = ["mapping.json", "subject_mapping.json"];

/// A subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// As prompts call it.
    pub name: String,
    pub groups: Vec<Arc<str>>,
}

/// Subjects by their ids.
#[derive(Debug)]
pub struct Subjects(BTreeMap<String, Subject>);

impl Subjects {
    /// `known` has a line `id<tab>name<tab>group,group` for each subject.
    ///
    /// # Errors
    /// When there is a mapping file in the folder that cannot be read.
    pub fn of(folder: &Path, known: &str) -> Result<Self> {
        let mut subjects = BTreeMap::new();
        for line in known.lines() {
            let mut fields = line.split('\t');
            let [id, name, groups] = [(); 3].map(|()| fields.next().unwrap_or_default());
            let groups = groups.split(',').map(Arc::from).collect();
            subjects.insert(id.to_owned(), Subject { name: name.to_owned(), groups });
        }
        let file = FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file());
        if let Some(file) = file {
            subjects.extend(mapped(&file, &subjects)?);
        }
        Ok(Self(subjects))
    }

    /// One that nobody described is called by its id and is in no group.
    pub fn get(&self, id: &str) -> Subject {
        let unknown = || Subject { name: id.replace('_', " "), groups: Vec::new() };
        self.0.get(id).cloned().unwrap_or_else(unknown)
    }
}

/// `{id: {"name": …, "category": …}}`, or C-Eval's `{id: [English, Chinese, category]}`. Further groups of a known
/// subject stay.
fn mapped(file: &Path, known: &BTreeMap<String, Subject>) -> Result<BTreeMap<String, Subject>> {
    let bad = |why: &str| {
        UserError::bad_input(text!("The list of subjects cannot be read: {why}", "无法读取科目列表：{why}"))
            .in_file(file)
            .mend(protocol::Text::fixed(
                "write {\"subject\": {\"name\": …, \"category\": …}}, or remove the file",
                "请写成 {\"subject\": {\"name\": …, \"category\": …}}，或删除该文件",
            ))
    };
    let value: Value = serde_json::from_str(&read(file)?).map_err(|err| bad(&err.to_string()))?;
    let map = value.as_object().ok_or_else(|| bad("no object"))?;
    let subject = |(id, value): (&String, &Value)| {
        let field =
            |name: &str, place: usize| value.get(name).or_else(|| value.get(place)).and_then(Value::as_str);
        let (Some(name), Some(category)) = (field("name", 1), field("category", 2)) else {
            return Err(bad(id));
        };
        let more = known.get(id).into_iter().flat_map(|known| known.groups.iter().skip(1).cloned());
        let groups = std::iter::once(Arc::from(category)).chain(more).collect();
        Ok((id.clone(), Subject { name: name.to_owned(), groups }))
    };
    map.iter().map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_file_comes_before_what_is_known() {
        let known = "a\tAlpha\tX,Hard\nb\tBeta\tY\n";
        let folder = tempfile::tempdir().unwrap();
        let plain = Subjects::of(folder.path(), known).unwrap();
        assert_eq!(plain.get("a").groups, [Arc::from("X"), Arc::from("Hard")]);
        assert_eq!(plain.get("new_one"), Subject { name: "new one".into(), groups: vec![] });
        let file = folder.path().join("mapping.json");
        std::fs::write(&file, r#"{"a": {"name": "甲", "category": "Z"}, "b": ["Beta", "乙", "W"]}"#).unwrap();
        let mapped = Subjects::of(folder.path(), known).unwrap();
        assert_eq!(mapped.get("a"), Subject { name: "甲".into(), groups: vec!["Z".into(), "Hard".into()] });
        assert_eq!(mapped.get("b"), Subject { name: "乙".into(), groups: vec!["W".into()] });
        std::fs::write(&file, "[1]").unwrap();
        assert!(Subjects::of(folder.path(), known).is_err());
    }
}
