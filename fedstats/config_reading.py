"""Reading a configuration file so that all its faults are listed at once, whoever owns it."""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedstats.errors import ConfigError


@dataclass
class Reading:
    """A file while it is read: where relative paths start, and what was found wrong so far."""

    folder: Path
    faults: list[str] = field(default_factory=list)

    def text(self, table: Mapping[str, Any], key: str, where: str) -> str:
        """A text that must not be empty where it stands; "" where it is absent."""
        value = table.get(key, "")
        if key in table and (not isinstance(value, str) or not value.strip()):
            self.faults.append(f"{where}: {key} must be a text")
            return ""
        return str(value)

    def table(self, value: object, where: str) -> dict[str, Any]:
        """A table; empty where it is something else."""
        if isinstance(value, dict):
            return value
        self.faults.append(f"{where} must be a table")
        return {}

    def path(self, table: Mapping[str, Any], key: str, where: str) -> Path | None:
        """A path, relative to the file; None where it is absent."""
        value = self.text(table, key, where)
        return Path(os.path.normpath(self.folder / value)) if value else None

    def file(self, table: Mapping[str, Any], key: str, where: str) -> Path | None:
        """A path where a file must lie; None where it is absent or nothing lies there."""
        found = self.path(table, key, where)
        if found is not None and not found.is_file():
            self.faults.append(f"{where}: {key}: there is no file {table[key]!r}")
            return None
        return found

    def address(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, int]:
        """Host and port, as in 127.0.0.1:7401; a fault where they are none."""
        text = self.text(table, key, where)
        host, _, port = text.rpartition(":")
        if not text:
            return "", 0
        if not host or not port.isdecimal() or int(port) > 65535:
            self.faults.append(f"{where}: {key}: {text!r} is not an address and a port, as in 127.0.0.1:7401")
            return "", 0
        return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises
    ------
    ConfigError
        It cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path.name, [f"it cannot be read: {error.strerror}"], code="BAD_CONFIG") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path.name, [f"it is not TOML: {error}"], code="BAD_CONFIG") from None


def value_like(default: object, value: object) -> tuple[Any, str]:
    """A value of the type of its default and "", or None and what it must be; a tuple stands for a list of names."""
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value), ""
        return None, "a list of names"
    if isinstance(default, bool):
        wanted = "true or false"
    elif isinstance(default, float):
        value, wanted = (float(value) if type(value) is int else value), "a number"
    else:
        wanted = "a whole number" if isinstance(default, int) else "a text"
    return (value, "") if type(value) is type(default) else (None, wanted)
