"""A decode step, a prefill step and training layers of models with grouped-query attention and routed experts, as
measure_gpu.py times them: random weights, the model's own shapes. Four layers' weights take turns; each is larger than
the L2 cache, so every layer reads its own from memory."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F
import triton
from torch.nn.attention import SDPBackend, sdpa_kernel

import attention_kernels
import expert_kernels
from attention_kernels import BF16

# layers, hidden, heads, KV heads, head, experts, choices, expert width, vocabulary: workloads/models has the same.
MODELS = {"qwen3-30b-a3b": (48, 2048, 32, 4, 128, 128, 8, 768, 151936),
          "mixtral-8x7b": (32, 4096, 32, 8, 128, 8, 2, 14336, 32000),
          "olmoe-1b-7b": (16, 2048, 16, 16, 128, 64, 8, 1024, 50304)}
DISTINCT = 4


def weight(*shape):
    return torch.empty(*shape, device="cuda", dtype=BF16).normal_(std=shape[-1] ** -0.5)


class Layer:
    def __init__(self, h, heads, kv, d, experts, width):
        self.qkv, self.o = weight((heads + 2 * kv) * d, h), weight(h, heads * d)
        self.norms = [torch.ones(h, device="cuda", dtype=BF16) for _ in range(2)]
        self.router, self.up, self.down = weight(experts, h), weight(experts, 2 * width, h), weight(experts, h, width)

    def parameters(self):
        return [self.qkv, self.o, self.router, self.up, self.down]


class Step:
    def __init__(self, shape, layers=None):
        self.layers, self.h, self.heads, self.kv, self.d, self.experts, self.k, self.width, self.vocabulary = shape
        self.layers = layers or self.layers
        self.distinct = [Layer(self.h, self.heads, self.kv, self.d, self.experts, self.width)
                         for _ in range(min(DISTINCT, self.layers))]
        self.embedding, self.head = weight(self.vocabulary, self.h), weight(self.vocabulary, self.h)
        self.configs = (None, None)
        self.counts = torch.zeros(self.experts, device="cuda", dtype=torch.int32)
        self.ends = None

    def active(self):
        """Experts with tokens in the last layer of the last step."""
        ends = torch.cat([torch.zeros(1, device="cuda", dtype=torch.int32), self.ends])
        return int((ends[1:] > ends[:-1]).sum())

    def routed(self, tokens):
        """What the routers see: random weights make all tokens of a deep layer alike, and then all choose the same experts."""
        return [torch.empty(tokens, self.h, device="cuda", dtype=BF16).normal_() for _ in range(DISTINCT)]

    def choose_configs(self, tokens, timed):
        """The fastest kernel for each of the experts' two products at so many tokens; says which."""
        rows = tokens * self.k
        counts = torch.bincount(torch.randint(0, self.experts, (rows,), device="cuda"), minlength=self.experts)
        ends = counts.cumsum(0).to(torch.int32)
        chosen = []
        for name, inner in (("up", self.h), ("down", self.width)):
            a = torch.empty(rows, inner, device="cuda", dtype=BF16).normal_()
            outer, best = getattr(self.distinct[0], name).shape[1], None
            for config in (None, *expert_kernels.PRODUCT_CONFIGS):
                if config and (rows > 8192 and config[0] < 64 or outer % config[1] or inner % config[2]):
                    continue
                time = timed([lambda w=getattr(layer, name): expert_kernels.product(a, w, ends, config) for layer in self.distinct])
                if best is None or time < best[0]:
                    best = (time, config)
            chosen.append(best[1])
        self.configs = tuple(chosen)
        return str(self.configs)

    def add_norm(self, x, residual, norm):
        out = torch.empty_like(x)
        expert_kernels.add_rms[(x.shape[0],)](x, residual, norm, out, self.h, W=triton.next_power_of_2(self.h))
        return out

    def finish(self, x, residual):
        return (self.add_norm(x, residual, self.distinct[0].norms[0]) @ self.head.t()).argmax(-1)

    def all_layers(self, ids, routed, attention):
        """attention(index, layer, normed rows): what the layer's attention adds."""
        x = self.embedding[ids]
        residual = torch.zeros_like(x)
        for index in range(self.layers):
            layer = self.distinct[index % DISTINCT]
            x = attention(index, layer, self.add_norm(x, residual, layer.norms[0]))
            y = self.add_norm(x, residual, layer.norms[1])
            x, self.ends = expert_kernels.moe_block(y, routed[index % DISTINCT], layer.router, layer.up, layer.down, self.k,
                                                    self.counts, self.configs)
        return x, residual

    def decode(self, batch, context):
        """A call: `batch` requests get their token number `context`."""
        caches = [[torch.empty(batch, context, self.kv, self.d, device="cuda", dtype=BF16).normal_() for _ in range(2)]
                  for _ in range(DISTINCT)]
        table = torch.rand(context, 2, self.d, device="cuda")
        ids = torch.randint(0, self.vocabulary, (batch,), device="cuda")
        routed = self.routed(batch)

        def attention(index, layer, y):
            k, v = caches[index % DISTINCT]
            q = torch.empty(batch, self.heads, self.d, device="cuda", dtype=BF16)
            attention_kernels.norm_rope_cache[(batch, self.heads + 2 * self.kv)](
                y @ layer.qkv.t(), q, k, v, table, context, context - 1, self.heads, self.kv, D=self.d)
            case = SimpleNamespace(q=q, k=k, v=v, d=self.d, rope=0, kv_heads=self.kv)
            return attention_kernels.decode(case, attention_kernels.DECODE_CONFIGS["gqa"][0]).view(batch, -1) @ layer.o.t()

        return lambda: self.finish(*self.all_layers(ids, routed, attention))

    def causal(self, qkv, requests, length):
        qkv = qkv.view(requests, length, self.heads + 2 * self.kv, self.d).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv, self.kv], 1)
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION], set_priority=True):
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv)
        return out.transpose(1, 2).reshape(requests * length, -1)

    def prefill(self, requests, length):
        """A call: a causal pass over `requests` prompts of `length` tokens, with one output each."""
        ids = torch.randint(0, self.vocabulary, (requests * length,), device="cuda")
        routed = self.routed(requests * length)

        def attention(_, layer, y):
            return self.causal(y @ layer.qkv.t(), requests, length) @ layer.o.t()

        def call():
            last = slice(length - 1, None, length)
            x, residual = self.all_layers(ids, routed, attention)
            return self.finish(x[last].contiguous(), residual[last].contiguous())

        return call

    def training(self, requests, length):
        """Two calls over the layers alone, without head and optimiser: forward, and forward with backward."""
        x0 = torch.empty(requests * length, self.h, device="cuda", dtype=BF16).normal_()

        def layer_forward(layer, x):
            y = F.rms_norm(x, (self.h,), layer.norms[0], 1e-6)
            x = x + self.causal(y @ layer.qkv.t(), requests, length) @ layer.o.t()
            y = F.rms_norm(x, (self.h,), layer.norms[1], 1e-6)
            weights, chosen = (y @ layer.router.t()).float().softmax(-1).topk(self.k, -1)
            flat = chosen.flatten()
            order = flat.argsort(stable=True)
            ends = torch.bincount(flat, minlength=self.experts).cumsum(0).to(torch.int32)
            rows = y.index_select(0, order // self.k)
            gate, value = torch._grouped_mm(rows, layer.up.transpose(1, 2), offs=ends).chunk(2, -1)
            product = torch._grouped_mm(F.silu(gate) * value, layer.down.transpose(1, 2), offs=ends)
            product = product * weights.flatten()[order, None].to(BF16)
            return x + torch.zeros_like(x).index_add(0, order // self.k, product)

        def forward():
            with torch.no_grad():
                x = x0
                for layer in self.distinct:
                    x = layer_forward(layer, x)
            return x

        def both():
            for layer in self.distinct:
                for parameter in layer.parameters():
                    parameter.requires_grad_(True)
                    parameter.grad = None
            x = x0.clone().requires_grad_(True)
            for layer in self.distinct:
                x = layer_forward(layer, x)
            x.backward(torch.ones_like(x))

        return forward, both
