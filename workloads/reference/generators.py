"""Text made by seeded generators: arithmetic and JSON. A document is a function of its number alone,
so the same numbers give the same bytes on every machine."""

import json
import os
import random
import sys

WORDS = ("attention balance bandwidth batch block buffer bytes capacity chart cluster combine context cost count "
         "decode device dispatch domain efficiency expert fabric fidelity group head hidden index interval label "
         "latency layer leaf link load memory message metric mode model name network node order path peak phase "
         "placement plan point port precision prefill profile query queue rail range rank rate record region "
         "replica request result route router sample schedule seed shape sharding slot source spine stage step "
         "storage switch table tensor time token topology trace traffic unit update value version weight width "
         "window worker zone").split()
UNITS = ("us", "ms", "s", "KiB", "MiB", "GiB", "GB", "GB/s", "Gb/s", "TFLOP/s")
FROZEN_FIRST, FROZEN_BYTES = 1_000_000, 24 << 10
ACCELERATORS = ("h100", "h200", "h800", "b200", "gb200")
PLACEMENTS = ("contiguous", "round_robin", "eplb", "co_activation")


def arithmetic_line(rng):
    """One statement whose answer is right."""
    kind, size = rng.randrange(9), 10 ** rng.randrange(1, 5)
    a, b, c = rng.randrange(size), rng.randrange(size), rng.randrange(1, 20)
    if kind == 0:
        return f"{a} + {b} = {a + b}"
    if kind == 1:
        return f"{a} - {b} = {a - b}"
    if kind == 2:
        a, b = a % 100, b % 100
        return f"{a} * {b} = {a * b}"
    if kind == 3:
        return f"{a} / {c} = {a // c} remainder {a % c}"
    if kind == 4:
        a, b = a % 50, b % 50
        return f"({a} + {b}) * {c} = {(a + b) * c}"
    if kind == 5:
        sign = "<" if a < b else ">" if a > b else "="
        return f"{a} {sign} {b}"
    if kind == 6:
        return ", ".join(str(a % 1000 + i * c) for i in range(rng.randrange(5, 9)))
    if kind == 7:
        x = rng.randrange(2, 30)
        return f"x = {x}; {c} * x + {a % 100} = {c * x + a % 100}"
    parts = [rng.randrange(100) for _ in range(rng.randrange(3, 6))]
    return " + ".join(map(str, parts)) + f" = {sum(parts)}"


def times_table(rng):
    n = rng.randrange(2, 40)
    return "\n".join(f"{n} * {i} = {n * i}" for i in range(1, 13))


def arithmetic_document(number):
    """About 1 KB of statements."""
    rng = random.Random(f"arithmetic {number}")
    parts = [times_table(rng) if rng.randrange(40) == 0 else arithmetic_line(rng) for _ in range(50)]
    return "\n".join(parts) + "\n"


def quantity(rng):
    usual = (1, 2, 4, 8, 16, 25, 32, 50, 64, 80, 100, 128, 200, 256, 400, 800, rng.randrange(1000))
    return f"{rng.choice(usual)} {rng.choice(UNITS)}"


def scalar(rng):
    return rng.choice((lambda: rng.randrange(10 ** rng.randrange(1, 6)), lambda: round(rng.random(), 3),
                       lambda: rng.choice(WORDS), lambda: quantity(rng), lambda: rng.random() < 0.5,
                       lambda: f"{rng.choice(WORDS)}_{rng.choice(WORDS)}", lambda: None))()


def tree(rng, depth):
    """Nested objects and lists over a small vocabulary of keys."""
    kind = rng.randrange(6) if depth else 5
    if kind < 2:
        return {key: tree(rng, depth - 1) for key in rng.sample(WORDS, rng.randrange(2, 6))}
    if kind == 2:
        keys = rng.sample(WORDS, rng.randrange(2, 5))
        return [{key: scalar(rng) for key in keys} for _ in range(rng.randrange(2, 6))]
    if kind == 3:
        return [rng.randrange(1000) for _ in range(rng.randrange(3, 12))]
    return scalar(rng)


def scenario(rng):
    """An object shaped like a scenario file of this project."""
    nodes = 2 ** rng.randrange(6)
    return {
        "name": " ".join(rng.sample(WORDS, rng.randrange(3, 6))),
        "model": rng.choice(WORDS) + "-" + str(rng.randrange(1, 200)) + "b",
        "cluster": {"accelerator": rng.choice(ACCELERATORS), "nodes": nodes,
                    "fabric": {"kind": rng.choice(("single_node", "rail_optimized")),
                               "bandwidth": quantity(rng), "latency": f"{rng.randrange(1, 20)} us"}},
        "workload": {"phase": rng.choice(("prefill", "decode")), "requests_per_rank": 2 ** rng.randrange(8),
                     "context": 2 ** rng.randrange(8, 14), "steps": rng.randrange(1, 20),
                     "domains": {word: round(rng.random(), 2) for word in rng.sample(WORDS, rng.randrange(1, 4))}},
        "plan": {"expert_parallel": 8 * nodes, "redundant_experts": 8 * rng.randrange(9),
                 "placement": rng.choice(PLACEMENTS),
                 "precision": {"experts": rng.choice(("fp8", "bf16")), "dispatch": rng.choice(("fp8", "bf16"))}},
        "vary": {"plan.placement": rng.sample(PLACEMENTS, rng.randrange(1, 4))},
        "seed": rng.randrange(1000),
    }


def json_document(number):
    """One JSON object, one in three shaped like a scenario, with varying indentation."""
    rng = random.Random(f"json {number}")
    if number % 3 == 0:
        value = scenario(rng)
    else:
        value = {key: tree(rng, 3) for key in rng.sample(WORDS, rng.randrange(3, 9))}
    return json.dumps(value, indent=rng.choice((None, 1, 2, 2, 4))) + "\n"


def documents(make, first, total_bytes):
    """Documents number `first`, first + 1, ... until they hold total_bytes."""
    made, size = [], 0
    while size < total_bytes:
        made.append(make(first + len(made)).encode())
        size += len(made[-1])
    return made


def main():
    """generators.py FOLDER: writes the frozen arithmetic.txt and json.txt, from documents whose
    numbers no training run reaches."""
    for name, make in (("arithmetic", arithmetic_document), ("json", json_document)):
        with open(os.path.join(sys.argv[1], name + ".txt"), "wb") as file:
            file.write(b"\n".join(documents(make, FROZEN_FIRST, FROZEN_BYTES)))


if __name__ == "__main__":
    main()
