"""Where the operations of Keras 3 are at home, for files that do not say it.

A legacy HDF5 file of Keras 3 leaves out the module of everything in a graph, of operations too, so that Keras does not load such a
file of its own: `Unknown layer: 'NotEqual'`, and of one that is called as a layer is, `too many positional arguments`.

::

    .keras    {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}, "registered_name": "Add", …}
    .h5       {"class_name": "Add", "config": {"name": "add"}, …}                                                  an operation
    .h5       {"class_name": "Add", "config": {"name": "add", "trainable": true, "dtype": {…}}, …}                 a layer

Source: Keras 3.15.1 `models/functional.py`, `get_config`; `ops/operation.py`, `get_config`; `layers/layer.py`, `get_config`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kmodel_tools.architecture.envelope import Config, iter_mappings

_CLASSES = """
core: AssociativeScan Cast Cond ConvertToTensor ForiLoop Map SaturateCast Scan Scatter ScatterUpdate Slice SliceUpdate
    StopGradient Switch Unstack VectorizedMap WhileLoop
einops: Rearrange
image: AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages
    PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges
linalg: Cholesky CholeskyInverse Det Eig Eigh Inv JVP Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve SolveTriangular
math: CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt STFT SegmentMax
    SegmentMin SegmentProd SegmentSum TopK ViewAsComplex ViewAsReal
nn: AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss CategoricalCrossentropy Celu
    Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh
    LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu
    SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy SparsePlus
    SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
numpy: Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax
    Argmin Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr
    BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy Corrcoef Correlate Cos Cosh
    CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack Einsum
    EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Full FullLike Gcd Geomspace
    GetItem Greater GreaterEqual Heaviside Histogram Hsplit Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan Isneginf
    Isposinf Isreal Kron Lcm Ldexp LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd
    LogicalNot LogicalOr LogicalXor Logspace Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum
    Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum
    Nanvar Ndim Negative Nextafter Nonzero NotEqual OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel Real
    Reciprocal Repeat Reshape RightShift Roll Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split
    Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose Trapezoid Tril
    Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack Where ZerosLike
"""
"""The operations of each module of `keras.src.ops` (3.15.1); the tests compare it with the release that is installed."""


def _by_class() -> dict[str, str]:
    found = {}
    module = ""
    for word in _CLASSES.split():
        if word.endswith(":"):
            module = f"keras.src.ops.{word[:-1]}"
        else:
            found[word] = module
    return found


MODULES = _by_class()


def tell_modules(architecture: Config) -> None:
    """Put the module of each operation into a configuration of Keras 3, in place, as archives have it; one of Keras 2 stays as it is.

    An operation is a node of a graph, of such a class, whose settings do not say whether it is trained, which those of a layer do.
    """
    for node in list(iter_mappings(architecture)):
        kind, settings, calls = (node.get(key) for key in ("class_name", "config", "inbound_nodes"))
        if not isinstance(node, dict) or "module" in node or not isinstance(kind, str) or kind not in MODULES:
            continue
        of_keras_3 = isinstance(calls, list) and all(isinstance(call, Mapping) and "args" in call for call in calls)
        if of_keras_3 and isinstance(settings, Mapping) and "trainable" not in settings:
            node |= {"module": MODULES[kind], "registered_name": kind}
