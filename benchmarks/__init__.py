"""Benchmarks: ``python -m benchmarks`` times kernels and fits against baselines measured in the same run."""
