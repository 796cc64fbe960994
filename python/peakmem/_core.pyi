def answer(request: str) -> str:
    """The response to a request, both JSON texts."""
