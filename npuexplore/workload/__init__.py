"""Networks, gate order and operation counts."""
