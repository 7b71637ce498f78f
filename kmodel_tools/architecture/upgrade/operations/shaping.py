"""Operations that move elements: reshape, transpose, join and cut, repeat, pad, flip."""

from __future__ import annotations

from collections.abc import Sequence

from kmodel_tools.architecture.upgrade.operations.building import MAX_OUTPUTS
from kmodel_tools.architecture.upgrade.operations.calls import Call, carries, short
from kmodel_tools.architecture.upgrade.operations.values import (
    BATCH,
    Dim,
    Shape,
    ShapeOf,
    Symbol,
    Tensor,
    Value,
    dims_of,
    product,
    quotient,
)

Sizes = list[Dim | None]


@carries("reshape", "keras.backend.reshape")
def reshape(call: Call) -> Value:
    """Another shape, whose sizes may be those of a tensor.

    `Reshape` of Keras's operations takes numbers and one -1; its layer of that name keeps the batch besides. Where as many
    elements go in as come out, and all sizes but one are known, the last one follows.
    """
    x, value = call.x(), call.take("shape")
    if isinstance(value, ShapeOf) and value.tensor.history == x.history:
        return call.b.op("Copy", x)
    target = dims_of(value)
    if target is None:
        raise call.refuse(f"reshapes to {short(value)}, of which the file does not say how many sizes it has")
    return reshaped(call, x, target)


def reshaped(call: Call, x: Tensor, target: Sequence[Dim]) -> Tensor:
    """A tensor under another shape, in which one size may be -1."""
    left = [size for size in target if size != -1]
    sizes: Sizes = list(target)
    if len(left) < len(target):
        sizes[target.index(-1)] = None if x.shape is None else quotient(x.shape, left)
    open_at = [index for index, size in enumerate(sizes) if not isinstance(size, int)]
    if len(open_at) <= 1:
        return call.b.op("Reshape", x, shape=sizes, newshape=[size if isinstance(size, int) else -1 for size in sizes])
    keeps_batch = open_at[0] == 0 and sizes[0] is not None and sizes[0] == x.size(0)
    if keeps_batch and len(open_at) == 2:
        rest = [size if isinstance(size, int) else -1 for size in sizes[1:]]
        return call.b.layer("Reshape", x, shape=sizes, target_shape=rest)
    found = _around_one(call, x, sizes)
    if found is None:
        raise call.refuse("reshapes to several sizes that are known only at run time, which no operation of Keras 3 does")
    return found


def _around_one(call: Call, x: Tensor, target: Sizes) -> Tensor | None:
    """A new shape on both sides of an axis that stays: it is put where the batch is, which the layer Reshape keeps.

    Returns:
        None if there is no such axis, or more than one size is open besides.
    """
    known = [size for size in target if size is not None]
    if x.shape is None or len(known) < len(target):
        return None
    for place, size in enumerate(known):
        for axis, old in enumerate(x.shape):
            same = isinstance(size, Symbol) and size == old
            if same and quotient(x.shape[:axis], known[:place]) == 1 and quotient(x.shape[axis + 1 :], known[place + 1 :]) == 1:
                rest = [*known[:place], *known[place + 1 :]]
                if sum(isinstance(item, Symbol) for item in rest) > 1:
                    continue
                first = call.b.op("Moveaxis", x, shape=[old, *x.shape[:axis], *x.shape[axis + 1 :]], source=axis, destination=0)
                inner = [item if isinstance(item, int) else -1 for item in rest]
                middle = call.b.layer("Reshape", first, shape=[old, *rest], target_shape=inner)
                return call.b.op("Moveaxis", middle, shape=target, source=0, destination=place)
    return None


@carries("keras.backend.batch_flatten", "keras.backend.flatten")
def flatten(call: Call) -> Value:
    """All axes as one, or all but the batch."""
    x = call.x()
    if call.function.endswith(".flatten"):
        return reshaped(call, x, [-1])
    if x.shape is not None and len(x.shape) == 2:
        return call.b.op("Copy", x)
    return call.b.layer("Flatten", x, shape=None if x.shape is None else [x.shape[0], product(x.shape[1:])])


@carries("transpose", "keras.backend.permute_dimensions", "linalg.matrix_transpose")
def transpose(call: Call) -> Value:
    """Another order of axes; all the other way round by default."""
    x = call.x()
    if call.function == "linalg.matrix_transpose":
        return swapped(call, x)
    axes = call.integers("perm", "pattern", default=None)
    if x.shape is not None and axes is None:
        return call.b.op("Transpose", x, shape=x.shape[::-1], axes=None)
    shape = None if x.shape is None or axes is None else [x.shape[axis] for axis in axes]
    return call.b.op("Transpose", x, shape=shape, axes=axes)


def swapped(call: Call, x: Tensor) -> Tensor:
    """The last two axes the other way round."""
    shape = None if x.shape is None else (*x.shape[:-2], x.shape[-1], x.shape[-2])
    return call.b.op("Swapaxes", x, shape=shape, axis1=-1, axis2=-2)


@carries("expand_dims", "keras.backend.expand_dims")
def expand_dims(call: Call) -> Value:
    """A new axis of one."""
    x, axis = call.x(), call.one_axis("axis", "dim", default=-1)
    return call.b.op("ExpandDims", x, shape=_expanded(x.shape, axis), axis=axis)


def _expanded(shape: Shape | None, axis: int) -> Sizes | None:
    if shape is None:
        return None
    found: Sizes = list(shape)
    found.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return found


@carries("squeeze", "keras.backend.squeeze")
def squeeze(call: Call) -> Value:
    """Without some axes of one, or without all of them."""
    x, axes = call.x(), call.integers("axis", "squeeze_dims", default=None)
    if not axes:
        if x.shape is None or any(isinstance(size, Symbol) and size != BATCH for size in x.shape):
            raise call.refuse("leaves out whatever axes are 1, and which are is known only at run time")
        axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    if not axes:
        return call.b.op("Copy", x)
    rank = 0 if x.shape is None else len(x.shape)
    shape = None if x.shape is None else [size for axis, size in enumerate(x.shape) if axis not in {item % rank for item in axes}]
    return call.b.op("Squeeze", x, shape=shape, axis=axes[0] if len(axes) == 1 else axes)


# Joining and cutting.


@carries("concat", "keras.backend.concatenate")
def concat(call: Call) -> Value:
    """Tensors one behind the other along an axis."""
    items = _alike(call)
    axis = call.one_axis("axis", "concat_dim", default=-1)
    if len(items) == 1:
        return call.b.op("Copy", items[0])
    return call.b.op("Concatenate", items, shape=joined([item.shape for item in items], axis), dtype=items[0].dtype, axis=axis)


def joined(shapes: Sequence[Shape | None], axis: int) -> Sizes | None:
    """The shape of tensors that are joined along an axis."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or not all(-len(shape) <= axis < len(shape) for shape in known):
        return None
    found: Sizes = list(known[0])
    for place in range(len(found)):  # a size that one of them knows is that of all
        found[place] = next((shape[place] for shape in known if isinstance(shape[place], int)), found[place])
    total = [shape[axis] for shape in known]
    found[axis] = sum(size for size in total if isinstance(size, int)) if all(isinstance(size, int) for size in total) else None
    return found


def _alike(call: Call) -> list[Tensor]:
    """The list that it is called on, as tensors of one dtype."""
    items = call.items()
    like = next((item for item in items if isinstance(item, Tensor)), None)
    return [call.tensor(item, like) for item in items]


@carries("stack", "keras.backend.stack")
def stack(call: Call) -> Value:
    """Tensors along a new axis; one tensor is taken for the list of its rows."""
    axis = call.one_axis("axis", default=0)
    if isinstance(call.first, Tensor):
        x = call.first
        order = None if x.shape is None else list(x.shape[1:])
        if order is not None and x.shape:
            order.insert(axis if axis >= 0 else len(x.shape) + axis, x.shape[0])
        return call.b.op("Moveaxis", x, shape=order, source=0, destination=axis)
    items = _alike(call)
    return call.b.op("Stack", items, shape=_stacked(items, axis), dtype=items[0].dtype, axis=axis)


def _stacked(items: Sequence[Tensor], axis: int) -> Sizes | None:
    shape = next((item.shape for item in items if item.shape is not None), None)
    found = _expanded(shape, axis)
    if found is not None:
        found[axis] = len(items)
    return found


@carries("unstack")
def unstack(call: Call) -> Value:
    """The tensors that an axis holds."""
    x, axis, count = call.x(), call.one_axis("axis", default=0), call.number("num", default=None)
    size = x.size(axis) if count is None else count
    if not isinstance(size, int):
        raise call.refuse("takes an axis apart whose size is known only at run time")
    shape = _without(x.shape, axis)
    return call.b.ops("Unstack", x, shapes=[shape] * min(size, MAX_OUTPUTS + 1), num=size, axis=axis)


def _without(shape: Shape | None, axis: int) -> Sizes | None:
    return None if shape is None else [size for place, size in enumerate(shape) if place != axis % len(shape)]


@carries("split")
def split(call: Call) -> Value:
    """An axis in equal parts, or in parts of given sizes, one of which may be -1.

    Keras is given the places where it cuts.
    """
    call.take("num")
    x, axis = call.x(), call.one_axis("axis", "split_dim", default=0)
    parts = call.integers("num_or_size_splits", "num_split", "size_splits")
    given = call.rest.get("num_or_size_splits", call.rest.get("num_split", call.rest.get("size_splits")))
    whole = x.size(axis)
    if not isinstance(given, list) and parts:
        size = whole // parts[0] if isinstance(whole, int) and parts[0] > 0 else None
        return call.b.ops(
            "Split", x, shapes=[resized(x.shape, axis, size)] * min(parts[0], MAX_OUTPUTS + 1), indices_or_sections=parts[0], axis=axis
        )
    sizes = list(parts or ())
    if -1 in sizes:
        if not isinstance(whole, int):
            raise call.refuse("cuts an axis whose size is known only at run time")
        sizes[sizes.index(-1)] = whole - sum(size for size in sizes if size != -1)
    cuts = [sum(sizes[: index + 1]) for index in range(len(sizes) - 1)]
    return call.b.ops("Split", x, shapes=[resized(x.shape, axis, size) for size in sizes], indices_or_sections=cuts, axis=axis)


def resized(shape: Shape | None, axis: int, size: Dim | None) -> Sizes | None:
    """A shape with another size along an axis."""
    if shape is None:
        return None
    found: Sizes = list(shape)
    found[axis] = size
    return found


@carries("reverse", "keras.backend.reverse")
def reverse(call: Call) -> Value:
    """The other way round along some axes."""
    x, axes = call.x(), call.integers("axis", "axes", "dims")
    return call.b.op("Flip", x, axis=axes)


@carries("roll")
def roll(call: Call) -> Value:
    """Shifted along axes, what falls out coming in at the other end."""
    x, shift, axis = call.x(), call.integers("shift"), call.integers("axis")
    one = len(shift or ()) == 1 and len(axis or ()) == 1
    return call.b.op("Roll", x, shift=(shift or [0])[0] if one else shift, axis=(axis or [0])[0] if one else axis)
