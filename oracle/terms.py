"""Formulas of `peakmem formula --json` as sums of terms: whether two are the same, and in which terms they are not."""

import re

import sympy

#: The letters of a traced program by what the core says a symbol of its own is; a decoder has the encoder's sizes here.
LETTERS = {"batch": "B", "seq": "T", "target-seq": "T", "layers": "L", "decoder-layers": "L", "hidden": "C", "ffn": "F",
           "decoder-ffn": "F", "vocab": "V"}  # fmt: skip
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def shared(ours, theirs):
    """The letters that two answers have in common: what one calls a letter is a number in another, as the width of what is dense is
    where experts have a letter for theirs."""

    def letters(symbols):
        return {(LETTERS.get(each["meaning"]), each["value"]) for each in symbols}

    return {letter for letter, _ in letters(ours) & letters(theirs)}


def values(symbols, letters):
    """What each symbol of an answer stands for: one of the letters, else its number."""
    found = {}
    for each in symbols:
        letter = LETTERS.get(each["meaning"])
        known = letter in letters
        found[each["symbol"]] = sympy.Symbol(letter, integer=True, positive=True) if known else sympy.Integer(each["value"])
    return found


def read(text, names):
    """A printed formula as a polynomial."""
    code = re.sub(f"[{SUPERSCRIPTS}]+", lambda found: "**" + "".join(str(SUPERSCRIPTS.index(each)) for each in found.group()), text)
    code = code.replace("·", "*").replace("⌈", "ceiling(").replace("⌉", ")")
    known = {"ceiling": sympy.ceiling, "max": sympy.Max, "min": sympy.Min}
    return sympy.expand(eval(code, {"__builtins__": {}}, known | names))
