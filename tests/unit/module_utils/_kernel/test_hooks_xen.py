# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Xen's hotplug scripts, as Debian ships them, call the guard: only the xenstore is a folder of files here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import hooks
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Output
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.guests import Guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.antispoof.rules import NFTABLES
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    OPEN,
    STRANGER,
    THREE,
    TWO,
    Installed,
    installed,
    of_ports,
    opened,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

TOP = Path(__file__).resolve().parents[4]
XEN = TOP / ".build/xen-utils-common/etc/xen"
BRIDGE = "xenbr0"
ADDRESS = "2607:f590:0:ffff::60"

# Relative paths are below that of the domain itself, which is dom0.
_STORE = """\
#!/bin/sh
at() {{
  case $1 in
    /*) file={store}$1 ;;
    *) file={store}/local/domain/0/$1 ;;
  esac
}}
"""
_READ = """\
for path; do
  at "$path"
  if [ ! -f "$file" ]; then
    echo "xenstore-read: couldn't read path $path" >&2
    exit 1
  fi
  cat "$file"
done
"""
_WRITE = """\
while [ $# -gt 1 ]; do
  at "$1"
  mkdir -p "${file%/*}"
  echo "$2" >"$file"
  shift 2
done
"""


class Dom0:
    """A host with Xen's scripts and the hooks; domains are what the store says."""

    def __init__(self, host: Installed) -> None:
        self.host = host
        self.scripts = host.folder / "etc/xen/scripts"
        shutil.copytree(XEN, host.folder / "etc/xen", symlinks=True)
        (host.folder / "log/xen").mkdir()
        head = _STORE.format(store=host.folder / "store")
        for name, text in (("xenstore-read", _READ), ("xenstore-write", _WRITE)):
            host.write({f"/local/{name}": head + text})
        host.write(hooks.files([hooks.XEN]))
        host.netns.sh(f"ip link add {BRIDGE} up type bridge")

    def store(self, path: str, value: str = "") -> str:
        """Sets a value, or gives it."""
        file = self.host.folder / "store" / path.lstrip("/")
        if value:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{value}\n")
        return file.read_text().strip() if file.exists() else ""

    def domain(self, number: int, mac: str, name: str = "", device: int = 0, vifname: str = "") -> str:
        """What xl writes for a VIF of a domain; gives the path of its backend."""
        path = f"/local/domain/0/backend/vif/{number}/{device}"
        self.store(f"{path}/mac", mac)
        self.store(f"{path}/bridge", BRIDGE)
        self.store(f"{path}/vifname", vifname)
        self.store(f"/local/domain/{number}/name", name or f"domain{number}")
        return path

    def plug(self, number: int, guest: str, name: str = "") -> None:
        """A domain whose interface is there, and set up."""
        self.domain(number, guest, name)
        self.host.interface(f"vif{number}.0")
        assert self.vif(number, "online") == Output(0, "", "")

    def script(self, number: int, action: str, device: int = 0, script: str = "vif-bridge") -> list[str]:
        """How xl calls the script of a VIF: libxl_linux.c, libxl__get_hotplug_script_info."""
        name = f"vif{number}.{device}"
        environment = [f"XENBUS_PATH=/local/domain/0/backend/vif/{number}/{device}", f"vif={name}", "XENBUS_TYPE=vif"]
        if action in ("add", "remove"):
            environment.append(f"INTERFACE={name}-emu")
        kind = "tap" if action in ("add", "remove") else "vif"
        return self.host.installed("env", *environment, f"/etc/xen/scripts/{script}", action, f"type_if={kind}")

    def vif(self, number: int, action: str, device: int = 0, script: str = "vif-bridge") -> Output:
        done = subprocess.run(
            ["ip", "netns", "exec", self.host.netns.name, *self.script(number, action, device, script)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def connected(self, number: int) -> bool:
        return self.store(f"/local/domain/0/backend/vif/{number}/0/hotplug-status") == "connected"

    def is_up(self, name: str) -> bool:
        return f"master {BRIDGE}" in self.host.netns.sh(f"ip -o link show up dev {name}")


@pytest.fixture
def dom0(netns: Netns) -> Iterator[Dom0]:
    subprocess.run([TOP / ".ci/packages", "unit"], cwd=TOP, check=True)
    with installed(netns) as host:
        yield Dom0(host)


def test_two_come_up_at_once_and_go_down(dom0: Dom0) -> None:
    for number, guest in ((1, ONE), (2, THREE)):
        dom0.domain(number, guest.mac.upper())
        dom0.host.interface(f"vif{number}.0")
    assert dom0.host.at_once([dom0.script(1, "online"), dom0.script(2, "online")]) == {0}
    dom0.host.has(vif1_0=ONE, vif2_0=THREE)
    for number in (1, 2):
        assert dom0.connected(number)
        assert dom0.is_up(f"vif{number}.0")
    assert dom0.host.setting("vif1.0", "learning") == "0"
    assert dom0.host.setting("vif2.0", "learning") == "1"
    assert dom0.vif(1, "offline").status == 0
    dom0.host.has(vif2_0=THREE)
    assert not dom0.is_up("vif1.0")
    assert dom0.host.at_once([dom0.script(1, "offline"), dom0.script(2, "offline")]) == {0}
    dom0.host.has()
    assert dom0.host.records() == []
    assert "plainlinux-vpc" not in dom0.host.logged()


def test_a_name_that_comes_back(dom0: Dom0) -> None:
    """A host that lost power, or `offline` that never came: the number of a domain is another domain's."""
    dom0.plug(1, THREE.mac)
    dom0.host.netns.sh("ip link del vif1.0")
    dom0.plug(1, TWO.mac)
    dom0.host.has(vif1_0=TWO)
    assert dom0.host.setting("vif1.0", "learning") == "0"


def test_an_undeclared_guest_lives_without_network(dom0: Dom0) -> None:
    dom0.plug(1, STRANGER)
    assert dom0.connected(1)
    dom0.host.has()
    assert f"{STRANGER}: no guest with this MAC address" in dom0.host.logged()
    assert dom0.vif(1, "offline").status == 0


@pytest.mark.parametrize("name", ["www.example.org.cfg", "auto/www.example.org.cfg", "www.example.org"])
def test_the_ipv6_address_of_the_configuration(dom0: Dom0, name: str) -> None:
    file = dom0.host.folder / "etc/xen" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("kernel = '/x'\nvif = [ 'bridge=xenbr0' ]\n#ipv6=2607:F590:0000:FFFF:0000:0000:0000:0060\n")
    dom0.plug(1, OPEN.mac, "www.example.org")
    dom0.host.has(vif1_0=opened(ADDRESS))
    # While it arrives from another host.
    dom0.plug(2, OPEN.mac, "www.example.org--incoming")
    dom0.host.has(vif1_0=opened(ADDRESS), vif2_0=opened(ADDRESS))
    # The inventory has all addresses of this one.
    dom0.plug(3, TWO.mac, "www.example.org")
    dom0.host.has(vif1_0=opened(ADDRESS), vif2_0=opened(ADDRESS), vif3_0=TWO)
    assert "plainlinux-vpc" not in dom0.host.logged()


def test_each_vif_has_a_line_of_its_own(dom0: Dom0) -> None:
    second = OPEN._replace(mac="00:16:3e:00:00:05", addresses=())
    dom0.host.declare([OPEN, second])
    dom0.host.write({"/etc/xen/web.cfg": f'#ipv6=\n # ipv6 = "{ADDRESS}"\n'})
    dom0.plug(1, OPEN.mac, "web")
    dom0.domain(1, second.mac, "web", device=1)
    dom0.host.interface("vif1.1")
    assert dom0.vif(1, "online", device=1).status == 0
    dom0.host.has({"vif1.0": OPEN, "vif1.1": second._replace(addresses=opened(ADDRESS).addresses[1:])})


@pytest.mark.parametrize("text, reason", [("2001:db8::1::2", "not an IPv6 address"), ("2001:db8:10::10", ONE.mac)])
def test_a_wrong_address_of_the_configuration(dom0: Dom0, text: str, reason: str) -> None:
    dom0.host.write({"/etc/xen/web.cfg": f"#ipv6={text}\n"})
    dom0.plug(1, OPEN.mac, "web")
    dom0.host.has(vif1_0=OPEN)
    assert dom0.connected(1)
    assert reason in dom0.host.logged()


def test_names_of_domains_are_no_paths(dom0: Dom0) -> None:
    dom0.host.write({"/etc/secret.cfg": f"#ipv6={ADDRESS}\n"})
    dom0.plug(1, OPEN.mac, "../secret")
    dom0.host.has(vif1_0=OPEN)


def test_the_emulated_interface(dom0: Dom0) -> None:
    dom0.plug(1, ONE.mac)
    dom0.host.interface("vif1.0-emu")
    assert dom0.vif(1, "add").status == 0
    dom0.host.has({"vif1.0": ONE, "vif1.0-emu": ONE})
    assert dom0.is_up("vif1.0-emu")
    assert dom0.vif(1, "remove").status == 0
    dom0.host.has(vif1_0=ONE)


def test_a_name_of_its_own(dom0: Dom0) -> None:
    dom0.domain(1, ONE.mac, vifname="web")
    dom0.host.interface("vif1.0")
    assert dom0.vif(1, "online").status == 0
    dom0.host.has(web=ONE)
    assert dom0.is_up("web")
    # udev saw the name that it had before.
    dom0.domain(2, TWO.mac, vifname="shop")
    dom0.host.interface("vif2.0")
    for name in ("vif1.0", "vif2.0"):
        dom0.host.ok("found", name)
    dom0.host.has(web=ONE)


@pytest.mark.parametrize(
    "text",
    ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n", "#!/nonexistent\n", "#!/bin/sh\nset -eu\necho $none\n", ""],
)
@pytest.mark.parametrize("script", ["vif-bridge", "vif-plainlinux-vpc"])
def test_a_helper_that_fails(dom0: Dom0, text: str, script: str) -> None:
    dom0.host.write({helper.HELPER: text})
    if not text:
        dom0.host.program.unlink()
    dom0.domain(1, ONE.mac)
    dom0.host.interface("vif1.0")
    assert dom0.vif(1, "online", script=script).status == 0
    assert dom0.connected(1)
    assert dom0.is_up("vif1.0")
    assert dom0.vif(1, "offline", script=script).status == 0


def test_the_hook_leaves_nothing_in_vif_bridge(dom0: Dom0) -> None:
    what = "{ set; set -o; shopt; trap; umask; ulimit -a; pwd; ls -l /proc/self/fd; }"
    for name in ("before", "zafter"):
        dom0.host.write({f"/etc/xen/scripts/vif-post.d/{name}.hook": f"#!/bin/bash\n{what} >/var/log/{name} 2>&1\n"})
    dom0.plug(1, STRANGER)
    before, after = (
        [
            line
            for line in (dom0.host.folder / "log" / name).read_text().splitlines()
            if not line.startswith(
                ("BASH_", "LINENO", "RANDOM", "SECONDS", "EPOCH", "SRANDOM", "_=", "f=", "PIPESTATUS")
            )
            and "/log/" not in line
            and "/proc/" not in line
        ]
        for name in ("before", "zafter")
    )
    assert any("sigerr" in line for line in before)
    assert before == after


def test_the_guard_knows_before_the_port_is_up(dom0: Dom0) -> None:
    """vif-bridge gives up before it touches the interface, and the guard knows the guest already."""
    path = dom0.domain(1, ONE.mac)
    dom0.store(f"{path}/bridge", "nonexistent")
    dom0.host.interface("vif1.0")
    assert dom0.vif(1, "online", script="vif-plainlinux-vpc").status == 1
    assert "Could not find bridge" in dom0.store(f"{path}/hotplug-error")
    dom0.host.has(vif1_0=ONE)
    dom0.store(f"{path}/bridge", BRIDGE)
    for _turn in range(2):
        assert dom0.vif(1, "online", script="vif-plainlinux-vpc").status == 0
        assert dom0.connected(1)
        assert dom0.host.setting("vif1.0", "learning") == "0"
        assert dom0.vif(1, "offline", script="vif-plainlinux-vpc").status == 0
        dom0.host.has()


@pytest.mark.parametrize("vifname, names", [("", ["vif1.0", "vif1.0-emu"]), ("web", ["web", "web-emu"])])
def test_the_script_knows_the_name_that_the_port_will_have(dom0: Dom0, vifname: str, names: list[str]) -> None:
    dom0.domain(1, ONE.mac, vifname=vifname)
    # Without what tells the guard afterwards.
    (dom0.scripts / "vif-post.d/plainlinux-vpc.hook").unlink()
    seen: dict[str, Guest] = {}
    for device, action, name in (("vif1.0", "online", names[0]), ("vif1.0-emu", "add", names[1])):
        dom0.host.interface(device)
        assert dom0.vif(1, action, script="vif-plainlinux-vpc").status == 0
        assert dom0.is_up(name)
        seen[name] = ONE
        assert of_ports(seen, (), NFTABLES).items() <= dom0.host.elements().items()
        # Under that name the interface came later.
        dom0.host.ok("sync")
        dom0.host.has(seen)


def test_found_in_the_xenstore(dom0: Dom0) -> None:
    dom0.host.write({"/etc/xen/web.cfg": f"#ipv6={ADDRESS}\n"})
    dom0.domain(1, OPEN.mac, "web")
    dom0.domain(2, STRANGER)
    for name in ("vif1.0", "vif2.0", "vif3.0"):
        dom0.host.interface(name)
        dom0.host.plug(name, BRIDGE)
    calls = [dom0.host.argv("found", name) for name in ("vif1.0", "vif2.0", "vif3.0", "vif9.0")]
    assert dom0.host.at_once(calls) == {0}
    dom0.host.has(vif1_0=opened(ADDRESS))
