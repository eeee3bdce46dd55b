"""The style of the arena's page: light and dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #0f172a; --soft: #475569; --rule: #cbd5e1; --faint: #e8edf3; --paper: #fff;
 --win: #eef2f7; --ours: #a21caf; --need: #0e7490; --ready: #15803d; --bad: #dc2626; --good: #15803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --soft: #9aa7b8; --rule: #3b4656; --faint: #252d39;
 --paper: #10151d; --win: #1a222d; --ours: #e879f9; --need: #22d3ee; --ready: #4ade80; --bad: #f87171;
 --good: #4ade80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
 margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.4rem 0 .4rem; font-size: 1.2rem; }
h3 { margin: 1.4rem 0 .3rem; font-size: 1rem; font-weight: 600; }
.sub { color: var(--soft); margin: .2rem 0; max-width: 60rem; }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .88em; }
th, td { text-align: left; padding: .2rem .5rem; vertical-align: top; }
th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--rule); vertical-align: bottom; }
th[colspan] { padding-top: .9rem; } td { border-bottom: 1px solid var(--faint); } td.in { padding-left: 1.6rem; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } small { color: var(--soft); }
tr.own td { color: var(--ours); font-weight: 600; }
.bad { color: var(--bad); font-weight: 700; } .good { color: var(--good); font-weight: 600; }
.two, .three { display: grid; gap: .6rem 1.4rem; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); }
.three { grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); }
figure { margin: .2rem 0; min-width: 0; }
.three figcaption { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
 figcaption { font-size: .85em; } figcaption span, .two figcaption { color: var(--soft); }
svg { width: 100%; height: auto; display: block; } text { font: 11px system-ui, sans-serif; fill: var(--soft); }
text.n { text-anchor: end; } text.t { text-anchor: middle; }
text.ours { fill: var(--ours); font-weight: 700; }
.win { fill: var(--win); } path { fill: none; stroke-linejoin: round; } .grid { stroke: var(--faint); }
.whisk { stroke: var(--soft); } .box { fill: var(--soft); opacity: .35; }
.mid { stroke: var(--ink); stroke-width: 1.6; }
.whisk.ours { stroke: var(--ours); } .box.ours { fill: var(--ours); opacity: .4; }
.mid.ours { stroke: var(--ours); stroke-width: 2; }
path.need { fill: var(--need); opacity: .3; } path.lost { fill: var(--bad); opacity: .85; }
.ready { stroke: var(--ready); stroke-width: 1.5; } .floor { stroke: var(--ink); stroke-width: 1; }
.best { stroke: var(--ours); stroke-width: 1; stroke-dasharray: 2 2; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; color: var(--soft); font-size: .9em; margin: .6rem 0; }
.key svg { width: 2.2rem; height: .9rem; display: inline-block; vertical-align: -.1rem; margin-right: .35rem; }
"""
