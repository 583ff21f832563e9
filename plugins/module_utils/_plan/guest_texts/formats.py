# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union

from ansible_collections.plainlinux.vpc.plugins.module_utils._model.errors import Report, show
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.cloud_init import cloud_init
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.guest import Guest, read_guest
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.ifupdown import ifupdown
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.libvirt import libvirt
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.netplan import netplan
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.systemd_networkd import (
    systemd_networkd,
)
from ansible_collections.plainlinux.vpc.plugins.module_utils._plan.guest_texts.xen import xen

# A text, or texts by file name.
Texts = Union[str, dict[str, str]]


class Format(NamedTuple):
    """suffix: of the file's name, after the guest's; of a folder's where there are several files."""

    write: Callable[[Guest], Texts]
    suffix: str


FORMATS: dict[str, Format] = {
    "cloud-init": Format(cloud_init, "cloud-init.yaml"),
    "netplan": Format(netplan, "netplan.yaml"),
    "ifupdown": Format(ifupdown, "ifupdown"),
    "systemd-networkd": Format(systemd_networkd, "systemd-networkd"),
    "xen": Format(xen, "xen.cfg"),
    "libvirt": Format(libvirt, "libvirt.xml"),
}


def check_format(name: Any) -> Format:
    """Raises ValueError."""
    if isinstance(name, str) and name in FORMATS:
        return FORMATS[name]
    hint = Report().hint(name, FORMATS) if isinstance(name, str) else ""
    known = f"; formats are {', '.join(FORMATS)}"
    raise ValueError(f"{show(name)} is no format{hint or known}")


def guest_config(summary: Mapping[str, Any], name: str, chosen: str, prefix: str = "") -> Texts:
    """The texts of one guest. summary: the content of plan.json. Raises ValueError, of which Unfit is one."""
    form = check_format(chosen)
    try:
        return form.write(read_guest(summary, name, prefix))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"this is no plan of this version: {type(error).__name__} {error}; plan again") from None


def files(summary: Mapping[str, Any], name: str, chosen: str, prefix: str = "") -> dict[str, str]:
    """The same, by the names that they are to have among those of all guests and formats."""
    texts = guest_config(summary, name, chosen, prefix)
    base = f"{name}.{FORMATS[chosen].suffix}"
    return {base: texts} if isinstance(texts, str) else {f"{base}/{file}": text for file, text in texts.items()}
