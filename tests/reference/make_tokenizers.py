"""Token ids by the libraries that the tokenizers come from: sentencepiece, tiktoken, tokenizers.

    python tests/reference/make_tokenizers.py SHARED     # writes tests/fixtures/reference/tokenizers again

`SHARED` is the folder of large fixtures (with `realdata/tokenizers`). Written are `expected.json` (texts of our own, ids and
decoded texts) and `own/`: small models trained here on texts of our own, one for each way a SentencePiece model can be
made, a rank file, and the pieces that ChatGLM-6B's class relies on. No published vocabulary is written.
Nothing here is needed to run the tests. A case lists the files it needs as `name in the folder: path under SHARED or own/`.
"""

import base64
import io
import json
import os
import re
import shutil
import sys
import unicodedata

import sentencepiece
import tiktoken
import tokenizers
from sentencepiece import sentencepiece_model_pb2 as proto

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "fixtures", "reference", "tokenizers")
SHARED = sys.argv[1]
REAL = "realdata/tokenizers"

TEXTS = [
    "Hello, world!", "hello world", " leading", "trailing ", "  two  spaces  inside  ", "", " ", "  ", "\n", "\t", "\r\n",
    "\n\n\nThree lines up\n\n", "tab\tand\t\ttabs", "a\u00a0b\u2003c\u3000d", "\u200bzero\u200dwidth\ufeff", "null\x00byte",
    "The quick brown fox jumps over the lazy dog.", "It's we're THEY'LL don't 'tis", "1234567890 3.14159 1,000,000 0x1F",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababa bababa aaab", "................", "-----===++++", "a" * 70,
    "你好，世界！", "今天天气不错，我们一起去公园吧。", "人工智能（AI）正在改变 2024 年的世界。", "龘靐齉爩 㐂㐃 𠮷野家", "繁體中文與简体中文",
    "「引号」、《书名》……——", "日本語のテキスト、カタカナとひらがな。", "한국어 텍스트입니다.", "Привет, мир! Ещё раз.",
    "مرحبا بالعالم", "שלום עולם", "สวัสดีชาวโลก", "नमस्ते दुनिया", "Ünïcödé naïve café Straße", "e\u0301 vs é; ﬁ ﬂ ½ ² № ™",
    "ＡＢＣ１２３　ｆｕｌｌ", "𝄞 𝒜𝓁𝓅𝒽𝒶", "😀 👩‍👩‍👧‍👦 🇨🇳 👍🏽 ☺️", "🤖🤖🤖", "∑∫√ ≤≥ ←→ α+β=γ",
    "def f(x):\n    return x ** 2  # square\n\n\nclass A:\n\tpass\n",
    "fn main() {\n    println!(\"{}\", 42);\n}\n", "if (a && b || !c) { i++; } // comment", "SELECT * FROM t WHERE id = 'x';",
    "{\"key\": [1, 2.5, null, true], \"中\": \"文\"}", "<html><body class=\"x\">&nbsp;</body></html>", "<td>cell</td><b>bold</b>",
    "https://example.com/a/b?c=d&e=%20#f", "user@example.com", "C:\\path\\to\\file", "$x^2 + y_1$ \\frac{a}{b}", "▁underline▁ ▁▁x",
    "<unk> <0x41> <0x0A> [MASK] <pad>", "isopropyl sop eop gossops", "  \n  \n", "x\n \n  y\t \tz", "   lots      of       blanks        ",
    "\u0085next\u2028line", "\ufffd\ufffe", "\U0010ffff\U000e0001", "ab\u0300c\u0327", "ǅ ß ẞ İ ı",
    "long " * 40, "混合 mixed 文本 text 123 测试 test。" * 4,
]
# Special tokens and text between them, for the cases that name some.
MARKED = ["{0}", "{0}Hello{1}", "a {0} b{1}\n", "{0}{0} 你好{1}", " {0}", "{1} ", "x{0}\n你好\n\n{1}y"]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def shared(path):
    return os.path.join(SHARED, path)


def real(path):
    return os.path.join(REAL, path)


def with_marks(marks):
    return [text.format(*marks) for text in MARKED] if marks else []


class Pieces:
    """A SentencePiece model with special tokens cut out of the text first, as transformers' Python classes do."""

    def __init__(self, model, marks=None):
        self.model = sentencepiece.SentencePieceProcessor(model_file=model)
        self.marks = marks or {}

    def ids(self, text):
        if not self.marks:
            return self.model.encode(text)
        parts = re.split("(" + "|".join(map(re.escape, sorted(self.marks, key=len, reverse=True))) + ")", text)
        return sum(([self.marks[part]] if part in self.marks else self.model.encode(part) for part in parts if part), [])

    def text(self, ids):
        return None if self.marks and any(i in self.marks.values() for i in ids) else self.model.decode(ids)


class Ranks:
    """tiktoken; text is composed first where the family does that."""

    def __init__(self, ranks, pattern, marks, composed=False):
        self.model = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens=marks)
        self.composed = composed

    def ids(self, text):
        text = unicodedata.normalize("NFC", text) if self.composed else text
        return self.model.encode(text, allowed_special="all")

    def text(self, ids):
        return self.model.decode(ids)


class Pipeline:
    """tokenizer.json."""

    def __init__(self, file):
        self.model = tokenizers.Tokenizer.from_file(file)

    def ids(self, text):
        return self.model.encode(text, add_special_tokens=False).ids

    def text(self, ids):
        return self.model.decode(ids, skip_special_tokens=False)


class Glm1:
    """`SPTokenizer` of ChatGLM-6B: blanks and line ends are pieces, ids begin behind the image tokens."""

    def __init__(self, model, images):
        self.model, self.images = sentencepiece.SentencePieceProcessor(model_file=model), images

    def ids(self, text):
        text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
        for length in range(80, 1, -1):
            text = text.replace(" " * length, f"<|blank_{length}|>")
        return [i + self.images for i in self.model.encode(text)]

    def text(self, ids):
        text = self.model.decode([i - self.images for i in ids]).replace("<n>", "\n").replace("<|tab|>", "\t")
        for length in range(2, 81):
            text = text.replace(f"<|blank_{length}|>", " " * length)
        return text


def byte_letters():
    """GPT-2's letters for bytes, backwards."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(c): byte for byte, c in [*zip(own, own), *zip(others, range(256, 512))]}


def ranks_of_vocabulary(file, most):
    """Byte-level BPE whose ids are in the order of its merges is also a rank file."""
    letters = byte_letters()
    vocabulary = json.load(open(file, encoding="utf-8"))
    return {bytes(letters[c] for c in token): i for token, i in vocabulary.items() if i < most}


def read_ranks(file):
    lines = (line.split() for line in open(file, "rb") if line.strip())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


# Models of our own.

WORDS = ("model token merge piece rank score blank line text table river mountain paper light window garden market story"
         " number letter simple common little special ordinary beautiful remember yesterday tomorrow").split()
HAN = "天地人山水火木金土日月星风云雨雪花草树鸟鱼书字词句话学生老师朋友时间世界中国语言模型训练数据机器智能"


def corpus():
    lines = []
    for i in range(900):
        words = [WORDS[(i * 7 + j * j * 3 + j) % len(WORDS)] for j in range(2 + i % 9)]
        lines.append(" ".join(words).capitalize() + ".")
        han = "".join(HAN[(i * 5 + j * (3 + i % 4)) % len(HAN)] for j in range(4 + i % 8))
        lines.append(han + "，" + words[0] + " " + str(i * 37 % 1000) + "。")
    return lines


def train(name, size=380, file="tokenizer.model", config=None, change=None, **options):
    folder = os.path.join(OUT, "own", name)
    os.makedirs(folder)
    written = io.BytesIO()
    options = {"model_type": "bpe", "normalization_rule_name": "identity", "remove_extra_whitespaces": False,
               "character_coverage": 0.98, "byte_fallback": False, "hard_vocab_limit": False, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus()), model_writer=written, vocab_size=size,
                                             minloglevel=2, num_threads=1, **options)
    model = proto.ModelProto()
    model.ParseFromString(written.getvalue())
    for text in ("input", "model_prefix"):
        model.trainer_spec.ClearField(text)
    model.normalizer_spec.ClearField("normalization_rule_tsv")  # a path of this machine; the rules themselves stay
    if change:
        change(model)
    with open(os.path.join(folder, file), "wb") as out:
        out.write(model.SerializeToString(deterministic=True))
    if config:
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as out:
            json.dump(config, out)
    return os.path.join(folder, file)


def rules():
    """A few rules of normalization: longest match, deletion, growth, blanks."""
    path = os.path.join(OUT, "rules.tsv")
    point = lambda text: " ".join(f"{ord(c):X}" for c in text)
    pairs = {"Ａ": "A", "Ｂ": "B", "ﬁ": "fi", "ﬂ": "fl", "½": "1/2", "e\u0301": "é", "\u3000": " ", "\t": " ", "\n": " ",
             "\u200b": "", "…": "...", "☺\ufe0f": "☺", "☺": ":)", "™": "TM", "\u00a0": " "}
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(f"{point(a)}\t{point(b)}\n" for a, b in pairs.items())
    return path


def equal_scores(model):
    """Two vocabularies put together: those appended have one score, the best."""
    have = {piece.piece for piece in model.pieces}
    texts = ["天地", "地人", "人山", "山水", "ab", "ba", "aba", "bab", "aa", "aaa", "▁▁", "▁▁▁▁", "ll", "lo", "el", "he", "hel"]
    for text in texts + [c for text in texts for c in text]:
        if text not in have:
            have.add(text)
            model.pieces.add(piece=text, score=0.0, type=1)


def some_unused(model):
    """Steps on the way that are no tokens themselves."""
    pieces = [piece for piece in model.pieces if piece.type == 1 and len(piece.piece) > 1]
    for piece in pieces[5::4]:
        piece.type = 5


def own_models():
    special = ["<|im_start|>", "<|im_end|>"]
    rule_file = rules()
    paths = {
        "bpe": train("bpe", byte_fallback=True),
        "bpe-tidy": train("bpe-tidy", remove_extra_whitespaces=True),
        "bpe-defined": train("bpe-defined", byte_fallback=True, add_dummy_prefix=False,
                             user_defined_symbols=special + ["\n", "▁▁", "▁▁▁▁", "ab", "<td>", "</td>", "天气"]),
        "bpe-suffix": train("bpe-suffix", treat_whitespace_as_suffix=True),
        "bpe-rules": train("bpe-rules", byte_fallback=True, normalization_rule_name="", normalization_rule_tsv=rule_file,
                           user_defined_symbols=["ﬁ", "▁▁"]),
        "bpe-equal": train("bpe-equal", byte_fallback=True, change=equal_scores),
        "bpe-unused": train("bpe-unused", byte_fallback=True, change=some_unused),
        "unigram": train("unigram", model_type="unigram", byte_fallback=True, user_defined_symbols=special),
        "unigram-tidy": train("unigram-tidy", model_type="unigram", remove_extra_whitespaces=True,
                              normalization_rule_name="", normalization_rule_tsv=rule_file),
        "unigram-unused": train("unigram-unused", model_type="unigram", change=some_unused),
        "glm1": train("glm1", size=520, model_type="unigram", byte_fallback=True, file="ice_text.model",
                      config={"tokenizer_class": "ChatGLMTokenizer", "bos_token": "<sop>", "eos_token": "<eop>",
                              "gmask_token": "[gMASK]", "mask_token": "[MASK]", "pad_token": "<pad>",
                              "unk_token": "<unk>", "num_image_tokens": 100},
                      user_defined_symbols=["<n>", "<|tab|>"] + [f"<|blank_{i}|>" for i in range(2, 81)],
                      control_symbols=["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"]),
    }
    os.remove(rule_file)
    return paths


def own_ranks():
    """A rank file trained on our own texts."""
    folder = os.path.join(OUT, "own", "ranks")
    os.makedirs(folder)
    words = [word.encode() for line in corpus() for word in re.findall(r" ?\w+|[^\w]+", line)]
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    ranks = {bytes([i]): i for i in range(256)}
    parts = {word: [bytes([byte]) for byte in word] for word in counts}
    while len(ranks) < 600:
        pairs = {}
        for word, split in parts.items():
            for pair in zip(split, split[1:]):
                pairs[pair] = pairs.get(pair, 0) + counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        ranks.setdefault(best[0] + best[1], len(ranks))
        for word, split in parts.items():
            at = 0
            while at + 1 < len(split):
                if (split[at], split[at + 1]) == best:
                    split[at:at + 2] = [best[0] + best[1]]
                at += 1
    with open(os.path.join(folder, "tokenizer.model"), "w") as out:
        out.writelines(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())
    return ranks


def case(name, files, reference, marks=(), front=(), behind=(), texts=None):
    texts = TEXTS if texts is None else texts
    marked = with_marks(marks)
    row = lambda text: {"ids": (ids := reference.ids(text)), "decoded": reference.text(ids)}
    return {"name": name, "files": files, "front": list(front), "behind": list(behind),
            "texts": [row(text) for text in texts],
            "marked": [{"text": text, **row(text)} for text in marked]}


def real_cases():
    model = lambda name, file="tokenizer.model": shared(real(f"{name}/{file}"))
    files = lambda name, *names: {file: real(f"{name}/{file}") for file in names}
    llama = {"<s>": 1, "</s>": 2, "<unk>": 0}
    config = json.load(open(model("minicpm4", "tokenizer_config.json")))
    minicpm = {token["content"]: int(i) for i, token in config["added_tokens_decoder"].items()}
    config = json.load(open(model("llama3", "tokenizer_config.json")))
    llama3 = {token["content"]: int(i) for i, token in config["added_tokens_decoder"].items()}
    config = json.load(open(model("qwen2.5", "tokenizer_config.json")))
    qwen = {token["content"]: int(i) for i, token in config["added_tokens_decoder"].items()}
    qwen_ranks = ranks_of_vocabulary(model("qwen2.5", "vocab.json"), 151643)
    glm = {"[MASK]": 64789, "[gMASK]": 64790, "[sMASK]": 64791, "<|system|>": 64794, "<|user|>": 64795,
           "<|assistant|>": 64796, "<|observation|>": 64797}
    yield case("gpt2", {"vocab.json": real("gpt2/vocab.json"), "merges.txt": real("gpt2/vocab.bpe")},
               Ranks(ranks_of_vocabulary(model("gpt2", "vocab.json"), 50256), GPT2, {"<|endoftext|>": 50256}),
               ["<|endoftext|>"] * 2)
    yield case("qwen2.5", files("qwen2.5", "vocab.json", "merges.txt", "tokenizer_config.json"),
               Ranks(qwen_ranks, QWEN2, qwen, True), ["<|im_start|>", "<|im_end|>"])
    yield case("qwen3", {**files("qwen2.5", "vocab.json", "merges.txt"), **files("qwen3", "tokenizer_config.json")},
               Ranks(qwen_ranks, QWEN2, {**qwen, "<think>": 151667, "</think>": 151668}, True), ["<think>", "</think>"])
    tiny = Pipeline(model("torchtune-tiny", "tiny_bpe_tokenizer.json"))
    yield case("torchtune-tiny", {"vocab.json": real("torchtune-tiny/tiny_bpe_vocab.json"),
                                  "merges.txt": real("torchtune-tiny/tiny_bpe_merges.txt"),
                                  "tokenizer_config.json": "own/qwen2.json"}, tiny)
    yield case("llama3", files("llama3", "tokenizer.model", "tokenizer_config.json"),
               Ranks(read_ranks(model("llama3")), LLAMA3, llama3), ["<|start_header_id|>", "<|eot_id|>"], front=[128000])
    yield case("llama3 without its config", files("llama3", "tokenizer.model"),
               Ranks(read_ranks(model("llama3")), LLAMA3, llama3), ["<|start_header_id|>", "<|eot_id|>"], front=[128000])
    yield case("llama2", files("llama2", "tokenizer.model", "tokenizer_config.json"), Pieces(model("llama2"), llama),
               ["<s>", "</s>"], front=[1])
    yield case("llama2 without its config", files("llama2", "tokenizer.model"), Pieces(model("llama2")))
    baichuan = files("baichuan2", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json")
    yield case("baichuan2", baichuan, Pieces(model("baichuan2"), llama), ["<reserved_106>", "</s>"])
    yield case("chatglm3", files("chatglm3", "tokenizer.model", "tokenizer_config.json"),
               Pieces(model("chatglm3"), {**glm, **llama}), ["<|user|>", "[gMASK]"], front=[64790, 64792])
    yield case("chatglm2", {**files("chatglm3", "tokenizer.model"), "tokenizer_config.json": "own/chatglm2.json"},
               Pieces(model("chatglm3"), {**{k: glm[k] for k in list(glm)[:3]}, **llama}), ["<|user|>", "[gMASK]"],
               front=[64790, 64792])
    yield case("minicpm4", files("minicpm4", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
               Pieces(model("minicpm4"), minicpm), ["<|im_start|>", "<|im_end|>"], front=[1])
    yield case("minicpm4 by added_tokens.json", {**files("minicpm4", "tokenizer.model", "added_tokens.json"),
                                                 "tokenizer_config.json": "own/llama.json"},
               Pieces(model("minicpm4"), minicpm), ["<|im_start|>", "<|im_end|>"], front=[1])
    yield case("mistral v1", {"tokenizer.model": real("mistral/tokenizer.model.v1"),
                              **files("mistral", "tokenizer_config.json")},
               Pieces(model("mistral", "tokenizer.model.v1"), llama), ["<s>", "</s>"], front=[1])
    v2 = "mistral_instruct_tokenizer_240216.model.v2"
    yield case("mistral v2", {"tokenizer.model": real(f"mistral/{v2}")}, Pieces(model("mistral", v2)))
    yield case("sentencepiece-unigram", {"tokenizer.model": real("sentencepiece-unigram/test_model.model")},
               Pieces(model("sentencepiece-unigram", "test_model.model")))


def own_cases():
    for name, path in own_models().items():
        file = os.path.basename(path)
        files = {file: f"own/{name}/{file}"}
        if name == "glm1":
            files["tokenizer_config.json"] = f"own/{name}/tokenizer_config.json"
            reference = Glm1(path, 100)
            ids = [reference.model.piece_to_id(token) + 100 for token in ("[gMASK]", "<sop>")]
            # Special tokens in a text are tokens here, which SentencePiece leaves to its caller.
            texts = [text.replace("[MASK]", "").replace("<unk>", "").replace("<pad>", "") for text in TEXTS]
            yield {**case(name, files, reference, behind=ids, texts=texts), "replaced": True}
        else:
            yield case(name, files, Pieces(path))
    ranks = own_ranks()
    marks = {"<|begin_of_text|>": 600, "<|end_of_text|>": 601}
    yield case("ranks", {"tokenizer.model": "own/ranks/tokenizer.model"}, Ranks(ranks, LLAMA3, marks), list(marks),
               front=[600])
    glm = ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>"]
    yield case("ranks of GLM-4", {"tokenizer.model": "own/ranks/tokenizer.model", "tokenizer_config.json": "own/glm4.json"},
               Ranks(ranks, LLAMA3, dict(zip(glm, range(600, 608)))), ["<|user|>", "[gMASK]"], front=[602, 604])
    qwen = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    yield case("ranks of Qwen 1", {"qwen.tiktoken": "own/ranks/tokenizer.model"},
               Ranks(ranks, QWEN2, dict(zip(qwen, range(600, 603))), True), qwen[1:])


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(os.path.join(OUT, "own"))
    configs = {"qwen2": {"tokenizer_class": "Qwen2Tokenizer"}, "glm4": {"tokenizer_class": "ChatGLM4Tokenizer"},
               "llama": {"tokenizer_class": "LlamaTokenizer"},
               "chatglm2": {"name_or_path": "THUDM/chatglm2-6b", "tokenizer_class": "ChatGLMTokenizer"}}
    for name, config in configs.items():
        with open(os.path.join(OUT, "own", f"{name}.json"), "w") as out:
            json.dump(config, out)
    cases = [*own_cases(), *real_cases()]
    with open(os.path.join(OUT, "expected.json"), "w", encoding="utf-8") as out:
        out.write('{"texts": ' + json.dumps(TEXTS) + ',\n"cases": [\n')
        out.write(",\n".join(json.dumps(one, separators=(",", ":")) for one in cases))
        out.write("\n]}\n")


if __name__ == "__main__":
    main()
