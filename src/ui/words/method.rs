//! Words of the Method panel and of forms.

use super::words;

words! {
    TAB_METHOD => "Method and targets", "方法与目标";
    TAB_TRAINING => "Optimizer and schedule", "优化器与调度";
    TO_DEFAULT => "Back to the default", "恢复默认值";
    REMOVE => "Remove", "移除";
    ADD => "Add", "添加";
    ADD_PATTERN => "Add a pattern", "添加模式";
    SETTINGS => "Settings", "设置";
    UNKNOWN_METHOD =>
        "This engine has no method by that name: choose one above",
        "当前引擎没有这个方法，请在上方选择";
    UNKNOWN_SETTINGS => "Settings this method does not have", "该方法没有的设置";
    ALL_TRAINED =>
        "This method has no targets to choose: it trains what its description says",
        "该方法无需选择目标模块，训练范围见方法说明";
    NO_MODEL => "Choose a model to see its modules", "选择模型后即可查看模块";
    GO_MODEL => "Choose a model", "选择模型";
    INIT_FROM => "Start from adapter", "起始适配器";
    INIT_FROM_HELP => "An adapter folder whose weights training starts from", "训练以该适配器文件夹的权重为起点";
    INIT_FROM_HINT => "folder", "文件夹";
    CHOOSE_ADAPTER => "Choose an adapter folder…", "选择适配器文件夹…";
    LIST_COMMA => ", ", "、";
    SCALE_PLAIN => "alpha / rank", "alpha / 秩";
    SCALE_ROOT => "alpha / √rank", "alpha / √秩";
    SCALE => "What is learned is scaled by this", "学到的变化按此系数缩放";
    TRAINABLE => "Trainable", "可训练";
    ON_DISK => "On disk", "磁盘占用";
    MEMORY => "Memory", "内存";
    LAST_CHANGE => "What the last change of settings did", "最近一次修改带来的变化";
    UPDATING => "updating…", "更新中…";
    ROLES => "Roles", "角色";
    GLOB => "Add modules by name or glob", "按名称或通配符添加模块";
    GLOB_HINT => "name or glob: *.mlp.*", "名称或通配符：*.mlp.*";
    TRAINED => "Trained", "可训练";
    TRAIN_THIS => "Train", "训练";
    MIXED => "These matrices differ; a number entered here holds for all", "各矩阵取值不同；在此输入会统一设置";
    PRESET_AUTO => "Auto", "自动";
    PRESET_AUTO_HELP => "What is usual for this family of models", "该模型家族的常用选择";
    PRESET_ATTENTION => "Attention", "仅注意力";
    PRESET_ATTENTION_HELP => "Query, key, value and output projections", "查询、键、值和输出投影";
    PRESET_MLP => "MLP", "仅 MLP";
    PRESET_MLP_HELP => "Gate, up and down projections", "门控、上投影和下投影";
    PRESET_ALL => "All linear", "全部线性层";
    PRESET_ALL_HELP => "Every matrix of the layers; learns the most", "层内全部矩阵，学得最多";
    RECIPE => "Recipe", "配方";
    RECIPE_HELP =>
        "Method and training settings together; model and data stay",
        "同时设置方法与训练参数，模型和数据保持不变";
    NO_RECIPES => "No recipes come with this engine", "当前引擎没有自带配方";
    SAVE_RECIPE => "Save as recipe…", "保存为配方…";
    COPY_RUN => "Copy run file", "复制运行文件";
    COPIED => "The run file is on the clipboard", "运行文件已复制到剪贴板";
    NOT_COPIED => "These settings cannot be written as a run file", "这些设置无法写成运行文件";
    EXPERT => "All settings", "全部设置";
    HIDDEN => "Set otherwise than usual:", "与默认不同的设置：";
    LENGTH => "How long", "训练多久";
    EPOCHS => "Epochs", "轮数";
    EPOCHS_HELP => "Times every row is seen", "每行数据被学习的次数";
    MAX_STEPS => "At most steps", "最多步数";
    MAX_STEPS_HELP => "0: by epochs", "0：按轮数";
    BATCH_SIZE => "Batch size", "批大小";
    BATCH_SIZE_HELP => "Rows computed at once; more need more memory", "同时计算的行数，越大越占内存";
    ACCUMULATION => "Accumulation", "梯度累积";
    ACCUMULATION_HELP => "Batches that make one step", "多少个批次合成一步";
    ROWS_A_STEP => "rows a step", "行/步";
    RATE => "Learning rate", "学习率";
    RATE_HELP => "How far a step goes; the most important number", "每步更新的幅度，最重要的参数";
    RATE_SLIDER => "Learning rate, coarse", "学习率粗调";
    SCHEDULER => "Schedule", "学习率调度";
    WARMUP_STEPS => "Warm-up steps", "预热步数";
    WARMUP_STEPS_HELP => "0: by the ratio below", "0：按下面的比例";
    WARMUP_RATIO => "Warm-up ratio", "预热比例";
    WARMUP_RATIO_HELP => "Share of all steps in which the rate rises", "学习率上升阶段占总步数的比例";
    CURVE => "Learning rate over the run", "学习率曲线";
    CURVE_UNKNOWN => "The curve appears once the data has been read", "读取数据后显示曲线";
    STEP => "step", "步";
    OPTIMIZER_SECTION => "Optimizer", "优化器";
    OPTIMIZER => "Optimizer", "优化器";
    BETA1 => "Beta 1", "Beta 1";
    BETA2 => "Beta 2", "Beta 2";
    BETA_HELP => "Memory of the running averages", "滑动平均的衰减系数";
    EPS => "Epsilon", "Epsilon";
    EPS_HELP => "Added to the root of the second moment", "加在二阶矩平方根上";
    WEIGHT_DECAY => "Weight decay", "权重衰减";
    WEIGHT_DECAY_HELP => "Pull of the trained weights towards zero", "使训练权重趋近零的力度";
    CLIP => "Gradient clipping", "梯度裁剪";
    CLIP_HELP => "Longest gradient; 0: no clipping", "梯度范数上限，0 为不裁剪";
    LOSS_SCALE => "Loss scale", "损失缩放";
    LOSS_SCALE_HELP => "Keeps small gradients from vanishing in f16", "避免 f16 下小梯度消失";
    LOSS_SCALE_DYNAMIC => "dynamic", "动态";
    SEED => "Seed", "随机种子";
    SEED_HELP => "The same seed gives the same run", "相同种子得到相同的训练";
    SHUFFLE => "Shuffle the rows", "打乱数据顺序";
    GROUP_BY_LENGTH => "Batch rows of near length", "将长度相近的行组成批次";
    GROUP_BY_LENGTH_HELP => "Less padding, in an order that is a little less random", "填充更少，顺序的随机性略低";
    CHECKS => "Evaluation and checkpoints", "评估与检查点";
    EVAL_EVERY => "Evaluate every", "评估间隔";
    EVAL_EVERY_HELP => "In steps; 0: only at the end", "以步计，0 为仅在结束时";
    SAVE_EVERY => "Save every", "保存间隔";
    SAVE_EVERY_HELP => "In steps; 0: only at the end", "以步计，0 为仅在结束时";
    STEPS_UNIT => " steps", " 步";
    KEEP => "Checkpoints kept", "保留检查点";
    KEEP_HELP => "Older ones are deleted", "更早的会被删除";
    KEEP_BEST => "End with the best checkpoint", "以最佳检查点结束";
    KEEP_BEST_HELP => "The one with the lowest validation loss", "验证损失最低的检查点";
    PATIENCE => "Early stop after", "提前停止";
    PATIENCE_HELP => "Evaluations without improvement; 0: never", "连续多少次评估无改善，0 为从不";
    SKIPPED => "Skipped steps allowed", "允许跳过的步数";
    SKIPPED_HELP => "Steps in a row that may come out not finite", "允许连续出现非有限值的步数";
    DEVICES => "Devices", "设备";
    DEVICES_HELP =>
        "Choose two or more to share a run; with none, the engine's own device trains",
        "选择两个或更多设备共同训练；不选则使用引擎自己的设备";
    DEVICE_NEEDS => "needs", "需要";
    DEVICE_LAYERS => "layers", "层";
    SHARE_AUTO => "Auto", "自动";
    SHARE_ROWS => "Share rows", "分担数据";
    SHARE_LAYERS => "Spread layers", "分布各层";
    SHARE_AUTO_HELP =>
        "Each card trains its share where the model fits on one; otherwise layers are spread",
        "若模型能放入单个设备，则各设备各训练一部分数据；否则将各层分布到多个设备";
    SHARE_ROWS_HELP =>
        "Each card has the model and trains its share of every batch: faster, with the same result",
        "每个设备各有完整模型，各自训练每个批次的一部分：更快，结果相同";
    SHARE_LAYERS_HELP =>
        "The layers are spread over the cards, for a model that fits no single one; they compute one after the other",
        "各层分布在多个设备上，用于单个设备放不下的模型；各设备依次计算";
    BUDGET => "Memory budget", "内存预算";
    BUDGET_AUTO => "Auto", "自动";
    BUDGET_AUTO_HELP =>
        "Up to nine tenths of the memory that is free. Whatever saves memory is chosen by what it costs in time",
        "最多使用空闲内存的九成，并按时间代价从小到大选择节省内存的方式";
    BUDGET_SIZE => "At most", "最多";
    BUDGET_HELP =>
        "A size such as 6 GB or 900 MB. The run is laid out to stay below it, and slower where it must be",
        "如 6 GB 或 900 MB 的大小。训练会安排在此限度之内，必要时变慢";
    SAMPLES => "Sample prompts", "示例提示";
    SAMPLES_HELP =>
        "Answered at each evaluation, so that progress can be read",
        "每次评估时由模型回答，便于直观查看进展";
    SAMPLE => "Sample prompt", "示例提示";
    SAMPLE_HINT => "a question for the model", "给模型的一个问题";
    ADD_SAMPLE => "Add a prompt", "添加提示";
    SAMPLE_TOKENS => "Longest answer", "回答最长";
    SAMPLE_TOKENS_HELP => "In tokens", "以词元计";
    TOKENS_UNIT => " tokens", " 词元";
}
