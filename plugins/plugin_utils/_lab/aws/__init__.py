# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of AWS: the other end of the VPN connections of a plan.

For each tunnel an endpoint, a machine that bears the tunnel's name; for each connection a host in the VPC behind them,
`<connection>-vpc`. What they are told is written here, and shares nothing with what the collection tells a gateway: a
misunderstanding of the one is no misunderstanding of the other.
"""
