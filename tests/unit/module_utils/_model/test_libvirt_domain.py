# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains and networks of libvirt, in the shapes that virsh and the files in /etc/libvirt have."""

from __future__ import annotations

import pytest
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.domain import Card, Domain
from ansible_collections.plainlinux.vpc.plugins.module_utils._model.libvirt_domain import read_domain, read_network

# As /etc/libvirt/qemu has it.
KEPT = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit web
or other application using the libvirt API.
-->

<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>0d6d6a3e-0e0f-4b8a-9a0b-0c1d2e3f4a5b</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/web.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:0a:0a:0a'/>
      <source bridge='br-net1'/>
      <target dev='web.0'/>
      <model type='virtio'/>
      <filterref filter='clean-traffic'>
        <parameter name='CTRL_IP_LEARNING' value='none'/>
        <parameter name='IP' value='10.10.10.10'/>
        <parameter name='IP' value='10.10.10.11'/>
        <parameter name='IPV6' value='2001:db8:10::10'/>
      </filterref>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>
    <interface type='network'>
      <mac address='52:54:00:0a:14:0a'/>
      <source network='storage'/>
      <model type='virtio'/>
    </interface>
    <interface type='direct' trustGuestRxFilters='yes'>
      <mac address='52:54:00:00:00:03'/>
      <source dev='eth0' mode='bridge'/>
    </interface>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
  </devices>
</domain>
"""
# As virsh dumpxml prints a guest that runs.
RUNNING = """<domain type='xen' id='7'>
  <name>db</name>
  <devices>
    <interface type='network'>
      <mac address='00:16:3e:00:00:07'/>
      <ip address='10.10.20.7' family='ipv4' prefix='24'/>
      <ip address='10.10.20.7' family='ipv4' prefix='24'/>
      <source network='inside' portid='5f3e8d0a-0000-4000-8000-000000000000' bridge='br-net2'/>
      <target dev='vnet12'/>
      <alias name='net0'/>
    </interface>
    <interface type='bridge'>
      <source bridge='xenbr0'/>
      <script path='vif-bridge'/>
      <target dev='vif7.1'/>
      <vlan><tag id='42'/></vlan>
    </interface>
    <interface type='hostdev' managed='yes'/>
    <interface/>
  </devices>
</domain>
"""


def test_a_file_of_a_domain() -> None:
    assert read_domain(KEPT) == Domain(
        "web",
        (
            Card("br-net1", "", "52:54:00:0a:0a:0a", "web.0", ("10.10.10.10", "10.10.10.11", "2001:db8:10::10")),
            Card("", "storage", "52:54:00:0a:14:0a"),
            Card(mac="52:54:00:00:00:03", fault="is of type direct, which is on no bridge"),
        ),
    )


@pytest.mark.parametrize("text", [RUNNING, f"<?xml version='1.0'?>\n<domstatus state='running'>{RUNNING}</domstatus>"])
def test_a_domain_that_runs(text: str) -> None:
    assert read_domain(text) == Domain(
        "db",
        (
            Card("br-net2", "inside", "00:16:3e:00:00:07", "", ("10.10.20.7",)),
            Card("xenbr0", fault="has a VLAN tag; a network here has none"),
            Card(fault="is of type hostdev, which is on no bridge"),
            Card(fault="is of type unknown, which is on no bridge"),
        ),
    )


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "is not XML: it must start with <"),
        ("<domain><name>a</name>", "is not XML: no element found in line 1"),
        ("<domain/>", "has no name"),
        ("<domain><name/></domain>", "has no name"),
        ("<network><name>a</name></network>", "describes no domain: its element is network"),
        (
            "<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><domain><name>&a;</name></domain>",
            "has a document type or entities, which are not read",
        ),
    ],
)
def test_what_is_no_domain(text: str, fault: str) -> None:
    assert read_domain(text) == Domain(fault=fault)


def test_networks() -> None:
    text = """<network>
  <name>storage</name>
  <uuid>b4b0b7d8-0000-4000-8000-000000000000</uuid>
  <forward mode='bridge'/>
  <bridge name='br-net2'/>
</network>"""
    assert read_network(text) == ("storage", "br-net2")
    assert read_network("<network><name>pool</name><forward mode='hostdev'/></network>") == ("pool", "")
    for wrong in ("<network/>", "<domain><name>a</name></domain>", "x"):
        with pytest.raises(ValueError, match=r"describes no network|is not XML"):
            read_network(wrong)
