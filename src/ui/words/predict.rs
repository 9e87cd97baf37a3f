//! Words of the predict panel.

use super::words;

words! {
    // Nothing here yet.
    NO_MODEL_TITLE => "Nobody to ask yet", "尚无可用的模型";
    NO_MODEL_HELP => "Choose a model folder, or train one", "请选择模型文件夹，或先进行训练";
    TO_MODEL => "Choose a model", "选择模型";
    NO_FILE_TITLE => "Answer every row of a file", "为文件的每一行生成回答";
    NO_FILE_HELP => "Drop a file here, or choose one: CSV, JSON, JSONL, Parquet or text", "将文件拖到此处，或点击选择：CSV、JSON、JSONL、Parquet 或文本";
    CHOOSE_FILE => "Choose a file…", "选择文件…";

    // The form.
    FILE => "File", "文件";
    CHANGE => "Change…", "更改…";
    MODEL => "Who answers", "由谁回答";
    PROMPT => "Prompt", "提示";
    AS_TRAINED => "As in training", "与训练相同";
    AS_TRAINED_HELP => "Rows become prompts as the run that made the adapter read them", "按照训练该适配器时的方式读取每一行";
    OWN => "Own", "自定义";
    OWN_HELP => "A prompt that differs from the one in training costs accuracy", "与训练时不同的提示会降低准确率";
    FORMAT => "Format", "格式";
    TEMPLATE => "Template", "模板";
    TEMPLATE_AUTO => "The model's own", "模型自带";
    ANSWER => "Answer", "回答";
    WRITTEN => "Written", "自由生成";
    ONE_OF => "One of several", "从选项中选";
    CHOICES => "Choices", "选项";
    CHOICES_HINT => "0, 1", "0, 1";
    CHOICES_HELP => "The one with the highest log-likelihood is the answer; separate them by commas", "对数似然最高的选项即为回答；以逗号分隔";
    LABEL => "Right answer", "正确答案";
    LABEL_HELP => "A column with the right answer: accuracy and a confusion matrix are told", "含有正确答案的列：将给出准确率与混淆矩阵";
    NO_LABEL => "not in the file", "文件中没有";
    OUTPUT => "Output", "输出";
    OUTPUT_HELP => "CSV, JSON or JSONL, by its name", "按文件名决定 CSV、JSON 或 JSONL";
    COLUMNS => "Columns", "列";
    COLUMN_NAME => "Name of column", "列名";
    COLUMN_VALUE => "Value of column", "列的内容";
    ADD_COLUMN => "Add a column", "添加列";
    ALL_COLUMNS => "All columns", "全部列";
    THE_ANSWER => "the answer", "回答";
    EXPRESSION => "Expression…", "表达式…";
    UP => "Up", "上移";
    DOWN => "Down", "下移";
    REMOVE => "Remove", "移除";
    MORE => "More settings", "更多设置";
    BATCH_TOKENS => "Tokens at once", "同时处理的词元";
    BATCH_TOKENS_HELP => "Padding included; 0: as many as serve", "包含填充；0 表示自动";
    START => "Start", "开始预测";
    GO_ON => "Go on", "继续";

    // The plan.
    PLAN => "What the model will see", "模型将看到的内容";
    PLANNING => "Reading the first rows…", "正在读取前几行…";
    NO_PLAN => "The first prompts are shown when a model answers", "选择模型后将显示前几条提示";
    NO_ROWS => "The file has no rows", "文件中没有任何行";

    // Work and outcome.
    WAITS => "The prediction waits for the run to end: stop the run, or let it finish", "预测将在训练结束后开始：请停止训练或等待其完成";
    WAITS_BEFORE => "A run is under way: a prediction begins when it ends", "训练进行中：预测将在其结束后开始";
    STOP => "Stop", "停止";
    FINISHED => "All rows are answered", "全部行已回答";
    FINISHED_BUT => "Done; some rows have no answer", "已完成；部分行没有回答";
    STOPPED => "Stopped before the last row", "在最后一行之前停止";
    FAILED => "The prediction failed; the rows in the file stay", "预测失败；已写入文件的行会保留";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    COPY_PATH => "Copy the path", "复制路径";
    ANOTHER => "Another prediction", "新的预测";

    // The table.
    EVERY_ROW => "All", "全部";
    WRONG => "Wrong", "错误";
    ERRORS => "No answer", "无回答";
    ROW => "Row", "行";
    EXPECTED => "Expected", "正确答案";
    RIGHT => "right", "正确";
    NOT_RIGHT => "wrong", "错误";
    NO_ANSWERS => "Answers appear here as they come", "回答将陆续显示在此";
    NONE_OF_THESE => "No such rows", "没有这样的行";
    FIRST_ROWS => "The first rows are shown; the file has all of them", "仅显示前面的行；文件中包含全部";
    PICK => "Choose a row to read its answer in full", "选择一行以查看完整回答";
    LIKELIHOODS => "Log-likelihood, in nats", "对数似然（nats）";
    CLOSE => "Close", "关闭";

    // Scores.
    SCORES => "Scores", "得分";
    SO_FAR => "so far", "目前";
    ACCURACY => "Accuracy", "准确率";
    MACRO => "Macro", "宏平均";
    MICRO => "Micro", "微平均";
    PRECISION => "Precision", "精确率";
    RECALL => "Recall", "召回率";
    F1 => "F1", "F1";
    CONFUSION => "Confusion matrix", "混淆矩阵";
    CONFUSION_HELP => "Rows: the right answer. Columns: what was answered", "行：正确答案；列：模型的回答";
    OTHER => "other", "其他";
    MANY_LABELS => "Too many labels to draw; the report has all of them", "标签过多，无法绘制；完整数据见报告";
}
