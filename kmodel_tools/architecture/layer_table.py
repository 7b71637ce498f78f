"""Which weights and sub-layers each built-in layer class owns, in Keras 3's order.

`_TABLE` holds one line a class::

    Class[@mode]  role(dims)[:dtype][!][?condition] …  .attr=Class[~name][?condition] …

* `role` is Keras's attribute name; `!` marks a weight that is never trained.
* `dims` are symbols that must agree within a layer (`u`, `4u`), numbers, `_` for any one dimension; `*s` stands for any
  number of dimensions that must be the same wherever `*s` stands again, `_*` for any number without more ado.
* `?condition` names a rule of `CONDITIONS` over the layer's configuration.
* `.attr=Class` is a sub-layer that the class makes for itself and configures as it is configured; `=@key` is one that
  the configuration describes under `key`; `=@key[]` a list of them, which Keras stores as a group of that name too.
  `~name` is what legacy files call it.
* `@mode` is a quantised variant, chosen by the dtype policy; `@keras1` is what Keras 1 stored for a class that has
  changed since (`consume_less="gpu"` apart).

Sources: Keras 3.15.1 `keras/src/layers/**`, tf_keras 2.21 `tf_keras/src/layers/**`; checked by instantiating every class.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kmodel_tools.architecture.envelope import Config

CONDITIONS: dict[str, Callable[[Config], bool]] = {
    "use_bias": lambda config: bool(config.get("use_bias", config.get("bias", True))),
    "bias_axes": lambda config: config.get("bias_axes") is not None,
    "scale": lambda config: bool(config.get("scale", True)),
    "center": lambda config: bool(config.get("center", True)),
    "renorm": lambda config: bool(config.get("renorm", False)),
    "use_scale": lambda config: bool(config.get("use_scale", False)),
    "additive_scale": lambda config: bool(config.get("use_scale", True)),
    "concat_score": lambda config: config.get("score_mode") == "concat",
    "use_gate": lambda config: bool(config.get("use_gate", False)),
    "untied": lambda config: not config.get("tie_weights", True),
    "adapted": lambda config: config.get("mean") is None,
    "blockwise": lambda config: _block_size(config) > 0,
}

_TABLE = """
Dense                  kernel(i,u) bias(u)?use_bias
Dense@int8             kernel(i,u):int8! bias(u)?use_bias kernel_scale(u)!
Dense@int4             kernel(_,_):int8! bias(u)?use_bias kernel_scale(_*)! kernel_zero(_*):int8!?blockwise g_idx(i)!?blockwise
Dense@float8           kernel(i,u) bias(u)?use_bias inputs_scale() inputs_amax_history(h) kernel_scale() kernel_amax_history(h) outputs_grad_scale() outputs_grad_amax_history(h)
Dense@gptq             bias(u)?use_bias quantized_kernel(_,_):uint8! kernel_scale(_*)! kernel_zero(_*)! g_idx(_)!
Dense@awq              bias(u)?use_bias quantized_kernel(_,_):uint8! kernel_scale(_*)! kernel_zero(_*)! awq_scales(_)! g_idx(_)!
EinsumDense            kernel(_,_,_*) bias(_,_*)?bias_axes
EinsumDense@int8       kernel(_,_,_*):int8! bias(_,_*)?bias_axes kernel_scale(_*)!
EinsumDense@int4       kernel(_,_,_*):int8! bias(_,_*)?bias_axes kernel_scale(_*)! kernel_zero(_*):int8!?blockwise g_idx(_)!?blockwise
EinsumDense@float8     kernel(_,_,_*) bias(_,_*)?bias_axes inputs_scale() inputs_amax_history(h) kernel_scale() kernel_amax_history(h) outputs_grad_scale() outputs_grad_amax_history(h)
EinsumDense@gptq       bias(_,_*)?bias_axes quantized_kernel(_,_*):uint8! kernel_scale(_*)! kernel_zero(_*)! g_idx(_)!
EinsumDense@awq        bias(_,_*)?bias_axes quantized_kernel(_,_*):uint8! kernel_scale(_*)! kernel_zero(_*)! awq_scales(_)! g_idx(_)!
Embedding              embeddings(n,d)
Embedding@int8         embeddings(n,d):int8! embeddings_scale(n)!
Embedding@int4         embeddings(n,_):int8! embeddings_scale(n,_*)! embeddings_zero(n,_*):int8!?blockwise g_idx(d)!?blockwise
ReversibleEmbedding    embeddings(n,d) reverse_embeddings(d,n)?untied
ReversibleEmbedding@int8  embeddings(n,d):int8! embeddings_scale(n)! reverse_embeddings(d,n):int8!?untied reverse_embeddings_scale(n)!?untied
ReversibleEmbedding@int4  embeddings(n,_):int8! embeddings_scale(n,_*)! embeddings_zero(n,_*):int8!?blockwise g_idx(d)!?blockwise reverse_embeddings(_,n):int8!?untied reverse_embeddings_scale(_*)!?untied reverse_embeddings_zero(_*)!?untied
DynamicEmbedding       embeddings(n,d)
Conv1D                 kernel(_,_,f) bias(f)?use_bias
Conv2D                 kernel(_,_,_,f) bias(f)?use_bias
Conv3D                 kernel(_,_,_,_,f) bias(f)?use_bias
Conv1DTranspose        kernel(_,f,_) bias(f)?use_bias
Conv2DTranspose        kernel(_,_,f,_) bias(f)?use_bias
Conv3DTranspose        kernel(_,_,_,f,_) bias(f)?use_bias
DepthwiseConv1D        kernel(_,i,m) bias(_)?use_bias
DepthwiseConv2D        kernel(_,_,i,m) bias(_)?use_bias
SeparableConv1D        depthwise_kernel(_,i,m) pointwise_kernel(1,_,f) bias(f)?use_bias
SeparableConv2D        depthwise_kernel(_,_,i,m) pointwise_kernel(1,1,_,f) bias(f)?use_bias
LocallyConnected1D     kernel(_,_*) bias(_,f)?use_bias
LocallyConnected2D     kernel(_,_*) bias(_,_,f)?use_bias
BatchNormalization     gamma(c)?scale beta(c)?center moving_mean(c)! moving_variance(c)! moving_stddev(c)!?renorm renorm_mean(c)!?renorm renorm_stddev(c)!?renorm
LayerNormalization     gamma(*s)?scale beta(*s)?center
GroupNormalization     gamma(c)?scale beta(c)?center
RMSNormalization       scale(_,_*)
Normalization          mean(*s)!?adapted variance(*s)!?adapted count():int64!?adapted
LayerScale             gamma(c)
SpectralNormalization  vector_u(1,_)! .layer=@layer
PReLU                  alpha(_,_*)
Attention              scale()?use_scale concat_score_weight()?concat_score
AdditiveAttention      scale(_)?additive_scale
RandomFourierFeatures  kernel_scale(1) unscaled_kernel(i,u)! bias(u)!
LSTMCell               kernel(i,4u) recurrent_kernel(u,4u) bias(4u)?use_bias
GRUCell                kernel(i,3u) recurrent_kernel(u,3u) bias(_,_*)?use_bias
SimpleRNNCell          kernel(i,u) recurrent_kernel(u,u) bias(u)?use_bias
ConvLSTMCell           kernel(_,_,_,_*) recurrent_kernel(_,_,_,_*) bias(_)?use_bias
CuDNNLSTM              .cell=CuDNNLSTMCell
CuDNNLSTMCell          kernel(i,4u) recurrent_kernel(u,4u) bias(8u)
CuDNNGRU               .cell=CuDNNGRUCell
CuDNNGRUCell           kernel(i,3u) recurrent_kernel(u,3u) bias(6u)
LSTM                   .cell=LSTMCell
LSTM@keras1            W_i(_*) U_i(_*) b_i(_*) W_c(_*) U_c(_*) b_c(_*) W_f(_*) U_f(_*) b_f(_*) W_o(_*) U_o(_*) b_o(_*)
GRU                    .cell=GRUCell
GRU@keras1             W_z(_*) U_z(_*) b_z(_*) W_r(_*) U_r(_*) b_r(_*) W_h(_*) U_h(_*) b_h(_*)
SimpleRNN              .cell=SimpleRNNCell
ConvLSTM1D             .cell=ConvLSTMCell
ConvLSTM2D             .cell=ConvLSTMCell
ConvLSTM2D@keras1      W_i(_*) U_i(_*) b_i(_*) W_c(_*) U_c(_*) b_c(_*) W_f(_*) U_f(_*) b_f(_*) W_o(_*) U_o(_*) b_o(_*)
ConvLSTM3D             .cell=ConvLSTMCell
RNN                    .cell=@cell
StackedRNNCells        .cells=@cells[]
Bidirectional          .forward_layer=@layer~forward .backward_layer=@backward_layer~backward
TimeDistributed        .layer=@layer
Wrapper                .layer=@layer
Pipeline               .pipeline_layers=@layers[]
MultiHeadAttention     .query_dense=EinsumDense~query .key_dense=EinsumDense~key .gate_dense=EinsumDense~gate?use_gate .value_dense=EinsumDense~value .output_dense=EinsumDense~attention_output
GroupedQueryAttention  .query_dense=EinsumDense~query .key_dense=EinsumDense~key .gate_dense=EinsumDense~gate?use_gate .value_dense=EinsumDense~value .output_dense=EinsumDense~attention_output
Highway@keras1         W(i,i) b(i)?use_bias W_carry(i,i) b_carry(i)?use_bias
MaxoutDense@keras1     kernel(_,i,u) bias(_,u)?use_bias
SReLU@keras1           t_left(*s) a_left(*s) t_right(*s) a_right(*s)
ParametricSoftplus@keras1  alphas(*s) betas(*s)
"""  # noqa: E501  # a line of the table is a class, however much it owns

_WEIGHTLESS_NAMES = """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AlphaDropout AugMix AutoContrast Average
AveragePooling1D AveragePooling2D AveragePooling3D CategoryEncoding CenterCrop Concatenate
ContrastLimitedAdaptiveHistogramEqualization Cropping1D Cropping2D Cropping3D CutMix Discretization Dot Dropout ELU
Equalization Flatten GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D HashedCrossing Hashing Identity InputLayer IntegerLookup Lambda
LeakyReLU Masking MaxNumBoundingBoxes MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp
Multiply Permute RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert
RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing STFTSpectrogram Softmax Solarization
SpatialDropout1D SpatialDropout2D SpatialDropout3D StringLookup Subtract TextVectorization ThresholdedReLU
UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
Merge TFOpLambda SlicingOpLambda TensorFlowOpLayer ClassMethod DynamicLookup PreprocessingLayer
"""

WEIGHTLESS = frozenset(_WEIGHTLESS_NAMES.split())

CELLS = frozenset({"LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell"})
"""What an attribute `cell` can hold, as far as it is built in and owns weights itself."""

OPEN = frozenset({"DenseFeatures", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper", "AbstractRNNCell", "Layer"})
"""Built in, and with weights that only the wrapped object knows."""

ALIASES = {
    "GroupQueryAttention": "GroupedQueryAttention",
    "SyncBatchNormalization": "BatchNormalization",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
    "ConvRecurrent2D": "ConvLSTM2D",
    "ConvLSTM1DCell": "ConvLSTMCell",
    "ConvLSTM2DCell": "ConvLSTMCell",
    "ConvLSTM3DCell": "ConvLSTMCell",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
}
"""Other names under which files know a class: public aliases, Keras 1 names, TensorFlow's versioned ones."""

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model", "Container", "Graph"})
"""Classes whose children are called by name: a graph or a list of layers."""

FLOATS = "float"


@dataclass(frozen=True, slots=True)
class Variable:
    """A weight that a class owns: role, symbolic dimensions, dtype ("float" for any), whether it is ever trained."""

    role: str
    dims: tuple[str, ...]
    dtype: str
    trained: bool
    condition: str | None


@dataclass(frozen=True, slots=True)
class SubLayer:
    """A sub-layer that a class holds.

    Attributes:
        attr: The attribute, without leading underscore.
        class_name: Its class, or None where the configuration says it.
        config_key: The key of its configuration, or None where it is configured as its parent is.
        is_list: Whether the key holds a list of them.
        legacy_name: What legacy files call it, or None where they use its own name.
        condition: A rule of `CONDITIONS`, or None.
    """

    attr: str
    class_name: str | None
    config_key: str | None
    is_list: bool
    legacy_name: str | None
    condition: str | None


@dataclass(frozen=True, slots=True)
class LayerClass:
    """A line of the table."""

    name: str
    mode: str | None
    variables: tuple[Variable, ...]
    sublayers: tuple[SubLayer, ...]


_VARIABLE = re.compile(r"(\w+)\(([^)]*)\)(?::(\w+))?(!)?(?:\?(\w+))?$")
_SUBLAYER = re.compile(r"\.(\w+)=(@?)(\w+)(\[\])?(?:~(\w+))?(?:\?(\w+))?$")


@functools.cache
def table() -> dict[str, tuple[LayerClass, ...]]:
    """Every built-in class with its variants, the unquantised one first."""
    found: dict[str, tuple[LayerClass, ...]] = {name: (LayerClass(name, None, (), ()),) for name in sorted(WEIGHTLESS)}
    for line in _TABLE.strip().splitlines():
        entry = _parsed(line)
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


def _parsed(line: str) -> LayerClass:
    head, *items = line.split()
    name, _, mode = head.partition("@")
    variables = []
    sublayers = []
    for item in items:
        if item.startswith("."):
            attr, from_config, target, is_list, legacy, condition = _matched(_SUBLAYER, item)
            target_class, key = (None, target) if from_config else (target, None)
            sublayers.append(SubLayer(attr, target_class, key, bool(is_list), legacy or None, condition or None))
        else:
            role, dims, dtype, frozen, condition = _matched(_VARIABLE, item)
            symbols = tuple(dims.split(",")) if dims else ()
            variables.append(Variable(role, symbols, dtype or FLOATS, not frozen, condition or None))
    return LayerClass(name, mode or None, tuple(variables), tuple(sublayers))


def _matched(pattern: re.Pattern[str], item: str) -> tuple[str, ...]:
    found = pattern.match(item)
    if found is None:
        raise ValueError(f"not an item of the layer table: {item}")
    return tuple(group or "" for group in found.groups())


def _block_size(config: Config) -> int:
    policy = config.get("dtype")
    inner = policy.get("config") if isinstance(policy, Mapping) else None
    mode = str(inner.get("mode")) if isinstance(inner, Mapping) else ""
    size = mode.partition("/")[2]
    return int(size) if size.lstrip("-").isdigit() else 0
