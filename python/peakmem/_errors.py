"""What stands in the way of an answer."""

from __future__ import annotations


class InputError(ValueError):
    """A question that cannot be answered.

    Attributes:
        field: where: an option by its Python name, or a field of a config.
        problem: what is wrong there.
        hint: what to do about it; may be empty.
    """

    def __init__(self, field: str, problem: str, hint: str = "") -> None:
        super().__init__(": ".join(part for part in (field, problem) if part) + (f" ({hint})" if hint else ""))
        self.field = field
        self.problem = problem
        self.hint = hint

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return InputError, (self.field, self.problem, self.hint)
