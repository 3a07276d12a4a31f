"""OUT.report.html: one page that says what was asked, who took part, what came out, and what it cost.

The page stands alone: no scripts, no outside requests (its own policy forbids them), pictures inside.
It is made from plain content, every text of which is escaped.
"""

from pathlib import Path

from fedstats.results.files import OpenFile, open_for_writing, write_atomically
from fedstats.results.report_content import Notice, ReportContent, Table, TraitReport
from fedstats.results.report_page import page

__all__ = ["Notice", "ReportContent", "Table", "TraitReport", "write_report"]


def write_report(prefix: str | Path, content: ReportContent, *, open_file: OpenFile = open_for_writing) -> Path:
    """Write ``OUT.report.html`` and give its path; the file appears whole or not at all."""
    path = Path(f"{prefix}.report.html")
    write_atomically(path, page(content).encode(), open_file=open_file)
    return path
