# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vpn_status and report in real playbooks. The gateway's programs are scripts that print what real ones printed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._daemon import records

BIN = Path(sys.executable).parent
TOP = Path(__file__).resolve().parents[3]
PSK = "kanarienvogel.7_Xq"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount namespaces need root")

SANDBOX = """
mount --bind "$1/sbin" /usr/local/sbin
mount -t tmpfs tmpfs /run
shift
exec "$@"
"""
ADDRESSES = json.dumps(
    [
        {
            "ifname": "aws1-1",
            "flags": ["UP"],
            "mtu": 1400,
            "addr_info": [{"family": "inet", "local": "169.254.252.2", "prefixlen": 30}],
        }
    ]
)
TUNNEL = {
    "path": "vpc_vpn_connections[0].tunnels[0]",
    "name": "aws1-1",
    "number": 1,
    "outside_address": "203.0.113.10",
    "local_address": "203.0.113.10",
    "peer_outside_address": "203.0.113.1",
    "inside_cidr": "169.254.252.0/30",
    "inside_address": "169.254.252.2",
    "peer_inside_address": "169.254.252.1",
    "psk_variable": None,
}
SUMMARY: dict[str, Any] = {
    "hosts": {
        "gw1": {"roles": ["vpn_gateway"], "vpn": {"provider": "strongswan_frr", "ipsec_backend": "kernel"}},
        "gw2": {"roles": ["vpn_gateway"], "vpn": {"provider": "strongswan_frr", "ipsec_backend": "kernel"}},
        "host1": {"roles": ["hypervisor"]},
    },
    "connections": {
        "aws1": {
            "gateway": "gw1",
            "bgp": {"customer_asn": 65000, "amazon_asn": 64512, "hold_time": 30},
            "announce": ["10.10.0.0/24"],
            "accept": ["10.20.0.0/16"],
            "tunnels": [TUNNEL],
        },
        "aws2": {
            "gateway": "gw2",
            "bgp": None,
            "announce": ["10.10.0.0/24"],
            "accept": [],
            "tunnels": [{**TUNNEL, "name": "aws2-1"}],
        },
    },
}


class Gateway:
    """A folder with a plan and with the programs of a gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sbin").mkdir()
        (folder / "ansible.cfg").write_text("[defaults]\n")
        for name, outputs in {
            "ip": {"-j": ADDRESSES},
            "swanctl": {"--list-sas": records.text("up.txt"), "--list-conns": records.text("connections.txt")},
            "vtysh": {"neighbors json": records.text("neighbors.json"), "routes json": self._routes()},
        }.items():
            self.program(name, outputs)
        self.plan(SUMMARY)

    @staticmethod
    def _routes() -> str:
        return records.text("routes.txt").partition('{ "warning"')[0]

    def program(self, name: str, outputs: dict[str, str]) -> None:
        """A program that prints the first text whose key is in its arguments."""
        lines = ["#!/bin/sh", 'case "$*" in']
        for number, (key, output) in enumerate(outputs.items()):
            kept = self.folder / f"{name}.{number}"
            kept.write_text(output)
            lines.append(f"*'{key}'*) cat {kept} ;;")
        path = self.folder / "sbin" / name
        path.write_text("\n".join([*lines, "esac", ""]))
        path.chmod(0o755)

    def plan(self, summary: dict[str, Any]) -> None:
        (self.folder / "plan").mkdir(exist_ok=True)
        (self.folder / "plan/plan.json").write_text(json.dumps(summary))

    def play(self, host: str, *tasks: dict[str, Any], **variables: Any) -> str:
        """Run tasks on a host that is this machine; gives all that is printed at the highest verbosity."""
        given = {
            "ansible_python_interpreter": sys.executable,
            "vpc_plan_dir": str(self.folder / "plan"),
            "vpc_vpn_connections": [{"tunnels": [{"psk": PSK}]}],
            **variables,
        }
        play = {"hosts": host, "connection": "local", "gather_facts": False, "vars": given, "tasks": list(tasks)}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        command = [str(BIN / "ansible-playbook"), "play.yml", "-i", f"{host},", "-vvv"]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", SANDBOX, "sh", str(self.folder), *command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(TOP / ".build"),
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
                "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
                "ANSIBLE_NOCOLOR": "1",
                "LC_ALL": "C.UTF-8",
            },
        )
        return done.stdout + done.stderr

    def result(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"plan/verify/{host}.tunnels.json").read_text())
        return found


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


STATUS: dict[str, Any] = {"name": "Ask", "plainlinux.vpc.vpn_status": {}, "register": "__asked"}
SHOW: dict[str, Any] = {"name": "Show", "plainlinux.vpc.report": {"show": "verify", "hosts": ["gw1", "gw2", "host1"]}}


def test_up(gateway: Gateway) -> None:
    output = gateway.play("gw1", {**STATUS, "check_mode": True}, SHOW)
    found = gateway.result("gw1")
    assert found["up"], output
    (row,) = found["tunnels"]
    assert (row["verdict"], row["bgp"]["accepted"], row["bgp"]["received_count"]) == ("up", ["10.20.0.0/16"], 4)
    assert (row["esp"]["bytes_in"], row["interface"]["address"]) == (252, "169.254.252.2/30")
    assert "changed=0" in output
    # The other gateway of the plan has not been asked.
    assert "1 of 2 tunnels up: 4 faults" in output
    assert "no answer" in output


def test_no_key_travels(gateway: Gateway) -> None:
    output = gateway.play("gw1", STATUS)
    assert PSK not in output
    packed = output.split('"tunnels": "')[1].split('"')[0]
    assert json.loads(zlib.decompress(base64.b64decode(packed)))["tunnels"][0]["peer"] == "203.0.113.1"
    assert "psk" not in zlib.decompress(base64.b64decode(packed)).decode()


def test_bgp_down_is_said_as_such(gateway: Gateway) -> None:
    gateway.program("vtysh", {"neighbors json": records.text("hold.json")})
    output = gateway.play("gw1", {**STATUS, "plainlinux.vpc.vpn_status": {"wait": 1}}, SHOW)
    assert "failed=1" in output
    assert "IPsec up, BGP down: Connect, notification sent: Hold Timer Expired" in output
    assert "0 of 2 tunnels up" in output
    assert not gateway.result("gw1")["up"]


def test_a_host_that_fails_has_no_answer_but_a_message(gateway: Gateway) -> None:
    # The module refuses: this is not the lab host that it was told.
    tasks = ({**STATUS, "ignore_errors": True}, SHOW)
    (gateway.folder / "lab").mkdir()
    output = gateway.play("gw1", *tasks, lab=True)
    assert "the connection to gw1 is" in output
    gateway.program("ip", {})
    (gateway.folder / "plan/verify").mkdir(exist_ok=True)
    (gateway.folder / "plan/verify/gw2.tunnels.json").write_text('{"failed": true, "msg": "not reachable"}')
    output = gateway.play("gw1", SHOW)
    assert "no answer: not reachable" in output


@pytest.mark.parametrize(
    "host, message", [("host1", "has no VPN gateway host1"), ("host9", "has no VPN gateway host9")]
)
def test_a_host_that_is_no_gateway(gateway: Gateway, host: str, message: str) -> None:
    output = gateway.play(host, STATUS)
    assert message in output
    assert not (gateway.folder / "plan/verify").exists()


def test_without_a_plan(gateway: Gateway) -> None:
    (gateway.folder / "plan/plan.json").unlink()
    assert "run plainlinux.vpc.plan first" in gateway.play("gw1", STATUS)


def test_waiting_less_than_nothing(gateway: Gateway) -> None:
    assert "wait: -1 is not allowed" in gateway.play("gw1", {**STATUS, "plainlinux.vpc.vpn_status": {"wait": -1}})
