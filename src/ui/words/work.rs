//! Words of long work.

use super::words;

words! {
    BEGINS => "Preparing…", "正在准备…";
    ANOTHER => "Other work with the model is under way: one at a time", "模型正在执行其他任务：每次仅一个";
    STOPPING => "Stopping…", "正在停止…";
}
