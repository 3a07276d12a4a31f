"""The plots of a result: figures from its summary, saved or made part of a page."""

from fedstats.results.drawing import png_data_uri, save
from fedstats.results.manhattan import manhattan_figure
from fedstats.results.quantile_plot import qq_figure

__all__ = ["manhattan_figure", "png_data_uri", "qq_figure", "save"]
