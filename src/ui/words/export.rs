//! Words of the export panel.

use super::words;

words! {}
