#!/usr/bin/env python3
"""Turns what measure_gpu.py wrote into records that `moesim validate --records` reads.

  records_of.py RESULTS.jsonl ACCELERATOR NAME SOURCE > RECORDS.json

Of kernels that several programs offer the fastest counts, as an engine would choose. Split `calibrate` holds the shapes
that constants of topologies/calibration/kernels.json are fitted on; whole steps, skewed loads and other shapes only score.
"""
import json
import sys

results, accelerator, name, source = sys.argv[1:5]
CALIBRATE = {"dense": {(2112, 7168), (24576, 1536), (7168, 16384), (4096, 7168), (7168, 2048), (256, 7168)},
             "grouped": {(4096, 7168), (7168, 2048)}, "decode": {(64, 8)}, "prefill": {(64, 8), (128, 128)}}


def conditions(r):
    """Family of the record, whether it is calibrated on, its conditions; None: no record."""
    section = r["section"]
    if section == "dense_gemm" and r.get("scales") != "row":
        own = r["precision"] == "bf16" and (r["n"], r["k"]) in CALIBRATE["dense"]
        return own, dict(kind="gemm", part="dense", m=r["m"], n=r["n"], k=r["k"], dtype=r["precision"])
    if section in ("grouped_gemm", "grouped_skewed", "grouped_triton") and r["precision"] == "bf16":
        own = (r["n"], r["k"]) in CALIBRATE["grouped"] and isinstance(r["rows"], int)
        return own, dict(kind="gemm", part="grouped_contiguous", local_experts=r["experts"], tokens_per_expert=r["rows"],
                         n=r["n"], k=r["k"], dtype="bf16")
    if section == "attention_decode" and r["part"] == "gqa":
        return (r["heads"], r["kv_heads"]) in CALIBRATE["decode"], attention(r, "decode")
    if section == "attention_prefill":
        return (r["heads"], r["kv_heads"]) in CALIBRATE["prefill"], attention(r, "prefill")
    if section in ("decode_step", "prefill_step") and r["kernels"] != "torch":
        step = dict(kind="serving", model=r["model"], dtype="bf16", ranks=1, gpus_per_node=8, scale_up_domain=8, scale_out="none",
                    ep=1, tp=1, dp=1, batch=r["batch"])
        if section == "decode_step":
            return False, dict(step, phase="decode", context=r["context"])
        return False, dict(step, phase="prefill", tokens_per_rank=r["batch"] * r["sequence"], sequence=r["sequence"])
    return None


def attention(r, phase):
    return dict(kind="attention", part=r["part"], phase=phase, batch=r["batch"], sequence=1 if phase == "decode" else r["tokens"],
                context=r["tokens"], heads=r["heads"], dtype="bf16",
                **(dict(kv_heads=r["kv_heads"], head_dim=128) if r["part"] == "gqa" else {}))


def identity(typed):
    words = [typed.get("model") or typed.get("part"), typed.get("phase"), typed.get("dtype")]
    rows = typed.get("tokens_per_expert")
    words += ["m%d" % typed["m"]] if "m" in typed else []
    words += ["e%d" % typed["local_experts"], "r%s" % (rows if isinstance(rows, int) else "%d-%d" % (sum(rows), max(rows)))] if rows else []
    words += ["n%d" % typed["n"], "k%d" % typed["k"]] if "n" in typed else []
    words += ["h%d" % typed["heads"]] if "heads" in typed else []
    words += ["g%d" % typed["kv_heads"]] if "kv_heads" in typed else []
    words += ["b%d" % typed["batch"]] if "batch" in typed else []
    words += ["t%d" % (typed.get("context") or typed["sequence"])] if "batch" in typed else []
    return "-".join([name, *[w for w in words if w]])


best = {}
for line in open(results):
    r = json.loads(line)
    found = conditions(r)
    if not found:
        continue
    own, typed = found
    key = identity(typed)
    if key not in best or r["time_us"] < best[key][2]:
        best[key] = (own, typed, r["time_us"])

records = []
for key, (own, typed, time) in best.items():
    tokens = typed.get("tokens_per_rank")
    quantity = dict(quantity="throughput", value=round(tokens / time * 1e6, 1)) if tokens else dict(quantity="time", value=time)
    records.append({"id": key, "testbed": name, "split": "calibrate" if own else "reference", "source": source,
                    "typed": {"accelerator": accelerator, "timing": "kernel", **typed, **quantity}})
print('{"measurements": [\n' + ",\n".join(json.dumps(record) for record in records) + "\n]}")
