//! Words of the chat panel.

use super::words;

words! {
    BOTH => "Side by side", "并排对照";
    BASE => "Base", "原始模型";
    TUNED => "Tuned", "微调后";
    SETTINGS => "Settings of the answer", "回答设置";
    CLEAR => "Clear the conversation", "清空对话";
    FORMATTED => "Formatted", "渲染格式";
    DIFFERENCES => "Differences", "标出差异";
    NOBODY => "Choose who speaks", "选择对话模型";
    NOBODY_HELP => "When a run ends, its result speaks here", "训练结束后，其结果会在此回答";
    LIVE => "The model as it trains", "训练中的模型";
    LIVE_HELP => "While a run trains, its model answers between two steps; pause it to talk to others",
        "训练期间由训练中的模型在两步之间回答；暂停训练后可与其他模型对话";
    PAUSED_HELP => "The run is paused: its newest checkpoint answers", "训练已暂停：由最新的检查点回答";
    STARTING_HELP => "The run is starting: answers come with its first step", "训练正在启动：第一步之后才会回答";
    CHOOSE_FOLDER => "Choose an adapter folder…", "选择适配器文件夹…";
    JOIN => "Add an adapter", "添加适配器";
    JOIN_HELP => "It acts together with those that are chosen", "与已选的适配器同时起作用";
    WEIGHT_HELP =>
        "What it learned is multiplied by this; a negative number takes it away",
        "所学内容乘以此数，负数表示减去";
    MERGED => "Merged", "合并";
    MERGED_HELP =>
        "Works them into the loaded matrices, for faster answers; switched off, the matrices are put back exactly",
        "将其并入已加载的矩阵，回答更快；关闭后矩阵完全恢复原样";
    NO_RUNS => "No run has a result yet", "尚无训练结果";
    SEND => "Send", "发送";
    STOP => "Stop", "停止";
    MESSAGE => "Message", "消息";
    MESSAGE_HINT => "Ask something: Enter sends, Shift + Enter begins a new line", "输入内容：Enter 发送，Shift + Enter 换行";
    MESSAGE_SHORT => "Ask something", "输入内容";
    EDIT => "Edit this message", "编辑此消息";
    ASK_AGAIN => "Ask again", "重新提问";
    CANCEL => "Cancel", "取消";
    REGENERATE => "Answer again", "重新回答";
    REGENERATE_BOTH => "Answer both again", "全部重新回答";
    COPY => "Copy the answer", "复制回答";
    RAW => "Raw prompt", "原始提示";
    RAW_HELP => "What the model is given, to the letter", "模型实际收到的内容";
    RAW_TEXT => "Text", "文本";
    RAW_TOKENS => "Tokens", "词元";
    COPY_ALL => "Copy", "复制";
    READING => "Rendering…", "正在渲染…";
    WAITING => "Waiting…", "等待中…";
    WRITING => "Writing…", "正在回答…";
    STOPPED => "Broken off: the engine ended", "已中断：引擎退出";
    EMPTY_ANSWER => "An empty answer", "空回答";
    NOT_ASKED => "Not asked", "未提问";
    FINISH_END => "ended by itself", "自然结束";
    FINISH_STOP_TEXT => "met a stop text", "遇到停止文本";
    FINISH_LENGTH => "reached the longest answer", "达到最大长度";
    FINISH_STOPPED => "stopped", "已停止";
    PLAIN => "The model has no chat template: your words are continued as plain text",
        "该模型没有对话模板：将直接续写您输入的文本";
    TWO_MODELS => "The tuned model is a whole model of its own: the two are loaded in turn",
        "微调后的模型是独立的完整模型：两个模型将轮流加载";
    EMPTY_TITLE => "Ask both, see what changed", "同时提问，看看有何不同";
    EMPTY_HELP => "The same words and the same seed go to the model before and after training",
        "相同的内容和随机种子会同时发给训练前后的模型";
    EMPTY_ONE_HELP => "Train a model, and its result answers beside the base", "训练完成后，结果会在原始模型旁一同回答";
    NO_MODEL_TITLE => "No model to talk to", "没有可对话的模型";
    NO_MODEL_HELP => "Choose a model folder first", "请先选择模型文件夹";
    TO_MODEL => "Choose a model…", "选择模型…";
    SUGGEST_1 => "Who are you?", "你是谁？";
    SUGGEST_2 => "Tell me a short story", "讲一个简短的故事";
    SUGGEST_3 => "What can you help me with?", "你能帮我做什么？";
    SYSTEM => "System prompt", "系统提示词";
    SYSTEM_HINT => "What the model is told before the conversation", "对话开始前给模型的说明";
    GREEDY => "Greedy: always the likeliest token", "贪心：总选概率最高的词元";
    TEMPERATURE => "Temperature", "温度";
    TEMPERATURE_HELP => "Higher is more varied", "越高越多样";
    TOP_P => "Top-p", "Top-p";
    TOP_P_HELP => "Only the likeliest tokens that together have this probability", "只从累计概率达到该值的词元中选取";
    TOP_K => "Top-k", "Top-k";
    TOP_K_HELP => "Only this many of the likeliest tokens; 0 is off", "只从概率最高的若干词元中选取；0 为关闭";
    PENALTY => "Repetition penalty", "重复惩罚";
    PENALTY_HELP => "Above 1, tokens that were used become less likely", "大于 1 时，已出现的词元概率降低";
    MAX_TOKENS => "Longest answer", "最大长度";
    MAX_TOKENS_HELP => "In tokens", "以词元计";
    SEED => "Seed", "随机种子";
    SEED_HELP => "The same for both models: differences come from the training", "两个模型相同：差异来自训练";
    DICE => "Another seed", "换一个种子";
    TUNED_FIRST => "The tuned model answers first", "微调后的模型先回答";
}
