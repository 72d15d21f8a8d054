"""Networks, tokenizers, training and the published form of ELECTRA-family encoders."""
