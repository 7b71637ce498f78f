"""TensorFlowOpLayer of TensorFlow 1.14 to 2.3: an operation of a graph as its own node says it.

::

    {"node_def": {"op": "AddV2", "input": ["x", "AddV2/y"], "attr": {"T": {"type": "DT_FLOAT"}}}, "constants": {"1": 1.0}}

The inputs are tensors in order, with constants put in at their places. Numbers of attributes are written as text, texts in
base64, as protobuf writes JSON.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from kmodel_tools.architecture.upgrade.draft import Json
from kmodel_tools.architecture.upgrade.operations.building import Builder
from kmodel_tools.architecture.upgrade.operations.calls import Call, dtype_name
from kmodel_tools.architecture.upgrade.operations.values import Value

_TABLE = """
AddV2 Add: math.add x y | Sub: math.subtract x y | Mul: math.multiply x y | RealDiv Div: RealDiv x y | DivNoNan: math.divide_no_nan x y
FloorDiv: math.floordiv x y | FloorMod: math.floormod x y | Pow: math.pow x y | Maximum: math.maximum x y | Minimum: math.minimum x y
SquaredDifference: math.squared_difference x y | Atan2: math.atan2 x y | Xdivy: math.xdivy x y | Xlogy: math.xlogy x y
MulNoNan: math.multiply_no_nan x y
Equal: math.equal x y | NotEqual: math.not_equal x y | Greater: math.greater x y | GreaterEqual: math.greater_equal x y
Less: math.less x y | LessEqual: math.less_equal x y | LogicalAnd: math.logical_and x y | LogicalOr: math.logical_or x y
LogicalNot: math.logical_not x | Neg: math.negative x | Abs: math.abs x | Square: math.square x | Sqrt: math.sqrt x | Rsqrt: math.rsqrt x
Exp: math.exp x | Expm1: math.expm1 x | Log: math.log x | Log1p: math.log1p x | Sin: math.sin x | Cos: math.cos x | Tan: math.tan x
Asin: math.asin x | Acos: math.acos x | Atan: math.atan x | Sinh: math.sinh x | Cosh: math.cosh x | Tanh: math.tanh x
Asinh: math.asinh x | Acosh: math.acosh x | Atanh: math.atanh x
EuclideanNorm: math.reduce_euclidean_norm x axis keepdims=keep_dims | Erf: math.erf x | Floor: math.floor x | Ceil: math.ceil x | Round Rint: math.round x | Sign: math.sign x
Reciprocal Inv: math.reciprocal x | Sigmoid: math.sigmoid x | Relu: nn.relu x | Relu6: nn.relu6 x | Elu: nn.elu x | Selu: nn.selu x
Softplus: math.softplus x | Softsign: nn.softsign x | LeakyRelu: nn.leaky_relu x alpha=alpha | Softmax: nn.softmax x | LogSoftmax: nn.log_softmax x
IsNan: math.is_nan x | IsInf: math.is_inf x | IsFinite: math.is_finite x | StopGradient: stop_gradient x
Identity Snapshot PreventGradient CheckNumerics EnsureShape: identity x | Cast: cast x dtype=DstT
ClipByValue: clip_by_value x clip_value_min clip_value_max | SelectV2: where x x y | Select: select x x y
Sum: reduce_sum x axis keepdims=keep_dims | Mean: reduce_mean x axis keepdims=keep_dims | Max: reduce_max x axis keepdims=keep_dims
Min: reduce_min x axis keepdims=keep_dims | Prod: reduce_prod x axis keepdims=keep_dims | All: reduce_all x axis keepdims=keep_dims
Any: reduce_any x axis keepdims=keep_dims | ArgMax: math.argmax x axis output_type=output_type | ArgMin: math.argmin x axis output_type=output_type
Cumsum: math.cumsum x axis exclusive=exclusive reverse=reverse | Cumprod: math.cumprod x axis exclusive=exclusive reverse=reverse
TopKV2: math.top_k x k sorted=sorted
Shape: shape x out_type=out_type | Size: size x out_type=out_type | Rank: rank x | Reshape: reshape x shape | Transpose: transpose x perm
ExpandDims: expand_dims x axis | Squeeze: squeeze x axis=squeeze_dims | Pack: stack * axis=axis | Unpack: unstack x axis=axis num=num
ConcatV2: concat *axis | Split: split axis x num_or_size_splits=num_split | SplitV: split x num_or_size_splits axis
Tile: tile x multiples | BroadcastTo: broadcast_to x shape | Pad: pad x paddings | PadV2: pad x paddings constant_values
MirrorPad: pad x paddings mode=mode | ReverseV2: reverse x axis | Roll: roll x shift axis
StridedSlice: strided_slice x begin end strides begin_mask=begin_mask end_mask=end_mask ellipsis_mask=ellipsis_mask new_axis_mask=new_axis_mask shrink_axis_mask=shrink_axis_mask
Slice: slice x begin size | GatherV2: gather x indices axis batch_dims=batch_dims | OneHot: one_hot x depth on_value off_value axis=axis
MatMul: linalg.matmul x b transpose_a=transpose_a transpose_b=transpose_b | BatchMatMul BatchMatMulV2: linalg.matmul x b adjoint_a=adj_x adjoint_b=adj_y
Einsum: einsum equation * | AddN: math.add_n * | BiasAdd: nn.bias_add x bias data_format=data_format
Conv2D: nn.conv2d x filters strides=strides padding=padding data_format=data_format dilations=dilations
DepthwiseConv2dNative: nn.depthwise_conv2d x filters strides=strides padding=padding data_format=data_format dilations=dilations
MaxPool: nn.max_pool2d x ksize=ksize strides=strides padding=padding data_format=data_format
AvgPool: nn.avg_pool2d x ksize=ksize strides=strides padding=padding data_format=data_format
DepthToSpace: nn.depth_to_space x block_size=block_size data_format=data_format | SpaceToDepth: nn.space_to_depth x block_size=block_size data_format=data_format
ResizeBilinear: image.resize_bilinear x size align_corners=align_corners half_pixel_centers=half_pixel_centers
ResizeNearestNeighbor: image.resize_nearest_neighbor x size align_corners=align_corners half_pixel_centers=half_pixel_centers
ResizeBicubic: image.resize_bicubic x size align_corners=align_corners half_pixel_centers=half_pixel_centers
ZerosLike: zeros_like x | OnesLike: ones_like x | Fill: fill x value | Range: range x limit delta
MatrixDiagV3 MatrixDiagV2: linalg.diag x k num_rows num_cols padding_value align=align | MatrixDiagPartV3 MatrixDiagPartV2: linalg.diag_part x k padding_value align=align
MatrixDeterminant: linalg.det x | ExtractImagePatches: image.extract_patches x sizes=ksizes strides=strides rates=rates padding=padding
RandomStandardNormal: random.normal x dtype=dtype
RandomUniform: random.uniform x dtype=dtype | RGBToHSV: image.rgb_to_hsv x | HSVToRGB: image.hsv_to_rgb x
AdjustContrastv2: image.adjust_contrast x contrast_factor | AdjustHue: image.adjust_hue x delta | AdjustSaturation: image.adjust_saturation x factor
ScaleAndTranslate: ScaleAndTranslate x size scale translation kernel_type=kernel_type antialias=antialias
SoftmaxCrossEntropyWithLogits: SoftmaxCrossEntropyWithLogits x labels | SparseSoftmaxCrossEntropyWithLogits: SparseSoftmaxCrossEntropyWithLogits x labels
L2Loss: nn.l2_loss x | LRN: nn.local_response_normalization x depth_radius=depth_radius bias=bias alpha=alpha beta=beta
Conv2DBackpropInput: nn.conv2d_transpose output_shape filters x strides=strides padding=padding data_format=data_format dilations=dilations
Conv3DBackpropInputV2: nn.conv3d_transpose output_shape filters x strides=strides padding=padding data_format=data_format dilations=dilations
Conv3D: nn.conv3d x filters strides=strides padding=padding data_format=data_format dilations=dilations
MaxPool3D: nn.max_pool3d x ksize=ksize strides=strides padding=padding data_format=data_format
AvgPool3D: nn.avg_pool3d x ksize=ksize strides=strides padding=padding data_format=data_format
GatherNd: gather_nd x indices | ScatterNd: scatter_nd x updates shape | UnsortedSegmentSum: math.unsorted_segment_sum x segment_ids num_segments
TensorScatterUpdate: tensor_scatter_nd_update x indices updates | TensorScatterAdd: tensor_scatter_nd_add x indices updates
TensorScatterSub: tensor_scatter_nd_sub x indices updates | InTopKV2: math.in_top_k predictions targets k | Erfc: math.erfc x
Cholesky: linalg.cholesky x | MatrixSolve: linalg.solve x rhs adjoint=adjoint | Cross: linalg.cross x b | Qr: linalg.qr x full_matrices=full_matrices
MatrixTriangularSolve: linalg.triangular_solve x rhs lower=lower adjoint=adjoint | Svd: linalg.svd x full_matrices=full_matrices compute_uv=compute_uv
SelfAdjointEigV2: linalg.eigh x | MatrixSetDiagV3 MatrixSetDiagV2: linalg.set_diag x diagonal k align=align | MatrixSetDiag: linalg.set_diag x diagonal
BitwiseAnd: bitwise.bitwise_and x y | BitwiseOr: bitwise.bitwise_or x y | BitwiseXor: bitwise.bitwise_xor x y | Invert: bitwise.invert x
LeftShift: bitwise.left_shift x y | RightShift: bitwise.right_shift x y | Xlog1py: math.xlog1py x y | TruncateMod: truncatemod x y
MatrixBandPart: linalg.band_part x num_lower num_upper | MatrixDiagPart: linalg.diag_part x | MatrixInverse: linalg.inv x
"""  # noqa: E501  # a row says one operation
"""Operations of graphs: the function that does the same, then its arguments: inputs in order, `name=attribute`, `*` for all inputs.

The first input that is named `x` is the first argument. Source: `tensorflow/core/ops/*.cc` of TensorFlow 2.3.
"""


def _rows() -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for item in _TABLE.replace("\n", "|").split("|"):
        names, _, rest = item.partition(":")
        for name in names.split():
            function, *arguments = rest.split()
            found[name] = (function, tuple(arguments))
    return found


ROWS = _rows()


def call_of_node(node: Mapping[str, Any], inputs: Sequence[Value], b: Builder) -> Call:
    """The call that a node of a graph is.

    Args:
        node: Its `node_def`.
        inputs: What it is called on, constants put in.
        b: Makes operations.

    Raises:
        UpgradeError: Nothing of Keras 3 does what it does.
    """
    op = node.get("op")
    if op not in ROWS:
        raise b.refuse("does what no operation of Keras 3 does")
    function, arguments = ROWS[op]
    attributes = {name: _attribute(value) for name, value in (node.get("attr") or {}).items() if isinstance(value, Mapping)}
    left = list(inputs)
    first: Value = None
    rest: Json = {}
    for place, argument in enumerate(arguments):
        name, _, attribute = argument.partition("=")
        if attribute:
            rest[name] = attributes.get(attribute)
        elif argument == "*axis":
            first, rest["axis"] = left[:-1], left[-1] if left else None
        elif argument == "*":
            first, left = (first, []) if function == "einsum" else (left, [])
            rest |= {"inputs": list(inputs)} if function == "einsum" else {}
        elif name == "equation":
            first = attributes.get("equation")
        elif left:
            value = left.pop(0)
            if first is None and (name == "x" or (place == 0 and "x" not in arguments)):
                first = value
            else:
                rest[name] = value
    if function == "squeeze" and rest.get("axis") == []:
        rest["axis"] = None
    return Call(function, False, first, rest, b)


def _attribute(value: Mapping[str, Any]) -> Any:
    """The value of an attribute: `{"i": "1"}`, `{"type": "DT_FLOAT"}`, `{"list": {"i": ["1", "2"]}}`, `{"s": "U0FNRQ=="}`."""
    for key, item in value.items():
        if key == "list":
            return [_one(kind, inner) for kind, items in item.items() for inner in items] if isinstance(item, Mapping) else None
        return _one(key, item)
    return None


def _one(kind: str, item: Any) -> Any:
    if kind == "i":
        return int(item)
    if kind == "f":
        return float(item)
    if kind == "type":
        return dtype_name(item)
    if kind == "s":
        try:
            return base64.b64decode(item, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, TypeError):
            return None
    return item if kind == "b" else None
