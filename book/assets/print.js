// Paper is white, whatever the screen was. Without scripts a page is light anyway.
(() => {
  const page = document.documentElement;
  let theme = page.dataset.theme;
  addEventListener("beforeprint", () => {
    theme = page.dataset.theme;
    page.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    page.dataset.theme = theme;
  });
})();
