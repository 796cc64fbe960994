"""Formulas of `peakmem formula --json` as sums of terms: whether two are the same, and in which terms they are not."""

import re

import sympy

#: The letters of a traced program by what the core says a symbol of its own is; a decoder has the encoder's sizes here.
LETTERS = {"batch": "B", "seq": "T", "target-seq": "T", "layers": "L", "decoder-layers": "L", "hidden": "C", "ffn": "F",
           "decoder-ffn": "F", "vocab": "V"}  # fmt: skip
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def values(symbols, fixed):
    """What each symbol of an answer stands for: a letter that was varied, else its number."""
    found = {}
    for each in symbols:
        letter = LETTERS.get(each["meaning"])
        varied = letter and letter not in fixed
        found[each["symbol"]] = sympy.Symbol(letter, integer=True, positive=True) if varied else sympy.Integer(each["value"])
    return found


def read(text, names):
    """A printed formula as a polynomial."""
    code = re.sub(f"[{SUPERSCRIPTS}]+", lambda found: "**" + "".join(str(SUPERSCRIPTS.index(each)) for each in found.group()), text)
    code = code.replace("·", "*").replace("⌈", "ceiling(").replace("⌉", ")")
    known = {"ceiling": sympy.ceiling, "max": sympy.Max, "min": sympy.Min}
    return sympy.expand(eval(code, {"__builtins__": {}}, known | names))
