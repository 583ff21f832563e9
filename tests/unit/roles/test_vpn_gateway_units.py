# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of role vpn_gateway that turns units on and off, with a systemctl that only writes down."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/vpn_gateway/files/units.sh"
ONE, TWO = "plainlinux-vpc-vpn@aws1-1.service", "plainlinux-vpc-vpn@aws1-2.service"
STRONGSWAN, FRR = "strongswan.service", "frr.service"

# A unit is a file with two words. Units of the template appear when they are enabled.
SYSTEMCTL = r"""#!/bin/sh
cd "@top@/units" || exit 9
verb=$1
for unit; do :; done
read -r enabled active 2>/dev/null <"$unit"
case $verb in
  is-enabled) [ -e "$unit" ] || exit 4; echo "$enabled"; exit 0 ;;
  is-active) echo "${active:-inactive}"; exit 0 ;;
  show) if [ -e "$unit" ]; then echo loaded; else echo not-found; fi; exit 0 ;;
  list-units) grep -l " active" ./* | sed 's,^./,,' | grep '@'; exit 0 ;;
  list-unit-files) grep -l "^enabled" ./* | sed 's,^./,,' | grep '@'; exit 0 ;;
  reset-failed) exit 0 ;;
esac
echo "$verb $unit" >>"@top@/done"
[ "$unit" != broken.service ] || exit 1
case $* in
  enable*) enabled=enabled ;;
  disable*--now*) enabled=disabled active=inactive ;;
  disable*) enabled=disabled ;;
  start*) active=active ;;
  stop*) active=inactive ;;
esac
echo "${enabled:-disabled} ${active:-inactive}" >"$unit"
"""

# What runs is a file, too. Like the real one, it ends with status 0 whatever it finds.
FRR_RELOAD = r"""#!/bin/sh
for file; do :; done
case $1 in
  --test) cmp -s "$file" "@top@/running" || echo "Lines To Delete" ;;
  --reload) cp "$file" "@top@/running"; echo "frr reload" >>"@top@/done"; echo "Loading Config object" ;;
esac
"""


class Host:
    """A folder that stands for a host."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "bin").mkdir()
        (top / "units").mkdir()
        (top / "run").mkdir()
        (top / "bin/systemctl").write_text(SYSTEMCTL.replace("@top@", str(top)))
        (top / "bin/systemctl").chmod(0o755)
        (top / "bin/frr-reload").write_text(FRR_RELOAD.replace("@top@", str(top)))
        (top / "bin/frr-reload").chmod(0o755)
        self.record = top / "etc/vpn_gateway/units"
        text = SCRIPT.read_text()
        for old, new in (
            ("PATH=/usr/local/sbin", f"PATH={top}/bin:/usr/local/sbin"),
            ("/etc/plainlinux-vpc/vpn_gateway/units", str(self.record)),
            ("/run/plainlinux-vpc-vpn", str(top / "run/vpn")),
            ("/usr/lib/frr/frr-reload.py", str(top / "bin/frr-reload")),
            ("/etc/frr/frr.conf", str(top / "frr.conf")),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        self.script = text

    def unit(self, name: str, state: str) -> None:
        (self.top / "units" / name).write_text(f"{state}\n")

    def state(self, name: str) -> str:
        path = self.top / "units" / name
        return path.read_text().strip() if path.exists() else "missing"

    def run(self, *words: str, status: int = 0, needed: str = "", umask: int = 0o022) -> list[str]:
        done = subprocess.run(
            ["sh", "-s", "--", *words],
            input=self.script,
            capture_output=True,
            text=True,
            check=False,
            env={"NEEDED": needed},
            umask=umask,
        )
        assert done.returncode == status, done.stderr
        return done.stdout.splitlines()

    @property
    def calls(self) -> list[str]:
        """What was changed since the last look."""
        path = self.top / "done"
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def asked(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("is ")]


def test_a_blank_host_gets_its_units_and_loses_them_again(host: Host) -> None:
    assert asked(host.run("look", ONE, TWO, FRR)) == [f"remember {STRONGSWAN}: missing", f"remember {FRR}: missing"]
    # The packages.
    host.unit(STRONGSWAN, "enabled inactive")
    host.unit(FRR, "enabled inactive")
    done = host.run("converge", ONE, TWO, FRR)
    assert done == [
        f"disable {STRONGSWAN}",
        f"enable {ONE}",
        f"enable {TWO}",
        f"start {ONE}",
        f"start {TWO}",
        f"start {FRR}",
    ]
    assert host.calls == done
    for command in ("look", "converge", "check", "compare"):
        assert asked(host.run(command, ONE, TWO, FRR)) == []
    assert host.calls == []
    told = host.run("left")
    assert host.calls == []
    assert host.run("leave") == told
    assert [host.state(name) for name in (ONE, TWO, STRONGSWAN, FRR)] == ["disabled inactive"] * 4
    assert not host.record.parent.exists()
    assert host.run("leave") == []


def test_what_it_remembers_is_for_everybody_to_read(host: Host) -> None:
    assert len(asked(host.run("look", ONE, umask=0o077))) == 2
    assert stat.S_IMODE(host.record.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(host.record.stat().st_mode) == 0o644


def test_what_ran_before_runs_on(host: Host) -> None:
    host.unit(STRONGSWAN, "enabled active")
    host.unit(FRR, "disabled active")
    host.run("look", ONE, FRR)
    assert host.run("converge", ONE, FRR) == [f"enable {ONE}", f"enable {FRR}", f"start {ONE}"]
    host.calls.clear()
    assert host.run("leave")[:2] == [f"end {ONE}", f"disable {FRR}"]
    assert host.state(STRONGSWAN) == "enabled active"
    assert host.state(FRR) == "disabled active"


def test_drift_is_repaired_and_nothing_else_is_touched(host: Host) -> None:
    host.run("look", ONE, TWO, FRR)
    host.run("converge", ONE, TWO, FRR)
    host.unit(ONE, "enabled failed")
    host.unit(FRR, "disabled active")
    assert host.calls
    assert asked(host.run("compare", ONE, TWO, FRR)) == [f"enable {FRR}", f"start {ONE}"]
    assert host.calls == []
    assert host.run("converge", ONE, TWO, FRR) == [f"enable {FRR}", f"start {ONE}"]
    assert host.calls == [f"enable {FRR}", f"start {ONE}"]


def test_a_daemon_between_two_attempts_is_left_alone(host: Host) -> None:
    host.run("look", ONE)
    host.unit(ONE, "enabled activating")
    assert host.run("converge", ONE) == []


def test_a_tunnel_that_is_not_wanted_any_more_ends(host: Host) -> None:
    host.run("look", ONE, TWO)
    host.run("converge", ONE, TWO)
    assert host.run("look", ONE)[2:] == []
    assert host.run("converge", ONE) == [f"end {TWO}"]
    assert host.state(TWO) == "disabled inactive"


def test_another_backend_ends_all_tunnels_before_the_kernel_is_asked(host: Host) -> None:
    host.run("look", ONE, TWO, FRR)
    host.run("converge", ONE, TWO, FRR)
    assert host.run("tell", STRONGSWAN, FRR)[2:] == [f"end {ONE}", f"end {TWO}"]
    assert host.state(ONE) == "enabled active"
    assert host.run("look", STRONGSWAN, FRR)[2:] == [f"end {ONE}", f"end {TWO}"]
    assert host.state(ONE) == "disabled inactive"


def test_what_is_missing_is_named_and_nothing_is_done(host: Host) -> None:
    host.run("look", ONE)
    host.run("converge", ONE)
    host.calls.clear()
    needed = "program:no-such-program program:sh account:no-such-account account:root unit:no.service"
    for command in ("look", "tell", "compare"):
        lines = host.run(command, "racoon.service", needed=f"{needed} unit:{ONE}")
        assert asked(lines) == [
            "missing program no-such-program",
            "missing account no-such-account",
            "missing unit no.service",
        ]
    assert "racoon" not in host.record.read_text()
    assert host.state(ONE) == "enabled active"


def test_what_somebody_typed_into_frr_is_undone(host: Host) -> None:
    host.run("look", ONE, FRR)
    (host.top / "frr.conf").write_text("as planned\n")
    (host.top / "running").write_text("as planned\n")
    assert host.run("converge", ONE, FRR) == [f"enable {ONE}", f"enable {FRR}", f"start {ONE}", f"start {FRR}"]
    (host.top / "running").write_text("something else\n")
    host.calls.clear()
    assert asked(host.run("compare", ONE, FRR)) == [f"reload {FRR}"]
    assert "frr reload" not in host.calls
    assert host.run("converge", ONE, FRR) == [f"reload {FRR}"]
    assert host.calls == ["frr reload"]
    assert host.run("converge", ONE, FRR) == []


def test_a_unit_that_does_not_start_is_a_failure(host: Host) -> None:
    host.unit("broken.service", "enabled inactive")
    host.run("look", "broken.service")
    assert host.run("converge", "broken.service", ONE, status=1)[-1] == f"start {ONE}"


def test_what_files_need_is_told(host: Host) -> None:
    lines = host.run("tell", ONE)
    assert lines[0].startswith("is hostname ")
    assert lines[1] in ("is forwarding6 0", "is forwarding6 1")
    assert not host.record.exists()
