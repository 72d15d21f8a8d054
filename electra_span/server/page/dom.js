// Small helpers for the page. Texts become text nodes only, never HTML.

export const byId = (id) => document.getElementById(id);

/**
 * Returns a new element.
 * @param {string} name - of the tag.
 * @param {Object} attributes - by name; undefined and false ones are left out.
 * @param {...(Node|string)} children - strings become text nodes.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/**
 * Makes one tab stop of many elements: arrow keys, Home and End move between them.
 * @param {HTMLElement[]} elements - in order.
 * @param {(element: HTMLElement) => void} onMove - called with the one that gets the focus by a key.
 */
export function makeRoving(elements, onMove = () => {}) {
  const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  elements.forEach((one, index) => {
    if (!one.hasAttribute("tabindex")) one.tabIndex = index ? -1 : 0;
    one.addEventListener("keydown", (event) => {
      if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      const next = elements[Math.min(Math.max(elements.indexOf(one) + moves[event.key], 0), elements.length - 1)];
      setStop(elements, next);
      next.focus();
      onMove(next);
    });
    one.addEventListener("focus", () => setStop(elements, one));
  });
}

function setStop(elements, stop) {
  for (const one of elements) one.tabIndex = one === stop ? 0 : -1;
}

/** Shows a text near an element while that has the pointer or the focus; Escape hides it. */
export function addTooltip(target, text) {
  const show = () => {
    const tooltip = byId("tooltip");
    tooltip.textContent = text;
    tooltip.hidden = false;
    target.setAttribute("aria-describedby", "tooltip");
    const box = target.getClientRects()[0] ?? target.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - tooltip.offsetWidth - 8);
    const above = box.top - tooltip.offsetHeight - 6;
    tooltip.style.left = `${Math.max(left, 8) + window.scrollX}px`;
    tooltip.style.top = `${(above >= 0 ? above : box.bottom + 6) + window.scrollY}px`;
  };
  target.addEventListener("mouseenter", show);
  target.addEventListener("focus", show);
  for (const event of ["mouseleave", "blur"]) target.addEventListener(event, hideTooltip);
}

/** Hides what addTooltip shows. */
export function hideTooltip() {
  byId("tooltip").hidden = true;
}
