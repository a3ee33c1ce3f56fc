// Wide formulas, once their fonts are there and before they are printed.
document.fonts.ready.then(() => fitFormulas(document.body));
addEventListener("beforeprint", () => fitFormulas(document.body));
