"""Operations of TensorFlow among the layers of a model, carried to the operations of Keras 3.

`x + 1` or `tf.nn.relu(x)` on the tensors of a functional model left a layer: TensorFlowOpLayer up to TensorFlow 2.3, TFOpLambda
and SlicingOpLambda since. Keras 3 has neither, and operations of its own (`keras.ops`) that stand among the layers.

* `calls`: what a layer was called on, and with what; `tensorflow_op`: the same for nodes of a graph.
* `elementwise`, `reductions`, `shaping`, `repeating`, `indexing`, `scattering`, `neural`, `windows`, `linear`, `losses`, `images`,
  `adjusting`, `creation`, `sizes` (with `size_rows`): what each operation becomes.
* `building`: entries of Keras 3.  `values`: tensors, sizes, constants.  `layer_shapes`: what layers make of shapes.
* `carrying`: the way through a model.
"""
