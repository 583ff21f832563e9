# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules of the nftables guard could be removed, one at a time, without any test of this suite noticing it.

Rules that only count, or name, what another rule drops are left out: no frame can tell. Takes many minutes, so it is no
part of `make test`: python -m ansible_collections.plainlinux.vpc.tests.attacks.mutations
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import TABLE, chains
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import Policy as Rules
from ansible_collections.plainlinux.vpc.tests.attacks import holes
from ansible_collections.plainlinux.vpc.tests.attacks.case import Book, Case
from ansible_collections.plainlinux.vpc.tests.attacks.catalogue import catalogue
from ansible_collections.plainlinux.vpc.tests.attacks.guard_nftables import guard, guest_of, put
from ansible_collections.plainlinux.vpc.tests.attacks.policy import Policy
from ansible_collections.plainlinux.vpc.tests.attacks.suite import run
from ansible_collections.plainlinux.vpc.tests.attacks.topology import Topology
from ansible_collections.plainlinux.vpc.tests.attacks.variants import Variant, variants
from ansible_collections.plainlinux.vpc.tests.attacks.wire import Wire
from ansible_collections.plainlinux.vpc.tests.attacks.world import FLAT, ISOLATED, ROUTED, World

# What says what a chain is: not a rule.
_HEADER = "type filter "
# No frame of the catalogue is one too many.
_NO_STORM = 1_000_000
# Rules without which every frame fares as with them, and why. Ends of texts that begin with the chain's name.
_EQUIVALENT = {
    "-01:80:c2:00:00:0f accept": "the other frames to the host were asked in prerouting, and would be asked again",
    ": accept": "as the end of the chain is",
    "from_ip4_none: udp dport 67 goto refuse_dhcp": "names what the next rule drops",
    "from_icmp6: icmpv6 type { 130, 134, 137, 151, 152, 153 } goto refuse_router": "names what the next rule drops",
    "from_udp6: ip6 nexthdr != 17 frag frag-off != 0 accept": "on Linux 6.18, from_ip6_own accepts these",
}
_COUNTING = ("update @dropped_", "iifname . ether saddr != @macs goto refuse_mac")


@dataclass(frozen=True)
class Mutation:
    """A chain without one of its rules. number: of the rule, from 0."""

    chain: str
    number: int
    rules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.chain}: {self.rules[self.number]}"

    def script(self, rules: tuple[str, ...]) -> str:
        """What nft does to have these rules in the chain."""
        lines = [f"flush chain {TABLE} {self.chain}", *(f"add rule {TABLE} {self.chain} {rule}" for rule in rules)]
        return "\n".join(lines) + "\n"

    @property
    def without(self) -> str:
        return self.script(self.rules[: self.number] + self.rules[self.number + 1 :])


def mutations(policy: Rules) -> Iterator[Mutation]:
    """Every rule that decides something, of every chain."""
    for chain, text in chains(policy).items():
        rules = tuple(line for line in text.split("\n") if not line.startswith(_HEADER))
        for number, rule in enumerate(rules):
            if not rule.startswith(_COUNTING):
                yield Mutation(chain, number, rules)


@dataclass(frozen=True)
class Trial:
    """Frames in one world, with a guard that is put there once for all mutations."""

    name: str
    world: World
    rules: Rules
    guests: Mapping[str, Guest]
    cases: Sequence[Case]
    variant: Variant | None = None

    def unnoticed(self, todo: Iterable[Mutation]) -> list[Mutation]:
        """Those with which all goes as without."""
        found = []
        with Topology(self.world) as topology, Wire(topology) as wire:
            put(topology, self.rules, self.guests)
            if self.variant:
                self.variant.change(topology)
            assert self._goes_well(wire), "before any mutation"
            for mutation in todo:
                topology.run("nft", "-f", "-", stdin=mutation.without)
                if self._goes_well(wire):
                    found.append(mutation)
                topology.run("nft", "-f", "-", stdin=mutation.script(mutation.rules))
        return found

    def _goes_well(self, wire: Wire) -> bool:
        return all(result.passed == result.case.legit for result in wire.run(self.cases))


def trials() -> Iterator[Trial]:
    """The largest first: the others have to try only what nothing noticed so far."""
    flat = World(FLAT)
    rules, guests = _guarded(flat)
    book = Book(flat)
    holes.attacks(book)
    holes.legitimate(book)
    yield Trial("all frames", flat, rules, guests, [*catalogue(flat), *book.cases.values()])
    book = Book(flat)
    holes.in_prefix(book)
    rules, guests = holes.with_prefixes()
    yield Trial("prefixes", flat, replace(rules, broadcasts=_NO_STORM), guests, list(book.cases.values()))
    for variant in variants():
        yield Trial(variant.name, variant.world, *_guarded(variant.world), variant.cases, variant)
    for kind in (ROUTED, ISOLATED):
        yield Trial(f"{kind} bridge", World(kind), *_guarded(World(kind)), catalogue(World(kind)))


def _guarded(world: World) -> tuple[Rules, dict[str, Guest]]:
    return Rules(world.policy.uplinks, broadcasts=_NO_STORM), {vif.name: guest_of(vif) for vif in world.policy.vifs}


def by_effects(mutation: Mutation) -> bool:
    """Whether the whole suite goes well with a mutation, with effects on real stacks, on a flat bridge."""

    def mutated(topology: Topology, policy: Policy) -> None:
        guard(topology, policy)
        topology.run("nft", "-f", "-", stdin=mutation.without)

    return not run(mutated, World(FLAT)).bad


def main() -> int:
    """Print the rules that nothing notices; status 1 if one of them should be noticed."""
    argparse.ArgumentParser(prog="mutations", description=__doc__).parse_args()
    # Namespaces are removed also where somebody loses patience.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    uplinks = World(FLAT).policy.uplinks
    every = list(mutations(Rules(uplinks, broadcasts=_NO_STORM)))
    rest = every
    for trial in trials():
        before, rest = rest, trial.unnoticed(rest)
        print(f"{trial.name}: {len(before) - len(rest)} of {len(before)} noticed", flush=True)
    # The same rules, with the limit that a guard has.
    usual = {(one.chain, one.number): one for one in mutations(Rules(uplinks))}
    last = [mutation for mutation in (usual[one.chain, one.number] for one in rest) if by_effects(mutation)]
    print(f"effects: {len(rest) - len(last)} of {len(rest)} noticed")
    print(f"noticed: {len(every) - len(last)} of {len(every)}; by nothing:")
    reasons = {one: next((why for end, why in _EQUIVALENT.items() if str(one).endswith(end)), "") for one in last}
    for mutation, reason in reasons.items():
        print(f"  {mutation}: {reason or 'NO TEST'}")
    return 0 if all(reasons.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
