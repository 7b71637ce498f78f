"""HDF5's element types and strings as this package's."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5t

from kmodel_tools.tensor import DType

# What h5py raises for a damaged file: libhdf5's errors come as any of these, by its own table of error classes.
H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, NotImplementedError)

_INTEGERS = {
    (1, True): DType.INT8,
    (2, True): DType.INT16,
    (4, True): DType.INT32,
    (8, True): DType.INT64,
    (1, False): DType.UINT8,
    (2, False): DType.UINT16,
    (4, False): DType.UINT32,
    (8, False): DType.UINT64,
}
# (bytes, exponent bits, mantissa bits): float16 and bfloat16 have the same size.
_FLOATS = {
    (8, 11, 52): DType.FLOAT64,
    (4, 8, 23): DType.FLOAT32,
    (2, 5, 10): DType.FLOAT16,
    (2, 8, 7): DType.BFLOAT16,
    (1, 4, 3): DType.FLOAT8_E4M3FN,
    (1, 5, 2): DType.FLOAT8_E5M2,
}
OPAQUE_NAMES = {dtype.value: dtype for dtype in (DType.BFLOAT16, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2, DType.INT4, DType.UINT4)}
"""What HDF5 has no type for; Keras stores it as opaque bytes with the dtype's name in an attribute (saving_lib.py, H5IOStore)."""


def dtype_of(datatype: h5t.TypeID, dataset: h5d.DatasetID) -> tuple[DType, bool]:
    """The element type, and whether the bytes on disk are its canonical ones."""
    size = datatype.get_size()
    if isinstance(datatype, h5t.TypeIntegerID):
        dtype = _INTEGERS.get((size, datatype.get_sign() == h5t.SGN_2))
        return (dtype or DType.OPAQUE), datatype.get_order() == h5t.ORDER_LE
    if isinstance(datatype, h5t.TypeFloatID):
        _, _, exponent, _, mantissa = datatype.get_fields()
        return _FLOATS.get((size, exponent, mantissa), DType.OPAQUE), datatype.get_order() == h5t.ORDER_LE
    if isinstance(datatype, h5t.TypeEnumID):
        base, native = dtype_of(datatype.get_super(), dataset)
        names = {datatype.get_member_name(index) for index in range(datatype.get_nmembers())}
        return (DType.BOOL if names == {b"FALSE", b"TRUE"} and size == 1 else base), native
    if isinstance(datatype, h5t.TypeOpaqueID):
        name = decoded(h5py.Dataset(dataset).attrs.get("dtype", ""))
        dtype = OPAQUE_NAMES.get(str(name), DType.OPAQUE)
        return (dtype if dtype.itemsize == size else DType.OPAQUE), True
    if isinstance(datatype, h5t.TypeStringID):
        return DType.STRING, False
    if isinstance(datatype, h5t.TypeCompoundID):
        members = [datatype.get_member_name(index) for index in range(datatype.get_nmembers())]
        if members == [b"r", b"i"] and size in (8, 16):
            little = datatype.get_member_type(0).get_order() == h5t.ORDER_LE
            return (DType.COMPLEX64 if size == 8 else DType.COMPLEX128), little
    return DType.OPAQUE, False


def text_of(name: bytes) -> str:
    """A name from a file as text; what is not UTF-8 keeps its bytes as surrogates, so that it can be written back."""
    return name.decode("utf-8", "surrogateescape")


def decoded(value: Any) -> Any:
    """An attribute's value with its strings decoded; None for an empty one."""
    if isinstance(value, (bytes, np.bytes_)):
        return text_of(bytes(value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return np.array([decoded(item) for item in value.ravel().tolist()], dtype=object).reshape(value.shape)
    if isinstance(value, h5py.Empty):
        return None
    return value
