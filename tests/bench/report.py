# SPDX-License-Identifier: Apache-2.0
"""From samples to figures, and from figures to text."""

from statistics import median

from bench.plan import CALL_AIMS, COMPARISONS, SERIES
from support.crew import percentile

# What a client sends by itself; the rest is what the scripts call inside.
OUTER = {"evalsha", "eval", "script|load", "info", "config|resetstat", "config|get", "auth", "select", "hello", "ping",
         "client|setinfo", "client|setname", "sadd", "flushall", "script|flush"}


def spread(values):
    return {"min": min(values), "median": median(values), "max": max(values)}


def series(samples):
    return {
        name: {"what": SERIES[name], "unit": "jobs/s", **spread([sample["rate"] for sample in found]), "samples": found}
        for name, found in samples.items()
    }


def comparison(samples, wanted):
    """The ratio of the medians; of the fastest runs; and of each round's neighbours, which tells how far to trust it."""
    of, to = ([sample["rate"] for sample in samples[name]] for name in (wanted.of, wanted.to))
    ratio = median(of) / median(to)
    return {
        "of": wanted.of,
        "to": wanted.to,
        "why": wanted.why,
        "ratio": ratio,
        "ratio_of_best": max(of) / max(to),
        "of_neighbours": spread([a / b for a, b in zip(of, to)]),
        "aim": wanted.aim,
        "reached": None if wanted.aim is None else ratio >= wanted.aim,
    }


def calls(found, jobs, aim):
    """Per job, over all rounds."""
    totals = {}
    for sample in found:
        for name, count in sample["commands"].items():
            totals[name] = totals.get(name, 0) + count
    inner = {name: count / jobs for name, count in sorted(totals.items()) if name not in OUTER}
    return {
        "script_calls_per_job": totals.get("evalsha", 0) / jobs,
        "aim": aim,
        "inner_commands_per_job": sum(inner.values()),
        "inner_commands": inner,
    }


def all_calls(samples):
    """With dedup: claim and confirm from the producer's run, admit and complete from the consumer's. With a limit alone:
    of a job that passes, and of one that is held and comes back."""
    def governed(name):
        return sum(sample["governed"] for sample in samples[name])

    found = {f"dedup={dedup}": calls(samples[f"produce.{dedup}.1"] + samples[f"consume.{dedup}"],
                                     governed(f"produce.{dedup}.1"), aim) for dedup, aim in CALL_AIMS.items()}
    found["limit, passing"] = calls(samples["consume.limited"], governed("consume.limited"), None)
    found["limit, held"] = calls(samples["defer"], governed("defer"), None)
    found["limit, resumed"] = calls(samples["resume"], governed("resume"), None)
    return found


def latency(gaps_ms):
    return {"jobs": len(gaps_ms), "p50_ms": percentile(gaps_ms, 50), "p99_ms": percentile(gaps_ms, 99),
            "max_ms": max(gaps_ms)}


def results(samples, gaps_ms):
    return {
        "series": series(samples),
        "comparisons": [comparison(samples, wanted) for wanted in COMPARISONS],
        "calls": all_calls(samples),
        "resume_latency": latency(gaps_ms),
    }


def table(head, rows):
    """Left-aligned first column, right-aligned others; the last one is text."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])] + [row[-1]]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _rates(found):
    rows = []
    for name, entry in found.items():
        cpu = [sample["cpu_us_per_job"] for sample in entry["samples"] if "cpu_us_per_job" in sample]
        rows.append([name, *(f"{entry[key]:,.0f}" for key in ("min", "median", "max")),
                     f"{median(cpu):.2f}" if cpu else "", entry["what"]])
    return table(["jobs per second", "min", "median", "max", "CPU us/job", ""], rows)


def _ratios(found):
    rows = []
    for entry in found:
        near = entry["of_neighbours"]
        aim = "" if entry["aim"] is None else f"{entry['aim']:.2f}"
        reached = {None: "", True: "reached", False: "not reached"}[entry["reached"]]
        rows.append([f"{entry['of']} / {entry['to']}", f"{entry['ratio']:.3f}", aim, reached, f"{entry['ratio_of_best']:.3f}",
                     f"{near['min']:.2f} {near['median']:.2f} {near['max']:.2f}", entry["why"]])
    return table(["ratio of medians", "ratio", "aim", "", "of the best", "neighbours: min med max", ""], rows)


def _calls(found):
    rows = [[what, f"{entry['script_calls_per_job']:.3f}", "" if entry["aim"] is None else str(entry["aim"]),
             f"{entry['inner_commands_per_job']:.2f}",
             " ".join(f"{name} {count:.2f}" for name, count in entry["inner_commands"].items() if count >= 0.005)]
            for what, entry in found.items()]
    return table(["Redis, per job", "script calls", "aim", "inner commands", "of these"], rows)


def _latency(found):
    return table(["resume latency", "p50 ms", "p99 ms", "max ms", ""], [
        ["limit=1, 5 ms jobs", *(f"{found[name]:.1f}" for name in ("p50_ms", "p99_ms", "max_ms")),
         f"from the end of a job to the start of the next, {found['jobs']} times"]])


def _warnings(found):
    lines = []
    for name, entry in found.items():
        unclaimed = sum(sample.get("unclaimed", 0) for sample in entry["samples"])
        if unclaimed:
            lines.append(f"  NOTE {name}: {unclaimed} jobs went out without a claim, since Redis was slower than "
                         "store.timeout.ms: its rates say nothing")
    return lines


def text(found):
    """The tables."""
    return "\n".join([*_rates(found["series"]), "", *_ratios(found["comparisons"]), "", *_calls(found["calls"]), "",
                      *_latency(found["resume_latency"]),
                      *_warnings(found["series"])])
