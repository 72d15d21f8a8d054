"""Published models: config.json, safetensors weights, tensor names and the model card."""
