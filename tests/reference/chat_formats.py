"""Conversations as the families' own code writes them: text, ids, what is learned, what ends an answer.

    python tests/reference/chat_formats.py [SHARED]     # writes tests/fixtures/reference/chat_formats.json again

Each family is written down here as a function from messages to pieces, from its published formula and not from our
templates: `(text, learned)` pieces, and END for the place behind a past answer where the end token is learned though the
text does not have it. Ids and labels come from the `tokenizers` package with the golden byte-level vocabulary and the
family's markers added to it. With SHARED (a folder with `realdata` and `golden`), the formulas are also compared with
the chat templates that the families publish, rendered by transformers, and ids are made with the real vocabularies of
ChatGLM3, Baichuan2, Llama 2, Mistral and Qwen2.5. Needs tokenizers, transformers and sentencepiece; nothing here is
needed to run the tests.
"""

import json
import os
import sys

from tokenizers import AddedToken, Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
VOCABULARY = os.path.join(FIXTURES, "golden", "tokenizer", "bytelevel-gpt2", "tokenizer.json")
OUT = os.path.join(FIXTURES, "reference", "chat_formats.json")
OUT_REAL = os.path.join(FIXTURES, "reference", "chat_formats_real.json")
BOS, EOS = "<s>", "</s>"
END = object()

S = lambda text: {"role": "system", "content": text}
U = lambda text: {"role": "user", "content": text}
A = lambda text: {"role": "assistant", "content": text}

CONVERSATIONS = {
    "single": [U("What is 2+2?"), A("It is 4.")],
    "turns": [U("Hello!"), A("Hi. How can I help?"), U("Name a colour"), A("Blue"), U("Another"), A("Red\nor green.")],
    "system": [S("Be brief."), U("Why is the sky blue?"), A("Scattering."), U("And at dusk?"), A("Red light is left.")],
    "chinese": [U("你好，请介绍一下你自己。"), A("你好！我是一个助手 🤖。"), U("谢谢"), A("不客气。")],
    "empty-system": [S(""), U("Hi"), A("Hello.")],
    "markers": [U("What do <|im_end|>, <|user|> and <reserved_106> mean?"), A("Nothing </s> here."), U("[Round 1] [INST] ok"),
                A("Good <|end|> bye")],
}


def asked(messages):
    """The messages before the last answer."""
    return messages[:-1]


def is_last(messages, at):
    return at == len(messages) - 1


# Formulas: pieces of `messages`; `prompt` asks for what the model is given to answer them.


def chatml_like(messages, prompt, start="<|im_start|>", separator="\n", end="<|im_end|>", behind="\n", default=None):
    pieces = []
    if default is not None and messages[0]["role"] != "system":
        pieces.append((f"{start}system{separator}{default}{end}{behind}", False))
    for message in messages:
        role, content = message["role"], message["content"]
        pieces.append((f"{start}{role}{separator}", False))
        learned = role == "assistant"
        pieces.append((content + end, learned))
        pieces.append((behind, False))
    if prompt:
        pieces.append((f"{start}assistant{separator}", False))
    return pieces


def chatml(messages, prompt):
    return chatml_like(messages, prompt)


def qwen(messages, prompt):
    return chatml_like(messages, prompt, default="You are a helpful assistant.")


def qwen25(messages, prompt):
    return chatml_like(messages, prompt, default="You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")


def qwen3(messages, prompt):
    pieces = []
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        pieces.append((f"<|im_start|>{role}\n", False))
        if role == "assistant" and is_last(messages, at):
            content = f"<think>\n\n</think>\n\n{content}"
        pieces.append((f"{content}<|im_end|>", role == "assistant"))
        pieces.append(("\n", False))
    return pieces + ([("<|im_start|>assistant\n", False)] if prompt else [])


def phi4(messages, prompt):
    return chatml_like(messages, prompt, separator="<|im_sep|>", behind="")


def llama2(messages, prompt):
    pieces, system = [], ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            system = f"<<SYS>>\n{content}\n<</SYS>>\n\n"
        elif role == "user":
            pieces.append((f"{BOS}[INST] {system}{content} [/INST]", False))
            system = ""
        else:
            pieces.append((f" {content} {EOS}", True))
    return pieces


def llama3(messages, prompt):
    pieces = [(BOS, False)]
    for message in messages:
        role, content = message["role"], message["content"]
        pieces.append((f"<|start_header_id|>{role}<|end_header_id|>\n\n", False))
        pieces.append((f"{content}<|eot_id|>", role == "assistant"))
    return pieces + ([("<|start_header_id|>assistant<|end_header_id|>\n\n", False)] if prompt else [])


def mistral(messages, prompt, after=" ", before="", answer=" "):
    pieces, system = [(BOS, False)], ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            system = content + "\n\n"
        elif role == "user":
            pieces.append((f"[INST]{after}{system}{content}{before}[/INST]", False))
            system = ""
        else:
            pieces.append((f"{answer}{content}{EOS}", True))
    return pieces


def mistral_v1(messages, prompt):
    return mistral(messages, prompt, before=" ")


def mistral_tekken(messages, prompt):
    return mistral(messages, prompt, after="", answer="")


def gemma(messages, prompt):
    pieces, system = [(BOS, False)], ""
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            system = content + "\n\n" if content else ""
        elif role == "user":
            pieces.append((f"<start_of_turn>user\n{system}{content}<end_of_turn>\n", False))
            system = ""
        else:
            pieces += [("<start_of_turn>model\n", False), (f"{content}<end_of_turn>", True), ("\n", False)]
    return pieces + ([("<start_of_turn>model\n", False)] if prompt else [])


def phi3(messages, prompt, line="\n"):
    pieces = []
    for message in messages:
        role, content = message["role"], message["content"]
        if line and role == "system" and not content:
            continue
        pieces += [(f"<|{role}|>{line}", False), (f"{content}<|end|>", role == "assistant"), (line, False)]
    return pieces + ([(f"<|assistant|>{line}", False)] if prompt else [])


def phi4_mini(messages, prompt):
    return phi3(messages, prompt, line="")


def chatglm(messages, prompt):
    """tokenization: ids(prompt) + [gMASK] <sop> + ids(answer) + <eop>; only the answer has labels."""
    system = "".join(m["content"] + "\n" for m in messages if m["role"] == "system" and m["content"])
    turns = [m for m in messages if m["role"] != "system"]
    final = None if prompt or turns[-1]["role"] != "assistant" else turns.pop()["content"]
    questions = [m["content"] for m in turns if m["role"] == "user"]
    answers = [m["content"] for m in turns if m["role"] == "assistant"]
    if len(questions) == 1:
        text = questions[0]
    else:
        history = zip(questions, answers)
        text = "".join(f"[Round {k}]\n问：{q}\n答：{a}\n" for k, (q, a) in enumerate(history))
        text += f"[Round {len(questions) - 1}]\n问：{questions[-1]}\n答："
    pieces = [(system + text + "[gMASK]<sop>", False)]
    return pieces + ([] if final is None else [(final + "<eop>", True)])


def chatglm2(messages, prompt):
    """build_prompt, then the answer by itself (its first token has the space that sentencepiece adds) and eos."""
    pieces, number = [("[gMASK]sop", False)], 0
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "system":
            pieces.append((content + "\n\n" if content else "", False))
        elif role == "user":
            number += 1
            pieces.append((f"[Round {number}]\n\n问：{content}\n\n答：", False))
        elif is_last(messages, at):
            pieces.append((f" {content}{EOS}", True))
        else:
            pieces += [(content, True), END, ("\n\n", False)]
    return pieces


def roles_of_glm(messages, prompt, head, space, close):
    pieces = [(head, False)]
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        # The token of the next role, which ends an answer, is learned with it.
        ends = at > 0 and messages[at - 1]["role"] == "assistant"
        pieces.append((f"<|{role}|>", ends))
        pieces.append((f"\n{space}{content}", role == "assistant"))
        if role == "assistant" and is_last(messages, at):
            pieces.append((close, True))
    return pieces + ([("<|assistant|>", False)] if prompt else [])


def chatglm3(messages, prompt):
    return roles_of_glm(messages, prompt, "[gMASK]sop", " ", EOS)


def glm4(messages, prompt):
    return roles_of_glm(messages, prompt, "[gMASK]<sop>", "", "<|user|>")


def baichuan2(messages, prompt, user="<reserved_106>", assistant="<reserved_107>"):
    """fine-tune.py: 195 + question, 196 + answer; eos is the label where the next 195 stands, and at the end."""
    pieces = []
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "system":
            pieces.append((content, False))
        elif role == "user":
            pieces.append((user + content, False))
        elif is_last(messages, at):
            pieces += [(assistant, False), (content + EOS, True)]
        else:
            pieces += [(assistant, False), (content, True), END]
    return pieces + ([(assistant, False)] if prompt else [])


def baichuan2_other(messages, prompt):
    return baichuan2(messages, prompt, "<reserved_300>", "<reserved_301>")


def baichuan(messages, prompt):
    pieces = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            pieces.append((content, False))
        elif role == "user":
            pieces.append((f"<reserved_102>{content}", False))
        else:
            pieces += [("<reserved_103>", False), (content + EOS, True)]
    return pieces + ([("<reserved_103>", False)] if prompt else [])


def minicpm(messages, prompt):
    pieces = [(BOS, False)]
    for at, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "system":
            pieces.append((content, False))
        elif role == "user":
            pieces.append((f"<用户>{content}<AI>", False))
        elif is_last(messages, at):
            pieces.append((content + EOS, True))
        else:
            pieces += [(content, True), END]
    return pieces


def deepseek(messages, prompt):
    pieces = [(BOS, False)]
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            pieces.append((content + "\n\n", False))
        elif role == "user":
            pieces.append((f"User: {content}\n\n", False))
        else:
            pieces += [("Assistant:", False), (f" {content}{EOS}", True)]
    return pieces + ([("Assistant:", False)] if prompt else [])


def deepseek3(messages, prompt):
    pieces = [(BOS, False)]
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "assistant":
            pieces += [("<｜Assistant｜>", False), (content + EOS, True)]
        else:
            pieces.append((("<｜User｜>" if role == "user" else "") + content, False))
    return pieces + ([("<｜Assistant｜>", False)] if prompt else [])


def family(preset, formula, config, tokens=(), eos=EOS, stops=(), folder="model", generation=None, published=(), hidden=()):
    """`tokens` are added to the vocabulary, `hidden` ones are taken out of it; `stops` end an answer beside `eos`; `published` are templates of the same
    family: (file in SHARED, conversations that it renders alike)."""
    return dict(preset=preset, formula=formula, config=config, tokens=list(tokens), eos=eos, stops=list(stops), folder=folder,
                generation=generation or {}, published=published, hidden=list(hidden))


ALL = list(CONVERSATIONS)
USERS = ["single", "turns", "chinese", "markers"]
FULL = USERS + ["system"]
IM, GLM3 = ["<|im_start|>", "<|im_end|>"], ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]
FAMILIES = [
    family("qwen", qwen, {"model_type": "qwen", "architectures": ["QWenLMHeadModel"]}, IM, "<|im_end|>", ["<|endoftext|>"]),
    family("qwen", qwen, {"model_type": "qwen2"}, IM, "<|im_end|>", ["<|endoftext|>"]),
    family("qwen25", qwen25, {"model_type": "qwen2", "_name_or_path": "Qwen/Qwen2.5-7B-Instruct"}, IM, "<|im_end|>",
           ["<|endoftext|>"], published=[("realdata/tokenizers/qwen2.5/tokenizer_config.json", ALL)]),
    family("qwen3", qwen3, {"model_type": "qwen3"}, IM, "<|im_end|>", ["<|endoftext|>"],
           published=[("realdata/tokenizers/qwen3/tokenizer_config.json", ALL)]),
    family("chatml", chatml, {"model_type": "llama", "vocab_size": 64000}, IM, "<|im_end|>",
           published=[("realdata/tokenizers/minicpm4/tokenizer_config.json", ALL)]),
    family("chatml", chatml, {"model_type": "minicpm3"}, IM, "<|im_end|>"),
    family("llama2", llama2, {"model_type": "llama", "vocab_size": 32000}, folder="Llama-2-7b-chat-hf",
           published=[("realdata/templates/chujiezheng/llama-2-chat.jinja", ALL)]),
    family("llama3", llama3, {"model_type": "llama"}, ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>",
           "<|end_of_text|>"], EOS, ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"],
           published=[("realdata/templates/chujiezheng/llama-3-instruct.jinja", ALL), ("realdata/templates/axolotl/llama3.jinja", ALL)]),
    family("mistral", mistral, {"model_type": "mistral", "vocab_size": 32768}, ["[INST]", "[/INST]"],
           published=[("realdata/templates/axolotl/mistral_v2v3.jinja", USERS)]),
    family("mistral-v1", mistral_v1, {"model_type": "mistral", "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2"}),
    family("mistral-tekken", mistral_tekken, {"model_type": "mistral", "vocab_size": 131072}, ["[INST]", "[/INST]"],
           published=[("realdata/templates/axolotl/mistral_v3_tekken.jinja", USERS),
                      ("realdata/templates/mistral-common/v3.jinja", USERS)]),
    family("gemma", gemma, {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}},
           ["<start_of_turn>", "<end_of_turn>"], EOS, ["<end_of_turn>"],
           published=[("realdata/templates/axolotl/gemma3.jinja", FULL), ("realdata/templates/axolotl/gemma.jinja", USERS)]),
    family("phi3", phi3, {"model_type": "phi3", "vocab_size": 32064}, ["<|end|>"], "<|endoftext|>", ["<|end|>"],
           published=[("realdata/templates/axolotl/phi_35.jinja", ALL), ("realdata/templates/chujiezheng/phi-3.jinja", FULL)]),
    family("phi4", phi4, {"model_type": "phi3", "vocab_size": 100352}, IM + ["<|im_sep|>", "<|end|>"], "<|im_end|>",
           ["<|endoftext|>"]),
    family("phi4-mini", phi4_mini, {"model_type": "phi3", "vocab_size": 200064}, ["<|end|>"], "<|endoftext|>", ["<|end|>"]),
    family("chatglm", chatglm, {"model_type": "chatglm", "vocab_size": 130528}, ["[gMASK]", "<sop>", "<eop>"], "<eop>"),
    family("chatglm2", chatglm2, {"model_type": "chatglm", "padded_vocab_size": 65024}, ["[gMASK]", "sop", "eop"]),
    family("chatglm3", chatglm3, {"model_type": "chatglm", "padded_vocab_size": 65024}, ["[gMASK]", "sop", "eop"] + GLM3, EOS,
           ["<|user|>", "<|observation|>"]),
    family("glm4", glm4, {"model_type": "chatglm", "padded_vocab_size": 151552}, ["[gMASK]", "<sop>", "<eop>"] + GLM3,
           "<|endoftext|>", ["<|user|>", "<|observation|>"], published=[("golden/chat_templates.json#glm-4", FULL)]),
    family("glm4", glm4, {"model_type": "glm4"}, ["[gMASK]", "<sop>"] + GLM3, "<|endoftext|>", ["<|user|>", "<|observation|>"]),
    family("baichuan2", baichuan2, {"model_type": "baichuan", "architectures": ["BaichuanForCausalLM"], "vocab_size": 125696},
           ["<reserved_102>", "<reserved_103>", "<reserved_106>", "<reserved_107>"]),
    family("baichuan2", baichuan2_other, {"architectures": ["BaichuanForCausalLM"], "vocab_size": 125696},
           ["<reserved_106>", "<reserved_107>", "<reserved_300>", "<reserved_301>"],
           generation={"user_token_id": "<reserved_300>", "assistant_token_id": "<reserved_301>"}),
    family("baichuan", baichuan, {"model_type": "baichuan", "architectures": ["BaichuanForCausalLM"], "vocab_size": 64000},
           ["<reserved_102>", "<reserved_103>", "<reserved_106>", "<reserved_107>"]),
    family("baichuan", baichuan, {"model_type": "baichuan", "architectures": ["BaichuanForCausalLM"], "vocab_size": 70000},
           ["<reserved_102>", "<reserved_103>", "<reserved_106>", "<reserved_107>"],
           generation={"user_token_id": "<reserved_102>", "assistant_token_id": "<reserved_103>"}),
    family("minicpm", minicpm, {"model_type": "minicpm"}, hidden=IM),
    family("deepseek", deepseek, {"model_type": "deepseek_v2"}, folder="DeepSeek-V2-Chat"),
    family("deepseek3", deepseek3, {"model_type": "deepseek_v3"}, ["<｜User｜>", "<｜Assistant｜>"],
           published=[("golden/chat_templates.json#deepseek", ALL)]),
]


def text_of(pieces):
    return "".join(piece[0] for piece in pieces if piece is not END)


def marks_of(pieces):
    """Character ranges that are learned, and the places where the end token is."""
    spans, ends, at = [], [], 0
    for piece in pieces:
        if piece is END:
            ends.append(at)
            continue
        if piece[1] and piece[0]:
            spans.append((at, at + len(piece[0])))
        at += len(piece[0])
    return spans, ends


def labels_of(encoding, pieces, eos):
    spans, ends = marks_of(pieces)
    starts = [start for start, _ in encoding.offsets]
    labels = [token if any(a <= start < b for a, b in spans) else -100 for token, start in zip(encoding.ids, starts)]
    for end in ends:
        labels[next(at for at, start in enumerate(starts) if start >= end)] = eos
    return labels


def conversation(tokenizer, formula, name, messages, eos):
    whole, question = formula(messages, False), formula(asked(messages), True)
    encoding = tokenizer.encode(text_of(whole), add_special_tokens=False)
    return dict(name=name, messages=messages, text=text_of(whole), ids=encoding.ids, labels=labels_of(encoding, whole, eos),
                prompt=text_of(question), prompt_ids=tokenizer.encode(text_of(question), add_special_tokens=False).ids)


def case(entry):
    with open(VOCABULARY, encoding="utf-8") as handle:
        vocabulary = handle.read()
    for token in entry["hidden"]:
        vocabulary = vocabulary.replace(token, token.upper())
    tokenizer = Tokenizer.from_str(vocabulary)
    missing = [token for token in entry["tokens"] if tokenizer.token_to_id(token) is None]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in missing])
    ident = tokenizer.token_to_id
    eos = ident(entry["eos"])
    rows = [conversation(tokenizer, entry["formula"], name, messages, eos) for name, messages in CONVERSATIONS.items()]
    stops = sorted({eos, *(ident(stop) for stop in entry["stops"])})
    generation = {key: ident(token) for key, token in entry["generation"].items()}
    return dict(preset=entry["preset"], folder=entry["folder"], config=entry["config"], generation_config=generation,
                tokens={token: ident(token) for token in missing}, hidden=entry["hidden"], eos=entry["eos"], stops=stops, conversations=rows)


def published_source(shared, file):
    file, _, name = file.partition("#")
    with open(os.path.join(shared, file), encoding="utf-8") as handle:
        if not file.endswith(".json"):
            source = handle.read()
            # That collection is indented to be read, and says to take the indentation out before use.
            return source.replace("    ", "").replace("\n", "") if "chujiezheng" in file else source
        data = json.load(handle)
    if name:
        return next(entry["template"] for entry in data["templates"] if entry["name"] == name)
    return data["chat_template"]


def compare_with_published(shared):
    """Formulas against the published templates in transformers."""
    from transformers import PreTrainedTokenizerFast

    compared = 0
    for entry in FAMILIES:
        plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(VOCABULARY), bos_token=BOS, eos_token=EOS)
        for file, names in entry["published"]:
            source = published_source(shared, file)
            for name in names:
                messages = CONVERSATIONS[name]
                for prompt, turns in ((False, messages), (True, asked(messages))):
                    theirs = plain.apply_chat_template(turns, chat_template=source, tokenize=False, add_generation_prompt=prompt)
                    ours = text_of(entry["formula"](turns, prompt))
                    # Templates without an end for the last answer, or with a line end or a default role more.
                    # R1 opens its thoughts itself; V3 does not think.
                    theirs = theirs.replace("<｜end▁of▁sentence｜>", EOS).removesuffix("<think>\n")
                    if entry["preset"] == "glm4" and not prompt:
                        theirs = theirs.rstrip("\n") + "<|user|>"
                    assert theirs.strip("\n") == ours.strip("\n"), f"{file} {name}\n{theirs!r}\n{ours!r}"
                    compared += 1
    print(f"{compared} renderings equal those of published templates")


def real_cases(shared):
    """Ids by the families' own recipes with the real vocabularies."""
    from sentencepiece import SentencePieceProcessor

    def model(name, file="tokenizer.model"):
        return SentencePieceProcessor(model_file=os.path.join(shared, "realdata", "tokenizers", name, file))

    glm, baichuan_model, llama = model("chatglm3"), model("baichuan2"), model("llama2")
    mistral_model = model("mistral", "tokenizer.model.v1")
    roles = {"system": 64794, "user": 64795, "assistant": 64796}

    def by_chatglm3(messages):
        # build_single_message: role, metadata and a line end, content; each text is encoded by itself.
        ids = [64790, 64792]
        for message in messages:
            ids += [roles[message["role"]], *glm.encode("\n"), *glm.encode(message["content"])]
        return ids + [2], ids[: len(ids) - len(glm.encode("\n")) - len(glm.encode(messages[-1]["content"]))]

    def by_chatglm2(messages):
        # The prompt of all rounds, then the answer with its end token, as in ptuning/main.py.
        turns = [m["content"] for m in messages]
        prompt = "".join(f"[Round {k + 1}]\n\n问：{turns[2 * k]}\n\n答：{turns[2 * k + 1]}\n\n" for k in range(len(turns) // 2 - 1))
        prompt += f"[Round {len(turns) // 2}]\n\n问：{turns[-2]}\n\n答："
        ids = [64790, 64792, *glm.encode(prompt)]
        return ids + glm.encode(turns[-1]) + [2], ids

    def by_baichuan2(messages):
        # fine-tune.py, with the system prompt of build_chat_input. The label of the first question's token, which
        # nothing predicts, is left out.
        ids, labels = [], []
        for at, message in enumerate(messages):
            content = baichuan_model.encode(message["content"])
            if message["role"] == "user":
                labels += [2 if at > 1 else -100] + [-100] * len(content)
                ids += [195] + content
            elif message["role"] == "assistant":
                labels += [-100] + content
                ids += [196] + content
            else:
                labels += [-100] * len(content)
                ids += content
        return ids + [2], ids[: len(ids) - len(content)], labels + [2]

    def by_llama2(messages):
        # Each round is one text between bos and eos.
        turns, system, ids = list(messages), "", []
        if turns[0]["role"] == "system":
            system = f"<<SYS>>\n{turns.pop(0)['content']}\n<</SYS>>\n\n"
        for question, answer in zip(turns[::2], turns[1::2]):
            text = f"[INST] {system}{question['content']} [/INST]"
            prompt, system = ids + [1, *llama.encode(text)], ""
            ids += [1, *llama.encode(f"{text} {answer['content']} "), 2]
        return ids, prompt

    def by_mistral(messages):
        ids = [1]
        for message in messages:
            if message["role"] == "user":
                prompt = ids = ids + mistral_model.encode(f"[INST] {message['content']} [/INST]")
            else:
                ids = ids + [*mistral_model.encode(message["content"]), 2]
        return ids, prompt

    glm1 = SentencePieceProcessor(model_file=os.path.join(FIXTURES, "reference", "tokenizers", "own", "glm1", "ice_text.model"))
    images = 100

    def by_chatglm(messages):
        # ptuning/main.py: the prompt with its history, [gMASK] <sop>, the answer, <eop>. A line end is <n>.
        encode = lambda text: [token + images for token in glm1.encode(text.replace("\n", "<n>"))]
        turns = [m["content"] for m in messages]
        text = "".join(f"[Round {k}]\n问：{turns[2 * k]}\n答：{turns[2 * k + 1]}\n" for k in range(len(turns) // 2 - 1))
        text = f"{text}[Round {len(turns) // 2 - 1}]\n问：{turns[-2]}\n答：" if text else turns[-2]
        mark = [glm1.piece_to_id(piece) + images for piece in ("[gMASK]", "<sop>", "<eop>")]
        ids = encode(text) + mark[:2]
        return ids + encode(turns[-1]) + mark[2:], ids

    from transformers import AutoTokenizer

    qwen_tokenizer = AutoTokenizer.from_pretrained(os.path.join(shared, "realdata", "tokenizers", "qwen2.5"))

    def by_qwen25(messages):
        # transformers with the published template.
        ids = lambda turns, prompt: qwen_tokenizer.apply_chat_template(
            turns, tokenize=True, add_generation_prompt=prompt, return_dict=False)
        return ids(messages, False), ids(asked(messages), True)

    def rows(make, names):
        found = []
        for name in names:
            ids, prompt, *labels = make(CONVERSATIONS[name])
            labels = {"labels": labels[0]} if labels else {}
            found.append(dict(name=name, messages=CONVERSATIONS[name], ids=ids, prompt_ids=prompt, **labels))
        return found

    clean = ["single", "turns", "chinese"]
    return [
        dict(preset="chatglm3", tokenizer="chatglm3", files=["tokenizer.model"], config={"model_type": "chatglm",
             "padded_vocab_size": 65024, "bos_token_id": 1, "eos_token_id": 2}, tokenizer_class="ChatGLMTokenizer",
             conversations=rows(by_chatglm3, clean + ["system"])),
        dict(preset="baichuan2", tokenizer="baichuan2", files=["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"],
             config={"model_type": "baichuan", "architectures": ["BaichuanForCausalLM"], "vocab_size": 125696},
             generation={"user_token_id": 195, "assistant_token_id": 196, "eos_token_id": 2},
             conversations=rows(by_baichuan2, clean + ["system"])),
        dict(preset="llama2", tokenizer="llama2", files=["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"],
             config={"model_type": "llama", "_name_or_path": "meta-llama/Llama-2-7b-chat-hf"},
             conversations=rows(by_llama2, clean + ["system"])),
        dict(preset="mistral-v1", tokenizer="mistral", files=["tokenizer.model.v1>tokenizer.model", "tokenizer_config.json"],
             config={"model_type": "mistral", "_name_or_path": "Mistral-7B-Instruct-v0.1"}, conversations=rows(by_mistral, clean)),
        dict(preset="qwen25", tokenizer="qwen2.5", files=["vocab.json", "merges.txt", "tokenizer_config.json"],
             config={"model_type": "qwen2", "_name_or_path": "Qwen/Qwen2.5-7B-Instruct"}, conversations=rows(by_qwen25, ALL)),
        dict(preset="chatglm", tokenizer="own:glm1", files=["ice_text.model", "tokenizer_config.json"],
             config={"model_type": "chatglm", "vocab_size": 130528}, conversations=rows(by_chatglm, clean)),
        dict(preset="chatglm2", tokenizer="chatglm3", files=["tokenizer.model"], explicit=True, config={"model_type": "chatglm",
             "padded_vocab_size": 65024, "bos_token_id": 1, "eos_token_id": 2}, tokenizer_class="ChatGLMTokenizer",
             conversations=rows(by_chatglm2, clean)),
    ]


def write(file, data):
    with open(file, "w", encoding="utf-8") as handle:
        json.dump(data, handle, ensure_ascii=False, separators=(",", ":"))
        handle.write("\n")


if __name__ == "__main__":
    write(OUT, [case(entry) for entry in FAMILIES])
    if len(sys.argv) > 1:
        compare_with_published(sys.argv[1])
        write(OUT_REAL, real_cases(sys.argv[1]))
