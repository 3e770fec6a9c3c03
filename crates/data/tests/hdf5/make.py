"""Makes the HDF5 files of the tests, in the layouts of PDEBench and The Well: `python make.py` (h5py 3)."""

import h5py
import numpy as np


def main():
    with h5py.File("pdebench.hdf5", "w") as file:
        nu = np.arange(48, dtype="f4").reshape(3, 4, 4)
        file.create_dataset("nu", data=nu, chunks=(1, 4, 4), compression="gzip", shuffle=True)
        file.create_dataset("tensor", data=(2 * nu).reshape(3, 1, 4, 4))
        for axis in ("x-coordinate", "y-coordinate"):
            file.create_dataset(axis, data=(np.arange(4, dtype="f4") + 0.5) / 4)
    with h5py.File("well.hdf5", "w") as file:
        file.attrs["dataset_name"] = "vorticity"
        scalar = np.arange(2 * 3 * 4, dtype="f8").reshape(2, 3, 2, 2)
        file.create_dataset("t0_fields/vorticity", data=scalar)
        velocity = np.stack((scalar, -scalar), axis=-1).astype("f4")
        file.create_dataset("t1_fields/velocity", data=velocity, chunks=(1, 1, 2, 2, 2))
        file.create_dataset("dimensions/time", data=np.arange(3, dtype="i8"))
        file.create_dataset("notes", data=np.array(["a", "b"], dtype=h5py.string_dtype()))


if __name__ == "__main__":
    main()
