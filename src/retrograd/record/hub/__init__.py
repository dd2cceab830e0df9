"""Folders of pretrained weights as other programs write them: config.json, safetensors and a tokenizer."""
