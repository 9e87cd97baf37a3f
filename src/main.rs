//! The program: see the library.

fn main() -> std::process::ExitCode {
    // Before any thread: this may run the program again with the environment that CUDA needs.
    if let Some(folders) = directories::ProjectDirs::from("", "", "emberwright") {
        engine::device::prepare(folders.cache_dir());
    }
    emberwright::cli::main()
}
