//! Words of the conversion dialog.

use super::words;

words! {
    CONVERT => "Convert…", "转换格式…";
    TITLE => "Convert the data", "转换数据格式";
    HELP => "The training files in one file of another format", "将训练文件写成另一种格式的单个文件";
    TO => "To", "目标格式";
    READING => "Reading the first rows…", "正在读取前几行…";
    NONE => "The engine writes no formats yet", "引擎尚不支持写出格式";
    WRITE => "Write…", "写出…";
    CLOSE => "Close", "关闭";
    WRITING => "Writing…", "正在写出…";
    WRITTEN => "Written", "已写入";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    TRAIN_ON_IT => "Train on it", "用它训练";
}
