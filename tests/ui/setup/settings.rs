//! Tests of the settings panel.
