"""Whether this processor computes in bfloat16: elsewhere it takes some forty times as long as float32."""


def has_bf16() -> bool:
    """Whether the processor has instructions for it, by oneDNN, which torch computes with."""
    import torch  # here, as `import backdrop` is quick

    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
