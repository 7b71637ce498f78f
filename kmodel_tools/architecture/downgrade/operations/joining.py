"""Operations that join tensors, and cut them."""

from __future__ import annotations

import numpy as np

from kmodel_tools.architecture.downgrade.operations.building import Sizes, Tensor, Value
from kmodel_tools.architecture.downgrade.operations.calls import Call, Result, carries, kind_of, rank_of, shape_of, strong
from kmodel_tools.architecture.downgrade.operations.dtypes import result_type
from kmodel_tools.architecture.downgrade.operations.reductions import left


@carries("Concatenate", "Append", "Hstack", "Vstack")
def concatenate(call: Call) -> Result:
    """Tensors one behind the other along an axis, in the dtype that they become together."""
    items = [call.value(0, "x1"), call.value(1, "x2")] if call.kind == "Append" else call.items(0, "xs")
    axes = call.integers("axis", 0)
    if axes is None or not items:
        raise call.refuse("makes rows of its tensors before it joins them, which is not carried back")
    axis = axes[0]
    if call.kind in ("Hstack", "Vstack"):
        ranks = {rank_of(item) for item in items}
        if None in ranks or min(rank or 0 for rank in ranks) < (2 if call.kind == "Vstack" else 1):
            raise call.refuse("stacks tensors whose axes are too few, or not known")
        axis = 0 if call.kind == "Vstack" or ranks == {1} else 1
    items = _alike(call, items, result_type(*map(strong, items)))
    if len(items) == 1 and isinstance(items[0], Tensor):
        return call.b.same("identity", items[0])
    return call.b.op("concat", items, strong(items[0]), _joined([shape_of(item) for item in items], axis), axis=axis)


def _alike(call: Call, items: list[Value], dtype: str) -> list[Value]:
    """Tensors and constants of one dtype; TensorFlow takes that of a constant from the tensors beside it."""
    return [call.b.as_dtype(item, dtype) for item in items]


def _joined(shapes: list[Sizes | None], axis: int) -> Sizes | None:
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    found = [next((size for size in sizes if size is not None), None) for sizes in zip(*known, strict=True)]
    along = [shape[axis] for shape in known]
    found[axis] = None if None in along else sum(size for size in along if size is not None)
    return tuple(found)


@carries("Stack")
def stack(call: Call) -> Result:
    """Tensors along a new axis."""
    items, axis = call.items(0, "x"), call.axis(default=0)
    items = _alike(call, items, result_type(*map(kind_of, items)))
    inner = next((sizes for item in items if (sizes := shape_of(item)) is not None), None)
    shape: list[int | None] | None = None
    if inner is not None:
        shape = list(inner)
        shape.insert(axis if axis >= 0 else len(inner) + 1 + axis, len(items))
    tensor = next(item for item in items if isinstance(item, Tensor))
    return call.b.op("stack", items, tensor.dtype, shape, axis=axis)


@carries("Unstack")
def unstack(call: Call) -> Result:
    """The tensors that an axis holds."""
    x, axis, count = call.tensor(), call.axis(default=0), call.setting("num")
    size = count if isinstance(count, int) else call.sizes(x)[axis]
    if size is None:
        raise call.refuse("takes an axis apart whose size is known only at run time")
    return call.b.ops("unstack", x, size, shape=left(x.shape, axis, False), num=size, axis=axis)


@carries("Split", "ArraySplit", "Hsplit", "Vsplit")
def split(call: Call) -> Result:
    """An axis in equal parts, or cut at given places."""
    x, cuts = call.tensor(), call.axes("indices_or_sections")
    axis = {"Vsplit": 0, "Hsplit": 0 if x.rank == 1 else 1}.get(call.kind, call.axis(default=0) if "axis" in call.settings else 0)
    whole = None if x.shape is None else x.shape[axis]
    if isinstance(cuts, int):
        if call.kind == "ArraySplit" and (whole is None or whole % cuts):
            raise call.refuse("cuts an axis in parts that are not equal, which is not carried back")
        count, part = cuts, None if whole is None else whole // cuts
        return call.b.ops("split", x, count, shape=_resized(x.shape, axis, part), num_or_size_splits=count, axis=axis)
    if whole is None:
        raise call.refuse("cuts an axis whose size is known only at run time")
    ends = [0, *(cut if cut >= 0 else whole + cut for cut in cuts or []), whole]
    sizes = np.diff(ends).tolist()
    if any(size < 0 for size in sizes):
        raise call.refuse(f"cuts an axis of {whole} at {cuts}, which no operation of TensorFlow does")
    found = call.b.ops("split", x, len(sizes), num_or_size_splits=sizes, axis=axis)
    return [Tensor(item.ref, x.dtype, _resized(x.shape, axis, size)) for item, size in zip(found, sizes, strict=True)]


def _resized(shape: Sizes | None, axis: int, size: int | None) -> Sizes | None:
    if shape is None:
        return None
    found = list(shape)
    found[axis] = size
    return tuple(found)
