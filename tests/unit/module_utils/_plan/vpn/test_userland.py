# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Userland ESP: two daemons of one host and one of the other side carry packets through devices with our names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import strongswan, swanctl, userland
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import TunnelPlan, psk_token
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Charon

# The other side: written by hand, with the userland ESP of one daemon as well.
PEER = """\
connections {
  peer {
    version = 2
    local_addrs = 198.51.100.1
    remote_addrs = 203.0.113.10
    proposals = aes256gcm16-prfsha384-ecp384
    local {
      auth = psk
      id = 198.51.100.1
    }
    remote {
      auth = psk
      id = 203.0.113.10
    }
    children {
      peer {
        local_ts = 0.0.0.0/0
        remote_ts = 0.0.0.0/0
        esp_proposals = aes256gcm16-ecp384
      }
    }
  }
}
secrets {
  ike-peer {
    id-1 = 198.51.100.1
    id-2 = 203.0.113.10
    secret = "Example.key_1"
  }
}
"""


@pytest.fixture
def ends() -> Iterator[tuple[Charon, Charon]]:
    """(ours, the peer's)"""
    found = (Charon(), Charon())
    ours, peer = (end.netns for end in found)
    try:
        ours.sh(
            f"ip link add wan type veth peer name wan netns {peer.name};"
            "ip addr add 203.0.113.10/24 dev wan; ip link set wan up; ip route add default dev wan"
        )
        peer.sh("ip addr add 198.51.100.1/24 dev wan; ip link set wan up; ip route add default dev wan")
        yield found
    finally:
        for end in found:
            end.remove()


def device(end: Charon, plan: TunnelPlan, verb: str) -> None:
    """What the unit runs."""
    path = end.folder / "device"
    path.write_text(userland.SCRIPT.replace(userland.RUNTIME, str(end.folder)))
    values = "".join(f"export {line}\n" for line in userland.environment(plan).splitlines())
    end.netns.sh(
        f"{values}export MAINPID={end.processes[-1].pid if end.processes else 0}\nsh {path} {verb} {plan.name}"
    )


def test_unit_and_script_agree() -> None:
    unit = userland.unit()
    for verb in re.findall(r"/device (\w+) %i", unit):
        assert f"\n{verb}) " in userland.SCRIPT or f"\n{verb})\n" in userland.SCRIPT
    assert userland.socket("aws1-1") == userland.RUNTIME + "/aws1-1/vici"
    assert "DEVICE_MTU=1400\nDEVICE_ADDRESS=169.254.252.2/30\n" in userland.environment(
        gateway(ipsec=USERLAND).tunnels[0]
    )


def test_packets_go_through_a_device_of_our_name(ends: tuple[Charon, Charon]) -> None:
    ours, peer = ends
    plan = gateway(ipsec=USERLAND).tunnels[0]
    peer.up(
        strongswan.userland(plan, f"{peer.folder}/vici")
        .replace("port = 0", "port = 500", 1)
        .replace("nat_t = 0", "nat_t = 4500")
    )
    peer.write({"peer.conf": PEER})
    assert "loaded connection 'peer'" in peer.swanctl("--load-all", "--noprompt")
    peer.netns.sh("ip link set ipsec0 mtu 1400; ip addr add 169.254.252.1/30 dev ipsec0")
    # The second start is one after a crash: nothing was detached.
    for number in range(2):
        ours.up(strongswan.userland(plan, f"{ours.folder}/vici"))
        device(ours, plan, "attach")
        ours.write(
            {
                "tunnel.conf": swanctl.connection(plan, USERLAND),
                "secret.conf": swanctl.secret(plan).replace(psk_token(plan.tunnel), "Example.key_1"),
            }
        )
        assert "loaded connection 'aws1-1'" in ours.swanctl("--load-all", "--noprompt")
        ours.swanctl("--initiate", "--child", plan.name, "--timeout", "10")
        # Full-size packets, which may not be fragmented.
        output = ours.netns.sh(f"ping -c 3 -i 0.2 -W 2 -s {plan.mtu - 28} -M do 169.254.252.1")
        assert " 3 received" in output, (number, output)
        assert "169.254.252.2/30" in ours.netns.sh("ip addr show dev aws1-1")
        assert ours.swanctl("--rekey", "--child", plan.name)
        ours.netns.sh("ping -c 1 -W 5 169.254.252.1")
        # Main table and rules lead nothing through the route that charon insists on.
        assert "ipsec" not in ours.netns.sh("ip route show table main")
        assert f"dev ipsec{number} " in ours.netns.sh(f"ip route show table {plan.id}")
    ours.stop()
    device(ours, plan, "detach")
    links = ours.netns.sh("ip -o link")
    assert "aws1-1" not in links
    assert "ipsec" not in links


def test_settle_mends_the_device(ends: tuple[Charon, Charon]) -> None:
    ours, _peer = ends
    plan = gateway(ipsec=USERLAND).tunnels[0]
    ours.up(strongswan.userland(plan, f"{ours.folder}/vici"))
    device(ours, plan, "attach")
    ours.netns.sh("ip addr add 169.254.9.9/30 dev aws1-1; ip link set aws1-1 mtu 1300")
    device(ours, plan, "settle")
    found = ours.netns.sh("ip addr show dev aws1-1")
    assert "mtu 1400" in found
    assert "169.254.9.9" not in found
    assert "169.254.252.2/30" in found
    assert ours.netns.sh("cat /proc/sys/net/ipv4/conf/aws1-1/rp_filter") == "2\n"
