"""The arguments that Keras 3 takes for each layer class that Keras 2 has too.

A line of `_TABLE` is `Class Class …: argument argument …`. `@x` stands for `x_initializer`, `x_regularizer` and
`x_constraint`. Every class takes those of `COMMON` besides, one with `!` only `name` and `dtype`.

Source: Keras 3.15.1, the signatures of `keras.layers`; compared with the installed release by the tests.
"""

from __future__ import annotations

import functools

COMMON = frozenset({"name", "dtype", "trainable", "autocast", "activity_regularizer"})
FEW = frozenset({"name", "dtype"})

_TABLE = """
Activation: activation
ActivityRegularization: l1 l2
Add Average Identity Maximum Minimum Multiply Subtract:
AdditiveAttention Attention: dropout score_mode seed use_scale
AlphaDropout Dropout: noise_shape rate seed
AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D: data_format padding pool_size strides
BatchNormalization: axis center epsilon momentum moving_mean_initializer moving_variance_initializer renorm renorm_clipping renorm_momentum scale synchronized @beta @gamma
Bidirectional: backward_layer layer merge_mode
CategoryEncoding: num_tokens output_mode sparse
CenterCrop: bounding_box_format data_format factor height width
Concatenate Softmax UnitNormalization: axis
Conv1D Conv2D Conv3D: activation data_format dilation_rate filters groups kernel_size lora_alpha lora_rank padding strides use_bias @bias @kernel
Conv1DTranspose Conv2DTranspose Conv3DTranspose: activation data_format dilation_rate filters kernel_size output_padding padding strides use_bias @bias @kernel
ConvLSTM1D ConvLSTM2D ConvLSTM3D: activation data_format dilation_rate dropout filters go_backwards kernel_size padding recurrent_activation recurrent_dropout return_sequences return_state seed stateful strides unit_forget_bias unroll use_bias zero_output_for_mask @bias @kernel @recurrent
Cropping1D: cropping
Cropping2D Cropping3D: cropping data_format
Dense: activation lora_alpha lora_rank quantization_config units use_bias @bias @kernel
DepthwiseConv1D DepthwiseConv2D: activation data_format depth_multiplier dilation_rate kernel_size padding strides use_bias @bias @depthwise
Discretization!: bin_boundaries epsilon num_bins output_mode sparse
Dot: axes normalize
ELU: alpha
EinsumDense: activation bias_axes equation gptq_unpacked_column_size lora_alpha lora_rank output_shape quantization_config @bias @kernel
Embedding: input_dim lora_alpha lora_rank mask_zero output_dim quantization_config @embeddings
Flatten: data_format
GRU: activation dropout go_backwards recurrent_activation recurrent_dropout reset_after return_sequences return_state seed stateful units unroll use_bias use_cudnn zero_output_for_mask @bias @kernel @recurrent
GRUCell: activation dropout recurrent_activation recurrent_dropout reset_after seed units use_bias @bias @kernel @recurrent
GaussianDropout SpatialDropout1D!: rate seed
GaussianNoise: seed stddev
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D: data_format keepdims
GroupNormalization: axis center epsilon groups scale @beta @gamma
HashedCrossing: num_bins output_mode sparse
Hashing: mask_value num_bins output_mode salt sparse
IntegerLookup: idf_weights invert mask_token max_tokens num_oov_indices oov_method oov_token output_mode pad_to_max_tokens salt sparse vocabulary vocabulary_dtype
LSTM: activation dropout go_backwards recurrent_activation recurrent_dropout return_sequences return_state seed stateful unit_forget_bias units unroll use_bias use_cudnn zero_output_for_mask @bias @kernel @recurrent
LSTMCell: activation dropout recurrent_activation recurrent_dropout seed unit_forget_bias units use_bias @bias @kernel @recurrent
Lambda: arguments function mask output_shape
LayerNormalization: axis center epsilon scale @beta @gamma
LeakyReLU: negative_slope
Masking: mask_value
MultiHeadAttention: attention_axes dropout flash_attention key_dim num_heads output_shape seed sliding_window use_bias use_gate value_dim @bias @kernel
Normalization: axis invert mean variance
PReLU: shared_axes @alpha
Permute: dims
RNN: cell go_backwards return_sequences return_state stateful unroll zero_output_for_mask
RandomBrightness RandomContrast: bounding_box_format data_format factor seed value_range
RandomCrop: bounding_box_format data_format factor height seed width
RandomFlip: bounding_box_format data_format factor mode seed
RandomRotation: bounding_box_format data_format factor fill_mode fill_value interpolation seed
RandomTranslation RandomZoom: bounding_box_format data_format factor fill_mode fill_value height_factor interpolation seed width_factor
ReLU: max_value negative_slope threshold
RepeatVector: n
Rescaling: offset scale
Reshape: target_shape
Resizing: antialias bounding_box_format crop_to_aspect_ratio data_format factor fill_mode fill_value height interpolation pad_to_aspect_ratio width
SeparableConv1D SeparableConv2D: activation data_format depth_multiplier dilation_rate filters kernel_size padding strides use_bias @bias @depthwise @pointwise
SimpleRNN: activation dropout go_backwards recurrent_dropout return_sequences return_state seed stateful units unroll use_bias zero_output_for_mask @bias @kernel @recurrent
SimpleRNNCell: activation dropout recurrent_dropout seed units use_bias @bias @kernel @recurrent
SpatialDropout2D! SpatialDropout3D!: data_format rate seed
SpectralNormalization: layer power_iterations
StackedRNNCells: cells
StringLookup: encoding idf_weights invert mask_token max_tokens num_oov_indices oov_method oov_token output_mode pad_to_max_tokens salt sparse vocabulary vocabulary_dtype
TextVectorization: encoding idf_weights max_tokens ngrams output_mode output_sequence_length pad_to_max_tokens ragged sparse split standardize vocabulary
TimeDistributed: layer
UpSampling1D: size
UpSampling2D: data_format interpolation size
UpSampling3D: data_format size
ZeroPadding1D ZeroPadding2D ZeroPadding3D: data_format padding
"""  # noqa: E501  # a line of the table is what some classes take, however much it is


@functools.cache
def accepted() -> dict[str, frozenset[str]]:
    """The arguments of each class."""
    found: dict[str, frozenset[str]] = {}
    for line in _TABLE.strip().splitlines():
        names, _, arguments = line.partition(":")
        own = frozenset(name for item in arguments.split() for name in _expanded(item))
        for name in names.split():
            found[name.rstrip("!")] = own | (FEW if name.endswith("!") else COMMON)
    return found


def _expanded(item: str) -> tuple[str, ...]:
    if not item.startswith("@"):
        return (item,)
    return tuple(f"{item[1:]}_{part}" for part in ("initializer", "regularizer", "constraint"))
