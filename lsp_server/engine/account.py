"""Where an engine's model lies, in words."""

from __future__ import annotations

from lsp_server.engine.protocol import PlacementStatus


def describe_place(placement: PlacementStatus | None) -> str:
    """GPUs and layers, or the CPU."""
    if placement is None or not placement.n_gpu_layers:
        return "CPU"
    whole = placement.n_gpu_layers >= placement.n_layers
    layers = (
        f"all {placement.n_layers} layers"
        if whole
        else f"{placement.n_gpu_layers} of {placement.n_layers} layers, the rest on the CPU"
    )
    split = f", split by {placement.split_mode}" if len(placement.devices) > 1 else ""
    return f"{' + '.join(placement.devices) or 'GPU'} ({layers}{split})"


def describe_estimate(placement: PlacementStatus) -> str:
    """What the placement was thought to need."""
    needs = [("memory", placement.host_bytes)]
    needs += [
        (device.split(" ", 1)[0], n_bytes)
        for device, n_bytes in zip(placement.devices, placement.gpu_bytes, strict=False)
    ]
    return ", ".join(f"{n_bytes / 2**20:,.0f} MiB of {name}" for name, n_bytes in needs)
