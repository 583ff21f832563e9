# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strongSwan: every tunnel that the model takes is a connection that a real charon loads, with both backends of ESP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn import Dpd, Esp, Ike
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    IPSEC_BACKENDS,
    KERNEL,
    USERLAND,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import strongswan, swanctl
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import AWS1, changed, gateway, some
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Charon

# As the distribution has it, with the socket elsewhere.
MAIN = """\
charon {{
  load_modular = yes
  plugins {{
    include /etc/strongswan.d/charon/*.conf
    vici {{
      socket = unix://{folder}/vici
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def charon() -> Iterator[Charon]:
    found = Charon()
    try:
        yield found
    finally:
        found.remove()


def texts(of: Gateway) -> dict[str, str]:
    found = {f"{plan.name}.conf": swanctl.connection(plan, of.ipsec) for plan in of.tunnels}
    return {**found, **{f"{plan.name}.secret.conf": swanctl.secret(plan) for plan in of.tunnels}}


def loaded(output: str) -> set[str]:
    """Connections that were loaded: the exit status says nothing."""
    return set(re.findall(r"^loaded connection '(.*)'$", output, re.MULTILINE))


def test_example() -> None:
    found = swanctl.connection(gateway().tunnels[0], KERNEL)
    lines = [line.strip() for line in found.splitlines()]
    assert "id = 203.0.113.10" in lines
    assert "proposals = aes256gcm16-prfsha384-prfsha256-ecp384-modp2048, aes256-sha384-sha256-ecp384-modp2048" in lines
    assert "esp_proposals = aes256gcm16-ecp384-modp2048, aes256-sha256-ecp384-modp2048" in lines
    assert lines.count("local_ts = 0.0.0.0/0") == lines.count("remote_ts = 0.0.0.0/0") == 1
    # Before the peer: it begins 540 s before the end.
    esp = lines[lines.index("life_time = 3600s") - 2 :][:2]
    assert esp == ["rekey_time = 3000s", "rand_time = 150s"]
    assert "start_action = trap|start" in lines
    assert "start_action = start" in swanctl.connection(gateway().tunnels[0], USERLAND)
    # One setting for each line.
    assert all(re.fullmatch(r"[a-z0-9_-]+ (?:= .+|\{)|\}", line) for line in lines)
    assert found.count("{") == found.count("}")


def test_keys_are_tokens_in_a_text_of_their_own() -> None:
    of = gateway()
    assert 'secret = "@psk aws1-1@"' in swanctl.secret(of.tunnels[0])
    assert not any("@psk" in swanctl.connection(plan, KERNEL) for plan in of.tunnels)
    assert not any("vault_" in text for text in texts(of).values())


def test_behind_nat_the_identity_is_what_the_peer_sees() -> None:
    tunnels = [{**AWS1["tunnels"][0], "local_address": "10.99.0.10"}]
    found = swanctl.connection(gateway(changed(tunnels=tunnels)).tunnels[0], KERNEL)
    assert "local_addrs = 10.99.0.10\n" in found
    assert "id = 203.0.113.10\n" in found


@pytest.mark.parametrize(
    "ike, expected",
    [
        (
            Ike(2, ("aes256", "aes128-gcm16"), ("sha1",), ("sha256",), (2,), 900),
            "aes256-sha1-modp1024, aes128gcm16-prfsha256-modp1024",
        ),
        (Ike(2, ("aes256-gcm16",), (), ("sha384",), (20, 21), 900), "aes256gcm16-prfsha384-ecp384-ecp521"),
        # A proposal of version 1 is one combination.
        (
            Ike(1, ("aes256", "aes128"), ("sha256",), (), (14, 2), 900),
            "aes256-sha256-modp2048, aes256-sha256-modp1024, aes128-sha256-modp2048, aes128-sha256-modp1024",
        ),
    ],
)
def test_ike_proposals(ike: Ike, expected: str) -> None:
    assert swanctl.ike_proposals(ike) == expected


def test_esp_proposals() -> None:
    assert swanctl.esp_proposals(Esp(("aes128-gcm16",), (), (14,), 900), 1) == "aes128gcm16-modp2048"


@pytest.mark.parametrize(
    "dpd, messages, pause",
    [
        (Dpd(10, 3), 7, 2.86),
        (Dpd(10, 2), 3, 3.33),
        (Dpd(1, 1), 2, 0.5),
        (Dpd(60, 3), 30, 4.0),
        (Dpd(300, 20), 570, 10.0),
    ],
)
def test_a_peer_is_dead_interval_times_retries_after_its_last_packet(dpd: Dpd, messages: int, pause: float) -> None:
    values = {"interval": dpd.interval, "retries": dpd.retries}
    found = strongswan.dead_peers(gateway(changed(tunnels=[{**AWS1["tunnels"][0], "dpd": values}])))
    settings = dict(re.findall(r"retransmit_(\w+) = (.*)", found))
    assert settings == {"tries": str(messages - 1), "timeout": f"{pause:.2f}", "base": "1.0"}
    # The first probe is sent one interval after the last packet.
    assert messages * pause == pytest.approx(dpd.interval * max(dpd.retries - 1, 1), rel=0.01)


def test_a_real_charon_loads_what_the_kernel_does(charon: Charon, tmp_path: Path) -> None:
    (tmp_path / "ours.conf").write_text(strongswan.kernel() + strongswan.dead_peers(gateway()))
    charon.up(MAIN.format(folder=charon.folder) + f"include {tmp_path}/*.conf\n")
    plugins = re.search(r"loaded plugins: (.*)", charon.swanctl("--stats"))
    assert plugins is not None
    assert {"kernel-netlink", "vici"} <= set(plugins[1].split())
    assert not {"farp", "dhcp", "forecast", "bypass-lan"} & set(plugins[1].split())
    for seed in range(8):
        of = gateway() if not seed else gateway(*some(seed))
        charon.write(texts(of))
        output = charon.swanctl("--load-all", "--noprompt", "--clear")
        assert loaded(output) == {plan.name for plan in of.tunnels}, (seed, output)
        assert output.count("loaded ike secret ") == len(of.tunnels)


def test_the_harmful_plugins_are_there_without_our_file(charon: Charon) -> None:
    charon.up(MAIN.format(folder=charon.folder))
    plugins = re.search(r"loaded plugins: (.*)", charon.swanctl("--stats"))
    assert plugins is not None
    assert {"farp", "dhcp", "forecast"} <= set(plugins[1].split())


def test_a_real_charon_loads_what_userland_does(charon: Charon) -> None:
    of = gateway(ipsec=USERLAND)
    for plan in of.tunnels:
        charon.up(strongswan.userland(plan, str(charon.folder / "vici")))
        charon.write({name: text for name, text in texts(of).items() if name.startswith(plan.name)})
        output = charon.swanctl("--load-all", "--noprompt")
        assert loaded(output) == {plan.name}, output
        assert f"fwmark {plan.id:#x} lookup {plan.id}" in charon.netns.sh("ip rule")
        assert "ipsec0" in charon.netns.sh("ip -o link")


@pytest.mark.parametrize("ipsec", IPSEC_BACKENDS)
def test_a_mistake_is_no_loaded_connection(charon: Charon, ipsec: str) -> None:
    of = gateway(ipsec=ipsec)
    if not charon.processes:
        charon.up(MAIN.format(folder=charon.folder))
    charon.write({name: text.replace("ecp384", "ecp385") for name, text in texts(of).items()})
    assert not loaded(charon.swanctl("--load-all", "--noprompt"))
