# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What checks a gateway's files and takes them up: real programs, which find mistakes and end what has gone."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model import fileset
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.vpn_provider import KERNEL, RACOON, USERLAND
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn import (
    files,
    initiate,
    programs,
    scripts,
    strongswan,
    swanctl,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.vpn.tunnels import Gateway, psk_token
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.models import AWS1, changed, gateway, legacy
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.programs import Charon, Frr, command
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.vpn.test_userland import PEER, device, ends

__all__ = ["ends"]

HOST = files.Host("192.0.2.7", files.HOSTNAME, None)
BACKENDS = pytest.mark.parametrize("ipsec", [KERNEL, USERLAND])


def used(of: Gateway) -> programs.Programs:
    return programs.racoon_quagga() if of.provider == RACOON else programs.strongswan_frr(of)


def texts(of: Gateway) -> list[files.Text]:
    if of.provider == RACOON:
        return files.racoon_quagga(of, HOST, files.LEGACY)
    return files.strongswan_frr(of, HOST)


def due(of: Gateway, *paths: str) -> list[str]:
    """The programs that would take up a change of these files, as the module render decides."""
    found = used(of)
    wanted = fileset.parse(
        {
            "role": "vpn_gateway",
            "files": [{"dest": "/any", "content": ""}],
            "apply": found.apply,
        }
    )
    return [
        " ".join(program.command)
        for program in wanted.apply
        if any(matches(path, program.when_changed) for path in paths)
    ]


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


class Staged:
    """The files of a gateway below a folder, as the module render stages them."""

    def __init__(self, folder: Path, of: Gateway) -> None:
        self.folder = folder
        for text in texts(of):
            path = Path(f"{folder}{text.dest}")
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text.content
            for plan in of.tunnels:
                content = content.replace(psk_token(plan.tunnel), f"key.of_{plan.name.replace('-', '_')}")
            path.write_text(content)

    def mend(self, old: str, new: str) -> None:
        found = [path for path in self.folder.glob("etc/**/*.conf") if old in path.read_text()]
        assert found
        for path in found:
            path.write_text(path.read_text().replace(old, new))

    def check(self, program: dict[str, Any]) -> tuple[bool, str]:
        """(whether the check passes, its output)"""
        words = [
            re.sub(r"\{(?:folder|dest:([^}]+))\}", lambda match: f"{self.folder}{match[1] or ''}", word)
            for word in program["command"]
        ]
        shutil.rmtree(self.folder / "check", ignore_errors=True)
        ran = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)
        output = ran.stdout + ran.stderr
        said = re.search(program.get("expect", ""), output, re.MULTILINE) is not None
        return ran.returncode == 0 and said, output


def text_of(path: Path) -> str:
    """A file's text, "" where it is gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@BACKENDS
def test_the_check_loads_every_connection_and_key(tmp_path: Path, ipsec: str) -> None:
    of = gateway(ipsec=ipsec)
    staged = Staged(tmp_path, of)
    program = used(of).validate[0]
    right, output = staged.check(program)
    assert right, output
    assert "key.of_" not in output
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if str(tmp_path) in text_of(path)]


@BACKENDS
@pytest.mark.parametrize(
    "old, new",
    [
        ("ecp384", "ecp385"),
        ("children {", "children"),
        ("copy_df = no", "copy_fd = no"),
        # Of these, swanctl ends with status 0.
        ("secrets {", "secret {"),
        ("connections {", "connection {"),
    ],
)
def test_the_check_finds_mistakes(tmp_path: Path, ipsec: str, old: str, new: str) -> None:
    of = gateway(ipsec=ipsec)
    staged = Staged(tmp_path, of)
    staged.mend(old, new)
    right, output = staged.check(used(of).validate[0])
    assert not right, output


def test_a_tunnel_less_is_found() -> None:
    """A check that knows one tunnel passes with two; one that knows two does not pass with one."""
    one, two = (used(gateway(changed(tunnels=AWS1["tunnels"][:count]))).validate[0]["expect"] for count in (1, 2))
    said = "loaded ike secret 'ike-aws1-1'\nloaded connection 'aws1-1'\n"
    assert re.search(one, said, re.MULTILINE)
    assert not re.search(two, said, re.MULTILINE)
    # A name that begins like another one is another one.
    assert not re.search(one, said.replace("'aws1-1'", "'aws1-12'"), re.MULTILINE)


@pytest.mark.parametrize("ipsec", [KERNEL, USERLAND])
def test_the_other_checks_find_mistakes(tmp_path: Path, ipsec: str) -> None:
    of = gateway(ipsec=ipsec)
    staged = Staged(tmp_path, of)
    staged.mend(files.HOSTNAME, "vpn1")
    staged.mend("@no ipv6 forwarding@", "no ipv6 forwarding")
    checks = used(of).validate[1:]
    assert all(staged.check(program)[0] for program in checks)
    staged.mend("remote-as 64512", "remote-as aws")
    (staged.folder / "etc/frr/daemons").write_text('zebra_options="')
    if ipsec == USERLAND:
        (staged.folder / f"{scripts.FOLDER[1:]}/device").write_text("case")
    assert not any(staged.check(program)[0] for program in checks)


@pytest.mark.parametrize(
    "script", [scripts.CHECK_SCRIPT, scripts.PRUNE_SCRIPT, scripts.POLICIES_SCRIPT], ids=["check", "prune", "policies"]
)
def test_scripts_are_shell(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


# What runs when


def test_a_new_tunnel_restarts_nothing() -> None:
    found = due(gateway(), "/etc/swanctl/conf.d/plainlinux-vpc-aws1-2.conf", "/etc/frr/frr.conf")
    assert found == [
        "systemctl start strongswan.service",
        "swanctl --load-all --noprompt --clear",
        "systemctl start frr.service",
        "/usr/lib/frr/frr-reload.py --reload /etc/frr/frr.conf",
        "/usr/lib/frr/frr-reload.py --test --stdout /etc/frr/frr.conf",
    ]


def test_a_gone_tunnel_unloads_it() -> None:
    gone = "/etc/swanctl/conf.d/plainlinux-vpc-other-1.conf"
    assert "swanctl --load-all --noprompt --clear" in due(gateway(), gone)


def test_other_seconds_until_a_peer_is_dead_restart_nothing() -> None:
    assert due(gateway(), files.DEAD_PEERS) == ["systemctl start strongswan.service", "swanctl --reload-settings"]


def test_daemons_restart_where_their_own_files_change() -> None:
    assert due(gateway(), files.DAEMON)[0] == "systemctl restart strongswan.service"
    assert due(gateway(), "/etc/frr/daemons") == ["systemctl restart frr.service"]


def test_userland_restarts_one_tunnel_only() -> None:
    of = gateway(ipsec=USERLAND)
    unit = "plainlinux-vpc-vpn@aws1-2.service"
    folder = f"{scripts.FOLDER}/aws1-2"
    assert due(of, f"{folder}/conf.d/aws1-2.secret.conf") == [f"systemctl try-reload-or-restart {unit}"]
    assert due(of, f"{folder}/device.env") == [f"systemctl try-reload-or-restart {unit}"]
    assert due(of, f"{folder}/strongswan.conf") == [f"sh {scripts.PRUNE}", f"systemctl try-restart {unit}"]
    assert used(of).units == ["plainlinux-vpc-vpn@aws1-1.service", unit, "frr.service", initiate.TIMER]
    assert used(gateway()).units == ["strongswan.service", "frr.service", initiate.TIMER]


def test_the_module_takes_all_of_it() -> None:
    for of in (gateway(), gateway(ipsec=USERLAND), gateway(legacy(), provider=RACOON)):
        found = used(of)
        listed = [
            {"dest": text.dest.replace("@racoon@", "/r").replace("@quagga@", "/q").replace("@policies@", "/p/p")}
            for text in texts(of)
        ]
        known = [{**item, "content": ""} for item in listed]

        def placed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [
                {
                    key: [
                        word.replace("@racoon@", "/r").replace("@quagga@", "/q").replace("@policies@", "/p/p")
                        for word in value
                    ]
                    if isinstance(value, list)
                    else value
                    for key, value in item.items()
                }
                for item in items
            ]

        wanted = fileset.parse(
            {"role": "vpn_gateway", "files": known, "validate": placed(found.validate), "apply": placed(found.apply)}
        )
        assert len(wanted.validate) == len(found.validate)
        # Every file is checked or taken up by something, but those that are read when they are needed.
        patterns = [pattern for program in wanted.apply for pattern in program.when_changed]
        unused = {file.dest for file in wanted.files if not matches(file.dest, tuple(patterns))}
        assert unused <= {
            "/etc/frr/vtysh.conf",
            "/r/psk.txt",
            scripts.CHECK,
            scripts.PRUNE,
            scripts.POLICIES,
            initiate.PROGRAM,
            *(f"{scripts.FOLDER}/{plan.name}/swanctl.conf" for plan in of.tunnels),
        }


# What they do


def test_what_is_in_no_file_any_more_ends(ends: tuple[Charon, Charon]) -> None:
    ours, peer = ends
    of = gateway(ipsec=USERLAND)
    plan = of.tunnels[0]
    peer.up(
        strongswan.userland(plan, f"{peer.folder}/vici")
        .replace("port = 0", "port = 500", 1)
        .replace("nat_t = 0", "nat_t = 4500")
    )
    peer.write({"peer.conf": PEER})
    assert "loaded connection 'peer'" in peer.swanctl("--load-all", "--noprompt")
    ours.up(strongswan.userland(plan, f"{ours.folder}/vici"))
    device(ours, plan, "attach")
    key = swanctl.secret(plan).replace(psk_token(plan.tunnel), "Example.key_1")
    ours.write({"tunnel.conf": swanctl.connection(plan, USERLAND), "secret.conf": key})
    (load,) = [program["command"][1:] for program in used(gateway()).apply if "--load-all" in program["command"]]
    ours.swanctl(*load)
    ours.swanctl("--initiate", "--child", plan.name, "--timeout", "10")
    assert "ESTABLISHED" in ours.swanctl("--list-sas")
    # Loaded again, a tunnel that did not change stays.
    before = re.findall(r"#\d+, ESTABLISHED", ours.swanctl("--list-sas"))
    ours.swanctl(*load)
    assert re.findall(r"#\d+, ESTABLISHED", ours.swanctl("--list-sas")) == before
    ours.write({})
    ours.swanctl(*load)
    assert "ESTABLISHED" not in ours.swanctl("--list-sas")
    assert plan.name not in ours.swanctl("--list-conns")


@pytest.fixture
def zebra() -> Iterator[Frr]:
    found = Frr()
    try:
        yield found
    finally:
        found.remove()


@pytest.mark.parametrize("metric, installed", [("4294967295", True), ("100", False)])
def test_what_frr_learns_goes_before_the_route_that_discards(zebra: Frr, metric: str, installed: bool) -> None:
    zebra.netns.sh(f"ip route add unreachable 10.20.0.0/16 metric {metric} proto 176")
    # The distance that BGP gives its routes.
    zebra.vtysh("-c", "configure terminal", "-c", "ip route 10.20.0.0/16 lo 20")
    for _attempt in range(30):
        found = zebra.netns.sh("ip route show 10.20.0.0/16")
        if "dev lo" in found:
            break
        zebra.netns.sh("sleep 0.1")
    assert ("dev lo" in found) is installed, found
    assert f"metric {metric}" in found


def test_policies_that_have_gone_are_deleted(tmp_path: Path) -> None:
    """With a setkey that writes down what it is told."""
    fake = tmp_path / "setkey"
    fake.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/log\n[ "$1" != -c ] || cat >>{tmp_path}/log\n')
    fake.chmod(0o755)
    script = tmp_path / "policies"
    script.write_text(scripts.POLICIES_SCRIPT.replace("/run/", f"{tmp_path}/"))
    policies = tmp_path / "ipsec-tools.conf"

    def load(of: Gateway) -> list[str]:
        (tmp_path / "log").write_text("")
        policies.write_text(next(text.content for text in texts(of) if text.dest == "@policies@"))
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["sh", str(script), str(policies)], env=environment, check=True)
        return (tmp_path / "log").read_text().splitlines()

    two = legacy()
    one = {**two, "mode": "active_active", "tunnels": two["tunnels"][:1]}
    assert load(gateway(two, provider=RACOON)) == [f"-f {policies}"]
    assert load(gateway(two, provider=RACOON)) == [f"-f {policies}", "-c"]
    assert load(gateway(one, provider=RACOON)) == [
        f"-f {policies}",
        "-c",
        "spddelete 169.254.255.6/32 169.254.255.5/32 any -P out;",
        "spddelete 169.254.255.5/32 169.254.255.6/32 any -P in;",
        "spddelete 169.254.255.6/32 192.168.0.0/24 any -P out;",
        "spddelete 192.168.0.0/24 169.254.255.6/32 any -P in;",
    ]
