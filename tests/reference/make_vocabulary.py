"""Extended tokenizers, as sentencepiece and tokenizers have them: what `tests/data/vocabulary.rs` is held against.

    python tests/reference/make_vocabulary.py SHARED            # writes tests/fixtures/reference/vocabulary again
    python tests/reference/make_vocabulary.py --check FOLDER    # the ids of a folder that emberwright wrote

`SHARED` is the folder of large fixtures. The merge of pieces is that of Chinese-LLaMA's `merge_tokenizers.py`; pieces are
learned by a slow byte-pair encoding of its own here, whose rules (words, ties) are those that emberwright states.
With --check, FOLDER holds a tokenizer.model or tokenizer.json, `vocabulary.json`, and `probe.json`: texts with the ids
that emberwright gives them.
"""

import collections
import json
import os
import sys

import sentencepiece
import tokenizers
import transformers
from sentencepiece import sentencepiece_model_pb2 as proto

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures", "reference")
OUT = os.path.join(FIXTURES, "vocabulary")
BLANK = "\u2581"

PLACES = ["河边", "山谷", "工坊", "图书馆", "the harbour", "old town"]
THINGS = ["余烬", "铁匠铺", "语言模型", "词表扩充", "emberwright", "tokenizer"]
LINES = [
    "今天我们在{0}讨论{1}，参加的人很多。", "{1}的训练需要耐心，{0}的老师这样说。", "如果把{1}放在{0}，大家都会看到{1}。",
    "In {0} the {1} was lit again; nobody knew why.", "词表扩充之后，{1}在{0}的句子变短了。", "{0}，{0}，还是{0}：{1}！",
]
LIST = ["余烬", "emberwright", "词表 扩充", "铁匠铺", "<note>", "ÆØÅ", "语言模型"]
TEXTS = [
    "余烬在工坊里。", "the emberwright of old town", "词表 扩充之后，语言模型的句子变短了。", "今天我们在河边讨论语言模型，参加的人很多。",
    "<note>铁匠铺</note>", "xÆØÅy", " emberwright", "emberwrights", "余 烬", "Hello, world!", "你好，世界！", "", " ", "\n",
    "人工智能（AI）正在改变 2024 年的世界。", "tokenizer tokenizers in the harbour", "如果把词表扩充放在图书馆，大家都会看到词表扩充。",
]
SIZE, COVERAGE, LONGEST_PIECE, LONGEST_WORD, RARE = 60, 0.999, 16, 64, 2


def training_lines():
    for number in range(72):
        yield LINES[number % 6].format(PLACES[number // 6 % 6], THINGS[number // 12 % 6])


def unspaced(c):
    spans = [(0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
             (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x3FFFF), (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)]
    return any(low <= ord(c) <= high for low, high in spans)


def script(c):
    return "u" if unspaced(c) else "d" if c.isnumeric() else "a" if c.isalpha() else "s"


def words_of(lines):
    counts = collections.Counter()
    for line in lines:
        for chunk in line.split():
            word, before = BLANK, None
            for c in chunk:
                if before not in (None, script(c)) or len(word.removeprefix(BLANK)) == LONGEST_WORD:
                    counts[word] += 1
                    word = ""
                before = script(c)
                word += c
            counts[word] += 1
    return counts


def learned(lines, as_token, is_known, taken):
    """Pieces in the order of their frequency, characters among them."""
    words = words_of(lines)
    seen = collections.Counter()
    for word, count in words.items():
        for c in word:
            seen[c] += count
    total, so_far, characters = sum(seen.values()), 0, []
    for c, count in sorted(sorted(seen.items()), key=lambda item: -item[1]):
        if so_far < COVERAGE * total:
            characters.append((c, count))
        so_far += count
    symbols = sorted(c for c, _ in characters)
    ids = {c: place for place, c in enumerate(symbols)}
    spelled = [([ids.get(c) for c in word], count) for word, count in sorted(words.items())]
    tokens, taken = [], set(taken)

    def take(piece):
        text = as_token(piece)
        if text is not None and text not in taken and not is_known(text):
            taken.add(text)
            tokens.append(text)

    while True:
        pairs = collections.Counter()
        for word, count in spelled:
            for left, right in zip(word, word[1:]):
                fits = None not in (left, right) and len(symbols[left]) + len(symbols[right]) <= LONGEST_PIECE
                if fits:
                    pairs[left, right] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        count = pairs[best] if best else RARE
        while characters and characters[0][1] >= max(count, RARE):
            take(characters.pop(0)[0])
        if best is None or count < RARE or len(tokens) >= SIZE:
            return tokens[:SIZE]
        piece = symbols[best[0]] + symbols[best[1]]
        take(piece)
        if piece not in ids:
            ids[piece] = len(symbols)
            symbols.append(piece)
        for word, _ in spelled:
            place = 0
            while place + 1 < len(word):
                if (word[place], word[place + 1]) == best:
                    word[place:place + 2] = [ids[piece]]
                place += 1


def extended_sentencepiece(file):
    plain = sentencepiece.SentencePieceProcessor(model_file=file)
    unknown = plain.unk_id()

    def inside(processor, text):
        ids = processor.encode(text)
        blank = not text.startswith(" ") and len(ids) > 1 and processor.id_to_piece(ids[0]) == BLANK
        return ids[1:] if blank else ids

    def is_known(text):
        ids = inside(plain, text)
        return plain.piece_to_id(text.replace(" ", BLANK)) != unknown or len(ids) == 1 and ids[0] != unknown

    listed = [text for text in LIST if not is_known(text)]
    pieces = learned(training_lines(), lambda piece: text if (text := piece.replace(BLANK, " ")).strip() else None,
                     is_known, listed)
    while True:
        model = proto.ModelProto()
        with open(file, "rb") as handle:
            model.ParseFromString(handle.read())
        first = len(model.pieces)
        kinds = proto.ModelProto.SentencePiece
        joins = model.trainer_spec.model_type == proto.TrainerSpec.BPE
        for text in listed:
            model.pieces.add(piece=text.replace(" ", BLANK), score=0.0, type=kinds.USER_DEFINED if joins else kinds.NORMAL)
        for text in pieces:
            model.pieces.add(piece=text.replace(" ", BLANK), score=0.0)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        reached = lambda text, place: [place] in (inside(processor, text), inside(processor, text.removeprefix(" ")))
        kept = [text for place, text in enumerate(pieces, first + len(listed)) if reached(text, place)]
        if kept == pieces:
            return listed, pieces, processor.encode
        pieces = kept


def extended_tokenizers(load):
    plain, extended = load(), load()

    def is_known(text):
        return plain.token_to_id(text) is not None or len(plain.encode(text, add_special_tokens=False).ids) == 1

    listed = [text for text in LIST if not is_known(text)]
    pieces = learned(training_lines(), lambda piece: piece if all(map(unspaced, piece)) else None, is_known, listed)
    # A byte-level decoder takes the letters of some bytes for these.
    probe = load()
    probe.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in listed])
    listed = [text for text in listed if probe.decode([probe.token_to_id(text)]).strip() == text.strip()]
    extended.add_tokens([tokenizers.AddedToken(text, normalized=False) for text in listed + pieces])
    return listed, pieces, lambda text: extended.encode(text, add_special_tokens=False).ids


def cases(shared):
    own = os.path.join("tokenizers", "own")
    for name in ["bpe", "bpe-tidy", "unigram"]:
        file = os.path.join(own, name, "tokenizer.model")
        yield f"own {name}", {"tokenizer.model": file}, extended_sentencepiece(os.path.join(FIXTURES, file))
    llama = "realdata/tokenizers/llama2/tokenizer.model"
    yield "llama2", {"tokenizer.model": llama}, extended_sentencepiece(os.path.join(shared, llama))
    stories = "realdata/models/stories260K-hf/tokenizer.json"
    loaded = lambda: tokenizers.Tokenizer.from_file(os.path.join(shared, stories))
    yield "stories", {"tokenizer.json": stories}, extended_tokenizers(loaded)
    files = {"vocab.json": "realdata/tokenizers/gpt2/vocab.json", "merges.txt": "realdata/tokenizers/gpt2/vocab.bpe"}
    gpt2 = lambda: tokenizers.ByteLevelBPETokenizer(*(os.path.join(shared, file) for file in files.values()))
    yield "gpt2", files, extended_tokenizers(lambda: gpt2()._tokenizer)


def check(folder):
    """The libraries read what emberwright wrote, and give the same ids."""
    with open(os.path.join(folder, "probe.json"), encoding="utf-8") as handle:
        probe = json.load(handle)
    with open(os.path.join(folder, "vocabulary.json"), encoding="utf-8") as handle:
        record = json.load(handle)
    model, fast = (os.path.join(folder, name) for name in ("tokenizer.model", "tokenizer.json"))
    if os.path.exists(fast):
        loaded = tokenizers.Tokenizer.from_file(fast)
        encode, name_of = lambda text: loaded.encode(text, add_special_tokens=False).ids, loaded.id_to_token
    elif os.path.exists(os.path.join(folder, "vocab.json")):
        loaded = transformers.GPT2Tokenizer.from_pretrained(folder)
        encode, name_of = lambda text: loaded.encode(text, add_special_tokens=False), loaded.convert_ids_to_tokens
    else:
        processor = sentencepiece.SentencePieceProcessor(model_file=model)
        encode, name_of = processor.encode, lambda place: processor.id_to_piece(place).replace(BLANK, " ")
    wrong = [text for text, ids in probe.items() if encode(text) != ids]
    named = [name_of(record["first"] + place) == token["text"] for place, token in enumerate(record["tokens"])]
    print(f"{folder}: {len(probe) - len(wrong)} of {len(probe)} texts, {sum(named)} of {len(named)} new tokens")
    sys.exit(bool(wrong) or not all(named))


def main():
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "text.txt"), "w", encoding="utf-8") as handle:
        handle.writelines(line + "\n\n" for line in training_lines())
    made = []
    for name, files, (listed, pieces, encode) in cases(sys.argv[1]):
        made.append({"name": name, "files": files, "listed": listed, "learned": pieces,
                     "ids": [encode(text) for text in TEXTS]})
        print(name, len(listed), len(pieces))
    expected = {"list": LIST, "size": SIZE, "coverage": COVERAGE, "texts": TEXTS, "cases": made}
    with open(os.path.join(OUT, "expected.json"), "w", encoding="utf-8") as handle:
        json.dump(expected, handle, ensure_ascii=False, separators=(",", ":"))
        handle.write("\n")


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1] == "--check" else main()
