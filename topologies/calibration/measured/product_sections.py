"""Copies, passes over rows, and products: dense, one for each expert, with even and with skewed rows."""
import random

import torch
import torch.nn.functional as F

import expert_kernels
from timing import BF16, FP8, emit, normal, sets, timed


def copies():
    for mib in (1, 4, 16, 64, 256, 1024, 4096):
        number = sets(2 * mib * 2**20)
        pairs = [(normal(mib * 2**19), torch.empty(mib * 2**19, device="cuda", dtype=BF16)) for _ in range(number)]
        emit("copy", timed([lambda a=a, b=b: b.copy_(a) for a, b in pairs]), bytes=2 * mib * 2**20)
    for rows in (16, 128, 1024, 8192, 65536):
        for width in (2048, 7168):
            number = sets(4 * rows * width)
            x = [normal(rows, width) for _ in range(number)]
            weight = normal(width)
            emit("rms_norm", timed([lambda a=a: F.rms_norm(a, (width,), weight, 1e-6) for a in x]), rows=rows, width=width)
            index = torch.randint(0, rows, (rows,), device="cuda")
            emit("row_gather", timed([lambda a=a: a.index_select(0, index) for a in x]), rows=rows, width=width)


DENSE = [(2112, 7168), (24576, 1536), (7168, 16384), (4096, 7168), (7168, 2048), (5120, 2048), (2048, 4096),
         (128, 2048), (256, 7168), (151936, 2048)]
ROWS = (1, 8, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


def fp8_rows(m, n, k, number):
    a = [normal(m, k, dtype=FP8) for _ in range(number)]
    b = [normal(n, k, dtype=FP8).t() for _ in range(number)]
    one, other = torch.ones(m, 1, device="cuda"), torch.ones(1, n, device="cuda")
    return [lambda x=x, y=y: torch._scaled_mm(x, y, scale_a=one, scale_b=other, out_dtype=BF16, use_fast_accum=True) for x, y in zip(a, b)]


def fp8_blocks(m, n, k, number):
    """Scales of 1 x 128 and 128 x 128 blocks, as DeepSeek-V3 is stored."""
    a = [normal(m, k, dtype=FP8) for _ in range(number)]
    b = [normal(n, k, dtype=FP8).t() for _ in range(number)]
    one = torch.ones(k // 128, m, device="cuda").t()
    other = torch.ones(n // 128, k // 128, device="cuda").t()  # cuBLAS wants k innermost in memory
    return [lambda x=x, y=y: torch._scaled_mm(x, y, scale_a=one, scale_b=other, out_dtype=BF16) for x, y in zip(a, b)]


def dense():
    for n, k in DENSE:
        for m in ROWS:
            if n * m > 2**30:
                continue
            number = sets(2 * (m * k + n * k + m * n))
            a = [normal(m, k) for _ in range(number)]
            b = [normal(n, k).t() for _ in range(number)]
            emit("dense_gemm", timed([lambda x=x, y=y: x @ y for x, y in zip(a, b)]), precision="bf16", m=m, n=n, k=k)
            del a, b
            if m < 16 or n > 30000:
                continue
            emit("dense_gemm", timed(fp8_rows(m, n, k, number)), precision="fp8", scales="row", m=m, n=n, k=k)
            if n % 128 == 0 and k % 128 == 0 and blocks_work():
                emit("dense_gemm", timed(fp8_blocks(m, n, k, number)), precision="fp8", scales="block", m=m, n=n, k=k)


def blocks_work(known=[]):
    if not known:
        try:
            fp8_blocks(128, 256, 256, 1)[0]()
            torch.cuda.synchronize()
            known.append(True)
        except Exception as error:
            print("no block scales:", str(error)[:200])
            known.append(False)
    return known[0]


def grouped_calls(counts, n, k, precision):
    total, experts = sum(counts), len(counts)
    size = 1 if precision == "fp8" else 2
    number = sets(size * (experts * n * k + total * k) + 2 * total * n)
    dtype = FP8 if precision == "fp8" else BF16
    a = [normal(total, k, dtype=dtype) for _ in range(number)]
    b = [normal(experts, n, k, dtype=dtype).transpose(1, 2) for _ in range(number)]
    ends = torch.tensor(counts, device="cuda").cumsum(0).to(torch.int32)
    if precision == "bf16":
        return [lambda x=x, y=y: torch._grouped_mm(x, y, offs=ends) for x, y in zip(a, b)]
    one, other = torch.ones(total, device="cuda"), torch.ones(experts, n, device="cuda")
    return [lambda x=x, y=y: torch._scaled_grouped_mm(x, y, one, other, offs=ends, out_dtype=BF16, use_fast_accum=True) for x, y in zip(a, b)]


def skewed_counts(experts, mean, exponent, seed):
    """Power-law loads in random order: expert i has a share of (i + 1)^-exponent."""
    draw = random.Random(seed)
    weights = [(i + 1) ** -exponent for i in range(experts)]
    draw.shuffle(weights)
    chosen = draw.choices(range(experts), weights, k=experts * mean)
    return [chosen.count(i) for i in range(experts)]


GROUPED = [(8, 4096, 7168), (8, 7168, 2048), (32, 4096, 7168), (32, 7168, 2048), (128, 1536, 2048), (128, 2048, 768),
           (32, 1536, 2048), (8, 28672, 4096)]


def grouped():
    for experts, n, k in GROUPED:
        for rows in (1, 4, 16, 64, 128, 256, 1024, 4096):
            if experts * rows > 70000 or experts * rows * n > 2**30:
                continue
            for precision in ("bf16", "fp8"):
                calls = grouped_calls([rows] * experts, n, k, precision)
                emit("grouped_gemm", timed(calls), precision=precision, experts=experts, n=n, k=k, rows=rows)
                del calls


def grouped_skewed():
    for experts, n, k in ((32, 4096, 7168), (32, 7168, 2048), (128, 1536, 2048), (128, 2048, 768)):
        for mean in (4, 32, 128, 512):
            for exponent in (0.0, 0.6, 1.2):
                counts = skewed_counts(experts, mean, exponent, 7)
                calls = grouped_calls(counts, n, k, "bf16")
                emit("grouped_skewed", timed(calls), precision="bf16", experts=experts, n=n, k=k, exponent=exponent, rows=counts)
                del calls


def grouped_triton():
    """The same products by a Triton kernel over blocks of sorted rows, as vLLM's experts are computed; the best block."""
    for experts, n, k in GROUPED:
        for rows in (1, 4, 16, 32, 64, 128, 256, 1024, 4096):
            if experts * rows > 70000 or experts * rows * n > 2**30:
                continue
            triton_best([rows] * experts, n, k, experts=experts, rows=rows)
    for experts, n, k in ((32, 4096, 7168), (32, 7168, 2048), (128, 1536, 2048), (128, 2048, 768)):
        for mean in (4, 32, 128, 512):
            for exponent in (0.0, 0.6, 1.2):
                counts = skewed_counts(experts, mean, exponent, 7)
                triton_best(counts, n, k, experts=experts, exponent=exponent, rows=counts)


def triton_best(counts, n, k, **conditions):
    total, experts = sum(counts), len(counts)
    number = sets(2 * (experts * n * k + total * k + total * n))
    a, b = [normal(total, k) for _ in range(number)], [normal(experts, n, k) for _ in range(number)]
    ends = torch.tensor(counts, device="cuda").cumsum(0).to(torch.int32)
    best, mean = None, total / experts
    for config in expert_kernels.PRODUCT_CONFIGS:
        if config[0] > max(16, 4 * mean) or config[0] < min(128, mean / 16) or n % config[1] or k % config[2]:
            continue
        time = timed([lambda x=x, y=y: expert_kernels.triton_product(x, y, ends, config) for x, y in zip(a, b)])
        if best is None or time < best[0]:
            best = (time, config)
    emit("grouped_triton", best[0], precision="bf16", n=n, k=k, config=str(best[1]), **conditions)
