//! Words of the evaluate panel.

use super::words;

words! {
    // Nothing here yet.
    NO_MODEL_TITLE => "Nobody to ask yet", "尚无可用的模型";
    NO_MODEL_HELP => "Choose a model folder, or train one", "请选择模型文件夹，或先进行训练";
    TO_MODEL => "Choose a model", "选择模型";
    NO_SUITES => "The engine offers no suites yet", "引擎尚未提供评估集";
    EMPTY_TITLE => "Is it any good?", "效果如何？";
    EMPTY_HELP => "Choose a suite and its data: the model is asked with and without what it learned",
        "选择评估集及其数据：将分别在微调前后进行评估";

    // The form.
    SUITE => "Suite", "评估集";
    DATA => "Data", "数据";
    FOLDER => "Folder…", "文件夹…";
    FILE => "File…", "文件…";
    NO_DATA => "Choose the suite's folder or file, or drop it here", "请选择评估集的文件夹或文件，或拖到此处";
    MODEL => "Who is asked", "评估对象";
    COMPARE => "Compare with untuned", "与未微调的模型比较";
    COMPARE_HELP => "The same items without the adapters, and the difference", "对相同题目在不加载适配器时再评估一次，并给出差值";
    SETTINGS => "Settings", "设置";
    LIMIT => "Items at most", "题目上限";
    LIMIT_HELP => "Of each subject; 0: all", "每个科目；0 表示全部";
    BATCH_TOKENS => "Tokens at once", "同时处理的词元";
    BATCH_TOKENS_HELP => "Padding included; 0: as many as serve", "包含填充；0 表示自动";
    START => "Evaluate", "开始评估";
    WAITS => "The evaluation waits for the run to end: stop the run, or let it finish", "评估将在训练结束后开始：请停止训练或等待其完成";
    WAITS_BEFORE => "A run is under way: an evaluation begins when it ends", "训练进行中：评估将在其结束后开始";
    STOP => "Stop", "停止";
    STOPPED => "Stopped; asked again, it goes on where it was", "已停止；再次开始将从中断处继续";
    FAILED => "The evaluation failed", "评估失败";

    // The table.
    NAME => "Subject", "科目";
    TOTAL => "All", "总计";
    ITEMS => "Items", "题数";
    BASE => "Base", "微调前";
    TUNED => "Tuned", "微调后";
    DIFFERENCE => "Difference", "差值";
    INTERVAL => "95 % interval", "95 % 置信区间";
    SO_FAR => "so far", "目前";
    BY_ORDER => "As listed", "按原顺序";
    BY_DIFFERENCE => "By difference", "按差值";
    BETTER => "better", "更好";
    WORSE => "worse", "更差";
    UNSURE => "within chance", "在误差范围内";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    NO_FIGURES => "No figures yet", "暂无结果";

    // Earlier ones.
    EARLIER => "Earlier evaluations", "历史评估";
    EARLIER_HELP => "Choose several to see them side by side", "选择多个以并排比较";
    NONE_EARLIER => "Evaluations are kept here", "评估结果将保留在此";
    REFRESH => "Read again", "重新读取";
    WHO => "Model", "模型";
    RESULT => "Result", "结果";
    WHEN => "When", "时间";
    SELECT => "Compare", "比较";
    SIDE_BY_SIDE => "Side by side", "并排比较";
    EXPORT => "Export the table…", "导出表格…";
    EXPORT_HELP => "CSV or Markdown, by the file's name", "按文件名决定 CSV 或 Markdown";
    BACK => "Back to the newest", "返回最新结果";
}
