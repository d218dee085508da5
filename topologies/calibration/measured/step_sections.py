"""Attention, whole steps, training layers, and kernels beside one that holds SMs."""
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import attention_kernels
import expert_kernels
import held_sms
from decode_step import MODELS, Step
from timing import emit, graph_of, median_us, normal, sets, timed


def prefill_attention():
    shapes = [("gqa", 32, 4, 128, 128), ("gqa", 64, 8, 128, 128), ("mla", 128, 128, 192, 128), ("mla", 16, 16, 192, 128)]
    for part, heads, kv_heads, qk, v in shapes:
        for batch, length in ((1, 1024), (1, 4096), (1, 16384), (8, 1024), (4, 4096)):
            if heads * batch * length > 128 * 16384:
                continue
            q, key, value = normal(batch, heads, length, qk), normal(batch, kv_heads, length, qk), normal(batch, kv_heads, length, v)
            for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION):
                try:
                    with sdpa_kernel(backend):
                        call = lambda: F.scaled_dot_product_attention(q, key, value, is_causal=True, enable_gqa=heads != kv_heads)
                        emit("attention_prefill", timed([call]), part=part, backend=backend.name, heads=heads,
                             kv_heads=kv_heads, head_qk=qk, head_v=v, batch=batch, tokens=length)
                except RuntimeError as error:
                    print("no", part, backend.name, length, str(error)[:120])


def decode_attention():
    for part, heads, kv_heads, d, rope in (("gqa", 32, 4, 128, 0), ("gqa", 64, 8, 128, 0), ("gqa", 32, 8, 128, 0), ("mla", 128, 1, 512, 64), ("mla", 16, 1, 512, 64)):
        for batch, length in ((1, 1024), (1, 8192), (1, 131072), (8, 1024), (8, 8192), (32, 1024), (32, 4096), (64, 8192), (128, 1024), (128, 4096), (256, 2048), (512, 1024)):
            elements = batch * length * kv_heads * (d + rope) * (1 if rope else 2)
            if elements * 2 > 16e9:
                continue
            number = min(4, sets(2 * elements))
            cases = [attention_kernels.decode_case(batch, length, heads, kv_heads, d, rope) for _ in range(number)]
            conditions = dict(part=part, heads=heads, kv_heads=kv_heads, head=d, rope=rope, batch=batch, tokens=length)
            for config in attention_kernels.DECODE_CONFIGS[part]:
                try:
                    emit("attention_decode", timed([lambda c=c: attention_kernels.decode(c, config) for c in cases]), backend="triton %s" % (config,), **conditions)
                except Exception as error:
                    print("no", part, config, str(error)[:160])
            if not rope:
                with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                    calls = [lambda c=c: F.scaled_dot_product_attention(c.q[:, :, None], c.k.transpose(1, 2), c.v.transpose(1, 2), enable_gqa=True) for c in cases]
                    emit("attention_decode", timed(calls), backend="FLASH", **conditions)
            del cases


def steps():
    for name, batches, contexts in (("qwen3-30b-a3b", (1, 8, 32, 64, 128, 256), (1024, 4096)), ("mixtral-8x7b", (1, 32, 128), (1024,)), ("olmoe-1b-7b", (1, 32, 256), (1024,))):
        step = Step(MODELS[name])
        for context in contexts:
            for batch in batches:
                if batch * context > 600000:
                    continue
                for kernels in ("torch", "best"):
                    step.configs = (None, None)
                    used = step.choose_configs(batch, timed) if kernels == "best" else "torch"
                    emit("decode_step", timed([step.decode(batch, context)]), model=name, batch=batch, context=context,
                         kernels=used, active_experts=step.active())
        for requests, length in ((1, 512), (1, 2048), (4, 2048)):
            used = step.choose_configs(requests * length, timed)
            emit("prefill_step", timed([step.prefill(requests, length)]), model=name, batch=requests, sequence=length,
                 kernels=used, active_experts=step.active())
        del step
        torch.cuda.empty_cache()


def training():
    for name, tokens in (("qwen3-30b-a3b", 4096), ("qwen3-30b-a3b", 16384), ("mixtral-8x7b", 4096)):
        step = Step(MODELS[name], layers=2)
        forward, both = step.training(max(1, tokens // 4096), 4096)
        for part, call in (("forward", forward), ("forward_backward", both)):
            times = []
            for _ in range(6):
                first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                first.record()
                call()
                last.record()
                last.synchronize()
                times.append(first.elapsed_time(last) * 1e3)
            emit("training_layers", sorted(times[1:])[2], model=name, part=part, layers=2, tokens=tokens)
        del step, forward, both
        torch.cuda.empty_cache()


def interference():
    """Kernels while another one holds whole SMs, with and without memory traffic of its own."""
    def triton(counts, n, k, config):
        a, b = normal(sum(counts), k), normal(len(counts), n, k)
        ends = torch.tensor(counts, device="cuda").cumsum(0).to(torch.int32)
        return lambda: expert_kernels.triton_product(a, b, ends, config)

    x, w = normal(8192, 7168), normal(4096, 7168)
    q, key, value = (normal(4, heads, 4096, 128) for heads in (32, 4, 4))
    cases = [attention_kernels.decode_case(128, 4096, 32, 4, 128, 0) for _ in range(2)]
    def prefill():
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return F.scaled_dot_product_attention(q, key, value, is_causal=True, enable_gqa=True)

    kinds = {"dense": (lambda: x @ w.t(), 12), "experts compute": (triton([2048] * 8, 4096, 7168, expert_kernels.PRODUCT_CONFIGS[4]), 6),
             "experts mixed": (triton([128] * 32, 4096, 7168, expert_kernels.PRODUCT_CONFIGS[4]), 14),
             "experts memory": (triton([4] * 32, 4096, 7168, expert_kernels.PRODUCT_CONFIGS[0]), 20),
             "attention prefill": (prefill, 8),
             "attention decode": (lambda: attention_kernels.decode(cases[0], attention_kernels.DECODE_CONFIGS["gqa"][1]), 28)}
    for kind, (call, count) in kinds.items():
        graph = graph_of([call], count)
        guess = median_us(graph, count, 3) * count
        for sms in (0, 8, 16, 20, 24, 32, 48):
            for traffic in ("none", "copy") if sms else ("none",):
                time, rate, cover = held_sms.beside(graph, count, sms, traffic, guess, 40)
                emit("interference", time, kernel=kind, sms=sms, traffic=traffic, copy_gb_s=rate, cover=cover)
                guess = time * count
        del graph
