"""Starting networks from the weights of others: of other vocabularies, lengths and formats."""
