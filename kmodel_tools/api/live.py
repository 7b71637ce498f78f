"""Verbs about models that live in Keras."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kmodel_tools.api.arguments import Names, Readable, mapping_of, model_of, patterns_of
from kmodel_tools.tree import Model, join_path

if TYPE_CHECKING:
    from kmodel_tools.live.frameworks import LiveModel
    from kmodel_tools.matcher import Match


def from_keras(model: LiveModel) -> Model:
    """Describe a live model of Keras 3 (with any backend), tf_keras or Keras 2: whatever takes a `Model` takes it then.

    Every other verb takes the live model itself, too. Nothing is copied: a weight is read from its variable when it is asked for, and has
    the values that the variable has then. States of random generators and running values of metrics are left out, as they are in
    Keras's own files.

    Args:
        model: The model, also one of somebody's own class; its layers are found by the attributes that hold them.

    Raises:
        KmtError: It is no live model, or it is not built.
    """
    from kmodel_tools.live import from_keras as _from_keras

    return _from_keras(model)


def load_into(
    model: LiveModel,
    source: Readable,
    by: str = "name",
    mapping: Names | None = None,
    rename: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    on_mismatch: str = "error",
    strict: bool = False,
    optimizer: bool = False,
    averages: bool = False,
) -> Match:
    """Give the variables of a live model of Keras 3 or tf_keras the values of their partners in any file, in place.

    Everything is looked at before the first value is assigned; with an error, the model is as it was. A source of another generation is
    carried to that of the model first, where it has an architecture. Where weights of the model have no partner that fits, and stay as
    they were, a `UserWarning` says so, as one of Keras's own `load_weights` does; what `include` and `exclude` leave out does not count.

    Args:
        model: The live model; it has to be built.
        source: The path of a model in any readable format, a `Model`, or another live model.
        by: How to pair weights: `name`, `position`, `shape` or `auto`; see `match`.
        mapping: Paths in the live model by paths or keys of layers and weights of `source`, None for what is left out; or the path of
            a file that holds such a map.
        rename: `OLD=NEW` rules for the paths of `source`; `*` and `?`, or a regular expression after `re:`.
        include: Patterns (globs, or `re:` and a regular expression) of layers and weights to load.
        exclude: Patterns of layers and weights not to load.
        on_mismatch: Where shapes differ: `error`, `skip`, `slice` (the first part of what is larger) or `pad` (what is smaller takes the
            place of the first part).
        strict: Whether every weight of both must have a partner.
        optimizer: Whether to load the optimizer's state too, that of the weights that are loaded, its step counter and learning rate.
        averages: Whether the moving averages of weights take their place.

    Returns:
        The match of `source` (a) and the model (b): `pairs` were loaded, `mismatched` and `only_a` were not, and what is `only_b` is as
        it was.

    Raises:
        MatchError: No weight fits; with `error`, one does not; with `strict`, something is left over. It holds the match.
        KmtError: As `read`; the model is not built; a value cannot be read, or is beyond the precision of its variable; there is no
            optimizer's state that could be loaded; the map does not fit the source, or a pattern is none.
    """
    from kmodel_tools.editor import take_averages
    from kmodel_tools.live.loading import Loading
    from kmodel_tools.live.loading import load_into as _load_into
    from kmodel_tools.matcher.result import some

    origin = take_averages(model_of(source))[0] if averages else model_of(source)
    how = Loading(by, mapping_of(mapping), patterns_of(rename), patterns_of(include), patterns_of(exclude), on_mismatch, strict, optimizer)
    match = _load_into(model, origin, how)
    kept = [join_path(path) for path in (*(item.path for item in match.only_b), *(pair.path_b for pair in match.mismatched))]
    if kept:
        warnings.warn(
            f"{len(kept)} of {len(kept) + len(match.pairs)} weights of the model are as they were, having no partner in the source that "
            f"fits: {some(kept)}; the match that is returned says why",
            UserWarning,
            stacklevel=2,
        )
    return match
