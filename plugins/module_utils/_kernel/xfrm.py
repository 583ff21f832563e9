# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XFRM interfaces, one for each tunnel: what is routed into one is encrypted by the policies with its number."""

from __future__ import annotations

from typing import Any

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._base import Command, Context
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel.link import OwnLinks, boot_shell, word


class Xfrm(OwnLinks):
    """XFRM interfaces by name: `aws1-1` -> `xfrm if_id 0x77359401 mtu 1438`.

    Number and MTU change in place: addresses, parameters and routes of the interface stay.

    They are bound to no device. The route to the peer says where ESP leaves; one that was bound would go on as
    `aws1-1@if4` where its device vanishes, and follow to no other.
    """

    name = "xfrm"
    kind = "xfrm"
    identity = "if_id"
    settings = ("mtu",)
    columns = ("if_id", "mtu")

    def read(self, context: Context) -> list[Command]:
        return super().read(context) if context.desired or context.recorded else []

    def make(self, name: str, old: str, value: str) -> list[str]:
        number = word(value, "if_id")
        if not old:
            return [f"link add name {name} type xfrm if_id {number}"]
        return [f"link set dev {name} type xfrm if_id {number}"] if word(old, "if_id") != number else []

    def describe(self, link: dict[str, Any]) -> str:
        # One that takes its number from each packet (`external`) has none.
        number = link.get("linkinfo", {}).get("info_data", {}).get("if_id", "none")
        return f"xfrm if_id {number} mtu {link.get('mtu', 0)}"

    boot_shell = boot_shell(
        "xfrm",
        "number mtu",
        "type xfrm if_id $number",
        """\
      else
        case "$(cat "$link/ifalias") $(ip -d -o link show dev "$name")" in
          "$mark "*" xfrm if_id $number "* | " "*" xfrm if_id $number "*) ;;
          "$mark "*" xfrm if_id "*) echo "link set dev $name type xfrm if_id $number" ;;
          *)
            echo "link $name: exists already and is not ours" >&2
            xfrm_status=1
            continue
            ;;
        esac
""",
        "mtu $mtu",
    )
