"""Which default floors a split would break, said when it is made and not when the first run is refused."""

from collections.abc import Iterable, Iterator

import polars as pl

from fedstats.simulate.split import SiteFolder
from fedstats.study import Floors

_MISSING = ["NA", "nan", ".", "", "-9"]


def broken_floors(sites: Iterable[SiteFolder]) -> Iterator[str]:
    """One sentence for every floor that a site does not reach under the default policy."""
    floors = Floors()
    listed = list(sites)
    if len(listed) < floors.min_nodes:
        yield f"{len(listed)} nodes are fewer than {floors.min_nodes}"
    for site in listed:
        if site.people < floors.min_people:
            yield f"{site.name} has {site.people} people, fewer than {floors.min_people}"
        table = pl.read_csv(site.folder / "phenotypes.tsv", separator="\t", infer_schema=False)
        for name in table.columns:
            yield from _small_arms(site.name, name, table[name], floors.min_arm)


def _small_arms(site: str, trait: str, values: pl.Series, least: int) -> Iterator[str]:
    known = values.drop_nulls().filter(~values.drop_nulls().is_in(_MISSING))
    classes = set(known.unique().to_list())
    codings = [arms for arms in (("0", "1"), ("1", "2")) if classes and classes <= set(arms)]
    for arms in codings[:1]:
        sizes = [(known == arm).sum() for arm in arms]
        if min(sizes) < least:
            yield f"{site} has {sizes[1]} cases and {sizes[0]} controls of {trait}, fewer than {least} in an arm"
