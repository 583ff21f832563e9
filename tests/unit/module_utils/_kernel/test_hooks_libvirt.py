# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook of libvirt, called as libvirt does it: arguments, the XML of a domain that runs, and a bare environment."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import hooks
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel import vif as helper
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.guarded import (
    ONE,
    STRANGER,
    THREE,
    TWO,
    Installed,
    installed,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._kernel.kernel_tables import Netns

# As `virsh dumpxml` prints it, with what else a domain may have.
DOMAIN = f"""\
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>c7a5fdbd-cdaf-9455-926a-d65c16db1809</uuid>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:interface><nova:mac address="{TWO.mac}"/><nova:target dev="vnet5"/></nova:interface>
    </nova:instance>
    <devices xmlns="urn:other"><interface><mac address="{TWO.mac}"/><target dev="vnet6"/></interface></devices>
  </metadata>
  <memory unit='KiB'>1048576</memory>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'>
      <mac address='{ONE.mac}'/>
      <source bridge='br0'/>
      <target dev='vnet0'/>
      <model type='virtio'/>
      <alias name='net0'/>
    </interface>
    <interface type='bridge'>
      <mac address='{THREE.mac.upper()}'/>
      <source network='default' portid='5d744f21-ba4a-4d6e-bdb2-30a35ff3207d' bridge='br0'/>
      <target dev='vnet1'/>
    </interface>
    <interface type='hostdev' managed='yes'>
      <mac address='{TWO.mac}'/>
      <source><address type='pci' domain='0x0000' bus='0x00' slot='0x07' function='0x0'/></source>
    </interface>
    <interface type='bridge'>
      <source bridge='br0'/>
      <target dev='vnet7'/>
    </interface>
    <other xmlns="urn:other"><interface><mac address="{TWO.mac}"/><target dev="vnet8"/></interface></other>
    <interface xmlns="urn:other"><mac address="{TWO.mac}"/><target dev="vnet10"/></interface>
    <x:interface xmlns:x="urn:other"><x:mac address="{TWO.mac}"/><x:target dev="vnet9"/></x:interface>
  </devices>
  <qemu:commandline><qemu:arg value='-newarg'/></qemu:commandline>
</domain>
"""
INTERFACE = "<domain><devices><interface><mac address='{}'/><target dev='{}'/></interface></devices></domain>"


@pytest.fixture
def host(netns: Netns) -> Iterator[Installed]:
    with installed(netns) as one:
        one.write(hooks.files([hooks.LIBVIRT]))
        yield one


def hook(host: Installed, operation: str, xml: str, path: str = "") -> str:
    """Calls the hook, which succeeds and prints nothing; gives what the system's log has."""
    environment = [f"PATH={path}"] if path else []
    command = host.installed("env", "HOME=/root", *environment, hooks.LIBVIRT_HOOK, "web", *operation.split(), "-")
    done = subprocess.run(
        ["ip", "netns", "exec", host.netns.name, *command], input=xml, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return host.logged()


@pytest.mark.parametrize("operation", ["start begin", "started begin", "reconnect begin", "attach begin"])
def test_a_guest_comes_and_goes(host: Installed, operation: str) -> None:
    host.port("vnet0")
    for _turn in range(2):
        assert hook(host, operation, DOMAIN) == ""
        host.has(vnet0=ONE, vnet1=THREE)
    assert host.setting("vnet0", "learning") == "0"
    # By now the second name is another guest's.
    host.ok("add", "vnet1", TWO.mac)
    for end in ("stopped end", "release end"):
        assert hook(host, end, DOMAIN) == ""
        host.has(vnet1=TWO)


@pytest.mark.parametrize("operation", ["prepare begin", "migrate begin", "restore begin", "future begin"])
def test_names_before_the_start_are_not_of_here_and_now(host: Installed, operation: str) -> None:
    assert hook(host, operation, DOMAIN) == ""
    host.has()


def test_a_guest_that_nobody_declared(host: Installed) -> None:
    said = hook(host, "start begin", INTERFACE.format(STRANGER, "vnet0"))
    assert "web: " in said
    assert STRANGER in said
    host.has()


@pytest.mark.parametrize(
    "xml",
    [
        f"<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>{DOMAIN.replace('<name>web', '<name>&x;')}",
        f"<!DOCTYPE domain SYSTEM 'http://192.0.2.1/x.dtd'>{DOMAIN}",
        f"<!DOCTYPE d [<!ENTITY a 'b'><!ENTITY c '&a;&a;&a;'>]>{DOMAIN.replace('<name>web', '<name>&c;')}",
        DOMAIN[:-20],
        "",
        "text",
    ],
)
def test_what_is_no_domain(host: Installed, xml: str) -> None:
    said = hook(host, "start begin", xml)
    assert "web: " in said
    assert "Traceback" not in said
    host.has()


@pytest.mark.parametrize("name, mac", [("a/b", ONE.mac), ("vnet0", "00:16:3e"), ("vnet0", "; reboot")])
def test_what_is_no_interface(host: Installed, name: str, mac: str) -> None:
    said = hook(host, "start begin", INTERFACE.format(mac, name))
    assert "not " in said
    host.has()


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nkill -9 $$\n", "#!/nonexistent\n", ""])
def test_a_helper_that_fails(host: Installed, text: str) -> None:
    host.write({helper.HELPER: text})
    if not text:
        host.program.unlink()
    for operation in ("start begin", "reconnect begin", "stopped end"):
        hook(host, operation, DOMAIN)


def test_a_host_without_python(host: Installed) -> None:
    (host.folder / "old/tools").mkdir()
    for name in ("cat", "logger"):
        (host.folder / "old/tools" / name).symlink_to(f"/usr/bin/{name}")
    hook(host, "start begin", DOMAIN, path=str(host.folder / "old/tools"))
    host.has()


def test_all_is_read(host: Installed) -> None:
    """More than a pipe holds: who writes it must not fail."""
    host.program.unlink()
    command = host.installed(hooks.LIBVIRT_HOOK, "web", "start", "begin", "-")
    process = subprocess.Popen(["ip", "netns", "exec", host.netns.name, *command], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(DOMAIN.encode() + b" " * 1_000_000)
    process.stdin.close()
    assert process.wait() == 0
