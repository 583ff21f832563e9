# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's chains where the backend is iptables: all ports' rules at their places in the plan's text."""

from __future__ import annotations

# Arguments: records. Writes run/chains4 and run/chains6.
_CHAINS_AWK = r"""
function keep(name, line,   family, tag) {
  family = substr(line, 3, 1)
  sub(/^# [46] /, "", line)
  tag = line
  sub(/ .*/, "", tag)
  sub(/^[^ ]+ /, "", line)
  rules[family, tag, name] = rules[family, tag, name] line "\n"
}
function planned(name, guest,   line, file, i) {
  gsub(/:/, "-", guest)
  file = "guests/" guest
  while ((getline line <file) > 0)
    if (line ~ /^# [46] /) { gsub(/@vif@/, name, line); keep(name, line) }
  close(file)
  for (i = many++; i > 0 && names[i] > name; i--) names[i + 1] = names[i]
  names[i + 1] = name
}
FNR == 1 {
  name = FILENAME
  sub(/.*\//, "", name)
  known[name] = 1
  names[++many] = name
}
/^# [46] / { keep(name, $0) }
END {
  while ((getline line <"names") > 0) {
    split(line, words, " ")
    if (!(words[1] in known)) planned(words[1], words[2])
  }
  for (family = 4; family <= 6; family += 2) {
    text = run "/chains" family
    printf "" >text
    while ((getline line <("chains" family)) > 0) {
      if (line ~ /^@[^@]+@$/) {
        gsub(/@/, "", line)
        for (i = 1; i <= many; i++) printf "%s", rules[family, line, names[i]] >text
      } else print line >text
    }
  }
}
"""

_PROGRAM = f"""
chains_awk='{_CHAINS_AWK}'
"""

_SHELL = r"""
# Both families' rules of iptables for all ports, as files.
render_chains() {
  set -- "$run/vif/"*
  if [ ! -e "$1" ]; then shift; fi
  awk -v run="$run" "$chains_awk" "$@" </dev/null
}

# In these chains a port without rules is let alone: nft refuses what nobody knows. So a port's rules come before its
# elements, and go after them.
chains() {
  if [ ! -e chains4 ]; then return 0; fi
  render_chains && restore_chains
}

restore_chains() {
  iptables-restore --noflush -w <"$run/chains4" && ip6tables-restore --noflush -w <"$run/chains6"
}
"""

CHAINS = _PROGRAM + _SHELL
