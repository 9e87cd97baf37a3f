//! Run folders as a client sees them: listed, read and removed. Whatever lies in them may be damaged, or written
//! by somebody else at this moment.

mod delete;
mod folder;
mod history;
mod index;
mod lines;
mod memory;

pub use delete::delete;
pub use folder::report;
pub use history::{METRICS_FILE, Part, each_line, read};
pub use index::RunIndex;
