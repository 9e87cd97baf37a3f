#!/usr/bin/env python3
"""Makes the fonts of the window, assets/fonts/*, out of the full ones. The results are committed; nothing at build time runs this.

Install first, on Debian (the committed files are of bookworm's packages, inter-ui 4.1.1 and fonttools 4.68.0):

    apt-get install fonts-noto-cjk fonts-jetbrains-mono unicode-data
    npm install --ignore-scripts --prefix /tmp/inter inter-ui@4.1.1
    pip install fonttools==4.68.0 brotli

Then, in the root of the repository:

    python3 packaging/subset_fonts.py --inter /tmp/inter/node_modules/inter-ui

What comes out:

    Inter-Regular.ttf, Inter-SemiBold.ttf   Latin, Greek, signs. Its digits are the tabular ones, always.
    JetBrainsMono-Regular.ttf               Latin, Greek, Cyrillic, signs, box drawing. No ligatures: `!=` stays two characters.
    NotoSansSC-Subset.otf                   GB 2312, the general standard list of Han characters, full-width forms, signs.
    OFL-*.txt                               The licence of each, under the copyright line that the font itself carries.

The same inputs give the same bytes. At the end it says which of the wanted signs no font has.
"""

import argparse
import bz2
import os
import re
import sys

from fontTools import subset
from fontTools.ttLib import TTFont

NOTO = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
NOTO_SC = 2  # number of the simplified Chinese face in the collection
JETBRAINS = "/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf"
# The Unicode database; its key kTGH marks 通用规范汉字表, the 8 105 characters of 2013.
UNIHAN = "/usr/share/unicode/Unihan_OtherMappings.txt.bz2"

# Features that shape plain text. Left out on purpose: calt and liga, which turn `->` into an arrow and `2x3` into a product.
FEATURES = ["kern", "mark", "mkmk", "ccmp", "locl"]

# All of one font, the Chinese one: Inter stops at nine.
CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"

# Signs that the window may draw; each should be in one font at least.
SIGNS = (
    "→←↑↓↔↕↗↘↖↙⇧⌘⌥⌃⏎⌫⌦⎋⇥␣"
    "▸▾▴◂▶▼▲◀▷▽△◁●○◉◌◆◇■□▪▫◦•★☆"
    "✓✔✗✘✕⚠ℹ·…×÷≤≥≠≈≡±∓∞√∑∏∂∆∇∫µπσ°′″‰"
    "░▒▓█▇▆▅▄▃▂▁▏▎▍▌▋▊▉▐▀│─┌┐└┘├┤┬┴┼╭╮╰╯┊┆"
    "¶§†‡№™©®€£¥₿‹›«»‘’“”–—−⁄"
    "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉"
    "、。，．；：？！「」『』《》〈〉【】〔〕（）［］｛｝～￥＋－＝％…—・" + CIRCLED
)


def span(*pairs):
    return {c for first, last in pairs for c in range(first, last + 1)}


LATIN = span(
    (0x0020, 0x007E),
    (0x00A0, 0x017F),  # Latin-1, Latin Extended-A
    (0x0192, 0x0192),
    (0x0218, 0x021B),
    (0x02C6, 0x02DD),
    (0x0300, 0x0304),
    (0x0306, 0x030C),
    (0x0323, 0x0328),
    (0x0370, 0x03FF),  # Greek
    (0x1E9E, 0x1E9E),
    (0x2000, 0x206F),  # punctuation and spaces
    (0x2070, 0x209F),  # superscripts and subscripts
    (0x20A0, 0x20C0),  # currency
    (0x2100, 0x214F),  # letter-like signs
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # mathematics
    (0xFFFD, 0xFFFD),
) | {ord(c) for c in SIGNS if c not in CIRCLED}

CYRILLIC = span((0x0400, 0x045F), (0x0490, 0x0491))
DRAWING = span((0x2300, 0x23FF), (0x2500, 0x25FF), (0x2600, 0x27BF))


def gb2312():
    """Every character of GB 2312: 6 763 Han characters, kana, signs, full-width forms."""
    out = set()
    for row in range(0xA1, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                out.add(ord(bytes([row, cell]).decode("gb2312")))
            except UnicodeDecodeError:
                pass
    return out


def standard_han():
    """通用规范汉字表, all three levels."""
    with bz2.open(UNIHAN, "rt", encoding="utf-8") as f:
        return {int(m[1], 16) for m in (re.match(r"U\+([0-9A-F]+)\tkTGH\t", line) for line in f) if m}


CHINESE = span(
    (0x0020, 0x007E),  # so that a run of Chinese with a letter in it can stay in one font
    (0x3000, 0x303F),
    (0xFF01, 0xFF5E),
    (0xFFE0, 0xFFE6),
    (0x2190, 0x2193),
    (0x2460, 0x2473),
    (0x2500, 0x257F),
    (0x2580, 0x25FF),
    (0x2600, 0x2606),
    (0x2700, 0x27BF),
) | {ord(c) for c in SIGNS}


def freeze_tabular(font):
    """Lets each digit, plus and minus name its glyph of the feature `tnum`, whose advances are all the same."""
    table = font["GSUB"].table
    lookups = {i for r in table.FeatureList.FeatureRecord if r.FeatureTag == "tnum" for i in r.Feature.LookupListIndex}
    to = {}
    for i in lookups:
        for sub in table.LookupList.Lookup[i].SubTable:
            to.update(getattr(sub, "ExtSubTable", sub).mapping)
    wanted = {ord(c) for c in "0123456789+−"}
    for cmap in font["cmap"].tables:
        for code in wanted & cmap.cmap.keys():
            cmap.cmap[code] = to.get(cmap.cmap[code], cmap.cmap[code])
    metrics = font["hmtx"].metrics
    widths = {metrics[font.getBestCmap()[ord(c)]][0] for c in "0123456789"}
    assert len(widths) == 1, f"digits of several widths: {widths}"


def cut(font, codes, target, features, hinting):
    options = subset.Options()
    options.layout_features = features
    options.hinting = hinting
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    options.name_languages = [0x409]
    options.notdef_outline = True
    options.drop_tables += ["DSIG", "vhea", "vmtx", "VORG", "BASE"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.flavor = None
    font.save(target)
    have = set(TTFont(target).getBestCmap())
    print(f"{os.path.basename(target):28} {os.path.getsize(target):>9} bytes  {len(have)} characters")
    return have


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--inter", required=True, help="folder of the npm package inter-ui")
    args.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "assets", "fonts"))
    args = args.parse_args()
    os.makedirs(args.out, exist_ok=True)
    ofl = open(os.path.join(args.inter, "LICENSE.txt"), encoding="utf-8").read()
    # The text after the copyright line is the same for every font under the licence.
    ofl = ofl[ofl.index("This Font Software is licensed") :]

    def load(path, number=-1):
        return TTFont(path, fontNumber=number, recalcTimestamp=False)

    def licence(name, font):
        notice = font["name"].getDebugName(0)
        with open(os.path.join(args.out, f"OFL-{name}.txt"), "w", encoding="utf-8") as f:
            f.write(f"{notice}\n\n{ofl.strip()}\n")

    have = {}
    for weight in ("Regular", "SemiBold"):
        font = load(os.path.join(args.inter, "web", f"Inter-{weight}.woff2"))
        licence("Inter", font)
        freeze_tabular(font)
        have["Inter"] = cut(font, LATIN, os.path.join(args.out, f"Inter-{weight}.ttf"), FEATURES, True)

    font = load(JETBRAINS)
    licence("JetBrainsMono", font)
    target = os.path.join(args.out, "JetBrainsMono-Regular.ttf")
    have["JetBrains Mono"] = cut(font, LATIN | CYRILLIC | DRAWING, target, ["mark", "mkmk", "ccmp", "locl"], True)

    font = load(NOTO, NOTO_SC)
    licence("NotoSansSC", font)
    standard = standard_han()
    codes = gb2312() | standard | CHINESE
    have["Noto Sans SC"] = cut(font, codes, os.path.join(args.out, "NotoSansSC-Subset.otf"), [], True)

    print("Han characters of the list that Noto Sans SC lacks:", "".join(map(chr, sorted(standard - have["Noto Sans SC"]))) or "none")
    for name, codes in have.items():
        print(f"signs not in {name}:", "".join(c for c in SIGNS if ord(c) not in codes))
    everywhere = set().union(*have.values())
    print("signs in no font:", "".join(c for c in SIGNS if ord(c) not in everywhere) or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
