"""Decode attention split over the cached tokens, for grouped queries and for latent attention; what a decode step does before
it."""
import math
from types import SimpleNamespace

import torch
import triton
import triton.language as tl

BF16 = torch.bfloat16


@triton.jit
def split_attention(q, k, v, part, lse, seq, scale, heads, splits, kv_heads,
                    D: tl.constexpr, R: tl.constexpr, BH: tl.constexpr, BN: tl.constexpr, G: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    blocks: tl.constexpr = (G + BH - 1) // BH
    kv_head = tl.program_id(1) // blocks
    rows = (tl.program_id(1) % blocks) * BH + tl.arange(0, BH)
    live = rows < G
    head = kv_head * G + rows
    split = tl.program_id(2)
    d = tl.arange(0, D)
    q_rows = q + (b * heads + head)[:, None] * (D + R)
    qn = tl.load(q_rows + d[None, :], mask=live[:, None], other=0.0)
    if R > 0:
        r = tl.arange(0, R)
        qr = tl.load(q_rows + D + r[None, :], mask=live[:, None], other=0.0)
    per = tl.cdiv(tl.cdiv(seq, splits), BN) * BN
    first = split * per
    last = tl.minimum(first + per, seq)
    step = kv_heads * (D + R)
    k_base = k + b * seq * step + kv_head * (D + R)
    v_base = v + b * seq * step + kv_head * (D + R)
    most = tl.full([BH], -float("inf"), tl.float32)
    total = tl.zeros([BH], tl.float32)
    acc = tl.zeros([BH, D], tl.float32)
    for n0 in range(first, last, BN):
        n = n0 + tl.arange(0, BN)
        there = n < last
        kn = tl.load(k_base + n[:, None].to(tl.int64) * step + d[None, :], mask=there[:, None], other=0.0)
        qk = tl.dot(qn, tl.trans(kn))
        if R > 0:
            kr = tl.load(k_base + n[:, None].to(tl.int64) * step + D + r[None, :], mask=there[:, None], other=0.0)
            qk += tl.dot(qr, tl.trans(kr))
        qk = tl.where(there[None, :], qk * scale, -float("inf"))
        new = tl.maximum(most, tl.max(qk, 1))
        p = tl.exp2(qk - new[:, None])
        keep = tl.exp2(most - new)
        total = total * keep + tl.sum(p, 1)
        if R > 0:
            vn = kn
        else:
            vn = tl.load(v_base + n[:, None].to(tl.int64) * step + d[None, :], mask=there[:, None], other=0.0)
        acc = acc * keep[:, None] + tl.dot(p.to(tl.bfloat16), vn)
        most = new
    safe = tl.where(total > 0, total, 1.0)
    place = (b * heads + head) * splits + split
    tl.store(part + place[:, None] * D + d[None, :], acc / safe[:, None], mask=live[:, None])
    tl.store(lse + place, tl.where(total > 0, most + tl.log2(safe), -float("inf")), mask=live)


@triton.jit
def join_splits(part, lse, out, splits, S: tl.constexpr, D: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    s = tl.arange(0, S)
    d = tl.arange(0, D)
    weight = tl.load(lse + row * splits + s, mask=s < splits, other=-float("inf"))
    weight = tl.exp2(weight - tl.max(weight, 0))
    parts = tl.load(part + (row * splits + s)[:, None] * D + d[None, :], mask=(s < splits)[:, None], other=0.0)
    tl.store(out + row * D + d, (tl.sum(parts * weight[:, None], 0) / tl.sum(weight, 0)).to(tl.bfloat16))


# block of heads, block of tokens, warps, stages
DECODE_CONFIGS = {"gqa": [(16, 64, 4, 3), (16, 128, 4, 2)], "mla": [(16, 64, 4, 2), (64, 32, 8, 2), (64, 64, 8, 2)]}


def decode_case(batch, length, heads, kv_heads, d, rope):
    k = torch.empty(batch, length, kv_heads, d + rope, device="cuda", dtype=BF16).normal_()
    v = k if rope else torch.empty_like(k).normal_()
    q = torch.empty(batch, heads, d + rope, device="cuda", dtype=BF16).normal_()
    return SimpleNamespace(q=q, k=k, v=v, d=d, rope=rope, kv_heads=kv_heads)


def decode(case, config):
    block_heads, block_tokens, warps, stages = config
    batch, heads, _ = case.q.shape
    length, group = case.k.shape[1], heads // case.kv_heads
    block_heads = min(block_heads, max(16, triton.next_power_of_2(group)))
    programs = batch * case.kv_heads * triton.cdiv(group, block_heads)
    splits = max(1, min(64, triton.next_power_of_2(triton.cdiv(264, programs)), triton.cdiv(length, 2 * block_tokens)))
    part = torch.empty(batch, heads, splits, case.d, device="cuda", dtype=torch.float32)
    lse = torch.empty(batch, heads, splits, device="cuda", dtype=torch.float32)
    out = torch.empty(batch, heads, case.d, device="cuda", dtype=BF16)
    scale = (case.d + case.rope) ** -0.5 * math.log2(math.e)
    split_attention[(batch, case.kv_heads * triton.cdiv(group, block_heads), splits)](
        case.q, case.k, case.v, part, lse, length, scale, heads, splits, case.kv_heads, D=case.d, R=case.rope,
        BH=block_heads, BN=block_tokens, G=group, num_warps=warps, num_stages=stages)
    join_splits[(batch * heads,)](part, lse, out, splits, S=triton.next_power_of_2(splits), D=case.d)
    return out


@triton.jit
def norm_rope_cache(qkv, q, k_cache, v_cache, table, length, last, heads, kv_heads, D: tl.constexpr):
    """Token t of request t: its query heads to q; its key and value to place `last` of the cache."""
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    i = tl.arange(0, D)
    source = qkv + (token * (heads + 2 * kv_heads) + head) * D
    x = tl.load(source + i).to(tl.float32)
    if head < heads + kv_heads:
        other = tl.load(source + (i + D // 2) % D).to(tl.float32)
        scale = tl.rsqrt(tl.sum(x * x, 0) / D + 1e-6)
        cosine = tl.load(table + last * 2 * D + i)
        sine = tl.load(table + last * 2 * D + D + i)
        x = (x * cosine + tl.where(i < D // 2, -other, other) * sine) * scale
    if head < heads:
        tl.store(q + (token * heads + head) * D + i, x.to(tl.bfloat16))
    elif head < heads + kv_heads:
        tl.store(k_cache + ((token * length + last) * kv_heads + head - heads) * D + i, x.to(tl.bfloat16))
    else:
        tl.store(v_cache + ((token * length + last) * kv_heads + head - heads - kv_heads) * D + i, x.to(tl.bfloat16))


def off(result, expected):
    return ((result.double() - expected.double()).norm() / expected.double().norm()).item()


def check_attention():
    """Each kernel against plain PyTorch in higher precision."""
    torch.manual_seed(1)
    for part, heads, kv_heads, d, rope in (("gqa", 32, 4, 128, 0), ("mla", 16, 1, 512, 64), ("mla", 128, 1, 512, 64)):
        case = decode_case(3, 777, heads, kv_heads, d, rope)
        k = case.k.float().repeat_interleave(heads // kv_heads, 2)
        v = case.v.float()[..., :d].repeat_interleave(heads // kv_heads, 2)
        score = torch.einsum("bhd,bshd->bhs", case.q.float(), k) * (d + rope) ** -0.5
        expected = torch.einsum("bhs,bshd->bhd", score.softmax(-1), v)
        for config in DECODE_CONFIGS[part]:
            try:
                print("check decode", part, heads, config, "%.1e" % off(decode(case, config), expected))
            except Exception as error:
                print("check decode", part, heads, config, "fails:", str(error)[:160])
