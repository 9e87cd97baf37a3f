//! Words of the Model panel and the module tree.

use super::words;

words! {
    CHOOSE => "Choose a folder…", "选择文件夹…";
    RECENT => "Recent", "最近使用";
    NO_RECENT => "No other models yet", "暂无其他模型";
    STARTER => "Open the starter project", "打开入门项目";
    EMPTY => "Open a Hugging Face folder", "打开一个 Hugging Face 模型文件夹";
    EMPTY_HELP =>
        "One with config.json, safetensors or .bin weights and a tokenizer. It can be dropped anywhere on the window",
        "其中应有 config.json、safetensors 或 .bin 权重以及分词器；也可以直接拖入窗口任意位置";
    WRITE => "Folder or name on a hub", "文件夹或平台上的名称";
    WRITE_HINT => "or write a folder, or hf:org/name", "或输入文件夹路径，或 hf:org/name";
    ELSEWHERE => "Named in the run file, and not on this machine yet", "运行文件中指定的模型，尚未下载到本机";
    SHOW_IT => "Show what it is", "查看详情";
    DROP => "or drop a folder anywhere on the window", "也可以把文件夹拖入窗口任意位置";
    READING => "Reading the model's files…", "正在读取模型文件…";
    FAMILY => "Family", "模型家族";
    CLASS => "Class", "模型类";
    VARIANT => "Variant", "型号";
    PARAMETERS => "Parameters", "参数量";
    FILE_SIZE => "Size on disk", "文件大小";
    DTYPES => "Stored as", "存储精度";
    CONTEXT => "Context length", "上下文长度";
    LAYERS => "Layers", "层数";
    HIDDEN => "Hidden size", "隐藏维度";
    VOCAB => "Vocabulary", "词表大小";
    TIED => "Output head", "输出头";
    TIED_YES => "shared with the embedding", "与词嵌入共用";
    TIED_NO => "a matrix of its own", "独立矩阵";
    TOKENIZER => "Tokenizer", "分词器";
    TEMPLATE => "Chat template", "对话模板";
    LICENCE => "Licence files", "许可证文件";
    NOT_FOUND => "not found", "未找到";
    FACTS => "What this model is", "模型信息";
    COMPUTE => "How it is loaded", "加载方式";
    DTYPE => "Compute in", "计算精度";
    DTYPE_HELP =>
        "auto: bf16 on a GPU that has it, f32 on the CPU. A processor with AMX or AVX-512 BF16 trains about twice as fast in bf16, in less memory",
        "auto：显卡支持时用 bf16，CPU 上用 f32。若处理器支持 AMX 或 AVX-512 BF16，用 bf16 训练约快一倍，也更省内存";
    DTYPE_UNKNOWN => "The engine does not know this number format", "引擎不认识这种数值格式";
    AUTO => "auto", "自动";
    QUANTIZATION => "Quantization", "量化";
    QUANTIZATION_HELP =>
        "Keeps the frozen matrices of the blocks in 4 or 8 bits (QLoRA): less memory, a little less precise; adapters only",
        "以 4 或 8 位保存冻结的块矩阵（QLoRA）：更省内存，精度略低；只能训练适配器";
    QUANTIZATION_NONE => "none", "不量化";
    QUANTIZATION_NONE_HELP => "Every number in full", "保持完整精度";
    NF4 => "NF4", "NF4";
    NF4_HELP => "4 bits a number, with a scale for every 64", "每个数 4 位，每 64 个数一个缩放系数";
    NF4_DOUBLE => "NF4 ×2", "NF4 ×2";
    NF4_DOUBLE_HELP => "The same with scales of 8 bits: a little smaller still", "同上，缩放系数再量化为 8 位，略小一些";
    INT8 => "int8", "int8";
    INT8_HELP => "8 bits a number: twice the size of NF4, and closer to the model", "每个数 8 位：体积是 NF4 的两倍，更接近原模型";
    QUANTIZATION_UNKNOWN => "The engine does not know this quantization", "引擎不认识这种量化方式";
    SCRATCH => "Start from random weights", "从随机权重开始";
    SCRATCH_HELP =>
        "Only config.json and the tokenizer are read; the model is trained from nothing",
        "只读取 config.json 和分词器，从零开始训练";
    OVERRIDES => "Replace keys of config.json", "替换 config.json 的键";
    OVERRIDES_HELP =>
        "As a TOML table or JSON, such as rope_theta = 1000000",
        "TOML 表或 JSON，例如 rope_theta = 1000000";
    OVERRIDES_BAD => "Neither TOML nor JSON: not taken over yet", "既不是 TOML 也不是 JSON，尚未生效";
    TREE => "Module tree", "模块树";
    SEARCH => "Search modules", "搜索模块";
    SEARCH_HINT => "path or role", "路径或角色";
    CLEAR_SEARCH => "Clear the search", "清除搜索";
    NO_MATCH => "No matrix by that name", "没有匹配的矩阵";
    EACH_LAYER => "each layer", "逐层";
    FOLD => "Fold", "折叠";
    UNFOLD => "Unfold", "展开";
    SHAPE => "Shape", "形状";
    ROLE => "Role", "角色";
    PARAMS => "Parameters", "参数量";
    REVEAL => "Show in the file manager", "在文件管理器中显示";
}
