"""fewpass in ComfyUI, see README.md."""

from .nodes import Loader, Sampler

NODE_CLASS_MAPPINGS = {"FewpassLoader": Loader, "FewpassSampler": Sampler}
NODE_DISPLAY_NAME_MAPPINGS = {"FewpassLoader": "fewpass: load model", "FewpassSampler": "fewpass: draw"}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
