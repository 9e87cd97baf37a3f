//! Tests of the method panel.
