#!/usr/bin/python3
"""Measures the exported model on held-out bytes and on the frozen texts, and writes report.md,
loss_curve.csv and loss_curve.svg.

    /usr/bin/python3 report.py --work ~/train"""

import argparse
import itertools
import math
import os

import numpy
import torch
from torch.nn import functional as F

import corpus
import train
from checkpoint import write_whole
from export import HERE, TEXTS, frozen_text, load_exported
from plot import line_chart

CONTEXT = 256
STAND_IN_RANKS = 16  # of the shipped first scenario


def bigram_bits(training, windows):
    """Bits per byte of a byte bigram model with add-one smoothing, on the windows' own bytes."""
    pairs = training[:-1].astype(numpy.int64) * 256 + training[1:]
    counts = numpy.bincount(pairs, minlength=65536).reshape(256, 256) + 1.0
    probability = counts / counts.sum(1, keepdims=True)
    return float(-numpy.log2(probability[windows[:, :-1], windows[:, 1:]]).mean())


@torch.no_grad()
def measure(model, windows):
    """windows [n, CONTEXT + 1] -> bits per byte, token copies [layers, experts]."""
    nats, counts = 0.0, 0
    for part in torch.from_numpy(windows).split(16):
        logits, routing = model(part[:, :-1])
        nats += F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
        counts = counts + numpy.stack([numpy.bincount(layer["experts"].flatten().numpy(),
                                                      minlength=model.config.num_experts) for layer in routing])
    return nats / windows[:, 1:].size / math.log(2), counts


def text_windows(name):
    data = numpy.frombuffer(frozen_text(name), numpy.uint8).astype(numpy.int64)
    return numpy.stack([data[i : i + CONTEXT + 1] for i in range(0, len(data) - CONTEXT, CONTEXT)])


def peak(counts):
    """max / mean along the last axis."""
    return counts.max(-1) / counts.mean(-1)


def variation(counts_by_domain):
    """Mean over pairs of domains of the total variation between their expert shares, per layer."""
    shares = [counts / counts.sum(-1, keepdims=True) for counts in counts_by_domain]
    return numpy.mean([0.5 * abs(a - b).sum(-1) for a, b in itertools.combinations(shares, 2)], axis=0)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def numbers(values, digits=2):
    return [f"{value:.{digits}f}" for value in values]


def loss_section(model, texts, windows_per_domain):
    """Held-out loss against the bigram -> text, counts per domain."""
    rows, counts = [], {}
    for domain in corpus.DOMAINS:
        windows = corpus.heldout_windows(texts, domain, windows_per_domain, CONTEXT)
        bits, counts[domain] = measure(model, windows)
        bigram = bigram_bits(texts[domain]["train"], windows)
        rows.append([domain] + numbers((bits, bigram, bigram - bits), 3) + [f"{100 * (1 - bits / bigram):.0f} %"])
    text = table(["domain", "model", "bigram", "margin", "fewer bits"], rows)
    return text, counts


def load_section(counts):
    """Load by domain: peaks per layer, and how far domains lie apart."""
    layers = range(len(next(iter(counts.values()))))
    head = ["max / mean load"] + [f"layer {i}" for i in layers]
    rows = [[domain] + numbers(peak(c)) for domain, c in counts.items()]
    together = sum(counts.values())
    rows.append(["all together"] + numbers(peak(together)))
    rows.append(["least loaded expert / mean, all together"] + numbers(together.min(-1) / together.mean(-1)))
    rows.append(["mean pairwise total variation"] + numbers(variation(list(counts.values()))))
    return table(head, rows), int((together == 0).sum())


def texts_section(model):
    counts, bits = {}, {}
    for name in TEXTS:
        bits[name], counts[name] = measure(model, text_windows(name))
    pooled = sum(counts.values())
    ranks = peak(pooled.reshape(len(pooled), STAND_IN_RANKS, -1).sum(-1))
    lines = [table(["text"] + list(TEXTS), [["bytes"] + [len(frozen_text(n)) for n in TEXTS],
                                            ["bits per byte"] + numbers(bits.values(), 3)]),
             load_section(counts)[0],
             f"Rank load max / mean over {STAND_IN_RANKS} ranks under the contiguous placement, by layer: "
             + ", ".join(numbers(ranks)) + "."]
    return "\n\n".join(lines)


def corpus_section(statistics):
    rows = []
    for domain, s in statistics.items():
        largest = ", ".join(f"{name} {size >> 10} KiB" for name, size in s["largest_packages"][:4]) or "generated"
        rows.append([domain, s["train_files"], s["train_bytes"], s["heldout_files"], s["heldout_bytes"], s["packages"],
                     largest, s["sha1"][:12]])
    return table(["domain", "training files", "bytes", "held-out files", "bytes", "packages", "largest", "SHA-1"], rows)


def curve_files(history):
    """loss_curve.csv with one row per log entry, loss_curve.svg beside it."""
    lines = ["step,bytes,seconds,learning_rate,train_bits_per_byte,balance_loss,router_z_loss,"
             + ",".join(f"heldout_{domain}" for domain in corpus.DOMAINS)]
    for row in history:
        heldout = [f"{row['heldout'][d]:.4f}" if "heldout" in row else "" for d in corpus.DOMAINS]
        lines.append(f"{row['step']},{row['bytes']},{row['seconds']},{row['learning_rate']:.3e},{row['train']:.4f},"
                     f"{row['balance']:.4f},{row['router_z']:.3f}," + ",".join(heldout))
    write_whole(os.path.join(HERE, "loss_curve.csv"), ("\n".join(lines) + "\n").encode())
    series = {"training": [(row["bytes"] / 1e6, row["train"]) for row in history]}
    for domain in corpus.DOMAINS:
        series[domain] = [(row["bytes"] / 1e6, row["heldout"][domain]) for row in history if "heldout" in row]
    chart = line_chart(series, "million bytes seen", "bits per byte")
    write_whole(os.path.join(HERE, "loss_curve.svg"), chart.encode())


def training_section(state):
    last, run = state["history"][-1], state["runs"][-1]
    return "\n".join([
        f"- {last['step']} steps of {run['batch']} x {run['context']} bytes: {last['bytes']} bytes seen in "
        f"{last['seconds']:.0f} s of training on {run['threads']} CPU threads "
        f"({last['bytes'] / last['seconds']:.0f} bytes/s), the machine being shared with other work. Begun and resumed "
        f"at steps {', '.join(str(r['from_step']) for r in state['runs'])}.",
        f"- Seed {run['seed']} for the initial weights and, with the step number, for every batch. Matrix products in "
        f"{run['precision']}, everything else in float32. The learning rate follows the clock (`--minutes`), so a "
        "repetition gives the same batches but not the same bits.",
        f"- AdamW (0.9, 0.95), weight decay 0.1, peak learning rate {run['learning_rate']}, {run['warmup']} warm-up "
        "steps, cosine to 2 %, gradient norm clipped at 1.",
        f"- Load-balance loss x {train.BALANCE} (Hugging Face's convention: 4 is balanced; last value "
        f"{last['balance']:.2f}), router z-loss x {train.ROUTER_Z}.",
        "- Domains are mixed in every batch with the shares "
        + ", ".join(f"{d} {s:.2f}" for d, s in zip(corpus.DOMAINS, corpus.SHARES)) + "."])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder with checkpoint.pt, written by train.py")
    parser.add_argument("--windows", type=int, default=256, help="held-out windows of 256 bytes per domain")
    args = parser.parse_args()
    state = torch.load(os.path.join(args.work, "checkpoint.pt"))["state"]
    texts, statistics = corpus.load(args.work)
    model = load_exported()
    losses, counts = loss_section(model, texts, args.windows)
    load, dead = load_section(counts)
    curve_files(state["history"])
    config, parameters = model.config, sum(p.numel() for p in model.parameters())
    with open(os.path.join(HERE, "report_template.md"), encoding="utf-8") as file:
        report = file.read().format(
            parameters=parameters, layers=config.num_hidden_layers, hidden=config.hidden_size,
            experts=config.num_experts, top_k=config.num_experts_per_tok, width=config.moe_intermediate_size,
            training=training_section(state), corpus=corpus_section(statistics), windows=args.windows,
            losses=losses, load=load, dead=dead, texts=texts_section(model))
    write_whole(os.path.join(HERE, "report.md"), report.encode())
    print(losses, load, sep="\n")


if __name__ == "__main__":
    main()
