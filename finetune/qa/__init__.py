"""Question answering: questions, windows over their contexts, and answers from scores of spans."""
