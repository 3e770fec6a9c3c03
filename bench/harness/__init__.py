"""Measures two worker processes in turn: ours (Rust) and the peer (PyTorch)."""
