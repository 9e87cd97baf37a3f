//! `cuda-text FOLDER`: writes the text of every kernel there, one file each.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("cuda-text FOLDER"));
    std::fs::create_dir_all(&folder)?;
    for (name, text) in kernel_tests::text::all(&kernel_tests::client()) {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
