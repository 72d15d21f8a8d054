"""The report of an inspection as text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from electra_span.files import without_controls

_BAR_CHARACTERS = 30
_SHOWN_CHARACTERS = 100


def report_text(report: Mapping[str, Any]) -> str:
    """Returns the report on a few screens."""
    parts = (_corpus, _tokens, _scripts, _repetitions, _overlap, _lines)
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part(report))))


def summary_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the numbers that tell most, each with its name."""
    corpus, text, tokens = report["corpus"], report["text"], report["tokens"]
    rows = [
        ("files", f"{corpus['files']:,} ({corpus['bytes']:,} bytes; {', '.join(corpus['sources'])})"),
        ("documents", f"{text['documents']:,}"),
        ("lines", f"{text['lines']:,}"),
        ("words", f"{text['words']:,}"),
        ("characters", f"{text['characters']:,} ({text['different_characters']:,} different ones)"),
    ]
    if tokens is not None:
        rows += [
            ("tokens", f"{tokens['tokens_in']:,}"),
            ("tokens a word", f"{tokens['tokens_a_word']:.3f}"),
            ("characters a token", f"{tokens['characters_a_token']:.2f}"),
            ("unknown tokens", f"{tokens['unknown_tokens']:,} ({100 * tokens['unknown_rate']:.4f} %)"),
            ("examples", f"{tokens['num_examples']:,} of {tokens['max_seq_length']}, {tokens['format']}"),
            ("fill of examples", f"{100 * tokens['fill']:.1f} %"),
            ("tokens dropped", ", ".join(f"{name} {count:,}" for name, count in tokens["dropped"].items())),
        ]
    return rows


def repetition_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns how much occurs again."""
    found, text = report["repetitions"], report["text"]
    shares = {
        "near_duplicate_documents": f"near-duplicate documents (similarity {found['threshold']} or more)",
        "alike_documents": "those of them whose signatures are equal",
        "repeated_lines": "repeated lines",
        "repeated_long_lines": f"those of them of {found['long_lines_have_words']} words or more",
    }
    totals = dict.fromkeys(("near_duplicate_documents", "alike_documents"), text["documents"])
    return [
        (name, f"{found[key]:,} ({100 * found[key] / totals.get(key, text['lines']):.2f} %)")
        for key, name in shares.items()
    ]


def overlap_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what is shared with each evaluation file; nothing, where there is none."""
    overlap = report["overlap"]
    if overlap is None:
        return []
    rows = [
        (
            file["file"],
            f"{file['texts_shared']:,} of {file['texts']:,} texts occur in part "
            f"({file['texts_too_short']:,} of fewer than {overlap['least_words']} words are not looked for)",
        )
        for file in overlap["files"]
    ]
    share = 100 * overlap["contaminated_documents"] / report["text"]["documents"]
    return [*rows, ("documents that share words", f"{overlap['contaminated_documents']:,} ({share:.3f} %)")]


def _corpus(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(summary_rows(report))


def _tokens(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _histogram("lines by characters", report["text"]["lines_by_characters"])
    yield from _histogram("documents by words", report["text"]["documents_by_words"])
    if report["tokens"] is not None:
        yield from _histogram("examples by fill", report["tokens"]["examples_by_fill"])


def _scripts(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _histogram("characters by script", report["scripts"])


def _repetitions(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(repetition_rows(report))
    found = report["repetitions"]
    for group in found["groups"]:
        number, similarity = group["near_duplicates"], group["similarity"]
        yield f"  {number:,} near-duplicates, the first of similarity {similarity}, of: {_short(group['original'])}"
    for line in found["most_repeated_lines"]:
        yield f"  {line['times']:,} times: {_short(line)}"


def _overlap(report: Mapping[str, Any]) -> Iterator[str]:
    rows = overlap_rows(report)
    if rows:
        yield f"overlap with evaluation files ({report['overlap']['ngram_words']} words in a row)"
        yield from _table(rows)
        for example in report["overlap"]["examples"]:
            yield f"  document {example['document']:,}: {_shown(example['shared'])}"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield "longest lines"
    for line in report["longest_lines"]:
        yield f"  {line['characters']:,} characters: {_short(line)}"
    yield "strangest lines, by bits a character"
    for line in report["strangest_lines"]:
        yield f"  {line['bits_a_character']:.2f}: {_short(line)}"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _histogram(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield title
    width, largest, total = max(map(len, counts), default=0), max(counts.values(), default=0), sum(counts.values())
    for name, count in counts.items():
        bar = "█" * round(_BAR_CHARACTERS * count / max(1, largest))
        yield f"  {name:>{width}}  {count:>13,}  {100 * count / total:>6.2f} %  {bar}".rstrip()


def _short(entry: Mapping[str, str]) -> str:
    """Returns the beginning of a text and its file."""
    return f"{_shown(entry['text'])} [{entry['file']}]"


def _shown(text: str) -> str:
    """Returns the beginning of a text as it may be shown."""
    shown = without_controls(text[:_SHOWN_CHARACTERS])
    return shown if len(text) <= _SHOWN_CHARACTERS else shown[:-1] + "…"
