"""Cortex-M: CMSIS-NN kernels and plain C sparse kernels, priced by the structure of their loops."""
