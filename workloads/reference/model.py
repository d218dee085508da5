"""The reference model: Qwen3-MoE (transformers 4.57.1 `Qwen3MoeForCausalLM`) in plain PyTorch,
with all experts of a layer in one autograd function so that two CPU cores can train it."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

SEGMENT = 64  # rows per expert are padded to this: few distinct shapes, so oneDNN keeps its kernels


@dataclasses.dataclass
class ModelConfig:
    """Names and meaning as in Hugging Face `config.json` of model_type qwen3_moe."""

    vocab_size: int = 256
    hidden_size: int = 256
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 32
    moe_intermediate_size: int = 64
    num_experts: int = 32
    num_experts_per_tok: int = 4
    norm_topk_prob: bool = True
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 256
    tie_word_embeddings: bool = False

    @staticmethod
    def from_json(values):
        names = {field.name for field in dataclasses.fields(ModelConfig)}
        return ModelConfig(**{key: value for key, value in values.items() if key in names})


class RmsScale(torch.autograd.Function):
    """weight * x / rms(x). By hand, because the composed form reads memory twice as often."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        inverse = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, grad):
        unit, inverse, weight = ctx.saved_tensors
        along = grad * unit
        grad_weight = along.flatten(0, -2).sum(0)
        mean = along.matmul(weight).unsqueeze(-1) / unit.shape[-1]
        return (grad * weight).addcmul_(unit, mean, value=-1).mul_(inverse), grad_weight, None


class RmsNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return RmsScale.apply(x, self.weight, self.eps)


def group_by_expert(experts, expert_count):
    """Rows of a buffer in which each expert's token copies lie together, padded to SEGMENT.

    experts [tokens, k] -> row_of_copy [tokens * k], token_of_row [rows] (padding names token 0),
    bounds: (first, end) row of every expert."""
    copies = experts.reshape(-1)
    order = torch.argsort(copies, stable=True)
    counts = torch.bincount(copies, minlength=expert_count)
    padded = (counts + SEGMENT - 1) // SEGMENT * SEGMENT
    shift = (padded.cumsum(0) - padded) - (counts.cumsum(0) - counts)
    rows = torch.arange(copies.numel()) + shift[copies[order]]
    row_of_copy = torch.empty_like(copies)
    row_of_copy[order] = rows
    token_of_row = torch.zeros(int(padded.sum()), dtype=torch.long)
    token_of_row[rows] = order // experts.shape[1]
    ends = padded.cumsum(0).tolist()
    return row_of_copy, token_of_row, list(zip([0] + ends[:-1], ends))


class ExpertMix(torch.autograd.Function):
    """y[t] = sum over chosen e of weight[t, e] * down_e(silu(gate_e x[t]) * up_e x[t]).

    The weight is applied before `down`, where rows are narrow; padding rows have weight 0, so they
    reach neither y nor a gradient."""

    @staticmethod
    def forward(ctx, x, gate_up, down, experts, weights):
        tokens, k = experts.shape
        width = down.shape[2]
        row_of_copy, token_of_row, bounds = group_by_expert(experts, down.shape[0])
        row_weight = x.new_zeros(len(token_of_row), 1)
        row_weight[row_of_copy, 0] = weights.reshape(-1).to(x.dtype)
        rows = x.index_select(0, token_of_row)
        gu = x.new_empty(len(rows), 2 * width)
        for e, (a, b) in enumerate(bounds):
            if b > a:
                torch.mm(rows[a:b], gate_up[e].t(), out=gu[a:b])
        gate, up = gu[:, :width], gu[:, width:]
        act = F.silu(gate) * up
        weighted = act * row_weight
        out = torch.empty_like(rows)
        for e, (a, b) in enumerate(bounds):
            if b > a:
                torch.mm(weighted[a:b], down[e].t(), out=out[a:b])
        ctx.save_for_backward(rows, gu, act, row_weight, gate_up, down, row_of_copy, token_of_row)
        ctx.bounds, ctx.shape = bounds, (tokens, k)
        return out.index_select(0, row_of_copy).view(tokens, k, -1).sum(1)

    @staticmethod
    def backward(ctx, grad):
        rows, gu, act, row_weight, gate_up, down, row_of_copy, token_of_row = ctx.saved_tensors
        width = down.shape[2]
        grad_out = grad.index_select(0, token_of_row)
        weighted = act * row_weight
        grad_weighted = torch.empty_like(act)
        grad_down, grad_gate_up = torch.zeros_like(down), torch.zeros_like(gate_up)
        for e, (a, b) in enumerate(ctx.bounds):
            if b > a:
                torch.mm(grad_out[a:b], down[e], out=grad_weighted[a:b])
                torch.mm(grad_out[a:b].t(), weighted[a:b], out=grad_down[e])
        wide = torch.promote_types(act.dtype, torch.float32)
        grad_row_weight = (grad_weighted * act).sum(1, dtype=wide)
        grad_act = grad_weighted * row_weight
        gate, up = gu[:, :width], gu[:, width:]
        sigmoid = torch.sigmoid(gate)
        silu = gate * sigmoid
        grad_gu = torch.cat([grad_act * up * (sigmoid + silu * (1 - sigmoid)), grad_act * silu], 1)
        grad_rows = torch.empty_like(rows)
        for e, (a, b) in enumerate(ctx.bounds):
            if b > a:
                torch.mm(grad_gu[a:b], gate_up[e], out=grad_rows[a:b])
                torch.mm(grad_gu[a:b].t(), rows[a:b], out=grad_gate_up[e])
        tokens, k = ctx.shape
        grad_x = grad_rows.index_select(0, row_of_copy).view(tokens, k, -1).sum(1)
        grad_weights = grad_row_weight[row_of_copy].view(tokens, k)
        return grad_x, grad_gate_up, grad_down, None, grad_weights


class MoeBlock(nn.Module):
    """softmax over all experts -> top-k -> renormalise, then SwiGLU experts."""

    def __init__(self, config):
        super().__init__()
        e, h, i = config.num_experts, config.hidden_size, config.moe_intermediate_size
        self.config = config
        self.router = nn.Parameter(torch.empty(e, h))
        self.gate_up = nn.Parameter(torch.empty(e, 2 * i, h))
        self.down = nn.Parameter(torch.empty(e, h, i))

    def forward(self, x, dtype, routing):
        """x [tokens, hidden] float32; appends what the router did to the list `routing`."""
        logits = x @ self.router.t()
        probabilities = logits.softmax(-1)
        weights, experts = probabilities.topk(self.config.num_experts_per_tok, dim=-1)
        if self.config.norm_topk_prob:
            weights = weights / weights.sum(-1, keepdim=True)
        out = ExpertMix.apply(x.to(dtype), self.gate_up.to(dtype), self.down.to(dtype), experts, weights)
        routing.append({"logits": logits, "probabilities": probabilities, "experts": experts,
                        "weights": weights, "input": x, "output": out})
        return out.float()


class Attention(nn.Module):
    """Grouped-query attention with an RMS norm on every query and key head, and rotary positions."""

    def __init__(self, config):
        super().__init__()
        h, d = config.hidden_size, config.head_dim
        self.config = config
        self.kv_heads, self.group = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
        self.q_proj = nn.Parameter(torch.empty(config.num_attention_heads * d, h))
        self.k_proj = nn.Parameter(torch.empty(self.kv_heads * d, h))
        self.v_proj = nn.Parameter(torch.empty(self.kv_heads * d, h))
        self.o_proj = nn.Parameter(torch.empty(h, config.num_attention_heads * d))
        self.q_norm = RmsNorm(d, config.rms_norm_eps)
        self.k_norm = RmsNorm(d, config.rms_norm_eps)

    def rotate(self, x, cos, sin):
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    def forward(self, x, dtype, rope, mask):
        """x [batch, length, hidden] float32; mask [group * length, length], -inf where hidden."""
        batch, length, _ = x.shape
        d, cos, sin = self.config.head_dim, *rope
        x = x.to(dtype)
        q = F.linear(x, self.q_proj.to(dtype)).float().view(batch, length, self.kv_heads * self.group, d)
        k = F.linear(x, self.k_proj.to(dtype)).float().view(batch, length, self.kv_heads, d)
        v = F.linear(x, self.v_proj.to(dtype)).view(batch, length, self.kv_heads, d)
        q = self.rotate(self.q_norm(q), cos, sin) * d**-0.5
        k = self.rotate(self.k_norm(k), cos, sin)
        # The query heads of one key head are stacked as rows: one product, no copies of keys.
        q = q.to(dtype).transpose(1, 2).reshape(batch * self.kv_heads, self.group * length, d)
        k = k.to(dtype).transpose(1, 2).reshape(batch * self.kv_heads, length, d)
        v = v.transpose(1, 2).reshape(batch * self.kv_heads, length, d)
        scores = torch.bmm(q, k.transpose(1, 2)) + mask.to(dtype)
        out = torch.bmm(scores.softmax(-1), v)
        out = out.view(batch, self.kv_heads * self.group, length, d).transpose(1, 2)
        return F.linear(out.reshape(batch, length, -1), self.o_proj.to(dtype)).float()


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.moe = MoeBlock(config)

    def forward(self, x, dtype, rope, mask, routing):
        x = x + self.attention(self.input_layernorm(x), dtype, rope, mask)
        flat = self.post_attention_layernorm(x).flatten(0, 1)
        return x + self.moe(flat, dtype, routing).view_as(x)


class ReferenceModel(nn.Module):
    """forward(ids [batch, length]) -> logits [batch, length, vocabulary] float32, routing per layer.

    `dtype` is the type of matrix products only; norms, router, softmax input sums stay float32."""

    def __init__(self, config, dtype=torch.float32):
        super().__init__()
        self.config, self.dtype = config, dtype
        self.embed_tokens = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))

    @torch.no_grad()
    def initialise(self):
        """Normal with deviation 1/sqrt(inputs); residual branches smaller (GPT-2 report, section
        2.3); a flat router, so that no expert starts with a lead."""
        residual = (2 * self.config.num_hidden_layers) ** -0.5
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                continue
            scale = residual if name.endswith(("o_proj", "down")) else 0.3 if name.endswith("router") else 1.0
            weight.normal_(0, scale * weight.shape[-1] ** -0.5)

    def rope(self, length):
        d = self.config.head_dim
        frequency = self.config.rope_theta ** -(torch.arange(0, d, 2).float() / d)
        angle = torch.arange(length).float()[:, None] * frequency
        angle = torch.cat([angle, angle], -1)[:, None, :]
        return angle.cos(), angle.sin()

    def forward(self, ids):
        length = ids.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1)
        mask = mask.repeat(self.config.num_attention_heads // self.config.num_key_value_heads, 1)
        rope, routing, x = self.rope(length), [], self.embed_tokens[ids]
        for layer in self.layers:
            x = layer(x, self.dtype, rope, mask, routing)
        logits = F.linear(self.norm(x).to(self.dtype), self.lm_head.to(self.dtype)).float()
        return logits, routing
