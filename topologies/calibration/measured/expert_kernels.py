"""An MoE block as engines compute it: choice of experts, rows sorted by expert, both products, weighted sum."""
import torch
import triton
import triton.language as tl

from attention_kernels import BF16, off


@triton.jit
def add_rms(x, residual, weight, out, width, W: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, W)
    there = i < width
    s = tl.load(x + row * width + i, mask=there, other=0.0).to(tl.float32)
    s += tl.load(residual + row * width + i, mask=there, other=0.0).to(tl.float32)
    tl.store(residual + row * width + i, s.to(tl.bfloat16), mask=there)
    s = s * tl.rsqrt(tl.sum(s * s, 0) / width + 1e-6)
    tl.store(out + row * width + i, (s * tl.load(weight + i, mask=there, other=0.0)).to(tl.bfloat16), mask=there)


@triton.jit
def choose_experts(logits, chosen, weights, counts, E: tl.constexpr, K: tl.constexpr):
    token = tl.program_id(0)
    i = tl.arange(0, E)
    x = tl.load(logits + token * E + i).to(tl.float32)
    p = tl.exp(x - tl.max(x, 0))
    p = p / tl.sum(p, 0)
    for choice in tl.static_range(K):
        best = tl.argmax(p, 0)
        tl.store(chosen + token * K + choice, best)
        tl.store(weights + token * K + choice, tl.max(p, 0))
        tl.atomic_add(counts + best, 1)
        p = tl.where(i == best, -1.0, p)


@triton.jit
def ends_of(counts, ends, cursor, E: tl.constexpr):
    i = tl.arange(0, E)
    count = tl.load(counts + i)
    end = tl.cumsum(count, 0)
    tl.store(ends + i, end)
    tl.store(cursor + i, end - count)
    tl.store(counts + i, tl.zeros([E], tl.int32))


@triton.jit
def gather_rows(x, chosen, cursor, place, out, width, K: tl.constexpr, W: tl.constexpr):
    copy = tl.program_id(0)
    row = tl.atomic_add(cursor + tl.load(chosen + copy), 1)
    tl.store(place + copy, row)
    i = tl.arange(0, W)
    values = tl.load(x + (copy // K).to(tl.int64) * width + i, mask=i < width)
    tl.store(out + row.to(tl.int64) * width + i, values, mask=i < width)


@triton.jit
def silu_product(x, out, width, W: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * W + tl.arange(0, W)
    there = i < width
    gate = tl.load(x + row * 2 * width + i, mask=there, other=0.0).to(tl.float32)
    up = tl.load(x + row * 2 * width + width + i, mask=there, other=0.0).to(tl.float32)
    tl.store(out + row * width + i, (gate * tl.sigmoid(gate) * up).to(tl.bfloat16), mask=there)


@triton.jit
def sum_rows(x, place, weights, out, width, K: tl.constexpr, W: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, W)
    total = tl.zeros([W], tl.float32)
    for choice in tl.static_range(K):
        row = tl.load(place + token * K + choice).to(tl.int64)
        weight = tl.load(weights + token * K + choice)
        total += weight * tl.load(x + row * width + i, mask=i < width, other=0.0).to(tl.float32)
    tl.store(out + token * width + i, total.to(tl.bfloat16), mask=i < width)


@triton.jit
def blocks_of(ends, expert_of, first_of, E: tl.constexpr, BM: tl.constexpr):
    """Expert i's rows in blocks of BM: their expert and first row; blocks beyond the last keep expert -1."""
    i = tl.program_id(0)
    e = tl.arange(0, E)
    end = tl.load(ends + e)
    begin = tl.where(e > 0, tl.load(ends + e - 1, mask=e > 0, other=0), 0)
    many = (end - begin + BM - 1) // BM
    before = tl.sum(tl.where(e < i, many, 0), 0)
    mine = tl.sum(tl.where(e == i, many, 0), 0)
    row = tl.sum(tl.where(e == i, begin, 0), 0)
    for block in range(0, mine):
        tl.store(expert_of + before + block, i)
        tl.store(first_of + before + block, row + block * BM)


@triton.jit
def block_product(a, b, c, ends, expert_of, first_of, rows, n, k, blocks, AHEAD: tl.constexpr,
                  BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """c[r] = a[r] b[expert of r]', rows sorted by expert; neighbouring programs share a slice of weights."""
    program = tl.program_id(0)
    columns = tl.cdiv(n, BN)
    group = program // (AHEAD * columns)
    first = group * AHEAD
    size = tl.minimum(blocks - first, AHEAD)
    block = first + (program % (AHEAD * columns)) % size
    column = (program % (AHEAD * columns)) // size
    expert = tl.load(expert_of + block)
    if expert < 0:
        return
    m = tl.load(first_of + block) + tl.arange(0, BM)
    live = m < tl.load(ends + expert)
    j = column * BN + tl.arange(0, BN)
    i = tl.arange(0, BK)
    left = a + m[:, None].to(tl.int64) * k + i[None, :]
    right = b + expert.to(tl.int64) * n * k + j[None, :].to(tl.int64) * k + i[:, None]
    total = tl.zeros([BM, BN], tl.float32)
    for _ in range(0, k, BK):
        total = tl.dot(tl.load(left, mask=live[:, None], other=0.0), tl.load(right), total)
        left += BK
        right += BK
    tl.store(c + m[:, None].to(tl.int64) * n + j[None, :], total.to(tl.bfloat16), mask=live[:, None])


# rows, columns, inner of a block, blocks of rows side by side, warps, stages; n and k are multiples of all.
PRODUCT_CONFIGS = [(16, 128, 128, 1, 4, 3), (16, 64, 128, 1, 4, 4), (32, 128, 128, 1, 4, 3), (64, 128, 64, 4, 4, 4), (128, 128, 64, 8, 8, 4),
                   (128, 256, 64, 8, 8, 3)]


def triton_product(a, b, ends, config):
    """a [R, k] sorted by expert, b [E, n, k], ends [E]: [R, n]."""
    block_rows, block_columns, block_inner, ahead, warps, stages = config
    rows, k = a.shape
    experts, n, _ = b.shape
    blocks = min(rows, experts) + rows // block_rows
    expert_of = torch.full((blocks,), -1, device="cuda", dtype=torch.int32)
    first_of = torch.empty(blocks, device="cuda", dtype=torch.int32)
    blocks_of[(experts,)](ends, expert_of, first_of, E=experts, BM=block_rows)
    c = torch.empty(rows, n, device="cuda", dtype=BF16)
    block_product[(blocks * triton.cdiv(n, block_columns),)](
        a, b, c, ends, expert_of, first_of, rows, n, k, blocks, AHEAD=ahead, BM=block_rows, BN=block_columns, BK=block_inner,
        num_warps=warps, num_stages=stages)
    return c


def product(a, b, ends, config):
    """config None: PyTorch's own."""
    return torch._grouped_mm(a, b.transpose(1, 2), offs=ends) if config is None else triton_product(a, b, ends, config)


def moe_block(x, router_input, router, up, down, top_k, counts, configs=(None, None)):
    """x and router_input [T, h]; router [E, h]; up [E, 2 w, h]; down [E, h, w]; counts [E] zeros, left as zeros."""
    tokens, hidden = x.shape
    experts, width = up.shape[0], down.shape[2]
    chosen = torch.empty(tokens, top_k, device="cuda", dtype=torch.int32)
    weights = torch.empty(tokens, top_k, device="cuda", dtype=torch.float32)
    choose_experts[(tokens,)](router_input @ router.t(), chosen, weights, counts, E=experts, K=top_k)
    ends, cursor = (torch.empty(experts, device="cuda", dtype=torch.int32) for _ in range(2))
    ends_of[(1,)](counts, ends, cursor, E=experts)
    place = torch.empty(tokens * top_k, device="cuda", dtype=torch.int32)
    rows = torch.empty(tokens * top_k, hidden, device="cuda", dtype=BF16)
    block = triton.next_power_of_2(hidden)
    gather_rows[(tokens * top_k,)](x, chosen, cursor, place, rows, hidden, K=top_k, W=block)
    both = product(rows, up, ends, configs[0])
    inner = torch.empty(tokens * top_k, width, device="cuda", dtype=BF16)
    silu_product[(tokens * top_k, triton.cdiv(width, 1024))](both, inner, width, W=1024)
    results = product(inner, down, ends, configs[1])
    out = torch.empty(tokens, hidden, device="cuda", dtype=BF16)
    sum_rows[(tokens,)](results, place, weights, out, hidden, K=top_k, W=block)
    return out, ends


def check_experts():
    x = torch.randn(37, 256, device="cuda").to(BF16)
    router, up, down = (torch.randn(*s, device="cuda").to(BF16) / 16 for s in ((16, 256), (16, 256, 256), (16, 256, 128)))
    counts = torch.zeros(16, device="cuda", dtype=torch.int32)
    results = [(config, moe_block(x, x, router, up, down, 4, counts, (config, config))[0]) for config in (None, *PRODUCT_CONFIGS)]
    p, chosen = (x @ router.t()).float().softmax(-1).topk(4, -1)
    expected = torch.zeros(37, 256, device="cuda")
    for token in range(37):
        for weight, expert in zip(p[token], chosen[token]):
            gate, value = (up[expert].float() @ x[token].float()).split(128)
            expected[token] += weight * (down[expert].float() @ (torch.nn.functional.silu(gate) * value))
    for config, result in results:
        print("check moe_block", config, "%.1e" % off(result, expected))
