"""Changes within one generation: other names of layers, a model without its last layers, what was compiled for other outputs."""
