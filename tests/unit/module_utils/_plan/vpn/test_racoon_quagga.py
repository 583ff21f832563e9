# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""racoon and Quagga: golden files with the values of the article that the project began with, in our mended form.

No distribution has these programs any more. Where they are installed, as root, in this folder, each must end with 0:

    racoon -t -f golden/racoon.conf; setkey -n -f golden/ipsec-tools.conf
    bgpd -C -f golden/bgpd.conf; zebra -C -f golden/zebra.conf      # Quagga's: FRR's end with 0 whatever they read
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.address import parse_prefix
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import RACOON
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import racoon
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.files import Host, racoon_quagga
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import gateway, legacy, some
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import run

GOLDEN = Path(__file__).parent / "golden"
# A file that begins so is for ansible-test a program.
FIRST = {"ipsec-tools.conf": "#!/usr/sbin/setkey -f\n"}


def texts(of: Gateway) -> dict[str, str]:
    found = racoon_quagga(of, Host("1.2.3.4", "ec2-vpn", False))
    return {Path(text.dest).name: text.content for text in found}


def seed(number: int) -> Gateway:
    return gateway(*some(number, True), provider=RACOON)


EXAMPLE = gateway(legacy(), provider=RACOON)


@pytest.mark.parametrize("name", ["psk.txt", "racoon.conf", "ipsec-tools.conf", "daemons", "bgpd.conf", "zebra.conf"])
def test_golden(name: str) -> None:
    assert texts(EXAMPLE)[name] == FIRST.get(name, "") + (GOLDEN / name).read_text()


@pytest.mark.parametrize("number", range(10))
def test_policies_have_no_host_bits_and_no_flush(number: int) -> None:
    found = texts(seed(number))["ipsec-tools.conf"]
    assert "flush" not in found
    selectors = re.findall(
        r"^spdupdate (\S+) (\S+) any -P (out|in) ipsec esp/tunnel/\S+/require;$", found, re.MULTILINE
    )
    assert len(selectors) == found.count("spd")
    # The same selectors twice are one policy: the last tunnel would have it.
    assert len(set(selectors)) == len(selectors)
    for source, destination, _direction in selectors:
        assert parse_prefix(4, source)
        assert parse_prefix(4, destination)


@pytest.mark.parametrize("number", range(10))
def test_each_policy_has_one_sainfo(number: int) -> None:
    found = texts(seed(number))
    pairs = re.findall(r"^sainfo address (\S+) any address (\S+) any \{$", found["racoon.conf"], re.MULTILINE)
    assert len(set(pairs)) == len(pairs)
    policies = re.findall(r"^spdupdate (\S+) (\S+) any -P out", found["ipsec-tools.conf"], re.MULTILINE)
    assert set(policies) == set(pairs)
    assert found["racoon.conf"].count("compression_algorithm deflate;") == len(pairs)


def test_switch_moves_the_networks_to_the_other_tunnel() -> None:
    connection = EXAMPLE.connections[0]
    assert racoon.switch(connection, 2, EXAMPLE).splitlines() == [
        "spdupdate 10.10.10.0/24 192.168.0.0/24 any -P out ipsec esp/tunnel/1.2.3.4-72.21.209.193/require;",
        "spdupdate 192.168.0.0/24 10.10.10.0/24 any -P in ipsec esp/tunnel/72.21.209.193-1.2.3.4/require;",
    ]
    assert set(racoon.switch(connection, 1, EXAMPLE).splitlines()) <= set(racoon.policies(EXAMPLE).splitlines())


def test_stale_policies_are_deleted_and_only_these() -> None:
    before = racoon.policies(EXAMPLE)
    after = racoon.policies(gateway({**legacy(), "accept": ["192.168.1.0/24"]}, provider=RACOON))
    assert racoon.stale(before, before) == ""
    assert racoon.stale(before, after).splitlines() == [
        "spddelete 10.10.10.0/24 192.168.0.0/24 any -P out;",
        "spddelete 169.254.255.2/32 192.168.0.0/24 any -P out;",
        "spddelete 169.254.255.6/32 192.168.0.0/24 any -P out;",
        "spddelete 192.168.0.0/24 10.10.10.0/24 any -P in;",
        "spddelete 192.168.0.0/24 169.254.255.2/32 any -P in;",
        "spddelete 192.168.0.0/24 169.254.255.6/32 any -P in;",
    ]


def test_default_route_is_announced_only_where_it_is_listed() -> None:
    assert "0.0.0.0/0" not in "".join(texts(EXAMPLE).values())
    found = texts(gateway({**legacy(), "announce": ["0.0.0.0/0"]}, provider=RACOON))
    assert " network 0.0.0.0/0\n" in found["bgpd.conf"]


@pytest.mark.parametrize("number", range(8))
def test_vtysh_reads_what_quagga_does(number: int, tmp_path: Path) -> None:
    for name in ("bgpd.conf", "zebra.conf"):
        path = tmp_path / name
        path.write_text(texts(EXAMPLE if not number else seed(number))[name])
        done = run("vtysh", "-C", "-f", str(path))
        assert done.returncode == 0, (done, path.read_text())
        path.write_text(path.read_text().replace("log syslog", "log sislog"))
        assert run("vtysh", "-C", "-f", str(path)).returncode == 2
