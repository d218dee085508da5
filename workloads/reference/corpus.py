"""The training text: files of installed Debian packages and generated documents, in five domains,
split by file into training and held-out. Nothing of it is kept in the project, only its statistics."""

import collections
import glob
import gzip
import hashlib
import json
import os
import re
import unicodedata

import numpy

from generators import arithmetic_document, documents, json_document

DOMAINS = ("code", "prose", "languages", "arithmetic", "json")
SHARES = (0.28, 0.22, 0.16, 0.17, 0.17)  # of the sequences in a batch
HELDOUT_ONE_IN = 20
FILE_BYTES = 64 << 10  # of a larger file only the beginning is read
PACKAGE_BYTES = 4 << 20  # of one package in one domain: no package may drown the others
TRAIN_BYTES = {"code": 24 << 20, "prose": 24 << 20, "languages": 24 << 20, "arithmetic": 6 << 20, "json": 12 << 20}
HELDOUT_BYTES = 1 << 20
GENERATED_JSON_BYTES = 6 << 20
SEPARATOR = b"\n\n"
CODE_ENDINGS = (".h", ".hpp", ".hh", ".hxx", ".tcc", ".ipp", ".inl", ".c", ".cc", ".cpp")
PROSE_ENDINGS = (".txt", ".md", ".rst", "README", "NEWS", "INSTALL", "FAQ")


def digest(text):
    return hashlib.sha1(text.encode()).hexdigest()


def is_heldout(path):
    return int(digest(path)[:8], 16) % HELDOUT_ONE_IN == 0


ROFF_ACCENTS = {":": "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", ",": "\u0327", "o": "\u030a"}
ROFF_NAMES = {"aq": "'", "cq": "'", "oq": "'", "lq": '"', "rq": '"', "dq": '"', "em": "-", "en": "-", "hy": "-",
              "bu": "*", "ss": "\u00df", "/o": "\u00f8", "/O": "\u00d8", "Fo": "\u00ab", "Fc": "\u00bb", "co": "(c)"}


def roff_character(match):
    """One \\(xx or \\[name]: a letter, a code point, or nothing when it is not text."""
    name = match[1] or match[2]
    if re.fullmatch(r"u[0-9A-F]{4,5}", name):
        return chr(int(name[1:], 16))
    if len(name) == 2 and name[0] in ROFF_ACCENTS and name[1].isalpha() and name not in ROFF_NAMES:
        return unicodedata.normalize("NFC", name[1] + ROFF_ACCENTS[name[0]])
    return ROFF_NAMES.get(name, "")


def man_text(source):
    """The words of a manual page without its roff requests."""
    lines = []
    for line in source.splitlines():
        if line[:1] in (".", "'"):
            macro, _, rest = line[1:].strip().partition(" ")
            if macro in ("SH", "SS", "Sh", "Ss"):
                lines.append("\n" + rest.strip('"'))
            elif re.fullmatch(r"[BI]|[BIR][BIR]|TH|Nm|Nd|Ar|Fl|Pa|Dt|Xr|Cm|It|Em|Sy|Li", macro):
                lines.append(rest.replace('"', ""))
            elif macro in ("PP", "P", "TP", "IP", "LP", "Pp"):
                lines.append("")
            continue
        lines.append(line)
    text = "\n".join(lines)
    text = re.sub(r"\\f(\[\w*\]|\(..|.)", "", text)
    text = re.sub(r"\\s[-+]?\d|\\[&|^/,]|\\c", "", text)
    text = re.sub(r"\\\*(\(..|\[[^]]*\]|.)", "", text)
    text = re.sub(r"\\(?:\((..)|\[([^]]*)\])", roff_character, text)
    text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\ ", " ").replace("\\~", " ")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def read_document(path):
    """UTF-8 bytes of a text file, or None if it is not one."""
    try:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rb") as file:
            raw = file.read(FILE_BYTES)
        text = raw.decode("utf-8", "strict" if len(raw) < FILE_BYTES else "ignore")
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    if "\0" in text or len(text) < 64:
        return None
    if "/man/" in path:
        text = man_text(text)
    return text.encode()


def walk(root):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                yield path


def candidates():
    """domain -> paths, before anything is read."""
    found = collections.defaultdict(list)
    found["code"] = [p for p in walk("/usr/include") if p.endswith(CODE_ENDINGS)]
    for path in walk("/usr/share/man"):
        section = path[len("/usr/share/man/"):].split("/")[0]
        found["prose" if re.fullmatch(r"man\d\w*", section) else "languages"].append(path)
    for path in walk("/usr/share/doc"):
        plain = path[:-3] if path.endswith(".gz") else path
        if plain.endswith(PROSE_ENDINGS) and "changelog" not in plain.lower():
            found["prose"].append(path)
        elif plain.endswith(CODE_ENDINGS):
            found["code"].append(path)
    found["json"] = [p for root in ("/usr/share", "/usr/lib") for p in walk(root) if p.endswith(".json")]
    return found


def debian_packages():
    """Installed packages that Debian maintains; what a machine has from elsewhere is left out."""
    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        entries = file.read().split("\n\n")
    return {entry.split("\n", 1)[0][len("Package: "):] for entry in entries
            if re.search(r"^(Original-)?Maintainer:.*debian", entry, re.IGNORECASE | re.MULTILINE)}


def package_files():
    """path -> Debian package that installed it."""
    owner, known = {}, debian_packages()
    for listing in glob.glob("/var/lib/dpkg/info/*.list"):
        package = os.path.basename(listing)[:-5].split(":")[0]
        if package in known:
            with open(listing, encoding="utf-8", errors="replace") as file:
                owner.update((line.rstrip("\n"), package) for line in file)
    return owner


def take(paths, owner, budgets):
    """Reads packaged files in an order fixed by the hash of their path until both budgets are full."""
    seen, parts, packages = set(), {"train": [], "heldout": []}, collections.Counter()
    room = dict(budgets)
    for path in sorted(paths, key=digest):
        side = "heldout" if is_heldout(path) else "train"
        if path not in owner or room[side] <= 0 or packages[owner[path]] >= PACKAGE_BYTES:
            continue
        data = read_document(path)
        key = data and hashlib.sha1(data).digest()
        if not data or key in seen:
            continue
        seen.add(key)
        parts[side].append(data)
        packages[owner[path]] += len(data)
        room[side] -= len(data)
    return parts, packages


def generated(make, total_bytes):
    """Every HELDOUT_ONE_INth document is held out."""
    made = documents(make, 0, total_bytes)
    return {"train": [d for i, d in enumerate(made) if i % HELDOUT_ONE_IN],
            "heldout": made[::HELDOUT_ONE_IN]}


def build():
    """-> {domain: {"train": bytes array, "heldout": bytes array}}, statistics."""
    found, owner, texts, statistics = candidates(), package_files(), {}, {}
    for domain in DOMAINS:
        budgets = {"train": TRAIN_BYTES[domain], "heldout": HELDOUT_BYTES}
        if domain == "json":
            budgets["train"] -= GENERATED_JSON_BYTES
        parts, packages = take(found[domain], owner, budgets)
        if domain in ("arithmetic", "json"):
            make = arithmetic_document if domain == "arithmetic" else json_document
            size = TRAIN_BYTES[domain] if domain == "arithmetic" else GENERATED_JSON_BYTES
            for side, made in generated(make, size).items():
                parts[side] += made
        joined = {side: SEPARATOR.join(sorted(p, key=lambda d: hashlib.sha1(d).digest())) for side, p in parts.items()}
        texts[domain] = {side: numpy.frombuffer(data, numpy.uint8) for side, data in joined.items()}
        statistics[domain] = {
            "train_files": len(parts["train"]), "train_bytes": len(joined["train"]),
            "heldout_files": len(parts["heldout"]), "heldout_bytes": len(joined["heldout"]),
            "packages": len(packages), "largest_packages": packages.most_common(6),
            "sha1": hashlib.sha1(joined["train"] + joined["heldout"]).hexdigest()}
    return texts, statistics


def load(folder):
    """The corpus, built once and kept in `folder` (outside the project's history)."""
    path = os.path.join(folder, "corpus.npz")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        texts, statistics = build()
        arrays = {f"{domain}.{side}": array for domain, sides in texts.items() for side, array in sides.items()}
        with open(path + ".part", "wb") as file:
            numpy.savez(file, statistics=json.dumps(statistics), **arrays)
        os.replace(path + ".part", path)
    with numpy.load(path) as stored:
        texts = {d: {side: stored[f"{d}.{side}"] for side in ("train", "heldout")} for d in DOMAINS}
        return texts, json.loads(str(stored["statistics"]))


def batch(texts, seed, step, sequences, context):
    """ids [sequences, context + 1] int64: a function of seed and step alone."""
    rng = numpy.random.Generator(numpy.random.PCG64([seed, step]))
    rows = []
    for domain in rng.choice(len(DOMAINS), sequences, p=SHARES):
        data = texts[DOMAINS[domain]]["train"]
        first = rng.integers(0, len(data) - context - 1)
        rows.append(data[first : first + context + 1])
    return numpy.stack(rows).astype(numpy.int64)


def heldout_windows(texts, domain, count, context):
    """`count` evenly spaced windows [count, context + 1] of the held-out bytes."""
    data = texts[domain]["heldout"]
    firsts = numpy.linspace(0, len(data) - context - 1, count).astype(int)
    return numpy.stack([data[f : f + context + 1] for f in firsts]).astype(numpy.int64)
