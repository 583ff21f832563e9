# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN gateway's transaction: XFRM interfaces and what lies on them. Bridges stand for them: few kernels have both."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._engine.transaction import (
    FailedError,
    Options,
    RefusedError,
    Result,
    Transaction,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.scope import VPN_GATEWAY
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

SLICE: dict[str, Any] = {
    "state": {
        "xfrm": {"aws1-1": "xfrm if_id 0x77359401 mtu 1438", "aws1-2": "xfrm if_id 0x77359402 mtu 1422"},
        "sysctl": {"net/ipv4/conf/aws1-1/rp_filter": "2|0", "net/ipv4/conf/aws1-2/send_redirects": "0"},
        "address": {"aws1-1 169.254.252.2/30": "present", "aws1-2 169.254.252.6/30": "present"},
    }
}
NOTHING: dict[str, Any] = {"state": {}}
TYPE = re.compile(r" type xfrm if_id (\S+)")


class Gateway:
    """A host whose bridges are XFRM interfaces, as far as anybody can see through `ip`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.netns = Netns()
        self.numbers: dict[str, str] = {}
        self.able = True

    def run(self, command: Command) -> Output:
        if command.argv[:2] == ("ip", "-batch") and " type xfrm " in (command.stdin or ""):
            if not self.able:
                # iproute2 6.1.0 on a kernel without them
                return Output(1, "", "Error: Unknown device type.\nCommand failed -:1\n")
            command = dataclasses.replace(command, stdin="\n".join(map(self._write, str(command.stdin).splitlines())))
        output = self.netns.run(command)
        if command.argv == ("ip", "-d", "-j", "link", "show"):
            found = json.loads(output.stdout)
            for link in found:
                if number := self.numbers.get(link.get("ifname", "")):
                    link["linkinfo"] = {"info_kind": "xfrm", "info_data": {"if_id": number}}
            output = dataclasses.replace(output, stdout=json.dumps(found))
        return output

    def _write(self, line: str) -> str:
        if found := TYPE.search(line):
            self.numbers[line.split()[3]] = found.group(1)
        return TYPE.sub(" type bridge", line)

    def apply(self, content: dict[str, Any], **options: Any) -> Result:
        chosen = Options(**{"root": str(self.root), "lock": str(self.root / "lock"), **options})
        return Transaction(VPN_GATEWAY, content, chosen, self.run).apply()

    def dump(self) -> list[str]:
        """All that the tests change, and whatever else of that kind."""
        links = [
            f"{link['ifname']} {link['mtu']} {link['flags']} {link['inet6_addr_gen_mode']} {link.get('ifalias')}"
            for link in json.loads(self.netns.sh("ip -d -j link"))
        ]
        rest = self.netns.sh("ip -o -4 addr | cut -c3-; cd /proc/sys/net/ipv4/conf; grep -r '' .")
        return sorted([*links, *rest.splitlines()])

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file() and path.name != "lock"
        )

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    found = Gateway(tmp_path)
    yield found
    found.netns.remove()


def test_life(gateway: Gateway) -> None:
    blank = gateway.dump()
    assert gateway.apply(SLICE, check=True).changed
    assert (gateway.dump(), gateway.files()) == (blank, [])

    assert gateway.apply(SLICE).changed
    assert "169.254.252.2/30" in gateway.netns.sh("ip -o addr show dev aws1-1")
    assert gateway.numbers == {"aws1-1": "0x77359401", "aws1-2": "0x77359402"}
    mark = "plainlinux.vpc:vpn_gateway"
    boot = f"aws1-1 0x77359401 1438 {mark}\naws1-2 0x77359402 1422 {mark}\n"
    assert gateway.text("etc/plainlinux-vpc/vpn_gateway/xfrm") == boot
    assert "Name=aws1-1 aws1-2\n" in gateway.text("etc/systemd/network/00-plainlinux-vpc-vpn_gateway.network")
    ready = gateway.dump()
    assert not gateway.apply(SLICE).changed

    gateway.netns.sh("ip link set aws1-1 mtu 1300; ip link set aws1-2 down")
    gateway.numbers["aws1-1"] = "0x5"
    result = gateway.apply(SLICE)
    assert {name for name, delta in result.deltas.items() if delta} == {"xfrm"}
    assert gateway.dump() == ready
    assert gateway.numbers["aws1-1"] == "0x77359401"

    assert gateway.apply(NOTHING, removal_limit=None).changed
    assert (gateway.dump(), gateway.files()) == (blank, [])


def test_a_foreign_interface_is_refused(gateway: Gateway) -> None:
    gateway.netns.sh("ip link add aws1-2 type veth peer name other")
    before = gateway.dump()
    refused = "^interface aws1-2 exists and is not ours: rename or remove it, or give the VPN connection another name$"
    for check in (True, False):
        with pytest.raises(RefusedError, match=refused):
            gateway.apply(SLICE, check=check)
    assert (gateway.dump(), gateway.files()) == (before, [])


def test_a_kernel_without_them(gateway: Gateway) -> None:
    gateway.able = False
    before = gateway.dump()
    missing = (
        r"Unknown device type\..*refused line: link add name aws1-1 type xfrm if_id 0x77359401\. Nothing was changed"
    )
    for _again in range(2):
        with pytest.raises(FailedError, match=f"(?s){missing}"):
            gateway.apply(SLICE)
        assert (gateway.dump(), gateway.files()) == (before, [])


def test_undo(gateway: Gateway) -> None:
    """Interfaces that were there keep what they had; those that were made go again."""
    old = {"state": {"xfrm": {"aws1-1": "xfrm if_id 0x5 mtu 1400"}, "address": {"aws1-1 169.254.252.2/30": "present"}}}
    gateway.apply(old)
    before, files = gateway.dump(), gateway.files()
    bad = {"state": {**SLICE["state"], "address": {**SLICE["state"]["address"], "nowhere 10.0.0.1/32": "present"}}}
    with pytest.raises(FailedError, match=r"(?s)nowhere.*Nothing was changed"):
        gateway.apply(bad)
    assert (gateway.dump(), gateway.files()) == (before, files)
    assert gateway.numbers["aws1-1"] == "0x5"
    assert not gateway.apply(old).changed
