# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the helper; see vif.py."""

from __future__ import annotations

from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.address import ADDRESS
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.chains import CHAINS
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.learn import LEARN
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.records import RECORDS
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.settings import SETTINGS
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.sync import SYNC
from ansible_collections.plainlinux.vpc.plugins.module_utils._kernel._vif.words import HEAD, MAIN, WORDS

SCRIPT = HEAD + WORDS + RECORDS + ADDRESS + CHAINS + SETTINGS + SYNC + LEARN + MAIN
