//! Words of the analysis sheet, and of what the model finds hard.

use super::words;

words! {
    SHEET_ROWS => "Rows", "逐行";
    SHEET_ANALYSIS => "Analysis", "分析";

    // What is looked for.
    CHECKS => "Look for", "检查内容";
    ALWAYS => "Lengths, languages, openings and endings are always told", "长度、语言、开头与结尾始终给出";
    NEAR => "Near-duplicates", "近似重复";
    SIMILARITY => "Similarity from", "相似度下限";
    SIMILARITY_HELP => "Jaccard similarity of word shingles; 1: the same words in the same order", "词片段的 Jaccard 相似度；1 表示词序完全相同";
    LEAKS => "Leaks into validation", "泄漏到验证集";
    LEAKS_HELP => "Training rows that stand in the validation files, too", "同时出现在验证文件中的训练行";
    CONTAMINATION => "Evaluation sets", "评估集污染";
    CONTAMINATION_HELP => "Training rows that stand in a set one evaluates with make its score worthless", "训练行若出现在评估集中，评分便失去意义";
    ADD_SETS => "Add sets…", "添加评估集…";
    REMOVE => "Remove", "移除";
    IFD => "Instruction-following difficulty", "指令遵循难度（IFD）";
    IFD_HELP => "Loss of the answer behind its instruction ÷ loss of the answer alone, by the model itself", "回答在有指令时的损失 ÷ 单独回答的损失，由模型自身计算";
    IFD_PROMPT => "Prompt", "提示格式";
    IFD_PROMPT_HELP => "The text that the instruction is put in when it is scored: those of the paper's code, or the run's own template", "评分时指令所放入的文本格式：论文代码的两种，或本次训练的模板";
    IFD_TEMPLATE => "Template", "训练模板";
    DIVERSE => "Diverse subset", "多样化子集";
    DIVERSE_HELP => "k-center greedy on the model's embeddings", "基于模型嵌入的 k-center 贪心选择";
    DIVERSE_ROWS => "Rows", "行数";
    ASKS_MODEL => "The model is loaded and asked", "需要加载模型";
    START => "Analyse", "开始分析";
    STOP => "Stop", "停止";
    STOPPED => "The analysis was stopped", "分析已停止";
    STALE => "The data has changed since: analyse again", "数据已更改：请重新分析";
    WAITS => "The analysis waits for the run to end: stop the run, or let it finish", "分析将在训练结束后开始：请停止训练或等待其完成";
    EMPTY_TITLE => "Know what you train on", "了解训练数据";
    EMPTY_HELP => "Duplicates, leaks, languages, and what the model finds hard: row by row", "重复、泄漏、语言，以及模型觉得难的内容，逐行呈现";

    // What was found.
    LENGTHS => "Lengths by role", "各角色长度";
    TOKENS => "tokens", "词元";
    LONGEST => "longest", "最长";
    LANGUAGES => "Languages", "语言";
    UNKNOWN_LANGUAGE => "cannot be told", "无法判断";
    OPENINGS => "Answers begin with", "回答的开头";
    ENDINGS => "Answers end with", "回答的结尾";
    NOTHING_FOUND => "None found", "未发现";
    SHOW_ROWS => "Show these rows", "查看这些行";
    ROW => "row", "行";
    IFD_ABOVE => "above 1: the instruction does not help", "大于 1：指令没有帮助";
    IFD_UNSCORED => "without a score: too long, no answer, or several turns", "无评分：过长、无回答或多轮";
    SHOW_DIVERSE => "Show the subset", "查看子集";

    // The filtered file.
    FILTER => "Filtered file", "过滤后的文件";
    DROP_NEAR => "Near-duplicates but the first", "近似重复（保留第一个）";
    DROP_LEAKS => "Rows that leak", "泄漏的行";
    DROP_CONTAMINATED => "Contaminated rows", "被污染的行";
    KEEP_LANGUAGES => "Keep languages", "保留语言";
    KEEP_ALL => "all", "全部";
    KEEP_IFD => "Keep the hardest", "保留最难的";
    KEEP_IFD_HELP => "Of the rows with an IFD up to 1, this share with the highest", "在 IFD 不超过 1 的行中，保留最高的这一比例";
    KEEP_DIVERSE => "Keep only the diverse subset", "仅保留多样化子集";
    WRITE => "Write the filtered file…", "写出过滤后的文件…";
    WRITE_HELP => "A file beside it says of every row that was left out why", "旁边的文件会说明每一行被去除的原因";
    WRITTEN => "Written", "已写入";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    TRAIN_ON_IT => "Train on it", "用它训练";

    // What the model finds hard.
    HEAT => "How hard each token is", "各词元的难度";
    HEAT_OFF => "Back to roles", "返回角色颜色";
    HEAT_LEGEND => "loss in nats", "损失（nats）";
    HEAT_MEAN => "mean", "平均";
    HEAT_ASKING => "Asking the model…", "正在询问模型…";
    HEAT_WAITS => "The model answers when the run ends", "训练结束后模型才会回答";
    HEAT_OTHER => "The model counts other tokens in this row", "模型对该行的分词不同";
    LOSS => "Loss", "损失";
    SAID => "It would have said", "模型本会输出";
}
