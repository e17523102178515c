"""Check that no utterance holds a word of a query, and print the first hits of each query.

python benchmarks/search_meld.py MANIFEST QUERIES HITS    # benchmarks/search_meld.sh calls it
"""

import csv
import json
import re
import sys
from pathlib import Path
from textwrap import shorten as cut

SHOWN = 3


def main(manifest: str, queries: str, hits: str) -> int:
    """Print a Markdown table of queries and their first hits; 1: an utterance holds a word."""
    texts = [row["text"] for row in table(manifest)]
    asked = {row["id"]: row["text"] for row in table(queries)}
    held = {word for text in texts for word in words(text)}
    shared = sorted(held & {word for text in asked.values() for word in words(text)})
    if shared:
        print(f"an utterance holds: {', '.join(shared)}", file=sys.stderr)
        return 1
    best: dict[str, list[str]] = {}
    for hit in json.loads(Path(hits).read_text("utf-8"))["hits"]:
        if hit["rank"] <= SHOWN:
            best.setdefault(hit["query"], []).append(
                f"{cut(hit['text'], 50, placeholder=' …')} ({hit['score']:.2f})"
            )
    print(f"| query | first {SHOWN} of {len(texts):,} utterances (cosine) |")
    print("| --- | --- |")
    for name, text in asked.items():
        print(f"| {text} | {' · '.join(best[name])} |")
    return 0


def table(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
