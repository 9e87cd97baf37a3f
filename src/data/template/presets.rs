//! The chat templates that come with the program.

/// A chat template of our own, for models that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// What `data.template` calls it.
    pub name: &'static str,
    pub source: &'static str,
    /// What people call it, in English and Chinese.
    pub title: (&'static str, &'static str),
    /// What it is for, in English and Chinese.
    pub help: (&'static str, &'static str),
    /// Tokens that must be in the vocabulary: the template is nothing without them.
    pub needs: &'static [&'static str],
    /// Tokens that end an answer, beside the model's own end tokens, where the vocabulary has them.
    pub stops: &'static [&'static str],
    /// The text has no token between an answer and the next question, yet the model ends its answers with
    /// its end token: what follows a past answer is learned as that token.
    pub silent_end: bool,
}

macro_rules! presets {
    ($($name:literal $title:tt needs $needs:tt stops $stops:tt $($silent:ident)? ($($help:literal),*))*) => {
        /// Every preset, by the name of its file in `presets/templates`.
        pub const PRESETS: &[Preset] = &[$(Preset {
            name: $name,
            source: include_str!(concat!("../../../presets/templates/", $name, ".jinja")),
            title: $title,
            help: ($($help),*),
            needs: &$needs,
            stops: &$stops,
            silent_end: presets!(@silent $($silent)?),
        }),*];
    };
    (@silent silent_end) => { true };
    (@silent) => { false };
}

presets! {
    "chatml" ("ChatML", "ChatML") needs ["<|im_start|>", "<|im_end|>"] stops []
        ("Yi, MiniCPM 3 and 4 and many others; needs the tokens <|im_start|> and <|im_end|>",
         "Yi、MiniCPM 3/4 等众多模型；需要 <|im_start|> 与 <|im_end|> 词元")
    "qwen" ("Qwen (1 to 2)", "通义千问（1 至 2 代）")
        needs ["<|im_start|>", "<|im_end|>"] stops ["<|im_end|>", "<|endoftext|>"]
        ("ChatML with the system prompt that Qwen-Chat, Qwen1.5 and Qwen2 have by default",
         "ChatML，带 Qwen-Chat、Qwen1.5 与 Qwen2 的默认系统提示")
    "qwen25" ("Qwen2.5", "通义千问 2.5")
        needs ["<|im_start|>", "<|im_end|>"] stops ["<|im_end|>", "<|endoftext|>"]
        ("ChatML with the system prompt that Qwen2.5 has by default", "ChatML，带 Qwen2.5 的默认系统提示")
    "qwen3" ("Qwen3", "通义千问 3") needs ["<|im_start|>", "<|im_end|>"] stops ["<|im_end|>", "<|endoftext|>"]
        ("ChatML with thoughts in <think>; those before the last question are dropped",
         "ChatML，思考内容放在 <think> 中；最后一个提问之前的思考会被去掉")
    "llama2" ("Llama 2 Chat", "Llama 2 Chat") needs [] stops []
        ("[INST] … [/INST], the system prompt in <<SYS>>", "[INST] … [/INST]，系统提示放在 <<SYS>> 中")
    "llama3" ("Llama 3 Instruct", "Llama 3 Instruct")
        needs ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
        stops ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]
        ("Llama 3, 3.1, 3.2 and 3.3; needs the token <|eot_id|>", "Llama 3、3.1、3.2 与 3.3；需要 <|eot_id|> 词元")
    "mistral" ("Mistral Instruct (v3)", "Mistral Instruct（v3）") needs [] stops []
        ("[INST] … [/INST] as tokens, the system prompt inside", "[INST] … [/INST] 为词元，系统提示放在其中")
    "mistral-v1" ("Mistral Instruct (v1)", "Mistral Instruct（v1）") needs [] stops []
        ("Mistral 7B Instruct 0.1 and 0.2, Mixtral 8x7B: [INST] … [/INST] as text",
         "Mistral 7B Instruct 0.1/0.2、Mixtral 8x7B：[INST] … [/INST] 为文本")
    "mistral-tekken" ("Mistral Nemo", "Mistral Nemo") needs ["[INST]", "[/INST]"] stops []
        ("Mistral models with the Tekken tokenizer: no spaces around the markers",
         "使用 Tekken 分词器的 Mistral 模型：标记两侧没有空格")
    "gemma" ("Gemma", "Gemma") needs ["<start_of_turn>", "<end_of_turn>"] stops ["<end_of_turn>"]
        ("Gemma 1 to 3; the system prompt begins the user's turn", "Gemma 1 至 3；系统提示放在用户轮次的开头")
    "phi3" ("Phi-3", "Phi-3")
        needs ["<|user|>", "<|assistant|>", "<|end|>"] stops ["<|end|>", "<|endoftext|>"]
        ("Phi-3 and Phi-3.5: <|user|> on a line of its own", "Phi-3 与 Phi-3.5：<|user|> 独占一行")
    "phi4" ("Phi-4", "Phi-4")
        needs ["<|im_start|>", "<|im_sep|>", "<|im_end|>"] stops ["<|im_end|>", "<|endoftext|>"]
        ("Phi-4 (14B): ChatML with <|im_sep|>", "Phi-4（14B）：带 <|im_sep|> 的 ChatML")
    "phi4-mini" ("Phi-4-mini", "Phi-4-mini")
        needs ["<|user|>", "<|assistant|>", "<|end|>"] stops ["<|end|>", "<|endoftext|>"]
        ("Phi-4-mini: as Phi-3, without line ends", "Phi-4-mini：同 Phi-3，但不换行")
    "chatglm" ("ChatGLM-6B", "ChatGLM-6B") needs ["[gMASK]", "<sop>", "<eop>"] stops ["<eop>"]
        ("Rounds from 0, and the first question alone; only the last answer is learned",
         "轮次从 0 开始，首轮只有问题本身；只学习最后一个回答")
    "chatglm2" ("ChatGLM2-6B", "ChatGLM2-6B") needs ["[gMASK]", "sop"] stops [] silent_end
        ("[Round 1], 问： and 答：", "[Round 1]、问：与答：")
    "chatglm3" ("ChatGLM3-6B", "ChatGLM3-6B")
        needs ["[gMASK]", "sop", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]
        stops ["<|user|>", "<|observation|>"]
        ("A token for each role; the next role ends an answer", "每个角色一个词元；下一个角色即为回答的结束")
    "glm4" ("GLM-4", "GLM-4") needs ["[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|observation|>"]
        stops ["<|user|>", "<|observation|>", "<|endoftext|>"]
        ("GLM-4-9B and GLM-4-0414; the next role ends an answer", "GLM-4-9B 与 GLM-4-0414；下一个角色即为回答的结束")
    "baichuan" ("Baichuan-13B-Chat", "Baichuan-13B-Chat") needs ["<reserved_102>", "<reserved_103>"] stops []
        ("The reserved tokens 102 and 103 for the two speakers", "用保留词元 102 与 103 表示双方")
    "baichuan2" ("Baichuan2-Chat", "Baichuan2-Chat") needs ["<reserved_106>", "<reserved_107>"] stops [] silent_end
        ("The reserved tokens 106 and 107 for the two speakers", "用保留词元 106 与 107 表示双方")
    "minicpm" ("MiniCPM", "MiniCPM") needs [] stops [] silent_end
        ("MiniCPM 1 and 2: <用户> and <AI>", "MiniCPM 1 与 2：<用户> 与 <AI>")
    "deepseek" ("DeepSeek LLM and V2 Chat", "DeepSeek LLM 与 V2 Chat") needs [] stops []
        ("User: and Assistant:, with an end token after each answer", "User: 与 Assistant:，每个回答后有结束词元")
    "deepseek3" ("DeepSeek V3 and R1", "DeepSeek V3 与 R1") needs ["<｜User｜>", "<｜Assistant｜>"] stops []
        ("A token for each role; past thoughts are dropped", "每个角色一个词元；去掉此前的思考")
    "alpaca" ("Alpaca", "Alpaca") needs [] stops []
        ("### Instruction and ### Response; for base models", "### Instruction 与 ### Response；适合基础模型")
    "vicuna" ("Vicuna", "Vicuna") needs [] stops []
        ("USER: and ASSISTANT:; for base models", "USER: 与 ASSISTANT:；适合基础模型")
    "zephyr" ("Zephyr", "Zephyr") needs [] stops []
        ("<|user|> and <|assistant|> on lines of their own", "<|user|> 与 <|assistant|> 各占一行")
    "plain" ("Plain", "纯内容") needs [] stops []
        ("The words alone, a line each; for models without markers such as GPT-2, Bloom, Falcon or StarCoder2",
         "只有内容，每条一行；适合没有标记的模型，如 GPT-2、Bloom、Falcon、StarCoder2")
}

impl Preset {
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The preset that suits a tokenizer best: the one with most tokens of its own, all of which it has;
    /// else the plainest.
    pub fn suited(has_token: impl Fn(&str) -> bool) -> &'static Self {
        let fits = |preset: &&'static Self| preset.needs.iter().all(|token| has_token(token));
        let best = PRESETS.iter().rev().filter(|preset| !preset.needs.is_empty()).filter(fits);
        best.max_by_key(|preset| preset.needs.len()).unwrap_or(&PRESETS[PRESETS.len() - 1])
    }
}
