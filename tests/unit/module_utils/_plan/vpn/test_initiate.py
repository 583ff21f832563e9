# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels that strongSwan has given up come up again, and others are left alone."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import (
    IPSEC_BACKENDS,
    KERNEL,
    USERLAND,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import files, initiate, strongswan, swanctl
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import psk_token
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import gateway
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Charon
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.test_userland import PEER, device, ends

__all__ = ["ends"]

PLAN = gateway(ipsec=USERLAND).tunnels[0]


class Ends:
    """Our end and the peer's, with a key that may differ."""

    def __init__(self, ours: Charon, peer: Charon) -> None:
        self.ours = ours
        self.peer = peer
        self.script = ours.folder / "initiate"
        self.script.write_text(initiate.SCRIPT)
        peer.up(
            strongswan.userland(PLAN, f"{peer.folder}/vici")
            .replace("port = 0", "port = 500", 1)
            .replace("nat_t = 0", "nat_t = 4500")
        )
        ours.up(strongswan.userland(PLAN, f"{ours.folder}/vici"))
        device(ours, PLAN, "attach")

    def load(self, peers_key: str) -> None:
        self.peer.write({"peer.conf": PEER.replace("Example.key_1", peers_key)})
        assert "loaded ike secret 'ike-peer'" in self.peer.swanctl("--load-all", "--noprompt", "--clear")

    def start(self) -> None:
        """As the unit does, and what comes of it."""
        key = swanctl.secret(PLAN).replace(psk_token(PLAN.tunnel), "Example.key_1")
        self.ours.write({"tunnel.conf": swanctl.connection(PLAN, USERLAND), "secret.conf": key})
        assert f"loaded connection '{PLAN.name}'" in self.ours.swanctl("--load-all", "--noprompt")

    def look(self) -> None:
        """What the timer does."""
        assert self.ours.run("sh", str(self.script), PLAN.name, "--uri", f"unix://{self.ours.folder}/vici") == ""

    def sas(self) -> list[str]:
        """Numbers and states of our SAs, of IKE and of packets."""
        return re.findall(r"#\d+(?=, )|(?<=, )[A-Z]+(?=, )", self.ours.swanctl("--list-sas"))

    def refused(self) -> None:
        """Until the peer has answered to our key."""
        end = time.monotonic() + 20
        while not re.search(r"ike-auth-in-resp *: *1\b", self.ours.swanctl("--counters", "--name", PLAN.name)):
            assert time.monotonic() < end, self.ours.swanctl("--counters")
            time.sleep(0.1)

    def until(self, *states: str) -> list[str]:
        """Until the SAs have these states, and no others; gives sas()."""
        end = time.monotonic() + 20
        while True:
            found = self.sas()
            if [word for word in found if not word.startswith("#")] == list(states):
                return found
            assert time.monotonic() < end, (found, self.ours.swanctl("--list-sas"))
            time.sleep(0.1)


@pytest.fixture
def tunnel(ends: tuple[Charon, Charon]) -> Ends:
    return Ends(*ends)


UP = ("ESTABLISHED", "INSTALLED")


def test_a_peer_whose_key_comes_later(tunnel: Ends) -> None:
    tunnel.load("Example.key_2")
    tunnel.start()
    tunnel.refused()
    tunnel.until()
    tunnel.load("Example.key_1")
    # strongSwan has given up.
    assert tunnel.sas() == []
    tunnel.look()
    before = tunnel.until(*UP)
    for _again in range(3):
        tunnel.look()
    assert tunnel.until(*UP) == before


@pytest.mark.parametrize("what", ["--child", "--ike"])
def test_a_tunnel_that_somebody_has_ended(tunnel: Ends, what: str) -> None:
    tunnel.load("Example.key_1")
    tunnel.start()
    tunnel.until(*UP)
    tunnel.ours.swanctl("--terminate", what, PLAN.name)
    tunnel.until(*([] if what == "--ike" else ["ESTABLISHED"]))
    tunnel.look()
    tunnel.until(*UP)


def test_an_attempt_under_way_is_left_alone(tunnel: Ends) -> None:
    tunnel.peer.stop()
    tunnel.start()
    before = tunnel.until("CONNECTING")
    for _again in range(3):
        tunnel.look()
    assert tunnel.until("CONNECTING") == before


def test_without_a_daemon_nothing_is_said(tunnel: Ends) -> None:
    tunnel.ours.stop()
    tunnel.look()


# As swanctl prints them: an SA of IKE, one of packets, and what a daemon has to do.
IKE = (
    "aws1-1: #{}, {}, IKEv2, be12700ce6f11637_i* 8793e22165db1d7e_r\n  local  '203.0.113.10' @ 192.168.56.102[54092]\n"
)
CHILD = "  aws1-1: #{}, reqid 1, {}, TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA2_256_128\n    in  a30b1c00, 1 bytes\n"


@pytest.mark.parametrize(
    "sas, initiated",
    [
        ("", True),
        (IKE.format(1, "ESTABLISHED"), True),
        (IKE.format(1, "ESTABLISHED") + "  passive: CHILD_CREATE\n", True),
        (IKE.format(1, "ESTABLISHED") + "  active:  CHILD_CREATE\n", False),
        (IKE.format(1, "ESTABLISHED") + "  queued:  QUICK_MODE\n", False),
        (IKE.format(1, "ESTABLISHED") + CHILD.format(1, "INSTALLED"), False),
        (IKE.format(1, "ESTABLISHED") + CHILD.format(1, "REKEYED") + CHILD.format(2, "INSTALLED"), False),
        (IKE.format(1, "CONNECTING"), False),
        (IKE.format(1, "DELETING"), False),
        (IKE.format(2, "ESTABLISHED") + IKE.format(1, "REKEYED"), False),
        (IKE.format(2, "CONNECTING") + IKE.format(1, "ESTABLISHED") + CHILD.format(1, "INSTALLED"), False),
    ],
)
def test_when(tmp_path: Path, sas: str, initiated: bool) -> None:
    """With a swanctl that says this, and writes down what it is told."""
    (tmp_path / "sas").write_text(sas)
    fake = tmp_path / "swanctl"
    fake.write_text(f'#!/bin/sh\ncase $1 in --list-sas) cat {tmp_path}/sas ;; *) echo "$*" >>{tmp_path}/log ;; esac\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(
        ["sh", "-c", initiate.SCRIPT, "initiate", "aws1-1", "--uri", "unix:///x"], env=environment, check=True
    )
    log = tmp_path / "log"
    said = log.read_text() if log.exists() else ""
    assert said == ("--initiate --ike aws1-1 --child aws1-1 --timeout -1 --uri unix:///x\n" if initiated else "")


@pytest.mark.parametrize("ipsec", IPSEC_BACKENDS)
def test_units(ipsec: str) -> None:
    texts = {
        text.dest: text for text in files.strongswan_frr(gateway(ipsec=ipsec), files.Host("192.0.2.7", "vpn1", False))
    }
    service, timer = (texts[path].content for path in files.INITIATE)
    assert texts[initiate.PROGRAM].mode == "0755"
    started = [line.partition("=-")[2] for line in service.splitlines() if line.startswith("ExecStart")]
    own = {KERNEL: "", USERLAND: " --uri unix:///run/plainlinux-vpc-vpn/{}/vici"}[ipsec]
    assert started == [f"{initiate.PROGRAM} {name}{own.format(name)}" for name in ("aws1-1", "aws1-2")]
    # Else each look is two lines in the journal.
    assert "LogLevelMax=notice\n" in service
    assert "OnUnitInactiveSec=20s\n" in timer
    assert initiate.TIMER.partition(".")[0] == initiate.SERVICE.partition(".")[0]
