"""Identifiers of people, paths and values of a node never reach the coordinator, whether runs succeed or fail."""

import gzip
import struct
from pathlib import Path

import polars as pl

from tests.end_to_end.error_sites import PERSON, TABLE, VALUE, Sites, fedstats, gwas


def test_no_identifier_path_or_value_of_a_node_reaches_the_coordinator(sites: Sites, tmp_path: Path) -> None:
    flag = sites.sandbox.folder.parent / "node-disk-is-full"
    ended = [
        gwas(sites, _made(tmp_path / "success"), "--covar", "age,sex"),
        gwas(sites, _made(tmp_path / "lacking"), pheno="height"),
        gwas(sites, _made(tmp_path / "refused"), pheno="q60"),
        gwas(sites, _made(tmp_path / "collinear"), "--covar", "age,twice"),
        gwas(sites, _made(tmp_path / "categorical"), "--covar", "sex,age", "--categorical", "age"),
        fedstats("hardy", "--federation", sites.federation, "--out", "run", cwd=_made(tmp_path / "hardy")),
        fedstats("nodes", "--federation", sites.federation, "--policy", "--json", cwd=tmp_path),
    ]
    flag.touch()
    ended.append(gwas(sites, _made(tmp_path / "disk")))
    flag.unlink()

    assert [one.code for one in ended] == [0, 2, 3, 2, 3, 0, 0, 5]
    received = {path: _unpacked(path) for path in tmp_path.rglob("*") if path.is_file()}
    received |= {Path(f"output {number}"): (one.output + one.errors).encode() for number, one in enumerate(ended)}
    assert len(received) > 30
    folders = [str(sites.sandbox.node_folder(node)).encode() for node in sites.sandbox.nodes]
    canaries = [PERSON.encode(), TABLE.encode(), VALUE.encode(), struct.pack("<d", float(VALUE)), *folders]
    found = [(path.name, canary) for path, body in received.items() for canary in canaries if canary in body]
    assert found == []


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".parquet":
        return pl.read_parquet(path).write_csv().encode()
    return path.read_bytes()
