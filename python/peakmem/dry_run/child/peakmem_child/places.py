"""Where in the user's own code something happened."""

from __future__ import annotations

import sys
import sysconfig
import threading
from types import FrameType
from typing import Iterator, Optional

#: Where Python's own code lies, and this package's; what is made while a program runs has no file.
PYTHON = (sysconfig.get_path("stdlib") + "/",)
OURS = (__file__.rpartition("/")[0] + "/", "<")
#: Folders of installed packages.
PACKAGES = ("/site-packages/", "/dist-packages/")


def frames_from(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith(PYTHON + OURS) and not any(folder in file for folder in PACKAGES)


def place_of(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def user_place() -> str:
    """ "train.py:12 in step" of whoever calls; autograd's threads have no frames of the user's, the main thread waits for
    them. A function must not hold its own frame: what its callers name would live until the garbage is collected."""
    main = threading.main_thread()
    found = innermost_users(sys._getframe(1))
    if found is None and threading.current_thread() is not main:
        found = innermost_users(sys._current_frames().get(main.ident or 0))
    return found or "?"


def innermost_users(first: Optional[FrameType]) -> Optional[str]:
    return next((place_of(frame) for frame in frames_from(first) if is_users(frame)), None)


def innermost_place() -> str:
    """The same of the code that really did it, be it a package's."""
    for frame in frames_from(sys._getframe(1)):
        if not frame.f_code.co_filename.startswith(OURS):
            return place_of(frame)
    return "?"
