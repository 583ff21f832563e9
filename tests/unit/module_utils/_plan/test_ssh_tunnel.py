# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels over SSH: what the files of a host hold, and what keeps them from it."""

from __future__ import annotations

import base64
import textwrap
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.ssh_tunnels import parse
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan import ssh_tunnel_texts as texts
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.ssh_tunnel import (
    UNKNOWN,
    Files,
    Found,
    ends_of,
    private_key_problem,
    questions,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

TUNNEL: dict[str, Any] = {
    "name": "site1",
    "server": "cloud",
    "client": "office",
    "server_address": "203.0.113.7",
    "port": 2222,
    "server_unit": 7,
    "client_unit": 3,
    "inside_cidr": "169.254.250.0/30",
    "inside_cidr6": "fd00:250::/126",
    "routes": {"server_site": ["10.71.0.0/24"], "client_site": ["10.72.0.0/24", "fd00:72::/64"]},
}
CLOUD = Found.of(
    "host_key ssh-ed25519 AAAAserver root@cloud\nhost_key ssh-rsa AAAArsa root@cloud\nhost_key ssh-dss AAAAold\n"
)
OFFICE = Found.of("made site1\npublic site1 ssh-ed25519 AAAAclient plainlinux.vpc site1\n")
BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\4blob"
FOUND = {"cloud": CLOUD, "office": OFFICE}


def files_of(host: str, found: dict[str, Found], check: bool = False, **changes: Any) -> tuple[dict[str, Any], Files]:
    tunnels = parse([{**TUNNEL, **changes}], ["cloud", "office"], lambda host: (host, 22))
    files = Files(ends_of(tunnels, host), host, found, "#!/bin/sh\n", {"vault_key": private_key()}, check)
    return files.plan(), files


def content(plan: dict[str, Any]) -> dict[str, str]:
    return {file["dest"]: file["content"] for file in plan["files"]}


def private_key(cipher: bytes = b"none", public: bytes = BLOB) -> str:
    """A private key that is right as far as it is looked at, and opens nothing."""
    body = b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher + b"...." + public + b"........"
    lines = textwrap.wrap(base64.b64encode(body).decode(), 20)
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])


PUBLIC = f"ssh-ed25519 {base64.b64encode(BLOB).decode()}"


def test_server() -> None:
    plan, files = files_of("cloud", FOUND)
    written = content(plan)
    assert files.report.errors == []
    assert written[f"{texts.AUTHORIZED}/vpc-tun-site1"] == (
        'restrict,tunnel="7",command="/bin/false" ssh-ed25519 AAAAclient site1\n'
    )
    assert written[f"{texts.FOLDER}/state"].splitlines() == [
        "account vpc-tun-site1",
        "address tun7 169.254.250.1/30",
        "address tun7 fd00:250::1/126",
        "device tun7 vpc-tun-site1 1400",
        "forward 4",
        "forward 6",
        "mss",
        "route tun7 10.72.0.0/24",
        "route tun7 fd00:72::/64",
        "served vpc-tun-site1",
        "unit active",
        "unit enabled",
    ]
    block = written[texts.SSHD].splitlines()
    assert block[1] == "Match User vpc-tun-site1"
    # Nothing after the blocks of our accounts may fall into one of them.
    assert block[-1] == "Match all"
    assert {"  PermitTunnel point-to-point", "  MaxSessions 0", "  ForceCommand /bin/false"} <= set(block)
    assert not any("known_hosts" in path or path.endswith("site1.service") for path in written)


@pytest.mark.parametrize("family", [4, 6])
def test_one_family_inside(family: int) -> None:
    key, inside = ("inside_cidr", "169.254.250.1/30") if family == 4 else ("inside_cidr6", "fd00:250::1/126")
    sites = {4: ("10.71.0.0/24", "10.72.0.0/24"), 6: ("fd00:71::/64", "fd00:72::/64")}[family]
    tunnel = {name: value for name, value in TUNNEL.items() if name == key or not name.startswith("inside_cidr")}
    tunnel["routes"] = {"server_site": [sites[0]], "client_site": [sites[1]]}
    (parsed,) = parse([tunnel], ["cloud", "office"], lambda host: (host, 22))
    files = Files(ends_of([parsed], "cloud"), "cloud", FOUND, "#!/bin/sh\n", {})
    rows = content(files.plan())[f"{texts.FOLDER}/state"].splitlines()
    assert [row for row in rows if row.partition(" ")[0] in ("address", "forward", "route")] == [
        f"address tun7 {inside}",
        f"forward {family}",
        f"route tun7 {sites[1]}",
    ]


def test_client() -> None:
    plan, files = files_of("office", FOUND)
    written = content(plan)
    assert files.report.errors == []
    assert written[f"{texts.KNOWN_HOSTS}/site1"].splitlines() == [
        "plainlinux-vpc-site1 ssh-ed25519 AAAAserver",
        "plainlinux-vpc-site1 ssh-rsa AAAArsa",
    ]
    unit = written[f"{texts.UNITS}/{texts.UNIT}-site1.service"]
    assert "-p 2222 -w 3:7 \\\n  -l vpc-tun-site1 203.0.113.7\n" in unit
    assert "LoadCredential=key:/etc/plainlinux-vpc/ssh_tunnel/keys/site1\n" in unit
    assert "Wants=plainlinux-vpc-ssh-tunnel-site1.service\n" in written[f"{texts.UNITS}/{texts.UNIT}.service"]
    assert {"client site1", "key site1", "route tun3 10.71.0.0/24"} <= set(
        written[f"{texts.FOLDER}/state"].splitlines()
    )
    assert texts.SSHD not in written


@pytest.mark.parametrize("host", ["cloud", "office"])
def test_what_is_planned_is_what_render_takes(host: str) -> None:
    plan, _files = files_of(host, FOUND)
    parsed = fileset.parse({"role": "ssh_tunnel", **plan})
    assert len(parsed.files) == len(plan["files"])
    assert len(parsed.validate) == (1 if host == "cloud" else 0)


def test_the_other_host_is_not_in_the_run() -> None:
    """Its key is known from before, or it is missed."""
    before = Found.of("authorized vpc-tun-site1 ssh-ed25519 AAAAclient site1\nknown site1 ssh-ed25519 AAAAserver\n")
    for host in ("cloud", "office"):
        plan, files = files_of(host, {host: before})
        assert files.report.errors == []
        assert UNKNOWN not in "".join(content(plan).values())
        _plan, files = files_of(host, {})
        assert len(files.report.errors) == 1
        assert "must be part of this run" in str(files.report.errors[0])
        plan, files = files_of(host, {}, check=True)
        assert files.report.errors == []
        assert UNKNOWN in "".join(content(plan).values())


def test_given_keys() -> None:
    given = {"host_keys": ["ssh-ed25519 AAAAgivenkey"], "public_key": PUBLIC, "private_key_variable": "vault_key"}
    plan, files = files_of("office", FOUND, **given)
    assert files.report.errors == []
    secret = [file for file in plan["files"] if "PRIVATE" in file["content"]]
    assert [(file["dest"], file["mode"], file["secret"]) for file in secret] == [(f"{texts.GIVEN}/site1", "0600", True)]
    assert content(plan)[f"{texts.KNOWN_HOSTS}/site1"] == "plainlinux-vpc-site1 ssh-ed25519 AAAAgivenkey\n"
    assert "key:site1" not in questions(files.ends)
    assert "key site1" not in content(plan)[f"{texts.FOLDER}/state"]
    plan, _files = files_of("cloud", {}, **given)
    assert PUBLIC in content(plan)[f"{texts.AUTHORIZED}/vpc-tun-site1"]


def test_obstacles() -> None:
    there = Found.of(
        "foreign_account vpc-tun-site1\nforeign tun7\ntaken fd00:72::/64\nno_include\nno_tun\nnetwork_manager\n"
        "public site1 ssh-ed25519 AAAAclient\n"
    )
    plan, files = files_of("cloud", {"cloud": there, "office": OFFICE})
    assert [str(error) for error in files.report.errors] == [
        "ssh_tunnels[0].server_unit: tun7 is there on cloud already and is not ours",
        "ssh_tunnels[0].account: vpc-tun-site1 is an account on cloud already and is not ours: choose another one",
        "ssh_tunnels[0].routes.client_site[1]: fd00:72::/64 has a route on cloud already that is not ours",
        "hosts.cloud: /dev/net/tun is missing: the kernel has no tunnels",
        "hosts.cloud: /etc/ssh/sshd_config must have the line: Include /etc/ssh/sshd_config.d/*.conf",
    ]
    assert texts.NETWORK_MANAGER in content(plan)


def test_questions() -> None:
    _plan, files = files_of("office", FOUND)
    assert questions(files.ends) == ["account:vpc-tun-site1", "device:tun3", "route:10.71.0.0/24", "key:site1"]


@pytest.mark.parametrize(
    "text,problem",
    [
        (private_key(), ""),
        ("", "is not defined for the client, or empty"),
        ("secret", "is not a private key in OpenSSH's own format, as ssh-keygen writes it"),
        (
            private_key().replace("OPENSSH", "RSA"),
            "is not a private key in OpenSSH's own format, as ssh-keygen writes it",
        ),
        (private_key().replace("b3Blbn", "b3Bl!n"), "is not a whole private key"),
        (private_key(b"aes256-ctr"), "has a passphrase: nobody would be there to type it"),
        (private_key(public=b"another"), "is not the private key of public_key"),
        (private_key().rstrip(), "lacks the newline at its end: write it as a block, with |"),
    ],
)
def test_private_key(text: str, problem: str) -> None:
    assert private_key_problem(text, PUBLIC) == problem


def test_mss_is_clamped_for_each_tunnel_with_routes(netns: Netns) -> None:
    text = texts.mss([("tun7", 1400), ("tun8", 1300)])
    netns.apply([Command(("nft", "-f", "-"), text)] * 2)
    listed = netns.sh("nft list ruleset")
    assert listed.count("maxseg size set") == 8
    assert [size in listed for size in ("set 1360", "set 1340", "set 1260", "set 1240")] == [True] * 4
    assert texts.mss([]) == ""
