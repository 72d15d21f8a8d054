#!/bin/sh
# A BERT with position_embedding_type="relative_key", saved by transformers 4.57.6 and read by 5.24.0: the setting stays
# in config.json, the tables of distances are left out, and the states differ. Exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 transformers==4.57.6
cat > "$folder/states.py" <<'PYTHON'
import pathlib
import sys

import numpy as np
import torch
import transformers

folder = pathlib.Path(sys.argv[1])
print("transformers", transformers.__version__, "torch", torch.__version__)
if transformers.__version__.startswith("4."):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=16, initializer_range=0.5, position_embedding_type="relative_key",
    )
    transformers.BertModel(config).save_pretrained(folder / "model")
model, report = transformers.AutoModel.from_pretrained(folder / "model", output_loading_info=True)
with torch.no_grad():
    states = model.eval()(input_ids=torch.tensor([[2, 7, 36, 8, 9, 3]])).last_hidden_state.numpy()
if transformers.__version__.startswith("4."):
    np.save(folder / "states.npy", states)
    sys.exit(bool(report["unexpected_keys"]))
difference = float(np.abs(states - np.load(folder / "states.npy")).max())
left_out = sorted(report["unexpected_keys"])
print("position_embedding_type:", getattr(model.config, "position_embedding_type", None))
print("left out:", left_out)
print("largest difference of states:", difference)
sys.exit(not (difference > 0.1 and any("distance_embedding" in name for name in left_out)))
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/states.py" "$folder"
"$folder/venv/bin/pip" install -q transformers==5.24.0
"$folder/venv/bin/python" -W ignore "$folder/states.py" "$folder"
