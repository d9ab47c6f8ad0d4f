"""Independent implementations of the neural environment: NumPy (referee), PyTorch, JAX."""
