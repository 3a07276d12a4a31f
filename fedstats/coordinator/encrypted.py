"""A pass under paillier, from the uploads of all nodes to its total: multiply, have the product opened, unmask, check.

The opened words are kept before they are used: a run that is resumed reads them again.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedstats.arrays import Ring
from fedstats.coordinator.checkpoint import Checkpoint, PassFolder
from fedstats.coordinator.durable import read_or_none, write_durably
from fedstats.coordinator.key_holder import KeyHolder
from fedstats.coordinator.run import Run
from fedstats.errors import Failed
from fedstats.privacy.conceal import Widths
from fedstats.privacy.masking import Masks
from fedstats.privacy.transcript import check_total
from fedstats.wire.messages import PassOrder, Plan

if TYPE_CHECKING:  # the extra `paillier`
    from fedstats.wire.key_holder_messages import DecryptOrder

#: Ciphertexts of each node that are multiplied at a time.
_AT_ONCE = 4096


def salt_of(plan: Plan, checkpoint: Checkpoint) -> str:
    """What makes transcripts of a run unknown to the key holder where nodes exchange no keys; "" where they do."""
    if plan.masked or plan.privacy != "paillier":
        return ""
    kept = checkpoint.document("salt")
    if kept is None:
        kept = secrets.token_hex(32).encode("ascii")
        checkpoint.keep_document("salt", kept)
    return kept.decode("ascii")


def opened_words(
    run: Run, order: PassOrder, folder: PassFolder, uploads: Mapping[str, Path], blocks: Sequence[Widths]
) -> Path:
    """Where the words lie that the key holder opened, masked unless masks are off; it is asked where they do not."""
    path = folder.opened_file
    if not path.exists():
        run.go_on()
        run.crash("before:D")
        holder = _holder(run)
        product = b"".join(_products(holder.modulus, list(uploads.values())))
        opened = holder.open(_decrypt_order(run, order, product, blocks), product)
        write_durably(path, opened)
        run.crash("after:D")
    return path


def total_of(path: Path, transcript: str, masks: Masks | None, blocks: Sequence[Widths], n_nodes: int) -> Ring:
    """The total of a pass in ring words, check words included, each block checked against the nodes' combination.

    Raises
    ------
    MaskMismatch
        The key holder gave other words than it opened.
    """
    from fedstats.privacy.paillier import checked_totals, totals_of

    words = np.frombuffer(read_or_none(path) or b"", "<u8")
    if len(words) != sum(map(len, blocks)):
        raise Failed("opened words are not as many as the pass has", code="MALFORMED")
    found, first = [], 0
    for number, widths in enumerate(blocks):
        totals = totals_of(words[first : first + len(widths)], first, widths, masks)
        found.append(checked_totals(totals, check_total(transcript, number, n_nodes), transcript, first))
        first += len(widths)
    return np.concatenate(found)


def _holder(run: Run) -> KeyHolder:
    if run.key_holder is None:
        raise Failed("a run under paillier has no key holder", code="NO_KEY_HOLDER")
    return run.key_holder


def _products(modulus: str, uploads: Sequence[Path]) -> Iterator[bytes]:
    """The product of all uploads, a few thousand ciphertexts at a time."""
    from fedstats.privacy.paillier import multiply, public_key

    public = public_key(modulus)
    size = _AT_ONCE * public.ciphertext_bytes
    files = [path.open("rb") for path in uploads]
    try:
        while any(pieces := [file.read(size) for file in files]):
            yield multiply(public, pieces)
    finally:
        for file in files:
            file.close()


def _decrypt_order(run: Run, order: PassOrder, product: bytes, blocks: Sequence[Widths]) -> "DecryptOrder":
    from fedstats.wire.key_holder_messages import DecryptOrder, layout_of

    return DecryptOrder(
        run=order.run,
        pass_id=order.pass_id,
        plan=order.plan,
        roster=run.plan.roster,
        nodes=run.names,
        masked=run.masked,
        layout=layout_of(blocks),
        words=order.words,
        length=len(product),
        sha256=hashlib.sha256(product).hexdigest(),
        attempt=order.attempt,
    )
