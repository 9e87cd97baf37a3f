//! Words of the export panel.

use super::words;

words! {
    TITLE => "TODO", "TODO";
}
