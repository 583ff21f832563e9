# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: the twin of an inventory, made of systemd-nspawn hosts and network namespaces on this machine.

PRIVATE to the collection, controller only. The files import each other relatively, so that the long-running programs
can be started as `python -m _lab.supervisor` without Ansible.
"""
