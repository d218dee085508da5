#!/usr/bin/python3
"""Trains the reference model on text of this machine (see corpus.py) and checkpoints as it goes.

    /usr/bin/python3 train.py --out ~/train --minutes 80        # needs python3-torch; CPU only
    /usr/bin/python3 train.py --out ~/train --minutes 80 --resume

Fast with libopenblas0-pthread and a CPU with AVX512_BF16; elsewhere give --precision float32.
Then: export.py --work ~/train, report.py --work ~/train."""

import argparse
import json
import math
import os
import time

import torch
from torch.nn import functional as F

import corpus
from model import ModelConfig, ReferenceModel

BALANCE = 0.01  # weight of the load-balance loss, mean over layers; balanced value is top-k
ROUTER_Z = 1e-4  # weight of mean(logsumexp(router logits)^2)
LOG_STEPS, EVALUATE_STEPS = 20, 400


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="work folder: corpus, checkpoint, history")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after this much training time")
    parser.add_argument("--steps", type=int, default=6000, help="stop after this many steps")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--batch", type=int, default=16, help="sequences a step")
    parser.add_argument("--context", type=int, default=256, help="bytes a sequence")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--warmup", type=int, default=150, help="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16",
                        help="of matrix products; weights and sums stay float32")
    parser.add_argument("--checkpoint-minutes", type=float, default=4)
    return parser.parse_args()


def router_losses(routing, experts):
    """Load-balance loss E * sum(f_e * P_e) with f summed over the k slots (Switch Transformer,
    eq. 4, in Hugging Face's convention) and z-loss (ST-MoE, eq. 5), each the mean over layers."""
    balance = z = 0.0
    for layer in routing:
        tokens = len(layer["experts"])
        share = torch.bincount(layer["experts"].flatten(), minlength=experts).float() / tokens
        balance = balance + experts * (share * layer["probabilities"].mean(0)).sum() / len(routing)
        z = z + layer["logits"].logsumexp(-1).square().mean() / len(routing)
    return balance, z


def learning_rate(args, step, seconds):
    """Linear warm-up, then a cosine down to 2 % at the end, whichever limit comes first."""
    if step < args.warmup:
        return args.learning_rate * (step + 1) / args.warmup
    progress = min(1.0, max(step / args.steps, seconds / (60 * args.minutes)))
    return args.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def make_optimizer(model, args):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.learning_rate, betas=(0.9, 0.95), foreach=True)


def train_step(model, optimizer, ids):
    """One update; returns the three losses in nats."""
    logits, routing = model(ids[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    balance, z = router_losses(routing, model.config.num_experts)
    (loss + BALANCE * balance + ROUTER_Z * z).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), balance.item(), z.item()


@torch.no_grad()
def heldout_bits(model, texts, windows, context):
    """domain -> bits per byte on evenly spaced held-out windows."""
    bits = {}
    for domain in corpus.DOMAINS:
        ids = torch.from_numpy(corpus.heldout_windows(texts, domain, windows, context))
        total = sum(F.cross_entropy(model(part[:, :-1])[0].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
                    for part in ids.split(16))
        bits[domain] = total / (len(ids) * context) / math.log(2)
    return bits


def save(path, model, optimizer, state):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}, path + ".part")
    os.replace(path + ".part", path)


def start(args, path):
    """Model, optimizer and the state {step, seconds, history, runs}: fresh or from the checkpoint."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    model = ReferenceModel(ModelConfig(max_position_embeddings=args.context), getattr(torch, args.precision))
    model.initialise()
    optimizer, state = make_optimizer(model, args), {"step": 0, "seconds": 0.0, "history": [], "runs": []}
    if args.resume:
        stored = torch.load(path)
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        state = stored["state"]
    state["runs"].append({**vars(args), "out": None, "from_step": state["step"]})
    return model, optimizer, state


def main():
    args = arguments()
    path = os.path.join(args.out, "checkpoint.pt")
    texts, _ = corpus.load(args.out)
    model, optimizer, state = start(args, path)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, from step {state['step']}", flush=True)
    before, saved, recent = time.monotonic(), time.monotonic(), []
    while state["step"] < args.steps and state["seconds"] < 60 * args.minutes:
        rate = learning_rate(args, state["step"], state["seconds"])
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids = torch.from_numpy(corpus.batch(texts, args.seed, state["step"], args.batch, args.context))
        recent.append(train_step(model, optimizer, ids))
        now = time.monotonic()
        state["step"], state["seconds"], before = state["step"] + 1, state["seconds"] + now - before, now
        last = state["step"] >= args.steps or state["seconds"] >= 60 * args.minutes
        if state["step"] % LOG_STEPS == 0 or last:
            loss, balance, z = (sum(values) / len(recent) for values in zip(*recent))
            row = {"step": state["step"], "bytes": state["step"] * args.batch * args.context,
                   "seconds": round(state["seconds"], 1), "learning_rate": rate,
                   "train": loss / math.log(2), "balance": balance, "router_z": z}
            if state["step"] % EVALUATE_STEPS == 0 or last:
                row["heldout"] = heldout_bits(model, texts, 32, args.context)
            state["history"].append(row)
            recent = []
            print(json.dumps(row), flush=True)
        if last or now - saved > 60 * args.checkpoint_minutes:
            save(path, model, optimizer, state)
            saved = now


if __name__ == "__main__":
    main()
