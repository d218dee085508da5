#!/usr/bin/env python3
"""Times kernels, whole steps, and kernels beside others on one NVIDIA GPU with PyTorch: what h200.jsonl holds.

  measure_gpu.py FOLDER [section ...]     sections: all of SECTIONS below, in that order

Needs PyTorch 2.9 or newer, Triton and CuPy. Every figure is one line of FOLDER/results.jsonl, written as
soon as it is there. Times are of a CUDA graph of some launches over rotating inputs that exceed the L2
cache, so nothing of the host is in them; medians of seven replays.
"""
import subprocess
import sys
import time
import traceback

import torch

import attention_kernels
import expert_kernels
from product_sections import copies, dense, grouped, grouped_skewed, grouped_triton
from step_sections import decode_attention, interference, prefill_attention, steps, training

SECTIONS = {f.__name__: f for f in (dense, grouped, grouped_skewed, grouped_triton, steps, decode_attention, prefill_attention, interference, training, copies)}


def main():
    print(subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit",
                          "--format=csv"], capture_output=True, text=True).stdout)
    print(torch.__version__, torch.version.cuda, torch.backends.cudnn.version())
    attention_kernels.check_attention()
    expert_kernels.check_experts()
    for name in sys.argv[2:] or SECTIONS:
        start = time.perf_counter()
        try:
            SECTIONS[name]()
        except Exception as error:
            traceback.print_exc()
            print("section", name, "failed:", str(error)[:300])
        torch.cuda.empty_cache()
        print("section %s: %.1f s" % (name, time.perf_counter() - start), flush=True)


main()
