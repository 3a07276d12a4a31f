"""Small filesets for tests, and a naive reader that shares no code with the product."""

from pathlib import Path

import numpy as np

BIM = "1\trs1\t0\t100\tA\tG\n1\trs2\t0\t200\tC\tT\n2\trs3\t0\t50\tG\tA\n"
FAM = "F1 P1 0 0 1 -9\nF2 P2 0 0 2 -9\nF3 P3 0 0 0 -9\nF4 P4 0 0 1 -9\nF5 P5 0 0 2 -9\n"
#: Dosages of A1 of three variants and five people; -1 missing.
DOSAGES = np.array([[0, 1, 2, -1, 0], [2, 2, 2, 1, 0], [-1, 0, 0, 0, 1]], np.int8)
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "hapmap3"


def bed_bytes(dosages: np.ndarray) -> bytes:
    """A .bed file, call by call, after PLINK's description of the format."""
    code = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}
    found = bytearray(b"\x6c\x1b\x01")
    for row in dosages.tolist():
        for first in range(0, len(row), 4):
            found.append(sum(code[call] << 2 * place for place, call in enumerate(row[first : first + 4])))
    return bytes(found)


def naive_dosages(bed: bytes, people: int) -> np.ndarray:
    """Dosages of A1, call by call."""
    dosage = {0b00: 2, 0b01: -1, 0b10: 1, 0b11: 0}
    size = -(-people // 4)
    rows = [bed[at : at + size] for at in range(3, len(bed), size)]
    return np.array([[dosage[row[i // 4] >> 2 * (i % 4) & 3] for i in range(people)] for row in rows], np.int8)


def write_fileset(
    folder: Path, *, bed: bytes | None = None, bim: str = BIM, fam: str = FAM, name: str = "data"
) -> Path:
    """Write a fileset; the path of its .bed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.bed"
    path.write_bytes(bed_bytes(DOSAGES) if bed is None else bed)
    path.with_suffix(".bim").write_bytes(bim.encode())
    path.with_suffix(".fam").write_bytes(fam.encode())
    return path
