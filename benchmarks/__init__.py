"""Speed and memory of libfpo against PyTorch, JAX and the machine: `make bench`."""
