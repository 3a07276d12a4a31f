"""What a run under paillier keeps to itself: the salt of its transcripts, which the key holder must not know."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.encrypted import salt_of
from fedstats.planning.request import Request, check_request
from fedstats.planning.setting_options import SettingOptions
from fedstats.wire.key_holder_messages import DecryptOrder
from fedstats.wire.messages import PassOrder, Plan
from fedstats.wire.passes import pass_context, plain_transcript
from tests.coordinator.federation_of_nodes import know_steps, world

UNMASKED = SettingOptions(paillier_masks=False)


def plan(privacy: str = "masked", setting: SettingOptions | None = None) -> Plan:
    made = world().plan
    return replace(made, privacy=privacy, request=replace(made.request, setting=setting or SettingOptions()))


def test_only_unmasked_words_need_a_salt_and_it_stays_the_same_when_a_run_is_resumed(tmp_path: Path) -> None:
    checkpoint, other = Checkpoint(tmp_path / "one"), Checkpoint(tmp_path / "other")
    salt = salt_of(plan("paillier", UNMASKED), checkpoint)

    assert len(bytes.fromhex(salt)) == 32
    assert salt_of(plan("paillier", UNMASKED), checkpoint) == salt
    assert salt_of(plan("paillier", UNMASKED), other) != salt
    assert salt_of(plan("paillier"), checkpoint) == ""
    assert salt_of(plan("masked"), checkpoint) == ""
    assert salt_of(plan("plain"), checkpoint) == ""


def test_the_salt_changes_the_transcript_and_is_not_in_what_the_key_holder_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    know_steps(monkeypatch)
    of_run = plan("paillier", UNMASKED)
    order = PassOrder("run-1", "00" * 32, "whole", 0, 0, "p", "coordinator_tests/sizes@1", "m0", "a", "l", 1, 8)
    transcripts = {plain_transcript(pass_context(of_run, replace(order, salt=salt))) for salt in ("", "aa", "bb")}

    assert len(transcripts) == 3
    assert {"salt", "transcript"}.isdisjoint(entry.name for entry in fields(DecryptOrder))


@pytest.mark.parametrize(
    ("privacy", "setting", "masked"),
    [
        ("masked", SettingOptions(), True),
        ("plain", SettingOptions(), False),
        ("paillier", SettingOptions(), True),
        ("paillier", UNMASKED, False),
    ],
)
def test_request_and_plan_agree_on_whether_nodes_are_masked(
    privacy: str, setting: SettingOptions, masked: bool
) -> None:
    request = Request("freq", privacy=privacy, setting=setting)  # type: ignore[arg-type]  # one of its literals
    check_request(request)
    assert request.masked is masked
    assert plan(privacy, setting).masked is masked
