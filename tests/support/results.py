# SPDX-License-Identifier: Apache-2.0
"""Adds up the JUnit files of a run: one line a part, one a failed test, and `N passed, N failed` at the end."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"} or case.get("status") == "fail":
        return "failed"
    if "skipped" in kinds or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def read_part(path, status):
    """-> ({name: outcome}) of one part. One that ended badly and names no failed test has failed as a whole."""
    cases = {}
    if path.exists():
        for case in ElementTree.parse(path).iter("testcase"):
            name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
            # pytest writes a case twice when both the test and its teardown failed.
            if cases.get(name) != "failed":
                cases[name] = outcome(case)
    if status != 0 and "failed" not in cases.values():
        cases[f"(ended with status {status})"] = "failed"
    return cases


def main(folder):
    listing = folder / "parts"
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for line in listing.read_text().splitlines() if listing.exists() else []:
        status, name = line.split(" ", 1)
        cases = read_part(folder / f"{name}.xml", int(status))
        counts = {kind: list(cases.values()).count(kind) for kind in total}
        print(f"{name:24}" + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count))
        for case, kind in cases.items():
            if kind == "failed":
                print(f"    FAILED {case}")
        for kind, count in counts.items():
            total[kind] += count
    if total["skipped"]:
        print(f"{total['skipped']} skipped")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 0 if total["passed"] and not total["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
