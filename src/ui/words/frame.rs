//! Words of the frame: navigation, bars, summary, questions.

use super::words;

words! {
    MEND => "How to mend it:", "解决办法：";
    THIS_RUN => "This run", "本次训练";
    VERDICT => "Data", "数据";
    FORECAST => "Memory forecast", "内存预测";
    START => "Start training", "开始训练";
    PAUSE => "Pause", "暂停";
    RESUME => "Resume", "继续";
    STOP => "Stop and keep", "停止并保存";
    STARTING => "Starting…", "正在启动…";
    STOPPING => "Stopping…", "正在停止…";
    PAUSING => "Pausing…", "正在暂停…";
    PAUSED => "Paused", "已暂停";
    IDLE => "Ready", "就绪";
    ENGINE_STARTS => "Starting the engine…", "正在启动引擎…";
    ENGINE_ENDED => "The engine has ended", "引擎已退出";
    CHECKING => "Reading the data…", "正在读取数据…";
    NO_MODEL => "Choose a model first", "请先选择模型";
    NO_DATA => "Add training data first", "请先添加训练数据";
    STEP => "step", "步";
    LOSS => "loss", "损失";
    LEFT => "left", "剩余";
    TOKENS_PER_S => "tokens/s", "词元/秒";
    FITS => "fits", "可容纳";
    DOES_NOT_FIT => "does not fit", "无法容纳";
    DOES_NOT_FIT_LONG => "The run does not fit into memory", "内存不足，无法训练";
    LOOK => "Look", "查看";
    CANCEL => "Cancel", "取消";
    CLOSE => "Close", "关闭";
    PALETTE_HINT => "Type what you want to do", "输入想要执行的操作";
    NOTHING_FOUND => "Nothing by that name", "没有匹配的操作";
    DROP_HERE => "Drop to open", "松开以打开";
    UNTITLED => "Untitled", "未命名";
    NOTICES => "Notices", "通知";
    NO_NOTICES => "No notices yet", "暂无通知";
    WEIGHTS => "weights", "权重";
    TRAINABLE => "trainable", "可训练参数";
    GRADIENTS => "gradients", "梯度";
    OPTIMIZER => "optimizer", "优化器";
    INPUTS => "block inputs", "模块输入";
    AT_WORK => "at work: block or head", "计算中的模块或输出层";
    ONE_BY_ONE => "what takes turns", "轮流占用的部分";
    ONE_BY_ONE_HELP =>
        "Graphs and head take turns in a step, the cache is there while the model is asked, and an evaluation takes the place of a step. The total holds the most that is there at one time",
        "计算图与输出层在一步中轮流占用，缓存仅在问答时存在，评估则代替训练步。合计取同一时刻的最大值";
    GRAPHS => "block graphs", "模块计算图";
    HEAD => "output head", "输出层";
    KV_CACHE => "key-value cache", "键值缓存";
    EVALUATION => "evaluation", "评估";
    STREAMED => "weights left in the files", "留在文件中的权重";
    MEASURED => "last run", "上次训练实测";
    SKIP => "Fold the summary", "折叠摘要";
    STARTER => "The starter project", "入门项目";
    UNFOLD => "Unfold the summary", "展开摘要";
}
