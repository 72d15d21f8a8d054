"""The page of real models, as small as they can be."""

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from electra_span.head_config import HeadConfig
from electra_span.published.save_load import save_pretrained
from electra_span.server.served_models import find_folders, load_models
from tests.electra_span.inference.tiny_text_models import MOOD, make_text_model
from tests.electra_span.server.browser import Page, open_browser
from tests.electra_span.server.running import serving

CHUNK = HeadConfig(task="chunk", kind="tagging", labels=("O", "S-NP"))
QUESTIONS = HeadConfig(task="squad", kind="questions")
INPUTS = {
    "replaced": ("mine/discriminator", {"text": "The cat sat 日 on the mat."}),
    "fill_mask": ("mine/generator", {"text": "the [MASK] sat on the [MASK]"}),
    "answer": ("tasks", {"question": "the cat", "context": "The 日 cat sat on the mat. A cat in a café. " * 3}),
    "classify": ("tasks", {"text": "a cat"}),
    "tag": ("tasks", {"text": "The cat sat on the mat."}),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in ("discriminator", "generator"):
        model = make_text_model(kind)
        save_pretrained(model, model.tokenizer, folder / "mine" / kind)
    model = make_text_model("tasks", heads=(MOOD, CHUNK, QUESTIONS))
    save_pretrained(model, model.tokenizer, folder / "tasks")
    return load_models(find_folders([str(folder / "mine"), str(folder / "tasks")]))


@pytest.fixture(scope="module")
def page(served, tmp_path_factory):
    with serving(served) as server, open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield Page(browser, server.url, seconds=60)  # functions are built at the first call


@pytest.mark.parametrize("command", INPUTS)
def test_page_shows_what_the_model_says(page, served, command):
    name, inputs = INPUTS[command]
    page.choose("#model", name)
    page.one(f"#tab-{command}").click()
    for field, text in inputs.items():
        page.write(f"#{command}-{field}", text)
    status = page.run(command)
    texts = list(inputs.values())
    model = next(one.model for one in served if one.description.name == name)
    marked = page.texts(f"#panel-{command} mark")
    if command == "replaced":
        tokens = model.replaced_tokens(texts)[0]
        assert marked == [texts[0][token.start : token.end] for token in tokens]
    elif command == "fill_mask":
        best = [fills[0].token.removeprefix("##") for fills in model.fill_mask(texts)[0]]
        assert page.texts("#panel-fill_mask .result .fill") == best
    elif command == "answer":
        (answers,) = model.answer(texts[:1], texts[1:], num_answers=5)
        assert page.texts("#panel-answer .label button") == [answer.text for answer in answers.answers]
        assert marked == [answers.answers[0].text]
    elif command == "classify":
        assert status.startswith(f"{model.classify(texts)[0].label} (")
    else:
        assert len(marked) == sum(word.tag != "O" for word in model.tag(texts)[0].words)
    assert [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"] == []
