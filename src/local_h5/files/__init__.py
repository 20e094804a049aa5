"""Files and bytes: whole-or-absent writing, arrays in HDF5, text tables, digests, JSON and YAML as structures."""
