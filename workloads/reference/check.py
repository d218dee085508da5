#!/usr/bin/python3
"""Compares model.py with vectors computed by transformers 4.57.1 (or with its own export): exits 1
when logits, choices or weights differ, or a hand-written gradient is wrong.

    /usr/bin/python3 check.py FOLDER     # config.json, model.safetensors, expected.json"""

import json
import os
import sys

import torch
from torch.nn import functional as F

from checkpoint import load_weights
from model import ExpertMix, ModelConfig, ReferenceModel, RmsScale

LOGITS, WEIGHTS, GRADIENT = 5e-5, 1e-5, 1e-9


def differences(folder):
    """name -> (largest difference, allowed)"""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        model = ReferenceModel(ModelConfig.from_json(json.load(file)))
    load_weights(model, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    with torch.no_grad():
        logits, routing = model(torch.tensor(expected["input_ids"]))
    found = {"logits": ((logits - torch.tensor(expected["logits"])).abs().max().item(), LOGITS)}
    for i, (ours, theirs) in enumerate(zip(routing, expected["layers"])):
        wrong = (ours["experts"] != torch.tensor(theirs["topk_idx"])).sum().item()
        router = (ours["logits"] - torch.tensor(theirs["router_logits"])).abs().max().item()
        weights = (ours["weights"] - torch.tensor(theirs["topk_weights"])).abs().max().item()
        found.update({f"layer {i} choices": (wrong, 0), f"layer {i} router logits": (router, LOGITS),
                      f"layer {i} weights": (weights, WEIGHTS)})
    return found


def plain_mix(x, gate_up, down, experts, weights):
    """ExpertMix, token by token, for autograd to differentiate."""
    out = 0
    for slot in range(experts.shape[1]):
        gate, up = torch.einsum("th,toh->to", x, gate_up[experts[:, slot]]).chunk(2, -1)
        y = torch.einsum("ti,thi->th", F.silu(gate) * up, down[experts[:, slot]])
        out = out + weights[:, slot : slot + 1] * y
    return out


def gradient_difference(ours, plain, inputs, constants):
    """Largest difference of any gradient for a random direction, in float64."""
    direction = torch.randn_like(plain(*inputs, *constants))
    pairs = zip(*(torch.autograd.grad(f(*inputs, *constants), inputs, direction) for f in (ours, plain)))
    return max((a - b).abs().max().item() for a, b in pairs)


def gradients():
    torch.manual_seed(1)
    x, gate_up, down, weights = (torch.randn(*shape, dtype=torch.double, requires_grad=True)
                                 for shape in ((40, 8), (5, 12, 8), (5, 8, 6), (40, 2)))
    experts = torch.rand(40, 4).topk(2)[1]  # expert 4 receives nothing
    mix = gradient_difference(lambda x, g, d, w, e: ExpertMix.apply(x, g, d, e, w),
                              lambda x, g, d, w, e: plain_mix(x, g, d, e, w), [x, gate_up, down, weights], [experts])
    scale = torch.randn(8, dtype=torch.double, requires_grad=True)
    norm = gradient_difference(lambda x, w: RmsScale.apply(x, w, 1e-6),
                               lambda x, w: w * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt(), [x, scale], [])
    return {"gradient of ExpertMix": (mix, GRADIENT), "gradient of RmsScale": (norm, GRADIENT)}


def main():
    wrong = 0
    for name, (found, allowed) in {**differences(sys.argv[1]), **gradients()}.items():
        print(f"{'ok   ' if found <= allowed else 'WRONG'} {name}: {found:.3g} (allowed {allowed:g})")
        wrong += found > allowed
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
