// A word of the glossary or the notation explains itself: under the pointer, on focus, at a tap.
// What is shown stands in the page already; the link itself still leads to the whole entry.
(() => {
  const hintOf = (link) => {
    const name = [...link.classList].find((each) => each.startsWith("nth-term--"));
    return name && document.getElementById(`nth-hint-${name.slice("nth-term--".length)}`);
  };
  let shown = null; // { link, hint }
  let timer = 0;

  function hide() {
    clearTimeout(timer);
    if (shown) shown.hint.hidden = true;
    shown = null;
  }

  function show(link) {
    const hint = hintOf(link);
    if (!hint) return;
    clearTimeout(timer);
    if (shown?.link === link) return;
    hide();
    hint.hidden = false;
    // A link may be broken over two lines: the hint belongs to the first.
    const word = link.getClientRects()[0];
    const box = hint.getBoundingClientRect();
    const below = word.bottom + 6 + box.height <= innerHeight || word.top < box.height + 6;
    const left = Math.max(8, Math.min(word.left, document.documentElement.clientWidth - box.width - 8));
    hint.style.left = `${left}px`;
    hint.style.top = `${below ? word.bottom + 6 : word.top - 6 - box.height}px`;
    shown = { link, hint };
  }

  const later = (action, wait) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };

  function explain(link) {
    const hint = hintOf(link);
    if (!hint) return;
    link.setAttribute("aria-describedby", hint.id);
    let touched = false;
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") later(() => show(link), 150);
    });
    link.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") later(hide, 250); // time to reach the hint
    });
    link.addEventListener("focus", () => {
      if (link.matches(":focus-visible")) show(link);
    });
    link.addEventListener("blur", () => later(hide, 0));
    // The first tap explains, the second follows the link.
    link.addEventListener("pointerdown", (event) => {
      touched = event.pointerType === "touch" && shown?.link !== link;
    });
    link.addEventListener("click", (event) => {
      if (!touched) return;
      event.preventDefault();
      touched = false;
      show(link);
    });
  }

  document.querySelectorAll("a.nth-term").forEach(explain);
  for (const hint of document.querySelectorAll(".nth-hint")) {
    hint.addEventListener("pointerenter", () => clearTimeout(timer));
    hint.addEventListener("pointerleave", () => later(hide, 250));
  }
  // Words that a script writes into the page later on.
  addEventListener("nth-terms", (event) => event.target.querySelectorAll("a.nth-term").forEach(explain));

  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  addEventListener("scroll", hide, { passive: true });
  addEventListener("resize", hide);
  addEventListener("pointerdown", (event) => {
    if (shown && !shown.hint.contains(event.target) && !shown.link.contains(event.target)) hide();
  });
})();
