"""The page docs/fitted.md, of what oracle/fitted.py found."""

HEAD = """# Families and their fitted formulas

Made by `oracle/fitted.py` on transformers {transformers} and torch {torch}. A small model of each family is traced by `peakmem.trace` at
random sizes until it is a program with formulas, which knows nothing of the hand-written family. At three points that were not traced the
core answers of both: "bytes" counts the points at which every phase of two steps begins, peaks and ends at the same bytes, "terms" those at
which the formulas of the peak and of every phase's highest moment are the same, term by term. Letters that could not be varied are numbers.
"""


def said(line, key):
    return f"{line[key]} of {line['points']}" if key in line else ""


def print_page(lines, transformers, torch):
    latest = {line["family"]: line for line in lines}  # what was tried again counts
    print(HEAD.format(transformers=transformers, torch=torch.split("+")[0]))
    print("| family | task | letters | as numbers | traces | bytes | terms | terms compared |\n|---|---|---|---|--:|--:|--:|--:|")
    fitted = [line for line in latest.values() if "why" not in line]
    for line in fitted:
        letters = " ".join(each for each in line["letters"] if each not in line["fixed"])
        numbers = " ".join(line["fixed"])
        cells = (line["family"], line["task"], letters, numbers, line["traces"], said(line, "bytes"), said(line, "formulas"), line["terms"])
        print(f"| {' | '.join(map(str, cells))} |")
    same = sum(line["bytes"] == line["formulas"] == line["points"] for line in fitted)
    print(f"\n{same} of {len(latest)} families are the same in every byte and every term.")
    if others := [line for line in latest.values() if "why" in line]:
        print("\n## Not fitted\n\n| family | why |\n|---|---|")
        for line in others:
            print(f"| {line['family']} | {' '.join(line['why'].replace('|', ' ').split())[:200]} |")
