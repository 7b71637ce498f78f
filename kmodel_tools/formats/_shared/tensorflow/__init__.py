"""From TensorFlow's names and object graphs to layers: what checkpoints and SavedModels have in common."""
