"""Lorenz-63 from a fixed state: the method (RK4 in NumPy) and the truth (SciPy's DOP853).

Writes lorenz.json. Python 3.11, NumPy 2.4.6, SciPy 1.17.1; no random numbers.
"""

import json
import pathlib

import numpy as np
from scipy.integrate import solve_ivp

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
START = np.array([3.0, -5.0, 17.0])


def rhs(_, state):
    x, y, z = state
    return np.array([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])


def runge_kutta(state, dt, steps):
    """Butcher form: nodes c, matrix a, weights b."""
    a = np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 1, 0]])
    b, c = np.array([1, 2, 2, 1]) / 6, np.array([0, 0.5, 0.5, 1])
    for _ in range(steps):
        k = np.zeros((4, 3))
        for stage in range(4):
            k[stage] = rhs(c[stage] * dt, state + dt * a[stage] @ k)
        state = state + dt * b @ k
    return state


truth = solve_ivp(rhs, (0.0, 2.0), START, method="DOP853", rtol=1e-13, atol=1e-13)
golden = {
    "start": START.tolist(),
    "dt": 0.01,
    "rk4": {str(n): runge_kutta(START, 0.01, n).tolist() for n in (1, 10, 100, 200)},
    "exact_at_2": truth.y[:, -1].tolist(),
}
path = pathlib.Path(__file__).with_name("lorenz.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
