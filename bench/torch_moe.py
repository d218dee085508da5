#!/usr/bin/env python3
"""The forward pass of bench/forward_layers.cpp's MoE blocks in torch, with the eager loop over experts
that the public implementations of these models run on a CPU: tokens a second at prefill and decode.

  bench/torch_moe.py [model folder that bench_forward_layers wrote]
"""
import json
import os
import struct
import sys
import time

import torch

folder = sys.argv[1] if len(sys.argv) > 1 else "/tmp/moesim_bench_olmoe_layers"
LAYERS, EXPERTS, TOP_K, HIDDEN = 2, 64, 8, 2048


def read_tensors(path):
    data = torch.from_file(path, shared=False, size=os.path.getsize(path), dtype=torch.uint8)
    (length,) = struct.unpack("<Q", bytes(data[:8].tolist()))
    header = json.loads(bytes(data[8 : 8 + length].tolist()))
    tensors = {}
    for name, entry in header.items():
        first, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = data[first:end].view(torch.bfloat16).view(entry["shape"])
    return tensors


def moe(x, layer):
    weights = torch.softmax((x @ layer["gate"].T).float(), -1)
    weights, chosen = torch.topk(weights, TOP_K, -1)
    out = torch.zeros_like(x)
    for expert in range(EXPERTS):
        token, place = torch.where(chosen == expert)
        if token.numel() == 0:
            continue
        gate, up, down = layer["experts"][expert]
        rows = x[token]
        rows = (torch.nn.functional.silu(rows @ gate.T) * (rows @ up.T)) @ down.T
        out.index_add_(0, token, rows * weights[token, place, None].to(rows.dtype))
    return out


def block_weights(tensors, number, dtype):
    prefix = f"model.layers.{number}.mlp."
    experts = [
        [tensors[f"{prefix}experts.{expert}.{name}_proj.weight"].to(dtype) for name in ("gate", "up", "down")]
        for expert in range(EXPERTS)
    ]
    return {"gate": tensors[prefix + "gate.weight"].to(dtype), "experts": experts}


def main():
    torch.set_grad_enabled(False)
    tensors = read_tensors(folder + "/model.safetensors")
    for name, dtype in (("F32", torch.float32), ("BF16", torch.bfloat16)):
        layers = [block_weights(tensors, number, dtype) for number in range(LAYERS)]
        for what, tokens, repeats in (("prefill of 512", 512, 1), ("decode", 1, 20)):
            x = torch.randn(tokens, HIDDEN).to(dtype)
            for layer in layers:
                moe(x, layer)
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats):
                for layer in layers:
                    moe(x, layer)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"torch {torch.__version__}, {torch.get_num_threads()} threads, {name}, {what}: "
                f"{tokens * repeats / wall:.1f} tokens/s, {tokens * repeats / cpu:.1f} a second of CPU"
            )


main()
