"""Keras's configurations and what they mean for weights: classes, names, order. No files."""
