//! Words of long work.

use super::words;

words! {
    BEGINS => "Preparing…", "正在准备…";
    STOPPING => "Stopping…", "正在停止…";
}
