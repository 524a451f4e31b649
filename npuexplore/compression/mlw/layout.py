"""How a stream of the mlw coder is laid out: headers, chunks, alignment, and when zeros are coded as runs."""

from __future__ import annotations

SECTION_WEIGHTS = 131_072
"""Weights between two fresh palettes."""
SLICE_HEADER_BITS = 23
PALETTE_HEADER_BITS = 13
END_BITS = 3
ALIGNMENT_BYTES = 16
LONGEST_SLICE = 32_767
"""Values in a slice: its length has 15 bits."""
WEIGHT_CHUNK_SLOTS = 12
"""Unary digits are sent in chunks; the last one is filled up."""
RUN_CHUNK_SLOTS = (12, 12, 12, 8)
"""The same for zero runs, by their divisor bits."""
FAST_HEADER_BYTES = 32
FAST_ALIGNMENT_BYTES = 32
FAST_WIDTHS = ((2, 4), (4, 16), (8, 512))
"""Bits per weight of the fast format, and the distinct weights that they can tell apart."""
ZERO_DOMINANCE = 5
"""Runs are coded where zeros are more than this many times as frequent as any other value."""
