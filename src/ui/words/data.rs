//! Words of the data panel.

use super::words;

words! {
    // Tools above the rows.
    SOURCE => "Source", "来源";
    COLUMNS => "Columns", "列映射";
    TEMPLATE => "Template", "模板";
    ROW_TEXT => "Row", "原始行";
    HIDE => "Hide", "收起";

    // Nothing here yet.
    NO_MODEL_TITLE => "No model yet", "尚未选择模型";
    NO_MODEL_HELP => "The model's tokenizer shows what it will learn from your data", "选择模型后，才能用其分词器查看数据";
    CHOOSE_MODEL => "Choose a model", "选择模型";
    NO_DATA_TITLE => "Add the examples to learn from", "添加要学习的样本";
    NO_DATA_HELP => "Drop files here, or add them: JSONL, JSON, CSV or plain text",
        "将文件拖到此处，或点击添加：JSONL、JSON、CSV 或纯文本";
    ADD_FILES => "Add files…", "添加文件…";
    TRY_STARTER => "Open the starter project", "打开入门项目";
    READING => "Reading the first rows…", "正在读取前几行…";
    NO_ROWS => "The files have no rows", "文件中没有任何行";

    // Files and format.
    FILES => "Training files", "训练文件";
    REMOVE => "Remove", "移除";
    WEIGHT => "Weight", "权重";
    WEIGHT_HELP => "How often its rows are seen in an epoch: 0.5 every second one, 2 each twice", "每轮中该文件的行出现的次数：0.5 表示每两行取一行，2 表示每行出现两次";
    VALIDATION => "Validation", "验证集";
    VALIDATION_HELP => "Rows the model never trains on, to see whether it learns more than these examples",
        "模型不参与训练的行，用于判断它是否学到了样本以外的能力";
    OF_THE_ROWS => "Part of the rows", "按比例划分";
    OWN_FILES => "Own files", "单独的文件";
    PART => "Part", "比例";
    FORMAT => "Format", "格式";
    DETECT => "Detect", "自动识别";
    LEARN => "Learn", "学习内容";
    RESPONSES => "Every answer", "所有回答";
    RESPONSES_HELP => "What the assistant says bears loss, in every turn", "每一轮助手的回答都计入损失";
    LAST_RESPONSE => "The last answer", "最后一个回答";
    LAST_RESPONSE_HELP => "Only the end of each conversation bears loss", "仅每段对话末尾的回答计入损失";
    EVERYTHING => "Everything", "全部文本";
    EVERYTHING_HELP => "Questions and the template's own text bear loss, too", "提问与模板文本也计入损失";
    MAX_LENGTH => "Longest row", "最大长度";
    MAX_LENGTH_HELP => "In tokens; longer rows take more memory", "以词元计；越长占用内存越多";
    TOKENS => "tokens", "词元";
    TOO_LONG_ROWS => "Longer rows", "超长的行";
    TRUNCATE => "Are cut", "截断";
    SPLIT => "Are split", "拆分";
    DROP => "Are left out", "丢弃";
    REFUSE => "Refuse the run", "拒绝训练";
    SOURCE_PREFIX => "Prefix", "前缀";
    SOURCE_PREFIX_HELP => "Stands in front of the first question of every row", "置于每行第一个问题之前";
    MAX_SOURCE => "Longest question", "问题最大长度";
    MAX_SOURCE_HELP => "In tokens, as ChatGLM's scripts cut it; 0: no limit of its own", "以词元计，与 ChatGLM 脚本的截断方式相同；0 表示不单独限制";
    MAX_TARGET => "Longest answer", "回答最大长度";
    MAX_TARGET_HELP => "In tokens, as ChatGLM's scripts cut it; 0: no limit of its own", "以词元计，与 ChatGLM 脚本的截断方式相同；0 表示不单独限制";
    JOIN_TEXTS => "Join texts into blocks", "将文本连接成块";
    JOIN_TEXTS_HELP => "Texts follow each other and are cut into blocks of the longest length, as for continued pre-training",
        "文本首尾相接后按最大长度切块，用于继续预训练";
    PACKING => "Pack short rows together", "将短行打包在一起";
    PACKING_HELP => "Several rows share a place in the batch, and do not see each other: less padding, faster",
        "多行共用批次中的一个位置，彼此不可见：填充更少，速度更快";
    ALLOW_UNLABELLED => "Leave out rows with nothing to learn", "略过没有可学习内容的行";
    SKIP_BAD_ROWS => "Leave out rows that cannot be read", "略过无法读取的行";

    // Column map.
    COLUMN_PRESETS => "Presets", "预设";
    BEST_GUESS => "Best guess", "自动匹配";
    CLEAR => "Clear", "清除";
    BY_DEFAULT => "By default", "默认";
    EXPRESSION => "Expression…", "表达式…";
    EXPRESSION_HELP => "Columns stand by name in {{ }}; those with other characters as {{ row[\"name\"] }}",
        "在 {{ }} 中按名称引用列；含特殊字符的列写作 {{ row[\"列名\"] }}";
    NO_FIELDS => "This format reads no columns", "该格式不读取列";
    NOT_IN_ROW => "not in this row", "该行没有此列";

    // Template.
    FROM_MODEL => "The model's own", "模型自带";
    OWN_TEXT => "Own text", "自定义";
    FROM_FILE => "From a file…", "来自文件…";
    EDIT_COPY => "Edit a copy", "编辑副本";
    RESET => "Reset", "重置";
    LINE_OK => "no errors", "无错误";
    TEMPLATE_TEXT => "Template text", "模板文本";
    NO_TAGS => "A template needs at least one {{ … }} or {% … %}", "模板至少需要一处 {{ … }} 或 {% … %}";
    OPEN_TEMPLATE => "Open the template", "打开模板";
    NO_TOKENS_YET => "The tokens come back when the template has no error", "模板无误后将显示词元";
    NO_TEMPLATE => "This format uses no template", "该格式不使用模板";
    RENDERING => "What the model reads", "模型读到的文本";
    NO_RENDERING => "These rows are tokens already", "这些行已是词元";

    // Rows.
    PREVIOUS => "Previous row", "上一行";
    NEXT => "Next row", "下一行";
    ROW_NUMBER => "Row number", "行号";
    SEARCH => "Search the rows", "搜索数据";
    CLEAR_SEARCH => "Clear the search", "清除搜索";
    SEARCH_ON => "Search further", "继续搜索";
    ALL_ROWS => "All", "全部";
    FIELDS => "The row in the file", "文件中的原始内容";
    NO_FIELDS_KNOWN => "Nothing is known of its columns", "没有列信息";

    // Filters, by kind of finding.
    TOO_LONG => "too long", "超长";
    LONG_SOURCE => "question cut", "问题被截断";
    LONG_TARGET => "answer cut", "回答被截断";
    ESCAPED => "plain <", "普通的 <";
    NO_LABELS => "nothing to learn", "无可学内容";
    EMPTY_ANSWER => "empty answer", "空回答";
    DUPLICATE => "duplicate", "重复";
    LEAK => "trained on and validated on", "训练与验证重复";
    NO_END => "no end token", "缺结束符";
    BAD_ROW => "unreadable", "无法读取";
    BAD_ID => "bad token id", "编号越界";
    FOUND => "found", "搜索结果";

    // Tokens.
    LEARNED => "learned", "计入损失";
    NO_LOSS => "no loss", "不计损失";
    SPECIAL => "special", "特殊词元";
    TEMPLATE_ROLE => "template", "模板";
    SYSTEM => "system", "系统";
    USER => "user", "用户";
    ASSISTANT => "assistant", "助手";
    TOOL => "tool", "工具";
    TEXT => "text", "文本";
    ID => "Id", "编号";
    PIECE => "In the vocabulary", "词表写法";
    BYTES => "Bytes", "字节";
    POSITION => "Position", "位置";
    ROLE => "Role", "角色";
    WHY_ANSWER => "part of an answer", "属于回答";
    WHY_ENDS => "ends an answer: the model learns to stop here", "回答的结束：模型学会在此停止";
    WHY_PLAIN => "plain text: all of it is learned", "纯文本：全部学习";
    WHY_EVERYTHING => "everything is learned", "设置为学习全部文本";
    WHY_TEMPLATE => "written by the template", "由模板写出";
    WHY_ASKED => "what is said to the model", "对模型说的话";
    WHY_EARLIER => "before the last answer", "位于最后一个回答之前";
    WHY_MASKED => "masked in the data", "数据中已屏蔽";

    // Lengths and findings.
    LENGTHS => "Lengths", "长度分布";
    LOG_COUNTS => "log", "对数";
    LOG_COUNTS_HELP => "Draw counts on a logarithmic scale", "以对数刻度显示行数";
    CONTEXT => "context", "上下文";
    VERDICT => "Verdict", "检查结果";
    NO_LENGTHS => "Lengths come with the verdict", "检查后显示长度分布";
    SHOW_ROWS => "Show the rows", "查看这些行";
    NOTHING_WRONG => "Nothing speaks against this data", "数据没有问题";
    CHECK_AGAIN => "Check again", "重新检查";
}
