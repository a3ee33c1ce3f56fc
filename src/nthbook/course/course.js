// A formula that is wider than its place is set smaller: on paper nothing scrolls.
function fitFormulas(part) {
  for (const formula of part.querySelectorAll("mjx-container[display]")) {
    formula.style.removeProperty("font-size");
    if (formula.scrollWidth > formula.clientWidth + 1) {
      const share = (0.98 * formula.clientWidth) / formula.scrollWidth;
      const size = parseFloat(getComputedStyle(formula).fontSize);
      const around = parseFloat(getComputedStyle(formula.parentElement).fontSize);
      formula.style.setProperty("font-size", `${(share * size) / around}em`, "important");
    }
  }
}
