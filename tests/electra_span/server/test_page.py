"""The page in a real browser."""

import json
import shutil
import subprocess

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from electra_span.server.limits import Limits
from tests.electra_span.server.browser import Page, open_browser, requested_urls, set_scheme, set_width
from tests.electra_span.server.fake_models import served
from tests.electra_span.server.running import serving

HOSTILE = "<img src=x onerror=document.title='run'> & </p><script>document.title='run'</script>"
TABS = ("replaced", "fill_mask", "answer", "classify", "tag")
MODELS = (
    served("small/discriminator", "replaced", "embed", kind="discriminator"),
    served("small/generator", "fill_mask", "embed", kind="generator"),
    served("tasks", "answer", "classify", "tag", "embed", tasks=[("mood", "classify"), ("score", "classify")]),
)


@pytest.fixture(scope="module")
def server():
    with serving(MODELS, Limits(max_text_length=600)) as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(browser, server):
    browser.get_log("browser")
    requested_urls(browser)
    page = Page(browser, server.url)
    yield page
    wrong = [entry for entry in browser.get_log("browser") if "422 (Unprocessable" not in entry["message"]]
    assert wrong == []
    assert [url for url in requested_urls(browser) if not url.startswith(server.url)] == []


def test_tabs_that_a_model_cannot_do_say_what_to_load(page):
    disabled = "[role=tab][aria-disabled=true]"
    assert page.texts(disabled) == ["Fill masks", "Questions", "Classify", "Tag words"]
    page.one("#tab-answer").click()
    needs = "small/discriminator is a discriminator and cannot do this. Load a model for answer."
    assert page.one("#panel-answer .needs").text == needs
    assert not page.one("#panel-answer form").is_displayed()
    page.choose("#model", "tasks")
    assert page.texts(disabled) == ["Replaced tokens", "Fill masks"]
    assert page.one("#panel-answer form").is_displayed()


def test_replaced_tokens_are_coloured_by_probability(page):
    page.write("#replaced-text", "I 🐈 ate 👩‍🚀soup!")
    assert page.run("replaced") == "4 tokens, of which 3 more probably replaced than not."
    marks = page.all("#panel-replaced mark")
    assert [mark.text for mark in marks] == ["I", "🐈", "ate", "👩‍🚀soup!"]
    assert page.one("#panel-replaced .text").text == "I 🐈 ate 👩‍🚀soup!"
    colours = [mark.value_of_css_property("background-color") for mark in marks]
    assert colours[0] == colours[1] == colours[2] != colours[3]
    assert [mark.get_attribute("class") for mark in marks] == ["token likely"] * 3 + ["token"]
    assert "Probability that a token was replaced" in page.one(".legend").text


def test_numbers_show_at_the_pointer_and_the_keyboard(page):
    from selenium.webdriver import ActionChains

    page.write("#replaced-text", "odd even")
    page.run("replaced")
    odd, even = page.all("#panel-replaced mark")
    tooltip = page.one("#tooltip")
    assert not tooltip.is_displayed()
    ActionChains(page.browser).move_to_element(odd).perform()
    assert tooltip.text == "odd: 90.0 %"
    odd.send_keys(page.keys.ARROW_RIGHT)
    assert page.focused == even
    assert tooltip.text == "even: 10.0 %"
    assert even.get_attribute("aria-describedby") == tooltip.get_attribute("id")
    even.send_keys(page.keys.ESCAPE)
    assert not tooltip.is_displayed()


def test_words_are_masked_by_choosing_them_and_filled(page):
    page.choose("#model", "small/generator")
    page.write("#fill_mask-text", "🐈 the dog 🐕 sat")
    assert page.texts("#words button") == ["the", "dog", "sat"]
    page.all("#words button")[1].click()
    page.all("#words button")[1].send_keys(page.keys.ENTER)
    assert page.one("#fill_mask-text").get_attribute("value") == "🐈 the [MASK] 🐕 [MASK]"
    assert page.run("fill_mask") == "2 masks filled."
    assert page.texts("#panel-fill_mask .result .fill") == ["cat", "cat"]
    assert page.one("#panel-fill_mask .result .text").text == "🐈 the cat 🐕 cat"
    assert page.texts("#panel-fill_mask h2") == ["Mask 1", "Mask 2"]
    assert page.texts("#panel-fill_mask .bars .label")[:2] == ["cat", "thing1"]
    assert page.texts("#panel-fill_mask .bars .number")[:2] == ["50.0 %", "25.0 %"]


def test_answers_are_marked_in_the_context(page):
    page.choose("#model", "tasks")
    page.write("#answer-question", "who?")
    page.write("#answer-context", "an 🐈 and Ann")
    assert page.run("answer") == "Answer: Ann (60.0 %)"
    assert page.one("#panel-answer .result .text").text == "an 🐈 and Ann"
    assert page.texts("#panel-answer mark") == ["Ann"]
    page.all("#panel-answer .label button")[2].send_keys(page.keys.ENTER)
    assert page.texts("#panel-answer mark") == ["🐈"]
    pressed = [button.get_attribute("aria-pressed") for button in page.all("#panel-answer .label button")]
    assert pressed == ["false", "false", "true", "false"]
    assert page.one(".no-answer").text == "No-answer score: -1.25"
    page.write("#answer-question", "nothing?")
    assert page.run("answer") == "No answer, by the no-answer score. The best guess: Ann (60.0 %)"


def test_classes_are_bars_and_scores_numbers(page):
    page.choose("#model", "tasks")
    page.one("#tab-classify").click()
    page.write("#classify-text", "abc")
    assert page.run("classify") == "different (75.0 %)"
    assert page.texts("#panel-classify .bars .label") == ["different", "alike"]
    page.write("#classify-pair", "second")
    assert page.run("classify") == "alike (75.0 %)"
    page.choose("#classify-task", "score")
    assert page.run("classify") == "Score: 3.000"


def test_tagged_words_have_the_colour_and_the_name_of_their_kind(page):
    page.choose("#model", "tasks")
    page.one("#tab-tag").click()
    page.write("#tag-text", "so Ann and Bo left")
    assert page.run("tag") == "5 words, 2 found: NAME."
    marks = page.all("#panel-tag mark")
    assert [mark.text for mark in marks] == ["AnnNAME", "BoNAME"]
    assert "colour-0" in marks[0].get_attribute("class")


@pytest.mark.parametrize(("model", "command"), list(zip([0, 1, 2, 2, 2], TABS, strict=True)))
def test_markup_in_texts_is_text(page, model, command):
    page.choose("#model", MODELS[model].description.name)
    page.one(f"#tab-{command}").click()
    text = f"[MASK] {HOSTILE}"
    field = "context" if command == "answer" else "text"
    page.write(f"#{command}-{field}", text)
    page.run(command)
    shown = page.all(f"#panel-{command} .result .text")
    if command in ("replaced", "answer"):
        assert [one.text for one in shown] == [text]
    assert page.browser.title == "Electra Span: try a model"
    assert page.all("main img, main script") == []


def test_errors_are_told_beside_the_input(page):
    page.write("#replaced-text", " ")
    page.one("#panel-replaced [type=submit]").click()
    assert page.error("replaced") == "There is no text here yet."
    field = page.one("#replaced-text")
    assert field.get_attribute("aria-invalid") == "true"
    assert page.one("#" + field.get_attribute("aria-errormessage")).text == "There is no text here yet."
    assert page.focused == field
    page.write("#replaced-text", "🐈" * 601)
    page.one("#panel-replaced [type=submit]").click()
    assert page.error("replaced") == "A text may have 600 characters, and this one has 601."
    page.write("#replaced-text", "mistake")
    page.one("#panel-replaced [type=submit]").click()
    page.wait_until(lambda: page.error("replaced") == "this model cannot do it")
    page.write("#replaced-text", "fine")
    page.run("replaced")
    assert page.one("#panel-replaced form .error").text == ""
    assert field.get_attribute("aria-invalid") is None


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_the_command_shown_asks_the_same(page):
    page.write("#replaced-text", 'it\'s $HOME `x` \\ "é🐈"\nodd')
    page.run("replaced")
    page.one("#panel-replaced summary").click()
    done = subprocess.run(page.one("#panel-replaced pre").text, shell=True, capture_output=True, check=True)
    tokens = json.loads(done.stdout)["results"][0]
    assert [token["token"] for token in tokens] == page.texts("#panel-replaced mark")
    assert tokens[-2]["token"] == '"é🐈"'


def test_texts_that_were_cut_are_told_of(page):
    page.write("#replaced-text", "long " * 110)
    assert page.run("replaced").endswith("Note: 1 of 1 texts have more tokens than fit.")


def test_everything_is_done_with_the_keyboard(page):
    page.one("#model").send_keys("tasks")
    page.one("#model").send_keys(page.keys.TAB)
    assert page.focused.text == "Questions"
    page.focused.send_keys(page.keys.ARROW_RIGHT)
    assert page.focused.text == "Classify"
    assert page.focused.get_attribute("aria-selected") == "true"
    page.focused.send_keys(page.keys.TAB)
    assert page.focused == page.one("#classify-text")
    page.focused.send_keys(page.keys.CONTROL, page.keys.ENTER)
    assert page.status("classify") == "different (75.0 %)"


def test_every_input_has_a_name(page):
    for field in page.all("textarea, input, select, button, [role=tab]"):
        assert field.accessible_name or not field.is_displayed(), field.get_attribute("outerHTML")


@pytest.mark.parametrize("command", TABS)
def test_page_fits_a_phone(page, command):
    set_width(page.browser, 320)
    page.choose("#model", next(one.description.name for one in MODELS if command in one.description.commands))
    page.one(f"#tab-{command}").click()
    page.write(f"#{command}-{'context' if command == 'answer' else 'text'}", "[MASK] " + "Wide" * 40)
    page.run(command)
    page.one(f"#panel-{command} summary").click()
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 320
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(page, scheme):
    set_scheme(page.browser, scheme)
    page.write("#replaced-text", "odd even")
    page.run("replaced")
    for selector in ("body", "footer", ".hint", "[type=submit]", "#panel-replaced mark", "footer a"):
        assert page.browser.execute_script(CONTRAST, page.one(selector)) >= 4.5, selector
    for variable in ["hot", "good", *(f"colour-{number}" for number in range(8))]:
        page.browser.execute_script(f"document.querySelector('mark').style.background = 'var(--{variable})'")
        assert page.browser.execute_script(CONTRAST, page.one("mark")) >= 4.5, variable


# The contrast of an element's text with the nearest background, as WCAG 2 counts it.
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const layers = [];
for (let at = arguments[0]; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
const paint = (colours) => {
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => byte / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
};
const behind = paint(layers);
const before = paint([getComputedStyle(arguments[0]).color]);
return Math.max(behind, before) / Math.min(behind, before);
"""


def test_parts_of_a_text_are_cut_at_code_points_and_share_overlaps(page):
    parts = page.browser.execute_async_script(
        """const done = arguments[arguments.length - 1];
        import("/page/text.js").then(({partsOf}) => done(partsOf("é🐈x👩‍🚀.", [
          {start: 1, end: 2, byte: 1}, {start: 1, end: 2, byte: 2}, {start: 3, end: 6}, {start: 6, end: 6}])));"""
    )
    assert [(part["text"], len(part["items"])) for part in parts] == [
        ("é", 0),
        ("🐈", 2),
        ("x", 0),
        ("👩‍🚀", 1),
        (".", 0),
    ]


def test_a_server_that_is_gone_is_told_of(browser):
    with serving([served("fake")]) as server:
        page = Page(browser, server.url)
    page.one("#panel-replaced [type=submit]").click()
    assert page.error("replaced") == "The server does not answer. Is it still running?"
    browser.get_log("browser")
