#!/usr/bin/env python3
"""Makes assets/icons/*.svg out of Lucide's icons, and the program icon's pictures. The results are committed; no build runs this.

Install first (the committed files are of lucide-static 1.62.0 and Debian bookworm's librsvg):

    npm install --ignore-scripts --prefix /tmp/lucide lucide-static@1.62.0
    apt-get install librsvg2-bin

Then, in the root of the repository:

    python3 packaging/make_icons.py --lucide /tmp/lucide/node_modules/lucide-static

An icon is drawn in white strokes on 24 × 24, so that the program multiplies it by the colour of the text beside it.
emberwright.svg is drawn by hand and stays as it is.
"""

import argparse
import os
import re
import shutil
import subprocess

# Name here: name in Lucide. Names say what an icon means, not what it shows.
ICONS = {
    # Places
    "model": "box",
    "data": "database",
    "method": "flask-conical",
    "train": "flame",
    "chat": "message-square",
    "export": "package",
    "runs": "history",
    "settings": "settings",
    # A run
    "play": "play",
    "pause": "pause",
    "stop": "square",
    "save": "save",
    "best": "diamond",
    "flag": "flag",
    "checkpoint": "bookmark",
    "merge": "merge",
    "target": "target",
    "activity": "activity",
    "gauge": "gauge",
    # Files and editing
    "folder": "folder",
    "folder-open": "folder-open",
    "file": "file",
    "file-plus": "file-plus",
    "trash": "trash-2",
    "copy": "copy",
    "edit": "pencil",
    "undo": "undo-2",
    "redo": "redo-2",
    "download": "download",
    "upload": "upload",
    "link": "link",
    # Signs
    "plus": "plus",
    "minus": "minus",
    "close": "x",
    "check": "check",
    "warning": "triangle-alert",
    "error": "octagon-x",
    "info": "info",
    "help": "circle-question-mark",
    "search": "search",
    "chevron-right": "chevron-right",
    "chevron-down": "chevron-down",
    "chevron-left": "chevron-left",
    "chevron-up": "chevron-up",
    "arrow-right": "arrow-right",
    "arrow-left": "arrow-left",
    "arrow-up": "arrow-up",
    "arrow-down": "arrow-down",
    "refresh": "refresh-cw",
    "more": "ellipsis",
    "drag": "grip-vertical",
    "external-link": "external-link",
    "star": "star",
    "pin": "pin",
    "maximize": "maximize-2",
    # The machine
    "cpu": "cpu",
    "gpu": "gpu",
    "memory": "memory-stick",
    "clock": "clock",
    "thermometer": "thermometer",
    "power": "power",
    "bolt": "zap",
    "lock": "lock",
    # Views
    "sun": "sun",
    "moon": "moon",
    "language": "languages",
    "eye": "eye",
    "eye-off": "eye-off",
    "filter": "funnel",
    "sliders": "sliders-horizontal",
    "chart": "chart-line",
    "compare": "columns-2",
    "layout": "panels-top-left",
    "table": "table-2",
    "code": "code",
    "tree": "list-tree",
    "layers": "layers",
    "scissors": "scissors",
    "tag": "tag",
    "command": "command",
    "keyboard": "keyboard",
    # Talk
    "send": "send-horizontal",
    "user": "user",
    "bot": "bot",
}

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none" '
    'stroke="#ffffff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--lucide", required=True, help="folder of the npm package lucide-static")
    args = args.parse_args()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    out = os.path.join(root, "assets", "icons")
    os.makedirs(out, exist_ok=True)
    for name, source in ICONS.items():
        svg = open(os.path.join(args.lucide, "icons", f"{source}.svg"), encoding="utf-8").read()
        body = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.S)[1]
        body = "".join(f"  {line.strip()}\n" for line in body.splitlines() if line.strip())
        body = body.replace("currentColor", "#ffffff")
        with open(os.path.join(out, f"{name}.svg"), "w", encoding="utf-8") as f:
            f.write(f"{HEAD}\n{body}</svg>\n")
    shutil.copyfile(os.path.join(args.lucide, "LICENSE"), os.path.join(out, "LICENSE-lucide.txt"))

    pictures = os.path.join(root, "packaging", "icons")
    os.makedirs(pictures, exist_ok=True)
    for side in (16, 32, 64, 256):
        target = os.path.join(pictures, f"emberwright-{side}.png")
        subprocess.run(["rsvg-convert", "-w", str(side), "-h", str(side), "-o", target, os.path.join(out, "emberwright.svg")], check=True)


if __name__ == "__main__":
    main()
