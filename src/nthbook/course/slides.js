// Arrows, space and page keys turn slides; N shows the notes, A all slides, F fills the screen.
(() => {
  const root = document.body;
  const slides = [...document.querySelectorAll(".slide")];
  const bar = document.querySelector(".bar");
  const told = bar.querySelector("output");
  const narrow = matchMedia("(max-width: 700px)");
  let now = 0;

  // What is too much for a slide is set smaller, and not cut off.
  function fit() {
    for (const slide of slides) {
      const face = slide.querySelector(".face");
      const body = slide.querySelector(".body");
      if (narrow.matches || !face.clientHeight) continue;
      for (let size = 1; size > 0.45; size -= 0.05) {
        body.style.setProperty("--fit", size.toFixed(2));
        fitFormulas(body);
        const wide = body.scrollWidth > face.clientWidth + 1;
        if (body.scrollHeight <= face.clientHeight && !wide) break;
      }
    }
  }

  function show(place, focus = true) {
    now = Math.max(0, Math.min(slides.length - 1, place));
    slides.forEach((slide, number) => slide.classList.toggle("now", number === now));
    told.textContent = `${now + 1} of ${slides.length}`;
    if (location.hash !== `#slide-${now + 1}`) history.replaceState(null, "", `#slide-${now + 1}`);
    if (!root.classList.contains("present") && focus) slides[now].scrollIntoView();
    fit();
  }

  function turn(name, on) {
    const look = { notes: "with-notes", all: "present" }[name];
    const shown = name === "all" ? !root.classList.contains(look) : root.classList.contains(look);
    const next = on ?? !shown;
    root.classList.toggle(look, name === "all" ? !next : next);
    bar.querySelector(`[data-turn="${name}"]`).setAttribute("aria-pressed", String(next));
    show(now);
  }

  const keys = {
    ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1,
    ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Backspace: -1,
    Home: -Infinity, End: Infinity,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = event.target.closest?.("button, a");
    if (pressed && [" ", "Enter"].includes(event.key)) return;
    const letter = event.key.toLowerCase();
    if (letter === "n") turn("notes");
    else if (letter === "a" || event.key === "Escape") turn("all", event.key === "Escape" ? true : undefined);
    else if (letter === "f") document.documentElement.requestFullscreen?.();
    else if (event.key in keys && root.classList.contains("present")) show(now + keys[event.key]);
    else return;
    event.preventDefault();
  });
  bar.addEventListener("click", (event) => {
    const { go, turn: name } = event.target.closest("button")?.dataset ?? {};
    if (go) show(now + Number(go));
    if (name) turn(name);
  });
  let start = null;
  addEventListener("touchstart", (event) => { start = event.changedTouches[0].clientX; }, { passive: true });
  addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - start;
    if (root.classList.contains("present") && Math.abs(moved) > 60) show(now - Math.sign(moved));
  }, { passive: true });
  addEventListener("hashchange", () => show(asked()));
  addEventListener("resize", fit);
  // Every slide is laid out on paper, so that every slide has to be fitted.
  addEventListener("beforeprint", () => {
    root.classList.remove("present");
    fit();
  });
  addEventListener("afterprint", () => root.classList.toggle("present", !narrow.matches));

  const asked = () => (Number(/^#slide-(\d+)$/.exec(location.hash)?.[1]) || 1) - 1;
  root.classList.add("scripted");
  root.classList.toggle("present", !narrow.matches);
  bar.hidden = false;
  document.fonts.ready.then(() => show(asked(), Boolean(location.hash)));
})();
