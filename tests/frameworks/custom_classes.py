"""Classes and functions of somebody's own, written once for tf_keras and Keras 3: the same arithmetic on both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def custom_classes(keras: Any) -> SimpleNamespace:
    """The classes, derived from those of a framework."""
    layers = keras.layers
    in_keras_3 = keras.__name__ == "keras"

    class Scaled(keras.layers.Layer):  # type: ignore[misc]  # frameworks have no types
        """Its own weights, the one that is not trained first, all of one shape."""

        def __init__(self, factor: float = 1.0, initializer: Any = "ones", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor
            self.initializer = keras.initializers.get(initializer)

        def build(self, shape: Any) -> None:
            self.count = self.add_weight(name="count", shape=(shape[-1],), initializer="ones", trainable=False)
            self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer=self.initializer)
            self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer="zeros")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return (x * self.scale + self.shift * 0.5 + self.count * 0.25) * self.factor

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor, "initializer": keras.initializers.serialize(self.initializer)}

    class Block(keras.layers.Layer):  # type: ignore[misc]  # as above
        """Layers under attributes, one of them private, two in a list, beside a weight of its own."""

        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.up = layers.Dense(units, activation="tanh", name="up")
            self._norm = layers.BatchNormalization(name="norm")
            self.rest = [layers.Dense(units, name="one"), layers.Dense(units, name="two")]

        def build(self, shape: Any) -> None:
            self.gain = self.add_weight(name="gain", shape=(self.units,), initializer="ones")
            if in_keras_3:
                self.up.build(shape)
                for layer in (self._norm, *self.rest):
                    layer.build((None, self.units))
            super().build(shape)

        def call(self, x: Any, training: bool = False) -> Any:
            y = self._norm(self.up(x), training=training) * self.gain
            return self.rest[1](self.rest[0](y))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Residual(keras.layers.Wrapper):  # type: ignore[misc]  # as above
        """A wrapper with a weight of its own."""

        def build(self, shape: Any = None) -> None:
            self.gain = self.add_weight(name="gain", shape=(), initializer="ones")
            super().build(shape)

        def call(self, x: Any) -> Any:
            return x * self.gain + self.layer(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    class Squared(keras.layers.Dense):  # type: ignore[misc]  # as above
        """Derived from a built-in class."""

        def __init__(self, units: int, power: float = 1.0, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)
            self.power = power

        def call(self, x: Any) -> Any:
            return super().call(x) * self.power

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "power": self.power}

    class Cell(keras.layers.Layer):  # type: ignore[misc]  # as above
        """A recurrent cell."""

        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = self.state_size = self.output_size = units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
            self.turn = self.add_weight(name="turn", shape=(self.units, self.units))
            super().build(shape)

        def call(self, x: Any, states: Any, training: bool = False) -> Any:
            import tensorflow as tf

            state = tf.tanh(tf.matmul(x, self.kernel) + tf.matmul(states[0], self.turn))
            return state, [state]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Even(keras.initializers.Initializer):  # type: ignore[misc]  # as above
        def __init__(self, value: float = 0.5) -> None:
            self.value = value

        def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
            import tensorflow as tf

            return tf.fill(shape, self.value)

        def get_config(self) -> dict[str, Any]:
            return {"value": self.value}

    class Small(keras.regularizers.Regularizer):  # type: ignore[misc]  # as above
        def __call__(self, x: Any) -> Any:
            import tensorflow as tf

            return 0.01 * tf.reduce_sum(x * x)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Capped(keras.constraints.Constraint):  # type: ignore[misc]  # as above
        def __call__(self, w: Any) -> Any:
            import tensorflow as tf

            return tf.clip_by_value(w, -2.0, 2.0)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Absolute(keras.losses.Loss):  # type: ignore[misc]  # as above
        def call(self, y_true: Any, y_pred: Any) -> Any:
            import tensorflow as tf

            return tf.reduce_mean(tf.abs(y_true - y_pred), -1)

    class Net(keras.Model):  # type: ignore[misc]  # as above
        """A graph under another name."""

    def swish6(x: Any) -> Any:
        import tensorflow as tf

        return x * tf.nn.relu6(x + 3.0) / 6.0

    def distance(y_true: Any, y_pred: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_mean(tf.abs(y_true - y_pred), -1)

    found = (Scaled, Block, Residual, Squared, Cell, Even, Small, Capped, Absolute, Net, swish6, distance)
    return SimpleNamespace(**{item.__name__: item for item in found})
