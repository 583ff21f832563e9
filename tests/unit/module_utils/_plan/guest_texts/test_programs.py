# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats for whose programs there is no guest here: what the programs themselves make of the texts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.libvirt_domain import read_domain
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.formats import guest_config
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import read_guest
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_plan import GUESTS, summary
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.guest_tools import (
    LIBVIRT,
    cloud_init_convert,
    libraries,
)
from ansible_collections.plainlinux.vpc.tests.unit.module_utils._plan.guest_texts.test_reading_back import sections

HERE = Path(__file__).parent
PLAN = summary()
NAMES = [guest["name"] for guest in GUESTS]


@pytest.mark.parametrize("name", NAMES)
def test_xl_understands(name: str) -> None:
    """The table was made with xl; it is made anew where the text is another one."""
    recorded = yaml.safe_load((HERE / "recorded/xl.yml").read_text())[name]
    assert guest_config(PLAN, name, "xen") == recorded["text"]
    for number, (item, nic) in enumerate(zip(PLAN["instances"][name]["interfaces"], recorded["nics"], strict=True)):
        expected = {"devid": number, "mac": item["mac"], "bridge": item["bridge"], "ifname": item["vif"]}
        mtu = PLAN["networks"][item["network"]]["guests_get"]["mtu"]
        expected.update({} if mtu is None else {"mtu": mtu})
        expected.update({} if item["address"] is None else {"ip": item["address"].partition("/")[0]})
        assert nic == expected


def valid(interfaces: str) -> bool:
    """Whether libvirt's own schema takes a domain with these interfaces."""
    domain = f"""<domain type='kvm'><name>x</name><memory>65536</memory><os><type>hvm</type></os>
        <devices>{interfaces}</devices></domain>"""
    unpacked = LIBVIRT / "usr/share/libvirt/schemas/domain.rng"
    schema = unpacked if unpacked.exists() else Path("/usr/share/libvirt/schemas/domain.rng")
    program = LIBVIRT / "usr/bin/xmllint"
    words = [str(program if program.exists() else "xmllint"), "--noout", "--relaxng", str(schema), "-"]
    done = subprocess.run(words, input=domain, env=libraries(LIBVIRT), capture_output=True, text=True, check=False)
    assert "validates" in done.stderr or "fails to validate" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_libvirt_understands(name: str) -> None:
    text = str(guest_config(PLAN, name, "libvirt"))
    assert valid(text)
    cards = read_domain(f"<domain><name>x</name><devices>{text}</devices></domain>").cards
    items = PLAN["instances"][name]["interfaces"]
    assert [(card.mac, card.bridge, card.vif, card.fault) for card in cards] == [
        (item["mac"], item["bridge"], item["vif"], "") for item in items
    ]


def test_libvirt_would_not_understand_anything() -> None:
    assert not valid(str(guest_config(PLAN, "vm1", "libvirt")).replace("isolated", "alone"))


@pytest.mark.parametrize("name", ["vm1", "two", "six", "split"])
def test_cloud_init_writes_for_the_programs_of_red_hat(name: str, tmp_path: Path) -> None:
    macs = {f"eth{number}": item["mac"] for number, item in enumerate(PLAN["instances"][name]["interfaces"])}
    guest = read_guest(PLAN, name)
    text = str(guest_config(PLAN, name, "cloud-init"))
    keyfiles = cloud_init_convert(text, "network-manager", tmp_path / "nm", macs)
    scripts = cloud_init_convert(text, "sysconfig", tmp_path / "sc", macs)
    for link in guest.links:
        found = dict(sections(next(content for path, content in keyfiles.items() if f"-vpc{link.number}." in path)))
        assert found["ethernet"]["mac-address"] == [link.mac.upper()] or found["ethernet"]["mac-address"] == [link.mac]
        for family in (4, 6):
            own = found.get(f"ipv{family}", {})
            addresses = [f"{address}/{length}" for one, address, length in link.addresses if one == family]
            gateways = [gateway for one, gateway in link.gateways if one == family]
            assert [value for key, values in own.items() if key.startswith("address") for value in values] == addresses
            assert own.get("gateway", []) == gateways
        script = scripts[f"etc/sysconfig/network-scripts/ifcfg-vpc{link.number}"]
        for family, gateway in link.gateways:
            assert f"\n{'GATEWAY' if family == 4 else 'IPV6_DEFAULTGW'}={gateway}\n" in script
        assert f"HWADDR={link.mac}\n" in script
