"""Operations of Keras 3 among the layers of a model, carried back to the operations of TensorFlow that Keras 2 has as layers.

`x + 1` or `ops.mean(x, 1)` on the tensors of a functional model left an operation of Keras in its graph. Keras 2 since TensorFlow 2.4
has layers for the operations of TensorFlow: TFOpLambda and SlicingOpLambda. What each operation becomes is what the TensorFlow
backend of Keras 3.15.1 does (`backend/tensorflow/*.py`), its conversions of dtypes included.

* `calls`: what an operation was called on, and with what.   `dtypes`: what dtype operands become.
* `elementwise`, `reductions`, `shaping`, `joining`, `indexing`, `products`, `neural`, `windows`, `images`, `scattering`: what each
  becomes.
* `building`: layers of Keras 2.   `carrying`: the way through a model.
"""
