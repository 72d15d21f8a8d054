"""The official question-answering metrics, written down again from their definition: slow and plain."""

import string


def words_of(text):
    """Returns the words of a text that count."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    runs, run = [], ""
    for character in kept:  # an article is one where letters and digits do not go on
        if character.isalnum():
            run += character
        else:
            runs += [run, character]
            run = ""
    kept = "".join(" " if piece in ("a", "an", "the") else piece for piece in [*runs, run])
    words, word = [], ""
    for character in kept + " ":
        if not character.isspace():
            word += character
        elif word:
            words.append(word)
            word = ""
    return words


def f1_of(predicted, gold):
    """Returns F1 of two lists of words with at least one word each, or none in common."""
    rest, num_common = list(gold), 0
    for word in predicted:
        if word in rest:
            rest.remove(word)
            num_common += 1
    return 0.0 if num_common == 0 else 2 * num_common / (len(predicted) + len(gold))


def question_v1(golds, prediction):
    """Returns exact match and F1 of SQuAD 1.1 and MRQA."""
    pairs = [(words_of(prediction), words_of(gold)) for gold in golds]
    return max(float(a == b) for a, b in pairs), max(f1_of(a, b) for a, b in pairs)


def question_v2(golds, prediction):
    """Returns exact match and F1 of SQuAD 2.0."""
    predicted = words_of(prediction)
    answers = [words for words in map(words_of, golds) if words] or [[]]
    f1_values = [f1_of(predicted, words) if predicted and words else float(predicted == words) for words in answers]
    return float(predicted in answers), max(f1_values)


def percentages_v1(gold, predictions):
    """Returns exact match and F1 over all questions, of which those without a prediction are wrong."""
    rows = [
        question_v1(golds, predictions[name]) if name in predictions else (0.0, 0.0) for name, golds in gold.items()
    ]
    return [100 * sum(row[place] for row in rows) / len(rows) for place in (0, 1)]


def percentages_v2(gold, predictions, null_odds, threshold):
    """Returns exact and f1 by prefix ("", HasAns_, NoAns_) at a threshold of the null odds."""
    rows = {}
    for name, golds in gold.items():
        is_refused = null_odds[name] > threshold
        rows[name] = (float(not golds),) * 2 if is_refused else question_v2(golds, predictions[name])
    parts = {
        "": list(gold),
        "HasAns_": [name for name in gold if gold[name]],
        "NoAns_": [name for name in gold if not gold[name]],
    }
    metrics = {}
    for prefix, names in parts.items():
        for place, kind in enumerate(("exact", "f1")):
            metrics[prefix + kind] = 100 * sum(rows[name][place] for name in names) / len(names)
        metrics[prefix + "total"] = len(names)
    return metrics


def best_v2(gold, predictions, null_odds, place):
    """Returns the best percentage of exact (place 0) or f1 (1) over all thresholds, and the threshold."""
    order = sorted(gold, key=lambda name: null_odds[name])
    best, threshold = sum(not golds for golds in gold.values()), 0.0
    for number in range(1, len(order) + 1):
        total = 0.0
        for rank, name in enumerate(order):
            if rank >= number or (not gold[name] and not predictions[name]):
                total += not gold[name]
            elif gold[name]:
                total += question_v2(gold[name], predictions[name])[place]
        if total > best + 1e-9:
            best, threshold = total, null_odds[order[number - 1]]
    return 100 * best / len(gold), threshold
