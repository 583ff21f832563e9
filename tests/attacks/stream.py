# Copyright (c) 2026 plainlinux.vpc authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady stream of frames in turn, until standard input ends; prints how many of each were sent.

Runs as a program inside a guest's namespace: python stream.py CPU DEVICE RATE FRAME...   (RATE: frames a second,
FRAME: in hexadecimal digits). No frame is lost for want of a queue: after each lot it waits until the kernel, on this
processor, has handled all before.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

_LOT = 16
# How often a frame is queued anew on its way to a neighbour.
_STAGES = 4


def main() -> int:
    """Send until told to stop."""
    cpu, device, rate, *texts = sys.argv[1:]
    os.sched_setaffinity(0, {int(cpu)})
    frames = [bytes.fromhex(text) for text in texts]
    sent = 0
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fence,
    ):
        wire.bind((device, 0))
        fence.bind(("127.0.0.1", 0))
        fence.connect(fence.getsockname())
        print("sending", flush=True)
        start = due = time.monotonic()
        while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            for number in range(sent, sent + _LOT):
                wire.send(frames[number % len(frames)])
            sent += _LOT
            _settle(fence)
            # On a busy machine, what could not be sent in time is not made up for.
            due = max(due, time.monotonic() - _LOT / float(rate)) + _LOT / float(rate)
        for _turn in range(_STAGES):
            _settle(fence)
        seconds = time.monotonic() - start
    counts = [sent // len(frames) + (number < sent % len(frames)) for number in range(len(frames))]
    print(f"{seconds:.3f}", *counts)
    return 0


def _settle(fence: socket.socket) -> None:
    for _stage in range(_STAGES):
        fence.send(b"")
        fence.recv(1)


if __name__ == "__main__":
    sys.exit(main())
