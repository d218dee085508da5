"""Timing and inputs that the sections of measure_gpu.py share."""
import json
import math
import os
import sys
import time

import torch

from attention_kernels import BF16

FP8 = torch.float8_e4m3fn
L2_BYTES = 200e6
output = open(os.path.join(sys.argv[1], "results.jsonl"), "a")


def emit(section, time_us, **conditions):
    line = {"section": section, **conditions, "time_us": round(time_us, 3)}
    output.write(json.dumps(line) + "\n")
    output.flush()
    print(json.dumps(line), flush=True)


def graph_of(calls, count):
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for index in range(count):
            calls[index % len(calls)]()
    return graph


def median_us(graph, count, replays=7):
    times = []
    for _ in range(replays + 2):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        graph.replay()
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last) * 1e3 / count)
    return sorted(times[2:])[replays // 2]


def timed(calls):
    """Time of one of the calls in us."""
    calls[0]()
    torch.cuda.synchronize()
    start = time.perf_counter()
    calls[0]()
    torch.cuda.synchronize()
    guess = time.perf_counter() - start
    count = max(len(calls), min(40, max(4, int(2e-3 / guess))))
    graph = graph_of(calls, count)
    result = median_us(graph, count)
    del graph
    return result


def sets(bytes_a_set):
    return max(1, min(24, math.ceil(L2_BYTES / bytes_a_set)))


def normal(*shape, dtype=BF16):
    if dtype == FP8:
        return torch.empty(*shape, device="cuda", dtype=BF16).normal_().to(FP8)
    return torch.empty(*shape, device="cuda", dtype=dtype).normal_()
