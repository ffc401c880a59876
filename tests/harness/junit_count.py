#!/usr/bin/python3
"""Prints "PASSED FAILED" over the JUnit files given. A skipped test is a failed one: nothing is left out silently."""

import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    passed = failed = 0
    for case in ElementTree.parse(path).iter("testcase"):
        bad = case.get("status") in ("fail", "notrun", "disabled")
        bad = bad or any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        passed, failed = passed + (not bad), failed + bad
    return passed, failed


def main():
    counts = [count(path) for path in sys.argv[1:]]
    print(sum(pair[0] for pair in counts), sum(pair[1] for pair in counts))


main()
