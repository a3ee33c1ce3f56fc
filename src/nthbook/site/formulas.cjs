// Renders formulas on behalf of formulas.py: JSON on stdin, JSON on stdout.
// MathJax's own loader for Node is used, with the components that a browser would load.
const [, , mathjax] = process.argv;
const { settings, fonts, items } = JSON.parse(require("fs").readFileSync(0, "utf8"));

require(`${mathjax}/es5/node-main.js`)
  .init({
    loader: { load: ["input/tex", "output/chtml", "a11y/assistive-mml"] },
    tex: settings.tex,
    chtml: { ...settings.chtml, fontURL: fonts },
    options: { enableAssistiveMml: true },
    startup: { typeset: false },
  })
  .then(async (MathJax) => {
    const adaptor = MathJax.startup.adaptor;
    const html = [];
    for (const { tex, display } of items) {
      html.push(adaptor.outerHTML(await MathJax.tex2chtmlPromise(tex, { display })));
    }
    const css = adaptor.textContent(MathJax.chtmlStylesheet());
    process.stdout.write(JSON.stringify({ html, css }));
  })
  .catch((error) => {
    process.stderr.write(`${error.message ?? error}\n`);
    process.exitCode = 1;
  });
