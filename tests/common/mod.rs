//! Where fixtures lie, for every test binary (`#[path = "../common/mod.rs"] mod common;`).

use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn root() -> &'static Path {
    // Two levels above a package under src/; the root package is the workspace itself.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.join("rust-toolchain.toml").exists() {
        return package;
    }
    package.parent().and_then(Path::parent).unwrap_or(package)
}

/// A golden case: the project's own copy, else the complete set beside the project.
pub fn golden(case: &str) -> Option<PathBuf> {
    let own = root().join("tests/fixtures/golden").join(case);
    if own.exists() { Some(own) } else { shared(&format!("golden/{case}")) }
}

/// A path in the folder of large fixtures, which the project does not contain: `EMBERWRIGHT_SHARED`, else
/// `shared` beside the project or above it.
pub fn shared(path: &str) -> Option<PathBuf> {
    let named = std::env::var_os("EMBERWRIGHT_SHARED").map(PathBuf::from);
    let beside = root().ancestors().skip(1).take(2).map(|folder| folder.join("shared"));
    named.into_iter().chain(beside).map(|folder| folder.join(path)).find(|path| path.exists())
}

/// Says that cases were not run, and why nobody should take the test for more than it is.
pub fn skipped(count: usize, what: &str) {
    if count > 0 {
        println!("NOT RUN: {count} {what} (fixtures not found; set EMBERWRIGHT_SHARED)");
    }
}
