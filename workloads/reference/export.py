#!/usr/bin/python3
"""Writes the checkpoint as Hugging Face files and, beside them, what this implementation computes
from those files, so that any other forward pass can be tested on them.

    /usr/bin/python3 export.py --work ~/train"""

import argparse
import json
import os

import torch

import checkpoint
from model import ModelConfig, ReferenceModel

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "model")
TEXTS = ("code", "prose", "arithmetic", "json")
LENGTH = 64


def load_exported(folder=MODEL):
    """The model as stored (BF16 weights), computing in float32."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = ReferenceModel(ModelConfig.from_json(json.load(file)))
    checkpoint.load_weights(model, os.path.join(folder, "model.safetensors"))
    return model.eval()


def frozen_text(name):
    with open(os.path.join(HERE, "texts", name + ".txt"), "rb") as file:
        return file.read()


def ordering_gap(layer, k):
    """Per token, the smallest distance between neighbours among the k + 1 largest router logits:
    what rounding must not exceed for indices and their order to agree."""
    top = layer["logits"].topk(k + 1, dim=-1)[0]
    return (top[:, :-1] - top[:, 1:]).amin(-1)


def choice_gap(layer, k):
    """The smallest distance in probability between a last chosen and a first unchosen expert."""
    top = layer["probabilities"].topk(k + 1, dim=-1)[0]
    return (top[:, -2] - top[:, -1]).min().item()


def widest_window(model, name):
    """Of 32 evenly spaced windows of a frozen text, the one whose closest decision is widest."""
    text = torch.tensor(list(frozen_text(name)))
    firsts = torch.linspace(0, len(text) - LENGTH, 32).long()
    windows = torch.stack([text[first : first + LENGTH] for first in firsts.tolist()])
    _, routing = model(windows)
    k = model.config.num_experts_per_tok
    gaps = torch.stack([ordering_gap(layer, k).view(len(windows), LENGTH).amin(1) for layer in routing])
    return windows[gaps.amin(0).argmax()]


def balance_loss(routing, experts):
    """Hugging Face's load_balancing_loss_func: over the tokens of all layers together."""
    chosen = torch.cat([layer["experts"] for layer in routing])
    probabilities = torch.cat([layer["probabilities"] for layer in routing]).mean(0)
    share = torch.bincount(chosen.flatten(), minlength=experts) / len(chosen)
    return experts * (share * probabilities).sum().item()


def digits(tensor):
    """Nested lists with the nine digits a float32 needs."""
    return [digits(row) for row in tensor] if tensor.dim() else float(f"{tensor.item():.9g}")


@torch.no_grad()
def write_expected(folder):
    model = load_exported(folder)
    ids = torch.stack([widest_window(model, name) for name in ("code", "prose")])
    logits, routing = model(ids)
    k = model.config.num_experts_per_tok
    layers = [{"module": f"model.layers.{i}.mlp", "router_logits": digits(layer["logits"]),
               "topk_idx": layer["experts"].tolist(), "topk_weights": digits(layer["weights"]),
               "min_gap": choice_gap(layer, k)} for i, layer in enumerate(routing)]
    expected = {
        "source": "workloads/reference/model.py, checked against transformers v4.57.1 modeling_qwen3_moe.py",
        "torch": torch.__version__, "dtype": "float32 from bfloat16 weights",
        "input_ids": ids.tolist(), "logits": digits(logits), "tied": [], "layers": layers,
        "load_balancing_loss": balance_loss(routing, model.config.num_experts),
        "z_loss": torch.cat([layer["logits"] for layer in routing]).logsumexp(-1).square().mean().item()}
    checkpoint.write_whole(os.path.join(folder, "expected.json"), json.dumps(expected).encode())
    tensors = {"logits": logits}
    for i, layer in enumerate(routing):
        tensors.update({f"moe.{i}.input": layer["input"], f"moe.{i}.output": layer["output"]})
    checkpoint.write_safetensors(os.path.join(folder, "expected.safetensors"), tensors, "F32")
    return min(ordering_gap(layer, k).min().item() for layer in routing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder with checkpoint.pt, written by train.py")
    parser.add_argument("--out", default=MODEL)
    args = parser.parse_args()
    stored = torch.load(os.path.join(args.work, "checkpoint.pt"))
    model = ReferenceModel(ModelConfig(max_position_embeddings=stored["state"]["runs"][-1]["context"]))
    model.load_state_dict(stored["model"])
    checkpoint.save_model(model, args.out)
    gap = write_expected(args.out)
    print(f"step {stored['state']['step']}; smallest distance of two router logits in order {gap:.3g}")


if __name__ == "__main__":
    main()
