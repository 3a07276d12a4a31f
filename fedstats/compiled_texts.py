"""Methods of dataclasses, compiled once and kept beside the compiled modules.

Python writes the methods of every dataclass as text and compiles it each time a program starts, which for the classes
of one command takes a tenth of a second. Here the compiled code is kept in the folder where Python keeps that of
modules, with the texts as its keys: a class that changed has other texts. Nothing depends on it. Where the folder
cannot be written, the file is damaged, or a Python to come makes its methods otherwise, they are compiled as ever.

For processes of our own only, as `fedstats.lean_process`.
"""

import atexit
import contextlib
import dataclasses
import hashlib
import importlib.util
import marshal
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Texts of earlier versions of classes are kept up to so many in all; a command has about 1,500.
MOST_TEXTS = 6_000
_STAMP = importlib.util.MAGIC_NUMBER
_DIGEST_BYTES = 32


def kept_file() -> Path:
    """Where compiled texts are kept, for this version of Python."""
    module = Path(importlib.util.cache_from_source(__file__))
    return module.with_name(f"dataclasses.{sys.implementation.cache_tag}.compiled")


def read_kept(path: Path) -> dict[str, bytes]:
    """Compiled code by text; nothing where the file is not there, of another Python, or damaged."""
    try:
        body = path.read_bytes()
    except OSError:
        return {}
    stamp, body = body[: len(_STAMP)], body[len(_STAMP) :]
    hashed, body = body[:_DIGEST_BYTES], body[_DIGEST_BYTES:]
    if stamp != _STAMP or hashed != hashlib.sha256(body).digest():
        return {}
    found: dict[str, bytes] = marshal.loads(body)  # noqa: S302  # ours: it lies where the code of modules does
    return found


def write_kept(path: Path, texts: dict[str, bytes]) -> None:
    """Keep compiled code; another process sees the whole file or the one before, and no failure is worth a word."""
    body = marshal.dumps(texts)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_STAMP + hashlib.sha256(body).digest() + body)
        part.replace(path)


@dataclass(eq=False)
class CompiledTexts:
    """Executes texts of programs, and compiles only those that were never compiled."""

    path: Path
    kept: dict[str, bytes]
    _used: dict[str, bytes] = field(default_factory=dict)

    def execute(self, text: str, names: dict[str, Any], found: dict[str, Any]) -> None:
        """Execute a text among global `names`; what it defines is put into `found`."""
        compiled = self.kept.get(text)
        if compiled is None:
            compiled = marshal.dumps(compile(text, "<string>", "exec"))
        self._used[text] = compiled
        exec(marshal.loads(compiled), names, found)  # noqa: S102, S302  # as Python itself does with these texts

    def keep(self) -> None:
        """Write what was compiled since the file was read, if anything; of texts that nobody used, not too many."""
        if self._used.keys() <= self.kept.keys():
            return
        together = self.kept | self._used
        write_kept(self.path, together if len(together) <= MOST_TEXTS else self._used)


def keep_compiled_dataclasses() -> None:
    """From here on, take the methods of dataclasses from the file, and keep new ones when the process ends."""
    if hasattr(dataclasses, "exec") or sys.dont_write_bytecode:
        return
    texts = CompiledTexts(kept_file(), read_kept(kept_file()))
    # The module calls exec by this name, which it has from Python itself.
    dataclasses.exec = texts.execute  # type: ignore[attr-defined]
    atexit.register(texts.keep)
