"""Per-variant tables as PLINK2 has them (.afreq, .hardy, .hardy.x, .vmiss), and the list of what fell out.

Columns and their meanings are PLINK2's, with a last column STATUS; a value that is withheld is NA and STATUS says
why.  PLINK2 prints six significant digits; here there are eight.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from fedstats.results.columns import Columns, Kind, Values, schema, table
from fedstats.results.decimal_text import text_of_probabilities
from fedstats.results.files import OpenFile, open_for_writing, publish_all
from fedstats.results.table_writers import Regrouper, TextTableWriter

_VARIANT: Columns = {"#CHROM": Kind.LEVELS, "ID": Kind.TEXT}
_STATUS: Columns = {"STATUS": Kind.LEVELS}


def _of(kind: Kind, names: str) -> Columns:
    return dict.fromkeys(names.split(), kind)


#: Allele frequency; OBS_CT counts alleles.
AFREQ: Columns = {
    **_VARIANT,
    **_of(Kind.LEVELS, "REF ALT"),
    **_of(Kind.REAL, "ALT_FREQS"),
    **_of(Kind.COUNT, "OBS_CT"),
    **_STATUS,
}
#: The same from noised counts: OBS_CT is about right, NOISE_SD the standard deviation of the noise in ALT_FREQS.
NOISED_AFREQ: Columns = {**AFREQ, **_of(Kind.REAL, "NOISE_SD")}
#: Hardy-Weinberg of autosomes; A1 = REF, AX = ALT. MIDP is the mid-p-value; P_STRAT is stratified by site.
HARDY: Columns = {
    **_VARIANT,
    **_of(Kind.LEVELS, "A1 AX"),
    **_of(Kind.COUNT, "HOM_A1_CT HET_A1_CT TWO_AX_CT"),
    **_of(Kind.REAL, "O(HET_A1) E(HET_A1) P MIDP P_STRAT"),
    **_STATUS,
}
#: Hardy-Weinberg of chromosome X, by sex.
HARDY_X: Columns = {
    **_VARIANT,
    **_of(Kind.LEVELS, "A1 AX"),
    **_of(Kind.COUNT, "FEMALE_HOM_A1_CT FEMALE_HET_A1_CT FEMALE_TWO_AX_CT MALE_A1_CT MALE_AX_CT"),
    **_of(Kind.REAL, "O(FEMALE_HET_A1) E(FEMALE_HET_A1) FEMALE_A1_FREQ MALE_A1_FREQ P MIDP P_STRAT"),
    **_STATUS,
}
#: Missing calls by variant; OBS_CT counts people.
VMISS: Columns = {**_VARIANT, **_of(Kind.COUNT, "MISSING_CT OBS_CT"), **_of(Kind.REAL, "F_MISS"), **_STATUS}
#: Variants that are in no result, and why; NODES is the number of nodes that have the variant.
FALLEN_OUT: Columns = {
    **_of(Kind.LEVELS, "CHROM"),
    **_of(Kind.COUNT, "POS"),
    **_of(Kind.TEXT, "ID"),
    **_of(Kind.LEVELS, "REF ALT REASON"),
    **_of(Kind.COUNT, "NODES"),
    **_of(Kind.LEVELS, "RESULTS"),
}

#: Name of the file after OUT, by table.
SUFFIXES: Mapping[str, Columns] = {
    "afreq.tsv.gz": AFREQ,
    "noised.afreq.tsv.gz": NOISED_AFREQ,
    "hardy.tsv.gz": HARDY,
    "hardy.x.tsv.gz": HARDY_X,
    "vmiss.tsv.gz": VMISS,
    "variants.tsv.gz": FALLEN_OUT,
}


class TableWriter:
    """Writes ``OUT.<suffix>`` as rows come; the file appears when it is closed, or not at all.

    Parameters
    ----------
    prefix
        OUT.
    suffix
        One of `SUFFIXES`.
    probabilities
        Columns of P that are given as −log10 P; the others as they are.
    """

    def __init__(
        self,
        prefix: str | Path,
        suffix: str,
        *,
        probabilities: frozenset[str] = frozenset(),
        open_file: OpenFile = open_for_writing,
    ) -> None:
        self.path = Path(f"{prefix}.{suffix}")
        self._columns = SUFFIXES[suffix]
        self._probabilities = [(index, name) for index, name in enumerate(self._columns) if name in probabilities]
        self._regrouper = Regrouper()
        self._text = TextTableWriter(self.path, list(self._columns), open_file=open_file)
        self._closed = False
        self.rows = 0

    def append(self, values: Mapping[str, Values]) -> None:
        """Add rows; `values` holds every column of the table by name."""
        first = next(name for name in self._columns if not isinstance(values.get(name, ""), str | int | float))
        batch = table(self._columns, values, len(values[first]))
        self.rows += batch.num_rows
        for index, name in self._probabilities:
            batch = batch.set_column(index, name, text_of_probabilities(batch[name].to_numpy()))
        for full in self._regrouper.add(batch):
            self._text.write(full)

    def close(self) -> None:
        """Write what is left and give the file its name; closing again does nothing."""
        if self._closed:
            return
        try:
            for rest in self._regrouper.rest():
                self._text.write(rest)
        except BaseException:
            self.abort()
            raise
        publish_all([self._text])
        self._closed = True

    def abort(self) -> None:
        """Leave nothing behind, unless the table is closed already."""
        if not self._closed:
            self._text.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.abort()


def plain_schema(suffix: str) -> list[str]:
    """Header of the table with this suffix."""
    return list(schema(SUFFIXES[suffix]).names)
