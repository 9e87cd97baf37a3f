//! Tests of the model panel.
