"""Dynamic masking of single tokens, whole words and spans, as whole-batch graph ops."""

from electra_span.masking.dynamic import MaskingConfig, mask_tokens

__all__ = ["MaskingConfig", "mask_tokens"]
