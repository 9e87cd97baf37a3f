//! What people paste: `org/name`, `hf:org/name@revision`, or an address from a browser.

use std::path::Path;

use protocol::{RepoKind, RepoRef, Result, Text, UserError, text};
use url::Url;

use crate::hubs::{self, Spec};

/// Longest part of an id; both hubs allow fewer.
const LONGEST_PART: usize = 96;

/// Reads what was pasted. `hub` and `kind` are meant where the text does not say.
///
/// # Errors
/// When no repository can be named like that.
pub fn parse(pasted: &str, hub: &str, kind: RepoKind) -> Result<RepoRef> {
    let pasted = pasted.trim();
    let read = if pasted.contains("://") { of_url(pasted) } else { of_id(pasted, hub, kind) };
    let repo = read.filter(|repo| is_id(&repo.id) && is_revision(&repo.revision));
    repo.ok_or_else(|| no_repository(pasted))
}

fn of_id(pasted: &str, hub: &str, kind: RepoKind) -> Option<RepoRef> {
    let (hub, rest) = match pasted.split_once(':') {
        Some((named, rest)) => (hubs::spec(named)?.id, rest),
        None => (hub, pasted),
    };
    let (kind, rest) = match rest.strip_prefix("datasets/") {
        Some(rest) if rest.contains('/') => (RepoKind::Dataset, rest),
        _ => (kind, rest),
    };
    let (id, revision) = rest.split_once('@').unwrap_or((rest, ""));
    Some(RepoRef { hub: hub.to_owned(), kind, id: id.to_owned(), revision: revision.to_owned() })
}

/// `https://huggingface.co/datasets/org/name/tree/main/…`, `https://modelscope.cn/models/org/name/…`.
fn of_url(pasted: &str) -> Option<RepoRef> {
    let url = Url::parse(pasted).ok()?;
    let host = url.host_str()?;
    let spec: &Spec = hubs::all().find(|spec| spec.hosts.contains(&host))?;
    let mut parts: Vec<&str> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
    let kind = match *parts.first()? {
        "datasets" => RepoKind::Dataset,
        _ => RepoKind::Model,
    };
    if matches!(parts[0], "datasets" | "models") {
        parts.remove(0);
    }
    let marks = ["tree", "blob", "resolve", "files", "summary", "raw", "commit"];
    let mark = parts.iter().position(|part| marks.contains(part)).unwrap_or(parts.len());
    let id = parts.get(..mark.min(2))?.join("/");
    let has_revision =
        parts.get(mark).is_some_and(|mark| matches!(*mark, "tree" | "blob" | "resolve" | "raw"));
    let revision = parts.get(mark + 1).filter(|_| has_revision).copied().unwrap_or_default();
    let revision = if revision == spec.branch { "" } else { revision };
    Some(RepoRef { hub: spec.id.to_owned(), kind, id, revision: revision.to_owned() })
}

/// One or two parts of letters, digits, `-`, `_` and `.`, as both hubs have them.
pub(crate) fn is_id(id: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty()
            && part.len() <= LONGEST_PART
            && part.chars().all(plain)
            && !part.starts_with(['-', '.'])
            && !part.contains("--")
            && !part.contains("..")
    };
    id.split('/').count() <= 2 && id.split('/').all(part)
}

/// A name that git takes and that is no way out of a folder.
pub(crate) fn is_revision(revision: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    revision.len() <= 200
        && revision.chars().all(plain)
        && (revision.is_empty() || revision.split('/').all(|part| !part.is_empty() && !part.starts_with('.')))
}

/// The repository that a folder of a hub's cache was fetched from: `…/models--org--name/snapshots/…`.
pub fn repo_of_snapshot(folder: &Path) -> Option<String> {
    let mut above = folder.ancestors().skip(1);
    above.next().filter(|dir| dir.file_name().is_some_and(|name| name == "snapshots"))?;
    let name = above.next()?.file_name()?.to_str()?;
    let id = name.strip_prefix("models--").or_else(|| name.strip_prefix("datasets--"))?.replace("--", "/");
    is_id(&id).then_some(id)
}

fn no_repository(pasted: &str) -> UserError {
    let shown: String = pasted.chars().take(120).collect();
    let known: Vec<_> = hubs::all().map(|spec| format!("{}:", spec.id)).collect();
    let known = known.join(", ");
    UserError::bad_input(text!("`{shown}` names no repository", "“{shown}”不是仓库名称")).mend(Text::new(
        format!("write org/name, with {known} in front if need be, or paste the address of its page"),
        format!("请输入 org/name（必要时在前面加 {known}），或粘贴仓库页面的网址"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pasted: &str) -> Option<String> {
        parse(pasted, "hf", RepoKind::Model).ok().map(|repo| format!("{:?} {repo}", repo.kind))
    }

    #[test]
    fn what_people_paste_is_understood() {
        for (pasted, repo) in [
            ("gpt2", "Model hf:gpt2"),
            (" Qwen/Qwen3-0.6B ", "Model hf:Qwen/Qwen3-0.6B"),
            ("ms:Qwen/Qwen3-0.6B", "Model ms:Qwen/Qwen3-0.6B"),
            ("hf:a/b@v1.0", "Model hf:a/b@v1.0"),
            ("datasets/tatsu-lab/alpaca", "Dataset hf:tatsu-lab/alpaca"),
            ("https://huggingface.co/Qwen/Qwen3-0.6B", "Model hf:Qwen/Qwen3-0.6B"),
            ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", "Model hf:Qwen/Qwen3-0.6B"),
            ("https://huggingface.co/gpt2/blob/e7da7f2/config.json", "Model hf:gpt2@e7da7f2"),
            ("https://huggingface.co/datasets/a/b/viewer", "Dataset hf:a/b"),
            ("https://hf-mirror.com/a/b", "Model hf:a/b"),
            ("https://modelscope.cn/models/a/b/files", "Model ms:a/b"),
            ("https://www.modelscope.cn/datasets/a/b/summary", "Dataset ms:a/b"),
        ] {
            assert_eq!(read(pasted).as_deref(), Some(repo), "{pasted}");
        }
    }

    #[test]
    fn nothing_that_leaves_its_folder_is_a_name() {
        for pasted in [
            "",
            "a/b/c",
            "../etc",
            "a/..",
            "a--b/c",
            "a b",
            "a/b@../x",
            "xx:a/b",
            "https://example.org/a/b",
            "/",
        ] {
            assert_eq!(read(pasted), None, "{pasted}");
        }
    }

    #[test]
    fn a_snapshot_knows_where_it_comes_from() {
        let of = |path: &str| repo_of_snapshot(Path::new(path));
        let told = of("/c/models--Qwen--Qwen3-0.6B/snapshots/0123");
        assert_eq!(told.as_deref(), Some("Qwen/Qwen3-0.6B"));
        assert_eq!(of("/c/models--gpt2/snapshots/0123/").as_deref(), Some("gpt2"));
        assert_eq!(of("/c/gpt2"), None);
    }
}
