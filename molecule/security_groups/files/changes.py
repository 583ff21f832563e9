# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and memberships change under traffic: what is allowed never stops, what is not never passes.

Twelve changes in a row; the last one leaves what was there before the first. All the time there are pings, flows of
each kind, and packets that nobody may send.
"""

from __future__ import annotations

import difflib
import sys
import time
from typing import Any

import place as lab
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine import trials
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.trials import ANSWERED, SILENT, Trial
from steady import Steady, Talk

_PINGS = [("web1", "app1", 4), ("app2", "web1", 6), ("sweb1", "sapp1", 4), ("sapp1", "sweb1", 6), ("web1", "app2", 4)]
_DENIED = [("web1", "app1", 4), ("app2", "web1", 6), ("sweb1", "sapp1", 4), ("open1", "sapp1", 6)]
_EXTRA = [{"protocol": "udp", "ports": 9999}, {"protocol": "tcp", "ports": 9998}]
# A rule is one line, or in backend iptables one for each family.
_LINES = {"nftables": 1, "iptables": 2}


class Changes:
    """The changes, one method each, in the order of run()."""

    def __init__(self, place: lab.Place) -> None:
        self.place = place
        self.steady = Steady(place, _PINGS, _DENIED)
        self.by_rule = [
            Talk(place, "web1", "app1", "tcp", 9000, 4),
            Talk(place, "web1", "app2", "tcp", 9000, 6),
            Talk(place, "sweb1", "sapp1", "tcp", 9000, 4),
            Talk(place, "sweb1", "sapp1", "tcp", 9000, 6),
        ]
        self.by_udp = [
            Talk(place, "web1", "app1", "udp", 9004, 4),
            Talk(place, "sweb1", "sapp1", "udp", 9004, 6),
            Talk(place, "app2", "app1", "udp", 9005, 6),
        ]
        self.by_list = [
            Talk(place, "open1", "app1", "tcp", 9001, 4, streams=True),
            Talk(place, "open1", "sapp1", "tcp", 9001, 6, streams=True),
        ]
        self.always = [
            Talk(place, "open1", "strict1", "udp", 7001, 4),
            Talk(place, "open1", "strict1", "tcp", 7002, 6),
            Talk(place, "sweb1", "sstrict1", "tcp", 7002, 4, streams=True),
            Talk(place, "app1", "web1", "tcp", 80, 6),
            Talk(place, "app2", "raw1", "tcp", 6000, 4),
        ]
        self.steady.add(*self.by_rule, *self.by_udp, *self.by_list, *self.always)

    def run(self) -> None:
        self.removal()
        self.membership()
        self.rule()
        self.udp()
        self.prefixes()
        self.unrelated()
        self.control()
        for line in self.steady.end():
            lab.say(line)

    def removal(self) -> None:
        """A group cannot go while it is named: every place is told, and no host is touched."""
        before = {host: self.place.rules(host) for host in ("host1", "host2")}
        model = self.place.model()
        model["vpc_security_groups"].remove(lab.group(model, "web"))
        said = self.place.apply(model, succeeds=False, playbook="../../playbooks/site.yml")
        for path in ("vpc_instances[0].security_groups[1]", "vpc_security_groups[1].ingress[0].from"):
            if f"{path}: web is" not in said:
                lab.fail(f"a group that is named has gone, but {path} is not told:\n{said}")
        if {host: self.place.rules(host) for host in before} != before:
            lab.fail("a run that was refused has changed rules")
        lab.say("a group that guests and rules name cannot go: both are told, no rule has changed")

    def membership(self) -> None:
        """A guest joins a group, and leaves it; nobody touches the guest."""
        joins = [("open1", "app1", "tcp", 80), ("app1", "app2", "tcp", 9000)]
        self.answers(joins, SILENT)
        before = {host: self.place.rules(host) for host in ("host1", "host2")}
        model = self.place.model()
        lab.instance(model, "app1")["security_groups"].append("web")
        self.change("app1 joins web", model)
        self.answers(joins, ANSWERED)
        # Elsewhere it is an element of sets, and no rule.
        lines = _changed(before["host2"], self.place.rules("host2"))
        address = ("10.30.1.11", "2001:db8:31::11")
        if not lines or any(not any(word in line for word in address) for line in lines):
            lab.fail(f"app1 has joined a group: on host2 other lines have changed than sets with its address: {lines}")
        talks = [Talk(self.place, "open1", "app1", "tcp", 80, family, streams=family == 6) for family in (4, 6)]
        self.steady.add(*talks)
        self.change("app1 leaves web", self.place.model())
        self.answers(joins, SILENT)
        self.steady.dead(*talks)
        self.steady.alive(*self.by_rule, *self.by_udp, *self.by_list, *self.always)
        for talk in talks:
            self.steady.drop(talk)
        after = {host: self.place.rules(host) for host in before}
        if after != before:
            lab.fail(f"app1 has left: {[_changed(before[host], after[host]) for host in before]}")
        lab.say("a guest joins a group and leaves it: open at once, cut at once; elsewhere only sets have changed")

    def rule(self) -> None:
        """Flows that a rule has let through end with it, and no others."""
        model = self.place.model()
        del lab.group(model, "app")["ingress"][0]
        self.change("no rule for tcp/9000", model)
        self.steady.dead(*self.by_rule)
        self.steady.alive(*self.by_udp, *self.by_list, *self.always)
        self.change("tcp/9000 is back", self.place.model())
        self.answers([("web1", "app1", "tcp", 9010)], SILENT)
        self.steady.alive(*self.by_rule)
        lab.say(
            f"a rule goes: {len(self.by_rule)} TCP connections stand still, all others go on; it comes back: so do they"
        )

    def udp(self) -> None:
        """The same with UDP."""
        model = self.place.model()
        del lab.group(model, "app")["ingress"][4]
        self.change("no rule for udp/9004-9005", model)
        self.steady.dead(*self.by_udp)
        self.steady.alive(*self.by_rule, *self.by_list, *self.always)
        self.change("udp/9004-9005 is back", self.place.model())
        self.steady.alive(*self.by_udp)
        lab.say(f"a rule goes: {len(self.by_udp)} UDP flows end, all others go on")

    def prefixes(self) -> None:
        """The same where a prefix leaves a list, and the server talks all the time."""
        before = self.place.rules("host1")
        model = self.place.model()
        model["vpc_prefix_lists"][0]["prefixes"] = ["198.51.100.0/24", "2001:db8:ffff::/48"]
        self.change("open1 is no partner", model)
        self.steady.dead(*self.by_list)
        self.steady.alive(*self.by_rule, *self.by_udp, *self.always)
        # Only lines that name what has gone may differ.
        lines = _changed(before, self.place.rules("host1"))
        if not lines or any("list" not in line and "10.30.1.15" not in line and "::15" not in line for line in lines):
            lab.fail(f"two prefixes have left a list: {lines}")
        lab.say("a prefix leaves a list: connections of its addresses end although the server goes on talking")

    def unrelated(self) -> None:
        """One rule is another one; groups, lists and guests that others have nothing to do with come and go."""
        before = self.place.rules("host1")
        self.change("open1 is a partner", self.place.model())
        before = self.place.rules("host1")
        model = self.place.model()
        lab.group(model, "app")["ingress"][2]["ports"] = 9102
        self.change("tcp/9102 for tcp/9002", model)
        self.answers([("web1", "app1", "tcp", 9002)], SILENT)
        lines = _changed(before, self.place.rules("host1"))
        wanted = _LINES[self.place.backend]
        gone = [line for line in lines if line.startswith("-")]
        if not 0 < len(gone) <= wanted or len(lines) != 2 * len(gone):
            lab.fail(f"one rule has changed: {lines}")
        model = self.place.model()
        model["vpc_prefix_lists"].append({"name": "others", "prefixes": ["192.0.2.0/24"]})
        model["vpc_security_groups"].append({"name": "more", "ingress": [{"protocol": "tcp", "from": "others"}]})
        lab.instance(model, "far1")["security_groups"] = ["more"]
        self.change("far1 gets a group", model)
        self.steady.alive(*self.by_rule, *self.by_udp, *self.always)
        lab.say("one rule is swapped: one rule has changed; another guest gets another group: nobody notices")

    def control(self) -> None:
        """What is denied is noticed where it is not denied, or its silence would prove nothing."""
        with self.steady.let_through():
            model = self.place.model()
            for name in ("app", "web"):
                lab.group(model, name)["ingress"] += _EXTRA
            self.change("what is denied is let through", model)
        self.change("and is denied again", self.place.model())
        time.sleep(0.3)
        self.steady.forget()
        time.sleep(1)

    def change(self, what: str, model: dict[str, Any]) -> None:
        start = time.monotonic()
        self.place.apply(model)
        lab.say(f"  {what} ({time.monotonic() - start:.1f} s)")

    def answers(self, wanted: list[tuple[str, str, str, int]], word: str) -> None:
        """Demand that (from, to, kind, port) is answered, or not, in both families."""
        listed = [
            Trial(
                f"{self.place.lab}-vm-{source}",
                "",
                kind,
                self.place.addresses[f"vm-{target}", family],
                port,
                word == ANSWERED,
                (f"{self.place.lab}-vm-{target}", self.place.addresses[f"vm-{target}", family], port),
                True,
            )
            for source, target, kind, port in wanted
            for family in ((4,) if port == 9002 else (4, 6))
        ]
        found = trials.run(listed)
        wrong = [
            f"{trial.netns} to {trial.address} {trial.port}: {one}"
            for trial, one in zip(listed, found)
            if one.word != word
        ]
        if wrong:
            lab.fail(f"must be {word}: {wrong}")


def _changed(before: list[str], after: list[str]) -> list[str]:
    """The lines that differ, with + or - before each."""
    return [line for line in difflib.ndiff(before, after) if line[0] in "+-"]


def main() -> int:
    place = lab.Place(lab.arguments(__doc__ or ""))
    Changes(place).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
