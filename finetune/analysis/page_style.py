"""How the page of an analysis looks, light or dark as its reader's screen."""

# Colours by Okabe and Ito, which those who see few colours can tell apart too.
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #dfe3e8; --paper: #fff; --raised: #f5f7f9;
  --series-1: #0072b2; --series-2: #e69f00; --series-3: #009e73; --series-4: #cc79a7; --series-5: #56b4e9;
  --series-6: #d55e00; --series-7: #8a8f98; --gold: #bfe8d4; --predicted: #ffe0a3; --both: #c9dcf7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #333c46; --paper: #14181d; --raised: #1c2229;
    --series-1: #4ba3dd; --series-2: #f0b840; --series-3: #33bd93; --series-4: #dd95bd; --series-5: #8fd0f5;
    --series-6: #ee7f3a; --series-7: #8a8f98; --gold: #1d5c44; --predicted: #6b4e10; --both: #2c4d7d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 58rem; padding: 2.5rem 1.25rem 5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 3.25rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .35rem; }
h3 { font-size: 1rem; margin: 2.25rem 0 .25rem; }
p { max-width: 46rem; margin: .25rem 0 .9rem; }
.soft, .lead { color: var(--soft); }
.verdict { font-size: 1.05rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
.card { background: var(--raised); border-radius: .6rem; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.65rem; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card span { display: block; font-size: .82rem; color: var(--soft); }
svg { display: block; width: 100%; max-width: 48rem; height: auto; margin: .5rem 0 1rem;
  font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg text { fill: var(--ink); }
svg text.soft, svg text.value { fill: var(--soft); }
svg text.value { font-size: 10px; }
svg text.on-bar { fill: #101418; font-weight: 600; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.key { margin-right: 1.4rem; white-space: nowrap; }
.key::before { content: ""; display: inline-block; width: .75em; height: .75em; border-radius: 2px;
  margin-right: .45em; }
td .key { margin: 0; }
.legend { font-size: .85rem; margin: .6rem 0 .2rem; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; margin: .4rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem 1.3rem .32rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--soft); }
td.number, th.number { text-align: right; white-space: nowrap; }
details { margin: .6rem 0; }
summary { cursor: pointer; padding: .3rem 0; }
summary .soft { margin-left: .2rem; font-size: .9rem; }
.example { border-left: 3px solid var(--line); padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0 1.6rem; }
.example p { margin: .15rem 0; overflow-wrap: anywhere; unicode-bidi: isolate; }
.example .question { font-weight: 600; }
.example .context { color: var(--soft); font-size: .9rem; margin-top: .4rem; white-space: pre-line; }
.example .id { font: 12px ui-monospace, monospace; color: var(--soft); }
.example .name { color: var(--soft); font-size: .85rem; margin-right: .5rem; }
mark { color: var(--ink); border-radius: 3px; padding: 0 .12em; }
mark.gold { background: var(--gold); } mark.predicted { background: var(--predicted); }
mark.both { background: var(--both); }
footer { margin-top: 3.5rem; border-top: 1px solid var(--line); padding-top: 1rem; font-size: .9rem; }
"""

_OF_SERIES = """rect.series-{0} {{ fill: var(--series-{0}); }} .line.series-{0} {{ stroke: var(--series-{0}); }}
.key.series-{0}::before {{ background: var(--series-{0}); }}
"""

STYLE = _STYLE + "".join(_OF_SERIES.format(number) for number in range(1, 8))
