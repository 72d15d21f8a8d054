// What is shown of each command's results: functions of (result, request) that return {status, nodes}.

import { addTooltip, element, makeRoving } from "./dom.js";
import { partsOf, percent } from "./text.js";

const NUM_COLOURS = 8; // of kinds of tags, in page.css
const LIKELY = 0.5;

/** Tokens, each with a background as strong as it is probable that it was replaced. */
export function showReplaced(tokens, request) {
  const marks = [];
  const text = markedText(request.texts[0], tokens, (part) => {
    const probability = Math.max(...part.items.map((token) => token.probability));
    const mark = element("mark", { class: probability >= LIKELY ? "token likely" : "token" }, part.text);
    mark.style.setProperty("--probability", probability.toFixed(4));
    describe(mark, part.items.map((token) => `${token.token}: ${percent(token.probability)}`).join("\n"));
    marks.push(mark);
    return mark;
  });
  makeRoving(marks);
  const count = tokens.filter((token) => token.probability >= LIKELY).length;
  const status = `${tokens.length} tokens, of which ${count} more probably replaced than not.`;
  return { status, nodes: [legend(), text] };
}

/** The text with the best token in the place of each mask, and the candidates of each. */
export function showFills(masks, request) {
  const marks = [];
  const text = markedText(request.texts[0], masks, (part) => {
    const best = part.items[0].candidates[0];
    const mark = element("mark", { class: best ? "fill" : "" }, best ? plainToken(best.token) : part.text);
    describe(mark, best ? `${best.token}: ${percent(best.probability)}` : "behind what the model reads");
    marks.push(mark);
    return mark;
  });
  makeRoving(marks);
  const lists = masks.map((mask, index) =>
    element(
      "section",
      {},
      element("h2", {}, masks.length > 1 ? `Mask ${index + 1}` : "Candidates"),
      bars(mask.candidates.map((one) => ({ label: one.token, probability: one.probability }))),
    ),
  );
  return { status: `${masks.length === 1 ? "1 mask" : `${masks.length} masks`} filled.`, nodes: [text, ...lists] };
}

/** The context with an answer marked, the other answers to choose from, and what speaks for there being none. */
export function showAnswers(result, request) {
  const { answers, no_answer_score: score } = result;
  const place = element("div");
  const buttons = answers.map((answer) => element("button", { type: "button" }, answer.text));
  const choose = (chosen) => {
    place.replaceChildren(
      markedText(request.contexts[0], [answers[chosen]], (part) => element("mark", { class: "answer" }, part.text)),
    );
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
  };
  buttons.forEach((button, index) => button.addEventListener("click", () => choose(index)));
  if (answers.length) choose(0);
  else place.append(element("p", { class: "text" }, request.contexts[0]));
  const list = bars(answers.map((answer, index) => ({ label: buttons[index], probability: answer.probability })));
  const nodes = [place, element("h2", {}, "Answers"), list];
  const told = score === null ? "The model cannot tell whether there is an answer." : `No-answer score: ${score.toFixed(2)}`;
  nodes.push(element("p", { class: "no-answer" }, told));
  if (!answers.length) return { status: "There is nothing to answer with.", nodes };
  const best = `${answers[0].text} (${percent(answers[0].probability)})`;
  const status = result.has_answer ? `Answer: ${best}` : `No answer, by the no-answer score. The best guess: ${best}`;
  return { status, nodes };
}

/** A bar for each label, or the score. */
export function showClass(result) {
  if (result.score !== undefined) {
    return { status: `Score: ${result.score.toFixed(3)}`, nodes: [] };
  }
  const rows = Object.entries(result.probabilities).map(([label, probability]) => ({ label, probability }));
  rows.sort((a, b) => b.probability - a.probability);
  return { status: `${result.label} (${percent(result.probability)})`, nodes: [bars(rows)] };
}

/** Entities, or words where there are none, in a colour for each kind. */
export function showTags(result, request) {
  const words = result.words.filter((word) => word.tag !== "O");
  const spans = result.entities.length
    ? result.entities
    : words.map((word) => ({ ...word, kind: word.tag }));
  const kinds = [...new Set(spans.map((span) => span.kind))];
  const marks = [];
  const text = markedText(request.texts[0], spans, (part) => {
    const [span] = part.items;
    const label = element("span", { class: "kind" }, span.kind);
    const mark = element("mark", { class: `tag colour-${kinds.indexOf(span.kind) % NUM_COLOURS}` }, part.text, label);
    const inside = result.words.filter((word) => word.start < span.end && span.start < word.end);
    describe(mark, inside.map((word) => `${word.word}: ${word.tag}, ${percent(word.probability)}`).join("\n"));
    marks.push(mark);
    return mark;
  });
  makeRoving(marks);
  const found = result.entities.length ? `${spans.length} found` : `${spans.length} tagged`;
  const status = `${result.words.length} words, ${found}${kinds.length ? `: ${kinds.join(", ")}` : ""}.`;
  return { status, nodes: [text] };
}

/** Returns a text with an element of its own for each part that has items. */
function markedText(text, items, mark) {
  const shown = element("p", { class: "text" });
  shown.append(...partsOf(text, items).map((part) => (part.items.length ? mark(part) : part.text)));
  return shown;
}

function describe(mark, text) {
  mark.tabIndex = -1;
  addTooltip(mark, text);
}

/** Returns a token as it stands in a text. */
const plainToken = (token) => token.replace(/^(##|▁|Ġ)/u, "") || token;

function bars(rows) {
  const items = rows.map(({ label, probability }) => {
    const bar = element("span", { class: "bar" });
    bar.style.setProperty("--probability", probability.toFixed(4));
    const name = element("span", { class: "label" }, label);
    return element("li", {}, name, bar, element("span", { class: "number" }, percent(probability)));
  });
  return element("ol", { class: "bars" }, ...items);
}

function legend() {
  const scale = element("span", { class: "scale" });
  const ends = ["0 %", scale, "100 %"];
  return element("p", { class: "legend" }, "Probability that a token was replaced: ", ...ends, "; underlined from 50 % on");
}
