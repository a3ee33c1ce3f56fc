// Renders formulas on behalf of formulas.py: JSON on stdin, JSON on stdout.
// MathJax's own loader for Node is used, with the components that a browser would load.
const { settings, fonts, items } = JSON.parse(require("fs").readFileSync(0, "utf8"));

// Notes of MathJax to itself, and what a page says once in its style sheet.
const NOTES = ["data-mjx-texclass", "texclass", "unselectable", "xmlns"];

function lighten(adaptor, node) {
  if (adaptor.kind(node) === "#text") return;
  NOTES.forEach((name) => adaptor.removeAttribute(node, name));
  adaptor.childNodes(node).forEach((child) => lighten(adaptor, child));
}

function refuse(_, error) {
  throw error;
}

require("mathjax/es5/node-main.js")
  .init({
    loader: { load: ["input/tex", "output/chtml", "a11y/assistive-mml"] },
    // an unknown command is an error, and no text in red
    tex: { ...settings.tex, packages: { "[-]": ["noundefined"] }, formatError: refuse },
    chtml: { ...settings.chtml, fontURL: fonts },
    options: { enableAssistiveMml: true },
    startup: { typeset: false },
  })
  .then(async (MathJax) => {
    const adaptor = MathJax.startup.adaptor;
    const answers = [];
    for (const [tex, display] of items) {
      try {
        const node = await MathJax.tex2chtmlPromise(tex, { display });
        lighten(adaptor, node);
        answers.push({ html: adaptor.outerHTML(node) });
      } catch (error) {
        answers.push({ error: error.message });
      }
    }
    const css = adaptor.textContent(MathJax.chtmlStylesheet());
    process.stdout.write(JSON.stringify({ answers, css }));
  })
  .catch((error) => {
    process.stderr.write(`${error.message ?? error}\n`);
    process.exitCode = 1;
  });
