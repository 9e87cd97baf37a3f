//! Models and datasets of a hub: found, looked at, fetched and published. No tensors, no windows.
