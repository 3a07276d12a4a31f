"""The guide for key holders is true: its commands, flags, codes and tests exist."""

import re
import shlex
from pathlib import Path

import typer

from fedstats.cli.main import app
from key_holder.cli import app as key_holder_app
from key_holder.config import read_settings
from tests.key_holder.vault import make_vault

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "key-holder.md").read_text(encoding="utf-8")


def flags_of(application: typer.Typer, words: list[str]) -> set[str]:
    command = typer.main.get_command(application)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return {flag for parameter in command.params for flag in parameter.opts}


def test_every_command_of_the_guide_exists() -> None:
    shown = re.findall(r"^\$ (fedstats(?:-keyholder)?) (.*)$", GUIDE, re.MULTILINE)

    assert len(shown) > 6
    for program, rest in shown:
        words = shlex.split(rest)
        known = flags_of(app if program == "fedstats" else key_holder_app, words)
        assert {word for word in words if word.startswith("--")} <= known, rest


def test_every_command_of_the_program_is_in_the_guide() -> None:
    commands = set(typer.main.get_command(key_holder_app).commands)

    assert commands == set(re.findall(r"^\$ fedstats-keyholder ([a-z-]+)", GUIDE, re.MULTILINE))


def test_every_code_that_the_guide_names_is_one_that_a_test_asks_for() -> None:
    files = [
        ROOT / "tests" / "key_holder" / name
        for name in ("test_refusals.py", "test_processes.py", "test_restored_ledger.py")
    ]
    tests = "".join(file.read_text(encoding="utf-8") for file in files)
    table = GUIDE.split("## What it refuses")[1].split("## 1.")[0]

    codes = re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", table)

    assert len(codes) > 10
    assert [code for code in codes if f'"{code}"' not in tests] == []


def test_the_settings_that_the_guide_shows_can_be_read(tmp_path: Path) -> None:
    vault = make_vault(tmp_path / "VAULT")
    shown = GUIDE.split("```toml\n")[1].split("```")[0]
    text = "\n".join(line.removeprefix("# ") for line in shown.splitlines())
    for old, new in (("10.1.2.4:7402", "127.0.0.1:0"), ("ANALYST", "desk")):
        assert old in text
        text = text.replace(old, new)
    vault.config.write_text(text)

    assert read_settings(vault.config).policy.coordinators == ("desk",)


def test_files_that_the_guide_points_at_exist() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)`", GUIDE) + [
        f"docs/guides/{link}" for link in re.findall(r"\]\(([a-z-]+\.md)\)", GUIDE)
    ]

    assert len(named) > 3
    assert [name for name in named if not (ROOT / name).exists()] == []
