"""The paths of variables, which Keras makes of the name scopes that are open where a layer is built."""

import keras


def built_at_root(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer, built so that its variables' paths start with its own name, whatever scopes are open.

    By their paths, variables are published, restored and decayed. Keras leaves a scope open for good where TensorFlow
    refuses its name, as that of a user's model.
    """
    with keras.name_scope("", override_parent=""):
        layer.build()
    return layer
