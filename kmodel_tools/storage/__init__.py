"""Bytes: the containers that models come in, read and written without knowing what Keras is."""
