def answer(request: str) -> str:
    """The response to a request, both JSON texts."""

def launch_table(name: str) -> str:
    """A table of data/launch as text; empty where there is none of that name."""
