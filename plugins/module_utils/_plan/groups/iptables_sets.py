# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets of security groups with backend iptables: whose an address is, by which groups it is judged, who is named.

An address stands in several of them. When a guest's groups change, it is added to the new sets before it leaves the
old ones, and rules find it in either: whichever comes first, it is judged by the old or the new groups at every moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from math import isqrt

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import Prefix, format_address
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.iptables_rules import P, list_set, members_set
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.groups.policy import Groups, HostPolicy
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.layout import destination

FAMILIES = (4, 6)
_INET = {4: "inet", 6: "inet6"}
_BITS = {4: 32, 6: 128}
# So many sets are asked one after the other; more are asked by way of sets that hold those of several.
_MOST = 8

# Guests' addresses: of those that are filtered, and of the others; of those that conntrack sees, and not; logged.
OWN, OPEN, TRACKED, UNTRACKED, LOGGED = "own", "open", "tracked", "untracked", "logged"


def label(groups: Groups) -> str:
    """What a combination of groups is called in names of sets and chains; no group has a dot in its name."""
    return groups[0] if len(groups) == 1 else "." + sha256(".".join(groups).encode()).hexdigest()[:12]


def address_set(kind: str, family: int) -> str:
    return f"{P}{kind}{family}"


def combination_set(family: int, groups: Groups) -> str:
    return f"{P}c{family}-{label(groups)}"


def bucket_set(family: int, bucket: int) -> str:
    return f"{P}b{family}-{bucket}"


def buckets(combinations: Iterable[Groups]) -> dict[int, list[Groups]]:
    """Combinations by the number of the set that holds theirs; {} where there are too few to need that.

    The number follows from the combination's name, so that another one moves none but at powers of two.
    """
    known = list(combinations)
    if len(known) <= _MOST:
        return {}
    count = 1 << (isqrt(len(known)) - 1).bit_length()
    found: dict[int, list[Groups]] = {}
    for groups in known:
        found.setdefault(int(sha256(label(groups).encode()).hexdigest()[:8], 16) % count, []).append(groups)
    return dict(sorted(found.items()))


def stateless(policy: HostPolicy, groups: Groups) -> bool:
    """Whether packets of an address that is judged by these groups are not tracked."""
    return bool(groups) and not any(policy.groups[group].stateful for group in groups)


def logged(policy: HostPolicy, groups: Groups) -> bool:
    return any(policy.groups[group].log for group in groups)


def count(policy: HostPolicy) -> int:
    """How many sets a policy needs. The kernel makes room for 64 more whenever its list is full, up to 65,534."""
    return sum(1 for key in sets(policy) if " " not in key)


def sets(policy: HostPolicy) -> dict[str, str]:
    """The desired state of subsystem ipset."""
    state: dict[str, str] = {}
    for group, words in policy.words.items():
        for family in FAMILIES:
            _put(state, members_set(family, group), "hash:ip", family, words[family])
    for name, prefixes in policy.lists.items():
        for family in FAMILIES:
            _put(state, list_set(family, name), "hash:net", family, _networks(prefixes[family]))
    if policy.groups:
        _Guests(policy).put(state)
    return state


def _put(state: dict[str, str], name: str, kind: str, family: int, members: Iterable[str]) -> None:
    state[name] = f"{kind} family {_INET[family]}"
    state.update(dict.fromkeys([f"{name} {member}" for member in members], "member"))


def _networks(prefixes: Iterable[Prefix]) -> list[str]:
    """As members: a set of networks does not take one of length 0."""
    return [
        destination(part)
        for prefix in prefixes
        for part in ([prefix] if prefix.length else [Prefix(prefix.family, base, 1) for base in _halves(prefix.family)])
    ]


def _halves(family: int) -> tuple[int, int]:
    return 0, 1 << (_BITS[family] - 1)


class _Guests:
    """Addresses and networks of the host's guests, by the groups that judge them."""

    def __init__(self, policy: HostPolicy) -> None:
        self.policy = policy
        self.singles: dict[int, dict[Groups, list[int]]] = {4: {}, 6: {}}
        for (family, address), groups in policy.judged().items():
            self.singles[family].setdefault(groups, []).append(address)
        self.nets: dict[int, dict[Groups, list[Prefix]]] = {4: {}, 6: {}}
        for net, groups in policy.nets():
            self.nets[net.family].setdefault(groups, []).append(net)

    def put(self, state: dict[str, str]) -> None:
        policy = self.policy
        for family in FAMILIES:
            for groups in policy.combinations:
                self._guests(state, combination_set(family, groups), family, groups.__eq__)
            for number, found in buckets(policy.combinations).items():
                self._guests(state, bucket_set(family, number), family, frozenset(found).__contains__)
            self._guests(state, address_set(OWN, family), family, bool)
            if policy.closed() or policy.outer():
                self._guests(state, address_set(OPEN, family), family, lambda groups: not groups)
            if any(stateless(policy, groups) for groups in policy.combinations):
                self._guests(state, address_set(UNTRACKED, family), family, lambda groups: stateless(policy, groups))
                self._guests(state, address_set(TRACKED, family), family, lambda groups: not stateless(policy, groups))
            if any(logged(policy, groups) for groups in policy.combinations):
                self._guests(state, address_set(LOGGED, family), family, lambda groups: logged(policy, groups))

    def _guests(self, state: dict[str, str], name: str, family: int, wanted: Callable[[Groups], bool]) -> None:
        """A set of what is judged by groups that are wanted."""
        singles, nets = self.singles[family], self.nets[family]
        inside = [net for groups, found in nets.items() if wanted(groups) for net in found]
        members = _networks(inside)
        for groups, found in singles.items():
            if wanted(groups):
                members += [format_address(family, address) for address in found]
        _put(state, name, "hash:net", family, members)
        if not inside:
            return
        # Others' addresses in these networks.
        for groups, found in singles.items():
            if not wanted(groups):
                for address in found:
                    if any(net.contains(address) for net in inside):
                        state[f"{name} {format_address(family, address)}"] = "member nomatch"
