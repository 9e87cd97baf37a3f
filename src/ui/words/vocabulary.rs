//! Words of the card "New tokens".

use super::words;

words! {
    NEW_TOKENS => "New tokens", "新词元";
    OFF =>
        "The tokenizer stays as it is. Words it splits into many pieces can become tokens of their own",
        "分词器保持不变。被切得很碎的词可以成为新的词元";
    ADD => "Add new tokens", "添加新词元";
    NONE => "Leave the tokenizer as it is", "保持分词器不变";
    TOKENS => "Tokens, one a line", "词元，每行一个";
    TOKENS_HINT => "typed or pasted", "输入或粘贴";
    FILE => "From a list", "词表文件";
    FILE_HELP => "A text file with a token a line", "每行一个词元的文本文件";
    CHOOSE_FILE => "Choose a list…", "选择词表…";
    TEXTS => "Learned from texts", "从文本学习";
    TEXTS_HELP =>
        "The pieces that the tokenizer should have had for these texts are found (BPE)",
        "从这些文本中找出分词器本应具有的词元（BPE）";
    ADD_FILES => "Add texts…", "添加文本…";
    USE_TRAINING => "Learn from the training files", "从训练文件学习";
    REMOVE => "Remove", "移除";
    SIZE => "Tokens at most", "词元上限";
    SIZE_HELP => "How many are learned from the texts, at most", "从文本中最多学习多少个";
    COVERAGE => "Coverage", "字符覆盖率";
    COVERAGE_HELP =>
        "Share of the texts' characters that tokens are made of: the rarest are left out",
        "组成词元的字符所占比例，最罕见的字符不计入";
    EXTENDED => "Extended already", "已扩充的分词器";
    EXTENDED_HELP =>
        "A folder of the command vocabulary, a run's tokenizer folder, or an adapter",
        "vocabulary 命令的输出、某次训练的 tokenizer 文件夹，或适配器";
    CHOOSE_FOLDER => "Choose a folder…", "选择文件夹…";
    BEGIN => "Rows begin as", "初始值";
    BEGIN_HELP =>
        "What the model knows of a new token at first: the mean of the pieces it was split into, or of all tokens",
        "新词元的初始含义：其原有各片段的平均，或全部词元的平均";
    BEGIN_PIECES => "their pieces", "片段平均";
    BEGIN_MEAN => "mean of all", "全部平均";
    LEARN => "Rows that learn", "训练哪些行";
    LEARN_HELP =>
        "Rows of embedding and head, besides what the method trains. Full fine-tuning trains all",
        "除方法所训练的部分外，词嵌入与输出头中参与训练的行。全量微调训练全部";
    LEARN_NEW => "new", "仅新增";
    LEARN_ALL => "all", "全部";
    LEARN_NONE => "none", "不训练";
    PAD => "Fill up to a multiple", "补齐到倍数";
    PAD_HELP =>
        "Rows without a token fill the embedding up to a multiple of this; 0: none",
        "用无词元的行把词嵌入补齐到该数的倍数，0 为不补";
    MEASURING => "Measuring on your rows…", "正在您的数据上测量…";
    NO_DATA => "Add training data to see how much shorter it becomes", "添加训练数据后可查看长度变化";
}
