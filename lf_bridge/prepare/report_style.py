"""The frame of a dataset's report: its style sheet, for screens light and dark and for paper, and its head."""

from __future__ import annotations

from html import escape

# Colours of the flow after Okabe and Ito, which people with colour blindness can tell apart; words stand beside all.
_STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1d2430; --quiet: #5b6573; --line: #dfe2e6;
  --kept: #009e73; --held: #0072b2; --merged: #8a94a3; --dropped: #e08e00; --doubled: #b0609a; --aside: #d55e00;
  --whole: #454f5e; --mark: #ffe7ad; --customer: #f0f1f3; --agent: #e4f0ea; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --card: #1c2027; --ink: #e6e9ee; --quiet: #a3adba;
  --line: #343b46; --kept: #23b58a; --held: #4aa3dc; --merged: #7d8896; --dropped: #e69f00; --doubled: #cc79a7;
  --aside: #f0783c; --whole: #9aa5b4; --mark: #66500f; --customer: #262b34; --agent: #1d352d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC",
  "Microsoft YaHei", sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.2rem; margin: 0 0 4px; }
p { margin: 0 0 12px; max-width: 72ch; }
.quiet, .lead, caption { color: var(--quiet); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 24px;
  margin-top: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 20px 0 0; }
.tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 650; line-height: 1.25; }
.tiles dt { font-size: .875rem; color: var(--quiet); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 20px; }
.pair section { min-width: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
caption { text-align: left; padding: 4px 0; font-size: .875rem; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
thead th { font-size: .8rem; color: var(--quiet); font-weight: 600; }
tbody th { font-weight: 500; overflow-wrap: break-word; max-width: 26rem; min-width: 8.5rem; }
tfoot > tr > * { border-top: 1px solid var(--quiet); font-weight: 650; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { width: 34%; padding-right: 0; }
.bar span { display: block; height: 11px; margin-top: 6px; min-width: 2px; border-radius: 2px;
  background: var(--held); }
.flow { width: 100%; min-width: 720px; height: auto; display: block; margin: 8px 0 12px; }
.flow text { font-size: 14px; fill: var(--ink); paint-order: stroke; stroke: var(--card); stroke-width: 4px;
  stroke-linejoin: round; }
.flow .figure { font-weight: 650; }
.flow .quiet { fill: var(--quiet); }
.flow .band { opacity: .28; }
.kept { fill: var(--kept); } .held { fill: var(--held); } .merged { fill: var(--merged); }
.dropped { fill: var(--dropped); } .doubled { fill: var(--doubled); } .aside { fill: var(--aside); }
.whole { fill: var(--whole); }
ul { margin: 0; padding-left: 1.2em; }
li { margin-bottom: 6px; max-width: 80ch; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, SFMono-Regular, Consolas, monospace; }
.sample { border-top: 1px solid var(--line); padding: 14px 0 4px; }
.sample h3 { font-size: .875rem; color: var(--quiet); margin: 0 0 8px; }
.turn { border-radius: 10px; padding: 8px 12px; margin: 0 12% 8px 0; background: var(--customer);
  white-space: pre-wrap; overflow-wrap: anywhere; }
.turn.agent { margin: 0 0 8px 12%; background: var(--agent); }
.turn b { display: block; font-size: .75rem; color: var(--quiet); }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 2px; }
mark small { color: var(--quiet); margin-left: 4px; }
@media print { :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #bbb;
  --customer: #f0f1f3; --agent: #e4f0ea; --mark: #ffe7ad; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; } section { border: 0; padding: 8px 0; }
  tr, .turn, svg { break-inside: avoid; } h2 { break-after: avoid; } .flow { min-width: 0; } }
"""


def frame(title: str, mark: str, body: str) -> str:
    """The whole page. ``mark`` stands in its head and says what it was made of; nothing may be loaded from elsewhere,
    and no script runs."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="lf-bridge" content="{escape(mark)}">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
