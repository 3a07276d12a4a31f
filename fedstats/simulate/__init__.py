"""Simulated studies, and pooled data split into sites: for trying things out, demonstrations and tests."""

from fedstats.simulate.plink_files import FamilyFile, write_plink
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import SimulatedFiles, simulate
from fedstats.simulate.split import SiteFolder, Split, split_by_site

__all__ = ["FamilyFile", "Recipe", "SimulatedFiles", "SiteFolder", "Split", "simulate", "split_by_site", "write_plink"]
