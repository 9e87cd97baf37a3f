//! What several suites share: examinations by subject, and rows of any dataset as questions.

pub mod answers;
pub mod exam;
pub mod rows;
pub mod subjects;
