"""Bottleneck adapters as AdapterHub saves them, for tests/fixtures/adapterhub, with the logits that it computes.

pip install adapters==1.3.0 safetensors  (brings transformers 4.57; torch beside it), then
python make_adapterhub.py ../fixtures
"""

import json
import sys
from pathlib import Path

import adapters
import torch
import transformers
from adapters import DoubleSeqBnConfig, SeqBnConfig
from safetensors.torch import load_file, save_file

FIXTURES = Path(sys.argv[1])
IDS = [5, 9, 33, 40, 21, 7, 12, 80, 14]
BASES = {"llama": "llama-gqa-llama3", "gpt2": "gpt2-base"}
FORMS = {"pfeiffer": SeqBnConfig, "houlsby": DoubleSeqBnConfig}


def config(folder: Path) -> transformers.PretrainedConfig:
    """transformers 4 has other words for what transformers 5 says of positions."""
    read = json.loads((folder / "config.json").read_text())
    rope = read.pop("rope_parameters", None)
    if rope:
        read["rope_theta"] = rope.pop("rope_theta")
        read["rope_scaling"] = rope
    return transformers.AutoConfig.for_model(**read)


def make(form: str, base: str) -> None:
    folder = FIXTURES / "golden" / BASES[base] / "model"
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config(folder), dtype=torch.float32)
    model.eval()
    known = load_file(folder.parent / "expected.safetensors")
    with torch.no_grad():
        base_logits = model(known["input_ids"], attention_mask=known["attention_mask"]).logits
    assert (base_logits - known["logits"])[known["attention_mask"] == 1].abs().max() < 1e-4, "another base"
    adapters.init(model)
    model.add_adapter("task", config=FORMS[form](reduction_factor=8))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".adapters." in name:
                parameter.normal_(0, 0.15)
    model.set_active_adapters("task")
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    out = FIXTURES / "adapterhub" / f"{form}-{base}"
    out.mkdir(parents=True, exist_ok=True)
    model.config.name_or_path = "model"
    model.save_adapter(str(out), "task")
    for head in ["head_config.json", "pytorch_model_head.bin"]:
        (out / head).unlink(missing_ok=True)
    tensors = {"ids": torch.tensor(IDS, dtype=torch.int64), "logits": logits.contiguous()}
    save_file(tensors, out / "expected.safetensors")


for base in BASES:
    for form in FORMS:
        make(form, base)
