//! Words of the export panel.

use super::words;

words! {
    SOURCE => "What", "导出内容";
    NOBODY => "Choose a run's result", "选择训练结果";
    FROM_CHAT => "As in Chat", "与对话相同";
    TOGETHER =>
        "Merged into one model: what each learned, times its weight",
        "合并为一个模型：各自所学内容乘以其权重";
    ON_BASE => "on", "基于";
    AS => "As", "导出为";
    STORED => "Stored as", "存储精度";
    DTYPE_KEEP => "As the model", "与原模型一致";
    DTYPE_HELP => "Numbers in the files: half the bits, half the size, a little rounding",
        "文件中的数值精度：位数减半，体积减半，有少量舍入";
    MERGE_ORIGINAL => "Original weights", "原始权重";
    MERGE_DEQUANTISED => "Dequantised weights", "反量化权重";
    SHARD => "Largest file", "单文件上限";
    SHARD_HELP => "Larger models are split into files of this size at most", "更大的模型会被拆分为不超过该大小的文件";
    WHERE => "Where", "保存位置";
    FOLDER => "In", "所在文件夹";
    CHOOSE => "Choose…", "选择…";
    NAME => "Name", "名称";
    VERIFY => "Check the result", "校验导出结果";
    VERIFY_HELP => "Loads what was written and compares it with the model you tested, on up to 8 rows of the run's data",
        "重新加载导出的文件，并用训练数据中最多 8 行与您测试的模型进行比较";
    SIZE => "Size", "大小";
    FREE => "free on the disk", "磁盘可用";
    MEASURING => "Measuring…", "正在计算…";
    UNKNOWN => "unknown", "未知";
    NO_ROOM => "The disk has no room for this: choose another folder, or a smaller number format",
        "磁盘空间不足：请更换文件夹，或选择更小的存储精度";
    EXPORT => "Export", "开始导出";
    STOP => "Stop the export", "停止导出";
    STOPPED => "The export was stopped; nothing was written", "导出已停止；未写入任何文件";
    WAITS => "The export waits for the run to end: stop the run, or let it finish", "导出将在训练结束后开始：请停止训练或等待其完成";
    WAITS_BEFORE => "A run is under way: an export begins when it ends", "训练进行中：导出将在其结束后开始";
    DONE => "Exported", "导出完成";
    WRITTEN => "Written, but not as tested", "已写入，但与测试的模型不一致";
    SAME => "The exported model gives the same answers as the one you tested", "导出的模型与您测试的模型回答一致";
    NEARLY_SAME => "The exported model is the one you tested, up to rounding", "导出的模型与您测试的模型一致（仅有舍入误差）";
    DIFFERENT => "The exported model is not the one you tested: do not use it", "导出的模型与您测试的模型不一致：请勿使用";
    DIFFERENT_MEND => "Export again with 32-bit numbers; if that differs too, report it",
        "请改用 32 位精度重新导出；若仍不一致请反馈";
    UNCHECKED => "Not checked: the result was not compared with the model you tested", "未校验：未与您测试的模型进行比较";
    FILES => "Files", "文件";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    COPY_PATH => "Copy the path", "复制路径";
    LOAD_IT => "How to load it in Python", "如何在 Python 中加载";
    RUN_IT => "How to run it with Ollama or llama.cpp", "如何用 Ollama 或 llama.cpp 运行";
    COPY_CODE => "Copy the code", "复制代码";
    AGAIN => "Export something else", "导出其他内容";
    FAILED => "The export failed; nothing was written", "导出失败；未写入任何文件";
    EMPTY_TITLE => "Nothing to export yet", "暂无可导出的内容";
    EMPTY_HELP => "When a run ends, its result can be written here as a model that other programs load",
        "训练结束后，可在此将结果导出为其他程序可加载的模型";
    EMPTY_LIVE => "A run is under way: its result can be exported when it ends", "训练进行中：结束后即可导出其结果";
    TO_TRAIN => "Go to training", "前往训练";
    NO_TARGETS => "The engine offers no targets yet", "引擎尚未提供导出目标";
}
