"""The page docs/coverage.md, of what oracle/coverage.py found."""

import collections
import pathlib
import re

from peakmem.trace._transformers import types_of

#: The mapping of each task: of text, and of the rest.
TEXT = {
    "causal-lm": "CAUSAL_LM",
    "masked-lm": "MASKED_LM",
    "seq2seq-lm": "SEQ_TO_SEQ_CAUSAL_LM",
    "sequence-classification": "SEQUENCE_CLASSIFICATION",
    "token-classification": "TOKEN_CLASSIFICATION",
    "question-answering": "QUESTION_ANSWERING",
}
OTHERS = {
    "image-classification": "IMAGE_CLASSIFICATION",
    "semantic-segmentation": "SEMANTIC_SEGMENTATION",
    "object-detection": "OBJECT_DETECTION",
    "masked-image-modeling": "MASKED_IMAGE_MODELING",
    "video-classification": "VIDEO_CLASSIFICATION",
    "audio-classification": "AUDIO_CLASSIFICATION",
    "speech-recognition": "CTC",
    "speech-seq2seq": "SPEECH_SEQ_2_SEQ",
    "image-text-to-text": "IMAGE_TEXT_TO_TEXT",
    "zero-shot-image-classification": "ZERO_SHOT_IMAGE_CLASSIFICATION",
}
TASKS = {**TEXT, **OTHERS}


def cell(text):
    """A reason in a table, without where in this machine's files it is."""
    return re.sub(r" ?/\S+/.*", "", " ".join(str(text).replace("|", "\\|").split()))[:160]


def builds(line):
    return line["traced"] or line["stage"] == "step"


def before(path, tried):
    """What the page before says of tasks, and of modules, that were not tried: lines of the tables, as cells."""
    found = collections.defaultdict(list)
    section = ""
    for line in pathlib.Path(path).read_text().splitlines() if path else ():
        section = line[3:] if line.startswith("## ") else section
        cells = [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and not cells[0].startswith(("-", "task", "module", "why", "together")):
            key = ("modules", cells[0]) if section == "Other modules" else cells[0]
            if section == "Traced and not folded" or not (key in tried if isinstance(key, tuple) else key in {task for task, _ in tried}):
                found[section].append(cells)
    return found


def print_page(lines, page, head):
    """The page, of results and of the page before."""
    latest = {(line["task"], line["type"]): line for line in lines}  # what was tried again counts
    old = before(page, latest)
    rows = collections.defaultdict(list)
    for line in latest.values():
        rows[line["task"]].append(line)
    print(head)
    for name, tasks in (("Text", TEXT), ("Images, video and sound", OTHERS)):
        summary(name, {task: rows[task] for task in tasks if rows[task]}, tasks, old[name])
    modules(rows.pop("modules", []), old["Other modules"])
    print("\n## Not traced\n\n| task | type | where | why |\n|---|---|---|---|")
    for line in latest.values():
        if not line["traced"]:
            print(f"| {line['task']} | {line['type']} | {line.get('where') or line['stage']} | {cell(line['why'])} |")
    for cells in old["Not traced"]:
        print(f"| {' | '.join(cells)} |")
    not_folded(latest, old["Traced and not folded"])
    not_fitted(latest)


def not_folded(latest, old):
    print("\n## Traced and not folded\n")
    reasons = collections.defaultdict(list)
    for line in latest.values():
        if line["traced"] and not line["folded"] and line["task"] != "modules":
            reasons[cell(re.sub(r"\S*\d+\S*|\[.*?\]", "…", line["why"]))].append(line["type"])
    untried = {kind for task in TASKS if task not in {task for task, _ in latest} for kind in types_of(TASKS[task])}
    for why, kinds in old:
        reasons[why].extend(kind for kind in kinds.split(", ") if kind in untried)
    print("| why | types |\n|---|---|")
    for why, kinds in sorted(reasons.items(), key=lambda each: -len(each[1])):
        if kinds:
            print(f"| {why} | {', '.join(dict.fromkeys(kinds))} |")


def not_fitted(latest):
    lines = [each for each in latest.values() if each.get("fitted") is False and each["task"] != "modules"]
    if not lines:
        return
    print("\n## Folded or not, and without a formula of batch and length\n\n| task | type | why |\n|---|---|---|")
    for line in lines:
        print(f"| {line['task']} | {line['type']} | {cell(line['not_fitted'])} |")


def summary(name, rows, tasks, old):
    """A section's table."""
    print(f"\n## {name}\n\n| task | types tried | build | traced | of those that build | steady | folded | fitted |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    counts = {cells[0]: repeated(cells) for cells in old} | {task: count(found) for task, found in rows.items()}
    counts = {task: counts[task] for task in tasks if task in counts}
    counts["together"] = [sum(each) for each in zip(*counts.values())]
    for task, (tried, built, traced, steady, folded, fitted, fits) in counts.items():
        share = f"{100 * traced / max(built, 1):.0f} %"
        print(f"| {task} | {tried} | {built} | {traced} | {share} | {steady} | {folded} | {f'{fitted} of {fits}' if fits else ''} |")


def repeated(cells):
    """A line's counts, as `count` has them."""
    _, tried, built, traced, _, steady, folded, fitted = cells
    return [*map(int, (tried, built, traced, steady, folded)), *map(int, fitted.split(" of ") if fitted else (0, 0))]


def count(found):
    traced = [each for each in found if each["traced"]]
    steady, folded, fitted, fits = (
        sum(bool(each.get(key)) if key != "fits" else "fitted" in each for each in traced)
        for key in ("steady", "folded", "fitted", "fits")
    )
    return [len(found), sum(map(builds, found)), len(traced), steady, folded, fitted, fits]


def modules(found, old):
    """The section of what is no transformers model."""
    print("\n## Other modules\n\nFactories of `oracle/modules.py`, traced and made formulas of all their sizes.\n")
    print("| module | of | sizes | traced | fitted | traces | formulas |\n|---|---|---|---|---|--:|--:|")
    for cells in old:
        print(f"| {' | '.join(cells)} |")
    for line in found:
        said = f"yes{line.get('fixed', '')}" if line.get("fitted") else cell(line.get("not_fitted", line["why"]))
        sizes = " ".join(f"{name}={value}" for name, value in line["at"].items())
        traced = "yes" if line["traced"] else "no"
        print(f"| {line['type']} | {line['of']} | {sizes} | {traced} | {said} | {line.get('traces', '')} | {line.get('formulas', '')} |")
