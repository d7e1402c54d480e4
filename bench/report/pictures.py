# SPDX-License-Identifier: Apache-2.0
"""Which pictures there are, in the order of the page."""

import bars
import lines

ALL = (lines.throughput, lines.progress, lines.latency, lines.memory, bars.greatest_memory,
       bars.crash, lines.processor_time, bars.dispatchers, bars.stages, lines.scale)


def made_of(results):
    """Those that the results have figures for."""
    return [picture for make in ALL if (picture := make(results))]
