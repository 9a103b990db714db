"""Derivatives by central differences, what gradients are compared with."""

import numpy as np


def differences(f, values, position, step=1e-6):
    """The derivative of ``f(*values)`` in one of its arguments, the result's axes first: of a scalar the gradient."""
    columns = []
    for index in np.ndindex(*np.shape(values[position])):
        sides = []
        for sign in (1, -1):
            moved = [np.array(value) for value in values]
            moved[position][index] += sign * step
            sides.append(np.asarray(f(*moved), "float64"))
        columns.append((sides[0] - sides[1]) / (2 * step))
    found = np.stack(columns, axis=-1)
    return found.reshape((*found.shape[:-1], *np.shape(values[position])))
