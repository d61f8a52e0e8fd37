"""What was found: printed while it comes, kept as JSON, and shown in the README as a table and a plot."""

import json
import math
import pathlib
import re
import sys
import time
import xml.sax.saxutils

BEGIN, END = "<!-- figures: scripts/bench.sh --readme -->", "<!-- end of figures -->"


class Report:
    def __init__(self, machine):
        self.machine = machine  # what it ran on, and when
        self.rows = []

    def say(self, text=""):
        print(text, flush=True)

    def head(self):
        self.say(self.machine)
        self.say("what makes the load and PostgreSQL run on the same cores; the ratios count, not the figures")
        self.say(f"{'':2}{'what':54} {'measured':>14} {'reference':>14} {'ratio':>7} {'target':>10}")

    def row(self, name, measured, reference=None, ratio=None, at_least=None, at_most=None):
        """`ratio` is judged; without a target, nothing is but printed."""
        reached = None
        if at_least is not None:
            reached = ratio / at_least
        elif at_most is not None:
            reached = at_most / max(ratio, 1e-9) if at_most > 0 else float(ratio <= 0)
        cells = {"name": name, "measured": measured, "reference": reference or "",
                 "ratio": f"{ratio:.2f}" if ratio is not None else "",
                 "target": f">= {at_least:g}" if at_least is not None else
                           f"<= {at_most:g}" if at_most is not None else "", "reached": reached}
        self.rows.append(cells)
        self.say(f"  {name:54} {cells['measured']:>14} {cells['reference']:>14} {cells['ratio']:>7} "
                 f"{cells['target']:>10} {verdict(cells)}")

    def note(self, text):
        self.say(f"      {text}")

    def sum(self):
        judged = [r for r in self.rows if r["reached"] is not None]
        return f"{sum(r['reached'] >= 1 for r in judged)} of {len(judged)} targets reached"

    def save(self, path):
        path.write_text(json.dumps({"machine": self.machine, "rows": self.rows}, indent=1))


def verdict(row):
    return "" if row["reached"] is None else "PASS" if row["reached"] >= 1 else "miss"


def machine(version, extra=""):
    """One line for whoever compares runs."""
    text = open("/proc/cpuinfo", encoding="utf-8").read()
    model = re.search(r"model name\s*:\s*(.*)", text)
    cores = len(re.findall(r"^processor\s*:", text, re.M))
    name = " ".join(model[1].split()) if model else "an unnamed processor"
    return f"{time.strftime('%F')}, {cores} cores of {name}, PostgreSQL {version}, fsync on{extra}"


# ---- README ----

def table(rows):
    lines = ["| what | measured | against | ratio | target | |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for r in rows:
        cells = [r[k].replace("|", "\\|") for k in ("name", "measured", "reference", "ratio", "target")]
        lines.append("| " + " | ".join(cells + [verdict(r)]) + " |")
    return "\n".join(lines)


STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.small { font-size: 11px; fill: #57606a }
.good { fill: #1a7f37 } .bad { fill: #bc4c00 } .grid { stroke: #d0d7de } .goal { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  .good { fill: #3fb950 } .bad { fill: #db6d28 } .grid { stroke: #3d444d } .goal { stroke: #e6edf3 }
}"""


def plot(reports):
    """How far each target was reached or passed: a bar to the right of the line is better than asked for."""
    rows = [r for report in reports for r in report["rows"] if r["reached"] is not None]
    left, width, line, top, most = 400, 360, 20, 46, 3  # `most`: doublings to either side

    def x(reached):
        return left + width / 2 * (1 + max(-most, min(most, math.log2(max(reached, 1e-9)))) / most)

    def quoted(text):
        return xml.sax.saxutils.escape(text)

    bottom = top + line * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 130} {bottom + 44}" role="img" '
           f'aria-label="What was measured, against targets">', f"<style>{STYLE}</style>",
           f'<text x="{left + width / 2}" y="16" text-anchor="middle">against the target (line): '
           'right of it is better</text>']
    for power in range(-most, most + 1):
        at = x(2.0 ** power)
        word = f"{2 ** power}×" if power >= 0 else f"1/{2 ** -power}"
        out.append(f'<text class="small" x="{at}" y="{top - 10}" text-anchor="middle">{word}</text>')
        out.append(f'<line class="{"goal" if power == 0 else "grid"}" x1="{at}" x2="{at}" y1="{top - 4}" y2="{bottom}"/>')
    for i, r in enumerate(rows):
        y, at, zero = top + line * i, x(r["reached"]), x(1)
        out.append(f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{quoted(r["name"])}</text>')
        out.append(f'<rect class="{"good" if r["reached"] >= 1 else "bad"}" x="{min(at, zero):.1f}" y="{y + 4}" '
                   f'width="{max(abs(at - zero), 1):.1f}" height="{line - 8}" rx="2"/>')
        out.append(f'<text class="small" x="{left + width + 8}" y="{y + 14}">{quoted(r["measured"])}</text>')
    for i, report in enumerate(reports):
        out.append(f'<text class="small" x="10" y="{bottom + 18 + 16 * i}">{quoted(report["machine"])}</text>')
    return "\n".join(out) + "\n</svg>\n"


def publish(root, files):
    """Table and plot of what `files` keep, into the README and beside this file."""
    reports = [json.loads(path.read_text()) for path in files]
    (root / "test/bench/results.svg").write_text(plot(reports), encoding="utf-8")
    readme = root / "README.md"
    head, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if begin == "" or end == "":
        raise RuntimeError("README.md has no place for the figures")
    parts = ["\n![what was measured, against the targets](test/bench/results.svg)\n"]
    parts += [f"{report['machine']}:\n\n{table(report['rows'])}\n" for report in reports]
    readme.write_text(head + BEGIN + "\n" + "\n".join(parts) + "\n" + END + tail, encoding="utf-8")


if __name__ == "__main__":
    publish(pathlib.Path(__file__).resolve().parents[2], [pathlib.Path(name) for name in sys.argv[1:]])
