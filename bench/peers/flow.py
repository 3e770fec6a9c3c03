"""Kolmogorov flow in plain NumPy.

The scheme heads `crates/data/src/operator/make/vorticity.rs`.
"""

import numpy as np

REYNOLDS, WAVE_NUMBER, DT = 70.0, 4, 5e-3


def iteration(row):
    """One time step, from a smooth random field."""
    n = row.side
    kx, ky = np.fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1.0)[None, :]
    k2 = kx**2 + ky**2
    dx, dy = (1j * np.where(2 * abs(k) < n, k, 0.0) for k in (kx, ky))
    inverse = np.divide(1.0, k2, out=np.zeros_like(k2), where=k2 > 0)
    kept = (k2 > 0) & (9 * k2 <= n * n)
    friction = 0.5 * DT * k2 / REYNOLDS
    force = np.zeros_like(k2)
    force[0, WAVE_NUMBER] = -WAVE_NUMBER * n * n / 2

    def field(waves):
        return np.fft.irfft2(waves, s=(n, n))

    def slope(waves):
        psi, w = waves * inverse, field(waves)
        flux_x = np.fft.rfft2(field(dy * psi) * w)
        flux_y = np.fft.rfft2(field(-dx * psi) * w)
        return force - dx * flux_x - dy * flux_y

    state = kept * np.fft.rfft2(np.random.default_rng(0).standard_normal((n, n))) / (1 + k2)

    def step():
        nonlocal state
        first = slope(state)
        own = (1 - friction) * state
        stage = (own + DT * first) / (1 + friction)
        state = kept * (own + 0.5 * DT * (first + slope(stage))) / (1 + friction)

    return step
