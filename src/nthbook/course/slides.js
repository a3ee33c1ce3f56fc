// Arrows, space and page keys show what waits and turn slides; N shows the notes, P in a window
// of their own, A all slides, F fills the screen.
(() => {
  const root = document.body;
  const slides = [...document.querySelectorAll(".slide")];
  const bar = document.querySelector(".bar");
  const told = bar.querySelector("output");
  const narrow = matchMedia("(max-width: 700px)");
  let now = 0;
  let step = 0;
  let desk = null;

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

  const steps = () => Math.max(0, ...[...slides[now].querySelectorAll(".step")].map((part) => Number(part.dataset.step)));

  function reveal(count) {
    step = Math.min(count, steps());
    for (const part of slides[now].querySelectorAll(".step")) part.classList.toggle("waits", part.dataset.step > step);
  }

  // One on: what waits on this slide, else the next slide; and so back.
  function go(by) {
    const next = step + by;
    if (Math.abs(by) === 1 && next >= 0 && next <= steps()) reveal(next);
    else {
      const last = now;
      show(now + by);
      reveal(by > 0 && now !== last ? 0 : Infinity);
    }
  }

  function show(place, focus = true) {
    now = Math.max(0, Math.min(slides.length - 1, place));
    slides.forEach((slide, number) => slide.classList.toggle("now", number === now));
    told.textContent = `${now + 1} of ${slides.length}`;
    if (location.hash !== `#slide-${now + 1}`) history.replaceState(null, "", `#slide-${now + 1}`);
    if (!root.classList.contains("present") && focus) slides[now].scrollIntoView();
    fit();
    fillDesk();
  }

  // The notes on the speaker's own screen, while the wall shows the slide alone.
  function openDesk() {
    if (!desk || desk.closed) desk = open("", "", "popup,width=720,height=640");
    if (!desk) return;
    desk.focus();
    const { document: page } = desk;
    page.title = `Notes: ${document.title}`;
    page.documentElement.lang = "en";
    page.head.querySelectorAll("style").forEach((style) => style.remove());
    page.head.append(...[...document.querySelectorAll("style")].map((style) => page.importNode(style, true)));
    page.body.className = "desk";
    desk.onkeydown = turnByKey;
    fillDesk();
  }

  function fillDesk() {
    if (!desk || desk.closed) return;
    const page = desk.document;
    const next = slides[now + 1]?.querySelector("h2");
    const parts = [slides[now].querySelector("h2"), slides[now].querySelector(".notes")].filter(Boolean);
    const foot = page.createElement("p");
    foot.className = "nth-note";
    foot.textContent = `${told.textContent}${next ? `; then: ${next.textContent}` : ""}`;
    page.body.replaceChildren(...parts.map((part) => page.importNode(part, true)), foot);
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
  function turnByKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = event.target.closest?.("button, a");
    if (pressed && [" ", "Enter"].includes(event.key)) return;
    const letter = event.key.toLowerCase();
    if (letter === "n") turn("notes");
    else if (letter === "p") openDesk();
    else if (letter === "a" || event.key === "Escape") turn("all", event.key === "Escape" ? true : undefined);
    else if (letter === "f") document.documentElement.requestFullscreen?.();
    else if (event.key in keys && root.classList.contains("present")) go(keys[event.key]);
    else return;
    event.preventDefault();
  }
  addEventListener("keydown", turnByKey);
  bar.addEventListener("click", (event) => {
    const { go: by, turn: name, desk: apart } = event.target.closest("button")?.dataset ?? {};
    if (by) go(Number(by));
    if (name) turn(name);
    if (apart !== undefined) openDesk();
  });
  // Among all slides, one that is pressed is shown alone.
  slides.forEach((slide, place) => slide.addEventListener("click", (event) => {
    if (root.classList.contains("present") || narrow.matches || event.target.closest("a")) return;
    show(place, false);
    turn("all", false);
    reveal(0);
  }));
  addEventListener("pagehide", () => desk?.close());
  let start = null;
  addEventListener("touchstart", (event) => { start = event.changedTouches[0].clientX; }, { passive: true });
  addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - start;
    if (root.classList.contains("present") && Math.abs(moved) > 60) go(-Math.sign(moved));
  }, { passive: true });
  addEventListener("hashchange", () => {
    if (asked() === now) return;
    show(asked());
    reveal(0);
  });
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
  document.fonts.ready.then(() => {
    show(asked(), Boolean(location.hash));
    reveal(0);
  });
})();
