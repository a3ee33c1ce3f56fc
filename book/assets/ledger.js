// Shows the claims that were asked for. Without this script the page shows them all.
(() => {
  const form = document.querySelector("form.nth-filter");
  const cards = [...document.querySelectorAll(".nth-card:not(.nth-superseded)")];
  const fields = [...form.querySelectorAll("select")];
  const sections = [...new Set(cards.map((card) => card.parentElement))];

  function show() {
    const asked = fields.filter((field) => field.value);
    for (const card of cards) {
      card.hidden = asked.some((field) => card.dataset[field.name] !== field.value);
    }
    for (const section of sections) {
      section.hidden = !section.querySelector(".nth-card:not([hidden])");
    }
    const claims = cards.filter((card) => card.dataset.kind !== "check");
    const checks = cards.filter((card) => card.dataset.kind === "check");
    const parts = [[claims, "claims"], [checks, "checks"]].filter(([some]) => some.length);
    form.querySelector("output").textContent = parts
      .map(([some, name]) => `${some.filter((card) => !card.hidden).length} of ${some.length} ${name}`)
      .join(", ");
  }

  // An address such as ledger.html?verdict=fails opens the page filtered, and can be sent on.
  function read() {
    const query = new URLSearchParams(location.search);
    for (const field of fields) {
      const wanted = query.get(field.name) ?? "";
      field.value = [...field.options].some((option) => option.value === wanted) ? wanted : "";
    }
  }

  function write() {
    const query = new URLSearchParams();
    for (const field of fields) {
      if (field.value) query.set(field.name, field.value);
    }
    const text = query.toString();
    history.replaceState(null, "", text ? `?${text}` : location.pathname);
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => { show(); write(); });
  read();
  show();
  form.hidden = false;
})();
