"""The look of the report: text first, one accent, tables that can be read across, in light, in dark and on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #59616b; --line: #d9dee4; --paper: #ffffff; --panel: #f5f7f9;
  --accent: #1f4e79; --grave: #9a3412; --grave-paper: #fff4ed; --note-paper: #eef4fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #a0a8b2; --line: #343b44; --paper: #14171b;
  --panel: #1c2127; --accent: #8fbbe3; --grave: #f3a27c; --grave-paper: #2c1c14; --note-paper: #172330; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main, header.top, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.5rem; }
header.top { padding-top: 2.75rem; }
h1 { font-size: 1.9rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 .3rem;
  overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; font-weight: 650; margin: 3rem 0 .75rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; font-weight: 650; margin: 1.75rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
.soft, figcaption, .note { color: var(--soft); }
.note, figcaption { font-size: .875rem; max-width: 46rem; }
a { color: var(--accent); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: 1.25rem 0 0;
  font-size: .9rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .85em; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 4px; padding: .75rem 1rem; margin: 1rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.notice { border-left: 4px solid var(--accent); background: var(--note-paper); padding: .7rem 1rem; margin: 1rem 0;
  border-radius: 0 4px 4px 0; }
.notice.grave { border-color: var(--grave); background: var(--grave-paper); }
.notice strong { display: block; } .notice.grave strong { color: var(--grave); } .notice p { margin: .1rem 0 0; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: 1rem 1.5rem;
  margin: 1.25rem 0; padding: 0; }
dl.facts dt { color: var(--soft); font-size: .8rem; } dl.facts dd { margin: 0; font-size: 1.05rem;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.35; min-width: 24rem; }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding-bottom: .4rem; }
th, td { padding: .36rem .9rem .36rem 0; text-align: left; vertical-align: baseline; white-space: nowrap; }
th { font-weight: 600; border-bottom: 1.5px solid var(--soft); }
td, tbody th { border-bottom: 1px solid var(--line); } tbody th { font-weight: 400; }
tbody tr:hover > * { background: var(--panel); }
.number { text-align: right; font-variant-numeric: tabular-nums; padding-left: 1.2rem; }
.number + :not(.number) { padding-left: .8rem; }
tr > :last-child { padding-right: 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.hash { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .85em; white-space: normal;
  overflow-wrap: anywhere; }
figcaption { margin-top: .4rem; } figure { margin: 1rem 0; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; background: #fff; font-family: inherit;
  border: 1px solid var(--line); border-radius: 4px; }
section > figure svg { min-width: 44rem; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
.pair > figure { flex: 0 1 26rem; } .pair > div { flex: 1 1 20rem; min-width: 0; }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 3.5rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .85rem; }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --panel: #fff; --accent: #1f4e79;
  --grave: #9a3412; --grave-paper: #fff; --note-paper: #fff; } body { font-size: 10pt; } nav, .skip { display: none; }
  main, header.top, footer { max-width: none; padding: 0; } .scroll, figure { overflow: visible; }
  section > figure svg { min-width: 0; } a { color: inherit; }
  h2, h3 { break-after: avoid; } figure, tr, .notice { break-inside: avoid; } table { font-size: 8.5pt; }
  .notice { border: 1px solid #999; border-left-width: 4px; } }
"""
