"""Tables of what the kernels of a Cortex-M take, by core and toolchain, read from hw_profiles/kernels."""
