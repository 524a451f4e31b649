"""The generic microNPU: a MAC array, a weight decoder, formats that skip or shrink zeros, a CPU beside it."""
