//! Help in Chinese. The English words stand with the flags; a test sees to it that none lacks its translation.

use clap::{Arg, Command};
use protocol::Language;

/// The command with its help in the user's language.
pub fn localised(command: Command, language: Language) -> Command {
    match language {
        Language::English => command,
        Language::Chinese => chinese(command),
    }
}

fn chinese(command: Command) -> Command {
    let about = command.get_name().to_owned();
    let command = match about_in_chinese(&about) {
        Some(words) => command.about(words),
        None => command,
    };
    command.mut_args(argument).mut_subcommands(chinese)
}

fn argument(arg: Arg) -> Arg {
    match flag_in_chinese(arg.get_id().as_str()) {
        Some(words) => arg.help(words),
        None => arg,
    }
}

fn about_in_chinese(name: &str) -> Option<&'static str> {
    lookup(&ABOUT, name)
}

fn flag_in_chinese(id: &str) -> Option<&'static str> {
    lookup(&FLAGS, id)
}

fn lookup(table: &[(&str, &'static str)], wanted: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == wanted).map(|(_, words)| *words)
}

const ABOUT: [(&str, &str); 26] = [
    ("emberwright", "在自己的工作站上微调语言模型"),
    ("inspect", "查看模型文件夹：模型家族、参数量、线性层、缺失或异常之处"),
    ("preview", "逐词元查看模型将看到的数据"),
    ("check", "检查整个数据集并预估内存；不进行训练"),
    ("analyze", "查看数据集的内容：语言、近似重复、泄漏等，并写出值得保留的行"),
    ("train", "训练，并打印运行文件夹"),
    ("compare", "用多种方法训练同一任务，列出各自的效果与代价"),
    ("score", "写出文件中每个词元的对数概率"),
    ("generate", "续写提示词"),
    ("chat", "与模型对话，可随时切换适配器"),
    ("predict", "为文件的每一行给出回答"),
    ("eval", "用一组题目评测模型，或查看以往的结果"),
    ("export", "写出其他程序可加载的文件夹"),
    ("handoff", "为其他机器准备训练：数据、适配器、脚本与设置放入一个文件夹"),
    ("import", "取回在其他机器上完成的训练"),
    ("convert", "将数据集写成另一种格式（JSON 行）"),
    ("vocabulary", "为分词器扩充词元，并说明收益"),
    ("hub", "模型平台上的模型与数据集：搜索、查看、下载、发布"),
    ("search", "按关键词查找模型或数据集"),
    ("info", "查看仓库内容：文件、大小、许可证，以及是否支持其模型家族"),
    ("download", "将仓库下载到平台的缓存中，并打印文件夹"),
    ("push", "发布文件夹：先列出将要发送的内容并询问"),
    ("login", "将令牌保存到系统密钥环"),
    ("logout", "删除令牌"),
    ("bench", "测量训练速度与内存"),
    ("engine", "为图形窗口提供服务；由窗口启动"),
];

const FLAGS: [(&str, &str); 116] = [
    ("json", "在标准输出以 JSON 行打印引擎事件；日志输出到标准错误"),
    ("device", "计算设备：auto、cpu、cuda:N；cuda:0,cuda:1 共同训练"),
    ("lang", "消息语言（默认由 LANG 决定）"),
    ("model", "Hugging Face 格式的模型文件夹，或 hf:org/name@版本"),
    ("adapter", "PEFT 格式的适配器文件夹；可多次指定"),
    ("weights", "各适配器同时起作用时的权重；负数表示减去该任务"),
    ("merged", "将适配器并入已加载的矩阵：回答更快，不写任何文件"),
    ("arms", "对比文件：一个运行文件及各项对它的修改"),
    ("dtype", "计算或写出所用的数值类型"),
    ("overrides", "替换 config.json 中的键；值为 JSON，否则按文本处理"),
    ("run", "运行文件；- 表示标准输入"),
    ("rows", "显示的行数；导出时为用于比对的数据文件"),
    ("skip", "先跳过的行数"),
    ("out", "输出文件夹；训练时即运行文件夹本身"),
    ("resume", "从此运行文件夹中最新的完好检查点继续"),
    ("input", "JSON 行：{\"ids\": […]} 或 {\"prompt\": …, \"completion\": …}"),
    ("output", "按相同顺序写出每行的 ids、logprobs、argmax 与 sum"),
    ("prompt", "要续写的文本，原样使用"),
    ("ids", "要续写的词元编号"),
    ("chat", "将提示词作为提问，套用模型的对话模板"),
    ("system", "对话开头的系统消息"),
    ("table", "要回答的数据：csv、json、jsonl、txt 或 parquet，可为压缩文件"),
    ("answers", "回答写入的文件：按文件名为 csv、json 或 jsonl"),
    (
        "question",
        "每行的提示词，如 \"{{title}} {{abstract}}\"；或以 字段=模板 指定格式的字段；可多次指定（默认与训练时相同）",
    ),
    ("read_as", "各行的数据格式（默认与训练时相同，否则按内容判断）"),
    ("template", "对话模板：预设名称或文件（默认与训练时相同）"),
    ("written", "输出的列及其顺序：列名、列名=输入列、列名=answer 或 列名={{ 表达式 }}"),
    ("choices", "从这些文本中选择概率最高者作为回答"),
    ("label", "正确答案所在的列：给出准确率、精确率、召回率与 F1"),
    ("batch_tokens", "一次通过模型的词元数；0 表示自动"),
    ("go_on", "在输出文件已有的行之后继续"),
    ("max_new_tokens", "回答的最大长度，以词元计"),
    ("temperature", "0 表示总取概率最高的词元（predict 默认如此）；越高越大胆，其他命令默认为 0.7"),
    ("top_p", "从概率之和达到 P 的最小词元集合中抽取"),
    ("top_k", "从概率最高的 K 个词元中抽取；0 表示关闭"),
    ("repetition_penalty", "降低已出现词元的概率；1 表示关闭"),
    ("seed", "相同的种子得到相同的回答"),
    ("stop", "遇到此文本即结束回答；可多次指定"),
    ("ignore_eos", "遇到结束词元后继续"),
    ("suite", "评测：perplexity、mmlu、ceval、cmmlu、truthfulqa、blimp、gsm8k、accuracy、bleu、rouge 或 sql"),
    ("data", "题目：按该评测发布时的目录结构，或自己的数据集"),
    ("compare", "同时评测不带适配器的模型，并给出差值"),
    ("shots", "在问题前给出的示例数；同 --set shots=N"),
    ("limit", "每个科目最多的题数；0 表示全部"),
    ("set", "该评测的设置；值为 JSON，否则按文本处理；可多次指定"),
    ("list", "列出此文件夹中以往的评测（默认为训练记录所在处）"),
    ("shown_table", "同时将所示内容写成表格：.csv 或 .md"),
    ("to", "导出目标：merged（完整模型）、adapter、gguf、opendelta 或 chatglm"),
    ("verify", "重新加载写出的内容，并与当前模型比对"),
    (
        "merge_into",
        "量化模型的适配器并入何处：original（原始权重，更精确）或 dequantised（训练时所用的权重）",
    ),
    ("quantization", "模型矩阵的保存方式：none、nf4、nf4-double 或 int8"),
    ("shard_size", "单个文件的最大大小"),
    ("shape", "采用已发布模型形状的虚构模型"),
    ("hidden_size", "替换形状中的隐藏维度"),
    ("intermediate_size", "替换形状中的 MLP 维度"),
    ("layers", "替换形状中的层数"),
    ("heads", "替换形状中的注意力头数"),
    ("kv_heads", "替换形状中的键值头数"),
    ("vocab_size", "替换形状中的词表大小"),
    ("batch_size", "每步的行数"),
    ("length", "每行的词元数"),
    ("steps", "计入测量的步数"),
    ("warmup", "测量之前的步数"),
    ("method", "训练方法"),
    ("rank", "LoRA 的秩"),
    ("targets", "LoRA 作用的层：all-linear、auto，或以逗号分隔的角色"),
    ("stdio", "在标准输入输出上收发数据帧，供另一台机器上的窗口使用；引擎不随管道结束"),
    ("beside_others", "配合 --stdio：在仍在工作的其他版本引擎之外另启一个"),
    ("socket", "监听所用的名称"),
    ("sockets", "套接字文件夹（默认为用户自己的）"),
    ("runs", "训练记录文件夹（默认在用户数据中）"),
    ("log", "本进程输出所写入的文件，用于错误信息"),
    ("tokens", "新词元列表文件，每行一个"),
    ("train_on", "从 csv、json、jsonl 或 txt 文件的文本中学习新词元；可多次指定"),
    ("size", "最多学习的词元数"),
    ("coverage", "学到的词元所覆盖的字符比例"),
    ("initialise", "新词元行的初始值"),
    ("pad_to_multiple_of", "将词嵌入行数补足到该数的倍数"),
    ("sample", "用于衡量收益的文件（默认为 --train-on 的文件）；可多次指定"),
    ("inputs", "要转换的文件：csv、json、jsonl、parquet 或 txt"),
    ("to_format", "要写出的格式，如 alpaca、sharegpt、messages 或 cpm-bee"),
    ("out_file", "要写出的 JSON 行文件"),
    ("format", "输入文件的格式（auto：自动识别）"),
    ("columns", "哪一列或哪个表达式充当哪个字段，同 [data.columns]；可多次指定"),
    ("preview_rows", "只显示前若干行转换前后的样子，不写文件"),
    ("near", "查找近似重复：所述内容的相似度（Jaccard）达到该值的行"),
    ("leaks", "查找出现在验证数据中的训练数据"),
    ("against", "查找出现在评测集（文件或文件夹）中的训练数据；可指定多个"),
    ("ifd", "由模型评估指令对回答的帮助程度（IFD）"),
    ("ifd_prompt", "计算 IFD 时指令所用的文本：alpaca 或 wiz"),
    ("diverse", "由模型挑选出指定行数、彼此差异最大的子集"),
    ("keep", "写出训练数据中未被以上检查发现的行，并在旁边写出排除原因"),
    ("languages", "--keep 保留的语言代码，例如 eng,cmn"),
    ("ifd_share", "--keep 按 IFD（不超过 1）从高到低保留的比例"),
    ("engine", "在那里用什么训练：accelerate-fsdp、accelerate-deepspeed 或 torchrun"),
    ("nodes", "机器数"),
    ("cards", "每台机器的卡数"),
    ("there", "基础模型在那里的位置：文件夹或 Hub 名称（默认为脚本旁的同名文件夹）"),
    ("copy_model", "将基础模型复制到该文件夹"),
    ("origin", "移交时的运行文件；若要在本机继续训练，由它得知数据与模型的位置"),
    ("handed", "`handoff` 写出、由其他机器填充的文件夹，或其中的 run 文件夹"),
    ("hub", "名称未写明时所指的平台：hf（Hugging Face）或 ms（魔搭社区）"),
    ("endpoint", "替代平台自身的地址，例如 https://hf-mirror.com"),
    ("offline", "只使用缓存"),
    ("words", "名称中的关键词"),
    ("dataset", "指数据集而非模型"),
    ("repo", "org/name，必要时前面加 hf: 或 ms:、后面加 @版本，也可以是其网址"),
    ("only", "只下载此文件；可多次指定（默认为 info 所标记的文件）"),
    ("folder", "要发布的文件夹：适配器或导出的模型"),
    ("target", "要发布到的仓库：org/name"),
    ("private", "新建的仓库仅所有者可见"),
    ("no_create", "仓库必须已经存在"),
    ("message", "提交说明"),
    ("yes", "对所列内容不再询问，直接发送"),
    ("help", "打印帮助"),
    ("version", "打印版本"),
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn everything_has_its_chinese_words() {
        fn visit(command: &Command, lacking: &mut Vec<String>) {
            let name = command.get_name();
            if about_in_chinese(name).is_none() {
                lacking.push(name.to_owned());
            }
            let flags = command.get_arguments().map(|arg| arg.get_id().as_str());
            lacking.extend(flags.filter(|id| flag_in_chinese(id).is_none()).map(|id| format!("{name} {id}")));
            command.get_subcommands().for_each(|inner| visit(inner, lacking));
        }
        let mut lacking = Vec::new();
        visit(&Cli::command(), &mut lacking);
        assert!(lacking.is_empty(), "{lacking:?}");
    }

    #[test]
    fn no_translation_is_left_over() {
        fn ids(command: &Command) -> Vec<String> {
            let own = command.get_arguments().map(|arg| arg.get_id().to_string());
            own.chain(command.get_subcommands().flat_map(ids)).collect()
        }
        let mut built = Cli::command();
        built.build();
        let known = ids(&built);
        let unused: Vec<_> = FLAGS.iter().filter(|(id, _)| !known.iter().any(|known| known == id)).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        localised(Cli::command(), Language::Chinese).debug_assert();
    }
}
