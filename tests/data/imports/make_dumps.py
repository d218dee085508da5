"""Writes the .pt fixtures: small recordings in the layout of SGLang's expert distribution recorder.

Run with PyTorch (1.13 was used) and NumPy: python3 make_dumps.py <folder>. The routing is made up by
the formulas below, so that tests derive what to expect; nothing here is SGLang's code.
"""
import pathlib
import sys

import numpy
import torch

LAYERS, EXPERTS, TOP_K, SLOTS = 16, 64, 2, 8  # OLMoE's layers and experts; layer 0 as if dense
FULL_TOP_K = 8


def expert(layer, token, k, experts=EXPERTS):
    """The k-th expert of a token in a layer: distinct over k."""
    return (7 * layer + 3 * token + 5 * k) % experts


def ids_of(tokens, layers, top_k, to_physical, dense=0):
    """[layers, tokens, 8] int32 as recorded: physical ids, -1 where nothing was routed."""
    ids = torch.full((layers, len(tokens), SLOTS), -1, dtype=torch.int32)
    for layer in range(dense, layers):
        for row, token in enumerate(tokens):
            for k in range(top_k):
                ids[layer, row, k] = to_physical(expert(layer, token, k), row)
    return ids


def record(forward_pass, rank, mode, tokens, positions, lengths, ids):
    return {
        "forward_pass_id": forward_pass,
        "rank": rank,
        "gatherer_key": "primary",
        "input_ids": tokens,
        "positions": positions,
        "extend_seq_lens": lengths,
        "forward_mode": mode,
        "topk_ids_of_layer": ids,
        "misc_objects": [],
    }


def small_dump():
    """4 layers (the first dense), 6 experts on 8 physical ones (6 and 7 repeat 0 and 1), top-2.

    Pass 10 prefills requests of 3 and 2 tokens, pass 11 prefills 2 more tokens of the second one
    and decodes none, pass 12 decodes both, pass 13 decodes the first and one begun before.
    """
    layers, experts = 4, 6
    mapping = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1]] * layers)

    def ids(tokens):
        out = torch.full((layers, len(tokens), SLOTS), -1, dtype=torch.int32)
        for layer in range(1, layers):
            for row, token in enumerate(tokens):
                for k in range(2):
                    logical = expert(layer, token, k, experts)
                    repeated = logical < 2 and row % 2 == 1  # odd rows use the second replica
                    out[layer, row, k] = logical + 6 if repeated else logical
        return out

    records = [
        record(10, 0, 1, [0, 1, 2, 3, 4], [0, 1, 2, 0, 1], [3, 2], ids([0, 1, 2, 3, 4])),
        record(11, 0, 1, [5, 6], [2, 3], [2], ids([5, 6])),
        record(12, 0, 2, [7, 8], [3, 4], None, ids([7, 8])),
        record(13, 0, 2, [9, 10], [4, 100], None, ids([9, 10])),
    ]
    return {"records": records, "last_physical_to_logical_map": mapping}


def replay_dump(tokens):
    """OLMoE's shapes, top-8: a prompt and its decode, enough to replay."""
    mapping = torch.arange(EXPERTS).repeat(LAYERS, 1)

    def ids(of):
        return ids_of(of, LAYERS, FULL_TOP_K, lambda logical, row: logical)

    half = tokens // 2
    records = [record(0, 0, 1, list(range(half)), list(range(half)), [half], ids(range(half)))]
    for step in range(tokens - half):
        token = half + step
        records.append(record(1 + step, 0, 2, [token], [token], None, ids([token])))
    return {"records": records, "last_physical_to_logical_map": mapping}


def mixed_dump(rank):
    """Two data-parallel ranks, 1 layer, 6 experts, top-2; token numbers as in `expert`.

    Pass 0: rank 0 prefills 2 tokens, rank 1 idles. Pass 1: rank 0 runs a mixed batch, its request's
    first decode token beside a new prompt of 2 and one row of padding; rank 1 prefills 1 token.
    """
    def ids(tokens, padding=0):
        real = ids_of(tokens, 1, 2, lambda logical, row: logical)
        for row, token in enumerate(tokens):
            for k in range(2):
                real[0, row, k] = expert(0, token, k, 6)
        return torch.cat([real, torch.full((1, padding, SLOTS), -1, dtype=torch.int32)], dim=1)

    if rank == 0:
        records = [record(0, 0, 1, [0, 1], [0, 1], [2], ids([0, 1])),
                   record(1, 0, 3, [2, 3, 4, 0], [2, 0, 1, 0], [1, 2, 1], ids([2, 3, 4], 1))]
    else:
        records = [record(0, 1, 4, [], [], None, ids([])),
                   record(1, 1, 1, [5], [0], [1], ids([5]))]
    return {"records": records, "last_physical_to_logical_map": torch.arange(6).reshape(1, 6)}


def pass_dump(rank):
    """Mode per_pass on two ranks of 2 physical experts each: 2 layers, 4 physical, 3 logical."""
    mapping = torch.tensor([[0, 1, 2, 0], [2, 1, 0, 2]])
    counts = torch.zeros((2, 4), dtype=torch.int32)
    counts[:, 2 * rank : 2 * rank + 2] = torch.tensor([[4, 2], [3, 3]]) + rank
    records = [
        {"forward_pass_id": 5, "rank": rank, "gatherer_key": "primary",
         "global_physical_count": counts},
        {"forward_pass_id": 6, "rank": rank, "gatherer_key": "primary",
         "global_physical_count": torch.zeros((2, 4), dtype=torch.int32)},
    ]
    return {"records": records, "last_physical_to_logical_map": mapping}


def stat_dump():
    """Mode stat: 3 buffered steps, the last unused; 3 layers, the first dense; 4 experts, top-2."""
    counts = torch.zeros((3, 3, 4), dtype=torch.int32)
    counts[0, 1:] = torch.tensor([[8, 6, 4, 2], [5, 5, 5, 5]])
    counts[1, 1:] = torch.tensor([[1, 1, 1, 1], [2, 2, 0, 0]])
    return {"rank": 0, "logical_count": counts, "average_utilization_rate_over_window": None}


class Runs:
    """Pickles as a call of os.system: what a hostile file holds."""

    def __reduce__(self):
        import os

        return os.system, ("echo it ran",)


def main(folder):
    folder = pathlib.Path(folder)
    torch.save(small_dump(), folder / "sglang_per_token.pt")
    torch.save(replay_dump(96), folder / "sglang_olmoe.pt")
    for rank in range(2):
        torch.save(mixed_dump(rank), folder / f"sglang_mixed_{rank}.pt")
        torch.save(pass_dump(rank), folder / f"sglang_per_pass_{rank}.pt")
    torch.save(stat_dump(), folder / "sglang_stat.pt")
    torch.save({"records": Runs()}, folder / "os_system.pt")
    base = torch.arange(24, dtype=torch.int64).reshape(2, 3, 4)
    torch.save({"whole": base, "slice": base[:, 1:, ::2], "turned": base.transpose(0, 2),
                "scalar": torch.tensor(-5, dtype=torch.int16), "flags": torch.tensor([True, False]),
                "reals": torch.ones(3), 7: [1, -2, 70000, 2**40, -2**40, 1.5, None, True],
                "tuple": ("a", ("b",)), "none": torch.zeros((0, 4), dtype=torch.uint8)},
               folder / "values.pt")
    prompt = numpy.array([[[expert(layer, token, k) for k in range(TOP_K)] for layer in range(3)]
                          for token in range(4)], dtype=numpy.int16)
    generated = prompt[:2] + 1
    numpy.savez_compressed(folder / "vllm.npz", **{
        "a.prompt_routed_experts": prompt, "a.routed_experts": generated, "b": prompt[:3]})


if __name__ == "__main__":
    main(sys.argv[1])
