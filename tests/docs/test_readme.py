"""The README is true: its commands, flags, make targets and links exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from fedstats.cli.main import app
from node_agent.cli import app as node_app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = [line[2:] for line in README.splitlines() if line.startswith("$ ")]


def commands(program: str) -> list[str]:
    return [line for line in SHOWN if line.split()[0] == program]


def flags_of(application: typer.Typer, words: list[str]) -> set[str]:
    """Flags of the command that `words` start with."""
    command = typer.main.get_command(application)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return {flag for parameter in command.params for flag in parameter.opts}


@pytest.mark.parametrize("line", [*commands("fedstats"), *commands("fedstats-node")])
def test_every_command_of_the_readme_exists(line: str) -> None:
    program, *words = shlex.split(line.split("|")[0])
    known = flags_of(app if program == "fedstats" else node_app, words)

    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_shows_both_programs() -> None:
    assert len(commands("fedstats")) >= 8
    assert len(commands("fedstats-node")) >= 3


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make ([a-z-]+)`?", README)) - {"and"} <= targets


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
