// The page: which model and which tab, what is asked, and where answers and errors go.

import { ApiError, asCurl, fetchModels, run } from "./api.js";
import { byId, element, hideTooltip, makeRoving } from "./dom.js";
import { lengthOf, wordsOf } from "./text.js";
import { showAnswers, showClass, showFills, showReplaced, showTags } from "./views.js";

// What each tab asks, and how it shows the result; `fields` are the inputs behind the fields of a request.
const TABS = {
  replaced: { fields: { texts: "text" }, show: showReplaced },
  fill_mask: { fields: { texts: "text" }, show: showFills },
  answer: { fields: { questions: "question", contexts: "context" }, options: { num_answers: 5 }, show: showAnswers },
  classify: { fields: { texts: "text", pairs: "pair" }, optional: ["pairs"], show: showClass },
  tag: { fields: { texts: "text" }, show: showTags },
};
const commands = Object.keys(TABS);
const state = { models: [], needs: {}, limits: {}, command: "replaced", waiting: {} };

const tabOf = (command) => byId(`tab-${command}`);
const panelOf = (command) => byId(`panel-${command}`);
const formOf = (command) => panelOf(command).querySelector("form");
const currentModel = () => state.models[byId("model").selectedIndex];

async function start() {
  for (const command of commands) preparePanel(command);
  makeRoving(commands.map(tabOf), (tab) => tab.click());
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTooltip());
  byId("model").addEventListener("change", chooseModel);
  formOf("fill_mask").text.addEventListener("input", showWords);
  try {
    Object.assign(state, await fetchModels());
  } catch (error) {
    byId("page-error").textContent = error.message;
    return;
  }
  byId("model").append(...state.models.map((model) => element("option", { value: model.name }, model.name)));
  chooseModel();
}

function preparePanel(command) {
  const form = formOf(command);
  form.append(byId("form-end").content.cloneNode(true));
  panelOf(command).append(byId("panel-end").content.cloneNode(true));
  tabOf(command).addEventListener("click", () => chooseTab(command));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(command);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

function chooseModel() {
  const model = currentModel();
  for (const command of commands) {
    const able = model.commands.includes(command);
    tabOf(command).setAttribute("aria-disabled", String(!able));
    formOf(command).hidden = !able;
    panelOf(command).querySelector(".needs").textContent = able
      ? ""
      : `${model.name} is a ${model.kind} and cannot do this. Load ${state.needs[command]}.`;
    clearResult(command);
    fillTasks(command, model);
  }
  byId("mask-token").textContent = model.mask_token;
  const tasks = model.tasks.map((task) => task.name).join(", ");
  const kind = tasks ? `${model.kind} (${tasks})` : model.kind;
  byId("model-says").textContent = `A ${kind} that reads ${model.max_tokens} tokens of a text.`;
  showWords();
  const able = commands.filter((command) => model.commands.includes(command));
  chooseTab(able.includes(state.command) ? state.command : (able[0] ?? state.command));
}

function fillTasks(command, model) {
  const select = formOf(command).task;
  if (!select) return;
  const tasks = model.tasks.filter((task) => task.command === command);
  select.replaceChildren(...tasks.map((task) => element("option", { value: task.name }, task.name)));
  select.closest(".field").hidden = tasks.length < 2;
}

function chooseTab(chosen) {
  state.command = chosen;
  hideTooltip();
  for (const command of commands) {
    tabOf(command).setAttribute("aria-selected", String(command === chosen));
    tabOf(command).tabIndex = command === chosen ? 0 : -1;
    panelOf(command).hidden = command !== chosen;
  }
}

/** Shows the words of the text with masks as buttons, of which each puts a mask in its place. */
function showWords() {
  const textarea = formOf("fill_mask").text;
  const mask = currentModel().mask_token;
  const buttons = [];
  const nodes = wordsOf(textarea.value, mask).map((part) => {
    if (part.isMask) return element("mark", { class: "fill" }, part.text);
    if (!part.isWord) return part.text;
    const button = element("button", { type: "button", class: "word", "aria-label": `Mask ${part.text}` }, part.text);
    button.addEventListener("click", () => {
      const place = buttons.indexOf(button);
      textarea.setRangeText(mask, part.start, part.start + part.text.length, "end");
      showWords();
      byId("words").querySelectorAll("button")[place]?.focus();
    });
    buttons.push(button);
    return button;
  });
  byId("words").replaceChildren(...nodes);
  makeRoving(buttons);
}

/** Returns the request that a form asks for. Throws an ApiError, with the request's `field`, where it is none. */
function readRequest(command) {
  const { fields, options, optional = [] } = TABS[command];
  const form = formOf(command);
  const request = { model: currentModel().name, ...options };
  for (const [field, input] of Object.entries(fields)) {
    const text = form[input].value;
    const length = lengthOf(text);
    if (!text.trim() && optional.includes(field)) continue;
    if (!text.trim()) throw fieldError(field, "There is no text here yet.");
    if (length > state.limits.max_text_length) {
      const most = state.limits.max_text_length.toLocaleString("en");
      throw fieldError(field, `A text may have ${most} characters, and this one has ${length.toLocaleString("en")}.`);
    }
    request[field] = [text];
  }
  if (form.task?.options.length > 1) request.task = form.task.value;
  return request;
}

function fieldError(field, message) {
  return Object.assign(new ApiError(message), { field });
}

async function submit(command) {
  clearResult(command);
  const waiting = new AbortController();
  state.waiting[command] = waiting;
  const button = formOf(command).querySelector("[type=submit]");
  try {
    const request = readRequest(command);
    button.setAttribute("aria-disabled", "true");
    setStatus(command, "Working … (the first time takes some seconds)");
    const answer = await run(command, request, waiting.signal);
    showResult(command, request, answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    showError(command, error);
  } finally {
    if (state.waiting[command] === waiting) button.setAttribute("aria-disabled", "false");
  }
}

function showResult(command, request, answer) {
  const { status, nodes } = TABS[command].show(answer.results[0], request);
  setStatus(command, [status, ...answer.warnings.map((warning) => `Note: ${warning}.`)].join(" "));
  panelOf(command).querySelector(".result").replaceChildren(...nodes);
  const details = panelOf(command).querySelector(".request");
  details.querySelector("pre").textContent = asCurl(command, request);
  details.hidden = false;
}

/** Shows an error below the input that it is about. */
function showError(command, error) {
  setStatus(command, "");
  const { fields } = TABS[command];
  const field = error.field ?? Object.keys(fields).find((name) => error.message.startsWith(name));
  const input = formOf(command)[fields[field] ?? Object.values(fields)[0]];
  const shown = formOf(command).querySelector(".error");
  shown.id = `${command}-error`;
  input.closest(".field").append(shown);
  shown.textContent = error.message;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-errormessage", shown.id);
  input.focus();
}

function clearResult(command) {
  state.waiting[command]?.abort();
  hideTooltip();
  const panel = panelOf(command);
  setStatus(command, "");
  panel.querySelector(".result").replaceChildren();
  panel.querySelector(".request").hidden = true;
  panel.querySelector("form .error").textContent = "";
  for (const input of panel.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function setStatus(command, text) {
  panelOf(command).querySelector(".status").textContent = text;
}

start();
