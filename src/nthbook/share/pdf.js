// Scales what is wider than the page, and says what is still too wide. The window is as wide
// as the page's text, in print's own style.
() => {
  const scaleFormula = (formula, room) => {
    const need = formula.querySelector("mjx-math").getBoundingClientRect().width;
    if (need <= room) return;
    const now = parseFloat(formula.style.fontSize) || 100;
    formula.style.fontSize = `${(now * 0.99 * room) / need}%`;
  };
  const block = (part) => {
    while (getComputedStyle(part).display.startsWith("inline")) part = part.parentElement;
    const style = getComputedStyle(part);
    return part.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  };
  for (const formula of document.querySelectorAll("article mjx-container")) {
    const number = formula.parentElement.querySelector(":scope > .eqno");
    const taken = number ? number.getBoundingClientRect().width + 8 : 0;
    scaleFormula(formula, block(formula.parentElement) - taken);
  }
  for (const table of document.querySelectorAll("article table")) {
    const room = block(table.parentElement);
    if (table.offsetWidth > room + 1) table.style.zoom = room / table.offsetWidth;
  }
  // Code and output that fill less than a third of a page stay together.
  for (const code of document.querySelectorAll("article .highlight")) {
    const part = code.closest(".cell_input") ?? code.parentElement;
    if (part.offsetHeight < 0.3 * innerHeight) part.classList.add("nth-short");
  }
  const edge = document.documentElement.clientWidth + 1;
  return [...document.querySelectorAll("body *")]
    .filter((part) => !part.closest("mjx-assistive-mml"))
    .filter((part) => part.getBoundingClientRect().right > edge)
    .map((part) => `${part.closest("[id]")?.id ?? "?"}: ${part.tagName.toLowerCase()}`);
}
